// What a server takes as the largest message: the cluster's messages are cut to it, and a record of that size
// is followed.

import { connect, host, LogError, natsLog } from "../../../src/cluster/mod.ts";
import { assert, assertEquals, assertLessOrEqual, assertRejects } from "../../../testing/assert.ts";
import { findNatsServer, NATS_REMEDY, NatsServers } from "../../../testing/cluster/nats_server.ts";
import { requires } from "../../../testing/requirements.ts";

const program = findNatsServer();
const server = requires("nats-server", program, NATS_REMEDY);
const auth = { user: "app", password: "app" };

async function start(maxPayload: number) {
  const servers = await NatsServers.start({ program: program ?? "", more: `max_payload: ${maxPayload}` });
  return { servers, log: natsLog({ servers: servers.addresses, name: "m", auth }) };
}

Deno.test({
  name: "a server of small messages is refused, one of the smallest that will do answers about long ids",
  ...server,
  fn: async () => {
    {
      const { servers, log } = await start(512 << 10);
      await using _servers = servers;
      const error = await assertRejects(() => log.open("client"), LogError);
      assertEquals(error.reason, "refused");
    }
    const { servers, log } = await start((512 << 10) + 4096), count = 700;
    await using _servers = servers;
    await using _host = await host(log);
    await using memory = await connect(log, {
      create: { dim: 1, valueDim: 1, partitions: 2 },
      timeoutMs: 30_000,
    });
    const ids = Array.from({ length: count }, (_, at) => `${at}`.padStart(512, "€"));
    await memory.edit(ids.map((id, at) => ({ kind: "set", id, key: [at / count], value: [at] })));
    await memory.setQuery("q", [1]);
    assertEquals((await memory.topKeys("q", 4096)).map(({ id }) => id), ids.toReversed());
    assertEquals((await memory.getKeys(ids)).map((row) => row?.value[0]), ids.map((_, at) => at));
  },
});

Deno.test({
  name: "a server of large messages takes no record that a follower would not be given",
  ...server,
  fn: async () => {
    const { servers, log } = await start(8 << 20);
    await using _servers = servers;
    const session = await log.open("host"), { largestMessage } = session;
    assert(largestMessage >= 1 << 20);
    assertLessOrEqual(largestMessage, 4 << 20);
    const numbers = [
      await session.append("log.0", new Uint8Array(largestMessage).fill(7)),
      await session.append("log.0", new Uint8Array(1)),
    ];
    await assertRejects(() => session.append("log.0", new Uint8Array(largestMessage + 1)), LogError);
    const found: [number, number][] = [];
    for await (const records of session.follow("log.0", 0, { signal: AbortSignal.timeout(10_000) })) {
      for (const { sequence, body } of records) found.push([sequence, body.length]);
      if (found.length === 2) break;
    }
    assertEquals(found, [[numbers[0], largestMessage], [numbers[1], 1]]);
    await session.close();
  },
});
