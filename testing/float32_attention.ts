// Attention from scratch in plain float32, every operation rounded: what accuracy is measured against. It
// subtracts the row's largest score and has no other care.

import type { ReferenceCase } from "../src/numerics/reference.ts";
import type { Random } from "./random.ts";

const nearest = new Float32Array(1);
const bits = new Int32Array(nearest.buffer);

/**
 * Rounds to one of the two float32 numbers around `x`, to the nearer one more often: the expected result is
 * `x` (Croci, Fasi, Higham, Mary, Mikaitis, "Stochastic rounding: implementation, error analysis and
 * applications", 2022).
 */
export function roundStochastically(x: number, random: Random): number {
  nearest[0] = x;
  const rounded = nearest[0];
  if (rounded === x || !Number.isFinite(rounded)) return rounded;
  // The bits of positive numbers grow with the number, those of negative ones as it falls.
  if (rounded === 0) nearest[0] = Math.sign(x) * 2 ** -149;
  else bits[0] += (rounded < x) === (rounded > 0) ? 1 : -1;
  const other = nearest[0];
  return random.next() < (x - rounded) / (other - rounded) ? other : rounded;
}

/** The output rows of softmax(score) V, float32 throughout, where `f` rounds. */
export function float32Attention(
  question: ReferenceCase,
  f: (x: number) => number = Math.fround,
): number[][] {
  const { query, key, value, scale, valueDim, softcap = 0, biasFirst = false, bias = () => 0 } = question;
  const { sinks } = question;
  const heads = question.heads ?? 1;
  const kvHeads = question.kvHeads ?? heads;
  return query.map((q, i) => {
    const headDim = q.length / heads;
    return Array.from({ length: heads }, (_, h) => {
      const group = Math.floor(h * kvHeads / heads);
      const scores = key.map((k, j) => {
        let dot = 0;
        for (let c = 0; c < headDim; c++) dot = f(dot + f(q[h * headDim + c] * k[group * headDim + c]));
        const added = f(bias(i, j, h));
        if (added === -Infinity) return added;
        const s = f(f(f(scale) * dot) + (biasFirst ? added : 0));
        const capped = softcap > 0 ? f(softcap * f(Math.tanh(f(s / softcap)))) : s;
        return biasFirst ? capped : f(capped + added);
      });
      const sink = sinks ? f(sinks[h]) : -Infinity;
      const largest = Math.max(sink, ...scores);
      const weights = scores.map((s) => largest === -Infinity ? 0 : f(Math.exp(f(s - largest))));
      let mass = sink === -Infinity ? 0 : f(Math.exp(f(sink - largest)));
      for (const a of weights) mass = f(mass + a);
      return Array.from({ length: valueDim }, (_, c) => {
        let sum = 0;
        weights.forEach((a, j) => sum = f(sum + f(a * value[j][group * valueDim + c])));
        return mass === 0 ? 0 : f(sum / mass);
      });
    }).flat();
  });
}
