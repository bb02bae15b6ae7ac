// Attention in exact arithmetic, for answers that lie so close to their bound that float64 cannot tell on
// which side. It shares no code with the library nor with its float64 oracle.
//
// Invariant: outputs are right to 2⁻⁵⁰⁰, absolutely, for values of float32's range and any scores.

import type { ReferenceCase } from "../src/numerics/reference.ts";
import { magnitudeOf, toExact } from "./exact.ts";

/** Outputs and weights are whole numbers of 2^−FRACTION. */
export const FRACTION = 700n;

/** `toExact` counts in units of 2^−1074. */
const UNIT = 1074n;
const ONE = 1n << FRACTION;
/** Bits beyond `FRACTION` in between: exp squares what it has some twelve times. */
const GUARD = 64n;
const FINE = FRACTION + GUARD;

/** A number n·2^−scale. */
interface Dyadic {
  readonly n: bigint;
  readonly scale: bigint;
}

/** softmax(score) V, as whole numbers of 2^−FRACTION; rows of H·dv. */
export function exactAttention(question: ReferenceCase): bigint[][] {
  const { query, key, value, scale, valueDim, softcap = 0, bias = () => 0 } = question;
  const heads = question.heads ?? 1, kvHeads = question.kvHeads ?? heads;
  return query.map((q, i) =>
    Array.from({ length: heads }, (_, h) => {
      const headDim = q.length / heads, group = Math.floor(h * kvHeads / heads);
      const scores = key.map((k, j) => {
        const entry = bias(i, j, h);
        if (entry === -Infinity) return null;
        let dot = 0n;
        for (let c = 0; c < headDim; c++) {
          dot += toExact(q[h * headDim + c]) * toExact(k[group * headDim + c]);
        }
        const scaled = { n: dot * toExact(scale), scale: 3n * UNIT };
        return sum(softcap > 0 ? capped(scaled, softcap) : scaled, { n: toExact(entry), scale: UNIT });
      });
      const largest = scores.reduce((a, b) => a === null || (b !== null && isLess(a, b)) ? b : a, null);
      if (largest === null) return new Array<bigint>(valueDim).fill(0n);
      const weights = scores.map((s) => s === null ? 0n : expOf(difference(s, largest)));
      const total = weights.reduce((a, b) => a + b, 0n);
      return Array.from({ length: valueDim }, (_, c) => {
        let weighted = 0n;
        weights.forEach((weight, j) => weighted += weight * toExact(value[j][group * valueDim + c]));
        return ((weighted << FRACTION) / total) >> UNIT;
      });
    }).flat()
  );
}

/** ‖a − b‖² in units of 2^−2·FRACTION, for an exact row and one of float numbers. */
export function squaredDistance(exact: readonly bigint[], row: ArrayLike<number>): bigint {
  return exact.reduce((total, o, c) => {
    const apart = o - toFraction(row[c]);
    return total + apart * apart;
  }, 0n);
}

/** A number in units of 2^−FRACTION, its smallest bits cut off. */
export function toFraction(x: number): bigint {
  return toExact(x) >> (UNIT - FRACTION);
}

/** exp(x) for x ≤ 0, in units of 2^−FRACTION. */
function expOf({ n, scale }: Dyadic): bigint {
  // Below that the result is 0 in these units.
  if (magnitudeOf(n) >> scale > FRACTION) return 0n;
  const x = scale > FINE ? n >> (scale - FINE) : n << (FINE - scale);
  // exp(x) = exp(x / 2¹²)^(2¹²)
  const small = x >> 12n;
  let term = 1n << FINE, total = term;
  for (let k = 1n; term !== 0n && term !== -1n; k++) {
    term = (term * small >> FINE) / k;
    total += term;
  }
  for (let k = 0; k < 12; k++) total = total * total >> FINE;
  return total >> GUARD;
}

/** c·tanh(s/c). */
function capped({ n, scale }: Dyadic, softcap: number): Dyadic {
  const c = toExact(softcap);
  // exp(−2|s|/c), of which tanh is (1 − e) / (1 + e).
  const exponent = (2n * magnitudeOf(n) << (FINE + UNIT)) / (c << scale);
  const e = expOf({ n: -exponent, scale: FINE });
  const tanh = ((ONE - e) << FINE) / (ONE + e);
  return { n: (n < 0n ? -tanh : tanh) * c, scale: FINE + UNIT };
}

function sum(a: Dyadic, b: Dyadic): Dyadic {
  if (a.scale < b.scale) return sum(b, a);
  return { n: a.n + (b.n << (a.scale - b.scale)), scale: a.scale };
}

function difference(a: Dyadic, b: Dyadic): Dyadic {
  return sum(a, { n: -b.n, scale: b.scale });
}

function isLess(a: Dyadic, b: Dyadic): boolean {
  return difference(a, b).n < 0n;
}
