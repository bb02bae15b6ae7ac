/**
 * An engine's rows while they are read from disk: those of a snapshot, on which records are replayed. No engine takes part in
 * it, so a replay asks no function and computes no attention.
 */

import type { JsonValue } from "../base/json.ts";
import { keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import {
  NO_BACKEND,
  type SavedHistory,
  type SavedMask,
  type SavedSettings,
  type Snapshot,
} from "../store/snapshot.ts";
import { roundedCopy } from "../numerics/row_storage.ts";
import type { MaskChange, RowShift } from "../write/edit_journal.ts";
import { roundedSum } from "../write/rounded_sum.ts";
import { RowErrors, type SavedErrors } from "../write/row_errors.ts";
import type { RowId } from "../write/row_ids.ts";
import type { SlotNumbers } from "../write/slot_table.ts";
import { type Beside, decodeBeside } from "./beside_tensor.ts";
import { Besides } from "./besides.ts";
import { Clients } from "./clients.ts";
import type { ClientCall, FrameVisitor } from "./frames.ts";
import { ImageRows } from "./image_rows.ts";
import { liveFlags } from "../write/frozen_rows.ts";
import type { ReadPointer } from "./pointer.ts";
import { settingsOfSnapshot } from "./settings.ts";
import { forgetKeyStates, forgetQueryState } from "./kept_states.ts";
import { SaidBias } from "./said_bias.ts";

const OPERATION = "openDurable";
const NO_ERRORS: SavedErrors = { keys: new Float32Array(0), values: new Float32Array(0) };

/** Rows, what was said of them, clients, and what is kept beside. */
export class Image implements FrameVisitor {
  readonly settings: SavedSettings;
  readonly keys: ImageRows;
  readonly queries: ImageRows;
  /** How far keys are from those that were given; null where all are float32. */
  readonly errors: RowErrors | null;
  /** null without a mask function. */
  readonly said: SaidBias | null;
  readonly clients: Clients;
  readonly besides: Besides;
  readonly mask: SavedMask | null;
  /** Whether edits are counted exactly: snapshots of version 1 do not count them. */
  readonly isCounted: boolean;
  #metadata: JsonValue | undefined;
  /** Edits since the engine was first made. */
  #edits: number;

  constructor(snapshot: Snapshot, pointer: Pick<ReadPointer, "sequence" | "clients" | "kept">) {
    const { layout, mask, keys, errors, queries, metadata } = snapshot;
    this.errors = layout.storage ? RowErrors.restore(layout, errors) : null;
    this.settings = settingsOfSnapshot(snapshot);
    this.keys = new ImageRows("key", keyColumns(layout) + valueColumns(layout), keys);
    this.queries = new ImageRows("query", queryColumns(layout), queries);
    const { besides, clients } = besideOf(snapshot, pointer);
    this.clients = clients;
    this.besides = besides;
    this.mask = mask;
    this.#metadata = metadata;
    this.isCounted = pointer.kept === null;
    // There are about as many edits as calls.
    this.#edits = this.isCounted ? snapshot.sequence : pointer.sequence;
    this.said = mask?.kind === "function" ? toSaid(mask.bias, layout.heads, keys.slots, queries.slots) : null;
  }

  /** What came before, as a snapshot holds it. */
  get history(): SavedHistory {
    return { sequence: this.#edits, metadata: this.#metadata, origin: 0 };
  }

  writeKey(slot: number, column: number, part: Float32Array): RowId {
    return this.#keep(part, column, (kept) => this.keys.write(slot, kept, column), slot);
  }

  addToKey(slot: number, column: number, delta: number): RowId {
    const { settings: { layout }, errors, keys: rows } = this;
    if (!errors) throw new Error("a rounded sum, expected rows that are rounded");
    rows.checkLive(slot);
    const sum = roundedSum(OPERATION, layout, { rows, errors }, { slot, column, delta });
    errors.reserve(slot);
    errors.note(slot, sum.column, sum.given, sum.kept, sum.carried);
    return rows.write(slot, sum.kept, sum.column);
  }

  insertKey(slot: number, position: number, row: Float32Array, id: RowId | undefined): RowId {
    const name = this.#keep(row, 0, (kept) => this.keys.insert(slot, position, kept, id), slot);
    this.said?.resetKey(slot);
    return name;
  }

  putKey(slot: number, position: number, row: Float32Array): RowId {
    return this.#keep(row, 0, (kept) => this.keys.put(slot, position, kept), slot);
  }

  deleteKey(slot: number): RowId {
    forgetKeyStates(this.besides, slot);
    const name = this.keys.delete(slot);
    this.errors?.clear(slot);
    return name;
  }

  writeQuery(slot: number, row: Float32Array): RowId {
    return this.queries.write(slot, row, 0);
  }

  insertQuery(slot: number, position: number, row: Float32Array, id: RowId | undefined): RowId {
    const name = this.queries.insert(slot, position, row, id);
    this.said?.resetQuery(slot);
    return name;
  }

  putQuery(slot: number, position: number, row: Float32Array): RowId {
    return this.queries.put(slot, position, row);
  }

  deleteQuery(slot: number): RowId {
    forgetQueryState(this.besides, slot);
    return this.queries.delete(slot);
  }

  moveKey(slot: number, position: number): RowId {
    return this.keys.move(slot, position);
  }

  moveQuery(slot: number, position: number): RowId {
    return this.queries.move(slot, position);
  }

  setMask({ queries, keys, heads, block }: MaskChange): void {
    const { mask } = this;
    if (mask?.kind !== "matrix" || !mask.isEditable) {
      throw new Error("mask changes, expected an editable one");
    }
    if (block.length !== queries.length * keys.length) {
      throw new Error(`mask changes by ${block.length} numbers, expected ${queries.length * keys.length}`);
    }
    for (const head of heads) {
      const { data, rows, columns } = mask.matrices[head] ?? { data: block, rows: 0, columns: 0 };
      queries.forEach((query, i) =>
        keys.forEach((key, j) => {
          if (query >= rows || key >= columns) {
            throw new Error(`mask changes at ${head}, ${query}, ${key}, expected a place that it has`);
          }
          data[query * columns + key] = block[i * keys.length + j];
        })
      );
    }
    this.#edits++;
  }

  setMetadata(metadata: JsonValue): void {
    this.#metadata = metadata;
  }

  shift({ by, from, to, nextKey, nextQuery }: RowShift): void {
    this.#edits += this.keys.shift(by, from, to) + this.queries.shift(by, from, to);
    this.next(nextKey, nextQuery);
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

  edited(sequence: number, names: readonly RowId[], call: ClientCall | null): void {
    this.#edits += names.length;
    if (call) this.clients.note(call, { sequence, names });
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

  /**
   * What an engine is made of.
   *
   * @throws {Unsaid} When a mask function was not asked about every live pair.
   */
  toSnapshot(): Snapshot {
    const keys = this.keys.view(), queries = this.queries.view();
    const errors = this.errors?.save(keys.slots.size) ?? NO_ERRORS;
    const bias = this.said?.copy(liveFlags(keys.slots), liveFlags(queries.slots));
    const mask = bias ? { kind: "function", bias } as const : this.mask;
    return {
      ...this.settings,
      ...this.history,
      mask,
      keys,
      errors,
      queries,
      backend: NO_BACKEND,
      states: {},
    };
  }

  /** Writes part of a key row, from `column` on, as it is kept, and notes how far that is from what was given. */
  #keep(given: Float32Array, column: number, write: (kept: Float32Array) => RowId, slot: number): RowId {
    const kept = roundedCopy(OPERATION, this.settings.layout, given, column), name = write(kept);
    this.errors?.reserve(slot);
    this.errors?.note(slot, column, given, kept);
    return name;
  }
}

/** What a snapshot holds beside rows, in its file or, of an older version, in its pointer. */
export function besideOf(
  { beside }: Pick<Snapshot, "beside">,
  { clients, kept }: Pick<ReadPointer, "clients" | "kept">,
): Beside {
  const found = beside ? decodeBeside(beside) : { besides: new Besides(), clients: new Clients() };
  return {
    besides: kept ? new Besides(kept) : found.besides,
    clients: clients ? Clients.restore(clients) : found.clients,
  };
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
