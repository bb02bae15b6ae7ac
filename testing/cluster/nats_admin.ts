// What an administrator of servers does in tests: looks at streams, removes and purges them, and finds who
// leads them.

import { type JetStream, loadNats } from "../../src/cluster/nats/packages.ts";
import type { NatsServer, NatsServers } from "./nats_server.ts";

/** A connection of an administrator. */
export interface NatsAdmin extends AsyncDisposable {
  readonly streams: JetStream.StreamAPI;
}

/** Connects as the user "app". */
export async function connectAdmin(servers: NatsServers): Promise<NatsAdmin> {
  const { core, jetstream } = await loadNats();
  const connection = await core.NatsConnectionImpl.connect({
    servers: servers.addresses,
    user: "app",
    pass: "app",
  });
  // Without a leader nobody answers for some seconds, which is no reason to end.
  const { streams } = await jetstream.jetstreamManager(connection, { checkAPI: false, timeout: 1000 });
  return { streams, [Symbol.asyncDispose]: () => connection.close() };
}

/** The running server that leads a stream; waits up to a minute for one. */
export async function leaderOf(servers: NatsServers, stream: string): Promise<NatsServer> {
  await using admin = await connectAdmin(servers);
  for (const until = performance.now() + 60_000; performance.now() < until;) {
    const info = await admin.streams.info(stream).catch(() => null);
    const leader = servers.servers.find(({ name, pid }) => name === info?.cluster?.leader && pid > 0);
    if (leader) return leader;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("no leader in a minute");
}
