/**
 * Certificates: for each row asked for, a bound on how far the output of its state is from what it would be with the
 * stored keys. What was measured of a pair is remembered.
 *
 * For a changed key and a row, the terms of `core/staleness_bound.ts` need two scores, O(d), and a distance, O(dv).
 * They are measured once and kept: another look at the same edit costs O(1) a row, and another edit of a few numbers
 * of the same key costs as many products a row, since the weight and the distance in the state stay. What was
 * measured of a row is forgotten when its state changes, what was measured of an edit when its key changes again.
 */

import { type HeadLayout, keyHeadOf } from "../../numerics/head_layout.ts";
import { exponentOf, shiftedExp } from "../../numerics/power_shift.ts";
import { stalenessBound } from "../../numerics/staleness_bound.ts";
import { NO_ROW } from "../since.ts";
import { type KeyEdit, toKeyEdit } from "./key_edits.ts";
import type { KeyTable } from "./key_table.ts";
import type { KeysAt } from "./keys_at.ts";
import type { Kernels } from "./kernels.ts";
import type { ValueSpread } from "./value_spread.ts";

/** What a state holds altogether, with bounds on the rounding of its sums. */
export interface CertifiedTotals {
  readonly shift: number;
  readonly mass: number;
  readonly massError: number;
  readonly sumError: number;
  writeOutput(target: Float64Array, offset: number): void;
  logSumExp(): number;
}

/** What computing scores and weights may have done to a state before they were summed. */
export interface WeightRounding {
  /** The mass is off by at most this share of itself. */
  readonly mass: number;
  /** The weights are off by at most this total variation. */
  readonly variation: number;
}

/** Of weights in float64, whose rounding is below everything that is charged in any case. */
export const NO_WEIGHT_ROUNDING: WeightRounding = { mass: 0, variation: 0 };

/** A row, measured once a bound. */
interface RowAtHand {
  readonly tile: RowTile;
  /** The number of the tile, and the place of the row in it. */
  readonly tileNumber: number;
  readonly at: number;
  readonly age: number;
  readonly keyHead: number;
  readonly totals: CertifiedTotals;
  /** Bound on what rounding did to o. */
  readonly ledger: number;
  /** Bound on what rounding did to the mass, as a share of it. */
  readonly massDoubt: number;
}

/** Terms of a bound: moved, gained, lost, shifted, doubt. */
const TERMS = 5;
/** Rows whose measures lie side by side. */
const TILE_ROWS = 16;

/** Measures of the changed key in one slot for the rows of a tile; each holds where the row's age is the noted one. */
class Measures {
  /** Bytes that it takes. */
  static readonly BYTES = TILE_ROWS * 64;
  /** Age of the row of which w_ij and ‖v_j − o_i‖ are known, of the key in the row's state. */
  readonly known = new Uint32Array(TILE_ROWS);
  readonly weight = new Float64Array(TILE_ROWS);
  readonly distance = new Float64Array(TILE_ROWS);
  /** Age of the row of which the terms of the bound are known. */
  readonly measured = new Uint32Array(TILE_ROWS);
  readonly moved = new Float64Array(TILE_ROWS);
  readonly gained = new Float64Array(TILE_ROWS);
  readonly lost = new Float64Array(TILE_ROWS);
  readonly shifted = new Float64Array(TILE_ROWS);
  readonly doubt = new Float64Array(TILE_ROWS);
}

/** The rows of a tile themselves. */
class RowTile {
  /** Bytes that it takes. */
  static readonly BYTES = TILE_ROWS * 56;
  /** How often the row's state has changed; from 1 on. */
  readonly ages = new Uint32Array(TILE_ROWS).fill(1);
  /** How many of the changed keys are in the row's sums, the five sums, and when and at which age they were begun. */
  readonly summed = new Uint32Array(TILE_ROWS);
  readonly sums = new Float64Array(TILE_ROWS * TERMS);
  readonly sumBegun = new Uint32Array(TILE_ROWS);
  readonly sumAge = new Uint32Array(TILE_ROWS);
}

/** The changed key in one slot. */
interface Column {
  readonly slot: number;
  /** null when the stored key has changed since it was looked at. */
  edit: KeyEdit | null;
  /** When it was last asked about. */
  asked: number;
  /** By tile of rows. */
  readonly tiles: Map<number, Measures>;
}

/** Bytes of measures that are remembered; those beyond are measured anew whenever they are asked for. */
const MOST_BYTES = 2 ** 26;
/** What a column takes by itself, in round numbers. */
const COLUMN_BYTES = 256;
/** A column that nobody asked about while so many batches were stored is let go. */
const COLUMN_MEMORY = 64;
/** Beyond it a weight counts as infinite. */
const HIGHEST_POWER = 900;
const FLOAT64_ROUNDING = 2 ** -52;
const FLOAT32_ROUNDING = 2 ** -24;
/** Rounding a number to float32 where it is subnormal. */
const SUBNORMAL_ROUNDING = 2 ** -150;
/** Below it a weight has lost digits, or itself, to underflow: a change is no longer a factor of it. */
const SMALLEST_FACTOR = 2 ** -900;

/** What certificates are made of. */
export interface CertifierParts {
  readonly layout: HeadLayout;
  readonly softcap: number;
  readonly stored: KeyTable;
  readonly retained: KeyTable;
  /** Has the head row selected that a bound is asked of. */
  readonly kernels: Kernels;
  readonly spread: ValueSpread;
}

/** Bounds, and what has been measured for them. */
export class Certifier {
  readonly #parts: CertifierParts;
  readonly #columns = new Map<number, Column>();
  /** Columns that were left after the last clearing. */
  #columnsLeft = 0;
  /** Counts batches of keys. */
  #batch = 0;
  /** By number, the tiles of rows that bounds were asked of. */
  readonly #rows = new Map<number, RowTile>();
  /** Bytes of all measures. */
  #bytes = 0;
  /** Of pairs that there is no room for any more. */
  readonly #passing = new Measures();
  /** The batch since which sums hold. */
  #sumsHoldSince = 0;
  /** The changed keys at hand, and the tables in which they are measured. */
  #pending: Column[] = [];
  #keys: KeysAt | null = null;
  /** o of the row at hand. */
  readonly #output: Float64Array;

  constructor(parts: CertifierParts) {
    this.#parts = parts;
    this.#output = new Float64Array(parts.layout.valueDim);
  }

  /** The keys in some slots have changed. */
  changeKeys(slots: Uint32Array): void {
    this.#batch++;
    for (const slot of slots) {
      const column = this.#columns.get(slot);
      if (!column) continue;
      column.edit = null;
      for (const { measured } of column.tiles.values()) measured.fill(0);
      // Sums only grow; what is in them already cannot be taken out.
      this.#sumsHoldSince = this.#batch;
    }
    if (this.#columns.size > 2 * this.#columnsLeft + COLUMN_MEMORY) this.#letGo();
  }

  /** Bytes that it holds. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Forgets all that was measured. */
  forget(): void {
    this.#columns.clear();
    this.#rows.clear();
    this.#bytes = 0;
    this.#columnsLeft = 0;
    this.#pending = [];
    this.#output.fill(0);
  }

  /** The state of a row has changed. */
  changeRow(row: number): void {
    const tile = this.#rows.get(Math.floor(row / TILE_ROWS));
    if (tile) tile.ages[row % TILE_ROWS]++;
  }

  /** Takes the changed keys that the next bounds are of. */
  open(keys: KeysAt): void {
    if (this.#bytes > MOST_BYTES) this.forget();
    const { layout, softcap, stored, retained: retainedRows } = this.#parts;
    const { slots, retained } = keys.since;
    this.#keys = keys;
    this.#pending = Array.from(slots, (slot, t) => {
      let column = this.#columns.get(slot);
      if (!column) {
        this.#columns.set(slot, column = { slot, edit: null, asked: 0, tiles: new Map() });
        this.#bytes += COLUMN_BYTES;
      }
      if (column.edit?.retained !== retained[t]) {
        column.edit = toKeyEdit(stored, slot, retainedRows, retained[t], layout, softcap);
      }
      column.asked = this.#batch;
      return column;
    });
  }

  /** Bound of the selected head of a query, whose state is `row` and holds `totals`. */
  bound(totals: CertifiedTotals, row: number, head: number, rounding: WeightRounding): number {
    const { layout, spread } = this.#parts;
    const keyHead = keyHeadOf(layout, head);
    if (totals.mass === 0) return this.#farthestValue();

    const diameter = 2 * spread.radius(keyHead);
    const { norm, ledger, massDoubt } = this.#roundingOf(totals, diameter, rounding);

    let stale = 0;
    if (this.#pending.length > 0) {
      const tileNumber = Math.floor(row / TILE_ROWS), at = row % TILE_ROWS;
      const tile = this.#tileOf(tileNumber), start = at * TERMS;
      this.#sumTo({ tile, tileNumber, at, age: tile.ages[at], keyHead, totals, ledger, massDoubt });
      stale = stalenessBound(
        tile.sums[start],
        tile.sums[start + 1],
        tile.sums[start + 2],
        tile.sums[start + 3],
        tile.sums[start + 4],
        diameter,
        norm + ledger,
      );
    }
    return this.#printed(stale + ledger, norm);
  }

  /** Bound on what rounding alone did to the answer of a head row that holds `totals`. */
  rounding(totals: CertifiedTotals, head: number, rounding: WeightRounding): number {
    if (totals.mass === 0) return 0;
    const { layout, spread } = this.#parts, diameter = 2 * spread.radius(keyHeadOf(layout, head));
    const { norm, ledger } = this.#roundingOf(totals, diameter, rounding);
    return this.#printed(ledger, norm);
  }

  /** Takes o, and tells its norm, a bound on what rounding did to it, and one on the share of the mass that it hides. */
  #roundingOf(totals: CertifiedTotals, diameter: number, rounding: WeightRounding) {
    const { valueDim } = this.#parts.layout, output = this.#output;
    totals.writeOutput(output, 0);
    let squared = 0;
    for (const o of output) squared += o * o;
    const norm = Math.sqrt(squared), massError = totals.massError / totals.mass;
    // What rounding may have done to o: in its weights, in its sums and in the division; it also shortens distances to o.
    const ledger = rounding.variation * diameter +
      2 * (Math.sqrt(valueDim) * totals.sumError / totals.mass + norm * massError) +
      4 * FLOAT64_ROUNDING * norm;
    return { norm, ledger, massDoubt: rounding.mass + 2 * massError };
  }

  /** A bound on the distance of o, with what rounding to float32 does to it. */
  #printed(bound: number, norm: number): number {
    return bound * (1 + FLOAT32_ROUNDING) + 2 * FLOAT32_ROUNDING * norm +
      Math.sqrt(this.#parts.layout.valueDim) * SUBNORMAL_ROUNDING;
  }

  /** Adds to a row's sums the changed keys that are not in them yet. */
  #sumTo(atHand: RowAtHand): void {
    const { tile: { sums, summed, sumAge, sumBegun }, tileNumber, at, age } = atHand;
    const start = at * TERMS;
    if (sumAge[at] !== age || sumBegun[at] < this.#sumsHoldSince || summed[at] > this.#pending.length) {
      summed[at] = 0;
      sumAge[at] = age;
      sumBegun[at] = this.#batch;
      sums.fill(0, start, start + TERMS);
    }
    for (let t = summed[at]; t < this.#pending.length; t++) {
      const column = this.#pending[t], measures = this.#measuresOf(column, tileNumber);
      if (measures.measured[at] !== age) this.#measure(column, measures, column.edit as KeyEdit, atHand);
      sums[start] += measures.moved[at];
      sums[start + 1] += measures.gained[at];
      sums[start + 2] += measures.lost[at];
      sums[start + 3] += measures.shifted[at];
      sums[start + 4] += measures.doubt[at];
    }
    summed[at] = this.#pending.length;
  }

  #tileOf(number: number): RowTile {
    let tile = this.#rows.get(number);
    if (!tile) {
      this.#rows.set(number, tile = new RowTile());
      this.#bytes += RowTile.BYTES;
    }
    return tile;
  }

  #measuresOf({ tiles }: Column, number: number): Measures {
    let measures = tiles.get(number);
    if (!measures && this.#bytes >= MOST_BYTES) {
      measures = this.#passing;
      measures.known.fill(0);
      measures.measured.fill(0);
    } else if (!measures) {
      tiles.set(number, measures = new Measures());
      this.#bytes += Measures.BYTES;
    }
    return measures;
  }

  /**
   * Measures a changed key for a row. The mass that weights are shares of is that of the state: what rounding did to
   * it makes them larger by at most 1 + `massDoubt`.
   */
  #measure({ slot }: Column, column: Measures, edit: KeyEdit, atHand: RowAtHand): void {
    const { kernels, layout: { headDim } } = this.#parts, tables = this.#keys as KeysAt;
    const { at, age, keyHead, totals, ledger, massDoubt } = atHand;
    const { retained, isLive, valueShift, sparse } = edit;
    const wasLive = retained !== NO_ROW;
    if (wasLive && column.known[at] !== age) this.#measureBefore(column, retained, atHand);
    const weight = wasLive ? column.weight[at] : 0;
    const distanceBefore = wasLive ? column.distance[at] : 0;

    const isSparse = sparse !== null && weight >= SMALLEST_FACTOR &&
      kernels.hasSameBias(tables.retained, retained, tables.stored, slot);
    let after = 0, change = weight, distanceAfter = 0, scoreAfter = 0;
    if (isLive) {
      if (isSparse) {
        const delta = kernels.productWith(sparse.columns, sparse.deltas);
        after = weight * Math.exp(delta);
        change = weight * Math.abs(Math.expm1(delta));
        distanceAfter = Infinity;
      } else {
        const score = kernels.scoreWithBias(tables.stored, slot);
        after = toWeight(score, totals);
        if (score > -Infinity) scoreAfter = Math.abs(score);
        change = Math.abs(after - weight);
        distanceAfter = ledger + kernels.distanceToValue(this.#output, tables.stored, slot);
      }
      kernels.work.exponentials++;
    }

    // Scores carry a relative rounding, which exp makes an absolute one of their size: that of a weight is ln w + L.
    const scoreBefore = weight > 0 ? Math.abs(Math.log(weight)) : 0;
    const scale = Math.abs(totals.logSumExp()) + headDim + 16 + scoreBefore + scoreAfter;
    const doubt = FLOAT64_ROUNDING * scale * (isSparse ? change : after + weight);
    const grown = 1 + massDoubt;
    const shifted = wasLive && isLive ? after * grown * valueShift[keyHead] : 0;
    const asEdit = wasLive ? (change * grown + doubt) * distanceBefore + shifted : Infinity;
    const asExchange = weight * grown * distanceBefore + (after * grown + doubt) * distanceAfter;
    column.measured[at] = age;
    column.moved[at] = after === 0 ? (weight * grown + doubt) * distanceBefore : Math.min(asEdit, asExchange);
    column.gained[at] = (after > weight ? change * grown : 0) + doubt;
    column.lost[at] = (after < weight ? change * grown : 0) + doubt;
    column.shifted[at] = shifted;
    column.doubt[at] = 2 * doubt + 2 * massDoubt * change;
  }

  /** Measures what a key is in the state of a row. */
  #measureBefore(column: Measures, retained: number, { at, age, totals, ledger }: RowAtHand): void {
    const { kernels } = this.#parts, keys = this.#keys as KeysAt;
    column.known[at] = age;
    column.weight[at] = toWeight(kernels.scoreWithBias(keys.retained, retained), totals);
    column.distance[at] = ledger + kernels.distanceToValue(this.#output, keys.retained, retained);
    kernels.work.exponentials++;
  }

  /** Bound of a row that no key of its state is allowed in: o = 0, and o' is a mean of changed values. */
  #farthestValue(): number {
    const { kernels } = this.#parts, keys = this.#keys as KeysAt;
    this.#output.fill(0);
    let farthest = 0;
    for (const { slot, edit } of this.#pending) {
      if (!edit?.isLive || kernels.scoreWithBias(keys.stored, slot) === -Infinity) continue;
      farthest = Math.max(farthest, kernels.distanceToValue(this.#output, keys.stored, slot));
    }
    return farthest * (1 + FLOAT32_ROUNDING);
  }

  #drop(slot: number): void {
    this.#bytes -= COLUMN_BYTES + Measures.BYTES * (this.#columns.get(slot)?.tiles.size ?? 0);
    this.#columns.delete(slot);
  }

  #letGo(): void {
    // A change of its key would not be noticed any more in sums that it is in.
    this.#sumsHoldSince = this.#batch;
    for (const { slot, asked } of this.#columns.values()) {
      if (this.#batch - asked > COLUMN_MEMORY) this.#drop(slot);
    }
    this.#columnsLeft = this.#columns.size;
  }
}

/** exp(score) over the mass of a row. */
function toWeight(score: number, { shift, mass }: CertifiedTotals): number {
  if (score === -Infinity) return 0;
  return exponentOf(score) - shift > HIGHEST_POWER ? Infinity : shiftedExp(score, shift) / mass;
}
