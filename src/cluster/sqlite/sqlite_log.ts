/**
 * The log of a cluster whose processes are on one machine: a folder with an SQLite file. It needs no server.
 */

import { setImmediate } from "node:timers";
import { describe, InputError } from "../../base/errors.ts";
import { Changes } from "../changes.ts";
import {
  checkLogName,
  type ClusterLog,
  LARGEST_VALUE,
  LogError,
  type LogRecord,
  type LogRole,
  type LogSession,
  type LogValue,
  type LogWait,
} from "../log.ts";
import { ObjectFiles } from "./objects.ts";
import { SqliteRequests } from "./requests.ts";
import { type NewRecord, SqliteStore, toLogError } from "./store.ts";

const LARGEST_MESSAGE = 4 << 20;
/** How often the file is looked at for what other processes have committed. */
const LOOK_MS = 2;

type Bytes = Uint8Array<ArrayBuffer>;

/** An append that waits for its transaction. */
interface Waiting extends NewRecord {
  readonly settle: PromiseWithResolvers<number>;
}

/**
 * A log in a folder of this machine, for a cluster of several processes on it. Records are on disk when
 * `edit` resolves (SQLite in WAL mode, `synchronous = FULL`); hosts answer over loopback, to those who can
 * read the folder. The folder must be on a local disk, since SQLite's locks do not hold on network drives.
 *
 * It needs the permissions `--allow-read` and `--allow-write` for the folder and `--allow-net=127.0.0.1`.
 *
 * @param folder The path of the folder, which is made if it is not there.
 *
 * @example
 * ```ts
 * import { connect, host, sqliteLog } from "@attune/attention/cluster";
 * import { assertEquals } from "@std/assert";
 *
 * const log = sqliteLog(await Deno.makeTempDir());
 * await using _host = await host(log); // or in as many other processes
 * await using memory = await connect(log, { create: { dim: 1, valueDim: 1, partitions: 2 } });
 * await memory.edit([{ kind: "set", id: "a", key: [0], value: [7] }]); // on disk
 * await memory.setQuery("q", [1]);
 * assertEquals([...(await memory.read(["q"])).output.data], [7]);
 * ```
 */
export function sqliteLog(folder: string): ClusterLog {
  if (typeof folder !== "string" || folder === "") {
    throw new InputError("sqliteLog", `folder is ${describe(folder)}`, "the path of a folder");
  }
  return {
    description: `sqlite ${folder}`,
    open: async (_role: LogRole) => new SqliteSession(folder, await SqliteStore.open(folder)),
  };
}

class SqliteSession implements LogSession {
  readonly largestMessage = LARGEST_MESSAGE;
  readonly #folder: string;
  readonly #closing = new AbortController();
  readonly #changes = new Changes();
  readonly #store: SqliteStore;
  readonly #objects: ObjectFiles;
  readonly #requests: SqliteRequests;
  #waiting: Waiting[] = [];
  #readers = 0;
  #looking: ReturnType<typeof setInterval> | null = null;
  #version = 0;
  #lasts: ReadonlyMap<string, number> | null = null;

  constructor(folder: string, store: SqliteStore) {
    this.#folder = folder;
    this.#store = store;
    this.#objects = new ObjectFiles(folder, store);
    this.#requests = new SqliteRequests(store, LARGEST_MESSAGE, this.#closing.signal, () => this.#tell());
  }

  append(
    subject: string,
    body: Uint8Array,
    { signal, id }: LogWait & { readonly id?: string } = {},
  ): Promise<number> {
    const settle = Promise.withResolvers<number>();
    try {
      this.#check("append", signal);
      checkLogName("append", "subject", subject);
      checkSize("append", "record", body.length, LARGEST_MESSAGE);
      // Appends of one turn share a transaction, and so one wait for the disk.
      if (this.#waiting.length === 0) setImmediate(() => this.#commit());
      this.#waiting.push({ subject, id: id ?? null, body, settle });
    } catch (error) {
      settle.reject(error);
    }
    return settle.promise;
  }

  #commit(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      this.#check("append");
      const sequences = this.#store.append(waiting);
      waiting.forEach(({ settle }, at) => settle.resolve(sequences[at]));
      this.#tell();
    } catch (error) {
      const failure = toLogError("append", error);
      for (const { settle } of waiting) settle.reject(failure);
    }
  }

  async *follow(
    subject: string,
    after: number,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LogRecord[]> {
    checkLogName("follow", "subject", subject);
    let at = after;
    for await (const _ of this.#turns("follow", options.signal)) {
      while (this.#lastOf(subject) > at) {
        const found = this.#do("follow", () => this.#store.recordsAfter(subject, at));
        if (found.length === 0) break;
        at = found[found.length - 1].sequence;
        yield found;
        this.#check("follow");
        if (options.signal?.aborted) return;
      }
    }
  }

  async lastSequence(subject: string, { signal }: LogWait = {}): Promise<number> {
    return await this.#now("lastSequence", signal, () => {
      return this.#store.lastSequence(checkLogName("lastSequence", "subject", subject));
    });
  }

  async purge(subject: string, below: number, { signal }: LogWait = {}): Promise<void> {
    await this.#now(
      "purge",
      signal,
      () => this.#store.purge(checkLogName("purge", "subject", subject), below),
    );
  }

  async get(key: string, { signal }: LogWait = {}): Promise<LogValue | null> {
    return await this.#now("get", signal, () => this.#store.get(checkLogName("get", "key", key)));
  }

  async list(prefix: string, { signal }: LogWait = {}): Promise<LogValue[]> {
    return await this.#now("list", signal, () => this.#store.list(prefix));
  }

  async put(
    key: string,
    value: Uint8Array,
    { revision, signal }: LogWait & { readonly revision?: number } = {},
  ): Promise<number | null> {
    return await this.#now("put", signal, () => {
      checkSize("put", "value", value.length, LARGEST_VALUE);
      const written = this.#store.put(checkLogName("put", "key", key), value, revision);
      this.#tell();
      return written;
    });
  }

  async remove(key: string, { signal }: LogWait = {}): Promise<void> {
    await this.#now("remove", signal, () => {
      this.#store.put(checkLogName("remove", "key", key), null, undefined);
      this.#tell();
    });
  }

  async *watch(prefix: string, options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<LogValue> {
    let seen = 0, isFirst = true;
    for await (const _ of this.#turns("watch", options.signal)) {
      const found = this.#do("watch", () => this.#store.valuesAfter(prefix, seen));
      for (const value of found) {
        seen = value.revision;
        if (isFirst && value.value === null) continue;
        yield value;
        this.#check("watch");
        if (options.signal?.aborted) return;
      }
      isFirst = false;
    }
  }

  async putObject(name: string, bytes: Uint8Array, { signal }: LogWait = {}): Promise<void> {
    this.#check("putObject", signal);
    await this.#objects.put(checkLogName("putObject", "name", name), bytes);
  }

  async getObject(name: string, { signal }: LogWait = {}): Promise<Bytes | null> {
    this.#check("getObject", signal);
    return await this.#objects.get(checkLogName("getObject", "name", name));
  }

  async listObjects(prefix: string, { signal }: LogWait = {}): Promise<string[]> {
    return await this.#now("listObjects", signal, () => this.#store.objects(prefix));
  }

  async removeObject(name: string, { signal }: LogWait = {}): Promise<void> {
    this.#check("removeObject", signal);
    await this.#objects.remove(checkLogName("removeObject", "name", name));
  }

  async request(address: string, body: Uint8Array, options: LogWait = {}): Promise<Bytes> {
    this.#check("request", options.signal);
    checkLogName("request", "address", address);
    checkSize("request", "request", body.length, LARGEST_MESSAGE);
    return await this.#requests.request(address, body, options);
  }

  async serve(
    address: string,
    handler: (body: Bytes) => Promise<Uint8Array> | Uint8Array,
  ): Promise<AsyncDisposable> {
    this.#check("serve");
    return await this.#requests.serve(checkLogName("serve", "address", address), (body) => {
      // A question often is about a record that was committed just before.
      if (this.#readers > 0 && !this.#closing.signal.aborted) this.#lookOnce();
      return handler(body);
    });
  }

  async facts(): Promise<Readonly<Record<string, string | number>>> {
    return await this.#now("facts", undefined, () => ({ ...this.#store.sizes(), folder: this.#folder }));
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#requests.endServing();
    this.#closing.abort();
    this.#changes.close();
    if (this.#looking !== null) clearInterval(this.#looking);
    for (const { settle } of this.#waiting) {
      settle.reject(new LogError("append", "closed", "the session is closed"));
    }
    this.#waiting = [];
    await Promise.all([this.#requests.endAsking(), this.#objects.whenIdle()]);
    this.#store.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A turn at once, and one after every change, until the signal is aborted. */
  async *#turns(operation: string, signal: AbortSignal | undefined): AsyncGenerator<void> {
    this.#check(operation);
    if (this.#readers++ === 0) this.#look();
    this.#lasts = null;
    try {
      while (!signal?.aborted) {
        // Changes that come while the turn is taken are for the next one.
        const next = new AbortController();
        const change = this.#changes.next(signal ? AbortSignal.any([signal, next.signal]) : next.signal);
        try {
          yield;
          await change;
        } finally {
          next.abort();
        }
        this.#check(operation);
      }
    } finally {
      if (--this.#readers === 0 && this.#looking !== null) {
        clearInterval(this.#looking);
        this.#looking = null;
      }
    }
  }

  /** The newest record of a subject, as it was looked up after the last change for all followers together. */
  #lastOf(subject: string): number {
    if (this.#lasts === null) {
      this.#lasts = this.#do("follow", () => this.#store.lastSequences());
    }
    return this.#lasts.get(subject) ?? 0;
  }

  /** Tells all who follow and watch that something was committed. */
  #tell(): void {
    this.#lasts = null;
    this.#changes.tell();
  }

  /** Looks for what other connections have committed, again and again. */
  #look(): void {
    this.#looking = setInterval(() => this.#lookOnce(), LOOK_MS);
  }

  #lookOnce(): void {
    try {
      const version = this.#store.version();
      if (version === this.#version) return;
      this.#version = version;
    } catch {
      // The next read throws the error.
    }
    this.#tell();
  }

  async #now<T>(operation: string, signal: AbortSignal | undefined, act: () => T): Promise<T> {
    this.#check(operation, signal);
    await null;
    this.#check(operation, signal);
    return this.#do(operation, act);
  }

  #do<T>(operation: string, act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw toLogError(operation, error);
    }
  }

  #check(operation: string, signal?: AbortSignal): void {
    signal?.throwIfAborted();
    if (this.#closing.signal.aborted) throw new LogError(operation, "closed", "the session is closed");
  }
}

function checkSize(operation: string, what: string, size: number, most: number): void {
  if (size <= most) return;
  throw new LogError(operation, "refused", `${what} has ${size} bytes, expected ${most} at most`);
}
