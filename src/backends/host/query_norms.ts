/**
 * By head, a norm that no standing query's is above. It grows with new queries, and is computed anew, where a
 * query is gone that set it, when traces of deleted rows are erased.
 */

import type { HostRows } from "./host_rows.ts";

/** The largest norms of the queries of one backend. */
export class QueryNorms {
  readonly #rows: HostRows;
  readonly #largest: Float64Array;
  /** Whether a query is gone that set one of them. */
  #isOutdated = false;

  constructor(rows: HostRows, heads: number) {
    this.#rows = rows;
    this.#largest = new Float64Array(heads);
  }

  /** A bound on the norm of one head of every query. */
  largest(head: number): number {
    return this.#largest[head];
  }

  /** Notes that a query, if it is live, is about to be replaced or deleted. */
  release(slot: number): void {
    if (this.#isOutdated || !this.#rows.queries.isLive(slot)) return;
    for (let head = 0; head < this.#largest.length; head++) {
      if (this.#normOf(slot, head) >= this.#largest[head]) this.#isOutdated = true;
    }
  }

  /** Lets the norms grow until they hold one query, if it is live. */
  include(slot: number): void {
    if (!this.#rows.queries.isLive(slot)) return;
    for (let head = 0; head < this.#largest.length; head++) {
      this.#largest[head] = Math.max(this.#largest[head], this.#normOf(slot, head));
    }
  }

  /** Computes the norms anew if a query that set one is gone. */
  forget(): void {
    if (!this.#isOutdated) return;
    this.#isOutdated = false;
    this.#largest.fill(0);
    for (const slot of this.#rows.liveQueries()) this.include(slot);
  }

  #normOf(slot: number, head: number): number {
    return this.#rows.queryNorm(this.#rows.queryHead(slot, head));
  }
}
