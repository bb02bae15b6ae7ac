/**
 * The log of a cluster whose hosts and clients are in one process: nothing outlives it.
 */

import { Changes } from "./changes.ts";
import {
  checkLogName,
  type ClusterLog,
  FOLLOWED_BYTES,
  LARGEST_VALUE,
  LOG_TIMEOUT_MS,
  LogError,
  type LogRecord,
  type LogRole,
  type LogSession,
  type LogValue,
  type LogWait,
} from "./log.ts";

const LARGEST_MESSAGE = 1 << 20;
/** Ids of records that are remembered. */
const REMEMBERED = 1024;

type Bytes = Uint8Array<ArrayBuffer>;
type Handler = (body: Bytes) => Promise<Uint8Array> | Uint8Array;

/** Records of a subject. */
interface Subject {
  readonly records: LogRecord[];
  last: number;
}

/** The contents of a log, which all of its sessions share. */
class MemoryStore {
  readonly subjects = new Map<string, Subject>();
  readonly values = new Map<string, LogValue>();
  readonly objects = new Map<string, Bytes>();
  readonly handlers = new Map<string, Handler>();
  readonly ids = new Map<string, number>();
  readonly recordsChanged = new Changes();
  readonly valuesChanged = new Changes();
  sequence = 0;
  revision = 0;

  subject(name: string): Subject {
    let subject = this.subjects.get(name);
    if (!subject) this.subjects.set(name, subject = { records: [], last: 0 });
    return subject;
  }
}

/**
 * A log in the memory of this process, for trying a cluster out, for tests, and for programs that want
 * partitions without machines. It promises the order and the counting of every log, and forgets everything
 * when the process ends.
 *
 * @example
 * ```ts
 * import { connect, host, memoryLog } from "@attune/attention/cluster";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const log = memoryLog();
 * await using _host = await host(log);
 * await using memory = await connect(log, { create: { dim: 2, valueDim: 1, partitions: 4 } });
 * const token = await memory.edit([
 *   { kind: "set", id: "north", key: [0, 1], value: [10] },
 *   { kind: "set", id: "east", key: [1, 0], value: [20] },
 * ]);
 * await memory.setQuery("reader", [0, 0]);
 * const { output } = await memory.read(["reader"], { after: token });
 * assertAlmostEquals(output.data[0], 15, 1e-6);
 * ```
 */
export function memoryLog(): ClusterLog {
  const store = new MemoryStore();
  return {
    description: "memory",
    open: (_role: LogRole) => Promise.resolve(new MemorySession(store)),
  };
}

class MemorySession implements LogSession {
  readonly largestMessage = LARGEST_MESSAGE;
  readonly #store: MemoryStore;
  readonly #closing = new AbortController();
  readonly #served = new Set<string>();

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  append(
    subject: string,
    body: Uint8Array,
    options: LogWait & { readonly id?: string } = {},
  ): Promise<number> {
    return this.#soon("append", options, () => {
      checkLogName("append", "subject", subject);
      this.#checkSize("append", "record", body);
      const { ids } = this.#store, known = options.id && ids.get(`${subject} ${options.id}`);
      if (known) return known;
      const kept = this.#store.subject(subject), sequence = ++this.#store.sequence;
      kept.records.push({ sequence, body: body.slice() });
      kept.last = sequence;
      if (options.id) ids.set(`${subject} ${options.id}`, sequence);
      if (ids.size > REMEMBERED) {
        for (const oldest of ids.keys()) {
          ids.delete(oldest);
          break;
        }
      }
      this.#store.recordsChanged.tell();
      return sequence;
    });
  }

  async *follow(
    subject: string,
    after: number,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LogRecord[]> {
    checkLogName("follow", "subject", subject);
    const signal = this.#until(options.signal);
    for (let at = after;;) {
      this.#checkOpen("follow");
      if (signal.aborted) return;
      const found = recordsAfter(this.#store.subject(subject).records, at);
      if (found.length === 0) {
        await this.#store.recordsChanged.next(signal);
        continue;
      }
      at = found[found.length - 1].sequence;
      yield found;
    }
  }

  lastSequence(subject: string, options: LogWait = {}): Promise<number> {
    return this.#soon("lastSequence", options, () => {
      return this.#store.subject(checkLogName("lastSequence", "subject", subject)).last;
    });
  }

  purge(subject: string, below: number, options: LogWait = {}): Promise<void> {
    return this.#soon("purge", options, () => {
      const { records } = this.#store.subject(checkLogName("purge", "subject", subject));
      records.splice(0, firstAfter(records, below - 1));
    });
  }

  get(key: string, options: LogWait = {}): Promise<LogValue | null> {
    return this.#soon("get", options, () => {
      const value = this.#store.values.get(checkLogName("get", "key", key));
      return value?.value ? value : null;
    });
  }

  list(prefix: string, options: LogWait = {}): Promise<LogValue[]> {
    return this.#soon("list", options, () => this.#valuesOf(prefix).filter(({ value }) => value !== null));
  }

  put(
    key: string,
    value: Uint8Array,
    options: LogWait & { readonly revision?: number } = {},
  ): Promise<number | null> {
    return this.#soon("put", options, () => {
      checkLogName("put", "key", key);
      if (value.length > LARGEST_VALUE) {
        throw new LogError(
          "put",
          "refused",
          `value has ${value.length} bytes, expected ${LARGEST_VALUE} at most`,
        );
      }
      const now = this.#store.values.get(key);
      const revision = now?.value ? now.revision : 0;
      if (options.revision !== undefined && options.revision !== revision) return null;
      return this.#write(key, value.slice());
    });
  }

  remove(key: string, options: LogWait = {}): Promise<void> {
    return this.#soon("remove", options, () => {
      checkLogName("remove", "key", key);
      if (this.#store.values.get(key)?.value) this.#write(key, null);
    });
  }

  async *watch(
    prefix: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LogValue> {
    const signal = this.#until(options.signal);
    for (let seen = 0, isFirst = true;; isFirst = false) {
      this.#checkOpen("watch");
      if (signal.aborted) return;
      const now = this.#store.revision;
      for (const value of this.#valuesOf(prefix)) {
        if (value.revision <= seen || value.revision > now || (isFirst && value.value === null)) continue;
        yield value;
        this.#checkOpen("watch");
        if (signal.aborted) return;
      }
      seen = now;
      if (this.#store.revision === seen) await this.#store.valuesChanged.next(signal);
    }
  }

  putObject(name: string, bytes: Uint8Array, options: LogWait = {}): Promise<void> {
    return this.#soon("putObject", options, () => {
      checkLogName("putObject", "name", name);
      const { objects } = this.#store, kept = objects.get(name);
      if (kept && !isSame(kept, bytes)) {
        throw new LogError(
          "putObject",
          "refused",
          `name ${name} has other bytes, expected a name without any`,
        );
      }
      if (!kept) objects.set(name, bytes.slice());
    });
  }

  getObject(name: string, options: LogWait = {}): Promise<Bytes | null> {
    return this.#soon("getObject", options, () => {
      return this.#store.objects.get(checkLogName("getObject", "name", name))?.slice() ?? null;
    });
  }

  listObjects(prefix: string, options: LogWait = {}): Promise<string[]> {
    return this.#soon("listObjects", options, () => {
      return [...this.#store.objects.keys()].filter((name) => name.startsWith(prefix)).sort();
    });
  }

  removeObject(name: string, options: LogWait = {}): Promise<void> {
    return this.#soon("removeObject", options, () => {
      this.#store.objects.delete(checkLogName("removeObject", "name", name));
    });
  }

  async request(address: string, body: Uint8Array, options: LogWait = {}): Promise<Bytes> {
    const handler = await this.#soon("request", options, () => {
      this.#checkSize("request", "request", body);
      const handler = this.#store.handlers.get(checkLogName("request", "address", address));
      if (!handler) throw new LogError("request", "unreachable", `nobody serves ${address}`);
      return handler;
    });
    const { timeoutMs = LOG_TIMEOUT_MS, signal } = options;
    const late = deadline("request", timeoutMs, this.#until(signal));
    try {
      const reply = await Promise.race([answer(handler, body.slice()), late.passed]);
      this.#checkSize("request", "reply", reply);
      return reply.slice();
    } catch (error) {
      if (this.#closing.signal.aborted) this.#checkOpen("request");
      throw error;
    } finally {
      late.cancel();
    }
  }

  serve(address: string, handler: Handler): Promise<AsyncDisposable> {
    return this.#soon("serve", {}, () => {
      const { handlers } = this.#store;
      if (handlers.has(checkLogName("serve", "address", address))) {
        throw new LogError(
          "serve",
          "refused",
          `address ${address} is served, expected one that nobody serves`,
        );
      }
      handlers.set(address, handler);
      this.#served.add(address);
      return {
        [Symbol.asyncDispose]: () => {
          if (this.#served.delete(address)) handlers.delete(address);
          return Promise.resolve();
        },
      };
    });
  }

  facts(): Promise<Readonly<Record<string, string | number>>> {
    return this.#soon("facts", {}, () => {
      let bytes = 0, records = 0;
      for (const subject of this.#store.subjects.values()) {
        records += subject.records.length;
        for (const { body } of subject.records) bytes += body.length;
      }
      return { records, bytes, objects: this.#store.objects.size };
    });
  }

  close(): Promise<void> {
    this.#closing.abort();
    for (const address of this.#served) this.#store.handlers.delete(address);
    this.#served.clear();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #write(key: string, value: Bytes | null): number {
    const revision = ++this.#store.revision;
    this.#store.values.set(key, { key, value, revision });
    this.#store.valuesChanged.tell();
    return revision;
  }

  #valuesOf(prefix: string): LogValue[] {
    return [...this.#store.values.values()]
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => a.key < b.key ? -1 : 1);
  }

  /** Does something in a turn of its own, as a log over a network would. */
  async #soon<T>(operation: string, { signal }: LogWait, act: () => T): Promise<T> {
    this.#checkOpen(operation);
    await null;
    signal?.throwIfAborted();
    this.#checkOpen(operation);
    return act();
  }

  #until(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
  }

  #checkOpen(operation: string): void {
    if (this.#closing.signal.aborted) throw new LogError(operation, "closed", "the session is closed");
  }

  #checkSize(operation: string, what: string, body: Uint8Array): void {
    if (body.length <= LARGEST_MESSAGE) return;
    throw new LogError(
      operation,
      "refused",
      `${what} has ${body.length} bytes, expected ${LARGEST_MESSAGE} at most`,
    );
  }
}

/** The reply of a handler; none ever if it throws. */
async function answer(handler: Handler, body: Bytes): Promise<Uint8Array> {
  try {
    return await handler(body);
  } catch {
    return await new Promise<never>(() => {});
  }
}

/** A promise that rejects after a time or with a signal. */
export function deadline(operation: string, ms: number, signal: AbortSignal | undefined) {
  const { promise: passed, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal?.reason);
  const timer = setTimeout(
    () => reject(new LogError(operation, "timeout", `no answer within ${ms} ms`)),
    ms,
  );
  if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort);
  passed.catch(() => {});
  return {
    passed,
    cancel() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    },
  };
}

/** Records with numbers above `after`, as many as a reader may hold. */
function recordsAfter(records: readonly LogRecord[], after: number): LogRecord[] {
  const found: LogRecord[] = [];
  for (let at = firstAfter(records, after), bytes = 0; at < records.length; at++) {
    bytes += records[at].body.length;
    if (found.length > 0 && bytes > FOLLOWED_BYTES) break;
    found.push(records[at]);
  }
  return found;
}

/** The index of the first record with a number above `after`. */
function firstAfter(records: readonly LogRecord[], after: number): number {
  let from = 0, to = records.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (records[middle].sequence > after) to = middle;
    else from = middle + 1;
  }
  return from;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
