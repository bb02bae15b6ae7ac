// What tests of the log on real servers begin with.

import type { ClusterLog } from "../../src/cluster/log.ts";
import { natsLog } from "../../src/cluster/nats/nats_log.ts";
import type { NatsAuth, NatsDurability } from "../../src/cluster/nats/nats_options.ts";
import { type Availability, requires } from "../requirements.ts";
import { findNatsServer, NATS_REMEDY, NatsServers } from "./nats_server.ts";

const program = findNatsServer();
/** The name of the memory, and of its stream of records. */
export const NAME = "faults", STREAM = `attune_${NAME}`;
/** The login of its user. */
export const AUTH: NatsAuth = { user: "app", password: "app" };

/** For `Deno.test`: whether there is a server. */
export function withServer(): Availability {
  return requires("nats-server", program, NATS_REMEDY);
}

/** Starts servers, and gives a log on them. */
export async function startServers(
  count: number,
  durability: NatsDurability,
): Promise<{ readonly servers: NatsServers; readonly log: ClusterLog }> {
  const servers = await NatsServers.start({ program: program ?? "", count });
  return { servers, log: natsLog({ servers: servers.addresses, name: NAME, auth: AUTH, durability }) };
}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
