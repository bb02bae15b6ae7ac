// Keys that drift: normal rows, of which each edit moves something a little. The same seed gives the same
// edits.

import { DynamicAttention, type DynamicAttentionOptions } from "../../mod.ts";
import { SeededRandom } from "../../src/learning/mod.ts";

/** m standing queries of one head over n keys. */
export interface Sizes {
  /** n. */
  readonly keyCount: number;
  /** m. */
  readonly queryCount: number;
  /** d = dv. */
  readonly headDim: number;
}

/** How an engine keeps current. */
export type Keeping = Pick<DynamicAttentionOptions, "lazyThreshold" | "onThreshold" | "backend">;

/** Coprime to the powers of two that numbers of keys are here. */
const STRIDE = 7919;
/** A move keeps most of a number and adds some noise: a normal number stays one, however often it moves. */
const MOVE = 0.3, KEPT = Math.sqrt(1 - MOVE ** 2);
const HOT_KEYS = 4;

/**
 * The numbers that edits change: whole rows, keys and values, one key after the other, so that each comes
 * once before any comes twice; or one number each of the keys of the first four slots, again and again.
 */
export type EditPattern = "rows" | "hot numbers";

/** An engine and the edits that come to it. */
export class DriftingKeys {
  readonly live: DynamicAttention;
  readonly #random: SeededRandom;
  readonly #keyCount: number;
  #edits = 0;

  private constructor(live: DynamicAttention, random: SeededRandom, keyCount: number) {
    this.live = live;
    this.#random = random;
    this.#keyCount = keyCount;
  }

  static async create(sizes: Sizes, keeping: Keeping, seed = 1): Promise<DriftingKeys> {
    const random = new SeededRandom(seed);
    const { keyCount, queryCount, headDim } = sizes;
    const matrix = (rows: number) => ({
      data: random.normalRow(rows * headDim, 1),
      shape: [rows, headDim] as const,
    });
    const [query, key, value] = [matrix(queryCount), matrix(keyCount), matrix(keyCount)];
    const live = await DynamicAttention.create({ query, key, value, backend: "array", ...keeping });
    return new DriftingKeys(live, random, keyCount);
  }

  /** Makes edits; a row that is moved stays as likely as it was. */
  edit(count: number, pattern: EditPattern = "rows"): void {
    for (let at = 0; at < count; at++) {
      const edit = this.#edits++;
      if (pattern === "rows") this.#moveRows((edit * STRIDE) % this.#keyCount);
      else this.#moveNumber(edit % HOT_KEYS);
    }
  }

  #moveRows(slot: number): void {
    const { live } = this;
    const moved = (row: Float32Array<ArrayBuffer>) => row.map((number) => this.#moved(number));
    live.set(slot, moved(live.getKey(slot)), moved(live.getValue(slot)));
  }

  #moveNumber(slot: number): void {
    const [first] = this.live.getKey(slot);
    this.live.addToKey(slot, 0, this.#moved(first) - first);
  }

  #moved(number: number): number {
    return KEPT * number + MOVE * this.#random.normal();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.live.dispose();
  }
}
