// Moves of all rows of a range in a cluster: the bits and answers are those of rows that were moved one by
// one, a move is made once for each name, and what fails half-way is finished by the same call.

import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertMatch,
  assertRejects,
  assertThrows,
} from "../../testing/assert.ts";
import { changedLog } from "../../testing/cluster/changed_log.ts";
import { assertNeighbours } from "../../testing/cluster/rounded_answers.ts";
import { looksAtPlaces, ONE_HEAD_RULES, PLAIN_RULE, ruleOptions } from "../../testing/cluster/ruled_model.ts";
import type { ModelRule } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { DynamicAttention, InputError } from "../../mod.ts";
import { decodeBatch, encodeBatch, hashOf, NO_HASH, type RowEdit } from "../../src/cluster/batch.ts";
import { toConfig } from "../../src/cluster/cluster_config.ts";
import { Damage } from "../../src/cluster/cluster_error.ts";
import { ExactSums, formsOf, stateColumns } from "../../src/cluster/exact_sums.ts";
import { ClusterError, connect, host, LogError, memoryLog } from "../../src/cluster/mod.ts";
import { Partition, type StandingQuery } from "../../src/cluster/partition.ts";
import type { NamedShift } from "../../src/cluster/position_shift.ts";
import { decodeSnapshot, emptyQueries, encodeSnapshot } from "../../src/cluster/snapshot.ts";

const PLACED = Object.entries(ONE_HEAD_RULES).filter(([, rule]) => looksAtPlaces(rule));

/** Applies edits to a partition, a batch at a time. */
class Writer {
  readonly partition: Partition;
  readonly bodies: Uint8Array<ArrayBuffer>[] = [];

  constructor(rule: ModelRule) {
    this.partition = new Partition(toConfig("test", { ...ruleOptions(rule), partitions: 1 }, "c").scoring);
  }

  apply(edits: readonly RowEdit[]): void {
    const number = this.bodies.length + 1,
      previous = number === 1 ? NO_HASH : hashOf(this.bodies[number - 2]);
    const body = encodeBatch({ kind: "keys", client: "c", number, known: 0, previous, edits }, true);
    this.bodies.push(body);
    this.partition.apply({ sequence: number, body });
  }
}

function stateOf(partition: Partition, id: string, query: StandingQuery, columns: number): Float64Array {
  const state = new Float64Array(columns);
  partition.update(id, query).write(state, 0);
  return state;
}

for (const [name, rule] of PLACED) {
  Deno.test(`cluster, moves of all rows with ${name}: sums have the bits of rows that move one by one`, () => {
    const config = toConfig("test", { ...ruleOptions(rule), partitions: 1 }, "c"), { scoring } = config;
    const columns = stateColumns(scoring.layout), of = { config, kind: "keys", partition: 0 } as const;
    for (let seed = 1; seed <= (IS_LONG ? 40 : 3); seed++) {
      const random = new Random(seed), moved = new Writer(rule), one = new Writer(rule);
      const query: StandingQuery = { row: random.row(3, 2), position: random.below(40), version: 1 };
      const places = new Map<string, number>();
      for (let step = 0; step < 30; step++) {
        const id = `k${random.below(15)}`, position = random.below(40), row = random.row(5);
        places.set(id, position);
        for (const writer of [moved, one]) writer.apply([{ id, row, position }]);
        if (random.next() < 0.4) stateOf(moved.partition, "q", query, columns);
        if (random.next() < 0.5) continue;
        const from = random.pick([-Infinity, random.below(40)]),
          to = random.pick([Infinity, random.below(50)]);
        const by = random.below(9) - 4, shift: NamedShift = { name: `s${step}`, by, from, to };
        moved.apply([{ id: "", row: null, shift }, { id: "", row: null, shift }]);
        one.apply(
          [...places].filter(([, at]) => from <= at && at < to).map(([id, at]) => {
            places.set(id, at + by);
            return { id, row: null, position: at + by };
          }),
        );
        const where = `seed ${seed}, step ${step}`;
        assertEquals(
          stateOf(moved.partition, "q", query, columns),
          stateOf(one.partition, "q", query, columns),
          where,
        );
        for (const [id, at] of places) assertEquals(moved.partition.copyRow(id)?.position, at, where);
        const fresh = new Writer(rule);
        moved.bodies.forEach((body, at) => fresh.partition.apply({ sequence: at + 1, body }));
        const bytes = encodeSnapshot(of, moved.partition), loaded = decodeSnapshot(of, bytes) as Partition;
        assertEquals(encodeSnapshot(of, fresh.partition), bytes, where);
        assertEquals(encodeSnapshot(of, loaded), bytes, where);
        assertEquals(
          stateOf(loaded, "q", query, columns),
          stateOf(moved.partition, "q", query, columns),
          where,
        );
        // A move that the snapshot has is not made again.
        const body = encodeBatch(
          {
            kind: "keys",
            client: "d",
            number: 1,
            known: 0,
            previous: NO_HASH,
            edits: [{ id: "", row: null, shift }],
          },
          true,
        );
        loaded.apply({ sequence: 1e6, body });
        for (const [id, at] of places) assertEquals(loaded.copyRow(id)?.position, at, where);
      }
    }
  });
}

Deno.test("cluster: a move of more keys than changes are kept of makes sums be built once", () => {
  const rule = ONE_HEAD_RULES.causal, writer = new Writer(rule), random = new Random(1), count = 5000;
  writer.apply(
    Array.from({ length: count }, (_, at) => ({ id: `k${at}`, row: random.row(5), position: at })),
  );
  const query: StandingQuery = { row: random.row(3), position: count, version: 1 },
    { build } = ExactSums.prototype;
  writer.partition.update("q", query);
  let builds = 0, changes = 0;
  const { change } = ExactSums.prototype;
  ExactSums.prototype.build = function (...args) {
    builds++;
    return build.apply(this, args);
  };
  ExactSums.prototype.change = function (...args) {
    changes++;
    return change.apply(this, args);
  };
  try {
    writer.apply([{ id: "", row: null, shift: { name: "s", by: 3, from: -Infinity, to: Infinity } }]);
    writer.partition.update("q", query);
    assertEquals([builds, changes], [1, 0]);
    assertEquals(writer.partition.drift("q", query, 1, new Float64Array(4), 0), false);
  } finally {
    Object.assign(ExactSums.prototype, { build, change });
  }
});

Deno.test("cluster: after moves of all rows answers are those of one engine", async () => {
  await Promise.all(PLACED.map(async ([name, rule]) => {
    const random = new Random(6),
      key = random.rows(12, 3),
      value = random.rows(12, 2),
      query = random.rows(3, 3);
    const log = memoryLog(),
      ids = query.map((_, at) => `q${at}`),
      { partitions: _, ...options } = {
        ...ruleOptions(rule),
        partitions: 3,
      };
    await using _host = await host(log);
    await using memory = await connect(log, { create: { ...options, partitions: 3 } });
    const places = key.map((_, at) => 5 + 2 * at), standing = [9, 20, 30];
    await memory.edit(
      key.map((row, at) => ({ kind: "set", id: `k${at}`, key: row, value: value[at], position: places[at] })),
    );
    for (const [at, row] of query.entries()) await memory.setQuery(ids[at], row, { position: standing[at] });
    const { dim: _d, valueDim: _v, ...rules } = options;
    await using live = await DynamicAttention.create({
      ...{ ...rules, query, key, value, keyPositions: places, queryPositions: standing, backend: "array" },
    });
    for (let round = 0; round < 6; round++) {
      const by = random.below(7) - 3, from = random.pick([-Infinity, 8]), to = random.pick([Infinity, 25]);
      live.shiftPositions(by, { from, to });
      await memory.read(ids);
      const after = await memory.shiftPositions(by, { from, to });
      assertEquals(Object.keys(after.partitions).length, 3);
      assertGreater(after.query, 0);
      const found = await memory.read(ids, { after }), expected = await live.read();
      // An engine may have moved the origin, so that its rows are turned by other angles, and rounded
      // otherwise.
      if (rule.rotary) expected.data.forEach((o, at) => assertAlmostEquals(o, found.output.data[at], 1e-6));
      else assertNeighbours(found.output.data, expected.data, `${name}, round ${round}`);
      assertEquals(await memory.getQueryPositions(ids), ids.map((_, at) => live.getQueryPosition(at)));
      const stored = await memory.getKeys(key.map((_, at) => `k${at}`));
      assertEquals(stored.map((row) => row?.position), key.map((_, at) => live.getPosition(at)));
      const stale = await memory.peek(ids, { maxAgeMs: 60_000 });
      assertEquals(stale.output.data, found.output.data, "rows from before the move are not given again");
    }
  }));
});

Deno.test("cluster: a move that only some partitions have is finished by the same call, and none moves twice", async () => {
  const kept = memoryLog();
  let refuses = true;
  const log = changedLog(kept, (session) => {
    const append = session.append.bind(session);
    session.append = (subject, body, options) => {
      if (refuses && subject !== "log.1") return Promise.reject(new LogError("append", "full", "no room"));
      return append(subject, body, options);
    };
  });
  await using _host = await host(kept);
  await using writer = await connect(kept, { create: { dim: 1, valueDim: 1, partitions: 3, causal: true } });
  await using memory = await connect(log);
  const ids = Array.from({ length: 9 }, (_, at) => `k${at}`);
  await writer.edit(ids.map((id, at) => ({ kind: "set", id, key: [1], value: [at], position: at })));
  await writer.setQuery("q", [1], { position: 4 });
  const move = () => memory.shiftPositions(10, { from: 2, name: "once" });
  assertEquals((await assertRejects(move, ClusterError)).fault, "unknown");
  const placesOf = async () => (await writer.getKeys(ids)).map((key) => key?.position ?? NaN);
  const half = await placesOf();
  assert(half.includes(12) || half.includes(13) || half.includes(14), `some have moved: ${half}`);
  assert(half.includes(2) || half.includes(3) || half.includes(4), `some have not: ${half}`);
  refuses = false;
  const after = await move();
  assertEquals(
    (await writer.getKeys(ids, { after })).map((key) => key?.position),
    ids.map((_, at) => at < 2 ? at : at + 10),
  );
  assertEquals(await writer.getQueryPositions(["q"], { after }), [14]);
  await writer.shiftPositions(10, { from: 2, name: "once" });
  assertEquals(await placesOf(), ids.map((_, at) => at < 2 ? at : at + 10));
  await writer.shiftPositions(-10, { from: 12 });
  await writer.shiftPositions(0);
  assertEquals(await placesOf(), ids.map((_, at) => at));
});

Deno.test("cluster: rows stay within the positions that a rule takes", async () => {
  const log = memoryLog(), plainLog = memoryLog(), shape = { dim: 1, valueDim: 1, partitions: 1 };
  await using _host = await host(log);
  await using _plainHost = await host(plainLog);
  await using memory = await connect(log, { create: { ...shape, alibi: true } });
  await using causal = await connect(plainLog, { create: { ...shape, causal: true } });
  const put = { kind: "set", id: "a", key: [1], value: [1] } as const;
  await memory.edit([{ ...put, position: 2 ** 46 - 1 }, { ...put, id: "b", position: -3 }]);
  await memory.shiftPositions(2 ** 45);
  assertEquals((await memory.getKeys(["a", "b"])).map((key) => key?.position), [2 ** 46, 2 ** 45 - 3]);
  await causal.edit([{ ...put, position: 1e308 }, { ...put, id: "b", position: -1e308 }, {
    ...put,
    id: "c",
    position: 1,
  }]);
  await causal.shiftPositions(1.5e308);
  await causal.shiftPositions(-1, { from: -1, to: 1.5e308 });
  assertEquals((await causal.getKeys(["a", "b", "c"])).map((key) => key?.position), [
    ...[Number.MAX_VALUE, 5e307, 1.5e308],
  ]);
});

Deno.test("cluster: moves of no number, and where no rule looks at positions, are refused", async () => {
  const shape = { dim: 1, valueDim: 1, partitions: 2 }, log = memoryLog(), plainLog = memoryLog();
  await using memory = await connect(log, {
    create: { ...shape, distanceBias: { from: -1, values: [0, 1] } },
  });
  await using plain = await connect(plainLog, { create: shape });
  const refused: readonly [number, object, RegExp][] = [
    [NaN, {}, /shiftPositions: by is NaN, expected a finite number/],
    [Infinity, {}, /by is Infinity/],
    ["1" as never, {}, /by is "1"/],
    [0.5, {}, /by is 0\.5, expected a whole number within ±2\^46/],
    [2 ** 47, {}, /by is 140737488355328/],
    [1, { from: NaN }, /from is NaN, expected a number/],
    [1, { to: "9" }, /to is "9"/],
    [1, { until: 9 }, /option "until" is unknown/],
    [1, { name: "" }, /name is ""/],
    [1, { name: 3 }, /name is 3/],
    [1, { timeoutMs: -1 }, /timeoutMs is -1/],
    [1, null as never, /options are null/],
  ];
  for (const [by, options, words] of refused) {
    assertMatch((await assertRejects(() => memory.shiftPositions(by, options), InputError)).message, words);
  }
  const none = await assertRejects(() => plain.shiftPositions(1), InputError);
  assertMatch(none.message, /by is 1, expected none, as no rule looks at positions/);
  for (const one of [log, plainLog]) assertEquals((await (await one.open("client")).facts()).records, 0);
});

Deno.test("cluster: records of moves are read as written, others are damage, and old snapshots are read still", () => {
  const config = toConfig("test", { ...ruleOptions(ONE_HEAD_RULES.causal), partitions: 1 }, "c"),
    { scoring } = config;
  const head = { kind: "keys", client: "c", number: 1, known: 0, previous: NO_HASH } as const;
  const read = (shift: NamedShift, forms = formsOf(scoring)) => {
    const edits = [{ id: "", row: null, shift }], isPlaced = forms.places !== null;
    return decodeBatch(encodeBatch({ ...head, edits }, isPlaced), "keys", 5, forms).edits[0].shift;
  };
  const shift = { name: "ä", by: -2.5, from: -Infinity, to: 7 };
  assertEquals(read(shift), shift);
  for (const bad of [{ by: NaN }, { by: Infinity }, { from: NaN }, { to: NaN }, { name: "" }]) {
    assertThrows(() => read({ ...shift, ...bad }), Damage);
  }
  const plain = toConfig("test", { ...ruleOptions(PLAIN_RULE), partitions: 1 }, "c");
  assertThrows(() => read(shift, formsOf(plain.scoring)), Damage, "kind 7");
  const table = toConfig("test", {
    ...ruleOptions(ONE_HEAD_RULES["a table before the softcap"]),
    partitions: 1,
  }, "c");
  assertThrows(() => read(shift, formsOf(table.scoring)), Damage, "whole number");
  // A subject that has moved nothing is written as before.
  const versionOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(20, true);
  for (const kind of ["keys", "queries"] as const) {
    const of = { config, kind, partition: 0 },
      state = kind === "keys" ? new Partition(scoring) : emptyQueries(config);
    assertEquals(versionOf(encodeSnapshot(of, state)), 2);
    state.apply({
      sequence: 1,
      body: encodeBatch({ ...head, kind, edits: [{ id: "", row: null, shift }] }, true),
    });
    const bytes = encodeSnapshot(of, state);
    assertEquals(versionOf(bytes), 3);
    assertEquals(encodeSnapshot(of, decodeSnapshot(of, bytes)), bytes);
  }
});

Deno.test("cluster: a subject remembers the newest 256 moves", () => {
  const writer = new Writer(ONE_HEAD_RULES.causal);
  const shift = (at: number): RowEdit => {
    return { id: "", row: null, shift: { name: `s${at}`, by: 1, from: -Infinity, to: Infinity } };
  };
  writer.apply([{ id: "k", row: new Float32Array(5), position: 0 }]);
  for (let at = 0; at < 257; at++) writer.apply([shift(at)]);
  writer.apply([shift(256), shift(1)]);
  assertEquals(writer.partition.copyRow("k")?.position, 257);
  writer.apply([shift(0)]);
  assertEquals(writer.partition.copyRow("k")?.position, 258);
});
