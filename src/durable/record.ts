/**
 * A record of the journal: the frames of the edits `first` to `last`, which were committed together.
 *
 *     0   u32  CRC-32 of all bytes behind it
 *     4   u32  version, 1
 *     8   u64  first
 *     16  u64  last
 *     24  32   hash of the record before it, or of where the journal begins
 *     56       frames (see `frames.ts`)
 *
 * All little-endian. The hash of a record is SHA-256 of its bytes, so a record that is missing, in another place or of another
 * journal breaks the chain behind it.
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

/** The bytes before the frames. */
export const RECORD_HEADER = 56;
export const HASH_BYTES = 32;
const VERSION = 1;

/** Where a journal is: the number of its newest edit, and the hash of the record that has it. */
export interface Place {
  readonly sequence: number;
  readonly hash: Uint8Array<ArrayBuffer>;
}

/** A record that was read. */
export interface JournalRecord {
  readonly first: number;
  readonly last: number;
  readonly previous: Uint8Array<ArrayBuffer>;
  readonly frames: Uint8Array<ArrayBuffer>;
}

/** Writes a record. */
export function encodeRecord(
  first: number,
  last: number,
  previous: Uint8Array,
  frames: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(RECORD_HEADER + frames.length), view = new DataView(bytes.buffer);
  view.setUint32(4, VERSION, true);
  view.setBigUint64(8, BigInt(first), true);
  view.setBigUint64(16, BigInt(last), true);
  bytes.set(previous, 24);
  bytes.set(frames, RECORD_HEADER);
  view.setUint32(0, crc32(bytes.subarray(4)), true);
  return bytes;
}

/** Reads a record; what is wrong with it comes back as text. */
export function decodeRecord(bytes: Uint8Array<ArrayBuffer>): JournalRecord | string {
  if (bytes.length < RECORD_HEADER) {
    return `record has ${bytes.length} bytes, expected ${RECORD_HEADER} at least`;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = crc32(bytes.subarray(4)), expected = view.getUint32(0, true);
  if (found !== expected) return `record has the CRC ${hex(found)}, expected ${hex(expected)}`;
  const version = view.getUint32(4, true);
  if (version !== VERSION) return `record has version ${version}, expected ${VERSION}`;
  return {
    first: Number(view.getBigUint64(8, true)),
    last: Number(view.getBigUint64(16, true)),
    previous: bytes.slice(24, 24 + HASH_BYTES),
    frames: bytes.subarray(RECORD_HEADER),
  };
}

/** The hash of a record. */
export function hashOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

/** Whether two hashes are the same. */
export function isSameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** Bytes as text. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function hex(number: number): string {
  return (number >>> 0).toString(16).padStart(8, "0");
}
