// Rules of scores in a cluster: windows, biases by distance, rotary positions, blocks and sinks. Sums have the same
// bits whatever happened before, answers are those of the oracle and of one engine, and rules are kept as they were
// made.

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
import { assertNeighbours, assertRounded } from "../../testing/cluster/rounded_answers.ts";
import {
  looksAtPlaces,
  ONE_HEAD_RULES,
  PLAIN_RULE,
  randomPlace,
  ruledCase,
  type RuledRow,
  ruleOptions,
  RULES,
} from "../../testing/cluster/ruled_model.ts";
import type { ModelRule } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { DynamicAttention, InputError } from "../../mod.ts";
import { decodeBatch, encodeBatch, hashOf, NO_HASH, type RowEdit } from "../../src/cluster/batch.ts";
import { type ClusterConfig, shapeOf, toConfig } from "../../src/cluster/cluster_config.ts";
import { Damage } from "../../src/cluster/cluster_error.ts";
import { ExactSums, formsOf, placesOf, stateColumns } from "../../src/cluster/exact_sums.ts";
import { mergeHeavy, mergePartitions } from "../../src/cluster/merge.ts";
import {
  ClusterError,
  ClusterLearner,
  type ClusterMemory,
  type ClusterShape,
  connect,
  host,
  memoryLog,
} from "../../src/cluster/mod.ts";
import { Partition, type StandingQuery } from "../../src/cluster/partition.ts";
import { decodeSnapshot, emptyQueries, encodeSnapshot } from "../../src/cluster/snapshot.ts";
import { adagrad, OnlineLearner } from "../../src/learning/mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";

const SEEDS = IS_LONG ? 20 : 2, ROUNDS = IS_LONG ? 20 : 5;

function configOf(rule: ModelRule, partitions = 1): ClusterConfig {
  return toConfig("test", { ...ruleOptions(rule), partitions }, "c");
}

/** Applies edits to a partition, a batch at a time. */
class Writer {
  readonly partition: Partition;
  readonly #isPlaced: boolean;
  #number = 0;
  #previous = NO_HASH;

  constructor({ scoring }: ClusterConfig) {
    this.partition = new Partition(scoring);
    this.#isPlaced = placesOf(scoring) !== null;
  }

  apply(edits: readonly RowEdit[]): void {
    const number = ++this.#number, previous = this.#previous;
    const body = encodeBatch(
      { kind: "keys", client: "c", number, known: 0, previous, edits },
      this.#isPlaced,
    );
    this.#previous = hashOf(body);
    this.partition.apply({ sequence: number, body });
  }
}

function stateOf(partition: Partition, id: string, query: StandingQuery, columns: number): Float64Array {
  const sums = partition.update(id, query), state = new Float64Array(columns + 2);
  state[1] = sums.norm;
  sums.write(state, 2);
  return state;
}

function bitsOf(numbers: Float64Array): BigUint64Array {
  return new BigUint64Array(numbers.slice().buffer);
}

/** A row [key | value] of one of many sizes. */
function randomRow(random: Random, { kvHeads, headDim, valueDim }: ModelRule): Float32Array<ArrayBuffer> {
  const key = random.row(kvHeads * headDim, random.pick([0, 0.3, 1, 3]));
  return Float32Array.of(...key, ...random.row(kvHeads * valueDim, random.pick([0, 1e-20, 1, 1e6])));
}

for (const [name, rule] of Object.entries(RULES)) {
  Deno.test(`cluster, ${name}: sums have the same bits patched, moved, rebuilt and from a snapshot, and are right`, () => {
    const config = configOf(rule), { scoring } = config, columns = stateColumns(scoring.layout);
    const isPlaced = looksAtPlaces(rule), width = rule.heads * rule.headDim;
    assertEquals(placesOf(scoring) !== null, isPlaced);
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new Random(seed), patched = new Writer(config), live = new Map<string, RuledRow>();
      const placed = () => isPlaced ? { position: randomPlace(random) } : {};
      const queries: StandingQuery[] = random.rows(2, width, 2).map((row) => {
        return { row, position: isPlaced ? randomPlace(random) : 0, version: 1 };
      });
      for (let step = 0; step < 60; step++) {
        patched.apply(Array.from({ length: 1 + random.below(4) }, (): RowEdit => {
          const id = `k${random.below(20)}`, kind = random.next(), had = live.get(id);
          if (kind < 0.3) {
            live.delete(id);
            return { id, row: null };
          }
          const at = placed(), position = at.position ?? 0;
          if (isPlaced && kind < 0.5) {
            if (had) live.set(id, { ...had, position });
            return { id, row: null, ...at };
          }
          const row = randomRow(random, rule);
          live.set(id, { row, position });
          return { id, row, ...at };
        }));
        if (isPlaced && random.next() < 0.3) {
          const at = random.below(2);
          queries[at] = { ...queries[at], position: randomPlace(random), version: 1 + step };
        }
        if (random.next() < 0.5) stateOf(patched.partition, `q${random.below(2)}`, queries[0], columns);
        if (random.next() < 0.6) continue;
        const fresh = new Writer(config), order = random.shuffled(live);
        fresh.apply(order.map(([id, { row, position }]) => {
          return { id, row: row.slice(), ...(isPlaced ? { position } : {}) };
        }));
        const of = { config, kind: "keys", partition: 0 } as const;
        const loaded = decodeSnapshot(of, encodeSnapshot(of, patched.partition)) as Partition;
        for (const [at, query] of queries.entries()) {
          const state = stateOf(patched.partition, `q${at}`, query, columns),
            where = `seed ${seed}, step ${step}`;
          assertEquals(bitsOf(stateOf(fresh.partition, "q", query, columns)), bitsOf(state), where);
          assertEquals(bitsOf(stateOf(loaded, "q", query, columns)), bitsOf(state), where);
          judge(config, rule, { patched: patched.partition, state, live, query }, where);
        }
      }
    }
  });
}

/** The answer, its log-sum-exps and its heaviest keys are those of the oracle. */
function judge(
  { scoring }: ClusterConfig,
  rule: ModelRule,
  { patched, state, live, query }: {
    readonly patched: Partition;
    readonly state: Float64Array;
    readonly live: ReadonlyMap<string, RuledRow>;
    readonly query: StandingQuery;
  },
  where: string,
): void {
  const { keyCount: keys, keyNorm, valueNorm } = patched;
  const merged = mergePartitions(scoring, 1, [{ states: state, keys, keyNorm, valueNorm }]);
  const expected = referenceAttention(ruledCase(rule, live.values(), [query]));
  const error = Math.hypot(...expected.output[0].map((o, c) => o - merged.output[c]));
  // The model's turned rows may be off by a rounding of float32.
  const rounding = rule.rotary ? 1e-5 * valueNorm : 0;
  assertLessOrEqual(error, merged.bounds[0] + rounding, where);
  assertLessOrEqual(merged.bounds[0], 1e-6 * valueNorm + 1e-40, `the bound says something: ${where}`);
  const ids = [...live.keys()];
  expected.logSumExp[0].forEach((L, head) => {
    const found = merged.logSumExp[head];
    assert(L === found || Math.abs(L - found) <= (rule.rotary ? 1e-4 : 1e-11), `${L} is ${found}: ${where}`);
    const heavy = patched.heaviest("q", patched.update("q", query), head, 4);
    const sink = rule.sinks?.[head] ?? -Infinity;
    const list = mergeHeavy([{ version: 1, sequence: 1, before: 0, behind: 0, ...heavy }], 4, sink);
    const weights = expected.weights[0][head];
    const attended = weights.filter((_, at) => {
      return (ruledBias(rule, live.get(ids[at]) as RuledRow, query, head) ?? 0) > -Infinity;
    });
    assertEquals(list.length, Math.min(4, attended.length), where);
    const heaviest = attended.sort((a, b) => b - a);
    list.forEach(({ id, weight }, rank) => {
      assertAlmostEquals(weight, weights[ids.indexOf(id)], rule.rotary ? 1e-4 : 1e-9);
      assertAlmostEquals(weight, heaviest[rank], rule.rotary ? 1e-4 : 1e-9);
    });
  });
}

function ruledBias(rule: ModelRule, key: RuledRow, query: RuledRow, head: number): number | undefined {
  return ruledCase(rule, [key], [query]).bias?.(0, 0, head);
}

for (const [name, rule] of Object.entries(RULES)) {
  Deno.test(`cluster, ${name}: it answers like one engine, standing, passing and stale`, async () => {
    const random = new Random(name.length), log = memoryLog(), isPlaced = looksAtPlaces(rule);
    await using _host = await host(log);
    const create = { ...ruleOptions(rule), partitions: 3 };
    await using memory = await connect(log, { create });
    const width = rule.heads * rule.headDim, split = rule.kvHeads * rule.headDim;
    const keys = new Map<string, RuledRow>(),
      queries = random.rows(3, width).map((row): RuledRow => {
        return { row, position: randomPlace(random) };
      });
    const placed = (position: number) => isPlaced ? { position } : {};
    for (const [at, { row, position }] of queries.entries()) {
      await memory.setQuery(`q${at}`, row, placed(position));
    }
    const ids = queries.map((_, at) => `q${at}`);
    let certified = 0;
    for (let round = 0; round < ROUNDS; round++) {
      await memory.edit(Array.from({ length: round === 0 ? 60 : 6 }, () => {
        const id = `k${random.below(50)}`,
          kind = random.next(),
          had = keys.get(id),
          position = randomPlace(random);
        if (kind < 0.2) {
          keys.delete(id);
          return { kind: "delete", id } as const;
        }
        if (isPlaced && kind < 0.5) {
          if (had) keys.set(id, { ...had, position });
          return { kind: "setPosition", id, position } as const;
        }
        const row = random.row(rule.kvHeads * (rule.headDim + rule.valueDim));
        keys.set(id, { row, position });
        return {
          kind: "set",
          id,
          key: row.subarray(0, split),
          value: row.subarray(split),
          ...placed(position),
        } as const;
      }));
      // A row that is given again is within its bound of what is exact now.
      await memory.logSumExp(ids);
      const reads = memory.status().reads, stale = await memory.peek(ids, { maxError: 10 });
      if (memory.status().reads === reads) certified++;
      for (const [at, one] of queries.entries()) assertWithin(rule, keys, one, stale, at);
      if (isPlaced && round % 3 === 1) {
        queries[0] = { ...queries[0], position: randomPlace(random) };
        await memory.setQueryPosition("q0", queries[0].position);
      }
      const engine = await engineOf(rule, keys, queries), found = await memory.read(ids);
      assertNeighbours(found.output.data, (await engine.read()).data, `round ${round}`);
      const { output } = referenceAttention(ruledCase(rule, keys.values(), queries));
      // The oracle turns rows by its own arithmetic, whose float32 may be the next one.
      if (!rule.rotary) assertRounded(found.output.data, output.flatMap((row) => [...row]), `round ${round}`);
      const passing = random.rows(2, width), places = passing.map(() => randomPlace(random));
      const theirs = await memory.attend(passing, isPlaced ? { positions: places } : {});
      const ours = await engine.attend(passing, isPlaced ? { positions: places } : {});
      assertNeighbours(theirs.output.data, ours.data, `round ${round}`);
      await engine.dispose();
    }
    assertGreater(certified, 0);
    const wanted = [...keys.keys()], stored = await memory.getKeys(wanted);
    stored.forEach((one, at) => {
      const { row, position } = keys.get(wanted[at]) as RuledRow;
      assertEquals(one, { key: row.slice(0, split), value: row.slice(split), ...placed(position) });
    });
    assertEquals(await memory.getQueryPositions([...ids, "none"]), [
      ...queries.map(({ position }) => isPlaced ? position : 0),
      null,
    ]);
  });
}

function assertWithin(
  rule: ModelRule,
  keys: ReadonlyMap<string, RuledRow>,
  query: RuledRow,
  { output, bounds }: Awaited<ReturnType<ClusterMemory["peek"]>>,
  at: number,
): void {
  const columns = rule.heads * rule.valueDim;
  const { output: [expected] } = referenceAttention(ruledCase(rule, keys.values(), [query]));
  const error = Math.hypot(...expected.map((o, c) => o - output.data[at * columns + c]));
  assertLessOrEqual(error, bounds[at] + (rule.rotary ? 1e-5 : 1e-12));
}

/** One engine with the same rows. */
async function engineOf(rule: ModelRule, keys: ReadonlyMap<string, RuledRow>, queries: readonly RuledRow[]) {
  const { dim: _, valueDim: __, ...options } = ruleOptions(rule), rows = [...keys.values()];
  const split = rule.kvHeads * rule.headDim, values = rule.kvHeads * rule.valueDim;
  return await DynamicAttention.create({
    ...options,
    query: queries.map(({ row }) => row),
    queryPositions: queries.map(({ position }) => position),
    key: { data: rows.flatMap(({ row }) => [...row.subarray(0, split)]), shape: [rows.length, split] },
    value: { data: rows.flatMap(({ row }) => [...row.subarray(split)]), shape: [rows.length, values] },
    keyPositions: rows.map(({ position }) => position),
    backend: "array",
  });
}

Deno.test("cluster: a query that moves within a window is patched, not built anew", () => {
  const rule: ModelRule = { ...PLAIN_RULE, causal: true, window: [50, Infinity] };
  const config = configOf(rule), writer = new Writer(config), random = new Random(3);
  writer.apply(Array.from({ length: 500 }, (_, at) => ({ id: `k${at}`, row: random.row(5), position: at })));
  let query: StandingQuery = { row: random.row(3), position: 60, version: 1 }, builds = 0;
  writer.partition.update("q", query);
  const { build } = ExactSums.prototype;
  ExactSums.prototype.build = function (...args) {
    builds++;
    return build.apply(this, args);
  };
  try {
    for (let position = 61; position < 400; position++) {
      query = { ...query, position, version: position };
      assert(writer.partition.isBehind("q", query));
      writer.partition.update("q", query);
      assert(!writer.partition.isBehind("q", query));
    }
  } finally {
    ExactSums.prototype.build = build;
  }
  // A bin of eight powers of two becomes empty, or a heavier one appears, now and then.
  assertLessOrEqual(builds, 20);
  const fresh = new Partition(config.scoring);
  for (const [id, { row, position }] of writer.partition.rows()) fresh.load(id, row, position);
  const columns = stateColumns(config.scoring.layout);
  assertEquals(stateOf(fresh, "q", query, columns), stateOf(writer.partition, "q", query, columns));
});

Deno.test("cluster: a query that moves is another version of the same row, and one that is not there stays away", () => {
  const queries = emptyQueries(configOf(ONE_HEAD_RULES.causal)), row = Float32Array.of(1, 2, 3);
  const apply = (number: number, previous: Uint8Array<ArrayBuffer>, edits: readonly RowEdit[]) => {
    const body = encodeBatch({ kind: "queries", client: "c", number, known: 0, previous, edits }, true);
    queries.apply({ sequence: 10 * number, body });
    return hashOf(body);
  };
  const first = apply(1, NO_HASH, [{ id: "q", row, position: 4 }]), before = queries.get("q");
  const second = apply(2, first, [{ id: "q", row: null, position: 9 }, { id: "r", row: null, position: 1 }]);
  assertEquals([before?.version, queries.get("q")], [10, { row, position: 9, version: 20 }]);
  assert(queries.get("q")?.row === before?.row, "sums are patched by that");
  assertEquals(queries.size, 1);
  apply(3, second, [{ id: "q", row: null }]);
  assertEquals(queries.size, 0);
});

Deno.test("cluster: rules are kept as they were made, and another rule is another cluster", async () => {
  for (const [name, rule] of Object.entries(RULES)) {
    const log = memoryLog(), create: ClusterShape = { ...ruleOptions(rule), partitions: 2 };
    await using memory = await connect(log, { create });
    // What the shape says makes the same cluster.
    await using same = await connect(log, { create: memory.shape });
    assertEquals(same.shape, memory.shape, name);
    const made = configOf(rule), again = toConfig("test", shapeOf(made), "c");
    assertEquals(again, made, name);
    const others: ClusterShape[] = [
      { ...create, sinks: [...Array(rule.heads).keys()].map(() => 9) },
      { ...create, causal: { offset: 3.5 } },
      { ...create, rotary: { base: 3, dims: 2 } },
    ];
    for (const other of others) {
      const error = await assertRejects(() => connect(log, { create: other }), ClusterError);
      assertEquals(error.fault, "mismatch", name);
    }
  }
});

Deno.test("cluster: a config of other rules than there are is damaged, one of a later version a mismatch", async () => {
  const put = async (change: (config: Record<string, unknown>) => void) => {
    const log = memoryLog();
    await using made = await connect(log, {
      create: { ...ruleOptions(RULES["heads that differ"]), partitions: 2 },
    });
    await made.dispose();
    const session = await log.open("client"), value = await session.get("config");
    const config = JSON.parse(new TextDecoder().decode(value?.value ?? undefined));
    assertEquals(config.version, 2);
    change(config);
    await session.put("config", new TextEncoder().encode(JSON.stringify(config)));
    const error = await assertRejects(() => connect(log), ClusterError);
    return error.fault;
  };
  const rules: readonly unknown[] = [
    null,
    [],
    3,
    "rule",
    { before: -1 },
    { before: "9" },
    { after: null },
    { others: 3 },
    { others: [] },
    { mask: 1 },
    { others: { sinks: [1] } },
    { others: { alibi: [1, 2, 3, -4] } },
    { others: { rotary: { base: 0 } } },
    { others: { blocks: {} } },
    { others: { distances: { from: 0.5 } } },
    { others: { keepBefore: 1 } },
  ];
  for (const rule of rules) {
    assertEquals(await put((config) => config.rule = rule), "damaged", JSON.stringify(rule));
  }
  assertEquals(await put((config) => delete config.rule), "damaged");
  assertEquals(await put((config) => config.version = 4), "mismatch");
});

Deno.test("cluster: a cluster without rules has the config, records and snapshots of before", async () => {
  const log = memoryLog();
  await using memory = await connect(log, {
    create: { dim: 2, valueDim: 1, partitions: 1, window: [Infinity, Infinity] },
  });
  await memory.edit([{ kind: "set", id: "a", key: [1, 2], value: [3] }]);
  const session = await log.open("host"),
    text = new TextDecoder().decode((await session.get("config"))?.value ?? undefined);
  const { version, rule } = JSON.parse(text);
  assertEquals([version, rule], [1, undefined]);
  for await (const [{ body }] of session.follow("log.0", 0)) {
    assertEquals(new DataView(body.buffer, body.byteOffset).getUint32(4, true), 1);
    break;
  }
});

Deno.test("cluster: positions are asked for where a rule looks at them, and refused elsewhere", async () => {
  const log = memoryLog(), plainLog = memoryLog();
  const create = { ...ruleOptions(ONE_HEAD_RULES["a table before the softcap"]), partitions: 2 };
  await using memory = await connect(log, { create });
  await using plain = await connect(plainLog, { create: { dim: 3, valueDim: 2, partitions: 2 } });
  const set = { kind: "set", id: "a", key: [1, 2, 3], value: [1, 2] }, row = [1, 2, 3];
  const calls: readonly [() => Promise<unknown>, RegExp][] = [
    [() => memory.edit([set as never]), /edits\[0\]\.position is undefined, expected a finite number/],
    ...[NaN, Infinity, "1", null, 1n, [1], {}].map((position): [() => Promise<unknown>, RegExp] => [
      () => memory.edit([{ ...set, position } as never]),
      /edits\[0\]\.position is .*expected a finite number/,
    ]),
    [() => memory.edit([{ ...set, position: 1.5 } as never]), /position is 1\.5, expected a whole number/],
    [() => memory.edit([{ kind: "setPosition", id: "a" } as never]), /edits\[0\]\.position is undefined/],
    [
      () => memory.edit([{ kind: "setPosition", id: "a", position: 1, row } as never]),
      /field "row" is unknown/,
    ],
    [() => memory.setQuery("q", row), /position is undefined, expected a finite number/],
    [() => memory.setQuery("q", row, { position: 2 ** 47 }), /within ±2\^46/],
    [() => memory.setQueryPosition("q", NaN), /position is NaN/],
    [() => memory.setQueryPosition(5 as never, 1), /id is 5/],
    [() => memory.attend([row]), /positions is undefined/],
    [() => memory.attend([row], { positions: [1, 2] }), /positions has 2 numbers, expected 1/],
    [() => memory.attend([row], { positions: [0.5] }), /positions\[0\] is 0\.5/],
    [() => plain.edit([{ ...set, position: 1 } as never]), /field "position" is unknown/],
    [() => plain.edit([{ kind: "setPosition", id: "a", position: 1 }]), /edits\[0\]\.kind is "setPosition"/],
    [() => plain.setQuery("q", row, { position: 1 }), /option "position" is unknown/],
    [() => plain.setQueryPosition("q", 1), /position is 1, expected none/],
    [() => plain.attend([row], { positions: [1] }), /option "positions" is unknown/],
  ];
  for (const [call, words] of calls) assertMatch((await assertRejects(call, InputError)).message, words);
  for (const one of [log, plainLog]) {
    const { records } = await (await one.open("client")).facts();
    assertEquals(records, 0);
  }
});

Deno.test("cluster: rules that no engine takes are refused, and those that do not fit into a config", async () => {
  const shape = { dim: 4, valueDim: 1, heads: 2, partitions: 2 };
  const refused: readonly [object, RegExp][] = [
    [{ window: [-1, 0] }, /window is/],
    [{ window: { left: 1, size: 2 } }, /window field "size" is unknown/],
    [{ causal: { offset: NaN } }, /offset is NaN/],
    [{ causal: 1 }, /causal is 1/],
    [{ sinks: [1] }, /sinks has 1 numbers/],
    [{ alibi: [1, -1] }, /alibi\[1\] is -1/],
    [{ alibi: true, distanceBias: { from: 0, values: [1] } }, /both alibi and distanceBias/],
    [{ distanceBias: { from: 0, to: 2, bias: () => NaN } }, /distanceBias/],
    [{ rotary: { dims: 3 } }, /rotary\.dims is 3/],
    [{ blockMask: { size: 0, entries: [[true]] } }, /blockMask\.size is 0/],
    [{ biasBeforeSoftcap: 1 }, /biasBeforeSoftcap is 1/],
    [
      { distanceBias: { from: 0, values: new Float32Array(20_000) } },
      /the rules take \d+ bytes, expected 65536 at most/,
    ],
    [
      { mask: [[true]] },
      /create\.mask is \[\[true\]\], expected \{ queries, keys, entries \}: .* names them by their ids/,
    ],
    [{ keyPositions: [1] }, /create field "keyPositions" is unknown/],
  ];
  for (const [rules, words] of refused) {
    const error = await assertRejects(
      () => connect(memoryLog(), { create: { ...shape, ...rules } }),
      InputError,
    );
    assertMatch(error.message, words);
  }
});

Deno.test("cluster: records and snapshots with positions are read as written, and others are damage", () => {
  const config = configOf(ONE_HEAD_RULES["a table before the softcap"]),
    { scoring } = config,
    forms = formsOf(scoring);
  const head = { kind: "keys", client: "c", number: 1, known: 0, previous: NO_HASH } as const;
  const random = new Random(9);
  const edits: RowEdit[] = [
    { id: "a", row: random.row(5), position: 7 },
    { id: "b", row: null, position: -3 },
    { id: "c", row: null },
  ];
  assertEquals(decodeBatch(encodeBatch({ ...head, edits }, true), "keys", 5, forms).edits, edits);
  const bad: readonly (() => unknown)[] = [
    () => decodeBatch(encodeBatch({ ...head, edits }, true), "keys", 5),
    () => decodeBatch(encodeBatch({ ...head, edits }), "keys", 5, forms),
    () =>
      decodeBatch(encodeBatch({ ...head, edits: [{ id: "a", row: random.row(5) }] }, true), "keys", 5, forms),
    ...[NaN, Infinity, 0.5, 2 ** 47].map((position) => () => {
      return decodeBatch(
        encodeBatch({ ...head, edits: [{ id: "a", row: null, position }] }, true),
        "keys",
        5,
        forms,
      );
    }),
  ];
  for (const read of bad) assertThrows(read, Damage);
  const writer = new Writer(config), of = { config, kind: "keys", partition: 0 } as const;
  writer.apply(edits);
  const bytes = encodeSnapshot(of, writer.partition);
  assertEquals(encodeSnapshot(of, decodeSnapshot(of, bytes)), bytes);
  const plain = { ...of, config: toConfig("test", { dim: 3, valueDim: 2, partitions: 1 }, "c") };
  assertThrows(() => decodeSnapshot(plain, bytes), Damage, "version");
  const queries = emptyQueries(config);
  queries.load("q", { row: random.row(3), position: 4, version: 2 });
  const ofQueries = { ...of, kind: "queries" } as const, kept = encodeSnapshot(ofQueries, queries);
  assertEquals(encodeSnapshot(ofQueries, decodeSnapshot(ofQueries, kept)), kept);
  for (let seed = 1; seed <= 100; seed++) {
    const altered = bytes.slice(), at = new Random(seed).below(bytes.length);
    altered[at] ^= 1 << seed % 8;
    assertThrows(() => decodeSnapshot(of, altered), Damage);
  }
});

for (
  const name of [
    "a window with a sink",
    "slopes and a softcap",
    "a table before the softcap",
    "heads that differ",
  ]
) {
  Deno.test(`cluster learner, ${name}: its steps are those of the learner on one engine`, async () => {
    const rule = RULES[name], random = new Random(5), log = memoryLog(), split = rule.kvHeads * rule.headDim;
    await using _host = await host(log);
    await using memory = await connect(log, { create: { ...ruleOptions(rule), partitions: 3 } });
    const keys = new Map<string, RuledRow>(), queries: RuledRow[] = [];
    for (let at = 0; at < 12; at++) {
      const row = random.row(rule.kvHeads * (rule.headDim + rule.valueDim)), position = randomPlace(random);
      keys.set(`${at}`, { row, position });
      await memory.edit([{
        kind: "set",
        id: `${at}`,
        key: row.subarray(0, split),
        value: row.subarray(split),
        position,
      }]);
    }
    for (let at = 0; at < 2; at++) {
      queries.push({ row: random.row(rule.heads * rule.headDim), position: 30 + at });
      await memory.setQuery(`${at}`, queries[at].row, { position: queries[at].position });
    }
    const engine = await engineOf(rule, keys, queries);
    const options = { optimizer: adagrad(), rate: 0.1 };
    const one = new OnlineLearner(engine, options),
      many = new ClusterLearner(memory, { ...options, top: 12 });
    for (let step = 0; step < 8; step++) {
      const y = [...random.row(2)], columns = [0, 1];
      const expected = await one.learnOne({ query: step % 2, columns }, y);
      const found = await many.learnOne({ query: `${step % 2}`, columns }, y);
      found.prediction.forEach((number, at) => assertAlmostEquals(number, expected.prediction[at], 1e-5));
      assertLessOrEqual(Math.abs(found.leftOut), 1e-9);
    }
    for (const [id, { position }] of keys) {
      const [stored] = await memory.getKeys([id]), slot = Number(id);
      engine.getKey(slot).forEach((number, c) => assertAlmostEquals(number, stored?.key[c] ?? NaN, 1e-4));
      engine.getValue(slot).forEach((number, c) => assertAlmostEquals(number, stored?.value[c] ?? NaN, 1e-4));
      assertEquals(stored?.position, position);
    }
    const rows = await memory.getQueries(["0", "1"]);
    rows.forEach((row, at) => {
      engine.getQuery(at).forEach((number, c) => assertAlmostEquals(number, row?.[c] ?? NaN, 1e-4));
    });
    assertEquals(await memory.getQueryPositions(["0", "1"]), [30, 31]);
    await engine.dispose();
  });
}

Deno.test("cluster: a host that is built anew and one that took over answer with the same bits", async () => {
  const rule = RULES["heads that differ"], random = new Random(2), log = memoryLog();
  await using memory = await connect(log, { create: { ...ruleOptions(rule), partitions: 2, replicas: 2 } });
  const split = rule.kvHeads * rule.headDim;
  const first = await host(log, { snapshotBytes: 2000 });
  await memory.setQuery("q", random.row(rule.heads * rule.headDim), { position: 20 });
  for (let at = 0; at < 150; at++) {
    const row = random.row(rule.kvHeads * (rule.headDim + rule.valueDim)), id = `k${random.below(40)}`;
    const position = randomPlace(random);
    await memory.edit([
      at % 3 === 2
        ? { kind: "setPosition", id, position }
        : { kind: "set", id, key: row.subarray(0, split), value: row.subarray(split), position },
    ]);
    if (at % 20 === 7) await memory.setQueryPosition("q", randomPlace(random));
  }
  const before = await memory.read(["q"]);
  const second = await host(log);
  while (!memory.status().partitions.every(({ ready }) => ready.length === 2)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await first.dispose();
  const after = await memory.read(["q"]);
  assertEquals(new Uint32Array(after.output.data.buffer), new Uint32Array(before.output.data.buffer));
  assertEquals(after.bounds, before.bounds);
  await second.dispose();
});
