// Derivatives against another library's automatic differentiation: jax-js's `grad` of the same formula. It
// keeps float64 arrays, but its exp and tanh are no more exact than float32.

import { grad, init, numpy as np } from "@jax-js/jax";
import { DynamicAttention } from "../../mod.ts";
import { attentionGradients } from "../../src/learning/attention_gradients.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

const HEADS = 4, KV_HEADS = 2, D = 3, DV = 2, ROWS = 3, KEYS = 6, SCALE = 0.7, SOFTCAP = 1.5;

/** Σ g·o, head by head, as the formula says it. */
function loss(query: np.Array, key: np.Array, value: np.Array, bias: np.Array, g: np.Array): np.Array {
  const parts = Array.from({ length: HEADS }, (_, head) => {
    const keyHead = Math.floor(head * KV_HEADS / HEADS);
    const own = (rows: np.Array, at: number, width: number) =>
      rows.ref.slice([], [at * width, (at + 1) * width]);
    const product = np.matmul(own(query, head, D), np.transpose(own(key, keyHead, D)));
    const capped = np.tanh(product.mul(SCALE / SOFTCAP)).mul(SOFTCAP);
    const exponentials = np.exp(capped.add(bias.ref));
    const weighted = np.matmul(exponentials.ref, own(value, keyHead, DV));
    const mass = np.sum(exponentials, 1).reshape([ROWS, 1]);
    return np.sum(np.divide(weighted, mass).mul(own(g, head, DV)));
  });
  return parts.reduce((a, b) => a.add(b));
}

Deno.test("derivatives are those of jax-js", async () => {
  await init("cpu");
  const random = new Random(31);
  const query = random.rows(ROWS, HEADS * D), key = random.rows(KEYS, KV_HEADS * D);
  const value = random.rows(KEYS, KV_HEADS * DV), mask = random.rows(ROWS, KEYS);
  const g = random.rows(ROWS, HEADS * DV);
  const options = { heads: HEADS, kvHeads: KV_HEADS, scale: SCALE, softcap: SOFTCAP, mask };
  await using live = await DynamicAttention.create({ query, key, value, ...options });
  const actual = await attentionGradients(live, g, { bias: true });

  const array = (rows: readonly Float32Array[]) =>
    np.array(Float64Array.from(rows.flatMap((row) => [...row])), { shape: [rows.length, rows[0].length] });
  const [byQuery, byKey, byValue, byBias] = grad(loss, { argnums: [0, 1, 2, 3] })(
    ...[array(query), array(key), array(value), array(mask), array(g)] as const,
  );
  const bias = new Float64Array(ROWS * KEYS);
  // One matrix is added to all heads.
  actual.bias.data.forEach((x, at) => bias[Math.floor(at / (HEADS * KEYS)) * KEYS + at % KEYS] += x);
  let worst = 0;
  for (
    const [name, ours, theirs] of [
      ["query", actual.query.data, byQuery],
      ["key", actual.key.data, byKey],
      ["value", actual.value.data, byValue],
      ["bias", bias, byBias],
    ] as const
  ) {
    assertEquals(theirs.dtype, np.float64);
    const expected = Float64Array.from(await theirs.data());
    assertEquals(ours.length, expected.length, name);
    const size = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    ours.forEach((x, at) => {
      const error = Math.abs(x - expected[at]) / size;
      assert(error < 1e-6, `${name}[${at}] is ${x}, jax-js says ${expected[at]}`);
      worst = Math.max(worst, error);
    });
  }
  console.log(`largest relative difference from jax-js: ${worst.toExponential(1)}`);
});
