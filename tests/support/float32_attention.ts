// Attention from scratch in plain float32, every operation rounded: what accuracy is measured against. It
// subtracts the row's largest score and has no other care.

import type { ReferenceCase } from "../../src/core/reference.ts";

const f = Math.fround;

/** The output rows of softmax(score) V, float32 throughout. */
export function float32Attention(question: ReferenceCase): number[][] {
  const { query, key, value, scale, valueDim, softcap = 0, bias = () => 0 } = question;
  const heads = question.heads ?? 1;
  const kvHeads = question.kvHeads ?? heads;
  return query.map((q, i) => {
    const headDim = q.length / heads;
    return Array.from({ length: heads }, (_, h) => {
      const group = Math.floor(h * kvHeads / heads);
      const scores = key.map((k, j) => {
        let dot = 0;
        for (let c = 0; c < headDim; c++) dot = f(dot + f(q[h * headDim + c] * k[group * headDim + c]));
        const s = f(f(scale) * dot);
        return f((softcap > 0 ? f(softcap * f(Math.tanh(f(s / softcap)))) : s) + f(bias(i, j, h)));
      });
      const largest = Math.max(...scores);
      const weights = scores.map((s) => largest === -Infinity ? 0 : f(Math.exp(f(s - largest))));
      let mass = 0;
      for (const a of weights) mass = f(mass + a);
      return Array.from({ length: valueDim }, (_, c) => {
        let sum = 0;
        weights.forEach((a, j) => sum = f(sum + f(a * value[j][group * valueDim + c])));
        return mass === 0 ? 0 : f(sum / mass);
      });
    }).flat();
  });
}
