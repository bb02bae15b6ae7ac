/**
 * Copies a durable folder to another one, as of one moment, while the loop turns: the newest snapshot that is as it was
 * written, and the records behind it, each checked on the way.
 *
 * Invariant: the copy begins with a HEAD that knows of all edits that were committed, and so is refused when it is opened,
 * until it has them all. Without one it could be taken for a folder in which nothing was made yet.
 */

import { setImmediate } from "node:timers";
import { InputError } from "../base/errors.ts";
import { Damage } from "./durability_error.ts";
import type { Folder } from "./folder.ts";
import { HEAD_FILE, HeadFile, readHead } from "./head_file.ts";
import { JOURNAL_FILE, JournalDatabase, type StoredBody, type SyncMode } from "./journal_database.ts";
import { openToLook } from "./look.ts";
import { decodePointer, type ReadPointer, snapshotFile } from "./pointer.ts";
import {
  Chain,
  checkSnapshotFile,
  MISSING,
  NO_HEAD,
  orDamage,
  type Progress,
  recordsBehind,
} from "./read_folder.ts";
import type { Place } from "./record.ts";

/** What was copied. */
export interface Backup {
  /** Edits 1 to this one are in the copy. */
  readonly sequence: number;
  /** The snapshot that it begins with. */
  readonly snapshot: number;
  /** Records behind it. */
  readonly records: number;
  /** Bytes that were copied. */
  readonly bytes: number;
}

/** How a folder is copied. */
export interface BackupOptions {
  /** Is told how far the copy has come. */
  readonly onProgress?: (progress: Progress) => void;
}

/** Records of about so many bytes are written in one transaction. */
const WRITTEN_AT_ONCE = 1 << 20;

/**
 * Copies `folder` to `target`, which must not exist or be empty.
 *
 * @throws {InputError} When something is in `target`.
 * @throws {Damage} When what is copied is not as it was written.
 */
export async function backupFolder(
  operation: string,
  folder: Folder,
  target: Folder,
  onProgress: (progress: Progress) => void = ignore,
): Promise<Backup> {
  if (target.names().length > 0) {
    throw new InputError(operation, `${target.path} holds ${target.names()[0]}`, "an empty folder, or none");
  }
  const witness = readHead(folder.file(HEAD_FILE));
  if (!witness) throw new Damage(HEAD_FILE, null, NO_HEAD);
  target.make();
  writeHead(target, witness, "full");
  await target.sync();
  return await openToLook(folder, (source) =>
    orDamage(() =>
      source.look(async () => {
        const { pointer, bytes } = await copySnapshot(operation, folder, source, target);
        const total = bytes + source.sizeAfter(pointer.sequence).bytes;
        onProgress({ what: snapshotFile(pointer.sequence), done: bytes, total });
        const chain = new Chain(pointer, witness);
        const { records, copied } = await copyRecords(source, target, pointer, chain, (done) => {
          onProgress({ what: JOURNAL_FILE, done: bytes + done, total });
        });
        chain.end();
        writeHead(target, chain.place, witness.sync);
        await target.sync();
        const { sequence } = chain.place;
        return { sequence, snapshot: pointer.sequence, records, bytes: bytes + copied };
      })
    ));
}

/** Copies the newest snapshot that is as it was written. */
async function copySnapshot(operation: string, folder: Folder, source: JournalDatabase, target: Folder) {
  let first: Damage | null = null;
  for (const row of source.pointers()) {
    try {
      const pointer = decodePointer(row), name = snapshotFile(pointer.sequence);
      await Deno.copyFile(folder.file(name), target.file(name));
      const bytes = await checkSnapshotFile(operation, target, pointer);
      using file = await Deno.open(target.file(name), { write: true });
      await file.sync();
      return { pointer, bytes };
    } catch (error) {
      const isMissing = error instanceof Deno.errors.NotFound;
      const damage = isMissing ? new Damage(snapshotFile(row.sequence), row.sequence, MISSING) : error;
      if (!(damage instanceof Damage)) throw error;
      target.remove(snapshotFile(row.sequence));
      first ??= damage;
    }
  }
  throw first ?? new Damage(JOURNAL_FILE, null, "journal names no snapshot, expected one at least");
}

async function copyRecords(
  source: JournalDatabase,
  target: Folder,
  pointer: ReadPointer,
  chain: Chain,
  onCopied: (bytes: number) => void,
): Promise<{ readonly records: number; readonly copied: number }> {
  const journal = new JournalDatabase(target.file(JOURNAL_FILE), { readOnly: false, sync: "normal" });
  let records = 0, copied = 0, waiting: StoredBody[] = [], waitingBytes = 0;
  const write = () => {
    journal.transact(() => waiting.forEach((row) => journal.addRecord(row)));
    copied += waitingBytes;
    waiting = [];
    waitingBytes = 0;
    onCopied(copied);
  };
  try {
    // The file is copied as it is, whatever its version.
    journal.create(pointer.row, source.identify().version);
    for await (const row of recordsBehind(source, pointer.sequence)) {
      chain.next(row);
      records++;
      waiting.push(row);
      waitingBytes += row.body.length;
      if (waitingBytes < WRITTEN_AT_ONCE) continue;
      write();
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
    write();
    // This syncs the journal, however its transactions were synced.
    journal.checkpoint();
  } finally {
    journal.close();
  }
  using file = await Deno.open(target.file(JOURNAL_FILE), { write: true });
  await file.sync();
  return { records, copied };
}

function writeHead(target: Folder, place: Place, sync: SyncMode): void {
  const head = HeadFile.open(target.file(HEAD_FILE), sync);
  try {
    // Both slots.
    for (let slot = 0; slot < 2; slot++) head.write(place);
    head.sync();
  } finally {
    head.close();
  }
}

function ignore(): void {}
