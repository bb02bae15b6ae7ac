/**
 * The file of a snapshot, in memory.
 */

import { CapacityError } from "../base/errors.ts";
import { inTurns } from "../base/turns.ts";
import { newHash, seal, sealWith } from "./checksum.ts";
import { sliceSnapshot, type SnapshotToWrite } from "./snapshot_slices.ts";

/** Writes a snapshot while the event loop turns; equal snapshots give equal bytes. */
export async function encodeSnapshot(
  operation: string,
  snapshot: SnapshotToWrite,
): Promise<Uint8Array<ArrayBuffer>> {
  const { head, dataBytes, slices } = sliceSnapshot(operation, snapshot), size = head.length + dataBytes;
  const bytes = CapacityError.guard(operation, "the file of a snapshot", size, () => new Uint8Array(size));
  bytes.set(head);
  const hash = newHash();
  await inTurns(copied(bytes, head.length, slices(), hash?.update ?? ignore));
  if (hash) await sealWith(operation, bytes, hash.digest());
  else await seal(operation, bytes);
  return bytes;
}

function* copied(
  bytes: Uint8Array,
  start: number,
  slices: Iterable<Uint8Array<ArrayBuffer>>,
  take: (slice: Uint8Array) => void,
): Generator<void> {
  let at = start;
  for (const slice of slices) {
    bytes.set(slice, at);
    take(slice);
    at += slice.length;
    yield;
  }
}

function ignore(): void {}
