/**
 * The log of a cluster whose processes are on one machine: a folder with an SQLite file. It needs no server.
 */

import { setImmediate } from "node:timers";
import { crc32 } from "node:zlib";
import { describe, InputError } from "../../base/errors.ts";
import { Changes } from "../changes.ts";
import { fromHex, readJson, textIn, toHex, writeJson } from "../json_value.ts";
import {
  checkLogName,
  type ClusterLog,
  LARGEST_VALUE,
  LOG_TIMEOUT_MS,
  LogError,
  type LogRecord,
  type LogRole,
  type LogSession,
  type LogValue,
  type LogWait,
} from "../log.ts";
import { ExchangeClient, ExchangeServer, type Place } from "./exchange.ts";
import { type NewRecord, SqliteStore, toLogError } from "./store.ts";

const LARGEST_MESSAGE = 4 << 20;
/** How often the file is looked at for what other processes have committed. */
const LOOK_MS = 2;
const SERVED = "served.";

type Bytes = Uint8Array<ArrayBuffer>;

/** An append that waits for its transaction. */
interface Waiting extends NewRecord {
  readonly settle: PromiseWithResolvers<number>;
}

/**
 * A log in a folder of this machine, for a cluster of several processes on it. Records are on disk when `edit` resolves (SQLite in
 * WAL mode, `synchronous = FULL`); hosts answer over loopback, to those who can read the folder. The folder must be on a local
 * disk, since SQLite's locks do not hold on network drives.
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
  readonly #servers = new Map<string, ExchangeServer>();
  readonly #clients = new Map<string, Promise<ExchangeClient>>();
  readonly #busy = new Set<Promise<unknown>>();
  #store: SqliteStore;
  #waiting: Waiting[] = [];
  #readers = 0;
  #looking: ReturnType<typeof setInterval> | null = null;
  #version = 0;
  #lasts: ReadonlyMap<string, number> | null = null;

  constructor(folder: string, store: SqliteStore) {
    this.#folder = folder;
    this.#store = store;
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
    checkLogName("putObject", "name", name);
    const copy = bytes.slice(), crc = crc32(copy);
    await this.#working("putObject", async () => {
      const kept = this.#store.object(name);
      if (kept) {
        if (kept.crc === crc && kept.bytes === copy.length) return;
        throw new LogError(
          "putObject",
          "refused",
          `name ${name} has other bytes, expected a name without any`,
        );
      }
      const file = this.#file(name), fresh = `${file}.${crypto.randomUUID()}`;
      using handle = await Deno.open(fresh, { write: true, createNew: true });
      for (let at = 0; at < copy.length;) at += await handle.write(copy.subarray(at));
      await handle.sync();
      await Deno.rename(fresh, file);
      this.#store.addObject(name, copy.length, crc);
    });
  }

  async getObject(name: string, { signal }: LogWait = {}): Promise<Bytes | null> {
    this.#check("getObject", signal);
    checkLogName("getObject", "name", name);
    return await this.#working("getObject", async () => {
      const kept = this.#store.object(name);
      if (!kept) return null;
      const bytes = await this.#readFile(name);
      if (bytes !== null && bytes.length === kept.bytes && crc32(bytes) === kept.crc) return bytes;
      // It may have been removed meanwhile.
      if (this.#store.object(name) === null) return null;
      throw new LogError("getObject", "damaged", `object ${name} has not the bytes that were put`);
    });
  }

  async #readFile(name: string): Promise<Bytes | null> {
    try {
      return await Deno.readFile(this.#file(name));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  }

  async listObjects(prefix: string, { signal }: LogWait = {}): Promise<string[]> {
    return await this.#now("listObjects", signal, () => this.#store.objects(prefix));
  }

  async removeObject(name: string, { signal }: LogWait = {}): Promise<void> {
    this.#check("removeObject", signal);
    checkLogName("removeObject", "name", name);
    await this.#working("removeObject", async () => {
      if (!this.#store.object(name)) return;
      this.#store.removeObject(name);
      try {
        await Deno.remove(this.#file(name));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    });
  }

  async request(address: string, body: Uint8Array, options: LogWait = {}): Promise<Bytes> {
    const { timeoutMs = LOG_TIMEOUT_MS, signal } = options;
    this.#check("request", signal);
    checkLogName("request", "address", address);
    checkSize("request", "request", body.length, LARGEST_MESSAGE);
    const over = new AbortController(), end = () => over.abort(signal?.reason);
    const timer = setTimeout(
      () => over.abort(new LogError("request", "timeout", `no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const closed = () => over.abort(new LogError("request", "closed", "the session is closed"));
    signal?.addEventListener("abort", end);
    this.#closing.signal.addEventListener("abort", closed);
    try {
      const client = await this.#clientOf(address);
      return await client.ask(body, over.signal);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      this.#closing.signal.removeEventListener("abort", closed);
    }
  }

  async #clientOf(address: string): Promise<ExchangeClient> {
    const place = this.#placeOf(address), key = `${address} ${place.port} ${toHex(place.secret)}`;
    const known = this.#clients.get(key);
    if (known) {
      const client = await known;
      if (!client.isClosed) return client;
    }
    const fresh = ExchangeClient.connect(place, LARGEST_MESSAGE);
    this.#clients.set(key, fresh);
    try {
      return await fresh;
    } catch (error) {
      this.#clients.delete(key);
      throw error;
    }
  }

  #placeOf(address: string): Place {
    const kept = this.#do("request", () => this.#store.get(SERVED + address));
    if (!kept?.value) throw new LogError("request", "unreachable", `nobody serves ${address}`);
    const json = readJson("request", SERVED + address, kept.value),
      secret = fromHex(textIn(json, "secret"), 32);
    const { port } = json;
    if (typeof port === "number" && secret !== null) return { port, secret };
    throw new LogError("request", "damaged", `the place of ${address} is none`);
  }

  async serve(
    address: string,
    handler: (body: Bytes) => Promise<Uint8Array> | Uint8Array,
  ): Promise<AsyncDisposable> {
    this.#check("serve");
    checkLogName("serve", "address", address);
    if (this.#servers.has(address) || await this.#isServed(address)) {
      throw new LogError("serve", "refused", `address ${address} is served, expected one that nobody serves`);
    }
    const server = new ExchangeServer(LARGEST_MESSAGE, (body) => {
      // A question often is about a record that was committed just before.
      if (this.#readers > 0 && !this.#closing.signal.aborted) this.#lookOnce();
      return handler(body);
    });
    const { port, secret } = server.place;
    this.#servers.set(address, server);
    try {
      await this.put(SERVED + address, writeJson({ port, secret: toHex(secret) }));
    } catch (error) {
      this.#servers.delete(address);
      server.close();
      throw error;
    }
    return {
      [Symbol.asyncDispose]: async () => {
        if (!this.#servers.delete(address)) return;
        server.close();
        if (!this.#closing.signal.aborted) await this.remove(SERVED + address);
      },
    };
  }

  /** Whether somebody listens at the place of an address; a process that was killed has left its place there. */
  async #isServed(address: string): Promise<boolean> {
    try {
      await this.#clientOf(address);
      return true;
    } catch (error) {
      if (error instanceof LogError && error.reason === "unreachable") return false;
      throw error;
    }
  }

  async facts(): Promise<Readonly<Record<string, string | number>>> {
    return await this.#now("facts", undefined, () => ({ ...this.#store.sizes(), folder: this.#folder }));
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    for (const [address, server] of this.#servers) {
      server.close();
      try {
        this.#store.put(SERVED + address, null, undefined);
      } catch {
        // Who asks finds that nobody listens.
      }
    }
    this.#closing.abort();
    this.#changes.close();
    if (this.#looking !== null) clearInterval(this.#looking);
    for (const { settle } of this.#waiting) {
      settle.reject(new LogError("append", "closed", "the session is closed"));
    }
    this.#waiting = [];
    for (const client of this.#clients.values()) client.then((one) => one.close(), () => {});
    await Promise.allSettled([...this.#busy, ...this.#clients.values()]);
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

  /** The newest record of a subject as of the last change, which all followers share. */
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
      // Who reads next finds out what is wrong.
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

  /** Something that takes a while, for which `close` waits. */
  async #working<T>(operation: string, act: () => Promise<T>): Promise<T> {
    const work = act();
    this.#busy.add(work);
    try {
      return await work;
    } catch (error) {
      throw toLogError(operation, error);
    } finally {
      this.#busy.delete(work);
    }
  }

  #check(operation: string, signal?: AbortSignal): void {
    signal?.throwIfAborted();
    if (this.#closing.signal.aborted) throw new LogError(operation, "closed", "the session is closed");
  }

  #file(name: string): string {
    return `${this.#folder}/objects/${name}`;
  }
}

function checkSize(operation: string, what: string, size: number, most: number): void {
  if (size <= most) return;
  throw new LogError(operation, "refused", `${what} has ${size} bytes, expected ${most} at most`);
}
