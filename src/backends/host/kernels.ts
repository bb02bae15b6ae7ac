/**
 * Kernels for head rows in float64: plain loops over typed arrays. The backend `array` uses nothing else; the
 * others use them when float32 is not accurate enough. `buildRow` computes a state from scratch, `patchRow`
 * exchanges the contributions of changed keys. Both take every score from `numerics/score_rule.ts` and every
 * weight from `numerics/power_shift.ts`, so that a patch subtracts a contribution with the bits with which a
 * build or an earlier patch added it.
 */

import type { Work } from "../backend.ts";
import { NO_ROW } from "../since.ts";
import { type HeadLayout, keyHeadOf } from "../../numerics/head_layout.ts";
import { blockBiasAt } from "../../numerics/block_bias.ts";
import { biasAt } from "../../numerics/distance_bias.ts";
import { exponentOf, shiftedExp } from "../../numerics/power_shift.ts";
import { patchRounding, rebuildRounding } from "../../numerics/rounding_ledger.ts";
import { isInReach, looksAtPositions, score, type ScoreRule, sinkOf } from "../../numerics/score_rule.ts";
import { type KeyBlock, type KeyExchange, keyOffset, valueOffset } from "./key_block.ts";
import type { KeysAt } from "./keys_at.ts";
import type { RowStates } from "./row_states.ts";
import { distance } from "./value_spread.ts";

/**
 * A key whose weight is this many powers of two above a row's shift is heavy. The rounding of a two-float
 * sum, 2^−106 of it, is then still far below the tolerance of the other keys' sum.
 */
const HEAVY_POWER = 40;

/**
 * One head of a query: H·d numbers from `offset` on, the query's position, and its slot, which selects the
 * biases of a mask.
 */
export interface QueryHead {
  readonly rows: Float32Array;
  readonly offset: number;
  readonly head: number;
  readonly position: number;
  readonly slot: number;
  /** Biases in place of those of the stored keys; none unless given. */
  readonly bias?: KeyBlock["bias"];
}

/** The kernels of one backend, with their scratch and the selected head of a query. */
export class Kernels {
  readonly work: Work;
  readonly #layout: HeadLayout;
  readonly #rule: ScoreRule;
  readonly #looksAtPositions: boolean;
  readonly #width: number;
  // The selected head of a query, widened to float64, and the place of its key head in a row.
  readonly #query: Float64Array;
  #keyHead = 0;
  #keyStart = 0;
  #position = 0;
  #head = 0;
  #slot = 0;
  #ownBias: KeyBlock["bias"] = null;
  /** What `productOf` and `productWith` say of their last sum. */
  termSize = 0;
  #scores = new Float64Array(0);
  #scoresBefore = new Float64Array(0);
  #scoresAfter = new Float64Array(0);

  /** The kernels count their work in `work`. */
  constructor(layout: HeadLayout, rule: ScoreRule, work: Work) {
    this.work = work;
    this.#layout = layout;
    this.#rule = rule;
    this.#looksAtPositions = looksAtPositions(rule);
    this.#width = layout.valueDim + 2;
    this.#query = new Float64Array(layout.headDim);
  }

  /**
   * Makes room for the scores of `keys` stored keys and `changes` exchanged ones, before a loop whose steps
   * must not fail.
   */
  reserve(keys: number, changes: number): void {
    if (this.#scores.length < keys) this.#scores = new Float64Array(Math.max(keys, 2 * this.#scores.length));
    if (this.#scoresAfter.length < changes) {
      const capacity = Math.max(changes, 2 * this.#scoresAfter.length);
      this.#scoresBefore = new Float64Array(capacity);
      this.#scoresAfter = new Float64Array(capacity);
    }
  }

  /** Selects one head of a query for the next calls. */
  select({ rows, offset, head, position, slot, bias = null }: QueryHead): void {
    const { headDim } = this.#layout;
    const keyHead = keyHeadOf(this.#layout, head);
    for (let c = 0; c < headDim; c++) this.#query[c] = rows[offset + head * headDim + c];
    this.#keyHead = keyHead;
    this.#keyStart = keyHead * headDim;
    this.#position = position;
    this.#head = head;
    this.#slot = slot;
    this.#ownBias = bias;
  }

  /** Wipes the selected query. */
  forgetQuery(): void {
    this.#query.fill(0);
  }

  /** Computes the state of head row `row` from keys. */
  buildRow(states: RowStates, row: number, keys: KeysAt): void {
    states.clear(row);
    this.reserve(keys.stored.count, 0);
    const scores = this.#scores;
    const largest = this.#scoreKeys(keys, scores);
    this.work.rowsBuilt++;
    if (largest === -Infinity) return;

    const shift = exponentOf(largest);
    const start = row * this.#width;
    const additions = this.#addKeys(states.high, start, keys, scores, shift);
    const mass = start + this.#width - 2;
    states.shift[row] = shift;
    states.massError[row] = rebuildRounding(additions, states.high[mass]);
    states.sumError[row] = rebuildRounding(additions, states.high[mass + 1]);
  }

  /**
   * Replaces in the state of head row `row` the contributions of the keys before an exchange by those of the
   * keys after it.
   */
  patchRow(states: RowStates, row: number, exchange: KeyExchange): void {
    const largest = this.#scoreExchange(exchange);
    this.work.rowsPatched++;
    if (states.shift[row] === -Infinity && largest > -Infinity) states.shift[row] = exponentOf(largest);

    const { high, low } = states;
    const { slots, retained, before: blockBefore, after: blockAfter } = exchange;
    const valuesBefore = blockBefore.values, valuesAfter = blockAfter.values;
    const shift = states.shift[row];
    const width = this.#width;
    const start = row * width;
    const mass = start + width - 2;
    const scoresBefore = this.#scoresBefore, scoresAfter = this.#scoresAfter;
    let additions = 0, exponentials = 0;
    let massPeak = high[mass], magnitudePeak = high[mass + 1];
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t], before = scoresBefore[t], after = scoresAfter[t];
      let a = NaN;
      if (before > -Infinity && !(states.heavyCount[row] > 0 && states.removeHeavy(row, slot))) {
        a = shiftedExp(before, shift);
        exponentials++;
        const offset = valueOffset(blockBefore, retained[t], this.#keyHead);
        addCompensated(states, start, -a, valuesBefore, offset);
        additions++;
      }
      // Exponents are compared, like the shift: beyond 2^53 scores of neighbouring powers may be equal.
      if (exponentOf(after) - shift > HEAVY_POWER) {
        // If the list of heavy keys is full, the row is no longer trusted, and is then built with the key in its
        // sums.
        if (!states.addHeavy(row, slot, after)) states.massError[row] = Infinity;
      } else if (after > -Infinity) {
        if (after !== before || Number.isNaN(a)) {
          a = shiftedExp(after, shift);
          exponentials++;
        }
        const offset = valueOffset(blockAfter, slot, this.#keyHead);
        addCompensated(states, start, a, valuesAfter, offset);
        additions++;
        massPeak += a;
        magnitudePeak += a * valuesAfter[offset + width - 1];
      }
    }
    renormalise(high, low, start, width);
    states.massError[row] += patchRounding(additions, massPeak);
    states.sumError[row] += patchRounding(additions, magnitudePeak);
    this.work.exponentials += exponentials;
    this.work.multiplyAdds += additions * width;
  }

  /** Writes weights by slot to `target`, which must be all zeros. */
  weights(keys: KeysAt, target: Float32Array): void {
    this.reserve(keys.stored.count, 0);
    const scores = this.#scores;
    const largest = this.#scoreKeys(keys, scores);
    this.work.rowsBuilt++;
    if (largest === -Infinity) return;

    const count = Math.min(keys.stored.count, target.length), sink = sinkOf(this.#rule, this.#head);
    const shift = exponentOf(Math.max(largest, sink));
    let mass = sink > -Infinity ? shiftedExp(sink, shift) : 0;
    for (let j = 0; j < count; j++) {
      if (scores[j] === -Infinity) continue;
      scores[j] = shiftedExp(scores[j], shift);
      mass += scores[j];
      this.work.exponentials++;
    }
    for (let j = 0; j < count; j++) target[j] = scores[j] > 0 ? scores[j] / mass : 0;
  }

  /** The score of one key of a block; −∞ if the key is not live or is forbidden. */
  scoreWithBias(block: KeyBlock, j: number): number {
    const bias = this.#biasOf(block, j);
    if (bias === -Infinity) return bias;
    this.#countScores(1);
    return this.#scoreOf(block, j, bias);
  }

  /** scale · q·k of one key of a block; `termSize` is then the sum of the sizes of its terms. */
  productOf(block: KeyBlock, j: number): number {
    const { headDim } = this.#layout, offset = keyOffset(block, j, this.#keyHead);
    let sum = 0, size = 0;
    for (let c = 0; c < headDim; c++) {
      const product = this.#query[c] * block.keys[offset + c];
      sum += product;
      size += Math.abs(product);
    }
    this.work.multiplyAdds += headDim;
    this.termSize = Math.abs(this.#rule.scale) * size;
    return this.#rule.scale * sum;
  }

  /** Whether two keys have the same bias for the selected query. */
  hasSameBias(block: KeyBlock, j: number, other: KeyBlock, k: number): boolean {
    return this.#biasOf(block, j) === this.#biasOf(other, k);
  }

  /**
   * The change of a key's score, before any softcap, when `deltas` are added to its numbers in `columns`;
   * `termSize` is then the sum of the sizes of its terms.
   */
  productWith(columns: readonly number[], deltas: readonly number[]): number {
    let sum = 0, size = 0;
    for (let at = 0; at < columns.length; at++) {
      const c = columns[at] - this.#keyStart;
      if (!(c >= 0 && c < this.#layout.headDim)) continue;
      const product = this.#query[c] * deltas[at];
      sum += product;
      size += Math.abs(product);
    }
    this.work.multiplyAdds += columns.length;
    this.termSize = Math.abs(this.#rule.scale) * size;
    return this.#rule.scale * sum;
  }

  /**
   * ‖change · (v − point) + after · (v' − v)‖ of the value v of a retained key and v' of the one in a slot.
   */
  movedDistance(
    point: Float64Array,
    change: number,
    after: number,
    keys: KeysAt,
    retained: number,
    slot: number,
  ): number {
    const { valueDim } = this.#layout, before = keys.retained.values, now = keys.stored.values;
    const keyHead = this.#keyHead;
    const from = valueOffset(keys.retained, retained, keyHead), to = valueOffset(keys.stored, slot, keyHead);
    let squared = 0;
    for (let c = 0; c < valueDim; c++) {
      const v = before[from + c], moved = change * (v - point[c]) + after * (now[to + c] - v);
      squared += moved * moved;
    }
    this.work.multiplyAdds += 2 * valueDim;
    return Math.sqrt(squared);
  }

  /** ‖v − point‖ of a key's value. */
  distanceToValue(point: Float64Array, block: KeyBlock, j: number): number {
    const { valueDim } = this.#layout;
    this.work.multiplyAdds += valueDim;
    return distance(point, 0, block.values, valueOffset(block, j, this.#keyHead), valueDim);
  }

  /** Writes the scores of live keys by slot, −∞ for other slots; returns the largest score. */
  #scoreKeys(keysAt: KeysAt, scores: Float64Array): number {
    const { count, live, keys, keyStart, keyStride: stride, keyWords, packedKeys, bias } = keysAt.stored;
    const changed = keysAt.areStored ? null : keysAt.changed;
    const query = this.#query, start = keyStart + this.#keyHead * keyWords;
    const { headDim } = this.#layout, { scale, softcap, biasFirst = false } = this.#rule;
    const isFree = !this.#looksAtPositions && !bias && !this.#ownBias;
    let largest = -Infinity, scored = 0;
    for (let j = 0; j < count; j++) {
      let s: number;
      const retained = changed?.get(j);
      if (retained !== undefined) {
        s = retained === NO_ROW ? -Infinity : this.#biasOf(keysAt.retained, retained);
        if (s > -Infinity) s = this.#scoreOf(keysAt.retained, retained, s);
      } else {
        s = isFree ? (live[j] === 0 ? -Infinity : 0) : this.#biasOf(keysAt.stored, j);
        if (s > -Infinity) {
          const index = j * stride + start, offset = packedKeys === null ? index : packedKeys.open(index);
          if (biasFirst) s = score(query, keys, offset, headDim, scale, softcap, s);
          else s += score(query, keys, offset, headDim, scale, softcap);
        }
      }
      scores[j] = s;
      if (s === -Infinity) continue;
      scored++;
      if (s > largest) largest = s;
    }
    this.#countScores(scored);
    return largest;
  }

  /**
   * Writes the scores of the keys before and after an exchange, −∞ where there is no key; returns the largest
   * score after it.
   */
  #scoreExchange({ slots, retained, before, after, scoreChanged }: KeyExchange): number {
    const scoresBefore = this.#scoresBefore, scoresAfter = this.#scoresAfter;
    let largest = -Infinity, scored = 0;
    for (let t = 0; t < slots.length; t++) {
      let s = this.#biasOf(after, slots[t]);
      if (s > -Infinity) {
        s = this.#scoreOf(after, slots[t], s);
        scored++;
        if (s > largest) largest = s;
      }
      scoresAfter[t] = s;
      if (scoreChanged[t] === 0) {
        scoresBefore[t] = s;
        continue;
      }
      s = retained[t] === NO_ROW ? -Infinity : this.#biasOf(before, retained[t]);
      if (s > -Infinity) {
        s = this.#scoreOf(before, retained[t], s);
        scored++;
      }
      scoresBefore[t] = s;
    }
    this.#countScores(scored);
    return largest;
  }

  /** The bias of a block's key; −∞ for a key that is not live, out of reach or masked. */
  #biasOf(block: KeyBlock, j: number): number {
    if (block.live[j] === 0) return -Infinity;
    if (this.#looksAtPositions && !isInReach(this.#rule, this.#position, block.positions[j])) {
      return -Infinity;
    }
    const bias = this.#ownBias ?? block.bias, { distanceBias, blocks } = this.#rule;
    let ofRule = distanceBias === undefined
      ? 0
      : biasAt(distanceBias, this.#head, block.positions[j] - this.#position);
    if (blocks !== undefined) ofRule += blockBiasAt(blocks, this.#head, this.#position, block.positions[j]);
    if (!bias) return ofRule;
    const head = bias.heads > 1 ? this.#head : 0;
    return ofRule + bias.numbers[
      bias.start + j * bias.keyStride + this.#slot * bias.queryStride + head * bias.headStride
    ];
  }

  /** The score of a key of a block with its bias, which is more than −∞. */
  #scoreOf(block: KeyBlock, j: number, bias: number): number {
    const { scale, softcap, biasFirst } = this.#rule, { headDim } = this.#layout;
    const offset = keyOffset(block, j, this.#keyHead);
    if (biasFirst) return score(this.#query, block.keys, offset, headDim, scale, softcap, bias);
    return bias + score(this.#query, block.keys, offset, headDim, scale, softcap);
  }

  #countScores(count: number): void {
    this.work.multiplyAdds += count * this.#layout.headDim;
    if (this.#rule.softcap > 0) this.work.exponentials += count;
  }

  /** Adds a_j (v_j, 1, ‖v_j‖∞) of scored keys to the sums at `start`; returns the number of keys added. */
  #addKeys(sums: Float64Array, start: number, keysAt: KeysAt, scores: Float64Array, shift: number): number {
    const { count } = keysAt.stored;
    const changed = keysAt.areStored ? null : keysAt.changed;
    const width = this.#width;
    let added = 0;
    for (let j = 0; j < count; j++) {
      if (scores[j] === -Infinity) continue;
      const a = shiftedExp(scores[j], shift);
      const retained = changed?.get(j);
      const block = retained === undefined ? keysAt.stored : keysAt.retained;
      const { values } = block, offset = valueOffset(block, retained ?? j, this.#keyHead);
      for (let c = 0; c < width; c++) sums[start + c] += a * values[offset + c];
      added++;
    }
    this.work.exponentials += added;
    this.work.multiplyAdds += added * width;
    return added;
  }
}

/**
 * sum += a · value for the two-float sums of a row, from `start` on: Knuth's TwoSum on the high part, whose
 * error term is added to the low part.
 */
function addCompensated(
  { high, low, width }: RowStates,
  start: number,
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

/** Renormalises two-float sums, without rounding. */
function renormalise(high: Float64Array, low: Float64Array, start: number, width: number): void {
  for (let c = start; c < start + width; c++) {
    const held = high[c], rest = low[c];
    const sum = held + rest;
    const taken = sum - held;
    low[c] = (held - (sum - taken)) + (rest - taken);
    high[c] = sum;
  }
}
