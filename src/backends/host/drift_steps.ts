/**
 * What one changed key can do to the outputs of a block of query slots, for all blocks of one head: the loops
 * of the drift ledger. `docs/internals/certificates.md` has the proofs; the letters are the ones there.
 *
 * A *step* is the change of one key. In a block B let w̄ be a bound on the weight that any of its rows gives
 * the key just before the step, a_B the largest |scale|·‖q‖ of its rows, D a diameter of all values. A key
 * that moves by Δk changes its scores by at most x = a_B‖Δk‖, so its weight, relative to the others, by a
 * factor within e^±x.
 */

import { codeOfLog, WEIGHTS, type WeightTable } from "./weight_table.ts";

/** What is known of the blocks of one head. */
export interface BlockDrift {
  readonly table: WeightTable;
  /** a_B, the largest |scale|·‖q‖. */
  reach: Float64Array;
  /** How much the weights of keys that stayed may have grown since they were noted: a factor ≥ 1. */
  growth: Float64Array;
  /** C_B: how far the exact outputs can have moved, altogether. */
  drift: Float64Array;
  /** No exact output is further from the centre than this and C_B together. */
  centred: Float64Array;
  /**
   * A bound from below on the log-sum-exps of the rows when weights were noted; −∞ with a row that sees no
   * key, ∞ without rows.
   */
  leastLog: Float64Array;
  /** Blocks in use. */
  count: number;
}

/** How a key moves, or where it was when it goes. */
export interface KeyMove {
  /** How far it has moved since its weights were noted. */
  path: number;
  /** ‖Δk‖ and ‖Δv‖. */
  keyShift: number;
  valueShift: number;
  /** The distance of its value before from the centre. */
  distance: number;
}

/** Sizes of values, of one key head. */
export interface ValueSizes {
  /** No two values are further apart. */
  readonly diameter: number;
  /** No step moves an output further: covers the outputs 0 of rows that see no key. */
  readonly furthest: number;
}

/**
 * Up to it, x + 0.65x² ≥ e^x − 1 is used: the next terms of the series are less than what the square leaves.
 */
const SMALL = 0.25;
/** Covers what some operations on non-negative numbers round. */
const UP = 1 + 2 ** -48;

/** The key in a slot moves. */
export function moveKey(
  blocks: BlockDrift,
  slot: number,
  { path, keyShift, valueShift, distance }: KeyMove,
  { diameter, furthest }: ValueSizes,
): void {
  const { reach, growth, drift, centred, count, table: { codes, stride } } = blocks;
  const start = slot * stride, largestWeight = WEIGHTS;
  // One loop without calls: it runs for every changed key.
  for (let b = 0; b < count; b++) {
    const code = codes[start + b];
    if (code === 0) continue;
    const a = reach[b], moved = a * path, x = a * keyShift, before = growth[b];
    let w = largestWeight[code] * before *
      (moved < SMALL ? 1 + moved * (1 + 0.65 * moved) : Math.exp(moved) * UP);
    if (w > 1) w = 1;
    const gained = x < SMALL ? x * (1 + 0.65 * x) : Math.expm1(x) * UP;
    const left = 1 - w * (x < 1 ? x : 1);
    let step = furthest;
    if (left > 0) {
      // ‖v − o‖, by way of the centre.
      let away = distance + centred[b] + drift[b];
      if (away > diameter) away = diameter;
      const kept = UP / left, bound = w * (gained * away + (1 + gained) * valueShift) * kept;
      if (bound < step) step = bound;
      growth[b] = before * kept;
    } else growth[b] = Infinity;
    drift[b] = (drift[b] + step) * UP;
  }
}

/** The key in a slot goes. */
export function dropKey(
  blocks: BlockDrift,
  slot: number,
  { path, distance }: KeyMove,
  { diameter, furthest }: ValueSizes,
): void {
  const { reach, growth, drift, centred, count, table: { codes, stride } } = blocks;
  const start = slot * stride;
  for (let b = 0; b < count; b++) {
    const code = codes[start + b];
    if (code === 0) continue;
    codes[start + b] = 0;
    const w = weightBound(code, growth[b], reach[b] * path);
    takeStep(blocks, b, w * Math.min(diameter, distance + centred[b] + drift[b]), 1 - w, furthest);
  }
}

/** w̄ of a key with this code, whose scores have changed by at most `moved` since it was noted. */
function weightBound(code: number, growth: number, moved: number): number {
  const w = WEIGHTS[code] * growth * (moved < SMALL ? 1 + moved * (1 + 0.65 * moved) : Math.exp(moved) * UP);
  return w < 1 ? w : 1;
}

/**
 * A step of at most `moved` / `left`, where `left` is a bound from below on the share of the mass that stays.
 */
function takeStep(
  { growth, drift }: BlockDrift,
  b: number,
  moved: number,
  left: number,
  furthest: number,
): void {
  let step = furthest;
  if (left > 0) {
    const bound = moved / left;
    if (bound < step) step = bound;
    growth[b] *= UP / left;
  } else {
    growth[b] = Infinity;
  }
  drift[b] = (drift[b] + step) * UP;
}

/** How large the score of a key that comes can be. */
export interface ScoreCeiling {
  /** c of the softcap; Infinity without one. */
  readonly cap: number;
  /** Whether biases are added before the cap. */
  readonly isBiasCapped: boolean;
}

/** A key that comes. */
export interface NewKey {
  /** ‖k‖. */
  norm: number;
  /** No row's bias of it is larger. */
  bias: number;
  /** The distance of its value from the centre. */
  distance: number;
}

/** A key comes into an empty slot. */
export function addKey(
  blocks: BlockDrift,
  slot: number,
  { norm, bias, distance }: NewKey,
  { cap, isBiasCapped }: ScoreCeiling,
  { diameter, furthest }: ValueSizes,
): void {
  if (bias === -Infinity) return;
  const { reach, growth, drift, centred, leastLog, count, table } = blocks;
  for (let b = 0; b < count; b++) {
    const least = leastLog[b];
    if (least === Infinity) continue;
    const product = reach[b] * norm;
    const score = isBiasCapped ? Math.min(product + bias, cap) : Math.min(product, cap) + bias;
    // This is its weight beside the others: exp(score) over at least exp(leastLog) / growth.
    const odds = growth[b] < Infinity ? Math.exp(score - least) * growth[b] * SLACK : Infinity;
    const share = odds < Infinity ? odds / (1 + odds) : 1;
    const away = Math.min(diameter, distance + centred[b] + drift[b]);
    const step = least === -Infinity ? furthest : Math.min(furthest, share * away);
    table.raise(slot, b, codeOfLog(Math.log(share / growth[b])));
    drift[b] = (drift[b] + step) * UP;
  }
}

/** Covers the rounding of a score, a logarithm and an exponential. */
const SLACK = 1 + 2 ** -20;
