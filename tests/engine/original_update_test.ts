// Why a changed key is a matter of A's columns. The description that the project began with says "rows or
// columns"; its published code recomputes row j of A = exp(Q Kᵀ) when K_j changes. Row j belongs to query j.

import { DynamicAttention } from "../../mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assertGreater, assertLess } from "../../testing/assert.ts";
import { largestDifference, rowsOf } from "../../testing/accuracy.ts";
import { Random } from "../../testing/random.ts";

type Rows = Float32Array[];

/** A, row by row: the weights before they are divided by their sum. */
function exponentials(query: Rows, key: Rows): number[][] {
  return query.map((q) => key.map((k) => Math.exp(q.reduce((dot, x, c) => dot + x * k[c], 0))));
}

function outputOf(a: number[][], value: Rows): number[][] {
  return a.map((row) => {
    const mass = row.reduce((sum, x) => sum + x, 0);
    return Array.from(value[0], (_, c) => row.reduce((sum, x, j) => sum + x * value[j][c], 0) / mass);
  });
}

Deno.test("the original's update of row j after an edit of key j is wrong, that of column j is right", async () => {
  const random = new Random(1);
  const n = 12, d = 4;
  const query = random.rows(n, d), key = random.rows(n, d), value = random.rows(n, d);
  const j = 5, newKey = random.row(d, 2);
  const rowWise = exponentials(query, key), columnWise = exponentials(query, key);

  const edited = key.with(j, newKey);
  const fresh = exponentials(query, edited);
  rowWise[j] = fresh[j];
  columnWise.forEach((row, i) => row[j] = fresh[i][j]);
  const truth = referenceAttention({ query, key: edited, value, scale: 1, valueDim: d }).output;

  assertGreater(largestDifference(outputOf(rowWise, value), truth), 0.1);
  assertLess(largestDifference(outputOf(columnWise, value), truth), 1e-12);

  await using live = await DynamicAttention.create({
    query,
    key,
    value,
    scale: 1,
    lazyThreshold: 1,
    onThreshold: "patch",
  });
  live.setKey(j, newKey);
  assertLess(largestDifference(rowsOf((await live.peek()).output), truth), 1e-6);
});
