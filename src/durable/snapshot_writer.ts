/**
 * Writes a snapshot of rows in slices, between which the loop turns: tensor after tensor to a file of another name, which is
 * synced, sealed and renamed when it is whole.
 */

import { createHash } from "node:crypto";
import { setImmediate } from "node:timers";
import { sealPlace } from "../store/checksum.ts";
import { SLICE_BYTES, sliceSnapshot, type SnapshotToWrite } from "../store/snapshot_slices.ts";
import { besideBytes, besideSlices, type FrozenEntries } from "./frozen_entries.ts";
import type { Folder } from "./folder.ts";
import { snapshotFile } from "./pointer.ts";

const OPERATION = "openDurable";
/** Milliseconds of work after which the loop turns. */
const MOST_COMPUTED_MS = 4;

/** A snapshot of a folder. */
export interface FolderSnapshot extends Omit<SnapshotToWrite, "beside" | "states"> {
  /** What is kept beside rows. */
  readonly beside: readonly FrozenEntries[];
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
  snapshot: FolderSnapshot,
  isStopped: () => boolean = () => false,
): Promise<WrittenSnapshot> {
  const name = snapshotFile(sequence), draft = `${name}.tmp`;
  const { beside: entries, ...rows } = snapshot, bytes = besideBytes(entries), begun = performance.now();
  const beside = { bytes, slices: () => besideSlices(entries, SLICE_BYTES) };
  const { head, dataBytes, slices } = sliceSnapshot(OPERATION, {
    ...rows,
    ...(bytes > 0 ? { beside } : {}),
  });
  let longestSliceMs = performance.now() - begun;
  try {
    const file = await Deno.open(folder.file(draft), { create: true, truncate: true, write: true });
    try {
      await writeAll(file, head);
      const hash = createHash("sha256"), all = slices();
      let computed = 0;
      for (;;) {
        if (isStopped()) throw new SnapshotStopped();
        const start = performance.now();
        const next = all.next();
        if (next.done === true) break;
        const slice = next.value;
        hash.update(slice);
        const ms = performance.now() - start;
        longestSliceMs = Math.max(longestSliceMs, ms);
        await writeAll(file, slice);
        computed += ms;
        if (computed < MOST_COMPUTED_MS) continue;
        // Writes that are done at once resolve before the event loop has turned.
        await new Promise<void>((resolve) => void setImmediate(resolve));
        computed = 0;
      }
      const checksum = new Uint8Array(createHash("sha256").update(head).update(hash.digest()).digest());
      await file.seek(sealPlace(OPERATION, head), Deno.SeekMode.Start);
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

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
