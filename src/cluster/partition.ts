/**
 * A partition: its keys, what was said of their pairs, and the sums of standing queries over them.
 *
 * Invariant: rows, ledger and clients are a function of the partition's records, and sums are one of rows and
 * query, so two replicas at the same sequence answer with the same bits.
 */

import { type Batch, decodeBatch, hashOf } from "./batch.ts";
import {
  ExactSums,
  formsOf,
  type KeyTerm,
  MOST_KEYS,
  NO_EXPONENT,
  type Scoring,
  stateColumns,
  type SummedKeys,
} from "./exact_sums.ts";
import { heaviestOf } from "../numerics/heaviest.ts";
import { keyColumns } from "../numerics/head_layout.ts";
import { exponentOf, shiftedExp } from "../numerics/power_shift.ts";
import { type KeptKey, KeyTable } from "./key_table.ts";
import { Ledger } from "./ledger.ts";
import { type KeyChange, KeyChanges, MOST_CHANGES } from "./key_changes.ts";
import type { LogRecord } from "./log.ts";
import { type KeyMask, type MaskEdit, PairMasks } from "./pair_masks.ts";
import { isReachAlone } from "./pair_score.ts";
import { type NamedShift, placeAfter, ShiftNames } from "./position_shift.ts";

/** Numbers of a head that `drift` writes. */
export const DRIFT_COLUMNS = 4;

/**
 * A standing query: its row, its position, and the sequence of the record that set or moved it. A query that
 * was moved alone has the same array as before.
 */
export interface StandingQuery {
  readonly row: Float32Array<ArrayBuffer>;
  /** 0 where no rule looks at positions. */
  readonly position: number;
  readonly version: number;
}

/** The beginning of a change: the row that was. */
interface ChangeBegun extends Pick<KeyChange, "rows" | "exponents"> {
  readonly position: number;
  readonly mask: KeyMask | null;
}

/** A heavy key. */
export interface HeavyKey {
  readonly id: string;
  /** Its weight times 2^−shift. */
  readonly mass: number;
}

/** One partition. */
export class Partition {
  readonly ledger = new Ledger();
  /** Moves of rows that were made. */
  readonly shifts = new ShiftNames();
  /** What was said of pairs; null in a cluster without masks. */
  readonly masks: PairMasks | null;
  readonly #scoring: Scoring;
  readonly #belongs: (id: string) => boolean;
  readonly #keys: KeyTable;
  readonly #sums = new Map<string, { readonly sums: ExactSums; readonly query: StandingQuery }>();
  readonly #changes = new KeyChanges();
  /** The key that sums are told of, and its biases. */
  readonly #term: KeyTerm;
  readonly #biases: Float64Array | null;
  /** The record that is being applied. */
  #applying = 0;

  /**
   * @param belongs Whether a key lies in this partition; edits of others are left out, by all replicas alike.
   */
  constructor(scoring: Scoring, belongs: (id: string) => boolean = () => true) {
    const { isMasked = false, maskHeads = 1, initialMask = null } = scoring;
    this.#belongs = belongs;
    this.masks = isMasked ? new PairMasks(maskHeads, initialMask) : null;
    this.#scoring = scoring;
    this.#keys = new KeyTable(scoring);
    this.#biases = isMasked ? new Float64Array(maskHeads) : null;
    this.#term = {
      ...{ rows: new Float32Array(0), start: 0, exponents: new Int16Array(0), exponentsAt: 0 },
      ...{ position: 0, biases: this.#biases, biasesAt: 0 },
    };
  }

  /** Live keys. */
  get keyCount(): number {
    return this.#keys.count;
  }

  /** Whether the sums would not be exact. */
  get isFull(): boolean {
    return this.#keys.count > MOST_KEYS;
  }

  /** An upper bound of the norms of key rows. */
  get keyNorm(): number {
    return this.#keys.keyNorm;
  }

  /** An upper bound of the norms of value rows. */
  get valueNorm(): number {
    return this.#keys.valueNorm;
  }

  /** Bytes of rows and sums. */
  get bytes(): number {
    let bytes = this.#keys.bytes + (this.masks?.bytes ?? 0) + this.#changes.bytes;
    for (const { sums } of this.#sums.values()) bytes += sums.bytes;
    return bytes;
  }

  /** Live ids with their rows, which are views or copies, and positions; in no particular order. */
  rows(): Iterable<readonly [string, KeptKey]> {
    return this.#keys.kept();
  }

  /** A copy of a key's row [key | value] with its position; null if it is not there. */
  copyRow(id: string): KeptKey | null {
    return this.#keys.copy(id);
  }

  /**
   * Applies a record; records that are not newer are left out.
   *
   * @throws {Damage} When it is not what was written, or one before it is missing. Nothing has changed then.
   */
  apply({ sequence, body }: LogRecord): void {
    if (sequence <= this.ledger.sequence) return;
    const batch = decodeBatch(body, "keys", this.#keys.width, formsOf(this.#scoring));
    const isNew = this.ledger.isNew(batch);
    this.#applying = sequence;
    if (isNew) this.#perform(batch);
    this.ledger.note(sequence, body, isNew ? batch : null, hashOf(body));
  }

  /** Sets a row without a record, for a snapshot. */
  load(id: string, row: Float32Array, position: number): void {
    this.#set(id, row, position);
  }

  /** Bounds of the norms of rows that were there before, for a snapshot. */
  noteNorms(key: number, value: number): void {
    this.#keys.noteNorms(key, value);
  }

  /** Forgets the sums of a query that is gone. */
  forget(id: string): void {
    this.#sums.delete(id);
  }

  /** Brings the sums of a standing query up to date. */
  update(id: string, query: StandingQuery): ExactSums {
    const { rule } = this.#scoring;
    let held = this.#sums.get(id);
    // The version does not identify it: a host whose queries were wrong has had another query of the same version.
    const isMoved = held !== undefined && held.query !== query && held.query.row === query.row &&
      rule !== undefined && isReachAlone(rule);
    if (held === undefined || (held.query !== query && !isMoved)) {
      held = { sums: new ExactSums(this.#scoring, query.row, query.position), query };
      this.#sums.set(id, held);
    }
    const { sums } = held, { first, end } = this.#changes;
    // A key that has changed often, as under a block of a mask, is looked at once if sums are built anew.
    if (sums.changes < first || end - sums.changes > 2 * this.#keys.count) sums.lose();
    // Between calls either all heads are lost or none is.
    for (let at = sums.isLost ? end : sums.changes; at < end; at++) {
      const change = this.#changes.at(at);
      if (change.had) sums.change(-1, this.#termOf(id, change, 0));
      if (change.has) sums.change(1, this.#termOf(id, change, 1));
    }
    sums.changes = end;
    if (isMoved) {
      sums.move(query.position, this.#keysOf(id));
      this.#sums.set(id, { sums, query });
    }
    if (sums.isLost) sums.build(this.#keysOf(id), this.#keys.scratch);
    return sums;
  }

  /** Whether `update` would do something. */
  isBehind(id: string, query: StandingQuery): boolean {
    const held = this.#sums.get(id);
    return held?.query !== query || held.sums.isLost || held.sums.changes < this.#changes.end;
  }

  /**
   * How far the state of a standing query may have moved since a record; see `drift.ts`. Writes for each head
   * the shift, the mass, and the two sums of the bound; false where the changes since then are not all there
   * any more.
   */
  drift(id: string, query: StandingQuery, since: number, target: Float64Array, offset: number): boolean {
    const sums = this.update(id, query), { layout } = this.#scoring, { heads, valueDim, kvHeads } = layout;
    const known = Math.max(this.#changes.droppedSequence, this.ledger.begin, this.masks?.changedAt(id) ?? 0);
    if (since < known) return false;
    const { width } = this.#keys;
    const state = new Float64Array(stateColumns(layout));
    sums.write(state, 0);
    for (let head = 0, at = offset; head < heads; head++, at += DRIFT_COLUMNS) {
      const from = head * (valueDim + 3),
        shift = state[from],
        values = keyColumns(layout) +
          Math.floor(head * kvHeads / heads) * valueDim;
      target[at] = shift;
      target[at + 1] = state[from + 1];
      target[at + 2] = target[at + 3] = 0;
      for (const { sequence, rows, positions, masks, had, has } of this.#changes.kept) {
        if (sequence <= since) continue;
        const weigh = (start: number, at: 0 | 1) =>
          weightOf(sums.scoreOf(head, rows, start, positions[at], this.#biasOf(id, masks[at], head)), shift);
        const before = had ? weigh(0, 0) : 0, after = has ? weigh(width, 1) : 0;
        target[at + 2] += Math.abs(after - before);
        if (!had || !has) continue;
        let squares = 0;
        for (let c = 0; c < valueDim; c++) {
          squares += (rows[width + values + c] - rows[values + c]) ** 2;
        }
        target[at + 3] += Math.min(before, after) * Math.sqrt(squares);
      }
    }
    return true;
  }

  /** The state of a query that is kept nowhere; it has the mask of the standing query `maskOf`, "" for none. */
  pass(row: Float32Array, position = 0, maskOf = ""): ExactSums {
    const sums = new ExactSums(this.#scoring, row, position);
    sums.build(maskOf === "" ? this.#keys.summed(null) : this.#keysOf(maskOf), this.#keys.scratch);
    return sums;
  }

  /**
   * The heaviest keys of a head of the standing query `query`, the heaviest first, equal ones by id; with the
   * shift of their weights.
   */
  heaviest(
    query: string,
    sums: ExactSums,
    head: number,
    count: number,
  ): { shift: number; mass: number; keys: HeavyKey[] } {
    const { layout } = this.#scoring, columns = stateColumns(layout), state = new Float64Array(columns);
    sums.write(state, 0);
    const at = head * (layout.valueDim + 3), shift = state[at], mass = state[at + 1];
    const table = this.#keys, weights = table.scratch, all = new Uint32Array(table.count);
    const { rows, width } = table.summed(null);
    let n = 0;
    for (const [id, slot] of table.slots) {
      const bias = this.#biasOf(query, this.masks?.of(id) ?? null, head);
      weights[slot] = sums.scoreOf(head, rows, slot * width, table.positionAt(slot), bias);
      // Keys that the query may not attend to are not among the heaviest, however few there are.
      if (weights[slot] > -Infinity) all[n++] = slot;
    }
    const live = all.subarray(0, n);
    // Keys of equal weight may be cut off by slot, so all that weigh as much as the last one are ordered by
    // id.
    const found = heaviestOf(live, weights, count), least = weights[found[found.length - 1]];
    const keys = Array.from(live.filter((slot) => weights[slot] >= least))
      .sort((a, b) => weights[b] - weights[a] || (table.idAt(a) < table.idAt(b) ? -1 : 1))
      .slice(0, count)
      .map((slot) => {
        return { id: table.idAt(slot), mass: weightOf(weights[slot], shift) };
      });
    return { shift, mass, keys };
  }

  /** The bias of a standing query with a key of which `mask` was said, in a head. */
  #biasOf(query: string, mask: KeyMask | null, head: number): number {
    return this.masks === null ? 0 : this.masks.bias(query, mask, head);
  }

  /** A key before a change (0) or after it (1), for the sums of a standing query. */
  #termOf(query: string, { rows, exponents, positions, masks }: KeyChange, at: 0 | 1): KeyTerm {
    const term = this.#term, biases = this.#biases;
    term.rows = rows;
    term.start = at * this.#keys.width;
    term.exponents = exponents;
    term.exponentsAt = at * this.#scoring.layout.kvHeads;
    term.position = positions[at];
    if (biases !== null) {
      for (let head = 0; head < biases.length; head++) biases[head] = this.#biasOf(query, masks[at], head);
    }
    return term;
  }

  /** The keys with their biases for a standing query. */
  #keysOf(query: string): SummedKeys {
    const { masks } = this, { slots } = this.#keys, { size } = this.#keys.summed(null);
    if (masks === null || masks.isEmpty) return this.#keys.summed(null);
    const { heads } = masks, biases = new Float64Array(size * heads);
    for (const [id, slot] of slots) {
      const said = masks.of(id);
      for (let head = 0; head < heads; head++) biases[slot * heads + head] = masks.bias(query, said, head);
    }
    return this.#keys.summed(biases);
  }

  #perform({ edits }: Batch): void {
    for (const { id, row, position, mask, shift } of edits) {
      if (mask) {
        this.#say(id, mask);
        continue;
      }
      if (shift) {
        if (this.shifts.isNew(shift.name)) this.#shift(shift);
        continue;
      }
      if (!this.#belongs(id)) continue;
      if (row !== null) this.#set(id, row, position ?? 0);
      else if (position === undefined) this.#delete(id);
      else this.#move(id, position);
    }
  }

  /** Says something of the pairs of a key, or of queries with all keys; nothing happens if the key is not there. */
  #say(id: string, mask: MaskEdit): void {
    if (id === "") {
      this.masks?.sayOfQueries(mask, this.#applying);
      for (const query of mask.queries) this.#sums.get(query)?.sums.lose();
      return;
    }
    const slot = this.#keys.slots.get(id);
    if (slot === undefined) return;
    const change = this.#beginChange(slot);
    this.masks?.sayOfKey(id, mask);
    if (change) this.#endChange(change, slot, true);
  }

  /** Moves all keys of a range. */
  #shift(shift: NamedShift): void {
    const rule = this.#scoring.rule;
    if (rule === undefined) return;
    const moves: [id: string, position: number][] = [];
    for (const [id, slot] of this.#keys.slots) {
      const position = this.#keys.positionAt(slot), place = placeAfter(rule, shift, position);
      if (place !== position) moves.push([id, place]);
    }
    // Where so many keys move, sums are built anew in any case, and changes would be kept for nothing.
    const isMany = moves.length > MOST_CHANGES;
    if (isMany) this.#changes.skip(this.#applying);
    for (const [id, position] of moves) this.#move(id, position, !isMany);
  }

  /** Moves a key whose row stays; nothing happens if it is not there. */
  #move(id: string, position: number, isTold = true): void {
    const kept = this.copyRow(id);
    if (kept !== null) this.#set(id, kept.row, position, isTold);
  }

  #set(id: string, given: Float32Array, position: number, isTold = true): void {
    const before = this.#keys.slots.get(id), change = isTold ? this.#beginChange(before) : null;
    const slot = this.#keys.put(id, given, position);
    if (before === undefined) this.masks?.bear(id);
    if (change) this.#endChange(change, slot, before !== undefined);
  }

  #delete(id: string): void {
    const slot = this.#keys.slots.get(id);
    if (slot === undefined) return;
    const change = this.#beginChange(slot);
    this.#keys.remove(id, slot);
    this.masks?.forget(id);
    if (change) this.#endChange(change, null, true);
  }

  /** Copies the row that is about to change; null while no sums are held. */
  #beginChange(slot: number | undefined): ChangeBegun | null {
    if (this.#sums.size === 0) {
      this.#changes.skip(this.#applying);
      return null;
    }
    const { kvHeads } = this.#scoring.layout, rows = new Float32Array(2 * this.#keys.width);
    const exponents = new Int16Array(2 * kvHeads).fill(NO_EXPONENT);
    if (slot === undefined) return { rows, exponents, position: 0, mask: null };
    this.#keys.copySlot(slot, rows, 0, exponents, 0);
    return { rows, exponents, position: this.#keys.positionAt(slot), mask: this.#maskAt(slot) };
  }

  #endChange({ rows, exponents, position, mask }: ChangeBegun, slot: number | null, had: boolean) {
    const { kvHeads } = this.#scoring.layout, isThere = slot !== null;
    if (isThere) this.#keys.copySlot(slot, rows, this.#keys.width, exponents, kvHeads);
    const positions = [position, isThere ? this.#keys.positionAt(slot) : 0] as const;
    const masks = [mask, isThere ? this.#maskAt(slot) : null] as const, sequence = this.#applying;
    this.#changes.push({ sequence, rows, exponents, positions, masks, had, has: isThere });
  }

  #maskAt(slot: number): KeyMask | null {
    return this.masks?.of(this.#keys.idAt(slot)) ?? null;
  }
}

/** A weight times 2^−shift; Infinity where that is out of range. */
function weightOf(score: number, shift: number): number {
  return exponentOf(score) - shift > 1000 ? Infinity : shiftedExp(score, shift);
}
