/**
 * A partition: the rows of its keys by id, and the sums of standing queries over them.
 *
 * Invariant: rows, ledger and clients are a function of the partition's records, and sums are one of rows and
 * query, so two replicas at the same sequence answer with the same bits.
 */

import { type Batch, decodeBatch, hashOf } from "./batch.ts";
import {
  ExactSums,
  formsOf,
  MOST_KEYS,
  NO_EXPONENT,
  placesOf,
  type Scoring,
  stateColumns,
  type SummedKeys,
  turnedRow,
  valueExponent,
} from "./exact_sums.ts";
import { heaviestOf } from "../numerics/heaviest.ts";
import { keyColumns, valueColumns } from "../numerics/head_layout.ts";
import { exponentOf, shiftedExp } from "../numerics/power_shift.ts";
import { Ledger } from "./ledger.ts";
import { type KeyChange, KeyChanges } from "./key_changes.ts";
import type { LogRecord } from "./log.ts";
import { type KeyMask, type MaskEdit, PairMasks } from "./pair_masks.ts";
import { isReachAlone } from "./pair_score.ts";

const FIRST_SLOTS = 64;
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

/** A key as it is stored. */
export interface KeptKey {
  readonly row: Float32Array<ArrayBuffer>;
  /** 0 where no rule looks at positions. */
  readonly position: number;
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
  /** What was said of pairs; null in a cluster without masks. */
  readonly masks: PairMasks | null;
  readonly #scoring: Scoring;
  readonly #belongs: (id: string) => boolean;
  readonly #width: number;
  readonly #slots = new Map<string, number>();
  #ids: (string | null)[] = [];
  readonly #free: number[] = [];
  /** Rows as they are multiplied: with rotary positions, keys are turned. */
  #rows: Float32Array<ArrayBuffer>;
  /** Keys as they came; null where they are not turned. */
  #given: Float32Array<ArrayBuffer> | null;
  /** Empty where no rule looks at positions. */
  #positions: Float64Array<ArrayBuffer>;
  #isLive = new Uint8Array(FIRST_SLOTS);
  #exponents: Int16Array<ArrayBuffer>;
  #scratch = new Float64Array(FIRST_SLOTS);
  readonly #sums = new Map<string, { readonly sums: ExactSums; readonly query: StandingQuery }>();
  readonly #changes = new KeyChanges();
  /** The record that is being applied. */
  #applying = 0;
  /** Upper bounds of the norms of key rows and value rows. */
  #keyNorm = 0;
  #valueNorm = 0;

  /**
   * @param belongs Whether a key lies in this partition; edits of others are left out, by all replicas alike.
   */
  constructor(scoring: Scoring, belongs: (id: string) => boolean = () => true) {
    const { layout } = scoring;
    this.#belongs = belongs;
    this.masks = scoring.isMasked ? new PairMasks() : null;
    this.#scoring = scoring;
    this.#width = keyColumns(layout) + valueColumns(layout);
    this.#rows = new Float32Array(FIRST_SLOTS * this.#width);
    this.#given = scoring.rule?.rotary ? new Float32Array(FIRST_SLOTS * keyColumns(layout)) : null;
    this.#positions = new Float64Array(placesOf(scoring) ? FIRST_SLOTS : 0);
    this.#exponents = new Int16Array(FIRST_SLOTS * layout.kvHeads);
  }

  /** Live keys. */
  get keyCount(): number {
    return this.#slots.size;
  }

  /** Whether the sums would not be exact. */
  get isFull(): boolean {
    return this.#slots.size > MOST_KEYS;
  }

  /** An upper bound of the norms of key rows. */
  get keyNorm(): number {
    return this.#keyNorm;
  }

  /** An upper bound of the norms of value rows. */
  get valueNorm(): number {
    return this.#valueNorm;
  }

  /** Bytes of rows and sums. */
  get bytes(): number {
    let bytes = this.#rows.byteLength + this.#exponents.byteLength + 9 * this.#isLive.length;
    bytes += (this.#given?.byteLength ?? 0) + this.#positions.byteLength + (this.masks?.bytes ?? 0);
    for (const { sums } of this.#sums.values()) bytes += sums.bytes;
    return bytes + this.#changes.bytes;
  }

  /** Live ids with their rows, which are views or copies, and positions; in no particular order. */
  *rows(): Generator<readonly [string, KeptKey]> {
    for (const [id, slot] of this.#slots) yield [id, this.#keptAt(slot)];
  }

  /** A copy of a key's row [key | value] with its position; null if it is not there. */
  copyRow(id: string): KeptKey | null {
    const slot = this.#slots.get(id);
    if (slot === undefined) return null;
    const { row, position } = this.#keptAt(slot);
    return { row: row.slice(), position };
  }

  /**
   * Applies a record; records that are not newer are left out.
   *
   * @throws {Damage} When it is not what was written, or one before it is missing. Nothing has changed then.
   */
  apply({ sequence, body }: LogRecord): void {
    if (sequence <= this.ledger.sequence) return;
    const batch = decodeBatch(body, "keys", this.#width, formsOf(this.#scoring));
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
    this.#keyNorm = Math.max(this.#keyNorm, key);
    this.#valueNorm = Math.max(this.#valueNorm, value);
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
    if (sums.changes < first) sums.lose();
    for (let at = Math.max(sums.changes, first); at < end; at++) {
      const { rows, exponents, positions, masks, had, has } = this.#changes.at(at);
      if (had) sums.change(-1, rows, 0, exponents, 0, positions[0], this.#biasOf(id, masks[0]));
      if (!has) continue;
      const { kvHeads } = this.#scoring.layout, bias = this.#biasOf(id, masks[1]);
      sums.change(1, rows, this.#width, exponents, kvHeads, positions[1], bias);
    }
    sums.changes = end;
    if (isMoved) {
      sums.move(query.position, this.#keysOf(id));
      this.#sums.set(id, { sums, query });
    }
    if (sums.isLost) sums.build(this.#keysOf(id), this.#scratch);
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
          weightOf(sums.scoreOf(head, rows, start, positions[at], this.#biasOf(id, masks[at])), shift);
        const before = had ? weigh(0, 0) : 0, after = has ? weigh(this.#width, 1) : 0;
        target[at + 2] += Math.abs(after - before);
        if (!had || !has) continue;
        let squares = 0;
        for (let c = 0; c < valueDim; c++) {
          squares += (rows[this.#width + values + c] - rows[values + c]) ** 2;
        }
        target[at + 3] += Math.min(before, after) * Math.sqrt(squares);
      }
    }
    return true;
  }

  /** The state of a query that is kept nowhere; it has the mask of the standing query `maskOf`, "" for none. */
  pass(row: Float32Array, position = 0, maskOf = ""): ExactSums {
    const sums = new ExactSums(this.#scoring, row, position);
    sums.build(maskOf === "" ? this.#keys(null) : this.#keysOf(maskOf), this.#scratch);
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
    const weights = this.#scratch, all = new Uint32Array(this.#slots.size);
    let n = 0;
    for (const [id, slot] of this.#slots) {
      const bias = this.#biasOf(query, this.masks?.of(id) ?? null);
      weights[slot] = sums.scoreOf(head, this.#rows, slot * this.#width, this.#positions[slot], bias);
      // Keys that the query may not attend to are not among the heaviest, however few there are.
      if (weights[slot] > -Infinity) all[n++] = slot;
    }
    const live = all.subarray(0, n);
    // Keys of equal weight may be cut off by slot, so all that weigh as much as the last one are ordered by
    // id.
    const found = heaviestOf(live, weights, count), least = weights[found[found.length - 1]];
    const keys = Array.from(live.filter((slot) => weights[slot] >= least))
      .sort((a, b) => weights[b] - weights[a] || (this.#idAt(a) < this.#idAt(b) ? -1 : 1))
      .slice(0, count)
      .map((slot) => {
        return { id: this.#idAt(slot), mass: weightOf(weights[slot], shift) };
      });
    return { shift, mass, keys };
  }

  /** The bias of a standing query with a key of which `mask` was said. */
  #biasOf(query: string, mask: KeyMask | null): number {
    return this.masks === null ? 0 : this.masks.bias(query, mask);
  }

  /** The keys with their biases for a standing query. */
  #keysOf(query: string): SummedKeys {
    const { masks } = this;
    if (masks === null || masks.isEmpty) return this.#keys(null);
    const biases = new Float64Array(this.#ids.length);
    for (const [id, slot] of this.#slots) biases[slot] = masks.bias(query, masks.of(id));
    return this.#keys(biases);
  }

  #keys(biases: Float64Array | null): SummedKeys {
    return {
      size: this.#ids.length,
      width: this.#width,
      rows: this.#rows,
      isLive: this.#isLive,
      exponents: this.#exponents,
      positions: this.#positions,
      biases,
    };
  }

  #idAt(slot: number): string {
    return this.#ids[slot] as string;
  }

  #rowAt(slot: number): Float32Array<ArrayBuffer> {
    return this.#rows.subarray(slot * this.#width, (slot + 1) * this.#width);
  }

  #keptAt(slot: number): KeptKey {
    const row = this.#rowAt(slot), given = this.#given, position = this.#positionAt(slot);
    if (given === null) return { row, position };
    const columns = keyColumns(this.#scoring.layout), kept = row.slice();
    kept.set(given.subarray(slot * columns, (slot + 1) * columns));
    return { row: kept, position };
  }

  #maskAt(slot: number): KeyMask | null {
    return this.masks?.of(this.#idAt(slot)) ?? null;
  }

  #positionAt(slot: number): number {
    return this.#positions.length === 0 ? 0 : this.#positions[slot];
  }

  #perform({ edits }: Batch): void {
    for (const { id, row, position, mask } of edits) {
      if (mask) {
        this.#say(id, mask);
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
    const slot = this.#slots.get(id);
    if (slot === undefined) return;
    const change = this.#beginChange(slot);
    this.masks?.sayOfKey(id, mask);
    if (change) this.#endChange(change, slot, true);
  }

  /** Moves a key whose row stays; nothing happens if it is not there. */
  #move(id: string, position: number): void {
    const kept = this.copyRow(id);
    if (kept !== null) this.#set(id, kept.row, position);
  }

  #set(id: string, given: Float32Array, position: number): void {
    const { layout } = this.#scoring, { kvHeads, valueDim } = layout;
    const row = turnedRow(this.#scoring, given, kvHeads, position);
    let slot = this.#slots.get(id);
    const had = slot !== undefined;
    const change = this.#beginChange(slot);
    if (slot === undefined) {
      slot = this.#takeSlot();
      this.#slots.set(id, slot);
      this.#ids[slot] = id;
      this.#isLive[slot] = 1;
    }
    this.#rows.set(row, slot * this.#width);
    this.#given?.set(given.subarray(0, keyColumns(layout)), slot * keyColumns(layout));
    if (this.#positions.length > 0) this.#positions[slot] = position;
    const values = slot * this.#width + keyColumns(layout);
    for (let head = 0; head < kvHeads; head++) {
      this.#exponents[slot * kvHeads + head] = valueExponent(
        this.#rows,
        values + head * valueDim,
        valueDim,
      );
    }
    this.#keyNorm = Math.max(this.#keyNorm, norm(row, 0, keyColumns(layout)));
    this.#valueNorm = Math.max(this.#valueNorm, norm(row, keyColumns(layout), row.length));
    if (change) this.#endChange(change, slot, had);
  }

  #delete(id: string): void {
    const slot = this.#slots.get(id);
    if (slot === undefined) return;
    const change = this.#beginChange(slot);
    this.#slots.delete(id);
    this.masks?.forget(id);
    this.#ids[slot] = null;
    this.#isLive[slot] = 0;
    this.#rows.fill(0, slot * this.#width, (slot + 1) * this.#width);
    this.#free.push(slot);
    if (change) this.#endChange(change, null, true);
  }

  /** Copies the row that is about to change; null while no sums are held. */
  #beginChange(slot: number | undefined): ChangeBegun | null {
    if (this.#sums.size === 0) {
      this.#changes.skip(this.#applying);
      return null;
    }
    const { kvHeads } = this.#scoring.layout;
    const rows = new Float32Array(2 * this.#width);
    const exponents = new Int16Array(2 * kvHeads).fill(NO_EXPONENT);
    if (slot !== undefined) {
      rows.set(this.#rowAt(slot));
      exponents.set(this.#exponents.subarray(slot * kvHeads, (slot + 1) * kvHeads));
    }
    const position = slot === undefined ? 0 : this.#positionAt(slot);
    return { rows, exponents, position, mask: slot === undefined ? null : this.#maskAt(slot) };
  }

  #endChange({ rows, exponents, position, mask }: ChangeBegun, slot: number | null, had: boolean) {
    const { kvHeads } = this.#scoring.layout;
    if (slot !== null) {
      rows.set(this.#rowAt(slot), this.#width);
      exponents.set(this.#exponents.subarray(slot * kvHeads, (slot + 1) * kvHeads), kvHeads);
    }
    const positions = [position, slot === null ? 0 : this.#positionAt(slot)] as const;
    const masks = [mask, slot === null ? null : this.#maskAt(slot)] as const, sequence = this.#applying;
    this.#changes.push({ sequence, rows, exponents, positions, masks, had, has: slot !== null });
  }

  #takeSlot(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const slot = this.#ids.length;
    if (slot === this.#isLive.length) this.#grow(2 * slot);
    this.#ids.push(null);
    return slot;
  }

  #grow(slots: number): void {
    const { kvHeads } = this.#scoring.layout;
    const rows = new Float32Array(slots * this.#width), exponents = new Int16Array(slots * kvHeads);
    const isLive = new Uint8Array(slots);
    this.#scratch = new Float64Array(slots);
    rows.set(this.#rows);
    if (this.#given !== null) {
      const given = new Float32Array(slots * keyColumns(this.#scoring.layout));
      given.set(this.#given);
      this.#given = given;
    }
    if (this.#positions.length > 0) {
      const positions = new Float64Array(slots);
      positions.set(this.#positions);
      this.#positions = positions;
    }
    exponents.set(this.#exponents);
    isLive.set(this.#isLive);
    [this.#rows, this.#exponents, this.#isLive] = [rows, exponents, isLive];
  }
}

/** A weight times 2^−shift; Infinity where that is out of range. */
function weightOf(score: number, shift: number): number {
  return exponentOf(score) - shift > 1000 ? Infinity : shiftedExp(score, shift);
}

function norm(row: Float32Array, start: number, end: number): number {
  let sum = 0;
  for (let at = start; at < end; at++) sum += row[at] * row[at];
  return Math.sqrt(sum) * (1 + 2 ** -40);
}
