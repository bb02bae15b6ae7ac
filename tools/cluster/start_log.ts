// Starts the log of a cluster on this machine: one server of NATS, or three that replicate, on loopback and
// free ports; where there is no server, a log in memory, and a word that says so.

import type { ClusterLog } from "../../src/cluster/log.ts";
import { memoryLog } from "../../src/cluster/memory_log.ts";
import { natsLog } from "../../src/cluster/nats/nats_log.ts";
import {
  findNatsServer,
  NATS_REMEDY,
  NatsServers,
  versionOfServer,
} from "../../testing/cluster/nats_server.ts";

/** What is to be started. */
export interface StartOptions {
  /** The server's program; the one that is found unless given. */
  readonly server?: string;
  /** 1, or 3 for replicas on disk. */
  readonly count?: 1 | 3;
  /** The name of the memory; "memory" unless given. */
  readonly name?: string;
  /** Where the servers keep what they are given; a temporary folder, which goes with them, unless given. */
  readonly folder?: string;
}

/** A log that was started; it ends with the servers. */
export interface StartedLog extends AsyncDisposable {
  readonly log: ClusterLog;
  /** One line for people: which servers, or why there are none. */
  readonly word: string;
  /** The servers, to look at, kill and start again; null where the log is in memory. */
  readonly servers: NatsServers | null;
}

/**
 * Starts servers and gives the log on them. "disk" is the durability of one server, "replicated" that of
 * three.
 *
 * @throws {Error} The program that was given is no server, or one older than 2.12, or does not start.
 */
export async function startLog(options: StartOptions = {}): Promise<StartedLog> {
  const { count = 1, name = "memory", folder } = options;
  const program = options.server ?? findNatsServer();
  if (program === undefined) {
    return {
      log: memoryLog(),
      word: `There is no nats-server here, so the log is in memory and ends with this process. ` +
        `To have one: ${NATS_REMEDY}, or --server=FILE.`,
      servers: null,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const version = await demandServer(program);
  const servers = await NatsServers.start({ program, count, ...folder !== undefined && { folder } });
  const log = natsLog({
    servers: servers.addresses,
    name,
    auth: { user: "app", password: "app" },
    durability: count === 1 ? "disk" : "replicated",
  });
  return {
    log,
    word: `nats-server ${version} at ${servers.addresses.join(", ")}, ` +
      (count === 1 ? "each write synced." : "three replicas."),
    servers,
    [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose](),
  };
}

async function demandServer(program: string): Promise<string> {
  const { isFile } = await Deno.stat(program).catch(() => ({ isFile: false }));
  const version = isFile ? versionOfServer(program) : "";
  if (version === "") throw new Error(`${program} is no nats-server`);
  if (findNatsServer(program) !== program) {
    throw new Error(`${program} is nats-server ${version}, expected 2.12 or newer`);
  }
  return version;
}
