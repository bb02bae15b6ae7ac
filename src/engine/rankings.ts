/**
 * Questions about keys beside the output: their weights for many queries and heads, the heaviest of them, and
 * those whose values match an output best. Each is asked at once and answered as of the call, by what rows
 * were called then.
 */

import type { Backend, PassingQueries } from "../backends/backend.ts";
import { allocate } from "../base/lists.ts";
import { keyColumns, keyHeadOf, valueColumns } from "../numerics/head_layout.ts";
import { heaviestOf } from "../numerics/heaviest.ts";
import type { Turn } from "../schedule/edit_pipeline.ts";
import type { EditRules } from "../write/edits.ts";
import type { RowId } from "../write/row_ids.ts";
import type { RankedKey, WeightedKey, WeightTensor } from "./answers.ts";

/** Asks a question about query slots and all keys, exact as of the call. */
export type Asking = <T>(
  operation: string,
  slots: Uint32Array,
  ask: (turn: Turn) => Promise<T>,
) => Promise<T>;

/** The questions about keys of one engine. */
export class Rankings {
  readonly #rules: EditRules;
  readonly #ask: Asking;

  constructor(rules: EditRules, ask: Asking) {
    this.#rules = rules;
    this.#ask = ask;
  }

  /** Weights of query slots over live keys, for each of some heads. O(r H n d). */
  weights(
    operation: string,
    rows: Uint32Array,
    heads: readonly number[],
  ): Promise<WeightTensor<RowId, RowId>> {
    const { keySlots, querySlots } = this.#rules;
    const live = keySlots.liveSlots(), size = keySlots.size;
    const queries = Array.from(rows, (slot) => querySlots.nameOf(slot)), keys = keySlots.names();
    return this.#ask(operation, rows, async ({ backend }) => {
      const count = rows.length * heads.length * live.length;
      const data = allocate(operation, "weights", count, () => new Float32Array(count));
      let at = 0;
      for (const row of rows) {
        for (const head of heads) {
          const weights = await backend.weights(row, head, size);
          for (const slot of live) data[at++] = weights[slot];
        }
      }
      return { data, shape: [rows.length, heads.length, live.length], queries, heads, keys };
    });
  }

  /** The heaviest keys of one head of each query slot. O(r n (d + log count)). */
  topKeys(
    operation: string,
    rows: Uint32Array,
    count: number,
    head: number,
  ): Promise<WeightedKey<RowId>[][]> {
    const { keySlots } = this.#rules;
    const live = keySlots.liveSlots(), size = keySlots.size, nameOf = this.#namesOf(live);
    return this.#ask(operation, rows, async ({ backend }) => {
      const answers: WeightedKey<RowId>[][] = [];
      for (const row of rows) {
        const weights = await backend.weights(row, head, size);
        const heaviest = heaviestOf(live, weights, count);
        answers.push(Array.from(heaviest, (slot) => ({ slot: nameOf(slot), weight: weights[slot] })));
      }
      return answers;
    });
  }

  /**
   * The keys whose values have the largest products with the output of a query, those in `excluded` left out.
   * Products are float64 of the float32 output and values. O(n (H dv + log count)) beside the read.
   */
  recommend(
    operation: string,
    query: number | PassingQueries,
    count: number,
    excluded: ReadonlySet<number>,
  ): Promise<RankedKey<RowId>[]> {
    const live = this.#rules.keySlots.liveSlots().filter((slot) => !excluded.has(slot));
    const size = this.#rules.keySlots.size, nameOf = this.#namesOf(live);
    const standing = typeof query === "number" ? Uint32Array.of(query) : new Uint32Array(0);
    return this.#ask(operation, standing, async ({ backend, read }) => {
      const { output } = typeof query === "number" ? await read() : await backend.attend(query);
      const scores = this.#scores(backend, output, live, size);
      const best = heaviestOf(live, scores, count);
      return Array.from(best, (slot) => ({ slot: nameOf(slot), score: scores[slot] }));
    });
  }

  /** Σ_h o_h · v of key head ⌊h·Hkv/H⌋, by slot. */
  #scores(backend: Backend, output: Float32Array, slots: Uint32Array, size: number): Float64Array {
    const { layout } = this.#rules, { heads, valueDim } = layout;
    const start = keyColumns(layout), row = new Float32Array(start + valueColumns(layout));
    // The outputs of heads that read the same values are added first.
    const sums = new Float64Array(valueColumns(layout));
    for (let h = 0; h < heads; h++) {
      for (let c = 0; c < valueDim; c++) {
        sums[keyHeadOf(layout, h) * valueDim + c] += output[h * valueDim + c];
      }
    }
    const scores = new Float64Array(size);
    for (const slot of slots) {
      backend.keys.copyRow(slot, row, 0);
      let sum = 0;
      for (let c = 0; c < sums.length; c++) sum += sums[c] * row[start + c];
      scores[slot] = sum;
    }
    return scores;
  }

  /** The present ids of the rows in these slots. */
  #namesOf(slots: Uint32Array): (slot: number) => RowId {
    const { keySlots } = this.#rules;
    if (!keySlots.ids) return (slot) => slot;
    const names = new Map(Array.from(slots, (slot) => [slot, keySlots.nameOf(slot)]));
    return (slot) => names.get(slot) as RowId;
  }
}
