/**
 * The history of a subject in short: its newest sequence, the chain over all of its records, and each
 * client's newest batch.
 *
 * Invariant: a record is applied once, however often it comes, and only when no record before it is missing
 * as far as its client can tell.
 */

import { type Batch, chainOf, hashOf, isSameHash, NO_HASH } from "./batch.ts";
import { Damage } from "./cluster_error.ts";

/** Clients that are remembered in a subject; the one whose last batch is oldest is forgotten first. */
const MOST_CLIENTS = 4096;
/** Places that `chainAt` remembers. */
const MOST_PLACES = 1024;

/** A client's newest batch in a subject. */
export interface ClientPlace {
  readonly number: number;
  readonly hash: Uint8Array<ArrayBuffer>;
}

/** The place of a subject. */
export class Ledger {
  #sequence = 0;
  #chain: Uint8Array<ArrayBuffer> = NO_HASH;
  /** In the order of their newest batches. */
  readonly #clients = new Map<string, ClientPlace>();
  /** Clients that were forgotten. */
  #forgotten = 0;
  readonly #places = new Map<number, Uint8Array<ArrayBuffer>>();
  #begin = 0;

  /** The sequence of the newest record. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Places up to this one are not known by their chains: it began there, or has forgotten them. */
  get begin(): number {
    return this.#begin;
  }

  /** The chain behind it. */
  get chain(): Uint8Array<ArrayBuffer> {
    return this.#chain;
  }

  /** Clients, the one whose newest batch is oldest first. */
  get clients(): Iterable<readonly [string, ClientPlace]> {
    return this.#clients;
  }

  /** How many clients there are. */
  get clientCount(): number {
    return this.#clients.size;
  }

  /** Clients that were forgotten. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Goes on from a snapshot. */
  restore(
    sequence: number,
    chain: Uint8Array<ArrayBuffer>,
    forgotten: number,
    clients: Iterable<readonly [string, ClientPlace]>,
  ): void {
    this.#sequence = sequence;
    this.#chain = chain;
    this.#forgotten = forgotten;
    this.#clients.clear();
    for (const [client, place] of clients) this.#clients.set(client, place);
    this.#places.clear();
    this.#places.set(sequence, chain);
    this.#begin = sequence;
  }

  /** The chain behind a record that was among the newest; null where that is not known. */
  chainAt(sequence: number): Uint8Array<ArrayBuffer> | null {
    if (sequence === 0) return NO_HASH;
    return this.#places.get(sequence) ?? null;
  }

  /** Whether the newest batch is that of a record; false also where the newest record did a batch again. */
  endsWith(body: Uint8Array): boolean {
    let newest: ClientPlace | null = null;
    for (const place of this.#clients.values()) newest = place;
    return newest !== null && isSameHash(newest.hash, hashOf(body));
  }

  /**
   * Whether the edits of a record are to be performed; false if they were before. Nothing changes.
   *
   * @throws {Damage} When a record before this one is missing.
   */
  isNew(batch: Batch): boolean {
    const place = this.#clients.get(batch.client);
    if (place && batch.number <= place.number) return false;
    const expected = place ? place.number + 1 : 1;
    const isForgotten = !place && this.#forgotten > 0;
    if (batch.number !== expected && !isForgotten) {
      throw new Damage(`batch ${batch.number} of client ${batch.client} came, expected ${expected}`);
    }
    if (!isForgotten && !isSameHash(batch.previous, place?.hash ?? NO_HASH)) {
      throw new Damage(`batch ${batch.number} of client ${batch.client} does not follow the one before it`);
    }
    if (batch.known > this.#sequence) {
      throw new Damage(`a record up to ${batch.known} is known, but ${this.#sequence} was the last one`);
    }
    return true;
  }

  /** Notes a record; `batch` has its hash, or is null where it was there before. */
  note(sequence: number, body: Uint8Array, batch: Batch | null, hash: Uint8Array<ArrayBuffer>): void {
    this.#chain = chainOf(this.#chain, sequence, body);
    this.#sequence = sequence;
    this.#places.set(sequence, this.#chain);
    if (this.#places.size > MOST_PLACES) {
      this.#begin = first(this.#places);
      this.#places.delete(this.#begin);
    }
    if (batch === null) return;
    this.#clients.delete(batch.client);
    this.#clients.set(batch.client, { number: batch.number, hash });
    if (this.#clients.size > MOST_CLIENTS) {
      this.#clients.delete(first(this.#clients));
      this.#forgotten++;
    }
  }
}

function first<Key>(map: ReadonlyMap<Key, unknown>): Key {
  for (const key of map.keys()) return key;
  throw new Error("the map is empty");
}
