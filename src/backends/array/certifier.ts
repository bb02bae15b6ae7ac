/**
 * Certificates on the `array` backend: for each row asked for, a bound on how far the output of its state is from
 * what it would be with the stored keys.
 *
 * For a changed key and a row, the terms of `core/staleness_bound.ts` need two scores, O(d), and a distance, O(dv).
 * They are measured once and kept: another look at the same edit costs O(1) a row, and another edit of a few numbers
 * of the same key costs as many products a row, since the weight and the distance in the state stay. What was
 * measured of a row is forgotten when its state changes, what was measured of an edit when its key changes again.
 */

import { NO_ROW } from "../backend.ts";
import { type HeadLayout, keyHeadOf } from "../../core/head_layout.ts";
import { exponentOf, shiftedExp } from "../../core/power_shift.ts";
import { stalenessBound } from "../../core/staleness_bound.ts";
import type { KeyBlock, KeyExchange } from "./key_block.ts";
import type { Kernels } from "./kernels.ts";
import type { RowStates } from "./row_states.ts";
import type { RowTotals } from "./row_totals.ts";
import { distance, type ValueSpread } from "../value_spread.ts";

/** How the key in a slot changed since the moment of the states at hand. */
interface KeyEdit {
  /** Under which number the row before is kept; NO_ROW if there was none. */
  readonly kept: number;
  /** ‖v' − v‖, by key head; 0 without a value before or after. */
  readonly valueShift: Float64Array;
  /** Where the key differs; null if in many numbers, or in its position, too. */
  readonly sparse: { readonly columns: readonly number[]; readonly deltas: readonly number[] } | null;
}

/** What is known of the changed key in one slot, by row; it holds where the row's age is the noted one. */
interface Column {
  readonly slot: number;
  /** null when the stored key has changed since it was looked at. */
  edit: KeyEdit | null;
  /** When it was last asked about. */
  asked: number;
  /** Age of the row of which w_ij and ‖v_j − o_i‖ are known, of the key in the row's state. */
  readonly known: Uint32Array;
  readonly weight: Float64Array;
  readonly distance: Float64Array;
  /** Age of the row of which the terms of the bound are known. */
  readonly measured: Uint32Array;
  readonly moved: Float64Array;
  readonly gained: Float64Array;
  readonly lost: Float64Array;
  readonly shifted: Float64Array;
  readonly doubt: Float64Array;
}

/** An edit of at most this share of a key's numbers is measured by its products alone. */
const SPARSE_SHARE = 1 / 4;
/** A column that nobody asked about while so many batches were stored is let go. */
const COLUMN_MEMORY = 64;
/** Terms of a bound: moved, gained, lost, shifted, doubt. */
const TERMS = 5;
/** Beyond it a weight counts as infinite. */
const HIGHEST_POWER = 900;
const FLOAT64_ROUNDING = 2 ** -52;
const FLOAT32_ROUNDING = 2 ** -24;

/** Bounds, and what has been measured for them. */
export class Certifier {
  readonly #layout: HeadLayout;
  readonly #softcap: number;
  readonly #kernels: Kernels;
  readonly #spread: ValueSpread;
  readonly #columns = new Map<number, Column>();
  /** Columns that were left after the last clearing. */
  #columnsLeft = 0;
  /** Counts batches of keys. */
  #batch = 0;
  /** Rows that there is room for in what is measured. */
  #rowCapacity = 0;
  /** By row, how often its state has changed; from 1 on. */
  #ages = new Uint32Array(0);
  /** By row: how many of the changed keys are in its sums, the five sums, and when and at which age they were begun. */
  #summed = new Uint32Array(0);
  #sums = new Float64Array(0);
  #sumBegun = new Uint32Array(0);
  #sumAge = new Uint32Array(0);
  /** The batch since which sums hold. */
  #sumsHoldSince = 0;
  /** The changed keys at hand, and their columns. */
  #exchange: KeyExchange | null = null;
  #pending: Column[] = [];
  /** o of the row at hand. */
  readonly #output: Float64Array;

  constructor(layout: HeadLayout, softcap: number, kernels: Kernels, spread: ValueSpread) {
    this.#layout = layout;
    this.#softcap = softcap;
    this.#kernels = kernels;
    this.#spread = spread;
    this.#output = new Float64Array(layout.valueDim);
  }

  /** The keys in some slots have changed. */
  changeKeys(slots: Uint32Array): void {
    this.#batch++;
    for (const slot of slots) {
      const column = this.#columns.get(slot);
      if (!column) continue;
      column.edit = null;
      column.measured.fill(0);
      // Sums only grow; what is in them already cannot be taken out.
      this.#sumsHoldSince = this.#batch;
    }
    if (this.#columns.size > 2 * this.#columnsLeft + COLUMN_MEMORY) this.#letGo();
  }

  /** The state of a row has changed. */
  changeRow(row: number): void {
    if (row < this.#rowCapacity) this.#ages[row]++;
  }

  /** Takes the changed keys that the next bounds are of. */
  open(exchange: KeyExchange, rowCapacity: number): void {
    if (rowCapacity !== this.#rowCapacity) this.#resize(rowCapacity);
    this.#exchange = exchange;
    this.#pending = Array.from(exchange.slots, (slot, t) => {
      let column = this.#columns.get(slot);
      if (!column) this.#columns.set(slot, column = newColumn(slot, rowCapacity));
      if (column.edit?.kept !== exchange.kept[t]) column.edit = this.#toEdit(exchange, t);
      column.asked = this.#batch;
      return column;
    });
  }

  /** Bound of the selected head of a query, whose state is `row`. */
  bound(states: RowStates, row: number, head: number): number {
    const { valueDim } = this.#layout;
    const exchange = this.#exchange as KeyExchange;
    const totals = this.#kernels.total(states, row, exchange.after, exchange);
    if (totals.mass === 0) return this.#farthestValue(head);

    const output = this.#output;
    totals.writeOutput(output, 0);
    let squared = 0;
    for (const o of output) squared += o * o;
    const norm = Math.sqrt(squared);
    // What rounding may have done to o, in its sums and in the division; it also shortens distances to o.
    const ledger = 2 * (Math.sqrt(valueDim) * totals.sumError + norm * totals.massError) / totals.mass +
      4 * FLOAT64_ROUNDING * norm;

    const diameter = 2 * this.#spread.radius(keyHeadOf(this.#layout, head));
    this.#sumTo(row, totals, ledger, head);
    const sums = this.#sums, at = row * TERMS;
    const stale = this.#pending.length === 0
      ? 0
      : stalenessBound(sums[at], sums[at + 1], sums[at + 2], sums[at + 3], sums[at + 4], diameter, norm);
    return (stale + ledger) * (1 + FLOAT32_ROUNDING) + 2 * FLOAT32_ROUNDING * norm;
  }

  /** Adds to a row's sums the changed keys that are not in them yet. */
  #sumTo(row: number, totals: RowTotals, ledger: number, head: number): void {
    const sums = this.#sums, start = row * TERMS, age = this.#ages[row];
    if (
      this.#sumAge[row] !== age || this.#sumBegun[row] < this.#sumsHoldSince ||
      this.#summed[row] > this.#pending.length
    ) {
      this.#summed[row] = 0;
      this.#sumAge[row] = age;
      this.#sumBegun[row] = this.#batch;
      sums.fill(0, start, start + TERMS);
    }
    for (let t = this.#summed[row]; t < this.#pending.length; t++) {
      const column = this.#pending[t];
      if (column.measured[row] !== age) this.#measure(column, row, totals, ledger, head);
      sums[start] += column.moved[row];
      sums[start + 1] += column.gained[row];
      sums[start + 2] += column.lost[row];
      sums[start + 3] += column.shifted[row];
      sums[start + 4] += column.doubt[row];
    }
    this.#summed[row] = this.#pending.length;
  }

  #measure(
    column: Column,
    row: number,
    totals: RowTotals,
    ledger: number,
    head: number,
  ): void {
    const { before, after: stored } = this.#exchange as KeyExchange;
    const { slot } = column, { kept, valueShift, sparse } = column.edit as KeyEdit;
    const { valueDim, headDim, kvHeads } = this.#layout;
    const keyHead = keyHeadOf(this.#layout, head);
    const { shift, mass } = totals;
    const width = valueDim + 2;
    const wasLive = kept !== NO_ROW, isLive = stored.live[slot] === 1;

    let weight = 0, distanceBefore = 0, scale = Math.abs(totals.logSumExp()) + headDim + 16;
    if (wasLive) {
      if (column.known[row] !== this.#ages[row]) {
        column.known[row] = this.#ages[row];
        const score = this.#kernels.scoreWithBias(before, kept);
        column.weight[row] = score === -Infinity ? 0 : shiftedExp(score, shift) / mass;
        column.distance[row] = ledger +
          distance(this.#output, 0, before.values, (kept * kvHeads + keyHead) * width, valueDim);
        this.#kernels.work.multiplyAdds += valueDim;
        this.#kernels.work.exponentials++;
      }
      weight = column.weight[row];
      distanceBefore = column.distance[row];
    }

    const isSparse = sparse !== null && this.#kernels.hasSameBias(before, kept, stored, slot);
    let after = 0, change = weight, distanceAfter = 0;
    if (isLive) {
      if (isSparse) {
        const delta = this.#kernels.productWith(sparse.columns, sparse.deltas);
        after = weight * Math.exp(delta);
        change = weight * Math.abs(Math.expm1(delta));
        distanceAfter = Infinity;
      } else {
        const score = this.#kernels.scoreWithBias(stored, slot);
        if (score > -Infinity) {
          after = exponentOf(score) - shift > HIGHEST_POWER ? Infinity : shiftedExp(score, shift) / mass;
          scale += Math.abs(score);
        }
        change = Math.abs(after - weight);
        const offset = (slot * kvHeads + keyHead) * width;
        distanceAfter = ledger + distance(this.#output, 0, stored.values, offset, valueDim);
        this.#kernels.work.multiplyAdds += valueDim;
      }
      this.#kernels.work.exponentials++;
    }

    // Scores carry a relative rounding, which exp makes an absolute one of their size.
    const doubt = FLOAT64_ROUNDING * scale * (isSparse ? change : after + weight);
    const shiftOfValue = wasLive && isLive ? valueShift[keyHead] : 0;
    const asEdit = wasLive ? (change + doubt) * distanceBefore + after * shiftOfValue : Infinity;
    const asExchange = weight * distanceBefore + (after + doubt) * distanceAfter;
    column.measured[row] = this.#ages[row];
    column.moved[row] = after === 0 ? (weight + doubt) * distanceBefore : Math.min(asEdit, asExchange);
    column.gained[row] = (after > weight ? change : 0) + doubt;
    column.lost[row] = (after < weight ? change : 0) + doubt;
    column.shifted[row] = after * shiftOfValue;
    column.doubt[row] = 2 * doubt;
  }

  /** Bound of a row that no key of its state is allowed in: o = 0, and o' is a mean of changed values. */
  #farthestValue(head: number): number {
    const { valueDim, kvHeads } = this.#layout;
    const keyHead = keyHeadOf(this.#layout, head);
    const { slots, after: stored } = this.#exchange as KeyExchange;
    this.#output.fill(0);
    let farthest = 0;
    for (const slot of slots) {
      if (stored.live[slot] === 0 || this.#kernels.scoreWithBias(stored, slot) === -Infinity) continue;
      const offset = (slot * kvHeads + keyHead) * (valueDim + 2);
      farthest = Math.max(farthest, distance(this.#output, 0, stored.values, offset, valueDim));
    }
    return farthest * (1 + FLOAT32_ROUNDING);
  }

  #toEdit({ slots, kept, before, after }: KeyExchange, t: number): KeyEdit {
    const { kvHeads, valueDim } = this.#layout;
    const slot = slots[t], width = valueDim + 2;
    const valueShift = new Float64Array(kvHeads);
    if (kept[t] === NO_ROW || after.live[slot] === 0) return { kept: kept[t], valueShift, sparse: null };
    for (let head = 0; head < kvHeads; head++) {
      const offset = (slot * kvHeads + head) * width, keptOffset = (kept[t] * kvHeads + head) * width;
      valueShift[head] = distance(after.values, offset, before.values, keptOffset, valueDim);
    }
    const sparse = this.#softcap === 0 ? toSparse(before, kept[t], after, slot, this.#layout) : null;
    return { kept: kept[t], valueShift, sparse };
  }

  #resize(rowCapacity: number): void {
    this.#columns.clear();
    this.#rowCapacity = rowCapacity;
    this.#ages = new Uint32Array(rowCapacity).fill(1);
    this.#summed = new Uint32Array(rowCapacity);
    this.#sums = new Float64Array(rowCapacity * TERMS);
    this.#sumBegun = new Uint32Array(rowCapacity);
    this.#sumAge = new Uint32Array(rowCapacity);
  }

  #letGo(): void {
    // A change of its key would not be noticed any more in sums that it is in.
    this.#sumsHoldSince = this.#batch;
    for (const { slot, asked } of this.#columns.values()) {
      if (this.#batch - asked > COLUMN_MEMORY) this.#columns.delete(slot);
    }
    this.#columnsLeft = this.#columns.size;
  }
}

function newColumn(slot: number, rows: number): Column {
  return {
    slot,
    edit: null,
    asked: 0,
    known: new Uint32Array(rows),
    weight: new Float64Array(rows),
    distance: new Float64Array(rows),
    measured: new Uint32Array(rows),
    moved: new Float64Array(rows),
    gained: new Float64Array(rows),
    lost: new Float64Array(rows),
    shifted: new Float64Array(rows),
    doubt: new Float64Array(rows),
  };
}

/** The few numbers in which a key differs from the one before it, if only a mask can change its scores, too. */
function toSparse(
  before: KeyBlock,
  kept: number,
  after: KeyBlock,
  slot: number,
  { kvHeads, headDim }: HeadLayout,
): KeyEdit["sparse"] {
  if (before.positions[kept] !== after.positions[slot]) return null;
  const width = kvHeads * headDim;
  const columns: number[] = [], deltas: number[] = [];
  for (let c = 0; c < width; c++) {
    const delta = after.keys[slot * width + c] - before.keys[kept * width + c];
    if (delta === 0) continue;
    if (columns.length >= width * SPARSE_SHARE) return null;
    columns.push(c);
    deltas.push(delta);
  }
  return { columns, deltas };
}
