// The sums of a query over a partition: right by the oracle, and the same bits whatever happened before.

import { assert, assertEquals, assertLessOrEqual } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { encodeBatch, hashOf, NO_HASH, type RowEdit } from "../../src/cluster/batch.ts";
import { ExactSums, type Scoring, stateColumns } from "../../src/cluster/exact_sums.ts";
import { mergePartitions } from "../../src/cluster/merge.ts";
import { Partition, type StandingQuery } from "../../src/cluster/partition.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";

/** Applies edits to a partition, a batch at a time. */
class Writer {
  readonly partition: Partition;
  #number = 0;
  #previous = NO_HASH;

  constructor(scoring: Scoring) {
    this.partition = new Partition(scoring);
  }

  apply(edits: readonly RowEdit[]): void {
    const number = ++this.#number;
    const body = encodeBatch({
      kind: "keys",
      client: "c",
      number,
      known: 0,
      previous: this.#previous,
      edits,
    });
    this.#previous = hashOf(body);
    this.partition.apply({ sequence: number, body });
  }
}

interface Shape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
}

const SHAPES: readonly (Shape & { scale: number; softcap: number })[] = [
  { heads: 1, kvHeads: 1, headDim: 3, valueDim: 2, scale: 0.7, softcap: 0 },
  { heads: 4, kvHeads: 2, headDim: 5, valueDim: 1, scale: 3, softcap: 0 },
  { heads: 2, kvHeads: 1, headDim: 1, valueDim: 4, scale: -40, softcap: 0 },
  { heads: 1, kvHeads: 1, headDim: 8, valueDim: 3, scale: 5, softcap: 2 },
];

/** Rows of many sizes: equal ones, zeros, huge and tiny values. */
function hostileRow(random: Random, { kvHeads, headDim, valueDim }: Shape): Float32Array<ArrayBuffer> {
  const key = random.row(kvHeads * headDim, random.pick([0, 0.1, 1, 4]));
  const value = random.row(kvHeads * valueDim, random.pick([0, 1e-30, 1e-3, 1, 1e6, 1e30]));
  return Float32Array.of(...key, ...value);
}

const QUERIES = new WeakMap<Float32Array, StandingQuery>();

/** The query of a row, the same one each time: another one would be built anew. */
function queryOf(row: Float32Array<ArrayBuffer>): StandingQuery {
  const query = QUERIES.get(row) ?? { row, position: 0, version: 1 };
  QUERIES.set(row, query);
  return query;
}

function stateOf(partition: Partition, id: string, row: Float32Array<ArrayBuffer>, columns: number) {
  const sums = partition.update(id, queryOf(row)), state = new Float64Array(columns + 2);
  state[1] = sums.norm;
  sums.write(state, 2);
  return state;
}

function bitsOf(numbers: Float64Array): BigUint64Array {
  return new BigUint64Array(numbers.slice().buffer);
}

Deno.test("cluster: sums have the same bits patched, rebuilt, and in another order", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed), shape = SHAPES[seed % SHAPES.length];
    const scoring = { layout: shape, scale: shape.scale, softcap: shape.softcap };
    const columns = stateColumns(shape), patched = new Writer(scoring);
    const queries = random.rows(3, shape.heads * shape.headDim, 2);
    const live = new Map<string, Float32Array<ArrayBuffer>>();
    for (let step = 0; step < 80; step++) {
      const edits = Array.from({ length: 1 + random.below(4) }, (): RowEdit => {
        const id = `k${random.below(25)}`;
        const row = random.next() < 0.35 ? null : hostileRow(random, shape);
        if (row === null) live.delete(id);
        else live.set(id, row);
        return { id, row };
      });
      patched.apply(edits);
      if (random.next() < 0.5) stateOf(patched.partition, `q${random.below(3)}`, queries[0], columns);
      if (random.next() < 0.6) continue;
      const fresh = new Writer(scoring), order = random.shuffled(live);
      fresh.apply(order.map(([id, row]) => ({ id, row })));
      for (const [at, query] of queries.entries()) {
        const one = stateOf(patched.partition, `r${at}`, query, columns);
        const other = stateOf(fresh.partition, `r${at}`, query, columns);
        assertEquals(bitsOf(one), bitsOf(other), `seed ${seed}, step ${step}`);
      }
    }
  }
});

Deno.test("cluster: sums of scores of any size have the same bits patched, rebuilt, in another order and cut into partitions", () => {
  const shape = { heads: 1, kvHeads: 1, headDim: 2, valueDim: 2 }, columns = stateColumns(shape);
  for (const size of [2 ** 51, 2 ** 53, 2 ** 56, 1e18, 1e25, 1e38, 1e60, 1e110]) {
    for (let seed = 1; seed <= (IS_LONG ? 200 : 4); seed++) {
      const random = new Random(seed), sign = random.pick([1, -1]);
      const scoring = { layout: shape, scale: Math.min(size, 2 ** 120), softcap: 0 },
        where = `${size}, seed ${seed}`;
      const asked = Math.min(size / scoring.scale, 2 ** 120),
        rest = size / scoring.scale / asked,
        spread = random.pick([0, 2 ** -20, 1]);
      // Scores that are equal, neighbours in float32, or apart, with values of many sizes.
      const hostile = () => {
        const key = [1, 1 + 2 ** -23, 1 + spread * random.next()].map((x) => sign * rest * x);
        const value = random.row(2, random.pick([0, 1e-40, 1e-30, 1, 1e30]));
        return Float32Array.of(random.pick(key), random.pick([0, 2 ** -30]), ...value);
      };
      const patched = new Writer(scoring), live = new Map<string, Float32Array<ArrayBuffer>>();
      const query = Float32Array.of(asked, 1);
      for (let step = 0; step < 40; step++) {
        const id = `k${random.below(12)}`, row = random.next() < 0.35 ? null : hostile();
        if (row === null) live.delete(id);
        else live.set(id, row);
        patched.apply([{ id, row }]);
        const one = stateOf(patched.partition, "q", query, columns);
        if (random.next() < 0.6) continue;
        const fresh = new Writer(scoring), order = random.shuffled(live);
        fresh.apply(order.map(([id, row]) => ({ id, row })));
        assertEquals(
          bitsOf(one),
          bitsOf(stateOf(fresh.partition, "q", query, columns)),
          `${where}, step ${step}`,
        );
        const halves = [new Writer(scoring), new Writer(scoring)];
        order.forEach(([id, row], at) => halves[at % 2].apply([{ id, row }]));
        const answers = [[fresh], halves].map((writers) => {
          const parts = writers.map(({ partition }) => ({
            ...{ states: stateOf(partition, "q", query, columns), keys: partition.keyCount },
            ...{ keyNorm: partition.keyNorm, valueNorm: partition.valueNorm },
          }));
          return mergePartitions(scoring, 1, parts).output;
        });
        const largest = Math.max(
          1e-30,
          ...[...live.values()].flatMap((row) => [...row.subarray(2)].map(Math.abs)),
        );
        answers[0].forEach((o, c) => {
          assertLessOrEqual(Math.abs(o - answers[1][c]), 1e-6 * largest, `${where}, step ${step}`);
          assertLessOrEqual(Math.abs(o), largest * (1 + 1e-6), where);
        });
      }
    }
  }
});

Deno.test("cluster: answers merged from partitions lie within their bounds of the oracle", () => {
  let tightest = Infinity;
  for (let seed = 1; seed <= 120; seed++) {
    const random = new Random(seed), shape = SHAPES[seed % SHAPES.length];
    const scoring = { layout: shape, scale: shape.scale, softcap: shape.softcap };
    const columns = stateColumns(shape), count = random.below(60);
    const parts = Array.from({ length: 1 + random.below(5) }, () => new Writer(scoring));
    const rows = Array.from({ length: count }, () => hostileRow(random, shape));
    rows.forEach((row, at) => random.pick(parts).apply([{ id: `k${at}`, row }]));
    const query = random.row(shape.heads * shape.headDim, 2);
    const merged = mergePartitions(
      scoring,
      1,
      parts.map(({ partition }) => ({
        states: stateOf(partition, "q", query, columns),
        keys: partition.keyCount,
        keyNorm: partition.keyNorm,
        valueNorm: partition.valueNorm,
      })),
    );
    const split = shape.kvHeads * shape.headDim;
    const expected = referenceAttention({
      query: [query],
      key: rows.map((row) => row.subarray(0, split)),
      value: rows.map((row) => row.subarray(split)),
      ...shape,
    });
    const error = Math.hypot(...expected.output[0].map((o, c) => o - merged.output[c]));
    assertLessOrEqual(error, merged.bounds[0], `seed ${seed}`);
    const size = Math.max(...rows.map((row) => Math.hypot(...row.subarray(split))), 0);
    assertLessOrEqual(merged.bounds[0], 1e-6 * size + 1e-40, `the bound says something, seed ${seed}`);
    if (error > 0) tightest = Math.min(tightest, merged.bounds[0] / error);
    expected.logSumExp[0].forEach((L, head) => {
      const found = merged.logSumExp[head];
      assert(L === found || Math.abs(L - found) <= 1e-12 * Math.max(1, Math.abs(L)), `${L} is ${found}`);
    });
  }
  console.log(`the tightest bound is ${tightest.toFixed(1)} times the error`);
});

Deno.test("cluster: no term of a sum is larger than its grid, so that four million of them are exact", () => {
  const shape = { heads: 1, kvHeads: 1, headDim: 1, valueDim: 1 }, columns = stateColumns(shape);
  let fullest = 0, fullestProduct = 0;
  for (let seed = 1; seed <= 3000; seed++) {
    const random = new Random(seed), size = random.pick([1, 30, 300]);
    const writer = new Writer({ layout: shape, scale: 1, softcap: 0 });
    const score = Math.fround(size * (2 * random.next() - 1));
    const value = Math.fround(random.pick([1, 1e-9, 1e9]) * (1 + random.next()));
    writer.apply([{ id: "a", row: Float32Array.of(score, value) }]);
    const state = stateOf(writer.partition, "q", Float32Array.of(1), columns).subarray(2);
    // The mass and the sum are those of the one key, in units of the largest term that the grid takes.
    assertLessOrEqual(state[1], 1);
    assertLessOrEqual(Math.abs(state[3]), 1);
    assertLessOrEqual(2 ** -9, state[1]);
    assertLessOrEqual(2 ** -11, Math.abs(state[3]));
    fullest = Math.max(fullest, state[1]);
    fullestProduct = Math.max(fullestProduct, Math.abs(state[3]));
  }
  assertLessOrEqual(0.9, fullest);
  assertLessOrEqual(0.45, fullestProduct);
});

Deno.test("cluster: another query under the same id and version is another one", () => {
  const shape = { heads: 1, kvHeads: 1, headDim: 1, valueDim: 1 }, columns = stateColumns(shape);
  const writer = new Writer({ layout: shape, scale: 1, softcap: 0 }),
    [one, other] = [1, 2].map((x) => Float32Array.of(x));
  writer.apply([{ id: "a", row: Float32Array.of(1, 1) }]);
  const before = stateOf(writer.partition, "q", one, columns).slice();
  assert(writer.partition.isBehind("q", queryOf(other)));
  assert(stateOf(writer.partition, "q", other, columns)[3] !== before[3]);
  assertEquals(stateOf(writer.partition, "q", one, columns), before);
});

Deno.test("cluster: rows of common sizes are patched, not built anew", () => {
  const shape = { heads: 2, kvHeads: 2, headDim: 16, valueDim: 8 }, random = new Random(11);
  const writer = new Writer({ layout: shape, scale: 0.25, softcap: 0 }), { build } = ExactSums.prototype;
  const row = () => random.row(2 * 16 + 2 * 8);
  writer.apply(Array.from({ length: 300 }, (_, at) => ({ id: `k${at}`, row: row() })));
  const query = { row: random.row(32), position: 0, version: 1 };
  writer.partition.update("q", query);
  let builds = 0;
  ExactSums.prototype.build = function (...args) {
    builds++;
    return build.apply(this, args);
  };
  try {
    for (let step = 0; step < 500; step++) {
      writer.apply([{ id: `k${random.below(300)}`, row: random.next() < 0.2 ? null : row() }]);
      writer.partition.update("q", query);
    }
  } finally {
    ExactSums.prototype.build = build;
  }
  assertEquals(builds, 0);
});
