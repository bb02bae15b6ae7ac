/**
 * The log of edits of one kind of row that no layer below has, coalesced by slot: an entry holds the newest
 * row of a slot, or notes that the slot is empty now. A log lies on a `base`, which has the rows without
 * these edits: the backend's stored rows, or a log that is being stored.
 *
 * Invariant: an entry differs from the base. A row that is edited back to the base's row leaves the log, so
 * the log's size is the number of slots that have to be stored. The exception are engines with a mask
 * function, which may answer differently for each inserted row: there an inserted row stays in the log even
 * if it equals the base's.
 */

import type { RowChanges, RowSource } from "../backends/backend.ts";
import { CapacityError } from "../base/errors.ts";

/** The capacity of the first growth, small because most logs hold at most one edit. */
const FIRST_CAPACITY = 4;
/** Bytes of an entry beside its row: slot, two flags, position. */
const ENTRY_BYTES = 14;

/** The entries of a log: a batch of changes without the bias of a mask. */
export type Entries = Omit<RowChanges, "bias">;

/** A set of slots. */
export interface Slots {
  has(slot: number): boolean;
}

const NO_SLOTS: Slots = new Set<number>();
/** A log that is cleared keeps its arrays if they have room for at most this number of entries. */
const ROOM_KEPT = 256;
/** Flags of entries: the row was inserted, and is not the base's row edited; the mask says something new of it. */
const INSERTED = 1, TOLD = 2;
const NO_WORDS = new Uint32Array(0), NO_BYTES = new Uint8Array(0);
const NO_DOUBLES = new Float64Array(0), NO_FLOATS = new Float32Array(0);
const NO_ENTRIES: Entries = { slots: NO_WORDS, live: NO_BYTES, rows: NO_FLOATS, positions: NO_DOUBLES };

/** Newest rows by slot over a base. */
export class EditLog implements RowSource {
  readonly #width: number;
  readonly #keepsInserts: boolean;
  /** Entries with one of these flags stay, even where they equal the base's rows. */
  readonly #keptFlags: number;
  /** Slots that `uncounted` leaves out, since another counter has them. */
  readonly #counted: Slots;
  #uncounted = 0;
  #base: RowSource;
  // slot → index in the arrays below, which are dense
  readonly #indices = new Map<number, number>();
  #slots = NO_WORDS;
  #live = NO_BYTES;
  // 1 if the row was inserted, 0 if it is an edited row of the base.
  #inserted = NO_BYTES;
  #positions = NO_DOUBLES;
  #rows = NO_FLOATS;
  /** The last view of these arrays, which holds while as many entries are in them. */
  #view: Entries | null = null;

  /**
   * `keepsInserts` keeps inserted rows that equal the base's; `counted` are slots that `uncounted` leaves
   * out.
   */
  constructor(width: number, base: RowSource, keepsInserts: boolean, counted: Slots = NO_SLOTS) {
    this.#width = width;
    this.#base = base;
    this.#keepsInserts = keepsInserts;
    this.#keptFlags = keepsInserts ? INSERTED | TOLD : TOLD;
    this.#counted = counted;
  }

  /** The number of slots that differ from the base. */
  get size(): number {
    return this.#indices.size;
  }

  /** The number of slots that differ from the base and are not among the `counted` slots. */
  get uncounted(): number {
    return this.#uncounted;
  }

  /** Counts anew after the set of `counted` slots has changed. */
  recount(): void {
    this.#uncounted = 0;
    for (const slot of this.#indices.keys()) if (!this.#counted.has(slot)) this.#uncounted++;
  }

  has(slot: number): boolean {
    return this.#indices.has(slot);
  }

  /** Whether the log deletes the base's row of a slot, even if it inserts another row afterwards. */
  replaces(slot: number): boolean {
    const at = this.#indices.get(slot);
    return at !== undefined && (this.#live[at] === 0 || (this.#inserted[at] & INSERTED) !== 0);
  }

  isLive(slot: number): boolean {
    const at = this.#indices.get(slot);
    return at === undefined ? this.#base.isLive(slot) : this.#live[at] === 1;
  }

  element(slot: number, column: number): number {
    const at = this.#indices.get(slot);
    return at === undefined ? this.#base.element(slot, column) : this.#rows[at * this.#width + column];
  }

  position(slot: number): number {
    const at = this.#indices.get(slot);
    return at === undefined ? this.#base.position(slot) : this.#positions[at];
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    const at = this.#indices.get(slot);
    if (at === undefined) this.#base.copyRow(slot, target, offset);
    else target.set(this.#rows.subarray(at * this.#width, (at + 1) * this.#width), offset);
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    const at = this.#indices.get(slot);
    if (at === undefined) return this.#base.equalsRow(slot, rows, offset);
    for (let c = 0; c < this.#width; c++) {
      if (this.#rows[at * this.#width + c] !== rows[offset + c]) return false;
    }
    return true;
  }

  /** Writes part of a live row, from `column` on. */
  write(slot: number, part: Float32Array, column: number): void {
    const at = this.#indices.get(slot) ?? this.#copyFromBase(slot);
    this.#rows.set(part, at * this.#width + column);
    this.#dropIfUndone(slot);
  }

  /** Writes a whole row of a live slot, which may come to lie at another position. */
  put(slot: number, row: Float32Array, position?: number): void {
    const at = this.#indices.get(slot) ?? this.#copyFromBase(slot);
    this.#rows.set(row, at * this.#width);
    if (position !== undefined) this.#positions[at] = position;
    this.#dropIfUndone(slot);
  }

  /** Moves a live row to another position. */
  move(slot: number, position: number): void {
    const at = this.#indices.get(slot) ?? this.#copyFromBase(slot);
    this.#positions[at] = position;
    this.#dropIfUndone(slot);
  }

  /** Keeps an entry of a live row, though it may equal the base's: what the mask says of it has changed. */
  tell(slot: number): void {
    const at = this.#indices.get(slot) ?? this.#copyFromBase(slot);
    this.#inserted[at] |= TOLD;
  }

  /** Writes a row to a slot, which is live from now on. */
  insert(slot: number, row: Float32Array, position: number): void {
    const at = this.#indices.get(slot) ?? this.#append(slot);
    this.#rows.set(row, at * this.#width);
    this.#live[at] = 1;
    this.#inserted[at] |= INSERTED;
    this.#positions[at] = position;
    this.#dropIfUndone(slot);
  }

  /** Deletes the row of a slot. */
  delete(slot: number): void {
    const at = this.#indices.get(slot) ?? this.#append(slot);
    this.#live[at] = 0;
    this.#inserted[at] &= TOLD;
    this.#dropIfUndone(slot);
  }

  /** Writes the entries of another log, which lies on this one, to this one. */
  absorb(upper: EditLog): void {
    const { slots, live, rows, positions } = upper.view();
    slots.forEach((slot, t) => {
      const row = rows.subarray(t * this.#width, (t + 1) * this.#width);
      if (live[t] === 0) this.delete(slot);
      else if ((upper.#inserted[t] & INSERTED) !== 0) this.insert(slot, row, positions[t]);
      else this.put(slot, row, positions[t]);
      if ((upper.#inserted[t] & TOLD) === 0) return;
      const at = this.#indices.get(slot);
      if (at !== undefined) this.#inserted[at] |= TOLD;
      else if (live[t] === 1) this.tell(slot);
    });
  }

  /** Moves the entries of `slots` to a new log, which comes to lie between this one and its base. */
  take(slots: Iterable<number>): EditLog {
    const taken = new EditLog(this.#width, this.#base, this.#keepsInserts);
    for (const slot of slots) {
      const at = this.#indices.get(slot);
      if (at === undefined) continue;
      const to = taken.#append(slot);
      taken.#live[to] = this.#live[at];
      taken.#inserted[to] = this.#inserted[at];
      taken.#positions[to] = this.#positions[at];
      taken.#rows.set(this.#rows.subarray(at * this.#width, (at + 1) * this.#width), to * this.#width);
      this.#remove(slot, at);
    }
    this.#base = taken;
    return taken;
  }

  /**
   * Puts the log on another base. Unless the log is empty, the new base must hold the same rows as the old
   * one.
   */
  rebase(base: RowSource): void {
    this.#base = base;
  }

  /**
   * Empties and wipes a log that is no longer used. `rebase` puts it to use again, since making a new log
   * takes longer than a small edit.
   */
  clear(): void {
    this.#rows.fill(0, 0, this.size * this.#width);
    this.#positions.fill(0, 0, this.size);
    this.#indices.clear();
    this.#uncounted = 0;
    if (this.#slots.length <= ROOM_KEPT) return;
    this.#view = null;
    this.#slots = NO_WORDS;
    this.#live = this.#inserted = NO_BYTES;
    this.#positions = NO_DOUBLES;
    this.#rows = NO_FLOATS;
  }

  /** The entries, as views that the next edit invalidates. */
  view(): Entries {
    const { size } = this;
    if (size === 0) return NO_ENTRIES;
    if (this.#view?.slots.length !== size) {
      this.#view = {
        slots: this.#slots.subarray(0, size),
        live: this.#live.subarray(0, size),
        rows: this.#rows.subarray(0, size * this.#width),
        positions: this.#positions.subarray(0, size),
      };
    }
    return this.#view;
  }

  #copyFromBase(slot: number): number {
    const at = this.#append(slot);
    this.#base.copyRow(slot, this.#rows, at * this.#width);
    this.#positions[at] = this.#base.position(slot);
    this.#live[at] = 1;
    this.#inserted[at] = 0;
    return at;
  }

  #append(slot: number): number {
    const at = this.size;
    this.reserve(1);
    this.#slots[at] = slot;
    this.#inserted[at] = 0;
    this.#indices.set(slot, at);
    if (!this.#counted.has(slot)) this.#uncounted++;
    return at;
  }

  /** Makes room for `more` entries; all or nothing. */
  reserve(more: number): void {
    const needed = this.size + more;
    if (needed <= this.#slots.length) return;
    const capacity = Math.max(FIRST_CAPACITY, needed, 2 * this.#slots.length), width = this.#width;
    const bytes = capacity * (ENTRY_BYTES + 4 * width);
    // The platform may refuse memory, so nothing is moved before all arrays are allocated.
    const room = CapacityError.guard("edit", `${capacity} pending rows`, bytes, () => ({
      slots: new Uint32Array(capacity),
      live: new Uint8Array(capacity),
      inserted: new Uint8Array(capacity),
      positions: new Float64Array(capacity),
      rows: new Float32Array(capacity * width),
    }));
    this.#view = null;
    this.#slots = moved(this.#slots, room.slots);
    this.#live = moved(this.#live, room.live);
    this.#inserted = moved(this.#inserted, room.inserted);
    this.#positions = moved(this.#positions, room.positions);
    this.#rows = moved(this.#rows, room.rows);
  }

  #dropIfUndone(slot: number): void {
    const at = this.#indices.get(slot) as number;
    if ((this.#inserted[at] & this.#keptFlags) !== 0) return;
    const base = this.#base;
    const undone = this.#live[at] === 1
      ? base.isLive(slot) && base.position(slot) === this.#positions[at] &&
        base.equalsRow(slot, this.#rows, at * this.#width)
      : !base.isLive(slot);
    if (undone) this.#remove(slot, at);
  }

  /** Removes an entry and moves the last entry to its place. */
  #remove(slot: number, at: number): void {
    const last = this.size - 1;
    if (at !== last) {
      this.#slots[at] = this.#slots[last];
      this.#live[at] = this.#live[last];
      this.#inserted[at] = this.#inserted[last];
      this.#positions[at] = this.#positions[last];
      this.#rows.copyWithin(at * this.#width, last * this.#width, (last + 1) * this.#width);
      this.#indices.set(this.#slots[at], at);
    }
    this.#rows.fill(0, last * this.#width, (last + 1) * this.#width);
    this.#indices.delete(slot);
    if (!this.#counted.has(slot)) this.#uncounted--;
  }
}

/** Copies numbers to a longer array and wipes them where they were. */
function moved<Numbers extends Uint32Array | Uint8Array | Float64Array | Float32Array>(
  from: Numbers,
  to: Numbers,
): Numbers {
  to.set(from);
  from.fill(0);
  return to;
}
