/**
 * Reads a durable folder: the newest snapshot that is as it was written, and the records behind it.
 *
 * Invariant: what is read is all that was committed, or it is named what is wrong. Nothing is skipped: a snapshot that is
 * damaged is done without only where the one before it and all records since are there.
 */

import { createHash } from "node:crypto";
import { setImmediate } from "node:timers";
import { AttentionError } from "../base/errors.ts";
import { sealPlace, UNSEALED } from "../store/checksum.ts";
import { decodeTensors } from "../store/safetensors.ts";
import { decodeSnapshot, type Snapshot } from "../store/snapshot.ts";
import { Damage } from "./durability_error.ts";
import type { Folder } from "./folder.ts";
import { visitFrames } from "./frames.ts";
import { HEAD_FILE, readHead, type Witness } from "./head_file.ts";
import { Image } from "./image.ts";
import {
  FORMAT_VERSION,
  JOURNAL_FILE,
  JournalDatabase,
  OLDEST_VERSION,
  sqliteFault,
  type StoredBody,
} from "./journal_database.ts";
import { decodePointer, type Pointer, snapshotFile } from "./pointer.ts";
import { decodeRecord, hashOf, isSameHash, type JournalRecord, type Place, toHex } from "./record.ts";

/** The problem of a snapshot whose file is missing. */
export const MISSING = "file is missing, expected a snapshot";

/** The problem of a folder whose witness is gone: nobody knows how much its journal should hold. */
export const NO_HEAD = "file is missing or cannot be read, expected the newest commit";

/** Records that are read at once. */
const READ_AT_ONCE = 32;

/** How far something long has come. */
export interface Progress {
  /** What is being done, in words. */
  readonly what: string;
  /** Bytes done so far. */
  readonly done: number;
  /** Bytes that there are. */
  readonly total: number;
}

/** What a folder holds. */
export interface FolderContent {
  readonly image: Image;
  /** The newest edit. */
  readonly place: Place;
  readonly snapshot: { readonly sequence: number; readonly bytes: number };
  /** Bytes of records behind the snapshot. */
  readonly bytesBehind: number;
  readonly replayed: number;
  /** Edits beyond the witness. */
  readonly unconfirmed: number;
  /** Edits that the witness knows of and the journal does not, where sync was "normal". */
  readonly lost: number;
  readonly damage: readonly string[];
}

/** Runs what reads a folder; what SQLite finds wrong with the journal becomes a {@link Damage}. */
export async function orDamage<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const fault = sqliteFault(error);
    if (fault) throw new Damage(JOURNAL_FILE, null, `${fault.words} (SQLite ${fault.code})`);
    throw error;
  }
}

/** Opens the journal of a folder that has one. @throws {Damage} When it is none, or of another version. */
export function openJournal(
  folder: Folder,
  options: ConstructorParameters<typeof JournalDatabase>[1],
  copiedTo: string = folder.path,
): JournalDatabase {
  const database = new JournalDatabase(`${copiedTo}/${JOURNAL_FILE}`, options);
  try {
    checkJournal(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** @throws {Damage} When it is no journal, or of another version. */
export function checkJournal(database: JournalDatabase): void {
  const { kind, version } = database.identify();
  if (kind === "empty") throw new Damage(JOURNAL_FILE, null, "file is empty, expected a journal");
  if (kind === "other") throw new Damage(JOURNAL_FILE, null, "file is no journal, expected one");
  if (version >= OLDEST_VERSION && version <= FORMAT_VERSION) return;
  const expected = `${OLDEST_VERSION} to ${FORMAT_VERSION}`;
  throw new Damage(JOURNAL_FILE, null, `journal has version ${version}, expected ${expected}`);
}

/** Reads all of a folder. @throws {Damage} When something is wrong that cannot be done without. */
export async function readFolder(
  operation: string,
  folder: Folder,
  database: JournalDatabase,
): Promise<FolderContent> {
  // The witness is read before the journal, which may grow meanwhile: the witness must not know of more records.
  const witness = readHead(folder.file(HEAD_FILE));
  return await database.look(() => readAll(operation, folder, database, witness));
}

async function readAll(
  operation: string,
  folder: Folder,
  database: JournalDatabase,
  witness: Witness | null,
): Promise<FolderContent> {
  if (!witness) throw new Damage(HEAD_FILE, null, NO_HEAD);
  const { pointer, snapshot, bytes, damage } = await readSnapshot(operation, folder, database);
  const image = new Image(snapshot, pointer);
  const chain = new Chain(pointer, witness);
  let bytesBehind = 0;
  for await (const row of recordsBehind(database, pointer.sequence)) {
    bytesBehind += row.body.length;
    const record = chain.next(row);
    replay(record, image);
  }
  return {
    image,
    place: chain.place,
    snapshot: { sequence: pointer.sequence, bytes },
    bytesBehind,
    replayed: chain.place.sequence - pointer.sequence,
    ...chain.end(),
    damage: damage.map(({ problem: { file, sequence, what } }) => `${file}, sequence ${sequence}: ${what}`),
  };
}

/** The records behind a sequence number, while the loop turns. */
export async function* recordsBehind(
  database: JournalDatabase,
  sequence: number,
): AsyncGenerator<StoredBody> {
  for (let last = sequence;;) {
    const rows = database.recordsAfter(last, READ_AT_ONCE);
    yield* rows;
    if (rows.length < READ_AT_ONCE) return;
    last = rows[rows.length - 1].sequence;
    await new Promise<void>((resolve) => void setImmediate(resolve));
  }
}

/** The newest snapshot that is as it was written. */
async function readSnapshot(operation: string, folder: Folder, database: JournalDatabase) {
  const damage: Damage[] = [];
  for (const row of database.pointers()) {
    try {
      const pointer = decodePointer(row);
      return { pointer, damage, ...await readSnapshotFile(operation, folder, pointer) };
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      damage.push(error);
    }
  }
  throw damage[0] ?? new Damage(JOURNAL_FILE, null, "journal names no snapshot, expected one at least");
}

/** Reads the file of a pointer. @throws {Damage} When it is missing, or not the one that was written. */
export async function readSnapshotFile(
  operation: string,
  folder: Folder,
  pointer: Pointer,
): Promise<{ readonly snapshot: Snapshot; readonly bytes: number }> {
  const name = snapshotFile(pointer.sequence);
  try {
    const bytes = await Deno.readFile(folder.file(name));
    const snapshot = await decodeSnapshot(operation, bytes, true);
    const found = decodeTensors(operation, bytes).metadata.sha256, expected = toHex(pointer.checksum);
    if (found === expected) return { snapshot, bytes: bytes.length };
    throw new Damage(name, pointer.sequence, `snapshot has the checksum ${found}, expected ${expected}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new Damage(name, pointer.sequence, MISSING);
    }
    throw asDamage(error, name, pointer.sequence);
  }
}

/** Bytes of a file that are read before the loop turns. */
const SLICE_BYTES = 1 << 18;

/**
 * Compares the file of a pointer with its checksum, in slices between which the loop turns; returns its bytes.
 *
 * @throws {Damage} When it is missing, or not the one that was written.
 */
export async function checkSnapshotFile(
  operation: string,
  folder: Folder,
  pointer: Pointer,
): Promise<number> {
  const name = snapshotFile(pointer.sequence), expected = toHex(pointer.checksum);
  try {
    using file = await Deno.open(folder.file(name));
    const size = (await file.stat()).size, prefix = new Uint8Array(8);
    await fill(file, prefix);
    const headerBytes = Math.min(
      Math.max(0, size - 8),
      Number(new DataView(prefix.buffer).getBigUint64(0, true)),
    );
    const head = new Uint8Array(8 + headerBytes);
    head.set(prefix);
    await fill(file, head.subarray(8));
    const at = sealPlace(operation, head);
    const own = new TextDecoder("latin1").decode(head.subarray(at, at + expected.length));
    if (own !== expected) {
      throw new Damage(name, pointer.sequence, `snapshot has the checksum ${own}, expected ${expected}`);
    }
    head.set(new TextEncoder().encode(UNSEALED), at);
    const hash = createHash("sha256"), slice = new Uint8Array(SLICE_BYTES);
    for (;;) {
      const count = await file.read(slice);
      if (count === null) break;
      hash.update(slice.subarray(0, count));
    }
    const found = createHash("sha256").update(head).update(hash.digest()).digest("hex");
    if (found === expected) return size;
    throw new Damage(
      name,
      pointer.sequence,
      `file is damaged: its bytes have the sha256 ${found}, expected ${expected}`,
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new Damage(name, pointer.sequence, MISSING);
    throw asDamage(error, name, pointer.sequence);
  }
}

/** What the reader of a file refuses, as damage of it. */
function asDamage(error: unknown, name: string, sequence: number): unknown {
  if (!(error instanceof AttentionError)) return error;
  return new Damage(name, sequence, error.message.slice(error.operation.length + 2));
}

/** Fills an array from a file; what it has not is left 0. */
async function fill(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const count = await file.read(bytes.subarray(at));
    if (count === null) return;
    at += count;
  }
}

/** Follows the chain of records from a snapshot on. */
export class Chain {
  place: Place;
  readonly #witness: Witness | null;
  readonly #start: number;
  #isWitnessed: boolean;

  constructor(start: Place, witness: Witness | null) {
    this.place = start;
    this.#start = start.sequence;
    this.#witness = witness;
    this.#isWitnessed = witness === null || witness.sequence <= start.sequence;
  }

  /** The next record. @throws {Damage} When it is not the one that was written behind the last one. */
  next({ sequence, body }: StoredBody): JournalRecord {
    const record = decodeRecord(body), { place } = this;
    if (typeof record === "string") throw new Damage(JOURNAL_FILE, sequence, record);
    if (record.last !== sequence) {
      throw new Damage(JOURNAL_FILE, sequence, `record ends with edit ${record.last}, expected ${sequence}`);
    }
    if (record.first !== place.sequence + 1) {
      const what = `record begins with edit ${record.first}, expected ${place.sequence + 1}`;
      throw new Damage(JOURNAL_FILE, sequence, what);
    }
    if (!isSameHash(record.previous, place.hash)) {
      const what = `record follows ${toHex(record.previous)}, expected ${toHex(place.hash)}`;
      throw new Damage(JOURNAL_FILE, sequence, what);
    }
    this.place = { sequence, hash: hashOf(body) };
    this.#checkWitness();
    return record;
  }

  /** There are no more records. @throws {Damage} When some are missing. */
  end(): { readonly unconfirmed: number; readonly lost: number } {
    const witness = this.#witness, { place } = this;
    if (!witness) return { unconfirmed: 0, lost: 0 };
    const missing = witness.sequence - place.sequence;
    if (missing <= 0) {
      const from = Math.max(witness.sequence, this.#start);
      return { unconfirmed: place.sequence - from, lost: 0 };
    }
    if (witness.sync === "normal") return { unconfirmed: 0, lost: missing };
    const what = `journal ends with edit ${place.sequence}, but ${HEAD_FILE} knows that edit ` +
      `${witness.sequence} was committed`;
    throw new Damage(JOURNAL_FILE, place.sequence + 1, what);
  }

  #checkWitness(): void {
    const witness = this.#witness, { place } = this;
    if (this.#isWitnessed || !witness || witness.sequence > place.sequence) return;
    this.#isWitnessed = true;
    if (witness.sequence === place.sequence && isSameHash(witness.hash, place.hash)) return;
    const what = `record of edit ${witness.sequence} is another one than ${HEAD_FILE} knows`;
    throw new Damage(JOURNAL_FILE, place.sequence, what);
  }
}

/** Replays a record. @throws {Damage} When it does not fit the rows. */
export function replay({ first, last, frames }: JournalRecord, image: Image): void {
  let count: number;
  try {
    count = visitFrames(frames, first, image);
  } catch (error) {
    if (error instanceof AttentionError) throw error;
    throw new Damage(
      JOURNAL_FILE,
      last,
      `record does not fit: ${error instanceof Error ? error.message : error}`,
    );
  }
  if (count === last - first + 1) return;
  throw new Damage(JOURNAL_FILE, last, `record has ${count} frames, expected ${last - first + 1}`);
}
