// Masks of pairs in a cluster: what was said last of a pair, a key or a query counts, sums have the same bits
// whatever happened before, and answers are those of the oracle and of one engine.

import {
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertMatch,
  assertRejects,
  assertThrows,
} from "../../testing/assert.ts";
import { assertNeighbours } from "../../testing/cluster/rounded_answers.ts";
import {
  ONE_HEAD_RULES,
  PLAIN_RULE,
  randomPlace,
  ruledCase,
  type RuledRow,
  ruleOptions,
  SaidMasks,
} from "../../testing/cluster/ruled_model.ts";
import type { ModelRule } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { DynamicAttention, InputError } from "../../mod.ts";
import { decodeBatch, encodeBatch, hashOf, NO_HASH, type RowEdit } from "../../src/cluster/batch.ts";
import { toConfig } from "../../src/cluster/cluster_config.ts";
import { Damage } from "../../src/cluster/cluster_error.ts";
import { formsOf, stateColumns } from "../../src/cluster/exact_sums.ts";
import { mergePartitions } from "../../src/cluster/merge.ts";
import { type ClusterEdit, ClusterLearner, connect, host, memoryLog } from "../../src/cluster/mod.ts";
import { hostKey } from "../../src/cluster/members.ts";
import { decodeReply, encodeRequest, type Question } from "../../src/cluster/messages.ts";
import { Partition, type StandingQuery } from "../../src/cluster/partition.ts";
import { decodeSnapshot, encodeSnapshot } from "../../src/cluster/snapshot.ts";
import { OnlineLearner } from "../../src/learning/mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";

const ENTRIES = [-Infinity, -Infinity, 0, 0.5, -1.25];
const MASKED_RULES: Readonly<Record<string, ModelRule>> = {
  "no other rule": PLAIN_RULE,
  ...ONE_HEAD_RULES,
};

for (const [name, rule] of Object.entries(MASKED_RULES)) {
  Deno.test(`cluster, masks with ${name}: sums have the same bits patched, rebuilt and from a snapshot, and are right`, () => {
    const config = toConfig("test", { ...ruleOptions(rule), partitions: 1, editableMask: true }, "c");
    const { scoring } = config, columns = stateColumns(scoring.layout), forms = formsOf(scoring);
    const of = { config, kind: "keys", partition: 0 } as const, isPlaced = forms.places !== null;
    for (let seed = 1; seed <= (IS_LONG ? 20 : 2); seed++) {
      const random = new Random(seed),
        patched = new Partition(scoring),
        bodies: Uint8Array<ArrayBuffer>[] = [];
      const live = new Map<string, RuledRow>(), said = new SaidMasks();
      const queries = ["p", "q"].map((id): StandingQuery & { id: string } => {
        return { id, row: random.row(3, 2), position: isPlaced ? randomPlace(random) : 0, version: 1 };
      });
      for (let step = 0; step < 50; step++) {
        const edits = Array.from(
          { length: 1 + random.below(4) },
          () => randomEdit(random, isPlaced, live, said),
        );
        const number = bodies.length + 1, previous = number === 1 ? NO_HASH : hashOf(bodies[number - 2]);
        bodies.push(encodeBatch({ kind: "keys", client: "c", number, known: 0, previous, edits }, isPlaced));
        patched.apply({ sequence: number, body: bodies[number - 1] });
        if (random.next() < 0.5) patched.update("p", queries[0]);
        if (random.next() < 0.5) continue;
        const fresh = new Partition(scoring), where = `seed ${seed}, step ${step}`;
        bodies.forEach((body, at) => fresh.apply({ sequence: at + 1, body }));
        const bytes = encodeSnapshot(of, patched), loaded = decodeSnapshot(of, bytes) as Partition;
        assertEquals(encodeSnapshot(of, fresh), bytes, where);
        assertEquals(encodeSnapshot(of, loaded), bytes, where);
        for (const query of queries) {
          const state = stateOf(patched, query, columns);
          assertEquals(stateOf(fresh, query, columns), state, where);
          assertEquals(stateOf(loaded, query, columns), state, where);
          const { keyCount: keys, keyNorm, valueNorm } = patched;
          const merged = mergePartitions(scoring, 1, [{ states: state, keys, keyNorm, valueNorm }]);
          const { output: [o], logSumExp: [[L]], weights: [[weights]] } = referenceAttention(
            ruledCase(rule, live.values(), [query]),
          );
          const rounding = rule.rotary ? 1e-5 : 1e-12;
          assertLessOrEqual(
            Math.hypot(...o.map((x, c) => x - merged.output[c])),
            merged.bounds[0] + rounding,
            where,
          );
          assertLessOrEqual(merged.bounds[0], 1e-6 * valueNorm + 1e-40, where);
          if (L !== merged.logSumExp[0]) assertAlmostEquals(L, merged.logSumExp[0], rounding + 1e-10);
          const heavy = patched.heaviest(query.id, patched.update(query.id, query), 0, 99).keys;
          assertEquals(heavy.length, weights.filter((weight) => weight > 0).length, where);
        }
      }
    }
  });
}

function stateOf(partition: Partition, query: StandingQuery & { id: string }, columns: number): Float64Array {
  const sums = partition.update(query.id, query), state = new Float64Array(columns + 2);
  state[1] = sums.norm;
  sums.write(state, 2);
  return state;
}

/** An edit that the model makes, too. */
function randomEdit(
  random: Random,
  isPlaced: boolean,
  live: Map<string, RuledRow>,
  said: SaidMasks,
): RowEdit {
  const id = `k${random.below(12)}`, had = live.get(id), kind = random.next();
  const position = isPlaced ? randomPlace(random) : 0, placed = isPlaced ? { position } : {};
  if (kind < 0.5) {
    const key = random.next() < 0.3 ? "" : id, count = key === "" ? 1 + random.below(2) : random.below(3);
    const queries = ["p", "q"].slice(0, count), mask = { queries, bias: random.pick(ENTRIES) };
    if (key === "" || had) said.say(key, mask);
    return { id: key, row: null, mask };
  }
  if (kind < 0.65) {
    live.delete(id);
    return { id, row: null };
  }
  const biasOf = (query: string, head: number) => said.bias(query, id, head);
  if (isPlaced && kind < 0.75) {
    if (had) live.set(id, { ...had, position });
    return { id, row: null, ...placed };
  }
  const row = random.row(5);
  if (!had) said.bear(id);
  live.set(id, { row, position, biasOf });
  return { id, row, ...placed };
}

Deno.test("cluster: bounds know of the rounding that a large bias brings", () => {
  const config = toConfig("test", { ...ruleOptions(PLAIN_RULE), partitions: 1, editableMask: true }, "c");
  const { scoring } = config, columns = stateColumns(scoring.layout);
  let most = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed), partition = new Partition(scoring), rows = random.rows(20, 5);
    const edits: RowEdit[] = rows.map((row, at) => ({ id: `k${at}`, row }));
    // The same for all keys, so that it changes no weight.
    edits.push({ id: "", row: null, mask: { queries: ["q"], bias: 2 ** 30 } });
    const batch = { kind: "keys", client: "c", number: 1, known: 0, previous: NO_HASH, edits } as const;
    partition.apply({ sequence: 1, body: encodeBatch(batch) });
    const query = { id: "q", row: random.row(3), position: 0, version: 1 };
    const states = stateOf(partition, query, columns), { keyCount: keys, keyNorm, valueNorm } = partition;
    const { output, bounds } = mergePartitions(scoring, 1, [{ states, keys, keyNorm, valueNorm }]);
    const placed = rows.map((row) => ({ row, position: 0 }));
    const { output: [expected] } = referenceAttention(ruledCase(PLAIN_RULE, placed, [query]));
    const error = Math.hypot(...expected.map((o, c) => o - output[c]));
    assertLessOrEqual(error, bounds[0], `seed ${seed}`);
    most = Math.max(most, error / (2 ** -24 * Math.hypot(...expected)));
  }
  assertGreater(most, 1.1, "the rounding is more than that of float32");
});

const KEYS = 14, QUERIES = 4, IDS = Array.from({ length: QUERIES }, (_, at) => `q${at}`);

Deno.test("cluster: blocks, rows and columns of a mask change as those of one engine, in any order", async () => {
  const random = new Random(4), key = random.rows(KEYS, 6), value = random.rows(KEYS, 4), log = memoryLog();
  const query = random.rows(QUERIES, 6), options = { heads: 2, softcap: 3, sinks: [0.5, -1] };
  await using _host = await host(log);
  const create = { dim: 3, valueDim: 2, partitions: 3, editableMask: true, ...options };
  await using memory = await connect(log, { create });
  assertEquals(memory.shape.editableMask, true);
  await memory.edit(key.map((row, at) => ({ kind: "set", id: `k${at}`, key: row, value: value[at] })));
  for (const [at, row] of query.entries()) await memory.setQuery(IDS[at], row);
  await using live = await DynamicAttention.create({
    ...{ query, key, value, ...options, editableMask: true, backend: "array" },
    mask: Array.from({ length: QUERIES }, () => new Array(KEYS).fill(true)),
  });
  let certified = 0;
  for (let round = 0; round < (IS_LONG ? 200 : 25); round++) {
    const edits = Array.from({ length: 1 + random.below(3) }, (): ClusterEdit => {
      const some = (
        count: number,
      ) => [...new Set(Array.from({ length: 1 + random.below(4) }, () => random.below(count)))];
      const keys = some(KEYS), queries = some(QUERIES), kind = random.below(3);
      const entry = random.pick<number | boolean>([true, false, false, 0.1, -2.5, -Infinity]);
      live.setMask(entry, { ...(kind === 0 ? {} : { keys }), ...(kind === 1 ? {} : { queries }) });
      return {
        ...{ kind: "setMask", entry },
        ...(kind === 0 ? {} : { keys: keys.map((slot) => `k${slot}`) }),
        ...(kind === 1 ? {} : { queries: queries.map((slot) => IDS[slot]) }),
      };
    });
    await memory.edit(edits);
    // A row that is given again is within its bound; what was said of a query for all keys cannot be told apart.
    await memory.logSumExp(IDS);
    const reads = memory.status().reads, stale = await memory.peek(IDS, { maxError: 10 });
    if (memory.status().reads === reads) certified++;
    const expected = await live.read(), found = await memory.read(IDS);
    for (let at = 0; at < QUERIES; at++) {
      const row = expected.data.subarray(4 * at, 4 * at + 4),
        distance = (answer: typeof found) =>
          Math.hypot(...row.map((o, c) => o - answer.output.data[4 * at + c]));
      assertNeighbours(found.output.data.subarray(4 * at, 4 * at + 4), row, `round ${round}`);
      assertLessOrEqual(distance(stale), stale.bounds[at] + 2 ** -23 * Math.hypot(...row), `round ${round}`);
    }
    const sums = await memory.logSumExp(IDS), theirs = await live.logSumExp();
    theirs.data.forEach((L, at) => L === sums[at] || assertAlmostEquals(L, sums[at], 1e-5));
  }
  assertGreater(certified, 0);
  // Passing queries have the mask of a standing query, or none.
  const masked = await memory.attend(query, { maskOf: "q1" }),
    all = await memory.attend(query, { maskOf: null });
  const standing = await memory.read(["q1"]), none = { mask: () => true };
  assertEquals(masked.output.data.subarray(4, 8), standing.output.data);
  assertNeighbours(all.output.data, (await live.attend(query, none)).data);
});

Deno.test("cluster: a deleted key takes along what was said of it, what was said of a query stays", async () => {
  const log = memoryLog();
  await using _host = await host(log);
  await using memory = await connect(log, {
    create: { dim: 1, valueDim: 1, partitions: 2, editableMask: true },
  });
  const set = (id: string, value: number) => ({ kind: "set", id, key: [0], value: [value] }) as const;
  const read = async () => [...(await memory.read(["q", "r"])).output.data];
  await memory.edit([set("a", 1), set("b", 3)]);
  for (const id of ["q", "r"]) await memory.setQuery(id, [0]);
  await memory.edit([{ kind: "setMask", entry: false, keys: ["a", "none"] }]);
  assertEquals(await read(), [3, 3]);
  await memory.edit([set("a", 5)]);
  assertEquals(await read(), [3, 3], "a key that is set again keeps its mask");
  await memory.edit([{ kind: "setMask", entry: true, keys: ["a"], queries: ["q"] }]);
  assertEquals(await read(), [4, 3]);
  await memory.edit([{ kind: "delete", id: "a" }, set("a", 1)]);
  assertEquals(await read(), [2, 2]);
  await memory.edit([{ kind: "setMask", entry: false, queries: ["r"] }]);
  await memory.edit([set("c", 2)]);
  assertEquals(await read(), [2, 0], "keys that come have what was said of the query");
  assertEquals((await memory.topKeys("r", 9)).length, 0);
  await memory.edit([{ kind: "setMask", entry: true, keys: ["c"] }]);
  assertEquals(await read(), [2, 2]);
  assertEquals((await memory.topKeys("r", 9)).map(({ id }) => id), ["c"]);
});

Deno.test("cluster: masks are refused where they were not made, and malformed ones everywhere", async () => {
  const log = memoryLog(), plainLog = memoryLog(), shape = { dim: 1, valueDim: 1, partitions: 2 };
  await using memory = await connect(log, { create: { ...shape, editableMask: true } });
  await using plain = await connect(plainLog, { create: { ...shape, editableMask: false } });
  const mask = { kind: "setMask", entry: true, keys: ["a"] };
  const refused: readonly [unknown, RegExp][] = [
    ...[NaN, Infinity, 1e39, "no", null, undefined, [true], 1n].map((entry): [unknown, RegExp] => [
      { ...mask, entry },
      /edits\[0\]\.entry is .*expected a boolean, a finite number of float32 range or −Infinity/,
    ]),
    [{ kind: "setMask", entry: true }, /has neither keys nor queries/],
    [{ ...mask, keys: "a" }, /edits\[0\]\.keys is "a"/],
    [{ ...mask, keys: ["a", ""] }, /edits\[0\]\.keys\[1\] is ""/],
    [{ ...mask, queries: [3] }, /edits\[0\]\.queries\[0\] is 3/],
    [{ ...mask, queries: null }, /edits\[0\]\.queries is null/],
    [{ ...mask, head: 1 }, /edits\[0\]\.head is 1, expected a head below 1/],
    [{ ...mask, heads: 1 }, /edits\[0\] field "heads" is unknown/],
  ];
  for (const [given, words] of refused) {
    assertMatch((await assertRejects(() => memory.edit([given as never]), InputError)).message, words);
  }
  const passing: readonly [object, RegExp][] = [
    [{}, /maskOf is undefined, expected the id of a standing query/],
    [{ maskOf: "" }, /maskOf is ""/],
    [{ maskOf: 3 }, /maskOf is 3/],
  ];
  for (const [options, words] of passing) {
    assertMatch((await assertRejects(() => memory.attend([[1]], options), InputError)).message, words);
  }
  await assertRejects(() => plain.attend([[1]], { maskOf: "q" }), InputError, '"maskOf" is unknown');
  const error = await assertRejects(() => plain.edit([mask as never]), InputError);
  assertMatch(error.message, /edits\[0\]\.kind is "setMask", expected "set" or "delete"/);
  await assertRejects(
    () => connect(memoryLog(), { create: { ...shape, editableMask: 1 as never } }),
    InputError,
    "boolean",
  );
  for (const one of [log, plainLog]) assertEquals((await (await one.open("client")).facts()).records, 0);
  assertEquals(await memory.edit([{ kind: "setMask", entry: true, keys: [] }]), { partitions: {}, query: 0 });
  // An entry is kept as one engine keeps it, as float32.
  const { partitions } = await memory.edit([{ kind: "setMask", entry: 0.1, keys: ["a"] }]);
  const [partition] = Object.keys(partitions), session = await log.open("host");
  for await (const [{ body }] of session.follow(`log.${partition}`, 0)) {
    const forms = { places: null, hasMaskEdits: true, maskHeads: 1 };
    assertEquals(decodeBatch(body, "keys", 2, forms).edits[0].mask?.bias, Math.fround(0.1));
    break;
  }
});

Deno.test("cluster: a host refuses passing queries without the mask or the positions that its cluster has", async () => {
  const log = memoryLog(), create = { dim: 1, valueDim: 1, partitions: 1, editableMask: true, alibi: true };
  await using _host = await host(log);
  await using memory = await connect(log, { create });
  await memory.edit([{ kind: "set", id: "a", key: [1], value: [2], position: 3 }]);
  assertEquals((await memory.attend([[1]], { positions: [1], maskOf: null })).output.data[0], 2);
  const session = await log.open("client"), [name] = memory.status().hosts;
  const rows = Float32Array.of(1), right = { positions: Float64Array.of(1), maskOf: "" };
  const ask = async (question: Question) => {
    const partitions = [{ partition: 0, sequence: 0 }];
    const request = encodeRequest({ question, waitMs: 100, querySequence: 0, partitions });
    const [reply] = decodeReply(new Uint8Array(await session.request(hostKey(name), request)));
    return reply.status === "ok" ? "" : reply.why;
  };
  assertEquals(await ask({ kind: "attend", rows, placed: right }), "");
  const refused: readonly [Question, RegExp][] = [
    [{ kind: "attend", rows }, /0 positions came, expected 1/],
    [{ kind: "attend", rows: new Float32Array(0) }, /without a mask/],
    [
      { kind: "attend", rows, placed: { ...right, positions: new Float64Array(2) } },
      /2 positions came, expected 1/,
    ],
    [{ kind: "attend", rows, placed: { ...right, positions: Float64Array.of(NaN) } }, /position is NaN/],
    [{ kind: "attend", rows, placed: { ...right, positions: Float64Array.of(2 ** 47) } }, /2\^46/],
  ];
  for (const [question, words] of refused) assertMatch(await ask(question), words);
});

Deno.test("cluster: records and snapshots with masks are read as written, and others are damage", () => {
  const config = toConfig("test", { dim: 1, valueDim: 1, partitions: 1, editableMask: true }, "c"),
    { scoring } = config;
  const head = { kind: "keys", client: "c", number: 1, known: 0, previous: NO_HASH } as const,
    forms = formsOf(scoring);
  const edits: RowEdit[] = [
    { id: "a", row: Float32Array.of(1, 2) },
    { id: "a", row: null, mask: { queries: ["q", "ä"], bias: -Infinity } },
    { id: "a", row: null, mask: { queries: [], bias: 2 } },
    { id: "", row: null, mask: { queries: ["q"], bias: 0 } },
    { id: "a", row: null, mask: { queries: ["q"], bias: -1 } },
  ];
  assertEquals(decodeBatch(encodeBatch({ ...head, edits }), "keys", 2, forms).edits, edits);
  assertThrows(() => decodeBatch(encodeBatch({ ...head, edits }), "keys", 2), Damage, "kind 5");
  assertThrows(
    () => decodeBatch(encodeBatch({ ...head, kind: "queries", edits }), "queries", 2, forms),
    Damage,
  );
  const bad = [{ queries: ["q"], bias: NaN }, { queries: ["q"], bias: Infinity }, {
    queries: ["q"],
    bias: 1e39,
  }];
  for (const mask of bad) {
    const body = encodeBatch({ ...head, edits: [{ id: "a", row: null, mask }] });
    assertThrows(() => decodeBatch(body, "keys", 2, forms), Damage);
  }
  const none = encodeBatch({ ...head, edits: [{ id: "", row: null, mask: { queries: [], bias: 0 } }] });
  assertThrows(() => decodeBatch(none, "keys", 2, forms), Damage);
  const partition = new Partition(scoring), of = { config, kind: "keys", partition: 0 } as const;
  partition.apply({ sequence: 1, body: encodeBatch({ ...head, edits }) });
  const bytes = encodeSnapshot(of, partition);
  assertEquals(encodeSnapshot(of, decodeSnapshot(of, bytes)), bytes);
  const plain = toConfig("test", { dim: 1, valueDim: 1, partitions: 1 }, "c");
  assertThrows(() => decodeSnapshot({ ...of, config: plain }, bytes), Damage);
});

Deno.test("cluster learner: under a mask its steps are those of the learner on one engine", async () => {
  for (const biasBeforeSoftcap of [false, true]) {
    const random = new Random(8), key = random.rows(KEYS, 3), value = random.rows(KEYS, 2), log = memoryLog();
    const options = { softcap: 2, biasBeforeSoftcap }, query = [random.row(3)];
    await using _host = await host(log);
    const create = { dim: 3, valueDim: 2, partitions: 2, editableMask: true, ...options };
    await using memory = await connect(log, { create });
    await memory.edit(key.map((row, at) => ({ kind: "set", id: `k${at}`, key: row, value: value[at] })));
    await memory.setQuery("q", query[0]);
    const mask = Array.from({ length: KEYS }, (_, at) => ENTRIES[at % ENTRIES.length]);
    await memory.edit(
      mask.map((entry, at) => ({ kind: "setMask", entry, keys: [`k${at}`], queries: ["q"] })),
    );
    await using live = await DynamicAttention.create({
      query,
      key,
      value,
      mask: [mask],
      backend: "array",
      ...options,
    });
    const one = new OnlineLearner(live, { rate: 0.1 }),
      many = new ClusterLearner(memory, { rate: 0.1, top: KEYS });
    for (let step = 0; step < 6; step++) {
      const y = [...random.row(2)], expected = await one.learnOne({ query: 0 }, y);
      const found = await many.learnOne({ query: "q" }, y);
      found.prediction.forEach((number, at) => assertAlmostEquals(number, expected.prediction[at], 1e-5));
    }
    const stored = await memory.getKeys(key.map((_, at) => `k${at}`));
    stored.forEach((row, at) =>
      live.getKey(at).forEach((x, c) => assertAlmostEquals(x, row?.key[c] ?? NaN, 1e-4))
    );
  }
});
