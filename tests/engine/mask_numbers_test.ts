// No finite float32 in a mask has a second meaning: the lowest of them, the commonest mask constant there is,
// the largest, subnormal ones and −0 are added to scores like any other, and −Infinity alone forbids a pair.

import { DynamicAttention } from "../../mod.ts";
import { referenceAttention, type ReferenceCase } from "../../src/numerics/reference.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { assertAccurate, rowsOf } from "../../testing/accuracy.ts";
import { BACKENDS } from "../backends_here.ts";
import { Random } from "../../testing/random.ts";

const LOWEST = -3.4028234663852886e38, LARGEST = 3.4028234663852886e38;
/**
 * Neighbours of the lowest number, of 2^126 and of the old limit of −3·10³⁸, numbers near 0, and ordinary
 * ones.
 */
const BIASES = [
  -Infinity,
  LOWEST,
  -3.4028232635611926e38,
  -3e38,
  -1e38,
  -8.507059173023462e37,
  -1e9,
  -100,
  -1.5,
  -1.401298464324817e-45,
  -0,
  2 ** -126,
  2,
  1e6,
  1e38,
  LARGEST,
];
const KEYS = 3;

/** Every mixture of three biases, one for each query. */
function mixtures(): Float32Array[] {
  const rows: Float32Array[] = [];
  for (const first of BIASES) {
    for (const second of BIASES) for (const third of BIASES) rows.push(Float32Array.of(first, second, third));
  }
  return rows;
}

function biasesOf({ key, bias }: ReferenceCase, i: number): unknown[] {
  return key.slice(0, KEYS).map((_, j) => bias?.(i, j, 0));
}

/**
 * The rounding of float64 scores with biases of this size, as a share of a weight: the oracle is not more
 * exact.
 */
function oracleDoubt(biases: Float32Array): number {
  const finite = biases.filter((bias) => bias > -Infinity);
  return 2 ** -51 * finite.reduce((most, bias) => Math.max(most, Math.abs(bias)), 0);
}

/**
 * Fails where an answer is not the oracle's for its own row: a maximum over all rows would hide small ones.
 */
function assertRows(actual: readonly ArrayLike<number>[], truth: ReferenceCase, what: string): void {
  const { output } = referenceAttention(truth);
  output.forEach((row, i) => {
    row.forEach((o, c) => {
      const within = Math.abs(actual[i][c] - o) <= 3e-6 * Math.max(1, Math.abs(o));
      assert(within, `${what}, row ${i}, biases [${biasesOf(truth, i)}]: ${actual[i][c]}, expected ${o}`);
    });
  });
}

for (const backend of BACKENDS) {
  Deno.test(`masks on ${backend}: every mixture of extreme numbers with −Infinity, built, patched and peeked`, async () => {
    const mask = mixtures(), random = new Random(7);
    const query = mask.map(() => random.row(2)), key = random.rows(KEYS, 2), value = random.rows(KEYS, 2);
    const truth: ReferenceCase = { query, key, value, scale: 1, valueDim: 2, bias: (i, j) => mask[i][j] };
    await using live = await DynamicAttention.create({
      ...{ query, key, value, mask, scale: 1, backend },
      onThreshold: "patch",
      lazyThreshold: Infinity,
    });
    const check = async (what: string) => {
      const { output, bounds } = await live.peek();
      const expected = referenceAttention(truth);
      rowsOf(output).forEach((row, i) => {
        const doubt = Math.min(2, oracleDoubt(mask[i])) * 6;
        const distance = Math.hypot(...row.map((o, c) => o - expected.output[i][c])) - doubt;
        assert(distance <= bounds[i], `${what}, biases [${mask[i]}]: ${distance} off, bound ${bounds[i]}`);
      });
      const read = await live.read();
      assertAccurate(read, truth, what);
      assertRows(rowsOf(read), truth, what);
      const { data } = await live.logSumExp();
      expected.logSumExp.forEach(([sum], i) => {
        const isNear = Math.abs(data[i] - sum) <= 1e-6 * Math.abs(sum) + 1e-6;
        assert(
          data[i] === Math.fround(sum) || isNear,
          `${what}, biases [${mask[i]}]: ${data[i]}, not ${sum}`,
        );
      });
    };
    await check("built");
    for (const slot of [1, 0, 2]) {
      key[slot] = random.row(2);
      value[slot] = random.row(2);
      live.set(slot, key[slot], value[slot]);
      await check(`key ${slot} changed`);
    }
    for (const row of [0, 1, 17, 273, 1000, mask.length - 1]) {
      const weights = await live.weights(row);
      const expected = referenceAttention({ ...truth, query: [query[row]], bias: (_, j) => mask[row][j] });
      weights.forEach((weight, j) => {
        assert(Math.abs(weight - expected.weights[0][0][j]) < 1e-6, `weights at biases [${mask[row]}]`);
      });
    }
  });

  Deno.test(`masks on ${backend}: a key goes and leaves the lowest number or nothing`, async () => {
    for (const left of [LOWEST, -1e38, -Infinity]) {
      await using live = await DynamicAttention.create({
        query: [[1, 0], [0, 1]],
        key: [[1, 2], [3, 4], [5, 6]],
        value: [[10], [20], [40]],
        mask: [[0, left, left], [left, left, left]],
        backend,
        onThreshold: "patch",
        lazyThreshold: Infinity,
      });
      const mean = left === -Infinity ? 0 : 30;
      assertEquals([...(await live.read()).data], [10, left === -Infinity ? 0 : Math.fround(70 / 3)]);
      live.delete(0);
      assertEquals([...(await live.read()).data], [mean, mean]);
      live.delete(2);
      assertEquals([...(await live.read()).data], left === -Infinity ? [0, 0] : [20, 20]);
    }
  });

  Deno.test(`masks on ${backend}: one allowed key among hundreds with the lowest number`, async () => {
    const keys = 600, random = new Random(3);
    const key = random.rows(keys, 3), value = random.rows(keys, 2), query = random.rows(4, 3);
    const bias = (i: number, j: number) => {
      if (i === 0) return LOWEST;
      if (i === 1) return j === 411 ? 0 : LOWEST;
      if (i === 2) return j % 2 === 0 ? LOWEST : -Infinity;
      return j === 599 ? -1e30 : j % 3 === 0 ? -Infinity : LOWEST;
    };
    await using live = await DynamicAttention.create({
      query,
      key,
      value,
      mask: query.map((_, i) => key.map((_, j) => bias(i, j))),
      scale: 1,
      backend,
    });
    const truth: ReferenceCase = { query, key, value, scale: 1, valueDim: 2, bias };
    assertRows(rowsOf(await live.read()), truth, "built");
  });
}
