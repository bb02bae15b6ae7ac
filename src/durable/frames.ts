/**
 * The frames of a record, one for each sequence number: the edits of one call, resolved, or what a mask function said.
 *
 *     u32 bytes of the frame, these included     u32 kind
 *     1 edits   bytes client ("" for none), f64 its number, u32 count, then so many edits:
 *               u32 1  u32 slot  u32 column  floats          part of a key row [key | value]
 *               u32 2  u32 slot  f64 position  floats        a key with its value is inserted
 *               u32 3  u32 slot                              a key is deleted
 *               u32 4  u32 slot  floats                      a query
 *               u32 5  u32 slot  f64 position  floats        a query is inserted
 *               u32 6  u32 slot                              a query is deleted
 *               u32 7  u32 slot  f64 position                a key is moved
 *               u32 8  u32 slot  f64 position                a query is moved
 *               u32 9  u32 slot  f64 position  floats  id    a key with an id is inserted
 *               u32 10 u32 slot  f64 position  floats  id    a query with an id is inserted
 *               u32 11 u32 slot  f64 position  floats        all of a key row, which may come to lie elsewhere
 *               u32 12 u32 slot  f64 position  floats        all of a query, likewise
 *               u32 13 u32 slot  u32 column  f64 delta       an addition to a number of a key row that is rounded by heads
 *     2 said    runs of what a mask function said: u32 0, u32 query slot, u32 key slot · maskHeads + head, floats; or
 *               u32 1, u32 key slot, u32 query slot · maskHeads + head, floats
 *     3 kept    bytes name, bytes content: what somebody keeps beside the rows, a learner's states for example
 *     4 next    f64, f64: the positions that the next key and the next query get that are inserted without one; versions 1 and 2
 *     5 mask    a block of an editable mask: u32 count and so many u32 query slots, the same of key slots and of numbers
 *               of matrices, floats queries × keys
 *     6 data    bytes: the caller's metadata, JSON
 *     7 shift   f64 by, f64 from, f64 to: all rows with from ≤ position < to are moved by it; f64, f64: as `next`
 *
 * Resolved: an `addToKey` is the number it gave where rows are float32, an insert has its slot, position and id. `floats` and `bytes` are a count and
 * what it counts, bytes padded to 4; floats of keys are as they were given, before they are rounded; an id is bytes, as JSON (see `row_names.ts`). Version 1 has the kinds 1 to 4, and edits 1 to
 * 8 of them; version 2 the kinds 1 to 6, and edits 1 to 12.
 */

import { CapacityError } from "../base/errors.ts";
import type { JsonValue } from "../base/json.ts";
import type { EditedRow, MaskChange, RowShift } from "../write/edit_journal.ts";
import type { CheckedEdit, EditTarget } from "../write/edits.ts";
import type { RowId } from "../write/row_ids.ts";
import { ByteReader, ByteWriter } from "./byte_buffer.ts";
import { decodeName, encodeName } from "./row_names.ts";

const EDITS = 1, SAID = 2, KEPT = 3, NEXT = 4, MASK = 5, METADATA = 6, SHIFT = 7;
const WRITE_KEY = 1, INSERT_KEY = 2, DELETE_KEY = 3, WRITE_QUERY = 4, INSERT_QUERY = 5, DELETE_QUERY = 6;
const MOVE_KEY = 7, MOVE_QUERY = 8;
const INSERT_NAMED_KEY = 9, INSERT_NAMED_QUERY = 10, PUT_KEY = 11, PUT_QUERY = 12;
const ADD_TO_KEY = 13;

/** Who made a call, and which of its calls it is. */
export interface ClientCall {
  readonly client: string;
  readonly number: number;
}

/** Takes what the frames of a record say. Edits return what their row is called. */
export interface FrameVisitor {
  writeKey(slot: number, column: number, part: Float32Array): RowId;
  /** Adds to a number of a key row that is rounded by heads. */
  addToKey(slot: number, column: number, delta: number): RowId;
  insertKey(slot: number, position: number, row: Float32Array, id: RowId | undefined): RowId;
  putKey(slot: number, position: number, row: Float32Array): RowId;
  deleteKey(slot: number): RowId;
  writeQuery(slot: number, row: Float32Array): RowId;
  insertQuery(slot: number, position: number, row: Float32Array, id: RowId | undefined): RowId;
  putQuery(slot: number, position: number, row: Float32Array): RowId;
  deleteQuery(slot: number): RowId;
  moveKey(slot: number, position: number): RowId;
  moveQuery(slot: number, position: number): RowId;
  setMask(change: MaskChange): void;
  setMetadata(metadata: JsonValue): void;
  /** Rows of a range of positions move together. */
  shift(shift: RowShift): void;
  /** Rows to come follow these positions. */
  next(key: number, query: number): void;
  /** A mask function said `bias` of a query slot with consecutive pairs of key slot and head. */
  saidOfQuery(query: number, start: number, bias: Float32Array): void;
  /** Likewise of a key slot with consecutive pairs of query slot and head. */
  saidOfKey(key: number, start: number, bias: Float32Array): void;
  kept(name: string, content: Uint8Array<ArrayBuffer>): void;
  /** A frame of edits is over: what their rows are called, and whose call it was. */
  edited(sequence: number, names: readonly RowId[], call: ClientCall | null): void;
}

/** SQLite holds rows of up to 10⁹ bytes. */
const LARGEST_FRAME = 2 ** 29;

/**
 * Writes frames behind each other.
 *
 * Invariant: bytes behind the last whole frame are those of the frame that is being written. A frame that could not be written
 * to its end leaves some there, over which the next one is written.
 */
export class FrameWriter {
  readonly #out = new ByteWriter();
  readonly #ends: number[] = [];
  #start = 0;
  #countAt = 0;
  #count = 0;
  readonly #largest: number;

  constructor(largest: number = LARGEST_FRAME) {
    this.#largest = largest;
  }

  /** Bytes of whole frames. */
  get bytes(): number {
    return this.#ends.at(-1) ?? 0;
  }

  /** Whole frames. */
  get frames(): number {
    return this.#ends.length;
  }

  /** A frame of edits begins. */
  beginEdits(call: ClientCall | null): void {
    this.#begin(EDITS);
    const out = this.#out;
    out.text(call?.client ?? "");
    out.f64(call?.number ?? 0);
    this.#countAt = out.length;
    this.#count = 0;
    out.u32(0);
  }

  /**
   * One edit, which was performed on `layer` just now; `hasIds` says whether its row has an id, `isRounded` whether
   * keys are rounded by heads.
   */
  edit(
    edit: CheckedEdit,
    { slot, name, isNew }: EditedRow,
    hasIds: boolean,
    { keys, queries }: EditTarget,
    isRounded = false,
  ): void {
    const out = this.#out;
    this.#count++;
    this.#checkSize();
    switch (edit.kind) {
      case "writeKey":
        out.u32(WRITE_KEY);
        out.u32(slot);
        out.u32(edit.column);
        return out.floats(edit.part);
      case "addToKey":
        out.u32(isRounded ? ADD_TO_KEY : WRITE_KEY);
        out.u32(slot);
        out.u32(edit.column);
        if (isRounded) return out.f64(edit.delta);
        return out.floats(Float32Array.of(keys.element(slot, edit.column)));
      case "insertKey":
      case "upsertKey":
        out.u32(!isNew ? PUT_KEY : hasIds ? INSERT_NAMED_KEY : INSERT_KEY);
        out.u32(slot);
        out.f64(keys.position(slot));
        out.floats(edit.row);
        return isNew && hasIds ? out.bytes(encodeName(name)) : undefined;
      case "deleteKey":
        out.u32(DELETE_KEY);
        return out.u32(slot);
      case "writeQuery":
        out.u32(WRITE_QUERY);
        out.u32(slot);
        return out.floats(edit.row);
      case "insertQuery":
      case "upsertQuery":
        out.u32(!isNew ? PUT_QUERY : hasIds ? INSERT_NAMED_QUERY : INSERT_QUERY);
        out.u32(slot);
        out.f64(queries.position(slot));
        out.floats(edit.row);
        return isNew && hasIds ? out.bytes(encodeName(name)) : undefined;
      case "deleteQuery":
        out.u32(DELETE_QUERY);
        return out.u32(slot);
      case "moveKey":
        out.u32(MOVE_KEY);
        out.u32(slot);
        return out.f64(keys.position(slot));
      case "moveQuery":
        out.u32(MOVE_QUERY);
        out.u32(slot);
        return out.f64(queries.position(slot));
    }
  }

  endEdits(): void {
    this.#out.patch(this.#countAt, this.#count);
    this.#end();
  }

  /** Takes back the frame that has begun. */
  abandon(): void {
    this.#out.cutTo(this.bytes);
  }

  /** What a mask function said, in runs of neighbouring pairs. */
  said({ queries, keys, heads, bias }: SaidPairs, maskHeads: number): void {
    this.#begin(SAID);
    const out = this.#out, count = bias.length;
    const ofKey = (at: number) => queries[at] * maskHeads + heads[at];
    const ofQuery = (at: number) => keys[at] * maskHeads + heads[at];
    for (let start = 0, end: number; start < count; start = end) {
      end = start + 1;
      while (end < count && keys[end] === keys[start] && ofKey(end) === ofKey(end - 1) + 1) end++;
      const isOfKey = end > start + maskHeads;
      if (!isOfKey) {
        end = start + 1;
        while (end < count && queries[end] === queries[start] && ofQuery(end) === ofQuery(end - 1) + 1) end++;
      }
      out.u32(isOfKey ? 1 : 0);
      out.u32(isOfKey ? keys[start] : queries[start]);
      out.u32(isOfKey ? ofKey(start) : ofQuery(start));
      out.floats(Float32Array.from(bias.slice(start, end)));
    }
    this.#end();
  }

  /** The moves of a range begin. */
  beginShift({ by, from, to, nextKey, nextQuery }: RowShift): void {
    this.#begin(SHIFT);
    for (const number of [by, from, to, nextKey, nextQuery]) this.#out.f64(number);
  }

  endShift(): void {
    this.#end();
  }

  kept(name: string, content: Uint8Array): void {
    this.#begin(KEPT);
    this.#out.text(name);
    this.#out.bytes(content);
    this.#end();
  }

  /** A block of the mask. */
  mask({ queries, keys, heads, block }: MaskChange): void {
    this.#begin(MASK);
    for (const list of [queries, keys, heads]) this.#out.words(list);
    this.#out.floats(block);
    this.#end();
  }

  metadata(metadata: JsonValue): void {
    this.#begin(METADATA);
    this.#out.text(JSON.stringify(metadata));
    this.#end();
  }

  /**
   * The frames in parts of about `largest` bytes or, where one frame is larger, of one frame: views that the next write
   * invalidates, and how many frames each has.
   */
  *parts(largest: number): Generator<{ readonly frames: Uint8Array<ArrayBuffer>; readonly count: number }> {
    let start = 0, from = 0;
    for (let at = 0; at < this.#ends.length; at++) {
      const isLast = at + 1 === this.#ends.length;
      if (!isLast && this.#ends[at + 1] - start <= largest) continue;
      yield { frames: this.#out.view(start, this.#ends[at]), count: at + 1 - from };
      start = this.#ends[at];
      from = at + 1;
    }
  }

  clear(): void {
    this.#out.clear();
    this.#ends.length = 0;
  }

  #begin(kind: number): void {
    this.abandon();
    this.#start = this.#out.length;
    this.#out.u32(0);
    this.#out.u32(kind);
  }

  #end(): void {
    this.#checkSize();
    this.#out.patch(this.#start, this.#out.length - this.#start);
    this.#ends.push(this.#out.length);
  }

  #checkSize(): void {
    const bytes = this.#out.length - this.#start, most = this.#largest;
    if (bytes <= most) return;
    throw new CapacityError("edit", "a record", bytes, new RangeError(`at most ${most} bytes of one call`));
  }
}

/** Pairs that a mask function was asked about, in the order in which it was. */
export interface SaidPairs {
  readonly queries: readonly number[];
  readonly keys: readonly number[];
  readonly heads: readonly number[];
  readonly bias: readonly number[];
}

/**
 * Tells `visitor` of the frames of a record whose first one has the number `first`; returns how many there are.
 *
 * @throws {Error} When they are none.
 */
export function visitFrames(bytes: Uint8Array<ArrayBuffer>, first: number, visitor: FrameVisitor): number {
  const reader = new ByteReader(bytes);
  let count = 0;
  for (let at = 0; at < bytes.length; count++) {
    reader.endAt(bytes.length);
    const size = reader.u32();
    reader.endAt(at + size);
    const kind = reader.u32();
    if (kind === EDITS) visitEdits(reader, first + count, visitor);
    else if (kind === SAID) visitSaid(reader, visitor);
    else if (kind === KEPT) visitor.kept(reader.text(), reader.bytes());
    else if (kind === NEXT) visitor.next(reader.f64(), reader.f64());
    else if (kind === MASK) visitMask(reader, visitor);
    else if (kind === SHIFT) visitShift(reader, visitor);
    else if (kind === METADATA) visitor.setMetadata(JSON.parse(reader.text()));
    else throw new Error(`frame is of kind ${kind}, expected 1 to ${SHIFT}`);
    at += size;
    if (reader.at !== at) throw new Error(`frame has ${size} bytes, expected ${size - at + reader.at}`);
  }
  return count;
}

function visitEdits(reader: ByteReader, sequence: number, visitor: FrameVisitor): void {
  const client = reader.text(), number = reader.f64();
  const count = reader.u32(), names: RowId[] = [];
  for (let at = 0; at < count; at++) names.push(visitEdit(reader, visitor));
  visitor.edited(sequence, names, client === "" ? null : { client, number });
}

function visitEdit(reader: ByteReader, visitor: FrameVisitor): RowId {
  const code = reader.u32(), slot = reader.u32();
  switch (code) {
    case WRITE_KEY:
      return visitor.writeKey(slot, reader.u32(), reader.floats());
    case ADD_TO_KEY:
      return visitor.addToKey(slot, reader.u32(), reader.f64());
    case INSERT_KEY:
      return visitor.insertKey(slot, reader.f64(), reader.floats(), undefined);
    case INSERT_NAMED_KEY:
      return visitor.insertKey(slot, reader.f64(), reader.floats(), decodeName(reader.bytes()));
    case PUT_KEY:
      return visitor.putKey(slot, reader.f64(), reader.floats());
    case DELETE_KEY:
      return visitor.deleteKey(slot);
    case WRITE_QUERY:
      return visitor.writeQuery(slot, reader.floats());
    case INSERT_QUERY:
      return visitor.insertQuery(slot, reader.f64(), reader.floats(), undefined);
    case INSERT_NAMED_QUERY:
      return visitor.insertQuery(slot, reader.f64(), reader.floats(), decodeName(reader.bytes()));
    case PUT_QUERY:
      return visitor.putQuery(slot, reader.f64(), reader.floats());
    case DELETE_QUERY:
      return visitor.deleteQuery(slot);
    case MOVE_KEY:
      return visitor.moveKey(slot, reader.f64());
    case MOVE_QUERY:
      return visitor.moveQuery(slot, reader.f64());
    default:
      throw new Error(`edit is of kind ${code}, expected 1 to ${ADD_TO_KEY}`);
  }
}

function visitShift(reader: ByteReader, visitor: FrameVisitor): void {
  const [by, from, to] = [reader.f64(), reader.f64(), reader.f64()];
  visitor.shift({ by, from, to, nextKey: reader.f64(), nextQuery: reader.f64() });
}

function visitMask(reader: ByteReader, visitor: FrameVisitor): void {
  const queries = reader.words(), keys = reader.words(), heads = [...reader.words()];
  visitor.setMask({ queries, keys, heads, block: reader.floats() });
}

function visitSaid(reader: ByteReader, visitor: FrameVisitor): void {
  while (!reader.isDone) {
    const isOfKey = reader.u32(), slot = reader.u32(), start = reader.u32();
    if (isOfKey === 1) visitor.saidOfKey(slot, start, reader.floats());
    else if (isOfKey === 0) visitor.saidOfQuery(slot, start, reader.floats());
    else throw new Error(`run is of kind ${isOfKey}, expected 0 or 1`);
  }
}
