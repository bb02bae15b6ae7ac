/**
 * The file HEAD: a witness of the newest commit, beside the journal. SQLite takes a damaged write-ahead log for one that was
 * cut off, and commits are gone without a word; the witness then knows of more than the journal has.
 *
 * It is written after each commit and not synced: a killed process leaves it up to date, a power failure may leave it behind,
 * and never ahead of what was synced. Two slots take turns, so a write that is torn leaves the other one.
 *
 *     0   u32  CRC-32 of the 52 bytes behind it        8   u64  sequence of the newest commit
 *     4   u32  version 1, plus 256 for sync "normal"   16  32   hash of its record
 *                                                      48  u64  how often it was written, which decides between the slots
 */

import { crc32 } from "node:zlib";
import { HASH_BYTES, type Place } from "./record.ts";
import type { SyncMode } from "./journal_database.ts";

export const HEAD_FILE = "HEAD";
const SLOT_BYTES = 56, SLOT_STRIDE = 512;
const VERSION = 1, NORMAL = 256;

/** What the witness says. */
export interface Witness extends Place {
  readonly sync: SyncMode;
}

/** Writes the witness of one journal. */
export class HeadFile {
  readonly #file: Deno.FsFile;
  readonly #sync: SyncMode;
  readonly #slot = new Uint8Array(SLOT_BYTES);
  readonly #view = new DataView(this.#slot.buffer);
  #written: number;

  private constructor(file: Deno.FsFile, sync: SyncMode, written: number) {
    this.#file = file;
    this.#sync = sync;
    this.#written = written;
  }

  /** Opens the file of a folder, or makes it. */
  static open(path: string, sync: SyncMode): HeadFile {
    const { written } = readSlots(path);
    const file = Deno.openSync(path, { create: true, read: true, write: true });
    return new HeadFile(file, sync, written);
  }

  write({ sequence, hash }: Place): void {
    const view = this.#view;
    this.#written++;
    view.setUint32(4, VERSION + (this.#sync === "normal" ? NORMAL : 0), true);
    view.setBigUint64(8, BigInt(sequence), true);
    this.#slot.set(hash, 16);
    view.setBigUint64(48, BigInt(this.#written), true);
    view.setUint32(0, crc32(this.#slot.subarray(4)), true);
    this.#file.seekSync((this.#written % 2) * SLOT_STRIDE, Deno.SeekMode.Start);
    for (let at = 0; at < SLOT_BYTES;) at += this.#file.writeSync(this.#slot.subarray(at));
  }

  sync(): void {
    this.#file.syncSync();
  }

  close(): void {
    this.#file.close();
  }
}

/** The witness of a folder; null where there is none that can be read. */
export function readHead(path: string): Witness | null {
  return readSlots(path).witness;
}

/** What is wrong with the slots of a witness, in words. */
export function headSlots(path: string): string[] {
  const bytes = bytesOf(path), wrong: string[] = [];
  for (let slot = 0; slot < 2; slot++) {
    const own = bytes.slice(slot * SLOT_STRIDE, slot * SLOT_STRIDE + SLOT_BYTES);
    // A slot that was never written is empty.
    if (own.length < SLOT_BYTES || own.every((byte) => byte === 0)) continue;
    const found = crc32(own.subarray(4)), expected = new DataView(own.buffer).getUint32(0, true);
    if (found !== expected) wrong.push(`slot ${slot} has the CRC ${found}, expected ${expected}`);
  }
  if (bytes.length === 0) wrong.push("file is missing or empty, expected the newest commit");
  return wrong;
}

function readSlots(path: string): { readonly witness: Witness | null; readonly written: number } {
  let witness: Witness | null = null, written = 0;
  for (let slot = 0; slot < 2; slot++) {
    const bytes = bytesOf(path).slice(slot * SLOT_STRIDE, slot * SLOT_STRIDE + SLOT_BYTES);
    if (bytes.length < SLOT_BYTES) continue;
    const view = new DataView(bytes.buffer);
    const version = view.getUint32(4, true), count = Number(view.getBigUint64(48, true));
    if (view.getUint32(0, true) !== crc32(bytes.subarray(4)) || (version & 255) !== VERSION) continue;
    if (count <= written) continue;
    written = count;
    witness = {
      sequence: Number(view.getBigUint64(8, true)),
      hash: bytes.slice(16, 16 + HASH_BYTES),
      sync: version >= NORMAL ? "normal" : "full",
    };
  }
  return { witness, written };
}

function bytesOf(path: string): Uint8Array<ArrayBuffer> {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Uint8Array(0);
    throw error;
  }
}
