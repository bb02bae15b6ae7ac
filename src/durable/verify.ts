/**
 * Checks a durable folder without changing it: each record's CRC, the chain, that none is missing, each snapshot, the witness.
 */

import {
  Chain,
  checkSnapshotFile,
  MISSING,
  orDamage,
  type Progress,
  readSnapshotFile,
  recordsBehind,
  replay,
} from "./read_folder.ts";
import { Damage, type Problem } from "./durability_error.ts";
import type { Folder } from "./folder.ts";
import { HEAD_FILE, headSlots, readHead, type Witness } from "./head_file.ts";
import type { FrozenEntries } from "./frozen_entries.ts";
import { besideOf, Image } from "./image.ts";
import { JOURNAL_FILE, type JournalDatabase } from "./journal_database.ts";
import { openToLook } from "./look.ts";
import { decodePointer, type ReadPointer, snapshotFile } from "./pointer.ts";
import { hashOf, isSameHash } from "./record.ts";
import type { SavedMask, Snapshot } from "../store/snapshot.ts";
import type { SlotNumbers } from "../write/slot_table.ts";

/** What a check has found. */
export interface Verification {
  /** What is wrong, in the order in which it was found; nothing where all is as it was written. */
  readonly problems: readonly Problem[];
  /** Records that were checked. */
  readonly records: number;
  /** Edits 1 to this one are there. */
  readonly sequence: number;
  /** The sequence numbers of the snapshots that are as they were written, the newest first. */
  readonly snapshots: readonly number[];
  /** Bytes that were read. */
  readonly bytes: number;
}

/** How a folder is checked. */
export interface VerifyOptions {
  /**
   * Also replays the records and compares each snapshot with those before it, and asks SQLite what it finds wrong with its file.
   * That stops the loop while a snapshot is read; `false` unless given.
   */
  readonly deep?: boolean;
  /** Is told how far the check has come. */
  readonly onProgress?: (progress: Progress) => void;
}

/** How often a check begins anew when the owner has removed a snapshot that it was about to read. */
const TRIES = 5;

/** Checks all of a folder, as of one moment, while the loop turns. */
export async function verifyFolder(
  operation: string,
  folder: Folder,
  options: VerifyOptions = {},
): Promise<Verification> {
  for (let left = TRIES;; left--) {
    const found = await verifyOnce(operation, folder, options);
    const isMoving = found.problems.some(({ what }) => what === MISSING);
    if (!isMoving || left === 1) return found;
  }
}

async function verifyOnce(
  operation: string,
  folder: Folder,
  { deep = false, onProgress = ignore }: VerifyOptions,
): Promise<Verification> {
  const problems: Problem[] = [];
  const note = (error: unknown) => {
    if (!(error instanceof Damage)) throw error;
    problems.push(error.problem);
  };
  for (const what of headSlots(folder.file(HEAD_FILE))) {
    problems.push({ file: HEAD_FILE, sequence: null, what });
  }
  // The witness is read before the journal, which may grow meanwhile: the witness must not know of more records.
  const witness = readHead(folder.file(HEAD_FILE));
  const found = { records: 0, sequence: 0, snapshots: [] as number[], bytes: 0 };
  try {
    await openToLook(folder, (database) =>
      orDamage(() =>
        database.look(async () => {
          const lines = deep ? database.integrity() : [];
          for (const line of lines) note(new Damage(JOURNAL_FILE, null, line));
          await check({ operation, folder, database, witness, deep, onProgress }, found, note);
        })
      ));
  } catch (error) {
    note(error);
  }
  return { problems, ...found };
}

/** What a check looks at. */
interface CheckConfig {
  readonly operation: string;
  readonly folder: Folder;
  readonly database: JournalDatabase;
  readonly witness: Witness | null;
  readonly deep: boolean;
  readonly onProgress: (progress: Progress) => void;
}

async function check(
  { operation, folder, database, witness, deep, onProgress }: CheckConfig,
  found: { records: number; sequence: number; snapshots: number[]; bytes: number },
  note: (error: unknown) => void,
): Promise<void> {
  const good: { pointer: ReadPointer; snapshot: Snapshot | null }[] = [];
  for (const row of database.pointers()) {
    try {
      const pointer = decodePointer(row);
      const bytes = await checkSnapshotFile(operation, folder, pointer);
      const snapshot = deep ? (await readSnapshotFile(operation, folder, pointer)).snapshot : null;
      good.push({ pointer, snapshot });
      found.bytes += bytes;
      found.snapshots.push(pointer.sequence);
      onProgress({ what: snapshotFile(pointer.sequence), done: bytes, total: bytes });
    } catch (error) {
      note(error);
    }
  }
  const oldest = good.pop();
  if (!oldest) return note(new Damage(JOURNAL_FILE, null, "journal names no snapshot that can be read"));
  const total = database.sizeAfter(oldest.pointer.sequence).bytes;
  const image = oldest.snapshot && new Image(oldest.snapshot, oldest.pointer);
  let chain = new Chain(oldest.pointer, witness), done = 0, isWhole = true;
  for await (const row of recordsBehind(database, oldest.pointer.sequence)) {
    found.records++;
    done += row.body.length;
    try {
      const record = chain.next(row);
      if (isWhole && image) replay(record, image);
    } catch (error) {
      note(error);
      // What follows is compared with the record as it is, so that one wrong byte is one problem.
      chain = new Chain({ sequence: row.sequence, hash: hashOf(row.body) }, null);
      isWhole = false;
    }
    if (isWhole) {
      for (const { pointer, snapshot } of good) comparePlace(chain, pointer, snapshot, image, note);
    }
    onProgress({ what: JOURNAL_FILE, done, total });
  }
  found.bytes += done;
  found.sequence = chain.place.sequence;
  try {
    chain.end();
  } catch (error) {
    note(error);
  }
}

/** A snapshot holds what the records before it say. */
function comparePlace(
  { place }: Chain,
  pointer: ReadPointer,
  snapshot: Snapshot | null,
  image: Image | null,
  note: (error: unknown) => void,
): void {
  if (pointer.sequence !== place.sequence) return;
  const file = snapshotFile(pointer.sequence);
  if (!isSameHash(pointer.hash, place.hash)) {
    note(new Damage(JOURNAL_FILE, pointer.sequence, `pointer to ${file} has another hash than the record`));
  }
  if (!snapshot || !image) return;
  const { mask, history } = image, rows = { keys: image.keys.view(), queries: image.queries.view() };
  const wrong = (what: string) => note(new Damage(file, pointer.sequence, what));
  for (const kind of ["keys", "queries"] as const) {
    const a = rows[kind], b = snapshot[kind];
    const isSame = isSameNumbers(a.rows, b.rows) && isSameNumbers(a.positions, b.positions) &&
      isSameNumbers(a.slots.free, b.slots.free) && a.slots.nextPosition === b.slots.nextPosition &&
      isSameIds(a.slots.ids, b.slots.ids);
    if (!isSame) wrong(`${kind} are not those of the records before it`);
  }
  const errors = image.errors?.save(rows.keys.slots.size);
  if (
    errors && !(isSameNumbers(errors.keys, snapshot.errors.keys) &&
      isSameNumbers(errors.values, snapshot.errors.values))
  ) {
    wrong("errors of keys are not those of the records before it");
  }
  if (!isSameMask(mask, snapshot.mask)) wrong("mask is not that of the records before it");
  const isSameMetadata = JSON.stringify(history.metadata) === JSON.stringify(snapshot.metadata);
  if (!isSameMetadata) wrong("metadata are not those of the records before it");
  if (image.isCounted && history.sequence !== snapshot.sequence) {
    wrong(`snapshot has ${snapshot.sequence} edits, expected ${history.sequence}`);
  }
  const { besides, clients } = besideOf(snapshot, pointer);
  if (!isSameEntries(image.besides.freeze(), besides.freeze())) {
    wrong("what is kept beside rows is not what the records before it say");
  }
  if (!isSameEntries(image.clients.freeze(), clients.freeze())) {
    wrong("calls of clients are not those of the records before it");
  }
}

function isSameIds(a: SlotNumbers["ids"], b: SlotNumbers["ids"]): boolean {
  if (a === null || b === null) return a === b;
  return a.next === b.next && a.ids.length === b.ids.length && a.ids.every((id, at) => id === b.ids[at]);
}

/** Compares two masks. Replies of a mask function agree only for rows that were not deleted since, so they are not compared. */
function isSameMask(a: SavedMask | null, b: SavedMask | null): boolean {
  if (a?.kind !== "matrix" || b?.kind !== "matrix") return a?.kind === b?.kind;
  return a.matrices.every(({ data }, at) => isSameNumbers(data, b.matrices[at].data));
}

function isSameEntries(a: FrozenEntries, b: FrozenEntries): boolean {
  const places = new Map(b.names.map((name, at) => [name, at]));
  return a.names.length === b.names.length && a.names.every((name, at) => {
    const other = places.get(name);
    return other !== undefined && isSameHash(a.contentOf(at), b.contentOf(other));
  });
}

function isSameNumbers(a: Float32Array | Float64Array | Uint32Array, b: typeof a): boolean {
  return a.length === b.length && a.every((number, at) => Object.is(number, b[at]));
}

function ignore(): void {}
