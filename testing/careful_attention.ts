// Attention in float64 with scores in two floats, and how far each row of it can be off. It is quick; where
// it is not sure enough, `exactAttention` is asked. It shares no code with the library nor with its float64
// oracle.

import type { ReferenceCase } from "../src/numerics/reference.ts";
import { exactAttention, FRACTION, squaredDistance, toFraction } from "./exact_attention.ts";

/** The unit roundoff of float64. */
const ROUNDING = 2 ** -53;
/** exp of less is 0 in float64, and no more than that beside a weight of 1. */
const VANISHED = -800;

/** An answer with what it does not know. */
export interface CarefulAnswer {
  /** m rows of H·dv numbers. */
  readonly output: number[][];
  /** How far each row can be from exact, in Euclidean distance; Infinity where it cannot tell. */
  readonly doubts: number[];
}

/** softmax(score) V. */
export function carefulAttention(question: ReferenceCase): CarefulAnswer {
  const { query, key, value, scale, valueDim, softcap = 0, bias = () => 0 } = question;
  const heads = question.heads ?? 1, kvHeads = question.kvHeads ?? heads;
  const output: number[][] = [], doubts: number[] = [];
  query.forEach((q, i) => {
    const row: number[] = [];
    let doubt = 0;
    for (let h = 0; h < heads; h++) {
      const headDim = q.length / heads, group = Math.floor(h * kvHeads / heads);
      const scores = key.map((k, j) => {
        const entry = bias(i, j, h);
        if (entry === -Infinity) return null;
        return scoreOf(q, h * headDim, k, group * headDim, headDim, scale, softcap, entry);
      });
      const head = meanOf(scores, value, group * valueDim, valueDim);
      row.push(...head.mean);
      doubt += head.doubt;
    }
    output.push(row);
    doubts.push(doubt);
  });
  return { output, doubts };
}

/** How an answer lies to its bound. */
export interface Judgement {
  readonly distance: number;
  readonly isWithin: boolean;
}

/** Whether row `i` of an answer lies within `bound` of exact attention; NaN does not. */
export function judge(
  question: ReferenceCase,
  careful: CarefulAnswer,
  i: number,
  row: ArrayLike<number>,
  bound: number,
): Judgement {
  const truth = careful.output[i], doubt = careful.doubts[i];
  const distance = Math.hypot(...truth.map((o, c) => o - row[c]));
  if (Number.isNaN(bound) || Array.from(row).some((o) => !Number.isFinite(o))) {
    return { distance, isWithin: false };
  }
  if (bound === Infinity) return { distance, isWithin: true };
  const unsure = doubt + 4 * ROUNDING * (distance + Math.hypot(...truth));
  return Math.abs(distance - bound) > unsure
    ? { distance, isWithin: distance <= bound }
    : judgeExactly(question, i, row, bound);
}

function judgeExactly(
  { query, bias = () => 0, ...rest }: ReferenceCase,
  i: number,
  row: ArrayLike<number>,
  bound: number,
): Judgement {
  const [exact] = exactAttention({ ...rest, query: [query[i]], bias: (_, j, h) => bias(i, j, h) });
  const limit = toFraction(bound);
  const distance = Math.hypot(...exact.map((o, c) => toNumber(o - toFraction(row[c]))));
  return { distance, isWithin: squaredDistance(exact, row) <= limit * limit };
}

/** A number of units of 2^−FRACTION; its first 60 bits matter. */
function toNumber(fraction: bigint): number {
  const extra = BigInt(Math.max(0, 4 * fraction.toString(16).length - 80));
  return Number(fraction >> extra) * 2 ** (Number(extra - FRACTION) + 350) * 2 ** -350;
}

/** A score as the sum of two floats, and how far that can be off. */
interface CarefulScore {
  readonly high: number;
  readonly low: number;
  readonly doubt: number;
}

function scoreOf(
  q: ArrayLike<number>,
  qAt: number,
  k: ArrayLike<number>,
  kAt: number,
  headDim: number,
  scale: number,
  softcap: number,
  entry: number,
): CarefulScore {
  let high = 0, low = 0, size = 0;
  for (let c = 0; c < headDim; c++) {
    // Two float32 numbers have a product of 48 bits.
    const product = q[qAt + c] * k[kAt + c];
    const total = high + product;
    low += sumError(high, product, total);
    high = total;
    size += Math.abs(product);
  }
  const dot = high + low;
  const scaled = scale * dot;
  let rest = productError(scale, dot, scaled) + scale * (low - (dot - high));
  let doubt = 4 * (headDim + 4) * ROUNDING * ROUNDING * scale * size;
  let top = scaled;
  if (softcap > 0) {
    // The slope of c·tanh(s/c) is at most 1.
    doubt += Math.abs(rest) + 8 * ROUNDING * Math.min(softcap, Math.abs(scaled));
    top = softcap * Math.tanh(scaled / softcap);
    rest = 0;
  }
  const total = top + entry;
  return { high: total, low: rest + sumError(top, entry, total), doubt };
}

/** Σ w_j v_j with the weights of some scores; 0 where there is none. */
function meanOf(
  scores: readonly (CarefulScore | null)[],
  value: readonly ArrayLike<number>[],
  at: number,
  valueDim: number,
): { mean: number[]; doubt: number } {
  let largest: CarefulScore | null = null;
  for (const s of scores) {
    if (s && (!largest || s.high - largest.high + (s.low - largest.low) > 0)) largest = s;
  }
  const mean = new Array<number>(valueDim).fill(0), sizes = new Array<number>(valueDim).fill(0);
  if (!largest) return { mean, doubt: 0 };
  let total = 0;
  const weights = new Float64Array(scores.length), doubts = new Float64Array(scores.length);
  for (const [j, s] of scores.entries()) {
    if (s === null) continue;
    const x = (s.high - largest.high) + (s.low - largest.low);
    const off = s === largest ? 0 : s.doubt + largest.doubt + 4 * ROUNDING * Math.abs(x);
    // Which of the two is the largest cannot be said.
    if (!(x + off <= 0.5)) return { mean, doubt: Infinity };
    weights[j] = Math.exp(x);
    doubts[j] = x + off < VANISHED ? 0 : Math.exp(x + off) - Math.exp(x - off) + 4 * ROUNDING * weights[j];
    total += weights[j];
  }
  for (let j = 0; j < scores.length; j++) {
    weights[j] /= total;
    for (let c = 0; c < valueDim; c++) {
      mean[c] += weights[j] * value[j][at + c];
      sizes[c] += weights[j] * Math.abs(value[j][at + c]);
    }
  }
  let doubt = 2 * (scores.length + 4) * ROUNDING * Math.hypot(...sizes);
  let least = total;
  for (const off of doubts) least -= off;
  if (!(least > 0.5)) return { mean, doubt: Infinity };
  for (let j = 0; j < scores.length; j++) {
    if (scores[j] === null) continue;
    const distance = Math.hypot(...mean.map((o, c) => value[j][at + c] - o));
    doubt += doubts[j] === 0 ? 0 : 2 * doubts[j] / least * distance;
  }
  return { mean, doubt };
}

/** What the rounding of a + b to `total` lost. */
function sumError(a: number, b: number, total: number): number {
  const bVirtual = total - a;
  return (a - (total - bVirtual)) + (b - bVirtual);
}

/** What the rounding of a·b to `product` lost. */
function productError(a: number, b: number, product: number): number {
  const [aHigh, aLow] = split(a), [bHigh, bLow] = split(b);
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

/** A number as the sum of two of 26 bits. */
function split(a: number): [number, number] {
  const shifted = (2 ** 27 + 1) * a;
  const high = shifted - (shifted - a);
  return [high, a - high];
}
