/**
 * The mask of a partition: what was said last of a pair of a standing query and a key, of a key for all
 * queries, or of a query for all keys. It is added to the score; −∞ forbids the pair.
 *
 * Invariant: a pair has what was said of it last, by whichever of the three, in the order of the log; pairs of
 * which nothing was said have 0. A key that is deleted takes along what was said of it, and only that.
 */

import type { ByteReader, ByteWriter } from "../durable/byte_buffer.ts";
import { Damage } from "./cluster_error.ts";

/** A mask as an edit says it: of the key with the edit's id, or of all keys where that is "". */
export interface MaskEdit {
  /** Ids of queries; none for all, those to come included. */
  readonly queries: readonly string[];
  /** A number of float32 range, or −∞. */
  readonly bias: number;
}

/** A bias, and the number of the edit that gave it. */
interface Said {
  readonly stamp: number;
  readonly bias: number;
}

/** The biases of a key; an edit replaces the object and never changes it. */
export interface KeyMask {
  readonly all: Said | null;
  /** Biases of pairs, by query, that are newer than those of the key or the query as a whole. */
  readonly pairs: ReadonlyMap<string, Said>;
}

const NOTHING: Said = { stamp: 0, bias: 0 };

/** Whether a number may be a bias. */
export function isBias(bias: number): boolean {
  return bias === -Infinity || Number.isFinite(Math.fround(bias));
}

/** The masks of a partition. */
export class PairMasks {
  #stamp = 0;
  readonly #keys = new Map<string, KeyMask>();
  readonly #queries = new Map<string, Said & { readonly sequence: number }>();

  /** The biases of a key; null where no edit gave any. */
  of(key: string): KeyMask | null {
    return this.#keys.get(key) ?? null;
  }

  /** Whether there is anything to ask about. */
  get isEmpty(): boolean {
    return this.#keys.size === 0 && this.#queries.size === 0;
  }

  /** Bytes, roughly. */
  get bytes(): number {
    let pairs = this.#queries.size + this.#keys.size;
    for (const mask of this.#keys.values()) pairs += mask.pairs.size;
    return 64 * pairs;
  }

  /** The record that last said something of a query for all keys; 0 for none that is known. */
  changedAt(query: string): number {
    return this.#queries.get(query)?.sequence ?? 0;
  }

  /** The bias of a query with a key of which `mask` was said. */
  bias(query: string, mask: KeyMask | null): number {
    const ofQuery = this.#queries.get(query) ?? NOTHING;
    if (mask === null) return ofQuery.bias;
    const ofPair = mask.pairs.get(query);
    if (ofPair !== undefined) return ofPair.bias;
    return mask.all !== null && mask.all.stamp > ofQuery.stamp ? mask.all.bias : ofQuery.bias;
  }

  /** Says something of a key. */
  sayOfKey(key: string, { queries, bias }: MaskEdit): void {
    const said = { stamp: ++this.#stamp, bias }, before = this.#keys.get(key);
    if (queries.length === 0) {
      this.#keys.set(key, { all: said, pairs: new Map() });
      return;
    }
    const pairs = new Map(before?.pairs);
    for (const query of queries) pairs.set(query, said);
    this.#keys.set(key, { all: before?.all ?? null, pairs });
  }

  /** Says something of queries for all keys, in a record. */
  sayOfQueries({ queries, bias }: MaskEdit, sequence: number): void {
    const stamp = ++this.#stamp;
    for (const query of queries) this.#queries.set(query, { stamp, bias, sequence });
    // Older biases of their pairs have no effect any more.
    for (const [key, { all, pairs }] of this.#keys) {
      if (!queries.some((query) => pairs.has(query))) continue;
      const left = new Map([...pairs].filter(([query]) => !queries.includes(query)));
      this.#keys.set(key, { all, pairs: left });
    }
  }

  /** Forgets what was said of a key. */
  forget(key: string): void {
    this.#keys.delete(key);
  }

  /** Writes all of it, the same bytes on every replica. */
  write(out: ByteWriter): void {
    const writeSaid = ({ stamp, bias }: Said) => {
      out.f64(stamp);
      out.f64(bias);
    };
    const writeAll = (said: Iterable<readonly [string, Said]>, count: number) => {
      out.u32(count);
      for (const [id, one] of sorted(said)) {
        out.text(id);
        writeSaid(one);
      }
    };
    out.f64(this.#stamp);
    writeAll(this.#queries, this.#queries.size);
    out.u32(this.#keys.size);
    for (const [id, { all, pairs }] of sorted(this.#keys)) {
      out.text(id);
      writeSaid(all ?? NOTHING);
      writeAll(pairs, pairs.size);
    }
  }

  /**
   * Reads what was written.
   *
   * @throws {Damage} When a number is none of a mask.
   */
  read(reader: ByteReader): void {
    const readSaid = (): Said => {
      const stamp = reader.f64(), bias = reader.f64();
      if (!Number.isSafeInteger(stamp) || stamp < 0 || !isBias(bias)) {
        throw new Damage(`mask has the bias ${bias} of the time ${stamp}`);
      }
      return { stamp, bias };
    };
    const readAll = (): [string, Said][] => {
      const said: [string, Said][] = [];
      for (let left = reader.u32(); left > 0; left--) said.push([reader.text(), readSaid()]);
      return said;
    };
    this.#stamp = reader.f64();
    for (const [query, said] of readAll()) this.#queries.set(query, { ...said, sequence: 0 });
    for (let left = reader.u32(); left > 0; left--) {
      const key = reader.text(), all = readSaid();
      this.#keys.set(key, { all: all.stamp === 0 ? null : all, pairs: new Map(readAll()) });
    }
  }
}

function sorted<Value>(entries: Iterable<readonly [string, Value]>): (readonly [string, Value])[] {
  return [...entries].sort(([a], [b]) => a < b ? -1 : 1);
}
