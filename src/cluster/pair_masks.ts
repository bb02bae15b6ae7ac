/**
 * The masks of a partition: what was said last of a pair of a standing query and a key, of a key for all
 * queries, or of a query for all keys, of all heads or of one. It is added to the score; −∞ forbids the pair.
 *
 * Invariant: a pair has in each head what was said of it last, by whichever of the three, in the order of the
 * log; pairs of which nothing was said have what the mask says that the cluster was made with, or 0. A key
 * that is deleted takes along what was said of it, and only that.
 */

import type { ByteReader, ByteWriter } from "../durable/byte_buffer.ts";
import { Damage } from "./cluster_error.ts";

/** A mask as an edit says it: of the key with the edit's id, or of all keys where that is "". */
export interface MaskEdit {
  /** Ids of queries; none for all, those to come included. */
  readonly queries: readonly string[];
  /** A number of float32 range, or −∞. */
  readonly bias: number;
  /** A bias for each of the queries, of a key, in the place of `bias`. */
  readonly biases?: readonly number[];
  /** The head that it is said of; all unless given. */
  readonly head?: number;
}

/** A bias, and the number of the edit that gave it. */
interface Said {
  readonly stamp: number;
  readonly bias: number;
}

/** The biases of a key in one head, or in all that share a mask. */
interface HeadMask {
  readonly all: Said | null;
  /** Biases of pairs, by query, that are newer than those of the key or the query as a whole. */
  readonly pairs: ReadonlyMap<string, Said>;
}

/** The biases of a key, one for each mask of a pair; an edit replaces the list and never changes it. */
export type KeyMask = readonly HeadMask[];

/** The mask with which a cluster was made. */
export interface FirstMask {
  /** Queries with their biases for a key, one for each mask of a pair; undefined where there are none of it. */
  of(key: string): readonly { readonly query: string; readonly biases: readonly number[] }[] | undefined;
}

type QueryMasks = Map<string, Said & { readonly sequence: number }>;

const NOTHING: Said = { stamp: 0, bias: 0 };
const NO_MASK: HeadMask = { all: null, pairs: new Map() };

/** Whether a number may be a bias. */
export function isBias(bias: number): boolean {
  return bias === -Infinity || Number.isFinite(Math.fround(bias));
}

/** The masks of a partition. */
export class PairMasks {
  readonly #initial: FirstMask | null;
  #stamp = 0;
  readonly #keys = new Map<string, KeyMask>();
  /** The masks of queries for all keys, one for each mask of a pair. */
  readonly #queries: readonly QueryMasks[];

  /**
   * @param heads Masks of a pair: H where they differ by head, else 1.
   * @param initial The mask with which the cluster was made.
   */
  constructor(heads = 1, initial: FirstMask | null = null) {
    this.#initial = initial;
    this.#queries = Array.from({ length: heads }, () => new Map());
  }

  /** Masks of a pair. */
  get heads(): number {
    return this.#queries.length;
  }

  /** The biases of a key; null where no edit gave any. */
  of(key: string): KeyMask | null {
    return this.#keys.get(key) ?? null;
  }

  /** Whether there is anything to ask about. */
  get isEmpty(): boolean {
    return this.#keys.size === 0 && this.#queries.every(({ size }) => size === 0);
  }

  /** Bytes, roughly. */
  get bytes(): number {
    let pairs = this.#queries.reduce((sum, { size }) => sum + size, 0);
    for (const masks of this.#keys.values()) {
      for (const { pairs: { size } } of masks) pairs += 1 + size;
    }
    return 64 * pairs;
  }

  /** The record that last said something of a query for all keys; 0 for none that is known. */
  changedAt(query: string): number {
    return this.#queries.reduce((last, masks) => Math.max(last, masks.get(query)?.sequence ?? 0), 0);
  }

  /** The bias of a query, in a head, with a key of which `masks` was said. */
  bias(query: string, masks: KeyMask | null, head = 0): number {
    const at = this.heads === 1 ? 0 : head, ofQuery = this.#queries[at].get(query) ?? NOTHING;
    if (masks === null) return ofQuery.bias;
    const { all, pairs } = masks[at], ofPair = pairs.get(query);
    if (ofPair !== undefined) return ofPair.bias;
    return all !== null && all.stamp > ofQuery.stamp ? all.bias : ofQuery.bias;
  }

  /** A key comes that was not there: it has the mask with which the cluster was made. */
  bear(key: string): void {
    const entries = this.#initial?.of(key);
    if (entries === undefined) return;
    // Queries of which something was said for all keys, those to come included, have that.
    const masks = this.#queries.map((said, head): HeadMask => {
      const own = entries.filter(({ query }) => !said.has(query));
      return {
        all: null,
        pairs: new Map(own.map(({ query, biases }) => [query, { stamp: 0, bias: biases[head] }])),
      };
    });
    this.#keys.set(key, masks);
  }

  /** Says something of a key. */
  sayOfKey(key: string, { queries, bias, biases, head }: MaskEdit): void {
    const stamp = ++this.#stamp, said = { stamp, bias }, before = this.#keys.get(key);
    const masks = this.#queries.map((_, at): HeadMask => {
      const old = before?.[at] ?? NO_MASK;
      if (head !== undefined && head !== at) return old;
      if (queries.length === 0) return { all: said, pairs: NO_MASK.pairs };
      const pairs = new Map(old.pairs);
      for (const [at, query] of queries.entries()) {
        pairs.set(query, biases === undefined ? said : { stamp, bias: biases[at] });
      }
      return { all: old.all, pairs };
    });
    this.#keys.set(key, masks);
  }

  /** Says something of queries for all keys, in a record. */
  sayOfQueries({ queries, bias, head }: MaskEdit, sequence: number): void {
    const stamp = ++this.#stamp, isOf = (at: number) => head === undefined || head === at;
    this.#queries.forEach((masks, at) => {
      if (isOf(at)) { for (const query of queries) masks.set(query, { stamp, bias, sequence }); }
    });
    // Older biases of their pairs have no effect any more.
    for (const [key, masks] of this.#keys) {
      const isOlder = masks.some(({ pairs }, at) => isOf(at) && queries.some((query) => pairs.has(query)));
      if (!isOlder) continue;
      const left = masks.map((mask, at): HeadMask => {
        if (!isOf(at)) return mask;
        return {
          all: mask.all,
          pairs: new Map([...mask.pairs].filter(([query]) => !queries.includes(query))),
        };
      });
      this.#keys.set(key, left);
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
    for (const masks of this.#queries) writeAll(masks, masks.size);
    out.u32(this.#keys.size);
    for (const [id, masks] of sorted(this.#keys)) {
      out.text(id);
      for (const { all, pairs } of masks) {
        writeSaid(all ?? NOTHING);
        writeAll(pairs, pairs.size);
      }
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
    for (const masks of this.#queries) {
      for (const [query, said] of readAll()) masks.set(query, { ...said, sequence: 0 });
    }
    // Keys that were read before have what was written of them, and no more.
    this.#keys.clear();
    for (let left = reader.u32(); left > 0; left--) {
      const key = reader.text();
      const masks = this.#queries.map((): HeadMask => {
        const all = readSaid();
        return { all: all.stamp === 0 ? null : all, pairs: new Map(readAll()) };
      });
      this.#keys.set(key, masks);
    }
  }
}

function sorted<Value>(entries: Iterable<readonly [string, Value]>): (readonly [string, Value])[] {
  return [...entries].sort(([a], [b]) => a < b ? -1 : 1);
}
