/**
 * An engine's rows while they are read from disk: those of a snapshot, on which records are replayed. No engine takes part in
 * it, so a replay asks no function and computes no attention.
 */

import { CapacityError } from "../base/errors.ts";
import { keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import { NO_BACKEND, type SavedSettings, type SlotRows, type Snapshot } from "../store/snapshot.ts";
import { type SlotNumbers, SlotTable } from "../write/slot_table.ts";
import type { SavedMask } from "../store/snapshot.ts";
import { Clients } from "./clients.ts";
import type { ClientCall, FrameVisitor } from "./frames.ts";
import type { Pointer } from "./pointer.ts";
import { forgetKeyStates, forgetQueryState } from "./kept_states.ts";
import { SaidBias } from "./said_bias.ts";

/** Rows of one kind, by slot. */
class ImageRows {
  readonly slots: SlotTable;
  readonly width: number;
  readonly #what: string;
  #rows: Float32Array;
  #positions: Float64Array;

  constructor(what: string, width: number, { slots, rows, positions }: SlotRows) {
    this.#what = what;
    this.width = width;
    this.slots = SlotTable.restore(slots);
    this.#rows = rows;
    this.#positions = positions;
  }

  write(slot: number, part: Float32Array, column: number): void {
    this.#checkLive(slot);
    if (column + part.length > this.width) {
      throw new Error(`${part.length} numbers from column ${column} on, expected at most ${this.width}`);
    }
    this.#rows.set(part, slot * this.width + column);
  }

  insert(slot: number, position: number, row: Float32Array): void {
    if (slot !== this.slots.next) {
      throw new Error(`${this.#what} slot ${slot} is inserted, expected ${this.slots.next}`);
    }
    if (row.length !== this.width) throw new Error(`a row of ${row.length} numbers, expected ${this.width}`);
    this.#reserve(slot + 1);
    this.slots.allocate(position);
    this.#rows.set(row, slot * this.width);
    this.#positions[slot] = position;
  }

  move(slot: number, position: number): void {
    this.#checkLive(slot);
    this.slots.reach(position);
    this.#positions[slot] = position;
  }

  delete(slot: number): void {
    this.#checkLive(slot);
    this.slots.release(slot);
    this.#rows.fill(0, slot * this.width, (slot + 1) * this.width);
    this.#positions[slot] = 0;
  }

  /** As a snapshot holds them; views. */
  view(): SlotRows {
    const { size } = this.slots;
    return {
      slots: this.slots.save(),
      rows: this.#rows.subarray(0, size * this.width),
      positions: this.#positions.subarray(0, size),
    };
  }

  #checkLive(slot: number): void {
    if (!this.slots.isLive(slot)) {
      throw new Error(`${this.#what} slot ${slot} is edited, expected a live one`);
    }
  }

  #reserve(size: number): void {
    if (size <= this.#positions.length) return;
    const capacity = Math.max(16, size, Math.ceil(1.5 * this.#positions.length));
    const bytes = capacity * (8 + 4 * this.width);
    const room = CapacityError.guard("openDurable", `${capacity} rows`, bytes, () => ({
      rows: new Float32Array(capacity * this.width),
      positions: new Float64Array(capacity),
    }));
    room.rows.set(this.#rows);
    room.positions.set(this.#positions);
    this.#rows = room.rows;
    this.#positions = room.positions;
  }
}

/** Rows, what was said of them, clients, and what is kept beside. */
export class Image implements FrameVisitor {
  readonly settings: SavedSettings;
  readonly keys: ImageRows;
  readonly queries: ImageRows;
  /** null without a mask function. */
  readonly said: SaidBias | null;
  readonly clients: Clients;
  readonly besides: Map<string, Uint8Array<ArrayBuffer>>;
  readonly #mask: SavedMask | null;

  constructor(snapshot: Snapshot, pointer: Pick<Pointer, "clients" | "kept">) {
    const { layout, rule, tolerance, policy, limits, mask, keys, queries } = snapshot;
    this.settings = { layout, rule, tolerance, policy, limits };
    this.keys = new ImageRows("key", keyColumns(layout) + valueColumns(layout), keys);
    this.queries = new ImageRows("query", queryColumns(layout), queries);
    this.clients = Clients.restore(pointer.clients);
    this.besides = new Map(pointer.kept);
    this.#mask = mask;
    this.said = mask?.kind === "function" ? toSaid(mask.bias, layout.heads, keys.slots, queries.slots) : null;
  }

  get mask(): SavedMask | null {
    return this.#mask;
  }

  writeKey(slot: number, column: number, part: Float32Array): void {
    this.keys.write(slot, part, column);
  }

  insertKey(slot: number, position: number, row: Float32Array): void {
    this.keys.insert(slot, position, row);
    this.said?.resetKey(slot);
  }

  deleteKey(slot: number): void {
    this.keys.delete(slot);
    forgetKeyStates(this.besides, slot);
  }

  writeQuery(slot: number, row: Float32Array): void {
    this.queries.write(slot, row, 0);
  }

  insertQuery(slot: number, position: number, row: Float32Array): void {
    this.queries.insert(slot, position, row);
    this.said?.resetQuery(slot);
  }

  deleteQuery(slot: number): void {
    this.queries.delete(slot);
    forgetQueryState(this.besides, slot);
  }

  moveKey(slot: number, position: number): void {
    this.keys.move(slot, position);
  }

  moveQuery(slot: number, position: number): void {
    this.queries.move(slot, position);
  }

  next(key: number, query: number): void {
    this.keys.slots.nextPosition = key;
    this.queries.slots.nextPosition = query;
  }

  saidOfQuery(query: number, start: number, bias: Float32Array): void {
    const { said } = this;
    bias.forEach((entry, at) => {
      const place = start + at, heads = said?.heads ?? 1;
      said?.set(query, Math.floor(place / heads), place % heads, entry);
    });
  }

  saidOfKey(key: number, start: number, bias: Float32Array): void {
    const { said } = this;
    bias.forEach((entry, at) => {
      const place = start + at, heads = said?.heads ?? 1;
      said?.set(Math.floor(place / heads), key, place % heads, entry);
    });
  }

  kept(name: string, content: Uint8Array<ArrayBuffer>): void {
    this.besides.set(name, content);
  }

  edited(sequence: number, slots: readonly number[], call: ClientCall | null): void {
    if (call) this.clients.note(call, { sequence, slots });
  }

  /** The live pairs of which a mask function was not asked. */
  *unsaid(): Generator<readonly [query: number, key: number, head: number]> {
    const { said } = this;
    if (!said) return;
    for (const key of this.keys.slots.liveSlots()) {
      for (const query of this.queries.slots.liveSlots()) {
        for (let head = 0; head < said.heads; head++) {
          if (Number.isNaN(said.get(query, key, head))) yield [query, key, head];
        }
      }
    }
  }

  /** What an engine is made of; all pairs were said. */
  toSnapshot(): Snapshot {
    const keys = this.keys.view(), queries = this.queries.view();
    const bias = this.said?.copy(liveFlags(keys.slots), liveFlags(queries.slots));
    const mask = bias ? { kind: "function", bias } as const : this.#mask;
    const history = { sequence: 0, metadata: undefined };
    return { ...this.settings, ...history, mask, keys, queries, origin: 0, backend: NO_BACKEND, states: {} };
  }
}

/** 1 for each live slot. */
export function liveFlags({ size, free }: Pick<SlotNumbers, "size" | "free">): Uint8Array {
  const live = new Uint8Array(size).fill(1);
  for (const slot of free) live[slot] = 0;
  return live;
}

function toSaid(bias: Float32Array, heads: number, keys: SlotNumbers, queries: SlotNumbers): SaidBias {
  const said = new SaidBias(heads);
  said.reserve(keys.size, queries.size);
  const keyLive = liveFlags(keys), queryLive = liveFlags(queries);
  for (let key = 0, at = 0; key < keys.size; key++) {
    for (let query = 0; query < queries.size; query++) {
      for (let head = 0; head < heads; head++, at++) {
        if (keyLive[key] === 1 && queryLive[query] === 1) said.set(query, key, head, bias[at]);
      }
    }
  }
  return said;
}
