/**
 * The SQLite file of a log, `log.db`, which all processes of a machine open.
 *
 *     record(sequence, subject, id, body) sequences are never given twice, also not after a purge; id is the appender's
 *     last(subject, sequence)             the newest record ever of a subject
 *     value(key, value, revision, crc)    value is NULL once it was removed
 *     object(name, bytes, crc)            the bytes are a file in `objects/`
 *     counter(name, number)               the newest revision
 *
 * `application_id` is "ATTC". WAL and `synchronous = FULL`: a commit is on disk when it returns. Records
 * carry their own CRC-32 (see `batch.ts`), since SQLite notices no flipped bit in a blob.
 */

import { crc32 } from "node:zlib";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { FOLLOWED_BYTES, LogError, type LogFailure, type LogRecord, type LogValue } from "../log.ts";

const FILE = "log.db", MARKER = "cluster-log";
const APPLICATION = 0x41545443, VERSION = 1;
/** How long a transaction waits for that of another process. */
const WAIT_MS = 4000;
const FOLLOWED_ROWS = 1024;

/** The codes of SQLite that tell failures apart. */
const BUSY = 5, CORRUPT = 11, FULL = 13, READ_ONLY = 14, NOT_A_DATABASE = 26;

type Bytes = Uint8Array<ArrayBuffer>;

/** A record that is to be appended. */
export interface NewRecord {
  readonly subject: string;
  readonly id: string | null;
  readonly body: Uint8Array;
}

/** One connection. */
export class SqliteStore {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Opens the file of a folder, or makes one. */
  static async open(folder: string): Promise<SqliteStore> {
    try {
      await Deno.mkdir(`${folder}/objects`, { recursive: true });
      const isMade = await exists(`${folder}/${MARKER}`);
      const store = new SqliteStore(new DatabaseSync(`${folder}/${FILE}`, { timeout: WAIT_MS }));
      try {
        store.#begin(folder, isMade);
      } catch (error) {
        store.close();
        throw error;
      }
      if (!isMade) await Deno.writeTextFile(`${folder}/${MARKER}`, "A log of @attune/attention/cluster.\n");
      return store;
    } catch (error) {
      throw toLogError("open", error);
    }
  }

  #begin(folder: string, isMade: boolean): void {
    const number = (name: string) => Number(this.#get(`PRAGMA ${name}`)?.[name] ?? 0);
    this.#get("PRAGMA journal_mode = WAL");
    this.#run("PRAGMA synchronous = FULL");
    if (number("application_id") === APPLICATION) {
      const version = number("user_version");
      if (version === VERSION) return;
      throw new LogError("open", "refused", `${folder} has version ${version}, expected ${VERSION}`);
    }
    this.transact(() => {
      // Another process may have made the tables meanwhile.
      if (number("application_id") === APPLICATION) return;
      const tables = Number(this.#get("SELECT count(*) AS count FROM sqlite_schema")?.["count"] ?? 0);
      if (number("application_id") !== 0 || tables > 0) {
        throw new LogError("open", "refused", `${folder}/${FILE} is another program's`);
      }
      if (isMade) throw new LogError("open", "damaged", `${folder}/${FILE} is empty, but had a log`);
      this.#run(
        "CREATE TABLE record(sequence INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, id TEXT, body BLOB NOT NULL)",
      );
      this.#run("CREATE UNIQUE INDEX record_id ON record(subject, id) WHERE id IS NOT NULL");
      this.#run("CREATE INDEX record_subject ON record(subject, sequence)");
      this.#run("CREATE TABLE last(subject TEXT PRIMARY KEY, sequence INTEGER NOT NULL)");
      this.#run(
        "CREATE TABLE value(key TEXT PRIMARY KEY, value BLOB, revision INTEGER NOT NULL, crc INTEGER NOT NULL)",
      );
      this.#run("CREATE TABLE object(name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, crc INTEGER NOT NULL)");
      this.#run("CREATE TABLE counter(name TEXT PRIMARY KEY, number INTEGER NOT NULL)");
      this.#run("INSERT INTO counter VALUES ('revision', 0)");
      this.#run(`PRAGMA user_version = ${VERSION}`);
      this.#run(`PRAGMA application_id = ${APPLICATION}`);
    });
  }

  /** A number that changes when another connection has committed something. */
  version(): number {
    return Number(this.#get("PRAGMA data_version")?.["data_version"] ?? 0);
  }

  /** Runs `write` as one transaction. */
  transact<T>(write: () => T): T {
    this.#run("BEGIN IMMEDIATE");
    try {
      const result = write();
      this.#run("COMMIT");
      return result;
    } catch (error) {
      try {
        this.#run("ROLLBACK");
      } catch {
        // SQLite has rolled back by itself.
      }
      throw error;
    }
  }

  /** Appends records in one transaction; returns their numbers. */
  append(records: readonly NewRecord[]): number[] {
    return this.transact(() =>
      records.map(({ subject, id, body }) => {
        if (id !== null) {
          const known = this.#prepared("SELECT sequence FROM record WHERE subject = ? AND id = ?").get(
            subject,
            id,
          );
          if (known) return Number(known["sequence"]);
        }
        const { lastInsertRowid } = this.#prepared("INSERT INTO record(subject, id, body) VALUES (?, ?, ?)")
          .run(subject, id, body);
        const sequence = Number(lastInsertRowid);
        this.#prepared(
          "INSERT INTO last VALUES (?, ?) ON CONFLICT(subject) DO UPDATE SET sequence = excluded.sequence",
        )
          .run(subject, sequence);
        return sequence;
      })
    );
  }

  /** Records of a subject with numbers above `after`, as many as a reader may hold. */
  recordsAfter(subject: string, after: number): LogRecord[] {
    const text =
      "SELECT sequence, body FROM record WHERE subject = ? AND sequence > ? ORDER BY sequence LIMIT ?";
    const found: LogRecord[] = [];
    let bytes = 0;
    for (const row of this.#prepared(text).iterate(subject, after, FOLLOWED_ROWS)) {
      const body = toBytes(row["body"]) ?? new Uint8Array(0);
      found.push({ sequence: Number(row["sequence"]), body });
      if ((bytes += body.length) > FOLLOWED_BYTES) break;
    }
    return found;
  }

  /** The number of the newest record ever. */
  lastSequence(subject: string): number {
    return Number(
      this.#prepared("SELECT sequence FROM last WHERE subject = ?").get(subject)?.["sequence"] ?? 0,
    );
  }

  /** The number of the newest record ever of each subject. */
  lastSequences(): Map<string, number> {
    const rows = this.#prepared("SELECT subject, sequence FROM last").all();
    return new Map(rows.map((row) => [String(row["subject"]), Number(row["sequence"])]));
  }

  /** Removes records below a number. */
  purge(subject: string, below: number): void {
    this.transact(() => {
      this.#prepared("DELETE FROM record WHERE subject = ? AND sequence < ?").run(subject, below);
    });
  }

  /** A value; null if there is none. */
  get(key: string): LogValue | null {
    const row = this.#prepared(
      "SELECT key, value, revision, crc FROM value WHERE key = ? AND value IS NOT NULL",
    ).get(key);
    return row ? toValue("get", row) : null;
  }

  /** Values whose keys begin with a prefix, by key. */
  list(prefix: string): LogValue[] {
    const text =
      "SELECT key, value, revision, crc FROM value WHERE substr(key, 1, ?) = ? AND value IS NOT NULL ORDER BY key";
    return this.#prepared(text).all(prefix.length, prefix).map((row) => toValue("list", row));
  }

  /** Values with a later revision, removed ones, too, in the order of their revisions. */
  valuesAfter(prefix: string, revision: number): LogValue[] {
    const text =
      "SELECT key, value, revision, crc FROM value WHERE substr(key, 1, ?) = ? AND revision > ? ORDER BY revision";
    return this.#prepared(text).all(prefix.length, prefix, revision).map((row) => toValue("watch", row));
  }

  /** Writes a value, or removes it, if its revision is that; null if it is not. */
  put(key: string, value: Uint8Array | null, expected: number | undefined): number | null {
    return this.transact(() => {
      const row = this.#prepared("SELECT revision, value IS NULL AS gone FROM value WHERE key = ?").get(key);
      const now = row && Number(row["gone"]) === 0 ? Number(row["revision"]) : 0;
      if (expected !== undefined && expected !== now) return null;
      if (value === null && now === 0) return 0;
      this.#run("UPDATE counter SET number = number + 1 WHERE name = 'revision'");
      const revision = Number(this.#get("SELECT number FROM counter WHERE name = 'revision'")?.["number"]);
      this.#prepared(
        "INSERT INTO value VALUES (?, ?, ?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value, " +
          "revision = excluded.revision, crc = excluded.crc",
      ).run(key, value, revision, value === null ? 0 : crc32(value));
      return revision;
    });
  }

  /** Size and checksum of an object; null if there is none. */
  object(name: string): { readonly bytes: number; readonly crc: number } | null {
    const row = this.#prepared("SELECT bytes, crc FROM object WHERE name = ?").get(name);
    return row ? { bytes: Number(row["bytes"]), crc: Number(row["crc"]) } : null;
  }

  /** Notes an object whose file is there. */
  addObject(name: string, bytes: number, crc: number): void {
    this.transact(() => {
      this.#prepared("INSERT OR IGNORE INTO object VALUES (?, ?, ?)").run(name, bytes, crc);
    });
  }

  /** Forgets an object. */
  removeObject(name: string): void {
    this.transact(() => {
      this.#prepared("DELETE FROM object WHERE name = ?").run(name);
    });
  }

  /** Names of objects that begin with a prefix, in order. */
  objects(prefix: string): string[] {
    const rows = this.#prepared("SELECT name FROM object WHERE substr(name, 1, ?) = ? ORDER BY name")
      .all(prefix.length, prefix);
    return rows.map((row) => String(row["name"]));
  }

  /** Records and their bytes. */
  sizes(): { readonly records: number; readonly bytes: number } {
    const row = this.#get("SELECT count(*) AS records, coalesce(sum(length(body)), 0) AS bytes FROM record");
    return { records: Number(row?.["records"] ?? 0), bytes: Number(row?.["bytes"] ?? 0) };
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #run(text: string): void {
    // The statement is prepared, since only then do errors carry SQLite's code.
    this.#database.prepare(text).run();
  }

  #get(text: string): Record<string, unknown> | undefined {
    return this.#prepared(text).get();
  }

  #prepared(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, statement = this.#database.prepare(text));
    return statement;
  }
}

/** An error of SQLite or of the system, as an error of the log. */
export function toLogError(operation: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof LogError) return error;
  if (error instanceof Deno.errors.NotCapable) return error;
  const isSqlite = "code" in error && error.code === "ERR_SQLITE_ERROR";
  const code = isSqlite && "errcode" in error ? Number(error.errcode) & 0xff : 0;
  return new LogError(operation, isSqlite ? reasonOf(code) : "unreachable", error.message, { cause: error });
}

function reasonOf(code: number): LogFailure {
  if (code === CORRUPT || code === NOT_A_DATABASE) return "damaged";
  if (code === FULL) return "full";
  if (code === READ_ONLY) return "refused";
  // A commit that failed for another reason may have happened; one that found the file busy has not.
  return code === BUSY ? "unreachable" : "timeout";
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function toBytes(value: unknown): Bytes | null {
  return value instanceof Uint8Array
    ? new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.length)
    : null;
}

function toValue(operation: string, row: Record<string, unknown>): LogValue {
  const key = String(row["key"]), value = toBytes(row["value"]), revision = Number(row["revision"]);
  if (value !== null && crc32(value) !== Number(row["crc"])) {
    throw new LogError(operation, "damaged", `value ${key} has another checksum than its bytes`);
  }
  return { key, value, revision };
}
