/**
 * A record of a subject: a batch of edits of one client, resolved, with what proves that nothing before it is
 * gone.
 *
 *     0   u32   CRC-32 of all bytes behind it
 *     4   u32   version: 1, or 2 in a cluster whose rows have positions
 *     8   u32   1 edits of keys, 2 edits of queries
 *     12  f64   number: 1, 2, 3 … for each client and subject
 *     20  f64   known: the newest sequence of the subject that the client knows of
 *     28  16    hash of the client's batch before this one in the subject; zeros before the first
 *     44        text client, u32 count, then `count` edits:
 *               u32 1  text id  floats      the row of a key [key | value], or of a query, is set
 *               u32 2  text id              the row is deleted; nothing happens if there is none
 *               u32 3  text id  f64  floats the same as 1, at a position; of version 2, which has no 1
 *               u32 4  text id  f64         the row is moved to a position; nothing happens if there is none
 *               u32 5  text id  u32 count, texts  f64   a bias of the key with queries, of all where count is 0;
 *                                           of all keys where the id is empty; in a cluster whose masks are edited
 *               u32 6  text id  u32 head  u32 count, texts  f64   the same as 5, of one head; where masks differ by head
 *               u32 7  text name  f64 by  f64 from  f64 to   rows at positions from `from` on and before `to` move by
 *                                           `by`, once for each name; of version 2
 *               u32 8  text id  u32 1 + head, 0 for all  u32 count, count × (text, f64)   a bias of the key with each
 *                                           of these queries
 *
 * All little-endian; `floats` and `text` as in `durable/byte_buffer.ts`. Rows are set whole, so that doing a
 * batch twice is the only thing that has to be prevented.
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { InputError } from "../base/errors.ts";
import { ByteReader, ByteWriter } from "../durable/byte_buffer.ts";
import type { ScoreRule } from "../numerics/score_rule.ts";
import { checkPlace } from "../write/places.ts";
import { Damage } from "./cluster_error.ts";
import { isBias, type MaskEdit } from "./pair_masks.ts";
import { checkShift, type NamedShift } from "./position_shift.ts";

const PLAIN_VERSION = 1, PLACED_VERSION = 2;
const SET = 1, DELETE = 2, PLACE = 3, MOVE = 4, MASK = 5, HEAD_MASK = 6, SHIFT = 7, BLOCK_MASK = 8;
/** Bytes of a hash: SHA-256, cut off. */
export const HASH_BYTES = 16;
/** The hash before the first batch, and the chain before the first record. */
export const NO_HASH = new Uint8Array(HASH_BYTES);

/** The table that a batch edits. */
export type BatchKind = "keys" | "queries";

/** One edit, with its row as it is stored; null for a deletion, and for a move where there is a position. */
export interface RowEdit {
  readonly id: string;
  readonly row: Float32Array<ArrayBuffer> | null;
  /** There where rows have positions, but for a deletion. */
  readonly position?: number;
  /** The mask of the key's pairs, or of all keys where `id` is ""; the row stays as it is. */
  readonly mask?: MaskEdit;
  /** A move of all rows of a range; `id` is "". */
  readonly shift?: NamedShift;
}

/** The forms of edits that a cluster has beside those of all. */
export interface BatchForms {
  /** The rule by which rows have positions; null where they have none. */
  readonly places: ScoreRule | null;
  /** Whether edits may say something of pairs. */
  readonly hasMaskEdits: boolean;
  /** Masks of a pair: H where they differ by head, else 1. */
  readonly maskHeads: number;
}

/** The forms of a cluster without rules. */
export const PLAIN_FORMS: BatchForms = { places: null, hasMaskEdits: false, maskHeads: 1 };

/** A batch. */
export interface Batch {
  readonly kind: BatchKind;
  readonly client: string;
  readonly number: number;
  readonly known: number;
  readonly previous: Uint8Array<ArrayBuffer>;
  readonly edits: readonly RowEdit[];
}

/** Bytes of an edit in a batch, at most. */
export function editBytes({ id, row, mask, shift }: RowEdit): number {
  const masked = mask?.queries.reduce((bytes, query) => bytes + 16 + 3 * query.length, 20) ?? 0;
  const moved = shift === undefined ? 0 : 24 + 3 * shift.name.length;
  return 24 + 3 * id.length + (row === null ? 0 : row.byteLength) + masked + moved;
}

/** Writes a batch of a cluster whose rows have positions, or have none. */
export function encodeBatch(batch: Batch, isPlaced = false): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  out.u32(0);
  out.u32(isPlaced ? PLACED_VERSION : PLAIN_VERSION);
  out.u32(batch.kind === "keys" ? 1 : 2);
  out.f64(batch.number);
  out.f64(batch.known);
  out.raw(batch.previous);
  out.text(batch.client);
  out.u32(batch.edits.length);
  for (const edit of batch.edits) {
    if (edit.mask) writeMask(out, edit.id, edit.mask);
    else if (edit.shift) writeShift(out, edit.shift);
    else writeRow(out, edit, isPlaced);
  }
  const bytes = out.view().slice();
  new DataView(bytes.buffer).setUint32(0, crc32(bytes.subarray(4)), true);
  return bytes;
}

function writeRow(out: ByteWriter, { id, row, position }: RowEdit, isPlaced: boolean): void {
  out.u32(codeOf(row !== null, isPlaced && position !== undefined));
  out.text(id);
  if (isPlaced && position !== undefined) out.f64(position);
  if (row !== null) out.floats(row);
}

function writeMask(out: ByteWriter, id: string, { queries, bias, biases, head }: MaskEdit): void {
  if (biases !== undefined) {
    out.u32(BLOCK_MASK);
    out.text(id);
    out.u32(head === undefined ? 0 : 1 + head);
    out.u32(queries.length);
    for (const [at, query] of queries.entries()) {
      out.text(query);
      out.f64(biases[at]);
    }
    return;
  }
  out.u32(head === undefined ? MASK : HEAD_MASK);
  out.text(id);
  if (head !== undefined) out.u32(head);
  out.u32(queries.length);
  for (const query of queries) out.text(query);
  out.f64(bias);
}

function writeShift(out: ByteWriter, { name, by, from, to }: NamedShift): void {
  out.u32(SHIFT);
  out.text(name);
  for (const number of [by, from, to]) out.f64(number);
}

function codeOf(hasRow: boolean, hasPosition: boolean): number {
  if (hasRow) return hasPosition ? PLACE : SET;
  return hasPosition ? MOVE : DELETE;
}

/**
 * Reads a batch whose rows have `width` numbers, and edits of the forms that the cluster has.
 *
 * @throws {Damage} When the bytes are none.
 */
export function decodeBatch(
  bytes: Uint8Array<ArrayBuffer>,
  kind: BatchKind,
  width: number,
  forms: BatchForms = PLAIN_FORMS,
): Batch {
  try {
    const reader = new ByteReader(bytes);
    const crc = reader.u32(), found = crc32(bytes.subarray(4));
    if (crc !== found) throw new Damage(`record has the CRC ${found}, expected ${crc}`);
    const version = reader.u32(), expected = forms.places ? PLACED_VERSION : PLAIN_VERSION;
    if (version !== expected) throw new Damage(`record has version ${version}, expected ${expected}`);
    const code = reader.u32();
    if (code !== (kind === "keys" ? 1 : 2)) throw new Damage(`record is of kind ${code}, expected ${kind}`);
    const number = reader.f64(), known = reader.f64(), previous = reader.raw(HASH_BYTES);
    const client = reader.text(), count = reader.u32();
    const edits: RowEdit[] = [];
    for (let at = 0; at < count; at++) {
      edits.push(readEdit(reader, width, kind === "keys" ? forms : { ...forms, hasMaskEdits: false }));
    }
    if (!reader.isDone) throw new Damage("record is longer than its edits");
    return { kind, client, number, known, previous, edits };
  } catch (error) {
    throw error instanceof Damage ? error : new Damage(`record cannot be read (${(error as Error).message})`);
  }
}

function readEdit(reader: ByteReader, width: number, forms: BatchForms): RowEdit {
  const { places: rule, hasMaskEdits, maskHeads } = forms, code = reader.u32(), id = reader.text();
  if (code === MASK && hasMaskEdits) return { id, row: null, mask: readMask(reader, id) };
  if (code === HEAD_MASK && hasMaskEdits && maskHeads > 1) {
    const head = readHead(reader.u32(), maskHeads);
    return { id, row: null, mask: { ...readMask(reader, id), head } };
  }
  if (code === BLOCK_MASK && hasMaskEdits) return { id, row: null, mask: readBlock(reader, id, maskHeads) };
  if (code === SHIFT && rule) return { id: "", row: null, shift: readShift(reader, id, rule) };
  if (code === DELETE) return { id, row: null };
  if (code !== (rule ? PLACE : SET) && !(rule && code === MOVE)) {
    throw new Damage(`edit is of kind ${code}, expected ${rule ? "2, 3 or 4" : "1 or 2"}`);
  }
  const placed = rule ? { position: checkPosition(rule, reader.f64()) } : {};
  if (code === MOVE) return { id, row: null, ...placed };
  const row = reader.floats();
  if (row.length !== width) throw new Damage(`row has ${row.length} numbers, expected ${width}`);
  for (let at = 0; at < width; at++) {
    if (!Number.isFinite(row[at])) throw new Damage(`row has ${row[at]}, expected finite numbers`);
  }
  return { id, row, ...placed };
}

function readMask(reader: ByteReader, id: string): MaskEdit {
  const queries: string[] = [];
  for (let left = reader.u32(); left > 0; left--) queries.push(reader.text());
  const bias = checkBias(reader.f64());
  if (id === "" && queries.length === 0) throw new Damage("mask is of no key and no query");
  return { queries, bias };
}

function readHead(head: number, maskHeads: number): number {
  if (head < maskHeads) return head;
  throw new Damage(`mask is of head ${head}, expected one below ${maskHeads}`);
}

function readBlock(reader: ByteReader, id: string, maskHeads: number): MaskEdit {
  const head = reader.u32(), ofHead = head === 0 ? {} : { head: readHead(head - 1, maskHeads) };
  const queries: string[] = [], biases: number[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    queries.push(reader.text());
    biases.push(checkBias(reader.f64()));
  }
  if (id === "" || queries.length === 0) throw new Damage("mask is of no key or no query");
  return { queries, bias: 0, biases, ...ofHead };
}

function checkBias(bias: number): number {
  if (isBias(bias)) return bias;
  throw new Damage(`mask has the bias ${bias}, expected a number of float32 range`);
}

function readShift(reader: ByteReader, name: string, rule: ScoreRule): NamedShift {
  const shift = { name, by: reader.f64(), from: reader.f64(), to: reader.f64() };
  try {
    checkShift("", shift, rule);
  } catch (error) {
    throw error instanceof InputError ? new Damage(`${error.actual}, expected ${error.expected}`) : error;
  }
  if (name === "") throw new Damage("shift has no name");
  return shift;
}

/** A position that came from elsewhere; it suits the rule, or is damage. */
export function checkPosition(rule: ScoreRule, position: number): number {
  try {
    checkPlace("", "position", position, rule);
  } catch (error) {
    throw error instanceof InputError ? new Damage(`${error.actual}, expected ${error.expected}`) : error;
  }
  if (!Number.isFinite(position)) throw new Damage(`position is ${position}, expected a finite number`);
  return position;
}

/** The hash of parts one after another. */
export function hashOf(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest()).slice(0, HASH_BYTES);
}

/** The chain of a subject behind a record. */
export function chainOf(
  before: Uint8Array,
  sequence: number,
  body: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return hashOf(before, new Uint8Array(Float64Array.of(sequence).buffer), body);
}

/** Whether two hashes are the same. */
export function isSameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
