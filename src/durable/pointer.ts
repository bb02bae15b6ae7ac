/**
 * The pointer to a snapshot, a row of the table `snapshot`:
 *
 *     0   u32  CRC-32 of all bytes behind it
 *     4   u32  version, 3
 *     8   f64  sequence: the snapshot has the edits up to this one
 *     16  32   hash of the record of this sequence, to which the next record is chained
 *     48  32   checksum of the file `snapshot-<sequence>.safetensors`, its metadata `sha256`
 *
 * Version 2 has, behind them, bytes of the clients (see `Clients.restore`), and version 1 behind these what is kept beside the
 * rows: u32 count, and for each bytes name and bytes content. Since then both are in the snapshot's file.
 */

import { crc32 } from "node:zlib";
import { ByteReader, ByteWriter } from "./byte_buffer.ts";
import { Clients } from "./clients.ts";
import { Damage } from "./durability_error.ts";
import { JOURNAL_FILE, type StoredBody } from "./journal_database.ts";
import { HASH_BYTES, type Place } from "./record.ts";

const VERSION = 3, WITH_CLIENTS = 2, WITH_BESIDES = 1;

/** Where a snapshot is. */
export interface Pointer extends Place {
  readonly checksum: Uint8Array<ArrayBuffer>;
}

/** A pointer that was read. */
export interface ReadPointer extends Pointer {
  /** The row that it was read from. */
  readonly row: StoredBody;
  /** The clients, of an older version; null where the snapshot's file has them. */
  readonly clients: Uint8Array<ArrayBuffer> | null;
  /** What is kept beside the rows, of the oldest version; null where the snapshot's file has it. */
  readonly kept: ReadonlyMap<string, Uint8Array<ArrayBuffer>> | null;
}

export function snapshotFile(sequence: number): string {
  return `snapshot-${sequence}.safetensors`;
}

export function encodePointer({ sequence, hash, checksum }: Pointer): StoredBody {
  const out = new ByteWriter();
  out.u32(0);
  out.u32(VERSION);
  out.f64(sequence);
  out.raw(hash);
  out.raw(checksum);
  out.patch(0, crc32(out.view(4)));
  return { sequence, body: out.view().slice() };
}

/** @throws {Damage} When it is not what was written. */
export function decodePointer(row: StoredBody): ReadPointer {
  const { sequence, body } = row;
  const refuse = (what: string): never => {
    throw new Damage(JOURNAL_FILE, sequence, `pointer to ${snapshotFile(sequence)} ${what}`);
  };
  try {
    const reader = new ByteReader(body);
    const expected = reader.u32(), found = crc32(body.subarray(4));
    if (found !== expected) refuse(`has the CRC ${found}, expected ${expected}`);
    const version = reader.u32();
    if (version < WITH_BESIDES || version > VERSION) {
      refuse(`has version ${version}, expected ${WITH_BESIDES} to ${VERSION}`);
    }
    const own = reader.f64();
    if (own !== sequence) refuse(`is of sequence ${own}, expected ${sequence}`);
    const pointer = { sequence, hash: reader.raw(HASH_BYTES), checksum: reader.raw(HASH_BYTES), row };
    if (version === VERSION) return { ...pointer, clients: null, kept: null };
    const clients = reader.bytes();
    Clients.restore(clients);
    if (version === WITH_CLIENTS) return { ...pointer, clients, kept: null };
    const kept = new Map<string, Uint8Array<ArrayBuffer>>();
    for (let left = reader.u32(); left > 0; left--) {
      kept.set(reader.text(), reader.bytes());
    }
    return { ...pointer, clients, kept };
  } catch (error) {
    if (error instanceof Damage) throw error;
    return refuse(`cannot be read (${error instanceof Error ? error.message : error})`);
  }
}
