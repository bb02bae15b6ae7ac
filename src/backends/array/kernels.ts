/**
 * The arithmetic of the `array` backend: plain loops over typed arrays, float64 inside. Two of them keep the
 * states: `buildRow` computes a row from scratch, `patchRow` exchanges the contributions of the keys that
 * changed. Both take every score from `core/score_rule.ts` and every weight from `core/power_shift.ts`, so what
 * a patch subtracts has the bits of what a build or an earlier patch added.
 */

import type { Work } from "../backend.ts";
import { exponentOf, shiftedExp } from "../../core/power_shift.ts";
import { patchRounding, rebuildRounding } from "../../core/rounding_ledger.ts";
import { score } from "../../core/score_rule.ts";
import type { RowStates } from "./row_states.ts";

/** Keys and values side by side: row j of both belongs to one key, and counts where `live[j]` is 1. */
export interface KeyBlock {
  readonly count: number;
  readonly live: Uint8Array;
  /** headDim numbers a row. */
  readonly keys: Float32Array;
  /** width = valueDim + 2 numbers a row: v, 1, ‖v‖∞. */
  readonly values: Float32Array;
}

/** Keys that take the place of the applied ones in `slots`. */
export interface KeyPatch extends KeyBlock {
  readonly slots: Uint32Array;
  /** 0 where an applied key keeps its key row, so that its weight stays what it is. */
  readonly keyChanged: Uint8Array;
}

/** Scores this many powers of two above a row's shift move the shift, long before exp can overflow. */
const HIGHEST_POWER = 500;

/** Sizes, scale and scratch of one backend. */
export class Kernels {
  readonly work: Work = { multiplyAdds: 0, exponentials: 0, rowsBuilt: 0, rowsPatched: 0, refreshes: 0 };
  readonly #headDim: number;
  readonly #width: number;
  readonly #scale: number;
  readonly #query: Float64Array;
  #scores = new Float64Array(0);
  #patchScores = new Float64Array(0);
  #appliedScores = new Float64Array(0);

  constructor(headDim: number, valueDim: number, scale: number) {
    this.#headDim = headDim;
    this.#width = valueDim + 2;
    this.#scale = scale;
    this.#query = new Float64Array(headDim);
  }

  /** Makes room for scores of `keys` applied keys and `changes` changed ones. */
  reserve(keys: number, changes: number): void {
    if (this.#scores.length < keys) this.#scores = new Float64Array(Math.max(keys, 2 * this.#scores.length));
    if (this.#patchScores.length < changes) {
      const capacity = Math.max(changes, 2 * this.#patchScores.length);
      this.#patchScores = new Float64Array(capacity);
      this.#appliedScores = new Float64Array(capacity);
    }
  }

  /** Computes the state of `row` from the keys of `applied`, and of `patch` when there is one. */
  buildRow(
    states: RowStates,
    row: number,
    query: Float32Array,
    queryOffset: number,
    applied: KeyBlock,
    patch: KeyPatch | null,
  ): void {
    states.clear(row);
    const scores = this.#scores, patchScores = this.#patchScores;
    this.#widen(query, queryOffset);
    let largest = this.#scoreBlock(applied, scores);
    if (patch) largest = Math.max(largest, this.#scoreBlock(patch, patchScores));
    this.work.rowsBuilt++;
    if (largest === -Infinity) return;

    const shift = exponentOf(largest);
    let additions = this.#addBlock(states.high, row * this.#width, applied, scores, shift);
    if (patch) additions += this.#addBlock(states.high, row * this.#width, patch, patchScores, shift);
    const mass = row * this.#width + this.#width - 2;
    states.shift[row] = shift;
    states.massError[row] = rebuildRounding(additions, states.high[mass]);
    states.sumError[row] = rebuildRounding(additions, states.high[mass + 1]);
  }

  /**
   * Exchanges in `row` what the applied keys in the patch's slots contribute for what the patch's keys do. The
   * patch must not be stored in `applied` yet.
   */
  patchRow(
    states: RowStates,
    row: number,
    query: Float32Array,
    queryOffset: number,
    applied: KeyBlock,
    patch: KeyPatch,
  ): void {
    this.#widen(query, queryOffset);
    const largest = this.#scorePatch(applied, patch);
    this.work.rowsPatched++;
    if (largest > -Infinity) {
      const highest = exponentOf(largest);
      if (states.shift[row] === -Infinity) states.shift[row] = highest;
      else if (highest - states.shift[row] > HIGHEST_POWER) states.moveShift(row, highest);
    }

    const { high, low } = states;
    const shift = states.shift[row];
    const width = this.#width;
    const start = row * width;
    const mass = start + width - 2;
    const appliedScores = this.#appliedScores, patchScores = this.#patchScores;
    let additions = 0, exponentials = 0;
    let massPeak = high[mass], magnitudePeak = high[mass + 1];
    for (let t = 0; t < patch.count; t++) {
      const wasAllowed = appliedScores[t] > -Infinity, isAllowed = patchScores[t] > -Infinity;
      let a = 0;
      if (wasAllowed) {
        a = shiftedExp(appliedScores[t], shift);
        exponentials++;
        addCompensated(high, low, start, width, -a, applied.values, patch.slots[t] * width);
        additions++;
      }
      if (isAllowed) {
        if (!wasAllowed || patch.keyChanged[t] === 1) {
          a = shiftedExp(patchScores[t], shift);
          exponentials++;
        }
        addCompensated(high, low, start, width, a, patch.values, t * width);
        additions++;
        massPeak += a;
        magnitudePeak += a * patch.values[t * width + width - 1];
      }
    }
    renormalise(high, low, start, width);
    states.massError[row] += patchRounding(additions, massPeak);
    states.sumError[row] += patchRounding(additions, magnitudePeak);
    this.work.exponentials += exponentials;
    this.work.multiplyAdds += additions * width;
  }

  /** Weights by slot of one query into `target`, which is zeroed; a patch's slots are below its length. */
  weights(
    query: Float32Array,
    queryOffset: number,
    applied: KeyBlock,
    patch: KeyPatch | null,
    target: Float32Array,
  ): void {
    const scores = this.#scores, patchScores = this.#patchScores;
    this.#widen(query, queryOffset);
    let largest = this.#scoreBlock(applied, scores);
    for (let j = applied.count; j < target.length; j++) scores[j] = -Infinity;
    if (patch) {
      largest = Math.max(largest, this.#scoreBlock(patch, patchScores));
      for (let t = 0; t < patch.count; t++) scores[patch.slots[t]] = patchScores[t];
    }
    this.work.rowsBuilt++;
    if (largest === -Infinity) return;

    const shift = exponentOf(largest);
    let mass = 0;
    for (let j = 0; j < target.length; j++) {
      if (scores[j] === -Infinity) continue;
      scores[j] = shiftedExp(scores[j], shift);
      mass += scores[j];
      this.work.exponentials++;
    }
    for (let j = 0; j < target.length; j++) target[j] = scores[j] > 0 ? scores[j] / mass : 0;
  }

  /** Takes a query's row, which the next scores are of. */
  #widen(query: Float32Array, offset: number): void {
    for (let c = 0; c < this.#headDim; c++) this.#query[c] = query[offset + c];
  }

  /** Scores of a block's live keys, −∞ for the others; returns the largest. */
  #scoreBlock(block: KeyBlock, scores: Float64Array): number {
    const query = this.#query;
    const { count, live, keys } = block;
    const headDim = this.#headDim, scale = this.#scale;
    let largest = -Infinity, scored = 0;
    for (let j = 0; j < count; j++) {
      if (live[j] === 0) {
        scores[j] = -Infinity;
        continue;
      }
      const s = score(query, keys, j * headDim, headDim, scale);
      scores[j] = s;
      scored++;
      if (s > largest) largest = s;
    }
    this.work.multiplyAdds += scored * headDim;
    return largest;
  }

  /** Scores before and after of the keys that a patch changes; returns the largest after. */
  #scorePatch(applied: KeyBlock, patch: KeyPatch): number {
    const query = this.#query;
    const headDim = this.#headDim, scale = this.#scale;
    const appliedScores = this.#appliedScores;
    const largest = this.#scoreBlock(patch, this.#patchScores);
    let scored = 0;
    for (let t = 0; t < patch.count; t++) {
      const slot = patch.slots[t];
      if (slot >= applied.count || applied.live[slot] === 0) {
        appliedScores[t] = -Infinity;
      } else if (patch.live[t] === 1 && patch.keyChanged[t] === 0) {
        appliedScores[t] = this.#patchScores[t];
      } else {
        appliedScores[t] = score(query, applied.keys, slot * headDim, headDim, scale);
        scored++;
      }
    }
    this.work.multiplyAdds += scored * headDim;
    return largest;
  }

  /** Adds a_j (v_j, 1, ‖v_j‖∞) of a block's scored keys to the sums at `start`; returns how many. */
  #addBlock(
    sums: Float64Array,
    start: number,
    block: KeyBlock,
    scores: Float64Array,
    shift: number,
  ): number {
    const { count, values } = block;
    const width = this.#width;
    let added = 0;
    for (let j = 0; j < count; j++) {
      if (scores[j] === -Infinity) continue;
      const a = shiftedExp(scores[j], shift);
      const offset = j * width;
      for (let c = 0; c < width; c++) sums[start + c] += a * values[offset + c];
      added++;
    }
    this.work.exponentials += added;
    this.work.multiplyAdds += added * width;
    return added;
  }
}

/** sum += a · value for `width` two-float sums: Knuth's TwoSum on the high part, what it drops to the low one. */
function addCompensated(
  high: Float64Array,
  low: Float64Array,
  start: number,
  width: number,
  a: number,
  values: Float32Array,
  offset: number,
): void {
  for (let c = 0; c < width; c++) {
    const held = high[start + c];
    const term = a * values[offset + c];
    const sum = held + term;
    const taken = sum - held;
    low[start + c] += (held - (sum - taken)) + (term - taken);
    high[start + c] = sum;
  }
}

/** Moves what the low parts have gathered to the high ones, exactly. */
function renormalise(high: Float64Array, low: Float64Array, start: number, width: number): void {
  for (let c = start; c < start + width; c++) {
    const held = high[c], rest = low[c];
    const sum = held + rest;
    const taken = sum - held;
    low[c] = (held - (sum - taken)) + (rest - taken);
    high[c] = sum;
  }
}
