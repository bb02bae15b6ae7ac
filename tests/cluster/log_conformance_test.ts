// One list of behaviours, held against every log: that in memory, that in files of SQLite, and that on a
// server of NATS where there is one. What a cluster is built on is what is tested here, and no more.

import {
  type ClusterLog,
  FOLLOWED_BYTES,
  LARGEST_VALUE,
  LogError,
  type LogFailure,
  type LogRecord,
  type LogSession,
  type LogValue,
} from "../../src/cluster/log.ts";
import { memoryLog } from "../../src/cluster/memory_log.ts";
import { sqliteLog } from "../../src/cluster/sqlite/sqlite_log.ts";
import { natsLog } from "../../src/cluster/nats/nats_log.ts";
import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "../../testing/assert.ts";
import { openWithin } from "../../testing/cluster/log_writers.ts";
import { findNatsServer, NATS_REMEDY, NatsServers } from "../../testing/cluster/nats_server.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG, requires } from "../../testing/requirements.ts";

/** A log that is there for one test. */
interface Place extends AsyncDisposable {
  readonly log: ClusterLog;
}

interface Kind {
  readonly name: string;
  readonly ignore: boolean;
  make(): Promise<Place>;
}

const program = findNatsServer();
/** Servers for all tests of this file, one and three, a memory of its own for each. */
const started = new Map<number, Promise<NatsServers>>();
let memories = 0;

function natsKind(name: string, count: 1 | 3): Kind {
  const { ignore } = requires("nats-server", program, NATS_REMEDY);
  return {
    name,
    ignore: ignore || (count > 1 && !IS_LONG),
    make: async () => {
      if (!started.has(count)) started.set(count, NatsServers.start({ program: program ?? "", count }));
      const { addresses } = await started.get(count) ?? { addresses: [] };
      const auth = { user: "app", password: "app" };
      const durability = count === 1 ? "disk" : "replicated";
      const log = natsLog({ servers: addresses, name: `m${++memories}`, auth, durability });
      await (await openWithin(log, 30_000)).close();
      return { log, [Symbol.asyncDispose]: () => Promise.resolve() };
    },
  };
}

const KINDS: readonly Kind[] = [
  {
    name: "memory",
    ignore: false,
    make: () => Promise.resolve({ log: memoryLog(), [Symbol.asyncDispose]: () => Promise.resolve() }),
  },
  {
    name: "sqlite",
    ignore: false,
    make: async () => {
      const folder = await Deno.makeTempDir();
      return {
        log: sqliteLog(folder),
        [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
      };
    },
  },
  natsKind("nats", 1),
  natsKind("nats of three servers", 3),
];

Deno.test.afterAll(async () => {
  for (const servers of started.values()) await (await servers)[Symbol.asyncDispose]();
});

/** Declares a behaviour for every log; sessions are closed afterwards. */
function behaves(
  what: string,
  test: (open: () => Promise<LogSession>, log: ClusterLog) => Promise<void>,
): void {
  for (const { name, ignore, make } of KINDS) {
    Deno.test({
      name: `${name} log: ${what}`,
      ignore,
      // The server of NATS outlives the test.
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        await using place = await make();
        const sessions: LogSession[] = [];
        try {
          await test(async () => {
            const session = await place.log.open("host");
            sessions.push(session);
            return session;
          }, place.log);
        } finally {
          for (const session of sessions) await session.close();
        }
      },
    });
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (body: Uint8Array | null | undefined) => body ? new TextDecoder().decode(body) : null;

/** The first `count` records that a follower gives. */
async function take(
  session: LogSession,
  subject: string,
  after: number,
  count: number,
): Promise<LogRecord[]> {
  const found: LogRecord[] = [], stop = new AbortController();
  for await (const records of session.follow(subject, after, { signal: stop.signal })) {
    assertGreater(records.length, 0);
    found.push(...records);
    if (found.length >= count) stop.abort();
  }
  return found;
}

async function assertFails(reason: LogFailure, act: () => Promise<unknown>): Promise<LogError> {
  const error = await assertRejects(act, LogError);
  assertEquals(error.reason, reason, error.message);
  return error;
}

behaves("records come in the order of their numbers, once each, to every follower", async (open) => {
  const a = await open(), b = await open();
  const numbers: number[] = [];
  for (let at = 0; at < 20; at++) {
    numbers.push(await (at % 2 ? a : b).append("log.0", bytes(`record ${at}`), { id: `id ${at}` }));
  }
  for (let at = 1; at < numbers.length; at++) assertGreater(numbers[at], numbers[at - 1]);
  assertGreater(numbers[0], 0);
  for (const session of [a, b]) {
    const records = await take(session, "log.0", 0, 20);
    assertEquals(records.map(({ sequence }) => sequence), numbers);
    assertEquals(records.map(({ body }) => textOf(body)), numbers.map((_, at) => `record ${at}`));
  }
  const later = await take(a, "log.0", numbers[11], 8);
  assertEquals(later.map(({ sequence }) => sequence), numbers.slice(12));
});

behaves(
  "a follower gives what comes later, also while it is slow, and ends with its signal",
  async (open) => {
    const writer = await open(), reader = await open(), stop = new AbortController();
    const found: string[] = [];
    const reading = (async () => {
      for await (const records of reader.follow("log.1", 0, { signal: stop.signal })) {
        found.push(...records.map(({ body }) => textOf(body) ?? ""));
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (found.length === 30) stop.abort();
      }
    })();
    for (let at = 0; at < 30; at++) await writer.append("log.1", bytes(`${at}`));
    await reading;
    assertEquals(found, Array.from({ length: 30 }, (_, at) => `${at}`));
  },
);

behaves("subjects are apart: records, last numbers and purges of one are none of another", async (open) => {
  const session = await open();
  assertEquals(await session.lastSequence("a"), 0);
  const a = [await session.append("a", bytes("1")), await session.append("a", bytes("2"))];
  const b = await session.append("a.b", bytes("3"));
  assertEquals(await session.lastSequence("a"), a[1]);
  assertEquals(await session.lastSequence("a.b"), b);
  assertEquals(await session.lastSequence("b"), 0);
  assertEquals((await take(session, "a", 0, 2)).map(({ sequence }) => sequence), a);
  await session.purge("a", a[1]);
  assertEquals((await take(session, "a", 0, 1)).map(({ sequence }) => sequence), [a[1]]);
  assertEquals((await take(session, "a.b", 0, 1)).map(({ sequence }) => sequence), [b]);
});

behaves(
  "a purge removes what is below, keeps the numbers of the rest, and the number of the last",
  async (open) => {
    const session = await open(), numbers: number[] = [];
    for (let at = 0; at < 10; at++) numbers.push(await session.append("p", bytes(`${at}`)));
    await session.purge("p", numbers[4]);
    await session.purge("p", numbers[4]);
    await session.purge("p", 0);
    const left = await take(session, "p", 0, 6);
    assertEquals(left.map(({ sequence }) => sequence), numbers.slice(4));
    assertEquals(left.map(({ body }) => textOf(body)), ["4", "5", "6", "7", "8", "9"]);
    await session.purge("p", numbers[9] + 1);
    assertEquals(await session.lastSequence("p"), numbers[9]);
    const next = await session.append("p", bytes("next"));
    assertGreater(next, numbers[9]);
    assertEquals((await take(session, "p", numbers[9], 1)).map(({ sequence }) => sequence), [next]);
  },
);

behaves("an append under an id that was seen lately gives the number of the first", async (open) => {
  const a = await open(), b = await open();
  const first = await a.append("d", bytes("same"), { id: "client 7" });
  assertEquals(await a.append("d", bytes("same"), { id: "client 7" }), first);
  assertEquals(await b.append("d", bytes("same"), { id: "client 7" }), first);
  const other = await b.append("d", bytes("other"), { id: "client 8" });
  assertEquals((await take(a, "d", 0, 2)).map(({ sequence }) => sequence), [first, other]);
  // The same id of another subject is another id.
  assertGreater(await b.append("e", bytes("same"), { id: "client 7" }), 0);
  assertEquals((await take(a, "e", 0, 1)).map(({ body }) => textOf(body)), ["same"]);
});

behaves("bodies keep their bytes, whatever becomes of those that were given", async (open) => {
  const session = await open(), random = new Random(5);
  const bodies = [0, 1, 255, 4096, 512 << 10].map((length) => {
    const body = new Uint8Array(length);
    for (let at = 0; at < length; at++) body[at] = random.below(256);
    return body;
  });
  const kept = bodies.map((body) => body.slice());
  for (const body of bodies) {
    await session.append("bodies", body.subarray());
    body.fill(0);
  }
  const records = await take(session, "bodies", 0, kept.length);
  assertEquals(records.map(({ body }) => body.length), kept.map(({ length }) => length));
  records.forEach(({ body }, at) => assert(isSame(body, kept[at])));
  // Views of a larger buffer would keep it alive, and another reader could write to them.
  for (const { body } of records) assertEquals(body.buffer.byteLength, body.length);
});

behaves("a follower that does not take what it is given is given some 4 MiB and no more", async (open) => {
  const session = await open(), body = new Uint8Array(500_000), count = 24;
  for (let at = 0; at < count; at++) await session.append("heavy", body);
  const stop = new AbortController();
  let records = 0, largest = 0;
  for await (const list of session.follow("heavy", 0, { signal: stop.signal })) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    largest = Math.max(largest, list.length);
    records += list.length;
    if (records === count) stop.abort();
  }
  assertLess((largest - 1) * body.length, 2 * FOLLOWED_BYTES);
});

behaves(
  "a value is written, read, listed, removed and written again, its revisions growing",
  async (open) => {
    const a = await open(), b = await open();
    for (const isVolatile of [false, true]) {
      const before = isVolatile ? "live" : "kept";
      assertEquals(await a.get(`${before}.1`), null);
      const first = await a.put(`${before}.1`, bytes("one"), { isVolatile });
      const second = await b.put(`${before}.1`, bytes("two"), { isVolatile });
      assert(first !== null && second !== null);
      assertGreater(first, 0);
      assertGreater(second, first);
      assertEquals(await shown(a.get(`${before}.1`)), [`${before}.1`, "two", second]);
      await a.put(`${before}.2`, bytes(""), { isVolatile });
      assertEquals((await b.list(`${before}.`)).map(({ key, value }) => [key, textOf(value)]), [
        [`${before}.1`, "two"],
        [`${before}.2`, ""],
      ]);
      await b.remove(`${before}.1`, { isVolatile });
      await b.remove(`${before}.1`, { isVolatile });
      await b.remove(`${before}.none`, { isVolatile });
      assertEquals(await a.get(`${before}.1`), null);
      assertEquals((await a.list(before)).map(({ key }) => key), [`${before}.2`]);
      const third = await a.put(`${before}.1`, bytes("three"), { isVolatile });
      assert(third !== null);
      assertGreater(third, second);
    }
    assertEquals((await a.list("")).map(({ key }) => key), ["kept.1", "kept.2", "live.1", "live.2"]);
  },
);

behaves("of many writes that want the same revision exactly one happens", async (open) => {
  const sessions = [await open(), await open(), await open()];
  for (const isVolatile of [false, true]) {
    const key = `cas.${isVolatile}`;
    let revision = 0;
    for (let round = 0; round < 5; round++) {
      const given = await Promise.all(
        Array.from(
          { length: 12 },
          (_, at) => sessions[at % 3].put(key, bytes(`${round}.${at}`), { revision, isVolatile }),
        ),
      );
      const written = given.filter((value) => value !== null);
      assertEquals(written.length, 1);
      assertGreater(written[0], revision);
      const now = await sessions[round % 3].get(key);
      assertEquals(textOf(now?.value), `${round}.${given.indexOf(written[0])}`);
      assertEquals(now?.revision, written[0]);
      revision = written[0];
    }
    assertEquals(await sessions[0].put(key, bytes("no"), { revision: 0, isVolatile }), null);
    await sessions[1].remove(key, { isVolatile });
    assertEquals(await sessions[0].put(key, bytes("no"), { revision, isVolatile }), null);
    const again = await sessions[0].put(key, bytes("new"), { revision: 0, isVolatile });
    assert(again !== null);
    assertGreater(again, revision);
  }
});

behaves(
  "a watcher is told of what is there, then of every change, to the last one of each key",
  async (open) => {
    const a = await open(), b = await open(), stop = new AbortController();
    await a.put("w.old", bytes("old"));
    await a.put("w.gone", bytes("gone"));
    await a.put("x.other", bytes("other"));
    await a.remove("w.gone");
    const seen = new Map<string, LogValue>(), order: string[] = [];
    const watching = (async () => {
      for await (const value of b.watch("w.", { signal: stop.signal })) {
        const before = seen.get(value.key);
        if (before) assertGreater(value.revision, before.revision);
        seen.set(value.key, value);
        order.push(value.key);
        if (value.key === "w.end") stop.abort();
      }
    })();
    while (!seen.has("w.old")) await new Promise((resolve) => setTimeout(resolve, 5));
    for (let at = 0; at < 10; at++) await a.put("w.quick", bytes(`${at}`));
    await a.put("w.live", bytes("beat"), { isVolatile: true });
    await a.remove("w.old");
    await a.put("x.other", bytes("again"));
    await a.put("w.last", bytes("last"));
    const isTold = () => seen.get("w.old")?.value === null && seen.has("w.live") && seen.has("w.last");
    while (!isTold()) await new Promise((resolve) => setTimeout(resolve, 5));
    await a.put("w.end", bytes("end"));
    await watching;
    assertEquals(order[0], "w.old");
    assert(!order.includes("w.gone"));
    assert(!order.includes("x.other"));
    assertEquals(textOf(seen.get("w.quick")?.value), "9");
    assertEquals(textOf(seen.get("w.live")?.value), "beat");
  },
);

behaves("an object is kept whole under its name, and a name keeps its bytes", async (open) => {
  const a = await open(), b = await open(), random = new Random(9);
  assertEquals(await a.getObject("none"), null);
  assertEquals(await a.listObjects(""), []);
  for (const length of [0, 1, 300_000, 3_000_001]) {
    const object = new Uint8Array(length);
    for (let at = 0; at < length; at += 97) object[at] = random.below(256);
    const name = `snapshot.${length}`;
    await a.putObject(name, object);
    await b.putObject(name, object.slice());
    const found = await b.getObject(name);
    assert(found !== null && isSame(found, object));
    await assertFails("refused", () => b.putObject(name, bytes("other bytes")));
  }
  assertEquals((await b.listObjects("snapshot.3")).sort(), ["snapshot.300000", "snapshot.3000001"]);
  await b.removeObject("snapshot.300000");
  await b.removeObject("snapshot.300000");
  await b.removeObject("never");
  assertEquals(await a.getObject("snapshot.300000"), null);
  assertEquals(await a.listObjects("snapshot.3"), ["snapshot.3000001"]);
  await a.putObject("snapshot.300000", bytes("new"));
  assertEquals(textOf(await b.getObject("snapshot.300000")), "new");
});

behaves("two that put the same object at once both succeed", async (open) => {
  const a = await open(), b = await open(), object = new Uint8Array(400_000).fill(7);
  await Promise.all([a.putObject("both", object), b.putObject("both", object)]);
  const found = await a.getObject("both");
  assert(found !== null && isSame(found, object));
  assertEquals(await b.listObjects(""), ["both"]);
});

behaves("a request reaches the one who serves its address, and its reply comes back", async (open) => {
  const a = await open(), b = await open();
  await using _served = await a.serve("host.a", (body) => bytes(`a ${textOf(body)}`));
  await using _other = await b.serve("host.b", async (body) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return body;
  });
  assertEquals(textOf(await b.request("host.a", bytes("asks"))), "a asks");
  const large = new Uint8Array(512 << 10).fill(3), given = await a.request("host.b", large);
  assert(isSame(given, large));
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, at) => a.request("host.b", bytes(`${at}`))),
  );
  assertEquals(answers.map(textOf), Array.from({ length: 50 }, (_, at) => `${at}`));
});

behaves(
  "an address that nobody serves is unreachable at once, before and after it is served",
  async (open) => {
    const a = await open(), b = await open();
    const started = performance.now();
    await assertFails("unreachable", () => b.request("host.c", bytes("?"), { timeoutMs: 4000 }));
    const served = await a.serve("host.c", () => bytes("!"));
    assertEquals(textOf(await b.request("host.c", bytes("?"))), "!");
    await served[Symbol.asyncDispose]();
    await assertFails("unreachable", () => b.request("host.c", bytes("?"), { timeoutMs: 4000 }));
    assertLess(performance.now() - started, 3500);
  },
);

behaves("an address has one who serves it", async (open) => {
  const a = await open(), b = await open();
  const served = await a.serve("host.d", () => bytes("a"));
  await assertFails("refused", () => b.serve("host.d", () => bytes("b")));
  await assertFails("refused", () => a.serve("host.d", () => bytes("b")));
  assertEquals(textOf(await b.request("host.d", bytes("?"))), "a");
  await served[Symbol.asyncDispose]();
  await using _again = await b.serve("host.d", () => bytes("b"));
  assertEquals(textOf(await a.request("host.d", bytes("?"))), "b");
});

behaves("who does not answer in time is told apart from who is not there", async (open) => {
  const a = await open(), b = await open();
  await using _slow = await a.serve("slow", () => new Promise<Uint8Array>(() => {}));
  await using _thrower = await a.serve("thrower", () => {
    throw new Error("no answer");
  });
  await assertFails("timeout", () => b.request("slow", bytes("?"), { timeoutMs: 200 }));
  await assertFails("timeout", () => b.request("thrower", bytes("?"), { timeoutMs: 200 }));
});

behaves("what is too large is refused, and nothing is written", async (open) => {
  const session = await open(), { largestMessage } = session;
  assert(largestMessage >= 512 << 10);
  await session.append("size", new Uint8Array(largestMessage));
  await assertFails("refused", () => session.append("size", new Uint8Array(largestMessage + 1)));
  assertEquals((await take(session, "size", 0, 1)).length, 1);
  await session.put("size", new Uint8Array(LARGEST_VALUE));
  await assertFails("refused", () => session.put("size", new Uint8Array(LARGEST_VALUE + 1)));
  assertEquals((await session.get("size"))?.value?.length, LARGEST_VALUE);
  await using _served = await session.serve(
    "size",
    (body) => new Uint8Array(body[0] ? largestMessage + 1 : largestMessage),
  );
  await assertFails("refused", () => session.request("size", new Uint8Array(largestMessage + 1)));
  await assertFails("refused", () => session.request("size", bytes("large")));
  assertEquals((await session.request("size", new Uint8Array(largestMessage))).length, largestMessage);
});

behaves("names that are none are refused by every call", async (open) => {
  const session = await open();
  for (
    const name of ["", ".", "a.", ".a", "a..b", "a b", "a*", ">", "a.>", "ä", "a/b", "a\n", "x".repeat(201)]
  ) {
    await assertFails("refused", () => session.append(name, bytes("")));
    await assertFails("refused", () => take(session, name, 0, 1));
    await assertFails("refused", () => session.lastSequence(name));
    await assertFails("refused", () => session.purge(name, 1));
    await assertFails("refused", () => session.get(name));
    await assertFails("refused", () => session.put(name, bytes("")));
    await assertFails("refused", () => session.remove(name));
    await assertFails("refused", () => session.putObject(name, bytes("")));
    await assertFails("refused", () => session.getObject(name));
    await assertFails("refused", () => session.removeObject(name));
    await assertFails("refused", () => session.request(name, bytes("")));
    await assertFails("refused", () => session.serve(name, () => bytes("")));
  }
  const longest = "x".repeat(200);
  assertGreater(await session.append(longest, bytes("")), 0);
  assertGreater(await session.put(longest, bytes("")) ?? 0, 0);
});

behaves("after close every call says that the session is closed, also those that waited", async (open) => {
  const session = await open(), other = await open();
  await other.serve("quiet", () => new Promise<Uint8Array>(() => {}));
  const waiting = [
    assertFails("closed", () => session.request("quiet", bytes("?"))),
    assertFails("closed", () => take(session, "none", 0, 1)),
    assertFails("closed", async () => {
      for await (const _ of session.watch("none"));
    }),
  ];
  await new Promise((resolve) => setTimeout(resolve, 100));
  await session.close();
  await Promise.all(waiting);
  await session.close();
  for (
    const act of [
      () => session.append("a", bytes("")),
      () => session.lastSequence("a"),
      () => session.purge("a", 1),
      () => session.get("a"),
      () => session.list("a"),
      () => session.put("a", bytes("")),
      () => session.remove("a"),
      () => session.putObject("a", bytes("")),
      () => session.getObject("a"),
      () => session.listObjects("a"),
      () => session.removeObject("a"),
      () => session.request("a", bytes("")),
      () => session.serve("a", () => bytes("")),
      () => session.facts(),
      () => take(session, "a", 0, 1),
    ]
  ) await assertFails("closed", act);
  assertGreater(await other.append("a", bytes("goes on")), 0);
});

behaves("a call ends with the reason of its signal", async (open) => {
  const session = await open(), reason = new Error("the caller's own");
  const aborted = AbortSignal.abort(reason);
  for (
    const act of [
      () => session.append("s", bytes(""), { signal: aborted }),
      () => session.get("s", { signal: aborted }),
      () => session.put("s", bytes(""), { signal: aborted }),
      () => session.getObject("s", { signal: aborted }),
      () => session.request("s", bytes(""), { signal: aborted }),
    ]
  ) assertEquals(await assertRejects(act, Error), reason);
  await using _served = await session.serve("s", () => new Promise<Uint8Array>(() => {}));
  const stop = new AbortController();
  const asked = assertRejects(() => session.request("s", bytes(""), { signal: stop.signal }), Error);
  setTimeout(() => stop.abort(reason), 50);
  assertEquals(await asked, reason);
});

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

async function shown(value: Promise<LogValue | null>): Promise<[string, string | null, number] | null> {
  const found = await value;
  return found && [found.key, textOf(found.value), found.revision];
}
