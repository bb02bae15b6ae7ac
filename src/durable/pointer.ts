/**
 * The pointer to a snapshot, a row of the table `snapshot`:
 *
 *     0   u32  CRC-32 of all bytes behind it
 *     4   u32  version, 1
 *     8   f64  sequence: the snapshot has the edits up to this one
 *     16  32   hash of the record of this sequence, to which the next record is chained
 *     48  32   checksum of the file `snapshot-<sequence>.safetensors`, its metadata `sha256`
 *     80       bytes of clients (see `clients.ts`), then u32 count of what is kept beside the rows, each bytes name and
 *              bytes content
 */

import { crc32 } from "node:zlib";
import { ByteReader, ByteWriter } from "./byte_buffer.ts";
import { Clients } from "./clients.ts";
import { Damage } from "./durability_error.ts";
import { JOURNAL_FILE, type StoredBody } from "./journal_database.ts";
import { HASH_BYTES, type Place } from "./record.ts";

const VERSION = 1;

/** Where a snapshot is, and what the journal knew at its moment beside rows. */
export interface Pointer extends Place {
  readonly checksum: Uint8Array<ArrayBuffer>;
  readonly clients: Uint8Array<ArrayBuffer>;
  readonly kept: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

export function snapshotFile(sequence: number): string {
  return `snapshot-${sequence}.safetensors`;
}

export function encodePointer({ sequence, hash, checksum, clients, kept }: Pointer): StoredBody {
  const out = new ByteWriter();
  out.u32(0);
  out.u32(VERSION);
  out.f64(sequence);
  out.raw(hash);
  out.raw(checksum);
  out.bytes(clients);
  out.u32(kept.size);
  for (const [name, content] of kept) {
    out.text(name);
    out.bytes(content);
  }
  out.patch(0, crc32(out.view(4)));
  return { sequence, body: out.view().slice() };
}

/** @throws {Damage} When it is not what was written. */
export function decodePointer({ sequence, body }: StoredBody): Pointer {
  const refuse = (what: string): never => {
    throw new Damage(JOURNAL_FILE, sequence, `pointer to ${snapshotFile(sequence)} ${what}`);
  };
  try {
    const reader = new ByteReader(body);
    const expected = reader.u32(), found = crc32(body.subarray(4));
    if (found !== expected) refuse(`has the CRC ${found}, expected ${expected}`);
    const version = reader.u32();
    if (version !== VERSION) refuse(`has version ${version}, expected ${VERSION}`);
    const own = reader.f64();
    if (own !== sequence) refuse(`is of sequence ${own}, expected ${sequence}`);
    const hash = reader.raw(HASH_BYTES), checksum = reader.raw(HASH_BYTES), clients = reader.bytes();
    Clients.restore(clients);
    const kept = new Map<string, Uint8Array<ArrayBuffer>>();
    for (let left = reader.u32(); left > 0; left--) {
      kept.set(reader.text(), reader.bytes());
    }
    return { sequence, hash, checksum, clients, kept };
  } catch (error) {
    if (error instanceof Damage) throw error;
    return refuse(`cannot be read (${error instanceof Error ? error.message : error})`);
  }
}
