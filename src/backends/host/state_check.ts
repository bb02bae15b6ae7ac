/**
 * Whether the states of a snapshot are those of the rows beside them. A checksum tells damage, not a file that somebody made
 * or changed: a state that belongs to other keys would answer wrongly for as long as it is patched.
 *
 * A state is a sum over all keys, so nothing less than all keys can tell whether it is right: its row is computed from
 * scratch, in float64, and compared within what the state's own ledger and, on backends that compute weights in float32,
 * the proven rounding of weights allow. That takes O(n (d + dv)) a row. `budget` bounds it: where not all rows can be
 * computed for that, some are, which nobody can foresee.
 */

import type { Changes, RowChanges } from "../backend.ts";
import {
  type HeadLayout,
  keyColumns,
  keyHeadOf,
  queryColumns,
  valueColumns,
} from "../../numerics/head_layout.ts";
import { isTrusted } from "../../numerics/rounding_ledger.ts";
import type { ScoreRule } from "../../numerics/score_rule.ts";
import { FormatError } from "../../base/errors.ts";
import { type SavedArrays, takeAnyNumbers } from "../../base/saved_array.ts";
import { KeyReach, STEEP_SCORE } from "./key_reach.ts";
import { weightRounding } from "./weight_rounding.ts";
import type { KeyBlock } from "./key_block.ts";
import { Kernels } from "./kernels.ts";
import { RowStates } from "./row_states.ts";
import { StateReader } from "./state_reader.ts";

/** What states must agree with. */
export interface StateContent {
  readonly layout: HeadLayout;
  readonly rule: ScoreRule;
  readonly tolerance: number;
  /** All slots of the snapshot; the bias is that of the keys. */
  readonly changes: Changes;
}

/** The tolerance below which float32 sums prove nothing, with what a device may round when it compares. */
const FLOAT32_TOLERANCE = 1.01e-5;
/** What a device may charge a key of a row that it builds, of itself: not all of them keep sums in two floats. */
const PLAIN_CHARGE = 2 ** -22, FEW_KEYS = 8;
/** What kernels in float32 charge a key of a row that they build, at most, for what is below the normal numbers. */
const SUBNORMAL_CHARGE = 2 ** -110;
/** Weights that may be off by so much of themselves leave nothing to compare. */
const WORTHLESS = 0.5;
/** Covers the float64 arithmetic of the comparison. */
const SLACK = 1 + 2 ** -20, EXACT_ROUNDING = 2 ** -40;
/** An exponential and what is done once a key, in multiply-adds. */
const PAIR_COST = 20;

/**
 * Refuses states that no backend can have had of these rows.
 *
 * @param budget How many multiply-adds may be spent.
 * @returns Query slots whose scores are so large that float32 hardly knows them: nothing can be said of their states, which
 * must be computed anew.
 * @throws {FormatError} When one of those that were computed is another one.
 */
export function checkStates(
  operation: string,
  states: SavedArrays,
  content: StateContent,
  budget: number,
): Uint32Array {
  const { layout: { heads, headDim, valueDim }, changes: { keys, queries } } = content;
  const reader = new StateReader(operation, states, content.layout, queries.slots.length);
  const block = toBlock(keys, content.layout);
  checkBalls(operation, states, content.layout, block);
  const sizes = measure(block, content.layout);
  const reach = toReach(operation, states, content, sizes);
  const judge = new RowJudge(content, block, sizes, reach, Object.hasOwn(states, "device"));
  reader.check(queries.live, (row) => reader.ceiling !== null && judge.isSteep(row));
  const rows = liveRows(queries.live, heads).filter((row) => !reader.isLeftOut(row));
  const isBlind = (row: number) => reader.ceiling !== null && judge.isBlind(row);
  const cost = Math.max(1, block.count) * (3 * headDim + 2 * valueDim + PAIR_COST);
  const judged = rows.filter((row) => !isBlind(row));
  for (const row of someOf(judged, Math.max(1, Math.floor(budget / cost)))) {
    if (judge.agrees(row, reader)) continue;
    throw new FormatError(
      operation,
      `state of query ${Math.floor(row / heads)}, head ${row % heads} is not that of the keys`,
      "sums over the keys of the file",
    );
  }
  return Uint32Array.from(new Set(rows.filter(isBlind).map((row) => Math.floor(row / heads))));
}

/** Computes rows from scratch and compares. */
class RowJudge {
  readonly #content: StateContent;
  readonly #block: KeyBlock;
  readonly #kernels: Kernels;
  readonly #reach: KeyReach;
  readonly #fresh: RowStates;
  readonly #maskHeads: number;
  readonly #sizes: Sizes;
  /** Of rows whose sums may be plain. */
  readonly #plainBound: number;

  constructor(content: StateContent, block: KeyBlock, sizes: Sizes, reach: KeyReach, isOfDevice: boolean) {
    const { layout, rule, changes: { queries } } = content;
    this.#content = content;
    this.#block = block;
    this.#reach = reach;
    this.#kernels = new Kernels(layout, rule);
    this.#kernels.reserve(block.count, 0);
    this.#fresh = new RowStates(layout.valueDim + 2, 1);
    this.#maskHeads = block.bias ? block.biasStride / queries.slots.length : 0;
    this.#sizes = sizes;
    this.#plainBound = isOfDevice ? PLAIN_CHARGE * (block.count + FEW_KEYS) : 0;
  }

  /** Whether kernels in float32 leave a row alone, since its keys or values are too large. */
  isSteep(row: number): boolean {
    const { layout } = this.#content;
    return this.#reach.isSteep(this.#normOf(row), keyHeadOf(layout, row % layout.heads));
  }

  #normOf(row: number): number {
    const { layout: { headDim }, changes: { queries } } = this.#content;
    return lengthOf(queries.rows, row * headDim, headDim);
  }

  /** Whether float32 hardly knows a row's scores, so that any sums could be its own. */
  isBlind(row: number): boolean {
    return this.#roundingOf(row, 0) >= WORTHLESS && !this.isSteep(row);
  }

  /** Whether what a reader has of a row can be its state. */
  agrees(row: number, reader: StateReader): boolean {
    const { layout, layout: { heads }, tolerance, changes: { queries } } = this.#content;
    const slot = Math.floor(row / heads), head = row % heads;
    const isExact = reader.ceiling === null;
    if (!isExact && this.isSteep(row)) return true;

    const biasColumn = slot * this.#maskHeads + (this.#maskHeads > 1 ? head : 0);
    const offset = slot * queryColumns(layout);
    this.#kernels.select(queries.rows, offset, head, queries.positions[slot], biasColumn);
    reader.read(row);
    const { state } = reader, total = this.#kernels.total(state, 0, this.#block, null);
    if (!state.heavyScores.subarray(0, state.heavyCount[0]).every(Number.isFinite)) return false;
    // Such a row is answered from its keys.
    if (!isExact && total.mass > 0 && Math.abs(total.shift) >= STEEP_SCORE) return true;
    const bound = isExact ? tolerance : Math.max(tolerance, FLOAT32_TOLERANCE, this.#plainBound);
    const charge = isExact ? 0 : SUBNORMAL_CHARGE * (this.#block.count + 1);
    const floors = {
      ofMass: charge,
      ofSums: charge * Math.max(1, this.#sizes.magnitudes[keyHeadOf(layout, head)]),
    };
    const { mass, massError, sumError, sums } = total;
    const magnitude = sums[sums.length - 1];
    if (!isTrusted(massError - floors.ofMass, mass, sumError - floors.ofSums, magnitude, bound)) return false;
    const rounding = (logSumExp: number) => isExact ? EXACT_ROUNDING : this.#roundingOf(row, logSumExp);
    const weights = rounding(total.logSumExp());
    return this.#agreesInHeavy(state, weights) && this.#agreesInSums(state, rounding, floors) &&
      (reader.ceiling === null || this.#agreesInCeiling(state, reader.ceiling[row], weights));
  }

  /** What float32 does to the weights of the keys that make such a log-sum-exp, relative to all of them. */
  #roundingOf(row: number, logSumExp: number): number {
    const { layout: { heads, headDim }, layout, rule } = this.#content;
    const largestProduct = Math.abs(rule.scale) * this.#normOf(row) *
      this.#sizes.norms[keyHeadOf(layout, row % heads)];
    const rounded = { logSumExp, largestProduct, keyCount: this.#block.count };
    return weightRounding(rounded, rule, headDim, this.#maskHeads > 0).mass;
  }

  /** Whether the heavy keys of a state have the scores that the selected row has with them. */
  #agreesInHeavy({ heavyCount, heavySlots, heavyScores }: RowStates, weights: number): boolean {
    const within = SLACK * Math.log1p(weights);
    return heavySlots.subarray(0, heavyCount[0]).every((slot, at) => {
      const score = this.#kernels.scoreWithBias(this.#block, slot);
      const isSeen = score > -Infinity;
      return isSeen && Math.abs(heavyScores[at] - score) <= within * Math.max(1, Math.abs(score));
    });
  }

  /** Whether the keys above the ceiling are the heavy ones: by it kernels tell, when a key goes, where it was. */
  #agreesInCeiling({ heavyCount, heavySlots }: RowStates, ceiling: number, weights: number): boolean {
    const heavy = heavySlots.subarray(0, heavyCount[0]), within = 2 ** -20 + 2 * Math.log2(1 + weights);
    for (let j = 0; j < this.#block.count; j++) {
      const score = this.#kernels.scoreWithBias(this.#block, j);
      if (score === -Infinity) continue;
      // Powers are rounded to whole ones.
      const above = score * Math.LOG2E - (ceiling + 0.5);
      if (heavy.includes(j) ? above < -within : above > within) return false;
    }
    return true;
  }

  /** Whether the sums of a state are those of the selected row over all keys but the heavy ones. */
  #agreesInSums(
    state: RowStates,
    rounding: (logSumExp: number) => number,
    floors: { readonly ofMass: number; readonly ofSums: number },
  ): boolean {
    const { layout: { valueDim } } = this.#content;
    const others = this.#block.live.slice(), fresh = this.#fresh;
    for (let at = 0; at < state.heavyCount[0]; at++) others[state.heavySlots[at]] = 0;
    const block = { ...this.#block, live: others };
    this.#kernels.buildRow(fresh, 0, block);
    const shift = state.shift[0], freshShift = fresh.shift[0], isEmpty = freshShift === -Infinity;
    // Such sums are not read: the row is answered from its keys, or by heavy keys for as long as it has them.
    const isFar = !isEmpty && Math.abs(freshShift * Math.LN2) >= 2 * STEEP_SCORE;
    if (floors.ofMass > 0 && isFar) return Math.abs(shift) >= STEEP_SCORE;
    const weights = isEmpty ? 0 : rounding(this.#kernels.total(fresh, 0, block, null).logSumExp());
    const factor = isEmpty ? 0 : 2 ** (freshShift - shift);
    if (!Number.isFinite(factor)) return false;
    const last = valueDim + 1;
    // Weights are off by factors up to 1 + `weights`, either way.
    const least = factor * fresh.high[valueDim] / (1 + weights) - state.massError[0] - floors.ofMass;
    if (!(state.high[valueDim] + state.low[valueDim] >= least / SLACK)) return false;
    const boundOf = (own: number, other: number, size: number) =>
      own + SLACK * factor * (other + weights * size);
    const ofMass = floors.ofMass + boundOf(state.massError[0], fresh.massError[0], fresh.high[valueDim]);
    const ofSums = floors.ofSums + boundOf(state.sumError[0], fresh.sumError[0], fresh.high[last]);
    for (let c = 0; c <= last; c++) {
      const held = state.high[c] + state.low[c], right = factor * (fresh.high[c] + fresh.low[c]);
      // Not a number is no agreement.
      if (!(Math.abs(held - right) <= (c === valueDim ? ofMass : ofSums))) return false;
    }
    return true;
  }
}

/** The keys of a snapshot, with the columns that sums have. */
function toBlock({ live, rows, positions, bias }: RowChanges, layout: HeadLayout): KeyBlock {
  const { kvHeads, valueDim } = layout;
  const keyWidth = keyColumns(layout), width = keyWidth + valueColumns(layout), count = live.length;
  const keys = new Float32Array(count * keyWidth);
  const values = new Float32Array(count * kvHeads * (valueDim + 2));
  for (let j = 0; j < count; j++) {
    keys.set(rows.subarray(j * width, j * width + keyWidth), j * keyWidth);
    for (let head = 0; head < kvHeads; head++) {
      const start = (j * kvHeads + head) * (valueDim + 2);
      const from = j * width + keyWidth + head * valueDim;
      let largest = 0;
      for (let c = 0; c < valueDim; c++) {
        values[start + c] = rows[from + c];
        largest = Math.max(largest, Math.abs(rows[from + c]));
      }
      values[start + valueDim] = 1;
      values[start + valueDim + 1] = largest;
    }
  }
  return { count, live, keys, values, positions, bias, biasStride: bias ? bias.length / count : 0 };
}

/** Refuses balls that do not hold all values. */
function checkBalls(
  operation: string,
  states: SavedArrays,
  { kvHeads, valueDim }: HeadLayout,
  { count, live, values }: KeyBlock,
): void {
  const centres = takeAnyNumbers(operation, states, "centres", [kvHeads, valueDim]);
  const radii = takeAnyNumbers(operation, states, "radii", [kvHeads]);
  for (let j = 0; j < count; j++) {
    if (live[j] === 0) continue;
    for (let head = 0; head < kvHeads; head++) {
      const start = (j * kvHeads + head) * (valueDim + 2);
      let squared = 0;
      for (let c = 0; c < valueDim; c++) squared += (centres[head * valueDim + c] - values[start + c]) ** 2;
      if (Math.sqrt(squared) <= radii[head] * SLACK) continue;
      const found = `the ball of key head ${head} has the radius ${radii[head]}`;
      throw new FormatError(
        operation,
        found,
        `at least ${Math.sqrt(squared)}, how far key ${j}'s value lies`,
      );
    }
  }
}

/** The bounds that tell which rows are steep, which must hold all keys; nothing where none are saved. */
function toReach(
  operation: string,
  states: SavedArrays,
  { layout, rule }: StateContent,
  sizes: Sizes,
): KeyReach {
  const reach = new KeyReach(layout, rule.scale);
  if (!Object.hasOwn(states, "norms")) return reach;
  const take = (name: "norms" | "magnitudes") => {
    const bounds = Float64Array.from(takeAnyNumbers(operation, states, name, [layout.kvHeads]));
    bounds.forEach((bound, head) => {
      if (sizes[name][head] <= bound * SLACK) return;
      const found = `tensor ${name} has ${bound} at index ${head}`;
      throw new FormatError(operation, found, `at least ${sizes[name][head]}, that of a key of the file`);
    });
    return bounds;
  };
  reach.restore(take("norms"), take("magnitudes"));
  return reach;
}

/** The largest ‖k‖₂ and ‖v‖∞ of the live keys, by key head. */
interface Sizes {
  readonly norms: Float64Array;
  readonly magnitudes: Float64Array;
}

function measure({ count, live, keys, values }: KeyBlock, layout: HeadLayout): Sizes {
  const { kvHeads, headDim, valueDim } = layout;
  const norms = new Float64Array(kvHeads), magnitudes = new Float64Array(kvHeads);
  for (let j = 0; j < count; j++) {
    if (live[j] === 0) continue;
    for (let head = 0; head < kvHeads; head++) {
      const place = j * kvHeads + head;
      norms[head] = Math.max(norms[head], lengthOf(keys, place * headDim, headDim));
      magnitudes[head] = Math.max(magnitudes[head], values[place * (valueDim + 2) + valueDim + 1]);
    }
  }
  return { norms, magnitudes };
}

function lengthOf(numbers: Float32Array, offset: number, length: number): number {
  let squared = 0;
  for (let at = offset; at < offset + length; at++) squared += numbers[at] * numbers[at];
  return Math.sqrt(squared);
}

function liveRows(live: Uint8Array, heads: number): number[] {
  const rows: number[] = [];
  for (let slot = 0; slot < live.length; slot++) {
    if (live[slot] === 1) { for (let head = 0; head < heads; head++) rows.push(slot * heads + head); }
  }
  return rows;
}

/** All rows, or so many of them, which are drawn. */
function someOf(rows: number[], count: number): readonly number[] {
  if (count >= rows.length) return rows;
  const draws = crypto.getRandomValues(new Uint32Array(Math.min(count, 2 ** 14)));
  draws.forEach((draw, at) => {
    const other = at + draw % (rows.length - at);
    [rows[at], rows[other]] = [rows[other], rows[at]];
  });
  return rows.slice(0, draws.length);
}
