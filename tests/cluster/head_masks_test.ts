// Masks of pairs in a cluster that differ by head, blocks of masks, and the mask with which a cluster is
// made: sums have the same bits whatever happened before, and answers are those of the oracle and of one
// engine.

import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertMatch,
  assertRejects,
  assertThrows,
} from "../../testing/assert.ts";
import {
  ruledCase,
  type RuledRow,
  ruleOptions,
  RULES,
  SaidMasks,
} from "../../testing/cluster/ruled_model.ts";
import { assertNeighbours } from "../../testing/cluster/rounded_answers.ts";
import type { ModelRule } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { DynamicAttention, InputError } from "../../mod.ts";
import { decodeBatch, encodeBatch, hashOf, NO_HASH, type RowEdit } from "../../src/cluster/batch.ts";
import { toConfig } from "../../src/cluster/cluster_config.ts";
import { Damage } from "../../src/cluster/cluster_error.ts";
import { formsOf, stateColumns } from "../../src/cluster/exact_sums.ts";
import { mergePartitions } from "../../src/cluster/merge.ts";
import {
  type ClusterEdit,
  ClusterError,
  ClusterLearner,
  connect,
  host,
  memoryLog,
  type NamedMask,
} from "../../src/cluster/mod.ts";
import { Partition, type StandingQuery } from "../../src/cluster/partition.ts";
import { decodeSnapshot, encodeSnapshot } from "../../src/cluster/snapshot.ts";
import { OnlineLearner } from "../../src/learning/mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";

const ENTRIES = [-Infinity, -Infinity, 0, 0.5, -1.25];
const QUERY_IDS = ["p", "q"];

/** The mask that some of the clusters are made with. */
function firstMask(rule: ModelRule, random: Random): NamedMask {
  const keys = ["k0", "k3", "k5"];
  const entries = Array.from(
    { length: rule.heads },
    () => QUERY_IDS.map(() => keys.map(() => random.pick(ENTRIES))),
  );
  return { queries: QUERY_IDS, keys, entries };
}

for (const name of ["heads that differ", "heads with tables and blocks"]) {
  for (const isGiven of [false, true]) {
    const of = isGiven ? `${name}, made with a mask` : name;
    Deno.test(`cluster, masks by head with ${of}: sums have the same bits patched, rebuilt and from a snapshot, and are right`, () => {
      for (let seed = 1; seed <= (IS_LONG ? 60 : 3); seed++) runHeads(RULES[name], seed, isGiven);
    });
  }
}

function runHeads(rule: ModelRule, seed: number, isGiven: boolean): void {
  const random = new Random(seed), mask = isGiven ? firstMask(rule, random) : undefined;
  const config = toConfig("test", {
    ...{ ...ruleOptions(rule), partitions: 1, editableMask: "heads" },
    ...(mask === undefined ? {} : { mask }),
  }, "c");
  const { scoring } = config, { heads } = scoring.layout, columns = stateColumns(scoring.layout);
  const snapshotOf = { config, kind: "keys", partition: 0 } as const, bodies: Uint8Array<ArrayBuffer>[] = [];
  assertEquals(scoring.maskHeads, heads);
  const patched = new Partition(scoring), live = new Map<string, RuledRow>(), said = new SaidMasks(mask);
  const queries = QUERY_IDS.map((id): StandingQuery & { id: string } => {
    return { id, row: random.row(heads * rule.headDim, 2), position: random.below(40), version: 1 };
  });
  for (let step = 0; step < 40; step++) {
    const edits = Array.from({ length: 1 + random.below(4) }, () => randomEdit(random, rule, live, said));
    const number = bodies.length + 1, previous = number === 1 ? NO_HASH : hashOf(bodies[number - 2]);
    bodies.push(encodeBatch({ kind: "keys", client: "c", number, known: 0, previous, edits }, true));
    patched.apply({ sequence: number, body: bodies[number - 1] });
    if (random.next() < 0.5) patched.update("p", queries[0]);
    if (random.next() < 0.6) continue;
    const fresh = new Partition(scoring), where = `seed ${seed}, step ${step}`;
    bodies.forEach((body, at) => fresh.apply({ sequence: at + 1, body }));
    const bytes = encodeSnapshot(snapshotOf, patched);
    const loaded = decodeSnapshot(snapshotOf, bytes) as Partition;
    assertEquals(encodeSnapshot(snapshotOf, fresh), bytes, where);
    assertEquals(encodeSnapshot(snapshotOf, loaded), bytes, where);
    for (const query of queries) {
      const state = stateOf(patched, query, columns);
      assertEquals(stateOf(fresh, query, columns), state, where);
      assertEquals(stateOf(loaded, query, columns), state, where);
      const { keyCount: keys, keyNorm, valueNorm } = patched;
      const merged = mergePartitions(scoring, 1, [{ states: state, keys, keyNorm, valueNorm }]);
      const { output: [o], logSumExp: [sums], weights: [weights] } = referenceAttention(
        ruledCase(rule, live.values(), [query]),
      );
      const rounding = rule.rotary ? 1e-5 : 1e-12;
      const error = Math.hypot(...o.map((x, c) => x - merged.output[c]));
      assertLessOrEqual(error, merged.bounds[0] + rounding, where);
      sums.forEach((L, head) => {
        if (L !== merged.logSumExp[head]) {
          assertAlmostEquals(L, merged.logSumExp[head], rounding + 1e-10, where);
        }
        const heavy = patched.heaviest(query.id, patched.update(query.id, query), head, 99).keys;
        assertEquals(heavy.length, weights[head].filter((weight) => weight > 0).length, where);
      });
    }
  }
}

function stateOf(partition: Partition, query: StandingQuery & { id: string }, columns: number): Float64Array {
  const sums = partition.update(query.id, query), state = new Float64Array(columns + 2);
  state[1] = sums.norm;
  sums.write(state, 2);
  return state;
}

/** An edit that the model makes, too. */
function randomEdit(random: Random, rule: ModelRule, live: Map<string, RuledRow>, said: SaidMasks): RowEdit {
  const id = `k${random.below(9)}`, had = live.get(id), kind = random.next(), position = random.below(40);
  if (kind < 0.5) {
    const key = random.next() < 0.3 ? "" : id, count = key === "" ? 1 + random.below(2) : random.below(3);
    const ofHead = random.next() < 0.6 ? { head: random.below(rule.heads) } : {};
    const isBlock = key !== "" && count > 0 && random.next() < 0.5, bias = isBlock ? 0 : random.pick(ENTRIES);
    const block = isBlock ? { biases: Array.from({ length: count }, () => random.pick(ENTRIES)) } : {};
    const mask = { queries: QUERY_IDS.slice(0, count), bias, ...block, ...ofHead };
    if (key === "" || had) said.say(key, mask);
    return { id: key, row: null, mask };
  }
  if (kind < 0.65) {
    live.delete(id);
    return { id, row: null };
  }
  if (kind < 0.75) {
    if (had) live.set(id, { ...had, position });
    return { id, row: null, position };
  }
  const row = random.row(rule.kvHeads * (rule.headDim + rule.valueDim));
  if (!had) said.bear(id);
  live.set(id, { row, position, biasOf: (query, head) => said.bias(query, id, head) });
  return { id, row, position };
}

const KEYS = 11, QUERIES = 4, HEADS = 3;
const KEY_IDS = Array.from({ length: KEYS }, (_, at) => `k${at}`),
  IDS = Array.from({ length: QUERIES }, (_, at) => `q${at}`);

Deno.test("cluster: blocks of masks by head, matrices and functions change it as one engine is changed", async () => {
  const random = new Random(4), key = random.rows(KEYS, HEADS * 2), value = random.rows(KEYS, HEADS * 2);
  const log = memoryLog(), query = random.rows(QUERIES, HEADS * 2), options = { heads: HEADS, softcap: 3 };
  const first = Array.from({ length: HEADS }, () => random.rows(QUERIES, KEYS).map((row) => Array.from(row)));
  await using _host = await host(log);
  await using memory = await connect(log, {
    create: {
      ...{ dim: 2, valueDim: 2, partitions: 3, editableMask: true, ...options },
      mask: { queries: IDS, keys: KEY_IDS, entries: first },
    },
  });
  assertEquals(memory.shape.editableMask, "heads");
  assertEquals(
    (memory.shape.mask?.entries as unknown as { data: Float32Array }[]).map(({ data }) => Array.from(data)),
    first.map((rows) => rows.flat()),
  );
  await memory.edit(key.map((row, at) => ({ kind: "set", id: KEY_IDS[at], key: row, value: value[at] })));
  for (const [at, row] of query.entries()) await memory.setQuery(IDS[at], row);
  await using live = await DynamicAttention.create({
    ...{ query, key, value, ...options, mask: first, editableMask: true, backend: "array" },
  });
  let certified = 0;
  for (let round = 0; round < (IS_LONG ? 150 : 20); round++) {
    const edits = Array.from({ length: 1 + random.below(3) }, (): ClusterEdit => {
      const some = (
        count: number,
      ) => [...new Set(Array.from({ length: 1 + random.below(4) }, () => random.below(count)))];
      const keys = some(KEYS), queries = some(QUERIES), head = random.below(HEADS);
      const ofHead = random.next() < 0.6 ? { head } : {},
        entry = () => random.pick<number | boolean>([true, false, 0.1, -2.5]);
      const ids = { keys: keys.map((slot) => KEY_IDS[slot]), queries: queries.map((slot) => IDS[slot]) };
      if (random.next() < 0.3) {
        const one = entry();
        live.setMask(one, { keys, queries, ...ofHead });
        return { kind: "setMask", entry: one, ...ids, ...ofHead };
      }
      const rows = queries.map(() => keys.map(() => entry()));
      const data = Float32Array.from(
        rows.flat(),
        (one) => one === true ? 0 : one === false ? -Infinity : one,
      );
      live.setMask(rows, { keys, queries, ...ofHead });
      const bytes = rows.flat().every((one) => typeof one === "boolean")
        ? [{ data: Uint8Array.from(rows.flat(), Number), shape: [queries.length, keys.length] as const }]
        : [];
      const entries = random.pick<NamedMask["entries"]>([
        ...[rows, { data, shape: [queries.length, keys.length] as const }, [rows], ...bytes],
        (query: string, key: string) => rows[ids.queries.indexOf(query)][ids.keys.indexOf(key)],
        ...("head" in ofHead ? [] : [Array.from({ length: HEADS }, () => rows)]),
      ]);
      return { kind: "setMask", entries, ...ids, ...ofHead };
    });
    await memory.edit(edits);
    // A row that is given again is within its bound.
    await memory.logSumExp(IDS);
    const reads = memory.status().reads, stale = await memory.peek(IDS, { maxError: 10 });
    if (memory.status().reads === reads) certified++;
    const expected = await live.read(), found = await memory.read(IDS);
    for (let at = 0; at < QUERIES; at++) {
      const row = expected.data.subarray(6 * at, 6 * at + 6);
      const distance = Math.hypot(...row.map((o, c) => o - stale.output.data[6 * at + c]));
      assertLessOrEqual(distance, stale.bounds[at] + 2 ** -23 * Math.hypot(...row), `round ${round}`);
    }
    assertNeighbours(found.output.data, expected.data, `round ${round}`);
    const sums = await memory.logSumExp(IDS), theirs = await live.logSumExp();
    theirs.data.forEach((L, at) => L === sums[at] || assertAlmostEquals(L, sums[at], 1e-5));
  }
  assertGreater(certified, 0);
  const masked = await memory.attend(query, { maskOf: "q1" }), standing = await memory.read(["q1"]);
  assertEquals(masked.output.data.subarray(6, 12), standing.output.data);
});

Deno.test("cluster learner: under masks by head its steps are those of the learner on one engine", async () => {
  const random = new Random(8), key = random.rows(KEYS, 3), value = random.rows(KEYS, 2), log = memoryLog();
  const options = { heads: 2, kvHeads: 1, softcap: 2, biasBeforeSoftcap: true }, query = [random.row(6)];
  const matrices = Array.from(
    { length: 2 },
    () => [Array.from({ length: KEYS }, () => random.pick(ENTRIES))],
  );
  await using _host = await host(log);
  const mask = { queries: ["q"], keys: KEY_IDS, entries: matrices };
  await using memory = await connect(log, {
    create: { dim: 3, valueDim: 2, partitions: 2, ...options, mask },
  });
  await memory.edit(key.map((row, at) => ({ kind: "set", id: KEY_IDS[at], key: row, value: value[at] })));
  await memory.setQuery("q", query[0]);
  await using live = await DynamicAttention.create({
    ...{ query, key, value, mask: matrices, backend: "array", ...options },
  });
  const one = new OnlineLearner(live, { rate: 0.1 }),
    many = new ClusterLearner(memory, { rate: 0.1, top: KEYS });
  for (let step = 0; step < 6; step++) {
    const y = [...random.row(4)], expected = await one.learnOne({ query: 0 }, y);
    const found = await many.learnOne({ query: "q" }, y);
    found.prediction.forEach((number, at) => assertAlmostEquals(number, expected.prediction[at], 1e-5));
  }
  const stored = await memory.getKeys(KEY_IDS);
  stored.forEach((row, at) =>
    live.getKey(at).forEach((x, c) => assertAlmostEquals(x, row?.key[c] ?? NaN, 1e-4))
  );
});

Deno.test("cluster: a function says something of the pairs that are named, by head, and is asked once about each", async () => {
  const log = memoryLog(), asked: string[] = [];
  await using _host = await host(log);
  const shape = { dim: 1, valueDim: 1, heads: 2, partitions: 2, editableMask: "heads" } as const;
  const entries = (query: string, key: string, head: number) => {
    asked.push(`${query} ${key} ${head}`);
    return query === key || head === 1;
  };
  await using memory = await connect(log, {
    create: { ...shape, mask: { queries: ["a"], keys: ["a", "b"], entries } },
  });
  assertEquals(asked, ["a a 0", "a b 0", "a a 1", "a b 1"]);
  await memory.setQuery("a", [0, 0]);
  await memory.setQuery("b", [0, 0]);
  await memory.edit(["a", "b"].map((id, at) => ({ kind: "set", id, key: [0, 0], value: [at, at] })));
  assertEquals([...(await memory.read(["a", "b"])).output.data], [0, 0.5, 0.5, 0.5]);
  asked.length = 0;
  await memory.edit([{ kind: "setMask", entries, queries: ["b"], keys: ["a", "b"], head: 0 }]);
  assertEquals(asked, ["b a 0", "b b 0"]);
  assertEquals([...(await memory.read(["a", "b"])).output.data], [0, 0.5, 1, 0.5]);
  // What it was made with comes again with the key; what an edit said is gone with it.
  await memory.edit([{ kind: "delete", id: "b" }, { kind: "set", id: "b", key: [0, 0], value: [1, 1] }]);
  assertEquals([...(await memory.read(["a", "b"])).output.data], [0, 0.5, 1, 0.5].with(2, 1));
  await memory.edit([{ kind: "delete", id: "a" }, { kind: "set", id: "a", key: [0, 0], value: [0, 0] }]);
  assertEquals([...(await memory.read(["a", "b"])).output.data], [0, 0.5, 0.5, 0.5]);
});

Deno.test("cluster: a mask that is not editable stays as it was made, and is that of a cluster of the same shape alone", async () => {
  const log = memoryLog(), mask = { queries: ["q"], keys: ["a"], entries: [[false]] };
  const create = { dim: 1, valueDim: 1, partitions: 1, mask };
  await using _host = await host(log);
  await using memory = await connect(log, { create });
  await using _again = await connect(log, { create });
  await using blind = await connect(log);
  await using _shown = await connect(log, { create: blind.shape });
  await memory.setQuery("q", [0]);
  await memory.edit([
    { kind: "set", id: "a", key: [0], value: [1] },
    { kind: "set", id: "b", key: [0], value: [3] },
  ]);
  assertEquals((await memory.read(["q"])).output.data[0], 3);
  assertEquals((await memory.attend([[0]], { maskOf: null })).output.data[0], 2);
  const setMask = { kind: "setMask", entry: true, keys: ["a"] } as const;
  const error = await assertRejects(() => memory.edit([setMask]), InputError);
  assertMatch(error.message, /edits\[0\]\.kind is "setMask"/);
  for (const other of [{ ...mask, entries: [[true]] }, undefined]) {
    const given = { ...create, mask: other as NamedMask };
    const error = await assertRejects(() => connect(log, { create: given }), ClusterError);
    assertEquals(error.fault, "mismatch");
  }
});

Deno.test("cluster: blocks that do not fit, and masks of a shape that no cluster has, are refused", async () => {
  const shape = { dim: 1, valueDim: 1, heads: 2, partitions: 1 }, log = memoryLog(), sharedLog = memoryLog();
  await using memory = await connect(log, { create: { ...shape, editableMask: "heads" } });
  await using shared = await connect(sharedLog, { create: { ...shape, editableMask: true } });
  const block = { kind: "setMask", keys: ["a", "b"], queries: ["q"], entries: [[true, false]] };
  const refused: readonly [object, RegExp][] = [
    [{ ...block, entries: [[true]] }, /edits\[0\]\.entries are 1 × 1, expected 1 × 2 \(queries × keys\)/],
    [{ ...block, entries: [[true], [true]] }, /entries are 2 × 1, expected 1 × 2/],
    [{ ...block, entries: [[[true, true]], [[true]]] }, /entries\[1\] is 1 × 1, expected 1 × 2/],
    [
      { ...block, entries: [[[true, true]], [[true, true]], [[true, true]]] },
      /entries has 3 matrices, expected 1 or 2/,
    ],
    [
      { ...block, head: 0, entries: [[[true, true]], [[true, true]]] },
      /entries has 2 matrices, expected 1 or 1/,
    ],
    [{ ...block, entries: [[true, NaN]] }, /entries has NaN at index 1/],
    [{ ...block, entries: new Int32Array(2) }, /entries is .*Int32Array|entries has/],
    [{ ...block, entries: () => "no" }, /entries: mask\("q", "a", 0\) returned "no", expected a boolean/],
    [{ ...block, entries: true }, /entries is true/],
    [{ ...block, entry: true }, /edits\[0\] has entry and entries, expected one of them/],
    [{ ...block, keys: undefined }, /edits\[0\]\.keys is undefined, expected ids/],
    [{ ...block, queries: undefined }, /edits\[0\]\.queries is undefined, expected ids/],
    [{ ...block, head: 2 }, /edits\[0\]\.head is 2, expected a head below 2/],
    [{ ...block, head: -1 }, /edits\[0\]\.head is -1/],
    [{ ...block, head: null }, /edits\[0\]\.head is null/],
    [{ kind: "setMask" }, /edits\[0\]\.entry is undefined/],
  ];
  for (const [edit, words] of refused) {
    const error = await assertRejects(() => memory.edit([edit as never]), InputError);
    assertMatch(error.message, words);
  }
  const thrown = new TypeError("mine");
  const error = await assertRejects(() =>
    memory.edit([{
      ...block,
      entries: () => {
        throw thrown;
      },
    } as never]), InputError);
  assert(error.cause === thrown, String(error));
  const ofHead = await assertRejects(() => shared.edit([{ ...block, head: 0 } as never]), InputError);
  assertMatch(ofHead.message, /head is 0, expected none, since all heads share the mask/);
  const shapes: readonly [unknown, RegExp][] = [
    [
      { mask: () => true },
      /create\.mask is a function, expected \{ queries, keys, entries \} with that function as entries/,
    ],
    [
      { mask: [[true]] },
      /create\.mask is \[\[true\]\], expected \{ queries, keys, entries \}: a cluster is made before its rows/,
    ],
    [{ mask: null }, /create\.mask is null/],
    [
      { mask: { queries: ["q"], keys: ["a"], entries: [[true, true]] } },
      /create\.mask\.entries are 1 × 2, expected 1 × 1/,
    ],
    [
      { mask: { queries: ["q", "q"], keys: ["a"], entries: [[true], [true]] } },
      /create\.mask\.queries has "q" twice/,
    ],
    [{ mask: { queries: ["q"], keys: [""], entries: [[true]] } }, /create\.mask\.keys\[0\] is ""/],
    [
      { mask: { queries: ["q"], keys: ["a"], entries: [[true]], heads: 1 } },
      /create\.mask field "heads" is unknown/,
    ],
    [
      { mask: { queries: IDS, keys: Array.from({ length: 9000 }, (_, at) => `k${at}`), entries: () => 0.1 } },
      /the rules and the mask take \d+ bytes, expected 65536 at most/,
    ],
    [{ editableMask: "head" }, /create\.editableMask is "head", expected a boolean or "heads"/],
  ];
  for (const [given, words] of shapes) {
    const create = { ...shape, ...given as object };
    assertMatch((await assertRejects(() => connect(memoryLog(), { create }), InputError)).message, words);
  }
  for (const one of [log, sharedLog]) assertEquals((await (await one.open("client")).facts()).records, 0);
});

Deno.test("cluster: a config of a mask that is not whole is damaged, and records of heads that are not there are damage", async () => {
  const log = memoryLog(), mask = { queries: ["q"], keys: ["a"], entries: [[false]] };
  const shape = { dim: 1, valueDim: 1, heads: 2, partitions: 1 };
  await using _memory = await connect(log, { create: { ...shape, mask, editableMask: "heads" } });
  const session = await log.open("client"), value = (await session.get("config"))?.value ?? new Uint8Array(0);
  const config = JSON.parse(new TextDecoder().decode(value));
  assertEquals([config.version, config.masks, config.mask.matrices], [3, "heads", [[null]]]);
  const bad: readonly object[] = [
    ...[null, 3, {}, { ...config.mask, keys: [3] }, { ...config.mask, queries: [""] }],
    ...[[], [[]], [[null, null]], [["1"]], [[1e39]], [[null], [null], [null]], [3]].map((matrices) => {
      return { ...config.mask, matrices };
    }),
  ].map((mask) => ({ ...config, mask }));
  for (const wrong of [...bad, { ...config, masks: "all" }]) {
    await session.put("config", new TextEncoder().encode(JSON.stringify(wrong)));
    const error = await assertRejects(() => connect(log), ClusterError);
    assertEquals(error.fault, "damaged", JSON.stringify(wrong));
  }
  const { scoring } = toConfig("test", { ...shape, editableMask: "heads" }, "c");
  const encode = (head: number) => {
    const edits = [{ id: "a", row: null, mask: { queries: [], bias: 1, head } }];
    return encodeBatch({ kind: "keys", client: "c", number: 1, known: 0, previous: NO_HASH, edits });
  };
  assertEquals(decodeBatch(encode(1), "keys", 2, formsOf(scoring)).edits[0].mask?.head, 1);
  assertThrows(() => decodeBatch(encode(2), "keys", 2, formsOf(scoring)), Damage, "head 2");
  const shared = toConfig("test", { ...shape, editableMask: true }, "c");
  assertThrows(() => decodeBatch(encode(1), "keys", 2, formsOf(shared.scoring)), Damage, "kind 6");
  const block = (change: object, id = "a") => {
    const mask = { queries: ["q", "ä"], bias: 0, biases: [-Infinity, 0.5], head: 1, ...change };
    const edits = [{ id, row: null, mask }];
    return encodeBatch({ kind: "keys", client: "c", number: 1, known: 0, previous: NO_HASH, edits });
  };
  const read = (bytes: Uint8Array<ArrayBuffer>) =>
    decodeBatch(bytes, "keys", 2, formsOf(scoring)).edits[0].mask;
  assertEquals(read(block({})), { queries: ["q", "ä"], bias: 0, biases: [-Infinity, 0.5], head: 1 });
  assertEquals(read(block({ head: undefined }))?.head, undefined);
  for (
    const change of [{ head: 2 }, { biases: [NaN, 1] }, { biases: [1e39, 1] }, { queries: [], biases: [] }]
  ) {
    assertThrows(() => read(block(change)), Damage);
  }
  assertThrows(() => read(block({}, "")), Damage);
  assertThrows(() => decodeBatch(block({}), "keys", 2, formsOf(shared.scoring)), Damage, "head 1");
  const fixed = toConfig("test", { ...shape, mask }, "c");
  assertThrows(() => decodeBatch(encode(1), "keys", 2, formsOf(fixed.scoring)), Damage, "kind 6");
});
