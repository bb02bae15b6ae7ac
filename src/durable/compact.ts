/**
 * Makes a durable folder as small as it can be: one snapshot of all edits, no records, no free pages. No engine takes part.
 */

import { InputError } from "../base/errors.ts";
import { Damage } from "./durability_error.ts";
import { type Folder, FolderLock } from "./folder.ts";
import { HEAD_FILE, HeadFile } from "./head_file.ts";
import type { Image } from "./image.ts";
import { liveFlags } from "../write/frozen_rows.ts";
import { encodePointer, snapshotFile } from "./pointer.ts";
import { openJournal, orDamage, type Progress, readFolder } from "./read_folder.ts";
import type { RowsToWrite } from "../store/snapshot_slices.ts";
import { nameSnapshot, writeSnapshot } from "./snapshot_writer.ts";
import { isUnmade } from "./create_folder.ts";
import type { SlotRows } from "../store/snapshot.ts";

/** What became of the folder. */
export interface Compaction {
  /** Edits 1 to this one are in the snapshot. */
  readonly sequence: number;
  /** Bytes of all files before. */
  readonly bytesBefore: number;
  /** Bytes of all files now. */
  readonly bytesAfter: number;
}

const REMOVED_AT_ONCE = 1024;

/**
 * @throws {DurabilityError} When somebody has it open.
 * @throws {InputError} When its mask function was not asked about all rows; nothing was changed then.
 * @throws {Damage} When it cannot be read; nothing of it was changed then.
 */
export async function compactFolder(
  operation: string,
  folder: Folder,
  onProgress: (progress: Progress) => void,
): Promise<Compaction> {
  const empty = new Damage("journal.db", null, "file is missing or empty, expected a journal");
  if (folder.names().length === 0) throw empty;
  const lock = FolderLock.take(operation, folder);
  try {
    if (isUnmade(folder)) throw empty;
    const bytesBefore = bytesOf(folder);
    let sequence: number;
    const database = await orDamage(() => Promise.resolve(openJournal(folder, { readOnly: false })));
    try {
      const { image, place, damage } = await orDamage(() => readFolder(operation, folder, database));
      if (damage.length > 0) {
        throw new Damage("journal.db", null, `${damage[0]}; verify it, and take a backup first`);
      }
      checkSaid(operation, folder, image);
      onProgress({ what: "journal.db", done: 1, total: 3 });
      database.upgrade();
      if (database.pointers()[0].sequence !== place.sequence) {
        const { checksum } = await writeSnapshot(folder, place.sequence, toWrite(image));
        await nameSnapshot(folder, place.sequence);
        database.transact(() => database.addPointer(encodePointer({ ...place, checksum })));
      }
      onProgress({ what: snapshotFile(place.sequence), done: 2, total: 3 });
      database.transact(() => database.removePointersBefore(place.sequence));
      for (const older of folder.snapshots()) {
        if (older < place.sequence) folder.remove(snapshotFile(older));
      }
      for (let isMore = true; isMore;) {
        database.transact(() => {
          isMore = database.removeRecords(place.sequence, REMOVED_AT_ONCE, Infinity);
        });
      }
      database.giveBackPages();
      database.checkpoint();
      const head = HeadFile.open(folder.file(HEAD_FILE), "full");
      head.write(place);
      head.sync();
      head.close();
      sequence = place.sequence;
    } finally {
      database.close();
    }
    return { sequence, bytesBefore, bytesAfter: bytesOf(folder) };
  } finally {
    lock.release();
  }
}

/** A snapshot holds an answer of the mask function for every pair, and nobody is here who could ask it. */
function checkSaid(operation: string, folder: Folder, image: Image): void {
  for (const [query, key] of image.unsaid()) {
    throw new InputError(
      operation,
      `${folder.path} has rows, and its mask function has not answered for key slot ${key} and query slot ${query}`,
      "a folder that was opened with the function since",
    );
  }
}

function toWrite(image: Image): Parameters<typeof writeSnapshot>[2] {
  const { mask, keys, errors, queries } = image.toSnapshot(), { settings, history } = image;
  const beside = [image.clients.freeze(), image.besides.freeze()];
  return { settings, history, mask, keys: rowsOf(keys), errors, queries: rowsOf(queries), beside };
}

function rowsOf({ slots, rows, positions }: SlotRows): RowsToWrite {
  const width = slots.size === 0 ? 0 : rows.length / slots.size;
  return {
    slots,
    live: liveFlags(slots),
    width,
    copyRow: (slot, target, offset) => target.set(rows.subarray(slot * width, (slot + 1) * width), offset),
    position: (slot) => positions[slot],
  };
}

function bytesOf(folder: Folder): number {
  return folder.names().reduce((sum, name) => sum + Deno.statSync(folder.file(name)).size, 0);
}
