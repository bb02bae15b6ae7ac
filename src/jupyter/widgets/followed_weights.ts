/**
 * Attention weights of a few queries, each as of the moment at which the query's output last left an error.
 *
 * Invariant: a query's weights are asked for when its output may be further than the error from the one that they
 * belong to, when another head is looked at, and at no other time.
 */

import { InputError } from "../../base/errors.ts";

/** Rows that an engine keeps within an error; a `FollowedAttention` is one. */
export interface FollowedRows {
  /** For each row, a bound on its distance from exact. */
  readonly bounds: ArrayLike<number>;
  /** Brings rows up to date that may have left the error; the slots of those that have changed. */
  refresh(): Promise<Uint32Array>;
  /** Stops following. */
  dispose(): void;
}

/** The part of an engine that this file uses. */
export interface FollowedEngine {
  /** The exact weights of a query, by key slot. */
  weights(slot: number, options: { readonly head: number }): Promise<Float32Array>;
  /** Keeps rows within an error. */
  follow(rows: readonly number[], options: { readonly error: number }): FollowedRows;
}

/** The weights of one figure. */
export class FollowedWeights {
  readonly #engine: FollowedEngine;
  readonly #error: number;
  #followed: FollowedRows | null = null;
  /** The queries that are followed, and their weights in a head. */
  #queries: readonly number[] = [];
  #head = NaN;
  readonly #weights = new Map<number, Float32Array>();

  constructor(engine: FollowedEngine, error: number) {
    this.#engine = engine;
    this.#error = error;
  }

  /** The head that the weights are of. */
  get head(): number {
    return this.#head;
  }

  /** How far the output of a query can be from the one that its weights belong to. */
  get bound(): number {
    return Array.from(this.#followed?.bounds ?? []).reduce((most, bound) => Math.max(most, bound), 0);
  }

  /** The weights of live queries, after those have been asked for that are needed; how many were. */
  async refresh(
    queries: readonly number[],
    head: number,
  ): Promise<{ readonly weights: readonly Float32Array[]; readonly renewed: number }> {
    const changed = new Set(await this.#changed(queries));
    let renewed = 0;
    for (const query of queries) {
      if (head === this.#head && !changed.has(query) && this.#weights.has(query)) continue;
      this.#weights.set(query, await this.#engine.weights(query, { head }));
      renewed++;
    }
    this.#head = head;
    return { weights: this.shown(queries), renewed };
  }

  /** The weights of queries as they are; none of one that was never asked for. */
  shown(queries: readonly number[]): readonly Float32Array[] {
    return queries.map((query) => this.#weights.get(query) ?? new Float32Array(0));
  }

  /** Stops following. */
  release(): void {
    this.#followed?.dispose();
    this.#followed = null;
    this.#weights.clear();
  }

  async #changed(queries: readonly number[]): Promise<Uint32Array> {
    const areSame = queries.length === this.#queries.length &&
      queries.every((query, at) => query === this.#queries[at]);
    if (this.#followed && areSame) {
      try {
        return await this.#followed.refresh();
      } catch (error) {
        // A query may have been deleted, and another one have come into its slot.
        if (!(error instanceof InputError)) throw error;
      }
    }
    this.release();
    this.#queries = queries;
    if (queries.length === 0) return new Uint32Array(0);
    this.#followed = this.#engine.follow(queries, { error: this.#error });
    return await this.#followed.refresh();
  }
}
