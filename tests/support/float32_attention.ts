// Attention from scratch in plain float32, every operation rounded: what accuracy is measured against. It
// subtracts the row's largest score and has no other care.

import type { ReferenceCase } from "../../src/core/reference.ts";

const f = Math.fround;

/** The output rows of softmax(scale · Q Kᵀ) V, float32 throughout. */
export function float32Attention({ query, key, value, scale, valueDim }: ReferenceCase): number[][] {
  return query.map((q) => {
    const scores = key.map((k) => {
      let dot = 0;
      for (let c = 0; c < q.length; c++) dot = f(dot + f(q[c] * k[c]));
      return f(f(scale) * dot);
    });
    const largest = Math.max(...scores);
    const weights = scores.map((s) => f(Math.exp(f(s - largest))));
    let mass = 0;
    for (const a of weights) mass = f(mass + a);
    return Array.from({ length: valueDim }, (_, c) => {
      let sum = 0;
      weights.forEach((a, j) => sum = f(sum + f(a * value[j][c])));
      return mass === 0 ? 0 : f(sum / mass);
    });
  });
}
