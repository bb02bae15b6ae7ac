// What is damaged in a log or a snapshot gives a typed error or the right answer, never another thing; and a
// host that comes late is not misled by what was purged.

import { assert, assertEquals, assertRejects } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";
import { CALM, SimWorld, type Weather } from "../../testing/cluster/sim_world.ts";
import { startHost } from "../../src/cluster/host.ts";
import { connectWith } from "../../src/cluster/connect.ts";
import {
  ClusterError,
  type ClusterHost,
  type ClusterMemory,
  connect,
  host,
  type LogRecord,
  memoryLog,
} from "../../src/cluster/mod.ts";
import { decodeBatch, encodeBatch, NO_HASH } from "../../src/cluster/batch.ts";
import { Partition } from "../../src/cluster/partition.ts";
import { QueryTable } from "../../src/cluster/query_table.ts";
import { keySubject, toConfig } from "../../src/cluster/cluster_config.ts";
import { writeMark } from "../../src/cluster/pointers.ts";

/** A cluster of one partition with a client, in simulated time. */
class Place {
  readonly world: SimWorld;
  readonly hosts: {
    readonly host: ClusterHost;
    kill(): void;
    freeze(ms: number): void;
    alone(ms: number): void;
  }[] = [];
  memory!: ClusterMemory;
  readonly #random: Random;

  constructor(seed: number) {
    this.world = new SimWorld(seed);
    this.#random = new Random(seed);
  }

  static async make(seed: number, snapshotBytes = 1e9): Promise<Place> {
    const place = new Place(seed);
    await place.startHost(snapshotBytes);
    await place.connect();
    await place.until(place.memory.setQuery("q", [1, 0]));
    return place;
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.world.time.until(promise, 200_000);
  }

  pass(ms: number): Promise<void> {
    return this.world.time.runTo(this.world.time.now + ms);
  }

  async startHost(snapshotBytes = 1e9): Promise<void> {
    const node = this.world.node("host"),
      seams = { clock: this.world.clockOf(node), newName: this.world.newName };
    const host = await startHost(this.world.logOf(node), { snapshotBytes }, seams);
    this.hosts.push({
      host,
      kill: () => node.isDead = true,
      freeze: (ms) => node.frozenUntil = this.world.time.now + ms,
      alone: (ms) => node.aloneUntil = this.world.time.now + ms,
    });
  }

  async connect(): Promise<void> {
    const node = this.world.node("client"),
      seams = { clock: this.world.clockOf(node), newName: this.world.newName };
    const create = { dim: 2, valueDim: 1, partitions: 1, replicas: 2 };
    this.memory = await this.until(connectWith(this.world.logOf(node), { create }, seams));
  }

  killAll(): void {
    for (const { kill } of this.hosts.splice(0)) kill();
  }

  async write(count: number): Promise<void> {
    for (let at = 0; at < count; at++) {
      const id = `k${this.#random.below(12)}`, key = this.#random.row(2), value = this.#random.row(1);
      await this.until(this.memory.edit([{ kind: "set", id, key, value }]));
    }
  }

  async read(): Promise<number> {
    return (await this.until(this.memory.read(["q"], { timeoutMs: 20_000 }))).output.data[0];
  }

  /** The error of a read, which must fail. */
  async failure(): Promise<ClusterError> {
    return await assertRejects(() => this.read(), ClusterError);
  }

  /** The records of the partition, as the log keeps them: what is written to them is written to the log. */
  async records(): Promise<LogRecord[]> {
    const session = await this.world.kept.open("host"), end = new AbortController();
    for await (const records of session.follow(keySubject(0), 0, { signal: end.signal })) return records;
    return [];
  }

  async purge(below: number): Promise<void> {
    await (await this.world.kept.open("host")).purge(keySubject(0), below);
  }

  /** Alters the objects that begin with a prefix. */
  async alterObjects(): Promise<number> {
    const session = await this.world.kept.open("host"), names = await session.listObjects("snap.log.");
    for (const name of names) {
      const bytes = await session.getObject(name);
      await session.removeObject(name);
      if (!bytes) continue;
      bytes[bytes.length >> 1] ^= 4;
      await session.putObject(name, bytes);
    }
    return names.length;
  }
}

Deno.test("cluster: any flipped bit of any record is noticed by a host that reads it", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const place = await Place.make(seed), random = new Random(seed);
    await place.write(6);
    place.killAll();
    const records = await place.records(), { body } = records[random.below(records.length)];
    body[random.below(body.length)] ^= 1 << random.below(8);
    await place.startHost();
    const error = await place.failure();
    assertEquals([error.fault, error.partitions], ["damaged", [0]], error.message);
  }
});

Deno.test("cluster: a record that is gone is noticed, wherever it was, once it was known", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const place = await Place.make(seed), random = new Random(seed);
    await place.write(5);
    // Another writer, so that numbers of one writer alone do not tell.
    await place.connect();
    await place.pass(4000);
    await place.write(3);
    await place.pass(4000);
    place.killAll();
    const records = await place.records(), first = random.below(records.length);
    const kept = records.map(({ body }) => body.slice());
    // The log gives what is behind the gap, as a server does that has lost a part of its file.
    await place.purge(records[first].sequence + 1);
    const session = await place.world.kept.open("client");
    if (first > 0) { for (const body of kept.slice(0, first)) await session.append(keySubject(0), body); }
    await place.startHost();
    const error = await place.failure();
    assertEquals(error.fault, "damaged", error.message);
  }
});

Deno.test("cluster: a purged log is an error for a host that comes late, and none for one that has read it", async () => {
  const place = await Place.make(1);
  await place.write(10);
  await place.pass(5000);
  const before = await place.read();
  const [{ sequence }] = (await place.records()).slice(-1);
  await place.purge(sequence + 1);
  assertEquals(await place.read(), before);
  await place.write(1);
  const after = await place.read();
  await place.startHost();
  await place.pass(10_000);
  assertEquals(await place.read(), after);
  place.killAll();
  await place.startHost();
  assertEquals((await place.failure()).fault, "damaged");
});

Deno.test("cluster: a token of a record that the log does not have is refused when the time is over", async () => {
  const place = await Place.make(2);
  await place.write(4);
  const [{ sequence }] = (await place.records()).slice(-1),
    after = { partitions: { 0: sequence + 5 }, query: 0 };
  const error = await assertRejects(
    () => place.until(place.memory.read(["q"], { after, timeoutMs: 2000 })),
    ClusterError,
  );
  assertEquals([error.fault, error.partitions], ["missing", [0]]);
});

Deno.test("cluster: snapshots let a host begin behind purged records, with the same bits", async () => {
  const place = await Place.make(3, 200);
  for (let round = 0; round < 12; round++) {
    await place.write(6);
    await place.pass(8000);
  }
  const [{ host }] = place.hosts;
  assert(host.status().snapshots > 3);
  const records = await place.records();
  assert(records.length < 60, `${records.length} records are kept`);
  const before = await place.read();
  place.killAll();
  await place.startHost(200);
  assertEquals(await place.read(), before);
});

Deno.test("cluster: an altered snapshot is not used; where records are whole they serve, where they are not it is an error", async () => {
  for (const isPurged of [false, true]) {
    const place = await Place.make(4, isPurged ? 200 : 1000);
    for (let round = 0; round < (isPurged ? 12 : 3); round++) {
      await place.write(6);
      await place.pass(8000);
    }
    const before = await place.read();
    place.killAll();
    assert(await place.alterObjects() > 0);
    await place.startHost();
    if (isPurged) assertEquals((await place.failure()).fault, "damaged");
    else assertEquals(await place.read(), before);
  }
});

Deno.test("cluster: a host that was frozen while records were purged has them all the same", async () => {
  const place = await Place.make(5, 200);
  await place.startHost(200);
  await place.write(5);
  await place.pass(5000);
  // Each of the two in turn, so that the one that answers alone afterwards was frozen.
  for (const frozen of [0, 1]) {
    place.hosts[frozen].freeze(100_000);
    for (let round = 0; round < 10; round++) {
      // Writers that come anew, whose numbers tell nothing of what was there before.
      await place.connect();
      await place.write(4);
      await place.pass(8000);
    }
    await place.pass(40_000);
  }
  const before = await place.read(), [first, second] = place.hosts;
  assert(first.host.status().snapshots + second.host.status().snapshots > 5);
  for (const { host } of [first, second]) {
    assertEquals(host.status().partitions.map(({ phase, keys }) => [phase, keys]), [["ready", 12]]);
  }
  first.kill();
  await place.pass(5000);
  assertEquals(await place.read(), before);
});

Deno.test("cluster: a log that ends before what is known to have been reached is an error", async () => {
  const place = await Place.make(6);
  await place.write(3);
  await place.pass(5000);
  place.killAll();
  const session = await place.world.kept.open("host"), key = "mark.log.0", mark = await session.get(key);
  const { sequence, chain } = JSON.parse(new TextDecoder().decode(mark?.value ?? new Uint8Array()));
  // As if the log had lost its end, and the mark had not.
  await session.put(key, new TextEncoder().encode(JSON.stringify({ sequence: sequence + 1, chain })));
  await place.startHost();
  assertEquals((await place.failure()).fault, "damaged");
});

Deno.test("cluster: a host that was frozen over a purge does not take a record that tells nothing of what is gone", async () => {
  const place = await Place.make(7, 200);
  await place.startHost(200);
  await place.write(5);
  await place.pass(5000);
  const [first] = place.hosts, session = await place.world.kept.open("client");
  first.freeze(100_000);
  for (let round = 0; round < 10; round++) {
    await place.write(6);
    await place.pass(8000);
  }
  const [{ sequence: oldest }] = await place.records();
  assert(oldest > (first.host.status().partitions[0]?.sequence ?? 0) + 1, "records that it lacks are purged");
  // Of a client that nobody knows, and that knows nothing.
  const edits = [{ id: "last", row: Float32Array.of(1, 1, 50) }];
  const body = encodeBatch({ kind: "keys", client: "z", number: 1, known: 0, previous: NO_HASH, edits });
  await session.append(keySubject(0), body);
  await place.pass(60_000);
  const [one, other] = place.hosts.map(({ host }) => host.status().partitions[0]);
  assertEquals([one.phase, one.sequence, one.keys], [other.phase, other.sequence, other.keys]);
  const before = await place.read();
  place.hosts[1].kill();
  await place.pass(5000);
  assertEquals(await place.read(), before);
});

/**
 * Lets one host of several, by the order in which they apply a record, apply another one than the log gave
 * it, once.
 */
async function withWrongRecord(
  prototype: { apply(record: LogRecord): unknown },
  wrong: number,
  other: Uint8Array<ArrayBuffer>,
  act: () => Promise<void>,
): Promise<void> {
  const apply = prototype.apply as (this: object, record: LogRecord) => never, seen: object[] = [];
  let left = 1;
  prototype.apply = function (record) {
    if (!seen.includes(this)) seen.push(this);
    const isWrong = left > 0 && seen.indexOf(this) === wrong;
    if (isWrong) left--;
    return apply.call(this, isWrong ? { ...record, body: other } : record);
  };
  try {
    await act();
    assertEquals(left, 0);
  } finally {
    prototype.apply = apply;
  }
}

const WEATHERS: readonly Weather[] = [CALM, ...[30, 300, 900].map((delay) => ({ ...CALM, delay }))];

Deno.test("cluster: replicas that differ both begin anew, whichever is wrong and however late heartbeats come", async () => {
  const edits = [{ id: "k1", row: Float32Array.of(9, 9, 999) }];
  const body = encodeBatch({ kind: "keys", client: "x", number: 1, known: 0, previous: NO_HASH, edits });
  for (const [at, weather] of WEATHERS.entries()) {
    for (const wrong of [0, 1]) {
      const place = await Place.make(8 + 2 * at + wrong);
      await place.startHost();
      await place.write(5);
      await place.pass(5000);
      await withWrongRecord(Partition.prototype, wrong, body, async () => {
        await place.until(place.memory.edit([{ kind: "set", id: "far", key: [0, -1e3], value: [0] }]));
        await place.pass(1000);
      });
      place.world.weather = weather;
      await place.pass(15_000);
      place.world.weather = CALM;
      await place.pass(5000);
      const statuses = place.hosts.map(({ host }) => host.status().partitions[0]);
      const name = `delay ${weather.delay}, wrong ${wrong}`;
      assertEquals(statuses.map(({ phase }) => phase), ["ready", "ready"], name);
      for (const lonely of [0, 1]) {
        const kept = place.hosts[lonely].host.status().partitions[0];
        assertEquals(kept.keys, new Set((await place.records()).flatMap(idsOf)).size, name);
      }
      place.hosts[1 - wrong].kill();
      await place.pass(5000);
      const row = (await place.until(place.memory.getKeys(["k1"])))[0];
      assert(row?.value[0] !== 999, name);
    }
  }
});

Deno.test("cluster: hosts whose standing queries differ both begin anew", async () => {
  const edits = [{ id: "q", row: Float32Array.of(-5, 5) }];
  const body = encodeBatch({ kind: "queries", client: "x", number: 1, known: 0, previous: NO_HASH, edits });
  for (const [at, weather] of WEATHERS.entries()) {
    for (const wrong of [0, 1]) {
      const place = await Place.make(30 + 2 * at + wrong);
      await place.startHost();
      await place.write(8);
      await place.pass(5000);
      await withWrongRecord(QueryTable.prototype, wrong, body, async () => {
        await place.until(place.memory.setQuery("q", [3, 0]));
        await place.pass(100);
      });
      place.world.weather = weather;
      await place.pass(15_000);
      place.world.weather = CALM;
      await place.pass(5000);
      const answers: number[] = [];
      for (const gone of [0, 1]) {
        const [{ alone }] = place.hosts.slice(gone, gone + 1);
        alone(60_000);
        answers.push(await place.read());
        await place.pass(60_000);
      }
      const expected = (await place.until(place.memory.attend([[3, 0]]))).output.data[0];
      assertEquals(answers, [expected, expected], `delay ${weather.delay}, wrong ${wrong}`);
    }
  }
});

Deno.test("cluster: a host begins by its folder, by the log's snapshot or by the records, whichever is right", async () => {
  const edits = [{ id: "b", row: Float32Array.of(9, 9, 999) }];
  const body = encodeBatch({ kind: "keys", client: "x", number: 1, known: 0, previous: NO_HASH, edits });
  const create = { dim: 2, valueDim: 1, partitions: 1 };
  for (const snapshotBytes of [1, 1e9]) {
    const folder = await Deno.makeTempDir(), log = memoryLog();
    await using memory = await connect(log, { create });
    await memory.edit([{ kind: "set", id: "a", key: [0, 0], value: [1] }]);
    await memory.setQuery("q", [0, 0]);
    // A host whose memory is wrong keeps that in its folder, and with few bytes for a snapshot in the log.
    await withWrongRecord(Partition.prototype, 0, body, async () => {
      await using one = await host(log, { folder, snapshotBytes });
      assertEquals([...(await memory.read(["q"])).output.data], [999]);
      while (snapshotBytes === 1 && one.status().snapshots === 0) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
    // As if another host, which was right, had left a mark.
    const right = new Partition(toConfig("test", create, "c").scoring), session = await log.open("host");
    for await (const records of session.follow(keySubject(0), 0)) {
      records.forEach((record) => right.apply(record));
      break;
    }
    await writeMark(session, keySubject(0), right.ledger);
    await using one = await host(log, { folder });
    // Another client, since that one knows of other records.
    await using reader = await connect(log, { timeoutMs: 20_000 });
    assertEquals([...(await reader.read(["q"])).output.data], [1]);
    assertEquals(one.status().partitions.map(({ phase }) => phase), ["ready"]);
    await session.close();
    await Deno.remove(folder, { recursive: true });
  }
});

function idsOf({ body }: LogRecord): string[] {
  return decodeBatch(body, "keys", 3).edits.map(({ id }) => id);
}

Deno.test("cluster: a host of many partitions stays alive while the log is slow to say how far it reaches", async () => {
  const inner = memoryLog();
  let isSlow = false;
  const log: typeof inner = {
    ...inner,
    open: async (role) => {
      const session = await inner.open(role), { lastSequence } = session;
      session.lastSequence = async (...args) => {
        if (isSlow) await new Promise((resolve) => setTimeout(resolve, 1500));
        return await lastSequence.apply(session, args);
      };
      return session;
    },
  };
  await using _host = await host(log);
  await using memory = await connect(inner, { create: { dim: 1, valueDim: 1, partitions: 8 } });
  await memory.setQuery("q", [1]);
  await memory.read(["q"]);
  isSlow = true;
  for (let at = 0; at < 25; at++) {
    assertEquals(memory.status().hosts.length, 1, `after ${at * 200} ms`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
});
