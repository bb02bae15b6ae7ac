/**
 * Small values in two buckets of the servers: one that is kept as edits are, one in memory for heartbeats.
 *
 * Invariant: of a key, revisions that a watcher is given grow, also over a bucket that its server forgot and
 * that was made anew.
 */

import { Changes } from "../changes.ts";
import { LARGEST_VALUE, LogError, type LogValue, type LogWait } from "../log.ts";
import { type NatsLink, sleep } from "./link.ts";
import { failureOf, toLogError } from "./nats_errors.ts";
import type { Kv } from "./packages.ts";
import type { NatsStores } from "./stores.ts";

/** How long the mark of a removed value stays; a watcher that was away longer lists what there is. */
const MARK_TTL = "1h";
const PAUSE_MS = 200;

type Bytes = Uint8Array<ArrayBuffer>;

/** Reads, writes and watches values. */
export class NatsValues {
  readonly #link: NatsLink;
  readonly #stores: NatsStores;
  readonly #kept: Kv.KV;
  readonly #volatile: Kv.KV;

  private constructor(link: NatsLink, stores: NatsStores, kept: Kv.KV, volatile: Kv.KV) {
    this.#link = link;
    this.#stores = stores;
    this.#kept = kept;
    this.#volatile = volatile;
  }

  static async open(link: NatsLink, stores: NatsStores): Promise<NatsValues> {
    const manager = new link.packages.kv.Kvm(link.js);
    const { names } = stores;
    return new NatsValues(link, stores, await manager.open(names.values), await manager.open(names.volatile));
  }

  async get(key: string, options: LogWait): Promise<LogValue | null> {
    const [kept, volatile] = await Promise.all([
      this.#get("get", this.#kept, key, options),
      this.#get("get", this.#volatile, key, options),
    ]);
    return kept ?? volatile;
  }

  async list(prefix: string, options: LogWait): Promise<LogValue[]> {
    const lists = await Promise.all([
      this.#list(this.#kept, prefix, options),
      this.#list(this.#volatile, prefix, options),
    ]);
    return lists.flat().sort((a, b) => a.key < b.key ? -1 : 1);
  }

  async put(
    key: string,
    value: Uint8Array,
    options: LogWait & { readonly revision?: number; readonly isVolatile?: boolean },
  ): Promise<number | null> {
    const { revision, isVolatile = false } = options, bucket = isVolatile ? this.#volatile : this.#kept;
    // A write that must find a revision is not sent again after no answer: it would find its own.
    const repeat = revision === undefined ? "always" : "unsent";
    return await this.#link.call("put", options, repeat, () =>
      this.#inBucket(isVolatile, async () => {
        try {
          if (revision === undefined) return await bucket.put(key, value);
          return revision === 0 ? await bucket.create(key, value) : await bucket.update(key, value, revision);
        } catch (error) {
          if (failureOf(this.#link.packages, error) === "conflict") return null;
          throw error;
        }
      }), true);
  }

  async remove(key: string, options: LogWait & { readonly isVolatile?: boolean }): Promise<void> {
    const { isVolatile = false } = options, bucket = isVolatile ? this.#volatile : this.#kept;
    if (await this.#get("remove", bucket, key, options) === null) return;
    await this.#link.call(
      "remove",
      options,
      "always",
      () => this.#inBucket(isVolatile, () => bucket.purge(key, { ttl: MARK_TTL })),
      true,
    );
  }

  /** The changes of both buckets, in one stream. */
  async *watch(prefix: string, signal: AbortSignal | undefined): AsyncGenerator<LogValue> {
    const stop = signal ? AbortSignal.any([signal, this.#link.closing]) : this.#link.closing;
    const ended = new AbortController(), until = AbortSignal.any([stop, ended.signal]);
    const came = new Changes();
    // Of quick changes of a key only the last is kept for a slow reader.
    const changed = new Map<string, LogValue>();
    const faults: unknown[] = [];
    const tell = (value: LogValue) => {
      changed.delete(value.key);
      changed.set(value.key, value);
      came.tell();
    };
    const watching = [this.#kept, this.#volatile].map((bucket) =>
      this.#watchBucket(bucket, prefix, until, tell).catch((error) => {
        faults.push(error);
        came.tell();
      })
    );
    try {
      while (!stop.aborted) {
        if (faults.length > 0) throw faults[0];
        this.#link.checkOpen("watch");
        const next = changed.values().next();
        if (next.done) {
          await came.next(stop);
        } else {
          changed.delete(next.value.key);
          yield next.value;
        }
      }
    } finally {
      ended.abort();
      await Promise.all(watching);
    }
    if (!signal?.aborted) this.#link.checkOpen("watch");
  }

  /**
   * Tells of every value of a bucket, and of every change; starts anew whenever the connection is another
   * one.
   */
  async #watchBucket(
    bucket: Kv.KV,
    prefix: string,
    stop: AbortSignal,
    tell: (value: LogValue) => void,
  ): Promise<void> {
    const seen = new Map<string, { readonly revision: number; readonly isThere: boolean }>();
    const see = ({ key, value, revision }: LogValue) => {
      const before = seen.get(key);
      if (before !== undefined && revision <= before.revision) return;
      seen.set(key, { revision, isThere: value !== null });
      // A delete marker of a value that the watcher never saw is no change.
      if (value !== null || before?.isThere) tell({ key, value, revision });
    };
    for (let isFirst = true; !stop.aborted; isFirst = false) {
      const { generation } = this.#link;
      let updates: Awaited<ReturnType<Kv.KV["watch"]>> | null = null;
      const end = () => updates?.stop();
      try {
        updates = await this.#link.call(
          "watch",
          { signal: stop },
          "always",
          () => this.#inBucket(bucket === this.#volatile, () => bucket.watch({ key: filterOf(prefix) })),
        );
        stop.addEventListener("abort", end);
        this.#endWith(updates, generation, stop);
        // A value removed while nobody watched leaves no delete marker in a bucket that was made anew.
        if (!isFirst) await this.#tellGone(bucket, prefix, seen, stop, tell);
        for await (const entry of updates) {
          if (stop.aborted) return;
          if (entry.key.startsWith(prefix)) see(toValue(entry));
        }
      } catch (error) {
        if (stop.aborted) return;
        if (error instanceof LogError && !error.isPassing) throw error;
        const failure = failureOf(this.#link.packages, error);
        if (!(error instanceof LogError) && failure !== "unsent" && failure !== "unknown") {
          throw toLogError("watch", failure, error);
        }
      } finally {
        stop.removeEventListener("abort", end);
        updates?.stop();
      }
      if (!stop.aborted) await Promise.race([sleep(PAUSE_MS), this.#link.changes.next(stop)]);
    }
  }

  /** Ends a watch when the connection is another one. */
  async #endWith(
    updates: Awaited<ReturnType<Kv.KV["watch"]>>,
    generation: number,
    stop: AbortSignal,
  ): Promise<void> {
    while (!stop.aborted && this.#link.generation === generation) await this.#link.changes.next(stop);
    updates.stop();
  }

  async #tellGone(
    bucket: Kv.KV,
    prefix: string,
    seen: Map<string, { readonly revision: number; readonly isThere: boolean }>,
    signal: AbortSignal,
    tell: (value: LogValue) => void,
  ): Promise<void> {
    const there = new Set((await this.#list(bucket, prefix, { signal })).map(({ key }) => key));
    for (const [key, { revision, isThere }] of seen) {
      if (!isThere || there.has(key)) continue;
      seen.set(key, { revision: revision + 1, isThere: false });
      tell({ key, value: null, revision: revision + 1 });
    }
  }

  async #get(operation: string, bucket: Kv.KV, key: string, options: LogWait): Promise<LogValue | null> {
    const isVolatile = bucket === this.#volatile;
    const entry = await this.#link.call(
      operation,
      options,
      "always",
      () => this.#inBucket(isVolatile, () => bucket.get(key)),
    );
    return entry === null || entry.operation !== "PUT" ? null : toValue(entry);
  }

  /**
   * The values of one bucket: the keys by its leader, each then by a read of its own, so that no lagging
   * replica answers.
   */
  async #list(bucket: Kv.KV, prefix: string, options: LogWait): Promise<LogValue[]> {
    const { names } = this.#stores, isVolatile = bucket === this.#volatile;
    const name = isVolatile ? names.volatile : names.values, before = `$KV.${name}.`;
    const info = await this.#link.call(
      "list",
      options,
      "always",
      () =>
        this.#inBucket(
          isVolatile,
          () => this.#link.jsm.streams.info(`KV_${name}`, { subjects_filter: before + filterOf(prefix) }),
        ),
    );
    const keys = Object.keys(info.state.subjects ?? {}).map((subject) => subject.slice(before.length))
      .filter((key) => key.startsWith(prefix));
    const values = await Promise.all(keys.map((key) => this.#get("list", bucket, key, options)));
    return values.filter((value) => value !== null);
  }

  /**
   * Does something with a bucket; the volatile one, which a restart of its server removes, is made anew where
   * it is missing.
   */
  async #inBucket<T>(isVolatile: boolean, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      const failure = failureOf(this.#link.packages, error);
      // A bucket that is gone takes no messages, so that nobody answers a write to it.
      if (!isVolatile || (failure !== "missing" && failure !== "unsent")) throw error;
      await this.#stores.makeVolatile();
      return await act();
    }
  }
}

/** Throws where a value is larger than every log takes. */
export function checkValueSize(value: Uint8Array): void {
  if (value.length <= LARGEST_VALUE) return;
  throw new LogError("put", "refused", `value has ${value.length} bytes, expected ${LARGEST_VALUE} at most`);
}

/** A filter of keys that lets through at least those that begin with `prefix`. */
function filterOf(prefix: string): string {
  const end = prefix.lastIndexOf(".");
  return end <= 0 ? ">" : `${prefix.slice(0, end)}.>`;
}

function toValue({ key, operation, value, revision }: Kv.KvEntry): LogValue {
  const bytes: Bytes | null = operation === "PUT" ? new Uint8Array(value) : null;
  return { key, value: bytes, revision };
}
