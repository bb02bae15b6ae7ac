/**
 * Certificates of rows that are computed at the host, in float64: those of stores without kernels for them,
 * and those that float32 does not suffice for.
 */

import { type HeadLayout, keyHeadOf } from "../../numerics/head_layout.ts";
import { type ChangeSums, stalenessBound } from "../../numerics/staleness_bound.ts";
import { NOTHING, type Since } from "../since.ts";
import { type CertificateKernel, NOT_CHANGED } from "./certificate_kernel.ts";
import {
  type CertifiedTile,
  HostPairs,
  HostSums,
  type PairSums,
  type RowSums,
  UNTAKEN,
} from "./certified_tile.ts";
import { type KeyEdit, toKeyEdit } from "./key_edits.ts";
import type { KeyJournal } from "./key_journal.ts";
import type { KeyTable } from "./key_table.ts";
import { KeysAt } from "./keys_at.ts";
import type { Kernels } from "./kernels.ts";
import { type CertifiedTotals, PairTerms, type RowAtHand } from "./pair_terms.ts";
import type { ScoreDoubt } from "./score_doubt.ts";
import type { ValueSpread } from "./value_spread.ts";
import { NO_WEIGHT_ROUNDING, type WeightRounding } from "./weight_rounding.ts";

/** What certificates are made of. */
export interface CertifierParts {
  readonly layout: HeadLayout;
  readonly softcap: number;
  readonly stored: KeyTable;
  readonly retained: KeyTable;
  /** Has the head row selected that a bound is asked of. */
  readonly kernels: Kernels;
  readonly spread: ValueSpread;
  /** Bounds rows with scores that float64 does not have the digits of. */
  readonly doubt: ScoreDoubt;
  /** Computes certificates of many rows; null if there is none. */
  readonly batch: CertificateKernel | null;
}

/** Bytes of what is kept of pairs; those beyond are measured anew when their key changes again. */
export const MOST_BYTES: number = 2 ** 26;
/** What a key that has no weight for certain may do to a row, as a share of the radius of values. */
const UNNOTICED = 2 ** -112;
/** What a key in a map takes, in round numbers. */
export const ENTRY_BYTES: number = 64;
/**
 * Bounds the rounding of an exchange: a subtraction and an addition, beside the largest that a sum has been.
 */
export const EXCHANGE_ROUNDING: number = 2 ** -51;
/** A row is begun anew when it has missed this number of changes more than there are pending keys. */
export const MANY_CHANGES: number = 64;
/** Sums of weights that may have lost such a share by exchanges are begun anew. */
const WORN_WEIGHTS = 2 ** -20;
/** The largest number of records of a key and a tile that are kept to be used again. */
const MOST_SPARE = 256;
const PAIR_BYTES = HostPairs.BYTES + ENTRY_BYTES;
const FLOAT64_ROUNDING = 2 ** -52;
const FLOAT32_ROUNDING = 2 ** -24;
/** Rounding a number to float32 where it is subnormal. */
const SUBNORMAL_ROUNDING = 2 ** -150;

/** Bounds of single rows. */
export class HostCertifier {
  readonly #parts: CertifierParts;
  readonly #journal: KeyJournal;
  /** For each slot, under which id its row before is retained, or NOT_CHANGED. */
  readonly #placesOf: (slots: Uint32Array, since: Since) => Float64Array;
  readonly #terms: PairTerms;
  /** How keys differ from the rows that they replaced, by slot, as they were asked for. */
  readonly #edits = new Map<number, KeyEdit>();
  #editBytes = 0;
  #bytes = 0;
  /** What keys had in tiles that were let go, to be used again. */
  readonly #spare: HostPairs[] = [];
  readonly #sums: RowSums = {
    ...{ moved: 0, gained: 0, lost: 0, shifted: 0, doubt: 0, movedPeak: 0, weightPeak: 0 },
  };
  /** o of the row that is being certified. */
  readonly #output: Float64Array;

  constructor(
    parts: CertifierParts,
    journal: KeyJournal,
    placesOf: (slots: Uint32Array, since: Since) => Float64Array,
  ) {
    this.#parts = parts;
    this.#journal = journal;
    this.#placesOf = placesOf;
    this.#terms = new PairTerms(parts.kernels, parts.layout.headDim);
    this.#output = new Float64Array(parts.layout.valueDim);
  }

  /** Bytes of sums, what keys have in them, and how keys differ. */
  get bytes(): number {
    return this.#bytes + this.#editBytes + this.#spare.length * HostPairs.BYTES;
  }

  /** The keys in some slots have changed. */
  changeKeys(slots: Uint32Array): void {
    if (this.#edits.size === 0) return;
    for (const slot of slots) this.#dropEdit(slot);
  }

  /** Forgets what was measured; tiles are dropped with their sums. */
  forget(): void {
    this.#dropEdits();
    this.#spare.length = 0;
    this.#bytes = 0;
    this.#output.fill(0);
  }

  /** Lets go of the sums of a tile when none of its rows has sums at the host any more. */
  letGo(tile: CertifiedTile): void {
    if (!tile.host) return;
    const { pairs } = tile.host;
    for (const of of pairs.values()) {
      if (this.#spare.length === MOST_SPARE) break;
      of.ages.fill(0);
      this.#spare.push(of);
    }
    this.#bytes -= HostSums.BYTES + pairs.size * PAIR_BYTES;
    tile.host = null;
  }

  /** Bound of a row of a tile, whose head is selected and whose state holds `totals`. */
  bound(
    tile: CertifiedTile,
    row: number,
    totals: CertifiedTotals,
    head: number,
    keys: KeysAt,
    rounding: WeightRounding,
  ): number {
    const keyHead = keyHeadOf(this.#parts.layout, head);
    if (totals.mass === 0) return this.#farthestValue(keys);
    const diameter = 2 * this.#parts.spread.radius(keyHead);
    const { norm, ledger, massDoubt } = this.#roundingOf(totals, diameter, rounding);
    if (rounding.isDoubtful && (keys.areStored || rounding.variation >= 1)) {
      return this.#doubtful(head, keys, totals, norm);
    }
    if (tile.momentOf(row) === UNTAKEN && keys.areStored) return this.#printed(ledger, norm);
    const at: RowAtHand = { totals, output: this.#output, keys, keyHead, diameter };
    let exchanges = this.#sumAtHost(tile, row, at);
    if (isWorn(this.#sums, exchanges, ledger)) {
      tile.leave(1 << row);
      exchanges = this.#sumAtHost(tile, row, at);
    }
    const stale = this.#staleness(this.#sums, exchanges, ledger, massDoubt, diameter, norm);
    const { moved, gained, lost } = this.#sums;
    if (!(moved + gained + lost < Infinity)) tile.leave(1 << row);
    return this.#printed(stale + ledger, norm);
  }

  /** Bound on what rounding alone did to the answer of a head row, which is selected and holds `totals`. */
  rounding(totals: CertifiedTotals, head: number, keys: KeysAt, rounding: WeightRounding): number {
    if (totals.mass === 0) return 0;
    const diameter = 2 * this.#parts.spread.radius(keyHeadOf(this.#parts.layout, head));
    const { norm, ledger } = this.#roundingOf(totals, diameter, rounding);
    return rounding.isDoubtful ? this.#settled(head, keys, totals, norm) : this.#printed(ledger, norm);
  }

  /** Bound of a row, whose o was taken last, with scores that float64 may not have the digits of. */
  #doubtful(head: number, keys: KeysAt, totals: CertifiedTotals, norm: number): number {
    if (keys.areStored) return this.#settled(head, keys, totals, norm);
    const { doubt, stored: { count } } = this.#parts, now = new KeysAt(keys.stored, keys.retained, NOTHING);
    return this.#printed(doubt.farthest(this.#output, head, now) + this.#unnoticed(head, count), norm);
  }

  /** Bound on what rounding did to such a row over the keys of its state. */
  #settled(head: number, keys: KeysAt, totals: CertifiedTotals, norm: number): number {
    const moved = this.#parts.doubt.moved(this.#output, head, keys);
    const { ledger } = this.#roundingOf(totals, 0, NO_WEIGHT_ROUNDING);
    return this.#printed(moved + ledger + this.#unnoticed(head, keys.stored.count), norm);
  }

  /** What keys that have no weight for certain may do to a row. */
  #unnoticed(head: number, count: number): number {
    const { spread, layout } = this.#parts;
    return count * UNNOTICED * spread.radius(keyHeadOf(layout, head));
  }

  /**
   * Brings the sums of a row at the host up to the present, and reads them; returns the exchanges behind
   * them.
   */
  #sumAtHost(tile: CertifiedTile, row: number, at: RowAtHand): number {
    const { since } = at.keys, { now } = this.#journal;
    // Most of them belong to keys that are no longer pending.
    if (this.#edits.size > 2 * since.slots.length + MANY_CHANGES) this.#dropEdits();
    if (!tile.host) {
      tile.host = new HostSums();
      this.#bytes += HostSums.BYTES;
    }
    const sums = tile.host, moment = tile.momentOf(row);
    let slots: Uint32Array | null = null;
    if (moment !== UNTAKEN) slots = this.#journal.since(moment);
    if (
      slots && (slots.length > since.slots.length + MANY_CHANGES || !slots.every((slot) => sums.isKept(slot)))
    ) {
      slots = null;
    }
    if (slots === null) {
      // Where memory is refused on the way, the row must not count as that of its moment.
      tile.leave(1 << row);
      sums.begin(row);
      for (let t = 0; t < since.slots.length; t++) {
        this.#addAtHost(sums, row, since.slots[t], since.retained[t], at);
      }
    } else if (slots.length > 0) {
      const places = this.#placesOf(slots, since);
      for (let t = 0; t < slots.length; t++) {
        this.#addAtHost(sums, row, slots[t], places[t], at);
      }
    }
    tile.reach(1 << row, now);
    return sums.read(row, this.#sums);
  }

  #addAtHost(sums: HostSums, row: number, slot: number, retained: number, at: RowAtHand): void {
    if (retained === NOT_CHANGED) {
      sums.exchange(row, slot, NO_TERMS, null);
      return;
    }
    const edit = this.#editOf(slot, retained), known = sums.partsOf(row, slot);
    this.#terms.measure(slot, edit, at, known);
    sums.exchange(row, slot, this.#terms, sums.pairs.has(slot) ? null : this.#makePairs());
  }

  /** Room for what a key has in a tile; null when there is none. */
  #makePairs(): HostPairs | null {
    if (this.#bytes + PAIR_BYTES > MOST_BYTES) return null;
    const pairs = this.#spare.pop() ?? new HostPairs();
    this.#bytes += PAIR_BYTES;
    return pairs;
  }

  #editOf(slot: number, retainedId: number): KeyEdit {
    const { layout, softcap, stored, retained } = this.#parts;
    const known = this.#edits.get(slot);
    if (known?.retained === retainedId) return known;
    this.#dropEdit(slot);
    const edit = toKeyEdit(stored, slot, retained, retainedId, layout, softcap);
    this.#edits.set(slot, edit);
    this.#editBytes += bytesOfEdit(edit);
    return edit;
  }

  #dropEdit(slot: number): void {
    const edit = this.#edits.get(slot);
    if (edit) this.#editBytes -= bytesOfEdit(edit);
    this.#edits.delete(slot);
  }

  #dropEdits(): void {
    this.#edits.clear();
    this.#editBytes = 0;
  }

  /** What pending keys can move o by at most, by the sums of a row with what was rounded in them. */
  #staleness(
    sums: RowSums,
    exchanges: number,
    ledger: number,
    massDoubt: number,
    diameter: number,
    norm: number,
  ): number {
    if (sums.movedPeak === 0 && sums.weightPeak === 0) return 0;
    const grown = 1 + massDoubt, rounded = exchanges * EXCHANGE_ROUNDING;
    const ofMoved = rounded * sums.movedPeak, ofWeights = rounded * sums.weightPeak;
    const doubt = (sums.doubt + ofWeights) * grown,
      weights = (sums.gained + sums.lost + sums.doubt + ofWeights) * grown;
    const change: ChangeSums = {
      moved: (sums.moved + ofMoved) * grown + weights * ledger,
      gained: sums.gained * grown + doubt,
      lost: sums.lost * grown + doubt,
      shifted: (sums.shifted + ofMoved) * grown,
      doubt: 2 * doubt + 2 * massDoubt * weights,
    };
    return stalenessBound(change, diameter, norm + ledger);
  }

  /**
   * Takes o, and tells its norm, a bound on what rounding did to it, and one on the share of the mass that it
   * hides.
   */
  #roundingOf(totals: CertifiedTotals, diameter: number, rounding: WeightRounding) {
    const { valueDim } = this.#parts.layout, output = this.#output;
    totals.writeOutput(output, 0);
    let squared = 0;
    for (const o of output) squared += o * o;
    const norm = Math.sqrt(squared), massError = totals.massError / totals.mass;
    // Rounding may have moved o in its weights, in its sums and in the division; it also shortens distances to o.
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

  /** Bound of a row that no key of its state is allowed in: o = 0, and o' is a mean of changed values. */
  #farthestValue(keys: KeysAt): number {
    const { kernels, stored } = this.#parts;
    this.#output.fill(0);
    let farthest = 0;
    for (const slot of keys.since.slots) {
      if (!stored.isLive(slot) || kernels.scoreWithBias(keys.stored, slot) === -Infinity) continue;
      farthest = Math.max(farthest, kernels.distanceToValue(this.#output, keys.stored, slot));
    }
    return farthest * (1 + FLOAT32_ROUNDING);
  }
}

/** What a kept edit takes, in round numbers. */
function bytesOfEdit({ valueShift, difference }: KeyEdit): number {
  return 2 * ENTRY_BYTES + valueShift.byteLength + 16 * (difference?.columns.length ?? 0);
}

/** The sums of a key that is the same as in the states. */
const NO_TERMS: PairSums = {
  ...{ moved: 0, change: 0, shifted: 0, doubt: 0, scoreBefore: NaN, distanceBefore: NaN },
};

/** Whether exchanges may have rounded so much of the sums of a row that they are to be begun anew. */
function isWorn(
  { moved, gained, lost, movedPeak, weightPeak }: RowSums,
  exchanges: number,
  ledger: number,
): boolean {
  const rounded = exchanges * EXCHANGE_ROUNDING;
  return rounded * movedPeak > moved / 1024 + ledger ||
    rounded * weightPeak > WORN_WEIGHTS * (1 + gained + lost);
}
