// Full suite: it kills servers of NATS, writers and followers with SIGKILL, and freezes them.
// Limit: 20 minutes.
//
// After each fault nothing that was acknowledged is lost or there twice, no record has other bytes, and every
// follower is given each record once. ATTUNE_LONG=1 repeats each fault four times.

import type { LogSession } from "../../../src/cluster/log.ts";
import type { NatsDurability } from "../../../src/cluster/nats/nats_options.ts";
import { assert, assertEquals, assertGreater } from "../../../testing/assert.ts";
import {
  type Acknowledged,
  assertAllThere,
  bodyOf,
  openWithin,
  readAll,
  textOfBody,
  writeUntil,
} from "../../../testing/cluster/log_writers.ts";
import { leaderOf } from "../../../testing/cluster/nats_admin.ts";
import { NAME, sleep, startServers, STREAM, withServer } from "../../../testing/cluster/nats_scene.ts";
import type { NatsServers } from "../../../testing/cluster/nats_server.ts";
import { runProcess } from "../../../testing/cluster/run_process.ts";
import { Random } from "../../../testing/random.ts";
import { IS_LONG } from "../../../testing/requirements.ts";

const TIMES = IS_LONG ? 4 : 2;
const WRITERS = 8;

/**
 * Writers and a follower go on while `fault` happens `TIMES` times; then everything that was acknowledged is
 * there, and the follower was given each record once.
 */
async function surviveFaults(
  count: number,
  durability: NatsDurability,
  fault: (servers: NatsServers, random: Random, at: number) => Promise<void>,
): Promise<{ readonly records: number; readonly worstMs: number }> {
  const { servers, log } = await startServers(count, durability);
  await using _servers = servers;
  const random = new Random(71), acknowledged: Acknowledged = new Map(), stop = new AbortController();
  const sessions: LogSession[] = [];
  for (let at = 0; at < WRITERS; at++) sessions.push(await openWithin(log, 30_000));
  const writing = sessions.map((session, at) =>
    writeUntil(session, "records", `writer${at}`, stop.signal, acknowledged, { pauseMs: 2 })
  );
  const follower = await openWithin(log, 30_000), followed: string[] = [], unfollow = new AbortController();
  const following = (async () => {
    let before = 0;
    for await (const records of follower.follow("records", 0, { signal: unfollow.signal })) {
      for (const { sequence, body } of records) {
        assertGreater(sequence, before);
        before = sequence;
        followed.push(textOfBody(body));
      }
    }
  })();
  let worstMs = 0;
  try {
    for (let at = 0; at < TIMES; at++) {
      await sleep(200 + random.below(400));
      const started = performance.now();
      await fault(servers, random, at);
      const known = acknowledged.size;
      while (acknowledged.size === known) await sleep(5);
      worstMs = Math.max(worstMs, performance.now() - started);
    }
  } finally {
    stop.abort();
    await Promise.all(writing);
  }
  const records = await readAll(log, "records");
  assertAllThere(records, acknowledged);
  for (const until = performance.now() + 20_000; followed.length < records.length;) {
    assert(performance.now() < until, `the follower has ${followed.length} of ${records.length} records`);
    await sleep(20);
  }
  unfollow.abort();
  await following;
  assertEquals(followed, records.map(({ body }) => textOfBody(body)));
  for (const session of [...sessions, follower]) await session.close();
  console.log(
    `  ${acknowledged.size} acknowledged, ${records.length} there, longest wait for the next ${
      worstMs.toFixed(0)
    } ms`,
  );
  return { records: records.length, worstMs };
}

Deno.test({
  name: "one server is killed and starts again",
  ...withServer(),
  fn: async () => {
    await surviveFaults(1, "disk", async ({ servers: [server] }, random) => {
      await server.end("SIGKILL");
      await sleep(random.below(600));
      await server.start();
    });
  },
});

Deno.test({
  name: "of three servers the leader of the records is killed, and starts again later",
  ...withServer(),
  fn: async () => {
    await surviveFaults(3, "replicated", async (servers) => {
      const leader = await leaderOf(servers, STREAM);
      await leader.end("SIGKILL");
      await sleep(1500);
      await leader.start();
    });
  },
});

Deno.test({
  name: "all three servers are killed at once, and start again",
  ...withServer(),
  fn: async () => {
    await surviveFaults(3, "replicated", async ({ servers }) => {
      await Promise.all(servers.map((server) => server.end("SIGKILL")));
      await Promise.all(servers.map((server) => server.start()));
    });
  },
});

Deno.test({
  name: "a server is frozen and goes on",
  ...withServer(),
  fn: async () => {
    await surviveFaults(1, "disk", async ({ servers: [server] }, random, at) => {
      server.signal("SIGSTOP");
      // Shorter than the pings of a connection, and longer.
      await sleep(at % 2 ? 500 + random.below(1000) : 7000);
      server.signal("SIGCONT");
    });
  },
});

Deno.test({
  name: "of three servers one is frozen and goes on",
  ...withServer(),
  fn: async () => {
    await surviveFaults(3, "replicated", async (servers, random) => {
      const server = random.below(2) ? await leaderOf(servers, STREAM) : servers.servers[random.below(3)];
      server.signal("SIGSTOP");
      await sleep(3000 + random.below(3000));
      server.signal("SIGCONT");
    });
  },
});

Deno.test({
  name: "a writer is killed, and the next one goes on where it was",
  ...withServer(),
  fn: async () => {
    const { servers, log } = await startServers(1, "disk");
    await using _servers = servers;
    const acknowledged: Acknowledged = new Map(), random = new Random(72);
    let from = 0;
    const take = (line: string) => {
      const [word, at, sequence] = line.split(" ");
      if (word !== "ack") return;
      acknowledged.set(`w ${at}`, Number(sequence));
      from = Number(at) + 1;
    };
    for (let kill = 0; kill < TIMES; kill++) {
      await using writer = runProcess("log_process.ts", [
        "write",
        servers.addresses.join(","),
        NAME,
        "records",
        "w",
        `${from}`,
      ]);
      for (let lines = 2 + random.below(60); lines > 0; lines--) {
        const line = await writer.next();
        assert(line !== null, "the writer ended by itself");
        take(line);
      }
      (await writer.kill()).forEach(take);
    }
    const there = assertAllThere(await readAll(log, "records"), acknowledged);
    console.log(`  ${acknowledged.size} acknowledged, ${there} there after ${TIMES} kills`);
  },
});

Deno.test({
  name: "a follower is killed, and the next one goes on where it was",
  ...withServer(),
  fn: async () => {
    const { servers, log } = await startServers(1, "disk");
    await using _servers = servers;
    const acknowledged: Acknowledged = new Map(), random = new Random(73), stop = new AbortController();
    await using session = await openWithin(log, 10_000);
    const writing = writeUntil(session, "records", "w", stop.signal, acknowledged, { pauseMs: 3 });
    const read: { readonly sequence: number; readonly text: string }[] = [];
    const take = (line: string) => {
      const match = /^read (\d+) (.*)$/.exec(line);
      if (match) read.push({ sequence: Number(match[1]), text: match[2] });
    };
    for (let kill = 0; kill < TIMES; kill++) {
      const from = read.length === 0 ? 0 : read[read.length - 1].sequence;
      await using follower = runProcess("log_process.ts", [
        "follow",
        servers.addresses.join(","),
        NAME,
        "records",
        "-",
        `${from}`,
      ]);
      for (let lines = 2 + random.below(60); lines > 0; lines--) {
        const line = await follower.next();
        assert(line !== null, "the follower ended by itself");
        take(line);
      }
      (await follower.kill()).forEach(take);
    }
    stop.abort();
    await writing;
    const records = await readAll(log, "records");
    assertAllThere(records, acknowledged);
    const expected = records.slice(0, read.length).map(({ sequence, body }) => ({
      sequence,
      text: textOfBody(body),
    }));
    assertEquals(read, expected);
    console.log(`  ${read.length} read over ${TIMES} kills`);
  },
});

Deno.test({
  name: "values survive as they promise: kept ones a kill of the server, volatile ones are told to be gone",
  ...withServer(),
  fn: async () => {
    const { servers, log } = await startServers(1, "disk");
    await using _servers = servers;
    await using session = await openWithin(log, 10_000);
    const body = bodyOf("value", 20), stop = new AbortController(), told: string[] = [];
    await session.put("v.kept", body);
    const before = await session.put("v.live", body, { isVolatile: true });
    const watching = (async () => {
      for await (const { key, value, revision } of session.watch("v.", { signal: stop.signal })) {
        told.push(`${key} ${value ? "there" : "gone"}`);
        if (value && key === "v.live" && told.length > 2) assertGreater(revision, before ?? 0);
      }
    })();
    while (told.length < 2) await sleep(5);
    await servers.servers[0].end("SIGKILL");
    await servers.servers[0].start();
    while (!told.includes("v.live gone")) await sleep(20);
    const again = await session.put("v.live", body, { isVolatile: true });
    assertGreater(again ?? 0, before ?? 0);
    while (told.filter((what) => what === "v.live there").length < 2) await sleep(20);
    assertEquals((await session.list("v.")).map(({ key }) => key), ["v.kept", "v.live"]);
    stop.abort();
    await watching;
    assertEquals(told.filter((what) => what.startsWith("v.kept")), ["v.kept there"]);
  },
});
