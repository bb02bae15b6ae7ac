/**
 * A snapshot as bytes, in slices of a quarter of a megabyte: what it is written of may be copied while edits go on, a slice at a
 * time (see `write/frozen_rows.ts`).
 */

import type { SavedArray, SavedArrays } from "../base/saved_array.ts";
import type { SavedErrors } from "../write/row_errors.ts";
import type { SlotNumbers } from "../write/slot_table.ts";
import { type PackedKind, packedKinds, packRows, writeScales } from "./packed_rows.ts";
import { encodeIds } from "./saved_ids.ts";
import {
  layOutSnapshot,
  NO_BACKEND,
  type SavedHistory,
  type SavedMask,
  type SavedSettings,
} from "./snapshot.ts";

/** About so many bytes are made at once. */
export const SLICE_BYTES = 1 << 18;

/** Rows of one kind, to be copied slot by slot. */
export interface RowsToWrite {
  readonly slots: SlotNumbers;
  /** 1 for each live slot. */
  readonly live: Uint8Array;
  /** Numbers of a row. */
  readonly width: number;
  copyRow(slot: number, target: Float32Array, offset: number): void;
  position(slot: number): number;
}

/** Numbers to be copied part by part. */
export interface NumbersToWrite {
  readonly length: number;
  slice(from: number, end: number): SavedArray["data"];
}

/** What a snapshot is written of. */
export interface SnapshotToWrite {
  readonly settings: SavedSettings;
  readonly history: SavedHistory;
  readonly mask: SavedMask | null;
  /** The numbers of the mask's matrices, where they may change meanwhile, or of what a mask function said. */
  readonly maskNumbers?: readonly NumbersToWrite[];
  readonly keys: RowsToWrite;
  /** How far they are from those that were given; null where all are float32. */
  readonly errors?: SavedErrors | null;
  readonly queries: RowsToWrite;
  /** The states of a backend. */
  readonly states?: { readonly backend: string; readonly arrays: SavedArrays };
  /** What a durable folder keeps beside rows. */
  readonly beside?: { readonly bytes: number; slices(): Iterable<Uint8Array<ArrayBuffer>> };
}

/** A file to be written: its first bytes, not sealed yet, and behind them all slices. */
export interface SnapshotSlices {
  /** The prefix and the header. */
  readonly head: Uint8Array<ArrayBuffer>;
  readonly dataBytes: number;
  /** Slices in their order; each is made when it is asked for, in the memory of the one before it. */
  slices(): Generator<Uint8Array<ArrayBuffer>, void>;
}

/**
 * Lays out a file. Equal snapshots give equal bytes.
 *
 * @throws {CapacityError} When the header is longer than the reader accepts.
 */
export function sliceSnapshot(operation: string, snapshot: SnapshotToWrite): SnapshotSlices {
  const { settings, history, mask, keys, queries, states, beside } = snapshot;
  const ids = { keys: idsOf(keys), queries: idsOf(queries) };
  const { header, order, dataBytes } = layOutSnapshot(operation, {
    settings,
    history,
    mask,
    keys: keys.slots,
    queries: queries.slots,
    keyIdBytes: ids.keys.length,
    queryIdBytes: ids.queries.length,
    besideBytes: beside?.bytes ?? 0,
    backend: states?.backend ?? NO_BACKEND,
    states: states?.arrays ?? {},
  });
  const head = new Uint8Array(8 + header.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(header.length), true);
  head.set(header, 8);
  return {
    head,
    dataBytes,
    *slices() {
      for (const name of order) yield* slicesOf(name, snapshot, ids);
    },
  };
}

const NOTHING = new Float32Array(0);

/** The tensor of ids; nothing where rows have none. */
function idsOf({ slots: { ids } }: RowsToWrite): Uint8Array<ArrayBuffer> {
  return ids ? encodeIds(ids) : new Uint8Array(0);
}

function* slicesOf(
  name: string,
  { settings: { layout }, mask, maskNumbers, keys, errors, queries, states, beside }: SnapshotToWrite,
  ids: { readonly keys: NumbersToWrite; readonly queries: NumbersToWrite },
): Generator<Uint8Array<ArrayBuffer>, void> {
  const [keyKind, valueKind] = packedKinds(layout);
  switch (name) {
    case "query":
      return yield* columns(queries, 0, queries.width);
    case "query.positions":
      return yield* positions(queries);
    case "query.free":
      return yield* numbers(queries.slots.free);
    case "query.ids":
      return yield* numbers(ids.queries);
    case "key":
      return yield* columns(keys, 0, valueKind.first, keyKind);
    case "value":
      return yield* columns(keys, valueKind.first, keys.width, valueKind);
    case "key.scales":
      return yield* scales(keys, keyKind);
    case "value.scales":
      return yield* scales(keys, valueKind);
    case "key.errors":
      return yield* numbers(errors?.keys ?? NOTHING);
    case "value.errors":
      return yield* numbers(errors?.values ?? NOTHING);
    case "key.positions":
      return yield* positions(keys);
    case "key.free":
      return yield* numbers(keys.slots.free);
    case "key.ids":
      return yield* numbers(ids.keys);
    case "beside":
      return yield* beside?.slices() ?? [];
  }
  if (mask?.kind === "function" && name === "bias") return yield* numbers(maskNumbers?.[0] ?? mask.bias);
  if (mask?.kind === "matrix" && name.startsWith("mask.")) {
    const at = Number(name.slice("mask.".length));
    return yield* numbers(maskNumbers?.[at] ?? mask.matrices[at].data);
  }
  if (!states) return;
  yield* numbers(states.arrays[name.slice(states.backend.length + 1)].data);
}

/** Some columns of all rows, packed if they are of a kind that is; zeros where a slot is free. */
function* columns(
  rows: RowsToWrite,
  first: number,
  end: number,
  kind: PackedKind | null = null,
): Generator<Uint8Array<ArrayBuffer>, void> {
  const { slots: { size }, live, width } = rows, taken = end - first;
  const row = new Float32Array(width), perSlice = Math.max(1, Math.floor(SLICE_BYTES / (4 * width)));
  const part = row.subarray(first, end), slice = new Float32Array(Math.min(perSlice, size) * taken);
  for (let from = 0; from < size; from += perSlice) {
    const count = Math.min(perSlice, size - from);
    for (let at = 0; at < count; at++) {
      if (live[from + at] === 1) {
        rows.copyRow(from + at, row, 0);
        slice.set(part, at * taken);
      } else slice.fill(0, at * taken, (at + 1) * taken);
    }
    const written = slice.subarray(0, count * taken), packed = kind ? packRows(kind, written) : written;
    yield bytesOf(packed);
  }
}

/** The scales of rows of int8; 0 where a slot is free. */
function* scales(
  rows: RowsToWrite,
  kind: PackedKind,
): Generator<Uint8Array<ArrayBuffer>, void> {
  const { slots: { size }, live, width } = rows;
  const perSlice = Math.max(1, Math.floor(SLICE_BYTES / (4 * width))), row = new Float32Array(width);
  const slice = new Float32Array(Math.min(perSlice, size) * kind.heads);
  for (let from = 0; from < size; from += perSlice) {
    const count = Math.min(perSlice, size - from);
    slice.fill(0);
    for (let at = 0; at < count; at++) {
      if (live[from + at] !== 1) continue;
      rows.copyRow(from + at, row, 0);
      writeScales(kind, row.subarray(kind.first), slice, at * kind.heads);
    }
    yield bytesOf(slice.subarray(0, count * kind.heads));
  }
}

function* positions(rows: RowsToWrite): Generator<Uint8Array<ArrayBuffer>, void> {
  const { slots: { size }, live } = rows, perSlice = SLICE_BYTES / 32;
  const slice = new Float64Array(Math.min(perSlice, size));
  for (let from = 0; from < size; from += perSlice) {
    const count = Math.min(perSlice, size - from);
    for (let at = 0; at < count; at++) slice[at] = live[from + at] === 1 ? rows.position(from + at) : 0;
    yield new Uint8Array(slice.buffer, 0, 8 * count);
  }
}

function* numbers(all: NumbersToWrite): Generator<Uint8Array<ArrayBuffer>, void> {
  const perSlice = SLICE_BYTES / 8;
  for (let from = 0; from < all.length; from += perSlice) {
    yield bytesOf(all.slice(from, from + perSlice));
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: SavedArray["data"]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}
