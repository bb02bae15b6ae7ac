/**
 * The terms of a call, written directly to the tables that a job points at. All heads use the same tables,
 * one after the other.
 */

import { NO_ROW } from "../since.ts";
import * as field from "./job_fields.ts";
import type { Since } from "../backend.ts";
import type { HostRows } from "../host/host_rows.ts";
import type { KeyTable } from "../host/key_table.ts";
import { MemoryTable } from "./memory_table.ts";
import type { Arena } from "./arena.ts";

const TAKE_OUT = 0x80000000;
/** A number of terms above all limits. */
const ALL = 0x7fffffff;
/** The part of a row that stays when its key changes. */
const NOTHING = 0, SCORE = 1, VALUE = 2;

/**
 * Biases of passing queries: the address of the first, and bytes from a key slot to the next, and from a
 * head.
 */
export interface PassingTable {
  readonly address: number;
  readonly keyBytes: number;
  readonly headBytes: number;
}

/** The keys to add and to subtract, for one head. */
export class TermList {
  readonly #arena: Arena;
  readonly #hasBias: boolean;
  readonly #hasPositions: boolean;
  readonly #table: MemoryTable;
  /** Addresses of biases, once there are any. */
  readonly #biasTable: MemoryTable;
  #capacity = 0;
  #keyHead = 0;
  #maskHead = 0;
  #passing: PassingTable | null = null;
  #keys = new Uint32Array(0) as Uint32Array;
  #values = new Uint32Array(0) as Uint32Array;
  #signs = new Uint32Array(0) as Uint32Array;
  #biases = new Uint32Array(0) as Uint32Array;
  #positions = new Float64Array(0) as Float64Array;
  /** The slot of each term, unless these are all live keys. */
  #slots = new Uint32Array(0);
  /** The address of the key in slot 0, and the bytes from one key to the next; 0 where terms are not all live keys. */
  #firstKey = 0;
  #keyBytes = 0;
  count = 0;
  /** What stays in each change of an exchange. */
  #stays = new Uint8Array(0);
  /** What stays between the stored row and a retained one, by its id: eight times a moment and that. */
  #known = new Float64Array(0);
  #moment = 1;
  /** The number of pairs with one key, which are the first terms. */
  #pairs = 0;
  /** The number of shared-value pairs, which follow them. */
  #sharedValuePairs = 0;

  constructor(arena: Arena, hasBias: boolean, hasPositions: boolean) {
    this.#arena = arena;
    this.#hasBias = hasBias;
    this.#hasPositions = hasPositions;
    this.#table = new MemoryTable(arena);
    this.#biasTable = new MemoryTable(arena);
  }

  /** Bytes beside those in the memory of the kernels. */
  get bytes(): number {
    return this.#slots.byteLength + this.#stays.byteLength + this.#known.byteLength;
  }

  /** Makes room for `count` terms. */
  reserve(count: number): void {
    if (count <= this.#capacity) return;
    const capacity = 2 * Math.ceil(Math.max(count, 2 * this.#capacity) / 2);
    this.#table.reserve((this.#hasPositions ? 20 : 12) * capacity);
    this.#capacity = capacity;
    const words = (at: number) => this.#arena.words(this.#table.address + at * capacity, capacity);
    this.#keys = words(0);
    this.#values = words(4);
    this.#signs = words(8);
    if (this.#hasBias) this.#reserveBiases();
    if (!this.#hasPositions) return;
    this.#positions = this.#arena.doubles(this.#table.address + 12 * capacity, capacity);
  }

  #reserveBiases(): void {
    if (this.#biases.length >= this.#capacity) return;
    this.#biasTable.reserve(4 * this.#capacity);
    this.#biases = this.#arena.words(this.#biasTable.address, this.#capacity);
  }

  /** Begins the terms of a head; with `passing`, biases come from there. */
  begin(keyHead: number, maskHead: number, passing: PassingTable | null = null): void {
    if (keyHead !== this.#keyHead || maskHead !== this.#maskHead) this.noteStored();
    this.#passing = passing;
    if (passing) this.#reserveBiases();
    this.#keyBytes = 0;
    this.#keyHead = keyHead;
    this.#maskHead = maskHead;
    this.count = 0;
    this.#pairs = 0;
    this.#sharedValuePairs = 0;
  }

  /** Notes that rows have been stored, so that nothing is known of what stays. */
  noteStored(): void {
    this.#moment++;
  }

  /** Adds a term for the key in a slot. */
  push(table: KeyTable, row: number, slot: number, isTakenOut: boolean): void {
    const at = this.keyCount;
    this.#keys[at] = 4 * table.keyIndex(row, this.#keyHead);
    this.#placeRules(at, table, row);
    this.#pushValue(table, row, slot, isTakenOut);
  }

  /** Adds terms for all live keys, in order of slots. No other terms may be in the list. */
  pushLive(table: KeyTable): void {
    const { size } = table, keyBytes = 4 * table.keyWidth, valueBytes = 4 * table.valueWidth;
    const keys = 4 * table.keyIndex(0, this.#keyHead), values = 4 * table.valueIndex(0, this.#keyHead);
    let count = 0;
    for (let slot = 0; slot < size; slot++) {
      if (!table.isLive(slot)) continue;
      this.#keys[count] = keys + slot * keyBytes;
      this.#values[count] = values + slot * valueBytes;
      this.#signs[count++] = 0;
    }
    this.count = count;
    this.#firstKey = keys;
    this.#keyBytes = keyBytes;
    if (!this.#hasBias && !this.#hasPositions && !this.#passing) return;
    for (let at = 0; at < count; at++) this.#placeRules(at, table, this.slotOf(at));
  }

  /** The slot of a term. */
  slotOf(term: number): number {
    return this.#keyBytes > 0 ? (this.#keys[term] - this.#firstKey) / this.#keyBytes : this.#slots[term];
  }

  /** Adds the terms of an exchange of all keys that have changed since an epoch. The list must be empty. */
  exchange({ stored, retained }: HostRows, { slots, retained: retainedIds }: Since): void {
    if (this.#stays.length < slots.length) this.#stays = new Uint8Array(2 * slots.length);
    if (this.#known.length < retained.size) this.#known = new Float64Array(2 * retained.size);
    const stays = this.#stays;
    let sharedValues = 0;
    for (let t = 0; t < slots.length; t++) {
      stays[t] = this.#staysOf(stored, retained, retainedIds[t], slots[t]);
      if (stays[t] === SCORE) this.#exchangeValue(stored, retained, retainedIds[t], slots[t]);
      else if (stays[t] === VALUE) sharedValues++;
    }
    for (let t = 0; t < slots.length && this.#sharedValuePairs < sharedValues; t++) {
      if (stays[t] === VALUE) this.#exchangeKey(stored, retained, retainedIds[t], slots[t]);
    }
    for (let t = 0; t < slots.length; t++) {
      if (stays[t] !== NOTHING) continue;
      if (retainedIds[t] !== NO_ROW) this.push(retained, retainedIds[t], slots[t], true);
      if (stored.isLive(slots[t])) this.push(stored, slots[t], slots[t], false);
    }
  }

  /** The number of values to multiply. */
  get valueCount(): number {
    return this.count - this.#sharedValuePairs;
  }

  /** The number of keys to score. */
  get keyCount(): number {
    return this.count - this.#pairs;
  }

  /** Whether a term is subtracted. */
  isTakenOut(term: number): boolean {
    return this.#signs[term] !== 0;
  }

  /** Makes these the terms of a job, for rows of `keyCount` keys. */
  attach(job: number, keyCount: number): void {
    const { allWords: words } = this.#arena;
    words[(job + field.EXACT_TERMS) / 4] = exactTerms(keyCount);
    words[(job + field.TERM_COUNT) / 4] = this.count;
    words[(job + field.PAIR_COUNT) / 4] = this.#pairs;
    words[(job + field.SHARED_VALUE_PAIR_COUNT) / 4] = this.#sharedValuePairs;
    words[(job + field.TERM_KEYS) / 4] = words[(job + field.PACKED_KEYS) / 4] = this.#keys.byteOffset;
    words[(job + field.TERM_VALUES) / 4] = words[(job + field.PACKED_VALUES) / 4] = this.#values.byteOffset;
    words[(job + field.TERM_SIGNS) / 4] = this.#signs.byteOffset;
    words[(job + field.TERM_BIASES) / 4] = this.#hasBias || this.#passing ? this.#biases.byteOffset : 0;
    words[(job + field.TERM_POSITIONS) / 4] = this.#hasPositions ? this.#positions.byteOffset : 0;
  }

  #growSlots(length: number): void {
    const slots = new Uint32Array(length);
    slots.set(this.#slots);
    this.#slots = slots;
  }

  /** What stays in a change; cohorts of many epochs have the same ones. */
  #staysOf(stored: KeyTable, retained: KeyTable, retainedId: number, slot: number): number {
    if (retainedId === NO_ROW || !stored.isLive(slot)) return NOTHING;
    const known = this.#known[retainedId] - 8 * this.#moment;
    if (known >= 0) return known;
    let stays = NOTHING;
    if (stored.scoresAs(slot, retained, retainedId, this.#keyHead, this.#maskHead)) stays = SCORE;
    else if (stored.hasValueOf(slot, retained, retainedId, this.#keyHead)) stays = VALUE;
    this.#known[retainedId] = 8 * this.#moment + stays;
    return stays;
  }

  /** Adds a pair: nothing has changed that the score depends on. */
  #exchangeValue(stored: KeyTable, retained: KeyTable, retainedId: number, slot: number): void {
    this.push(retained, retainedId, slot, true);
    this.#pushValue(stored, slot, slot, false);
    this.#pairs++;
  }

  /** Adds a shared-value pair: the value has not changed. */
  #exchangeKey(stored: KeyTable, retained: KeyTable, retainedId: number, slot: number): void {
    this.push(retained, retainedId, slot, true);
    this.push(stored, slot, slot, false);
    this.#sharedValuePairs++;
  }

  /** Writes the bias and the position of a key. */
  #placeRules(at: number, table: KeyTable, row: number): void {
    if (this.#passing) {
      const { address, keyBytes, headBytes } = this.#passing;
      this.#biases[at] = address + row * keyBytes + this.#maskHead * headBytes;
    } else if (this.#hasBias) this.#biases[at] = 4 * table.biasIndex(row, this.#maskHead);
    if (this.#hasPositions) this.#positions[at] = table.position(row);
  }

  #pushValue(table: KeyTable, row: number, slot: number, isTakenOut: boolean): void {
    const at = this.count++;
    this.#values[at] = 4 * table.valueIndex(row, this.#keyHead);
    this.#signs[at] = isTakenOut ? TAKE_OUT : 0;
    if (at >= this.#slots.length) this.#growSlots(2 * at + 16);
    this.#slots[at] = slot;
  }
}

/** The largest number of terms that are summed in float64, for rows of `keyCount` keys. */
function exactTerms(keyCount: number): number {
  return keyCount <= field.FEW_KEYS ? ALL : field.FEW_TERMS;
}
