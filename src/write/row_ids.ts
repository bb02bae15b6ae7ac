/**
 * Names of the caller's for rows: which slot a row with an id is in, and which id the row in a slot has. An
 * engine without ids has no such table, and its rows are called by their slots.
 *
 * Invariant: both directions agree, and every live row has an id of its own. Ids of deleted rows are
 * forgotten, so memory is that of the live ones.
 */

import { describe, IdError, InputError } from "../base/errors.ts";
import { takeIdList } from "../base/lists.ts";
import { editDistance } from "../base/names.ts";

/**
 * A name for a key or a standing query: a text, a finite number or a bigint. 1, 1n and "1" are three ids, as
 * in a `Map`; 0 and −0 are one.
 */
export type RowId = string | number | bigint;

/** A typed array of ids: of numbers, or of bigints. */
export interface TypedIds<Id extends RowId = RowId> {
  /** Bytes of an id. */
  readonly BYTES_PER_ELEMENT: number;
  /** How many there are. */
  readonly length: number;
  // An index signature would also take a text such as "auto".
  /** The ids, one after the other. */
  values(): IterableIterator<Id>;
}

/**
 * Ids of the rows at the start, in an array or a typed array, or "auto" for 0, 1, 2, …, which the engine gives out
 * and never again.
 */
export type RowIdsInput<Id extends RowId = RowId> = readonly Id[] | TypedIds<Id> | "auto";

/** All that a table holds. */
export interface SavedIds {
  /** By slot; null where no row is live. */
  readonly ids: readonly (RowId | null)[];
  /** The number that the next row gets; null where the caller names rows. */
  readonly next: number | null;
}

const EXPECTED = "text, a finite number or a bigint";
/** The number of ids that are searched for similar ones, and the number of those that an error names. */
const COMPARED = 10_000, TOLD = 3;
/** Longer texts are not compared. */
const LONGEST = 64;

/** Ids of one kind of row. */
export class RowIds {
  readonly #slots = new Map<RowId, number>();
  readonly #ids: (RowId | undefined)[] = [];
  #next: number | null;

  private constructor(next: number | null) {
    this.#next = next;
  }

  /** The ids of the first `count` rows; `name` is that of the option. null where it was not given. */
  static take(operation: string, name: string, input: unknown, count: number): RowIds | null {
    if (input === undefined) return null;
    if (input === "auto") {
      const ids = new RowIds(0);
      for (let slot = 0; slot < count; slot++) ids.bind(slot, undefined);
      return ids;
    }
    const { length, entries } = takeIdList(operation, name, input, 'an array of ids, or "auto"');
    if (length !== count) {
      throw new InputError(operation, `${name} has ${length} ids`, `${count} (one per row)`);
    }
    const ids = new RowIds(null);
    for (let slot = 0; slot < count; slot++) {
      const entry = entries[slot];
      if (!isId(entry)) {
        throw new InputError(operation, `${name} has ${describe(entry)} at index ${slot}`, EXPECTED);
      }
      const earlier = ids.#slots.get(entry);
      if (earlier !== undefined) {
        const found = `${name} has ${describe(entry)} at index ${earlier} and ${slot}`;
        throw new InputError(operation, found, "each id once");
      }
      ids.bind(slot, entry);
    }
    return ids;
  }

  /** A table that goes on where another one was. */
  static restore({ ids, next }: SavedIds): RowIds {
    const table = new RowIds(next);
    ids.forEach((id, slot) => {
      if (id === null) return;
      table.#slots.set(id, slot);
      table.#ids[slot] = id;
    });
    return table;
  }

  /** A copy of the content for `restore`, for `size` slots. */
  save(size: number): SavedIds {
    return { ids: Array.from({ length: size }, (_, slot) => this.#ids[slot] ?? null), next: this.#next };
  }

  /** Whether the engine gives ids out itself. */
  get isAuto(): boolean {
    return this.#next !== null;
  }

  /** The slot of the row with an id; undefined where there is none. */
  slotOf(id: unknown): number | undefined {
    return this.#slots.get(id as RowId);
  }

  /** The id of the row in a live slot. */
  of(slot: number): RowId {
    return this.#ids[slot] as RowId;
  }

  /** Names the row in a slot; without an id, by the next number. */
  bind(slot: number, id: RowId | undefined): void {
    // −0 is 0.
    const next = this.#next ?? 0, name = id === 0 ? 0 : id ?? next;
    if (id === undefined) this.#next = next + 1;
    this.#slots.set(name, slot);
    this.#ids[slot] = name;
  }

  /** Forgets the name of the row in a slot. */
  unbind(slot: number): void {
    this.#slots.delete(this.of(slot));
    this.#ids[slot] = undefined;
  }

  /** Takes back a `bind`. */
  undoBind(slot: number): void {
    this.unbind(slot);
    if (this.#next !== null) this.#next--;
  }

  /** The slot of the row with an id, or a throw. */
  find(operation: string, what: "key" | "query", id: unknown): number {
    const slot = this.#slots.get(id as RowId);
    if (slot !== undefined) return slot;
    throw new IdError(operation, what, id, this.#nearest(id));
  }

  /** Refuses an id that a new row cannot have. */
  checkNew(operation: string, what: "key" | "query", id: unknown): void {
    if (this.isAuto) {
      if (id === undefined) return;
      throw new InputError(operation, `id is ${describe(id)}`, `none, since ${what}Ids is "auto"`);
    }
    if (!isId(id)) throw new InputError(operation, `id is ${describe(id)}`, EXPECTED);
    if (!this.#slots.has(id)) return;
    const upsert = what === "key" ? "upsert" : "upsertQuery";
    const expected = `an id of no live ${what}; ${upsert} takes both`;
    throw new InputError(operation, `id ${describe(id)} names a live ${what}`, expected);
  }

  /** Ids that may have been meant, the likeliest first. */
  #nearest(given: unknown): RowId[] {
    if (!isId(given)) return [];
    const found: { readonly id: RowId; readonly distance: number }[] = [];
    // Many digits of a bigint would take long.
    const digits = typeof given === "bigint" ? describe(given).replace(/n$/, "") : String(given);
    const text = digits.slice(0, LONGEST + 1);
    let compared = 0;
    for (const id of this.#slots.keys()) {
      if (++compared > COMPARED) break;
      const distance = distanceOf(given, text, id);
      if (distance < Infinity) found.push({ id, distance });
    }
    return found.sort((a, b) => a.distance - b.distance).slice(0, TOLD).map(({ id }) => id);
  }
}

/** Whether this can name a row. */
export function isId(value: unknown): value is RowId {
  return typeof value === "string" || typeof value === "bigint" ||
    (typeof value === "number" && Number.isFinite(value));
}

/**
 * How far an id is from what was given: numbers by their difference, texts by letters; Infinity where it was
 * not meant.
 */
function distanceOf(given: RowId, text: string, id: RowId): number {
  // The caller may have given a number where its text is the id, or the other way round.
  if (typeof given !== typeof id) return String(id) === text ? 0 : Infinity;
  if (typeof id !== "string") return Math.abs(Number(id) - Number(given));
  const longer = Math.max(id.length, text.length), most = Math.max(1, Math.floor(longer / 3));
  if (longer > LONGEST || Math.abs(id.length - text.length) > most) return Infinity;
  const distance = editDistance(id.toLowerCase(), text.toLowerCase());
  return distance <= most && distance < longer ? distance : Infinity;
}
