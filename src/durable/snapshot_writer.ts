/**
 * Writes a snapshot of rows in slices, between which the loop turns: tensor after tensor to a file of another name, which is
 * synced, sealed and renamed when it is whole.
 */

import { createHash } from "node:crypto";
import { keyColumns } from "../numerics/head_layout.ts";
import { UNSEALED } from "../store/checksum.ts";
import { encodeIds } from "../store/saved_ids.ts";
import { layOutSnapshot, type SavedHistory, type SavedMask, type SavedSettings } from "../store/snapshot.ts";
import { besideBytes, besideSlices, type FrozenBesides } from "./besides.ts";
import type { Folder } from "./folder.ts";
import { snapshotFile } from "./pointer.ts";
import type { SlotNumbers } from "../write/slot_table.ts";

/** So many bytes are copied before the loop turns. */
const SLICE_BYTES = 1 << 18;

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
  slice(from: number, end: number): Float32Array | Uint32Array | Uint8Array;
}

/** What a snapshot is written of. */
export interface SnapshotToWrite {
  readonly settings: SavedSettings;
  readonly history: SavedHistory;
  readonly mask: SavedMask | null;
  /** The numbers of the mask's matrices, where they may change meanwhile. */
  readonly matrices?: readonly NumbersToWrite[];
  readonly keys: RowsToWrite;
  readonly queries: RowsToWrite;
  readonly besides: FrozenBesides;
}

/** A snapshot that is on disk. */
export interface WrittenSnapshot {
  readonly bytes: number;
  /** SHA-256 of the file, as its header has it. */
  readonly checksum: Uint8Array<ArrayBuffer>;
  /** The longest time, in milliseconds, for which a slice kept the loop. */
  readonly longestSliceMs: number;
}

/** Ends a snapshot that is not wanted any more. */
export class SnapshotStopped extends Error {}

/**
 * Writes `snapshot-<sequence>.safetensors`.
 *
 * @param isStopped Is asked between slices; true ends the writing.
 * @throws {SnapshotStopped} When it was stopped; nothing of it is left.
 */
export async function writeSnapshot(
  folder: Folder,
  sequence: number,
  snapshot: SnapshotToWrite,
  isStopped: () => boolean = () => false,
): Promise<WrittenSnapshot> {
  const name = snapshotFile(sequence), draft = `${name}.tmp`;
  const { settings, history, mask, keys, queries, besides } = snapshot;
  const laidOut = performance.now();
  const ids = { keys: idsOf(keys), queries: idsOf(queries) };
  const { header, order, dataBytes } = layOutSnapshot({
    settings,
    history,
    mask,
    keys: keys.slots,
    queries: queries.slots,
    keyIdBytes: ids.keys.length,
    queryIdBytes: ids.queries.length,
    besideBytes: besideBytes(besides),
  });
  let longestSliceMs = performance.now() - laidOut;
  try {
    const file = await Deno.open(folder.file(draft), { create: true, truncate: true, write: true });
    try {
      const head = new Uint8Array(8 + header.length);
      new DataView(head.buffer).setBigUint64(0, BigInt(header.length), true);
      head.set(header, 8);
      await writeAll(file, head);
      const hash = createHash("sha256");
      for (const tensor of order) {
        const slices = slicesOf(tensor, snapshot, ids);
        for (;;) {
          if (isStopped()) throw new SnapshotStopped();
          const start = performance.now();
          const { value, done } = slices.next();
          if (done) break;
          hash.update(value);
          longestSliceMs = Math.max(longestSliceMs, performance.now() - start);
          await writeAll(file, value);
        }
      }
      const checksum = new Uint8Array(createHash("sha256").update(head).update(hash.digest()).digest());
      const at = new TextDecoder("latin1").decode(head).indexOf(UNSEALED);
      await file.seek(at, Deno.SeekMode.Start);
      await writeAll(file, new TextEncoder().encode(hexOf(checksum)));
      await file.sync();
      return { bytes: head.length + dataBytes, checksum, longestSliceMs };
    } finally {
      file.close();
    }
  } catch (error) {
    folder.remove(draft);
    throw error;
  }
}

/** Gives a written snapshot its name. */
export async function nameSnapshot(folder: Folder, sequence: number): Promise<void> {
  const name = snapshotFile(sequence);
  await Deno.rename(folder.file(`${name}.tmp`), folder.file(name));
  await folder.sync();
}

/** The tensor of ids; nothing where rows have none. */
function idsOf({ slots: { ids } }: RowsToWrite): Uint8Array<ArrayBuffer> {
  return ids ? encodeIds(ids) : new Uint8Array(0);
}

function* slicesOf(
  name: string,
  { settings: { layout }, mask, matrices, keys, queries, besides }: SnapshotToWrite,
  ids: { readonly keys: NumbersToWrite; readonly queries: NumbersToWrite },
) {
  const keyWidth = keyColumns(layout);
  switch (name) {
    case "query":
      return yield* columns(queries, 0, queries.width);
    case "query.positions":
      return yield* positions(queries);
    case "query.free":
      return yield* numbers(queries.slots.free);
    case "key":
      return yield* columns(keys, 0, keyWidth);
    case "value":
      return yield* columns(keys, keyWidth, keys.width);
    case "key.positions":
      return yield* positions(keys);
    case "key.free":
      return yield* numbers(keys.slots.free);
    case "key.ids":
      return yield* numbers(ids.keys);
    case "query.ids":
      return yield* numbers(ids.queries);
    case "beside":
      return yield* besideSlices(besides, SLICE_BYTES);
    case "bias":
      return yield* numbers(mask?.kind === "function" ? mask.bias : new Float32Array(0));
    default: {
      const at = Number(name.slice("mask.".length));
      return yield* numbers(
        matrices?.[at] ?? (mask?.kind === "matrix" ? mask.matrices[at].data : new Float32Array(0)),
      );
    }
  }
}

/** Some columns of all rows; zeros where a slot is free. */
function* columns(rows: RowsToWrite, first: number, end: number): Generator<Uint8Array<ArrayBuffer>> {
  const { slots: { size }, live, width } = rows, taken = end - first;
  const row = new Float32Array(width), perSlice = Math.max(1, Math.floor(SLICE_BYTES / (4 * width)));
  for (let from = 0; from < size; from += perSlice) {
    const count = Math.min(perSlice, size - from), slice = new Float32Array(count * taken);
    for (let at = 0; at < count; at++) {
      if (live[from + at] === 0) continue;
      rows.copyRow(from + at, row, 0);
      slice.set(first === 0 && end === width ? row : row.subarray(first, end), at * taken);
    }
    yield new Uint8Array(slice.buffer);
  }
}

function* positions(rows: RowsToWrite): Generator<Uint8Array<ArrayBuffer>> {
  const { slots: { size }, live } = rows, perSlice = SLICE_BYTES / 32;
  for (let from = 0; from < size; from += perSlice) {
    const slice = new Float64Array(Math.min(perSlice, size - from));
    for (let at = 0; at < slice.length; at++) {
      if (live[from + at] === 1) slice[at] = rows.position(from + at);
    }
    yield new Uint8Array(slice.buffer);
  }
}

function* numbers(all: NumbersToWrite): Generator<Uint8Array<ArrayBuffer>> {
  const perSlice = SLICE_BYTES / 4;
  for (let from = 0; from < all.length; from += perSlice) {
    const { buffer, byteOffset, byteLength } = all.slice(from, from + perSlice);
    yield new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
