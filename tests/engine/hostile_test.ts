// Oracle tests on inputs that break attention elsewhere: huge scores, one key that holds all the weight, no
// key, one key, values of all sizes. Each case is answered three ways: once and for all by `attention`, by an
// engine made with it, and by an engine that is made with other rows and edited into it.

import { attention, DynamicAttention, type Matrix } from "../../mod.ts";
import { referenceAttention, type ReferenceCase } from "../../src/numerics/reference.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { assertAccurate, largestDifference, matrixOf, rowsOf } from "../../testing/accuracy.ts";
import { BACKENDS } from "../backends_here.ts";
import { Random } from "../../testing/random.ts";

const random = new Random(42);

function caseOf(
  query: Float32Array[],
  key: Float32Array[],
  value: Float32Array[],
  scale: number,
): ReferenceCase {
  return { query, key, value, scale, valueDim: value[0]?.length ?? 2 };
}

function unit(headDim: number, column: number, size: number): Float32Array {
  const row = new Float32Array(headDim);
  row[column] = size;
  return row;
}

const CASES: Record<string, ReferenceCase> = {
  "ordinary": caseOf(random.rows(5, 8), random.rows(40, 8), random.rows(40, 3), 1 / Math.sqrt(8)),
  "one key": caseOf(random.rows(3, 4), random.rows(1, 4), random.rows(1, 2), 0.5),
  "no key": caseOf(random.rows(3, 4), [], [], 0.5),
  "scores in the hundreds": caseOf(random.rows(5, 8, 20), random.rows(40, 8, 20), random.rows(40, 3), 0.35),
  "scores beyond exp's range": caseOf(random.rows(5, 4, 1e4), random.rows(20, 4, 1e4), random.rows(20, 2), 1),
  "scores of 1e30 and more": caseOf(random.rows(4, 4, 1e18), random.rows(20, 4, 1e18), random.rows(20, 2), 1),
  "the largest float32": caseOf(
    [unit(2, 0, 3.4e38), unit(2, 0, -3.4e38)],
    [unit(2, 0, 3.4e38), unit(2, 1, 3.4e38), unit(2, 0, -3.4e38)],
    [Float32Array.of(1, 3.4e38), Float32Array.of(2, -3.4e38), Float32Array.of(3, 3.4e38)],
    1,
  ),
  "all scores equal": caseOf(random.rows(3, 4, 0), random.rows(30, 4), random.rows(30, 2), 1),
  "all scores very negative": caseOf(
    [unit(2, 0, 1)],
    [unit(2, 0, -900), unit(2, 0, -901)],
    random.rows(2, 2),
    1,
  ),
  "one key holds all the weight": caseOf(
    random.rows(3, 4, 0).map((row) => row.fill(1)),
    [...random.rows(30, 4), Float32Array.of(50, 50, 50, 50)],
    random.rows(31, 2),
    1,
  ),
  "tiny and huge values": caseOf(
    random.rows(3, 4),
    random.rows(20, 4),
    random.rows(20, 2).map((row, j) => row.map((v) => v * (j % 2 === 0 ? 1e-30 : 1e30))),
    1,
  ),
  "a negative scale": caseOf(random.rows(3, 4), random.rows(20, 4), random.rows(20, 2), -2),
  "a scale of zero": caseOf(random.rows(3, 4), random.rows(20, 4), random.rows(20, 2), 0),
};

/**
 * As the promise, and in any case within float32 of the largest value: where float32 overflows it promises
 * nothing.
 */
function assertRight(actual: Matrix, truth: ReferenceCase, what: string): void {
  assertAccurate(actual, truth, what);
  const largest = truth.value.reduce((most, row) => Math.max(most, ...Array.from(row, Math.abs)), 0);
  const error = largestDifference(rowsOf(actual), referenceAttention(truth).output);
  assert(error <= 1e-6 * largest, `${what} is off by ${error} at values up to ${largest}`);
}

for (const backend of BACKENDS) {
  for (const [name, truth] of Object.entries(CASES)) {
    const { query, key, value, scale, valueDim } = truth;
    const headDim = query[0].length;
    const options = {
      query: matrixOf(query, headDim),
      key: matrixOf(key, headDim),
      value: matrixOf(value, valueDim),
      scale,
      backend,
    };

    Deno.test(`oracle on ${backend}: ${name}, once`, async () => {
      assertRight(await attention(options), truth, "attention()");
    });

    Deno.test(`oracle on ${backend}: ${name}, as created`, async () => {
      await using engine = await DynamicAttention.create(options);
      assertRight(await engine.read(), truth, "read()");
      const { logSumExp } = referenceAttention(truth);
      const { data } = await engine.logSumExp();
      logSumExp.flat().forEach((expected, i) => {
        const within = 1e-6 * Math.max(1, Math.abs(expected));
        assert(
          data[i] === Math.fround(expected) || Math.abs(data[i] - expected) <= within,
          `${data[i]}, expected ${expected}`,
        );
      });
    });

    for (const lazyThreshold of [1, 4, Infinity]) {
      Deno.test(`oracle on ${backend}: ${name}, edited into at threshold ${lazyThreshold}`, async () => {
        const random = new Random(lazyThreshold === Infinity ? 99 : lazyThreshold);
        const other = {
          query: random.rows(2, headDim),
          key: random.rows(7, headDim, 3),
          value: random.rows(7, valueDim),
        };
        await using engine = await DynamicAttention.create({
          ...options,
          query: matrixOf(other.query, headDim),
          key: matrixOf(other.key, headDim),
          value: matrixOf(other.value, valueDim),
          lazyThreshold,
          onThreshold: "patch",
        });
        // In, out and in again, so that every key of the case has also been subtracted once.
        for (let round = 0; round < 2; round++) {
          const slots = key.map((row, j) => engine.insert(row, value[j]));
          await engine.peek();
          await engine.read([0]);
          if (round === 0) slots.forEach((slot) => engine.delete(slot));
        }
        for (let slot = 0; slot < 7; slot++) engine.delete(slot);
        const rows = query.map((row) => engine.insertQuery(row));
        assertRight(await engine.read(rows), truth, "read() after edits");
      });
    }
  }

  Deno.test(`oracle on ${backend}: a memory that fills up, empties and fills again`, async () => {
    const random = new Random(5);
    const query = random.rows(3, 4);
    await using engine = await DynamicAttention.create({
      query,
      key: matrixOf([], 4),
      value: matrixOf([], 2),
      backend,
      lazyThreshold: 1,
    });
    const empty = async () => {
      assertEquals([...(await engine.read()).data], [0, 0, 0, 0, 0, 0]);
      assertEquals([...(await engine.logSumExp()).data], [-Infinity, -Infinity, -Infinity]);
      assertEquals([...await engine.weights(0)].filter((weight) => weight !== 0), []);
      assertEquals(await engine.topKeys(0, 3), []);
      assertEquals([...(await engine.attend(query)).data], [0, 0, 0, 0, 0, 0]);
    };
    await empty();
    for (let round = 0; round < 3; round++) {
      const key: Float32Array[] = [], value: Float32Array[] = [], slots: number[] = [];
      for (let j = 0; j < 20; j++) {
        key.push(random.row(4, 10 ** round));
        value.push(random.row(2));
        slots.push(engine.insert(key[j], value[j]));
        assertRight(await engine.read(), { query, key, value, scale: 0.5, valueDim: 2 }, `after insert ${j}`);
      }
      for (const slot of slots) {
        engine.delete(slot);
        await engine.peek();
      }
      await empty();
    }
  });
}
