/**
 * Certificates on the `array` backend: for each row asked for, a bound on how far its applied output is from exact.
 *
 * For a pending key and a row, the terms of `core/staleness_bound.ts` need two scores, O(d), and a distance, O(dv).
 * They are measured once and kept: another look at the same pending edit costs O(1) a row, and another edit of a few
 * numbers of the same key costs as many products a row, since the applied weight and distance stay. Everything kept
 * is of the applied state and is forgotten when that changes.
 */

import { type HeadLayout, keyHeadOf } from "../../core/head_layout.ts";
import { exponentOf, shiftedExp } from "../../core/power_shift.ts";
import { stalenessBound } from "../../core/staleness_bound.ts";
import type { KeyBlock, KeyPatch } from "./key_block.ts";
import type { Kernels } from "./kernels.ts";
import type { RowStates } from "./row_states.ts";
import type { RowTotals } from "./row_totals.ts";
import { equalRun } from "./row_store.ts";
import { distance, type ValueSpread } from "./value_spread.ts";

/** What is known of an applied key, by row; NaN where it was not measured. */
interface AppliedColumn {
  /** w_ij. */
  readonly weight: Float64Array;
  /** ‖v_j − o_i‖. */
  readonly distance: Float64Array;
}

/** A pending key, and what is known of it by row: the terms of a bound; NaN where they were not measured. */
interface PendingColumn {
  readonly slot: number;
  /** The key as a patch of its own. */
  readonly patch: KeyPatch;
  /** Whether the slot has an applied key. */
  readonly wasLive: boolean;
  /** ‖v' − v‖, by key head; 0 without an applied or a pending value. */
  readonly valueShift: Float64Array;
  /** Where the edited key differs from the applied one; null if in many numbers, or in its position, too. */
  readonly sparse: { readonly columns: number[]; readonly deltas: number[] } | null;
  readonly moved: Float64Array;
  readonly gained: Float64Array;
  readonly lost: Float64Array;
  readonly shifted: Float64Array;
  readonly doubt: Float64Array;
}

/** An edit of at most this share of a key's numbers is measured by its products alone. */
const SPARSE_SHARE = 1 / 4;
/** Terms of a bound: moved, gained, lost, shifted, doubt. */
const TERMS = 5;
/** Beyond it a weight counts as infinite. */
const HIGHEST_POWER = 900;
const FLOAT64_ROUNDING = 2 ** -52;
const FLOAT32_ROUNDING = 2 ** -24;

/** Bounds, and what has been measured for them since the applied state last changed. */
export class Certifier {
  readonly #layout: HeadLayout;
  readonly #softcap: number;
  readonly #kernels: Kernels;
  readonly #spread: ValueSpread;
  readonly #applied = new Map<number, AppliedColumn>();
  /** In the order in which they came. */
  #pending: PendingColumn[] = [];
  /** Rows that there is room for in what is measured. */
  #rowCapacity = 0;
  /** By row, how many of the pending columns are in the row's sums, and the five sums of its terms. */
  #summed = new Uint32Array(0);
  #sums = new Float64Array(0);
  /** o of the row at hand. */
  readonly #output: Float64Array;
  /** Twice the radius that holds all values, applied and pending, by key head. */
  readonly #diameters: Float64Array;

  constructor(layout: HeadLayout, softcap: number, kernels: Kernels, spread: ValueSpread) {
    this.#layout = layout;
    this.#softcap = softcap;
    this.#kernels = kernels;
    this.#spread = spread;
    this.#output = new Float64Array(layout.valueDim);
    this.#diameters = new Float64Array(layout.kvHeads);
  }

  /** Forgets what was measured: the applied state is about to change. */
  forget(): void {
    this.#applied.clear();
    this.#pending = [];
    this.#summed.fill(0);
  }

  /** Forgets what was measured of some rows, which are about to be built anew. */
  forgetRows(rows: readonly number[]): void {
    for (const row of rows) {
      for (const { weight } of this.#applied.values()) weight[row] = NaN;
      for (const { moved } of this.#pending) moved[row] = NaN;
      this.#summed[row] = 0;
    }
  }

  /** Takes the pending keys that the next bounds are of; what is known of the same pending keys stays known. */
  open(applied: KeyBlock, patch: KeyPatch, rowCapacity: number): void {
    if (rowCapacity !== this.#rowCapacity) {
      this.forget();
      this.#rowCapacity = rowCapacity;
      this.#summed = new Uint32Array(rowCapacity);
      this.#sums = new Float64Array(rowCapacity * TERMS);
    }
    const fresh = new Map(Array.from(patch.slots, (slot, t) => [slot, t]));
    const kept = this.#pending.filter((column) => {
      const t = fresh.get(column.slot);
      return t !== undefined && this.#isSame(column.patch, patch, t) && fresh.delete(column.slot);
    });
    // Sums only grow; without one of their columns they are taken anew.
    if (kept.length < this.#pending.length) this.#summed.fill(0);
    for (const t of fresh.values()) kept.push(this.#toColumn(applied, patch, t));
    this.#pending = kept;
    for (let head = 0; head < this.#layout.kvHeads; head++) {
      this.#diameters[head] = 2 * this.#spread.radiusWith(head, patch);
    }
  }

  /** Bound of the selected head of a query, whose state is `row`. */
  bound(states: RowStates, row: number, head: number, applied: KeyBlock): number {
    const { valueDim } = this.#layout;
    const totals = this.#kernels.total(states, row, applied, null);
    if (totals.mass === 0) return this.#farthestValue(head);

    const output = this.#output;
    totals.writeOutput(output, 0);
    let squared = 0;
    for (const o of output) squared += o * o;
    const norm = Math.sqrt(squared);
    // What rounding may have done to o, in its sums and in the division; it also shortens distances to o.
    const ledger = 2 * (Math.sqrt(valueDim) * totals.sumError + norm * totals.massError) / totals.mass +
      4 * FLOAT64_ROUNDING * norm;

    const diameter = this.#diameters[keyHeadOf(this.#layout, head)];
    this.#sumTo(row, totals, ledger, head, applied);
    const sums = this.#sums, at = row * TERMS;
    const stale = this.#pending.length === 0
      ? 0
      : stalenessBound(sums[at], sums[at + 1], sums[at + 2], sums[at + 3], sums[at + 4], diameter, norm);
    return (stale + ledger) * (1 + FLOAT32_ROUNDING) + 2 * FLOAT32_ROUNDING * norm;
  }

  /** Adds to a row's sums the columns that are not in them yet. */
  #sumTo(row: number, totals: RowTotals, ledger: number, head: number, applied: KeyBlock): void {
    const sums = this.#sums, start = row * TERMS;
    if (this.#summed[row] === 0) sums.fill(0, start, start + TERMS);
    for (let at = this.#summed[row]; at < this.#pending.length; at++) {
      const column = this.#pending[at];
      if (Number.isNaN(column.moved[row])) this.#measure(column, row, totals, ledger, head, applied);
      sums[start] += column.moved[row];
      sums[start + 1] += column.gained[row];
      sums[start + 2] += column.lost[row];
      sums[start + 3] += column.shifted[row];
      sums[start + 4] += column.doubt[row];
    }
    this.#summed[row] = this.#pending.length;
  }

  #measure(
    column: PendingColumn,
    row: number,
    totals: RowTotals,
    ledger: number,
    head: number,
    applied: KeyBlock,
  ): void {
    const { slot, patch, wasLive } = column;
    const sparse = column.sparse && this.#kernels.hasSameBias(applied, slot, patch, 0) ? column.sparse : null;
    const { valueDim, headDim, kvHeads } = this.#layout;
    const keyHead = keyHeadOf(this.#layout, head);
    const { shift, mass } = totals;
    const width = valueDim + 2;

    let weight = 0, distanceBefore = 0, scale = Math.abs(totals.logSumExp()) + headDim + 16;
    if (wasLive) {
      const known = this.#appliedColumn(slot);
      if (Number.isNaN(known.weight[row])) {
        const score = this.#kernels.scoreWithBias(applied, slot);
        known.weight[row] = score === -Infinity ? 0 : shiftedExp(score, shift) / mass;
        known.distance[row] = ledger +
          distance(this.#output, 0, applied.values, (slot * kvHeads + keyHead) * width, valueDim);
        this.#kernels.work.multiplyAdds += valueDim;
        this.#kernels.work.exponentials++;
      }
      weight = known.weight[row];
      distanceBefore = known.distance[row];
    }

    let after = 0, change = weight, distanceAfter = 0;
    if (patch.live[0] === 1) {
      if (sparse) {
        const delta = this.#kernels.productWith(sparse.columns, sparse.deltas);
        after = weight * Math.exp(delta);
        change = weight * Math.abs(Math.expm1(delta));
        distanceAfter = Infinity;
      } else {
        const score = this.#kernels.scoreWithBias(patch, 0);
        if (score > -Infinity) {
          after = exponentOf(score) - shift > HIGHEST_POWER ? Infinity : shiftedExp(score, shift) / mass;
          scale += Math.abs(score);
        }
        change = Math.abs(after - weight);
        distanceAfter = ledger + distance(this.#output, 0, patch.values, keyHead * width, valueDim);
        this.#kernels.work.multiplyAdds += valueDim;
      }
      this.#kernels.work.exponentials++;
    }

    // Scores carry a relative rounding, which exp makes an absolute one of their size.
    const doubt = FLOAT64_ROUNDING * scale * (sparse ? change : after + weight);
    const valueShift = wasLive && patch.live[0] === 1 ? column.valueShift[keyHead] : 0;
    const asEdit = wasLive ? (change + doubt) * distanceBefore + after * valueShift : Infinity;
    const asExchange = weight * distanceBefore + (after + doubt) * distanceAfter;
    column.moved[row] = after === 0 ? (weight + doubt) * distanceBefore : Math.min(asEdit, asExchange);
    column.gained[row] = (after > weight ? change : 0) + doubt;
    column.lost[row] = (after < weight ? change : 0) + doubt;
    column.shifted[row] = after * valueShift;
    column.doubt[row] = 2 * doubt;
  }

  /** Bound of a row that no applied key is allowed in: o = 0, and o' is a mean of pending values. */
  #farthestValue(head: number): number {
    const { valueDim } = this.#layout;
    const keyHead = keyHeadOf(this.#layout, head);
    this.#output.fill(0);
    let farthest = 0;
    for (const { patch } of this.#pending) {
      if (patch.live[0] === 0 || this.#kernels.scoreWithBias(patch, 0) === -Infinity) continue;
      farthest = Math.max(
        farthest,
        distance(this.#output, 0, patch.values, keyHead * (valueDim + 2), valueDim),
      );
    }
    return farthest * (1 + FLOAT32_ROUNDING);
  }

  #appliedColumn(slot: number): AppliedColumn {
    let column = this.#applied.get(slot);
    if (!column) {
      column = { weight: unmeasured(this.#rowCapacity), distance: unmeasured(this.#rowCapacity) };
      this.#applied.set(slot, column);
    }
    return column;
  }

  /** Whether key t of a patch is the one that `known` alone holds. */
  #isSame(known: KeyPatch, patch: KeyPatch, t: number): boolean {
    if (known.live[0] !== patch.live[t]) return false;
    if (patch.live[t] === 0) return true;
    const keyWidth = known.keys.length, valueWidth = known.values.length;
    return known.positions[0] === patch.positions[t] &&
      equalRun(known.keys, 0, patch.keys, t * keyWidth, keyWidth) &&
      equalRun(known.values, 0, patch.values, t * valueWidth, valueWidth) &&
      known.biasStride === patch.biasStride &&
      (!known.bias || !patch.bias ||
        equalRun(known.bias, 0, patch.bias, t * patch.biasStride, patch.biasStride));
  }

  #toColumn(applied: KeyBlock, patches: KeyPatch, t: number): PendingColumn {
    const { kvHeads, valueDim } = this.#layout;
    const slot = patches.slots[t];
    const patch = only(patches, t);
    const wasLive = slot < applied.count && applied.live[slot] === 1;
    const valueShift = new Float64Array(kvHeads);
    if (wasLive && patch.live[0] === 1) {
      const width = valueDim + 2;
      for (let head = 0; head < kvHeads; head++) {
        valueShift[head] = distance(
          patch.values,
          head * width,
          applied.values,
          (slot * kvHeads + head) * width,
          valueDim,
        );
      }
    }
    return {
      slot,
      patch,
      wasLive,
      valueShift,
      sparse: wasLive && this.#softcap === 0 ? toSparse(applied, slot, patch) : null,
      moved: unmeasured(this.#rowCapacity),
      gained: unmeasured(this.#rowCapacity),
      lost: unmeasured(this.#rowCapacity),
      shifted: unmeasured(this.#rowCapacity),
      doubt: unmeasured(this.#rowCapacity),
    };
  }
}

function unmeasured(rowCapacity: number): Float64Array {
  return new Float64Array(rowCapacity).fill(NaN);
}

/** Key t of a patch, as a patch of that key. */
function only(patch: KeyPatch, t: number): KeyPatch {
  const { count, keys, values, bias, biasStride } = patch;
  const keyWidth = keys.length / count, valueWidth = values.length / count;
  return {
    count: 1,
    slots: patch.slots.slice(t, t + 1),
    live: patch.live.slice(t, t + 1),
    keys: keys.slice(t * keyWidth, (t + 1) * keyWidth),
    values: values.slice(t * valueWidth, (t + 1) * valueWidth),
    positions: patch.positions.slice(t, t + 1),
    bias: bias && bias.slice(t * biasStride, (t + 1) * biasStride),
    biasStride,
    scoreChanged: patch.scoreChanged.slice(t, t + 1),
  };
}

/** The few numbers in which an edited key differs from the applied one, if only a mask can change its scores, too. */
function toSparse(applied: KeyBlock, slot: number, patch: KeyPatch): PendingColumn["sparse"] {
  if (patch.live[0] === 0 || applied.positions[slot] !== patch.positions[0]) return null;
  const { keys } = patch;
  const columns: number[] = [], deltas: number[] = [];
  for (let c = 0; c < keys.length; c++) {
    const delta = keys[c] - applied.keys[slot * keys.length + c];
    if (delta === 0) continue;
    if (columns.length >= keys.length * SPARSE_SHARE) return null;
    columns.push(c);
    deltas.push(delta);
  }
  return { columns, deltas };
}
