/**
 * The state of a standing query over the keys of a partition, as sums that do not depend on history.
 *
 * For a head row and the live keys j that positions allow it, with a_j = exp(s_j), the state is Σ a_j and Σ
 * a_j v_j. Each term is rounded to a grid and split into two numbers whose sums are exact in float64, so that
 * they have the same bits in whatever order terms came and went. A term that is taken out is exactly the one
 * that was added. The grid is tied to the largest terms that are live: powers of two are put into bins of
 * {@link BIN}, and the grid is that of the bin of the largest weight, or product of weight and value. When
 * that bin becomes empty, or a larger one appears, the head row is built anew.
 *
 *     x = term / 2^base, |x| ≤ 1;     high = x to multiples of 2^−30;     low = x − high to multiples of 2^−61
 *
 * With n ≤ 2^22 keys the sums of both are multiples of their unit below 2^53 units. A sum is off by at most n
 * · 2^−62 · 2^base, where some term is at least 2^(base − BIN − 2).
 *
 * Invariant: the sums are a function of the query and of the set of live keys and values, with their positions, to the bit. So
 * replicas agree whatever each of them went through: loaded, rebuilt, patched, or moved.
 *
 * Source: the idea of binned, reproducible sums: Demmel and Nguyen, "Parallel Reproducible Summation", IEEE
 * Transactions on Computers 64 (2015).
 */

import { type HeadLayout, keyColumns, keyHeadOf } from "../numerics/head_layout.ts";
import { exponentOf, powerOfTwo, shiftedExp } from "../numerics/power_shift.ts";
import { Turner } from "../numerics/rotary.ts";
import { isInReach, looksAtPositions, score, type ScoreRule } from "../numerics/score_rule.ts";
import type { BatchForms } from "./batch.ts";
import type { InitialMask } from "./initial_mask.ts";
import { pairScore, type PlacedHead } from "./pair_score.ts";

/** Powers of two in a bin. */
const BIN = 8;
/** Beyond this float64 has no powers of two but those with which bins begin. */
const LARGE_BIN = 2 ** 52;
/** Beyond this the shift of products may be no number of float64, so that its last digits are in the sums. */
const LARGE_PRODUCT = 2 ** 49;
/** With more keys the sums would not be exact. */
export const MOST_KEYS = 2 ** 22;
// Adding and subtracting one of these rounds to the multiples of its last bit, 2^−30 and 2^−61.
const HIGH = 1.5 * 2 ** 22, LOW = 1.5 * 2 ** -9;
/** The shift of products where all values are 0; that of a bin is odd. */
export const NO_PRODUCTS = 0;
/** The bound on the rounding of a term that enters a sum, in units of 2^base. */
export const GRID_ROUNDING = 2 ** -62;

/** The parts of a score. */
export interface Scoring {
  readonly layout: HeadLayout;
  readonly scale: number;
  readonly softcap: number;
  /** The rules beside these two, which it has, too; not there where there are none. */
  readonly rule?: ScoreRule;
  /** Whether pairs have masks; they have none unless given. */
  readonly isMasked?: boolean;
  /** Whether the masks stay as the cluster was made. */
  readonly isMaskFixed?: boolean;
  /** Masks of a pair: H where they differ by head, 1 unless given. */
  readonly maskHeads?: number;
  /** The mask with which the cluster was made. */
  readonly initialMask?: InitialMask;
}

/** The rule by which rows have positions; null where they have none. */
export function placesOf({ rule }: Scoring): ScoreRule | null {
  return rule !== undefined && looksAtPositions(rule) ? rule : null;
}

/** Whether edits may say something of pairs. */
export function hasMaskEdits({ isMasked = false, isMaskFixed = false }: Scoring): boolean {
  return isMasked && !isMaskFixed;
}

/** The forms of edits that a cluster has. */
export function formsOf(scoring: Scoring): BatchForms {
  const { maskHeads = 1 } = scoring;
  return { places: placesOf(scoring), hasMaskEdits: hasMaskEdits(scoring), maskHeads };
}

/** Keys with their values: slot j has the row [key | value] from `j · width` on. */
export interface SummedKeys {
  /** Slots that were ever in use. */
  readonly size: number;
  readonly width: number;
  readonly rows: Float32Array;
  readonly isLive: Uint8Array;
  /**
   * For each slot and key head, the exponent of the largest number of its value; see {@link valueExponent}.
   */
  readonly exponents: Int16Array;
  /** For each slot the position of its key; empty where no rule looks at positions. */
  readonly positions: Float64Array;
  /** For each slot the biases of its key with the query by masks, one for each mask of a pair; null without any. */
  readonly biases: Float64Array | null;
}

/** The exponent that stands for a value of zeros. */
export const NO_EXPONENT = -32768;

/** ⌊log2⌋ of the largest number in a part of a row, {@link NO_EXPONENT} if all are 0. */
export function valueExponent(rows: Float32Array, start: number, count: number): number {
  let largest = 0;
  for (let at = start; at < start + count; at++) largest = Math.max(largest, Math.abs(rows[at]));
  if (largest === 0) return NO_EXPONENT;
  let exponent = Math.floor(Math.log2(largest));
  // The logarithm may be rounded to the next whole number.
  if (2 ** exponent > largest) exponent--;
  else if (2 ** (exponent + 1) <= largest) exponent++;
  return exponent;
}

/** Numbers of a head in a state that is sent: shift and mass, shift and sums. */
export function stateColumns({ heads, valueDim }: HeadLayout): number {
  return heads * (valueDim + 3);
}

/** A key with its value, or what was one, as a term of sums. Its owner writes the next one over it. */
export interface KeyTerm {
  rows: Float32Array;
  /** Where its row begins in `rows`. */
  start: number;
  /** As those of {@link SummedKeys}, from `exponentsAt` on. */
  exponents: Int16Array;
  exponentsAt: number;
  position: number;
  /** As those of {@link SummedKeys}, from `biasesAt` on. */
  biases: Float64Array | null;
  biasesAt: number;
}

const NONE = -Infinity;

/** The sums of one query. */
export class ExactSums {
  readonly #scoring: Scoring;
  readonly #query: Float64Array;
  /** null where the score of a pair is one of its rows alone. */
  readonly #rule: ScoreRule | null;
  /** The heads as they lie; empty without such a rule. */
  readonly #heads: (PlacedHead & { position: number })[] = [];
  /** For each head: the high and low sums of dv products, then those of the weights. */
  readonly #high: Float64Array;
  readonly #low: Float64Array;
  /** For each head the bin of the largest weight, the number of keys in it, and likewise for products. */
  readonly #massBin: Float64Array;
  readonly #massCount: Float64Array;
  readonly #valueBin: Float64Array;
  readonly #valueCount: Float64Array;
  /** The number of a product's bin is the sum of these two, of which float64 may not have the sum. */
  readonly #valueRest: Float64Array;
  readonly #masks: number;
  readonly #isLost: Uint8Array;
  /** The number of changes that the sums include, as the owner counts them. */
  changes = 0;

  /** @param query H·d numbers, as they are before they are turned. */
  constructor(scoring: Scoring, query: Float32Array, position = 0) {
    const { heads, headDim, valueDim } = scoring.layout;
    this.#scoring = scoring;
    this.#rule = placesOf(scoring) ?? (scoring.isMasked ? scoring.rule ?? boundless(scoring) : null);
    this.#query = Float64Array.from(turnedRow(scoring, query, heads, position));
    for (let head = 0; this.#rule !== null && head < heads; head++) {
      const own = this.#query.subarray(head * headDim, (head + 1) * headDim);
      this.#heads.push({ head, query: own, position });
    }
    this.#high = new Float64Array(heads * (valueDim + 1));
    this.#low = new Float64Array(heads * (valueDim + 1));
    this.#massBin = new Float64Array(heads).fill(NONE);
    this.#massCount = new Float64Array(heads);
    this.#valueBin = new Float64Array(heads).fill(NONE);
    this.#valueCount = new Float64Array(heads);
    this.#valueRest = new Float64Array(heads);
    this.#masks = scoring.maskHeads ?? 1;
    this.#isLost = new Uint8Array(heads).fill(1);
  }

  /** Bytes of the sums. */
  get bytes(): number {
    return 16 * this.#high.length + 8 * this.#query.length + 41 * this.#isLost.length;
  }

  /** ‖q‖, which bounds scores. */
  get norm(): number {
    let sum = 0;
    for (const x of this.#query) sum += x * x;
    return Math.sqrt(sum);
  }

  /** Whether some head has to be built. */
  get isLost(): boolean {
    return this.#isLost.includes(1);
  }

  /** Forgets the sums; the next `build` makes them anew. */
  lose(): void {
    this.#isLost.fill(1);
  }

  /** Adds (1) or takes out (−1) a key. */
  change(sign: 1 | -1, { rows, start, exponents, exponentsAt, position, biases, biasesAt }: KeyTerm): void {
    const { layout } = this.#scoring, { heads, valueDim } = layout, masks = this.#masks;
    const values = start + keyColumns(layout);
    for (let head = 0; head < heads; head++) {
      if (this.#isLost[head] === 1) continue;
      const bias = biases === null ? 0 : biases[biasesAt + (masks === 1 ? 0 : head)];
      const keyHead = keyHeadOf(layout, head), s = this.scoreOf(head, rows, start, position, bias);
      if (s === -Infinity) continue;
      const exponent = exponents[exponentsAt + keyHead];
      if (this.#count(head, s, exponent, sign)) {
        this.#add(head, sign, s, exponent, rows, values + keyHead * valueDim);
      } else this.#isLost[head] = 1;
    }
  }

  /** Builds the heads that are lost. `scratch` has room for a number a slot. */
  build(keys: SummedKeys, scratch: Float64Array): void {
    for (let head = 0; head < this.#isLost.length; head++) {
      if (this.#isLost[head] === 1) this.#buildHead(head, keys, scratch);
    }
  }

  /** Writes the state of all heads: for each the shift and the mass, the shift of the sums, and dv sums. */
  write(target: Float64Array, offset: number): void {
    const { heads, valueDim } = this.#scoring.layout;
    for (let head = 0, at = offset; head < heads; head++) {
      const from = head * (valueDim + 1);
      target[at++] = massBase(this.#massBin[head]);
      target[at++] = this.#high[from + valueDim] + this.#low[from + valueDim];
      const bin = this.#valueBin[head], isLarge = isLargeProduct(bin);
      target[at++] = isLarge ? bin * BIN : valueBase(bin);
      const factor = isLarge ? powerOfTwo(valueBase(this.#valueRest[head])) : 1;
      for (let c = 0; c < valueDim; c++) {
        target[at++] = factor * (this.#high[from + c] + this.#low[from + c]);
      }
    }
  }

  /**
   * Moves the query, whose pairs keep their scores: keys that come into its reach are added, those that leave it
   * are taken out. O(n) comparisons of positions, and what a change costs for each of these keys.
   */
  move(position: number, { size, width, rows, isLive, exponents, positions, biases }: SummedKeys): void {
    const rule = this.#rule, from = this.#heads[0]?.position ?? 0, { kvHeads } = this.#scoring.layout;
    if (rule === null) return;
    const term = { rows, start: 0, exponents, exponentsAt: 0, position: 0, biases, biasesAt: 0 };
    // Keys come before others leave, so that a head row does not seem empty in between.
    for (const sign of [1, -1] as const) {
      this.#place(sign === 1 ? position : from);
      for (let slot = 0; slot < size; slot++) {
        if (isLive[slot] === 0) continue;
        const was = isInReach(rule, from, positions[slot]), is = isInReach(rule, position, positions[slot]);
        if (was === is || is !== (sign === 1)) continue;
        term.start = slot * width;
        term.exponentsAt = slot * kvHeads;
        term.position = positions[slot];
        term.biasesAt = slot * this.#masks;
        this.change(sign, term);
      }
    }
    this.#place(position);
  }

  #place(position: number): void {
    for (const head of this.#heads) head.position = position;
  }

  /**
   * The score of a head with the key at `start` of `rows`, which lies at `position` and has a bias by a mask; −∞
   * where the pair is forbidden.
   */
  scoreOf(head: number, rows: Float32Array, start: number, position = 0, bias = 0): number {
    const { layout, scale, softcap } = this.#scoring, { heads, headDim } = layout;
    const at = start + keyHeadOf(layout, head) * headDim;
    if (this.#rule !== null) return pairScore(this.#rule, this.#heads[head], rows, at, position, bias);
    const query = heads === 1 ? this.#query : this.#query.subarray(head * headDim, (head + 1) * headDim);
    return score(query, rows, at, headDim, scale, softcap);
  }

  #buildHead(head: number, keys: SummedKeys, scores: Float64Array): void {
    const { layout, scale, softcap } = this.#scoring, { headDim, valueDim, kvHeads } = layout;
    const keyHead = keyHeadOf(layout, head),
      { size, width, rows, isLive, exponents, positions, biases } = keys;
    const query = this.#query.subarray(head * headDim, (head + 1) * headDim);
    const rule = this.#rule, placed = this.#heads[head], hasPlaces = positions.length > 0;
    const from = head * (valueDim + 1);
    this.#high.fill(0, from, from + valueDim + 1);
    this.#low.fill(0, from, from + valueDim + 1);
    const masks = this.#masks, mask = masks === 1 ? 0 : head;
    let massBin = NONE, massCount = 0, valueBin = NONE, valueRest = 0, valueCount = 0;
    for (let slot = 0; slot < size; slot++) {
      if (isLive[slot] === 0) continue;
      const start = slot * width + keyHead * headDim;
      const s = rule === null ? score(query, rows, start, headDim, scale, softcap) : pairScore(
        rule,
        placed,
        rows,
        start,
        hasPlaces ? positions[slot] : 0,
        biases === null ? 0 : biases[slot * masks + mask],
      );
      scores[slot] = s;
      if (s === -Infinity) continue;
      const power = exponentOf(s), bin = Math.floor(power / BIN);
      if (bin > massBin) [massBin, massCount] = [bin, 1];
      else if (bin === massBin) massCount++;
      const exponent = exponents[slot * kvHeads + keyHead];
      if (exponent === NO_EXPONENT) continue;
      const above = Math.floor((power - BIN * bin + exponent) / BIN);
      const product = bin + above, rest = above - (product - bin);
      if (product > valueBin || (product === valueBin && rest > valueRest)) {
        [valueBin, valueRest, valueCount] = [product, rest, 1];
      } else if (product === valueBin && rest === valueRest) valueCount++;
    }
    this.#massBin[head] = massBin;
    this.#massCount[head] = massCount;
    this.#valueBin[head] = valueBin;
    this.#valueRest[head] = valueRest;
    this.#valueCount[head] = valueCount;
    this.#isLost[head] = 0;
    const values = keyColumns(layout) + keyHead * valueDim;
    for (let slot = 0; slot < size; slot++) {
      if (isLive[slot] === 0 || scores[slot] === -Infinity) continue;
      this.#add(head, 1, scores[slot], exponents[slot * kvHeads + keyHead], rows, slot * width + values);
    }
  }

  /** Counts a term in its bins; false where the grid is no longer the right one. */
  #count(head: number, s: number, exponent: number, sign: 1 | -1): boolean {
    const power = exponentOf(s), bin = Math.floor(power / BIN);
    if (bin > this.#massBin[head]) return false;
    if (bin === this.#massBin[head] && (this.#massCount[head] += sign) === 0) return false;
    if (exponent === NO_EXPONENT) return true;
    // The sum of bin and `above`, and the digits that it has lost: together they are exact.
    const above = Math.floor((power - BIN * bin + exponent) / BIN);
    const product = bin + above, rest = above - (product - bin), largest = this.#valueBin[head];
    if (product !== largest) return product < largest;
    if (rest !== this.#valueRest[head]) return rest < this.#valueRest[head];
    return (this.#valueCount[head] += sign) !== 0;
  }

  /** Adds a term to the sums or takes it out. */
  #add(head: number, sign: 1 | -1, s: number, exponent: number, rows: Float32Array, values: number): void {
    const { valueDim } = this.#scoring.layout, high = this.#high, low = this.#low;
    const from = head * (valueDim + 1), last = from + valueDim;
    const weight = shiftedExp(s, massBase(this.#massBin[head]));
    const h = (weight + HIGH) - HIGH;
    high[last] += sign * h;
    low[last] += sign * ((weight - h + LOW) - LOW);
    if (exponent === NO_EXPONENT) return;
    const bin = this.#valueBin[head];
    const factor = isLargeProduct(bin)
      ? shiftedExp(s, bin * BIN) * powerOfTwo(-valueBase(this.#valueRest[head]))
      : shiftedExp(s, valueBase(bin));
    for (let c = 0; c < valueDim; c++) {
      const x = factor * rows[values + c], high1 = (x + HIGH) - HIGH;
      high[from + c] += sign * high1;
      low[from + c] += sign * ((x - high1 + LOW) - LOW);
    }
  }
}

/** The first `heads` heads of a row as they are multiplied: turned by its position, where there are rotary positions. */
export function turnedRow(
  { layout, rule }: Scoring,
  row: Float32Array,
  heads: number,
  position: number,
): Float32Array {
  if (rule?.rotary === undefined) return row;
  const turned = row.slice();
  new Turner(rule.rotary, layout).turn(turned, 0, heads, position);
  return turned;
}

/** The rule of a cluster that has masks and no other rule. */
function boundless({ scale, softcap }: Scoring): ScoreRule {
  return { scale, softcap, before: Infinity, after: Infinity };
}

/** The shift of weights whose largest is in a bin: none is above 2^shift, up to rounding. */
function massBase(bin: number): number {
  if (Math.abs(bin) > LARGE_BIN) return bin === NONE ? 0 : bin * BIN;
  return (bin + 1) * BIN;
}

/** Whether the shift of products of a bin is given as its beginning, and the rest of it is in their sums. */
function isLargeProduct(bin: number): boolean {
  return Math.abs(bin) > LARGE_PRODUCT && bin !== NONE;
}

/** The shift of products: a weight is below 2^(power + 1), a value below 2^(exponent + 1). */
function valueBase(bin: number): number {
  return bin === NONE ? NO_PRODUCTS : (bin + 1) * BIN + 1;
}
