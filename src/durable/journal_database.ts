/**
 * The SQLite file of a durable folder, `journal.db`: its records and its pointers to snapshots.
 *
 *     record(sequence INTEGER PRIMARY KEY, body BLOB)      sequence is that of the record's last edit; body, see `record.ts`
 *     snapshot(sequence INTEGER PRIMARY KEY, body BLOB)    see `pointer.ts`
 *
 * `application_id` is "ATTU", `user_version` the version of the format. WAL, so that somebody may look while the owner
 * writes; `synchronous` is FULL unless the caller asks for less.
 */

import { DatabaseSync, type StatementSync } from "node:sqlite";

export const JOURNAL_FILE = "journal.db", LOG_FILE = "journal.db-wal";
export const FORMAT_VERSION = 3, OLDEST_VERSION = 1;
const APPLICATION = 0x41545455;
/** How long a statement waits for another process that looks at this moment. */
const WAIT_MS = 2000;
/** Pages of the write-ahead log after which SQLite moves them to the file, which stops the loop meanwhile. */
const CHECKPOINT_PAGES = 1000;

/** Whether a commit waits until it is on disk, or only a checkpoint does. */
export type SyncMode = "full" | "normal";

/** A row of either table. */
export interface StoredBody {
  readonly sequence: number;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** What the file is, as far as its header says. */
export type DatabaseKind = "empty" | "journal" | "other";

/** One connection. */
export class JournalDatabase {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #sync: SyncMode;

  /** Opens the file, or makes one. */
  constructor(path: string, options: { readonly readOnly: boolean; readonly sync?: SyncMode }) {
    const { readOnly, sync = "full" } = options;
    this.#sync = sync;
    this.#database = new DatabaseSync(path, { readOnly, timeout: WAIT_MS });
    try {
      if (readOnly) return;
      // Free pages can be given back without VACUUM, which needs more than permission for the folder.
      if (this.identify().kind === "empty") this.#run("PRAGMA auto_vacuum = INCREMENTAL");
      this.#run("PRAGMA journal_mode = WAL");
      this.#run(`PRAGMA synchronous = ${sync === "full" ? "FULL" : "NORMAL"}`);
      this.#run(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** What is in it, and of which version. */
  identify(): { readonly kind: DatabaseKind; readonly version: number } {
    const application = this.#number("PRAGMA application_id", "application_id");
    const version = this.#number("PRAGMA user_version", "user_version");
    const tables = this.#number("SELECT count(*) AS count FROM sqlite_schema", "count");
    if (application === APPLICATION) return { kind: "journal", version };
    return { kind: application === 0 && version === 0 && tables === 0 ? "empty" : "other", version };
  }

  /** Makes the tables, with the pointer to the first snapshot, in one transaction. */
  create(pointer: StoredBody, version = FORMAT_VERSION): void {
    this.transact(() => {
      this.#run("CREATE TABLE record(sequence INTEGER PRIMARY KEY, body BLOB NOT NULL)");
      this.#run("CREATE TABLE snapshot(sequence INTEGER PRIMARY KEY, body BLOB NOT NULL)");
      this.addPointer(pointer);
      this.setVersion(version);
      this.#run(`PRAGMA application_id = ${APPLICATION}`);
    });
  }

  /** What is written from now on may be of the present version, which older libraries then refuse to read. */
  upgrade(): void {
    if (this.identify().version === FORMAT_VERSION) return;
    this.transactToDisk(() => this.setVersion(FORMAT_VERSION));
  }

  /** In a transaction. */
  setVersion(version: number): void {
    this.#run(`PRAGMA user_version = ${version}`);
  }

  /** Runs `write` as one transaction. After a throw nobody knows what became of it: the connection is good for nothing more. */
  transact(write: () => void): void {
    this.#run("BEGIN IMMEDIATE");
    write();
    this.#run("COMMIT");
  }

  /** What `look` sees is of one moment. */
  async look<T>(look: () => Promise<T>): Promise<T> {
    this.#run("BEGIN");
    try {
      return await look();
    } finally {
      this.#run("COMMIT");
    }
  }

  addRecord({ sequence, body }: StoredBody): void {
    this.#prepared("INSERT INTO record VALUES (?, ?)").run(sequence, body);
  }

  /** Adds a pointer, in the place of one to a damaged snapshot of the same edit. */
  addPointer({ sequence, body }: StoredBody): void {
    this.#prepared("INSERT OR REPLACE INTO snapshot VALUES (?, ?)").run(sequence, body);
  }

  /** Pointers to snapshots, the newest first. */
  pointers(): StoredBody[] {
    return toBodies(this.#prepared("SELECT sequence, body FROM snapshot ORDER BY sequence DESC").all());
  }

  removePointersBefore(sequence: number): void {
    this.#prepared("DELETE FROM snapshot WHERE sequence < ?").run(sequence);
  }

  /** At most `count` records behind `sequence`, in their order. */
  recordsAfter(sequence: number, count: number): StoredBody[] {
    const text = "SELECT sequence, body FROM record WHERE sequence > ? ORDER BY sequence LIMIT ?";
    return toBodies(this.#prepared(text).all(sequence, count));
  }

  /** Removes the oldest records up to `sequence`, at most `count` and about `bytes` of them; whether there are more. */
  removeRecords(sequence: number, count: number, bytes: number): boolean {
    const text =
      "SELECT sequence, length(body) AS size FROM record WHERE sequence <= ? ORDER BY sequence LIMIT ?";
    const rows = this.#prepared(text).all(sequence, count);
    let size = 0, removed = 0;
    while (removed < rows.length && size < bytes) size += Number(rows[removed++]["size"]);
    if (removed === 0) return false;
    this.#prepared("DELETE FROM record WHERE sequence <= ?").run(Number(rows[removed - 1]["sequence"]));
    return removed < rows.length || rows.length === count;
  }

  /** Records, and their bytes, behind `sequence`. */
  sizeAfter(sequence: number): { readonly records: number; readonly bytes: number } {
    const text =
      "SELECT count(*) AS records, coalesce(sum(length(body)), 0) AS bytes FROM record WHERE sequence > ?";
    const row = this.#prepared(text).get(sequence);
    return { records: Number(row?.["records"] ?? 0), bytes: Number(row?.["bytes"] ?? 0) };
  }

  /** What SQLite itself finds wrong with the file. */
  integrity(): string[] {
    const rows = this.#prepared("PRAGMA integrity_check").all();
    return rows.map((row) => String(row["integrity_check"])).filter((line) => line !== "ok");
  }

  /** Runs a transaction that is on disk, with all before it, when the call returns, whatever the mode. */
  transactToDisk(run: () => void): void {
    if (this.#sync === "full") return this.transact(run);
    this.#run("PRAGMA synchronous = FULL");
    this.transact(run);
    this.#run("PRAGMA synchronous = NORMAL");
  }

  /** Moves the write-ahead log to the file and empties it; false where somebody who looks still needs it. */
  checkpoint(): boolean {
    return Number(this.#prepared("PRAGMA wal_checkpoint(TRUNCATE)").get()?.["busy"] ?? 0) === 0;
  }

  /** Gives back the file's free pages. */
  giveBackPages(): void {
    this.#run("PRAGMA incremental_vacuum");
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #number(text: string, column: string): number {
    return Number(this.#prepared(text).get()?.[column] ?? 0);
  }

  /** Prepared, since only a statement's errors have the code of SQLite. */
  #run(text: string): void {
    this.#database.prepare(text).all();
  }

  #prepared(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, statement = this.#database.prepare(text));
    return statement;
  }
}

/** The code of SQLite in an error of it, and its words; null for another error. */
export function sqliteFault(error: unknown): { readonly code: number; readonly words: string } | null {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "ERR_SQLITE_ERROR") return null;
  return { code: "errcode" in error ? Number(error.errcode) : 0, words: error.message };
}

function toBodies(rows: readonly Record<string, unknown>[]): StoredBody[] {
  return rows.map(({ sequence, body }) => ({
    sequence: Number(sequence),
    // A flipped bit may have turned it into text or a number, and then it is no record.
    body: body instanceof Uint8Array
      ? new Uint8Array(body.buffer as ArrayBuffer, body.byteOffset, body.length)
      : NOTHING,
  }));
}

const NOTHING = new Uint8Array(0);
