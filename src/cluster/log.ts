/**
 * The log of a cluster, as an interface: ordered records, small values that are compared and set, objects,
 * and requests from one process to another. `memoryLog`, `sqliteLog` and `natsLog` implement it.
 *
 * Invariant of hosts and clients, which are built on it: only the log orders. A record that is there twice is
 * recognised by its content (the client and the client's number), never by the log; a record that is gone is
 * noticed by other records and values that mention it, never by the log's numbers alone.
 */

import { AttentionError, describe, InputError } from "../base/errors.ts";
import { reading } from "../base/lists.ts";

/**
 * Why a log failed.
 *
 * - "timeout": no answer came in time. The call may have happened, or may happen later; ask again.
 * - "unreachable": nobody serves that address, or the server is away. An append that fails so has not
 *   happened yet, but asking again is right.
 * - "closed": the session was closed before the call, or by it.
 * - "refused": the log is weaker than asked for, a subject or key is not permitted or no name of one, or the
 *   message is too large. Nothing was written by the call. Asking again gives the same.
 * - "full": there is no room. Nothing was written.
 * - "damaged": what was kept is gone or altered.
 */
export type LogFailure = "timeout" | "unreachable" | "closed" | "refused" | "full" | "damaged";

/** A log failed; `reason` says how. */
export class LogError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "LogError";
  /** The kind of failure. */
  readonly reason: LogFailure;

  /** The message reads `operation: detail (reason)`. */
  constructor(operation: string, reason: LogFailure, detail: string, options?: ErrorOptions) {
    super(operation, `${detail} (${reason})`, options);
    this.reason = reason;
  }

  /** Whether the same call may succeed later: "timeout" and "unreachable". */
  get isPassing(): boolean {
    return this.reason === "timeout" || this.reason === "unreachable";
  }
}

/** A record of a subject. */
export interface LogRecord {
  /** Its number, greater than those of all records appended before it to the same subject; at least 1. */
  readonly sequence: number;
  /** Its content. Readers must not write to it; it keeps its bytes. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** A small value under a key. */
export interface LogValue {
  /** The key. */
  readonly key: string;
  /** Its content; null where a watch tells of its removal. */
  readonly value: Uint8Array<ArrayBuffer> | null;
  /** Greater than those of all earlier states of the key; at least 1. */
  readonly revision: number;
}

/** How long to wait, and until when. */
export interface LogWait {
  /** Milliseconds until {@link LogError} "timeout"; 5,000 unless given. */
  readonly timeoutMs?: number;
  /** The call rejects with the signal's reason when it is aborted. */
  readonly signal?: AbortSignal;
}

/** Where a log is kept. A session of it does the work. */
export interface ClusterLog {
  /**
   * The kind of log and its place, for messages and `status()`: "memory", "sqlite /data/log", "nats
   * 10.0.0.1:4222".
   */
  readonly description: string;
  /**
   * Opens a session. Each host and each client opens one and closes it.
   *
   * @param role "host" follows and purges subjects, appends nothing, writes values and objects, serves and
   * asks; "client" appends, reads values and objects, writes the value "config", and asks.
   * @throws {LogError} "refused" when the log is weaker than asked for, with what is missing; "unreachable".
   */
  open(role: LogRole): Promise<LogSession>;
}

/** The task of a session. */
export type LogRole = "host" | "client";

/**
 * A session of a log.
 *
 * Names of subjects, keys, objects and addresses are 1 to 200 characters of `A-Z a-z 0-9 _ - .`, not
 * beginning or ending with a dot and without two dots in a row; other names are refused with {@link LogError}
 * "refused". All methods reject with "closed" after `close`, also those in flight. No method keeps a
 * reference to bytes that it was given after its promise has settled.
 */
export interface LogSession extends AsyncDisposable {
  /** The largest body of a record, a request or a reply, in bytes; at least 512 KiB. */
  readonly largestMessage: number;

  /**
   * Appends a record. When the promise resolves, the record is kept as the log promises ("disk": synced), and
   * every session's `follow` gives it. The order of resolved appends is the order of their numbers: an append
   * that begins after another resolved gets the greater number, over all sessions.
   *
   * After "timeout" or "unreachable" the record may be there or come later, and appending it again may leave
   * it there twice.
   *
   * @param options `id`, which lets the log drop a record that it has seen lately under the same id; it then
   * gives the number of that one. It saves traffic and is no promise.
   * @returns The record's number.
   */
  append(subject: string, body: Uint8Array, options?: LogWait & { readonly id?: string }): Promise<number>;

  /**
   * The records of a subject with numbers above `after`, in order, in lists of at least one: those that are
   * there, then those that come, until the signal is aborted (then it ends without an error) or the session
   * is closed (then it throws "closed"). Each record comes once, none is left out that is there. It goes on
   * by itself over a reconnect. A list has no more than some 4 MiB that are not yet taken.
   */
  follow(
    subject: string,
    after: number,
    options?: { readonly signal?: AbortSignal },
  ): AsyncIterable<LogRecord[]>;

  /**
   * The number of the subject's newest record, 0 if it has none, over all sessions; it sees all appends that
   * resolved before the call.
   */
  lastSequence(subject: string, options?: LogWait): Promise<number>;

  /** Removes the records of a subject whose numbers are below `below`; others keep their numbers. */
  purge(subject: string, below: number, options?: LogWait): Promise<void>;

  /** The value of a key; null if it has none. It sees all writes that resolved before the call. */
  get(key: string, options?: LogWait): Promise<LogValue | null>;

  /** All values whose keys begin with `prefix`, ordered by key. */
  list(prefix: string, options?: LogWait): Promise<LogValue[]>;

  /**
   * Writes a value of at most 64 KiB.
   *
   * @param options `revision`, the one that the key must have now, 0 for no value; without it the write
   * always happens. `isVolatile`, that the value need not outlive the log's server: heartbeats. A key is
   * always written the same way.
   * @returns The new revision, or null if the key had another one and nothing was written. After "timeout" it
   * may have been written.
   */
  put(
    key: string,
    value: Uint8Array,
    options?: LogWait & { readonly revision?: number; readonly isVolatile?: boolean },
  ): Promise<number | null>;

  /** Removes a value; nothing happens if there is none. `isVolatile` as it was written. */
  remove(key: string, options?: LogWait & { readonly isVolatile?: boolean }): Promise<void>;

  /**
   * The values whose keys begin with `prefix`: those that are there, then every change, until the signal is
   * aborted (then it ends) or the session is closed (then it throws "closed"). Of quick changes of one key
   * only the last need come.
   */
  watch(prefix: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<LogValue>;

  /**
   * Keeps an object, of any size up to 1 GiB, under a name that has none; the same bytes again are no error.
   */
  putObject(name: string, bytes: Uint8Array, options?: LogWait): Promise<void>;

  /**
   * The object of a name, whole; null if there is none. "damaged" if its bytes are not those that were put.
   */
  getObject(name: string, options?: LogWait): Promise<Uint8Array<ArrayBuffer> | null>;

  /** The names of objects that begin with `prefix`, in order. */
  listObjects(prefix: string, options?: LogWait): Promise<string[]>;

  /** Removes an object; nothing happens if there is none. */
  removeObject(name: string, options?: LogWait): Promise<void>;

  /**
   * Asks the one process that serves `address`.
   *
   * @returns Its reply.
   * @throws {LogError} "unreachable" at once if nobody serves the address, as far as the log knows;
   * "timeout"; "refused" if the request, or the reply, is larger than `largestMessage`.
   */
  request(address: string, body: Uint8Array, options?: LogWait): Promise<Uint8Array<ArrayBuffer>>;

  /**
   * Answers requests to `address` until it is disposed. A handler may be called again before it has answered.
   * A handler that throws answers nothing, so that the one who asked runs into its time limit: it must not
   * throw.
   */
  serve(
    address: string,
    handler: (body: Uint8Array<ArrayBuffer>) => Promise<Uint8Array> | Uint8Array,
  ): Promise<AsyncDisposable>;

  /**
   * Facts for `status()`: version of the server, bytes kept, names of missing promises; whatever there is.
   */
  facts(): Promise<Readonly<Record<string, string | number>>>;

  /** Ends everything that the session does; a second call does nothing more. */
  close(): Promise<void>;
}

/** Throws where a log is none. */
export function checkLog(operation: string, log: unknown): void {
  const isLog = reading(operation, () => typeof (log as Partial<ClusterLog> | null)?.open === "function");
  if (isLog) return;
  throw new InputError(operation, `log is ${describe(log)}`, "memoryLog(), sqliteLog(folder) or natsLog(…)");
}

/** The longest name of a subject, key, object or address. */
const LONGEST_NAME = 200;
const NAME = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

/** Throws where a name is none that every log takes. */
export function checkLogName(operation: string, what: string, name: unknown): string {
  if (typeof name === "string" && name.length <= LONGEST_NAME && NAME.test(name)) return name;
  const shown = typeof name === "string" ? JSON.stringify(name.slice(0, LONGEST_NAME)) : typeof name;
  throw new LogError(
    operation,
    "refused",
    `${what} is ${shown}, expected 1 to ${LONGEST_NAME} letters, digits, "_", "-" and single dots between them`,
  );
}

/** The time that a call may take unless it says so. */
export const LOG_TIMEOUT_MS = 5000;
/** The largest value of a key. */
export const LARGEST_VALUE = 65_536;
/** Unread records that a `follow` may hold, in bytes. */
export const FOLLOWED_BYTES = 4 << 20;
