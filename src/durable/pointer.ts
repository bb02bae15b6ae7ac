/**
 * The pointer to a snapshot, a row of the table `snapshot`:
 *
 *     0   u32  CRC-32 of all bytes behind it
 *     4   u32  version, 2
 *     8   f64  sequence: the snapshot has the edits up to this one
 *     16  32   hash of the record of this sequence, to which the next record is chained
 *     48  32   checksum of the file `snapshot-<sequence>.safetensors`, its metadata `sha256`
 *     80       bytes of clients (see `clients.ts`)
 *
 * Version 1 has, behind the clients, what is kept beside the rows: u32 count, and for each bytes name and bytes content.
 * Since version 2 that is in the snapshot's file.
 */

import { crc32 } from "node:zlib";
import { ByteReader, ByteWriter } from "./byte_buffer.ts";
import { Clients } from "./clients.ts";
import { Damage } from "./durability_error.ts";
import { JOURNAL_FILE, type StoredBody } from "./journal_database.ts";
import { HASH_BYTES, type Place } from "./record.ts";

const VERSION = 2, OLDER_VERSION = 1;

/** Where a snapshot is, and what the journal knew at its moment beside rows. */
export interface Pointer extends Place {
  readonly checksum: Uint8Array<ArrayBuffer>;
  readonly clients: Uint8Array<ArrayBuffer>;
}

/** A pointer that was read. */
export interface ReadPointer extends Pointer {
  /** The row that it was read from. */
  readonly row: StoredBody;
  /** What is kept beside the rows, of an older version; null where the snapshot's file has it. */
  readonly kept: ReadonlyMap<string, Uint8Array<ArrayBuffer>> | null;
}

export function snapshotFile(sequence: number): string {
  return `snapshot-${sequence}.safetensors`;
}

export function encodePointer({ sequence, hash, checksum, clients }: Pointer): StoredBody {
  const out = new ByteWriter();
  out.u32(0);
  out.u32(VERSION);
  out.f64(sequence);
  out.raw(hash);
  out.raw(checksum);
  out.bytes(clients);
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
    if (version !== VERSION && version !== OLDER_VERSION) {
      refuse(`has version ${version}, expected ${OLDER_VERSION} or ${VERSION}`);
    }
    const own = reader.f64();
    if (own !== sequence) refuse(`is of sequence ${own}, expected ${sequence}`);
    const hash = reader.raw(HASH_BYTES), checksum = reader.raw(HASH_BYTES), clients = reader.bytes();
    Clients.restore(clients);
    const pointer = { sequence, hash, checksum, clients, row };
    if (version === VERSION) return { ...pointer, kept: null };
    const kept = new Map<string, Uint8Array<ArrayBuffer>>();
    for (let left = reader.u32(); left > 0; left--) {
      kept.set(reader.text(), reader.bytes());
    }
    return { ...pointer, kept };
  } catch (error) {
    if (error instanceof Damage) throw error;
    return refuse(`cannot be read (${error instanceof Error ? error.message : error})`);
  }
}
