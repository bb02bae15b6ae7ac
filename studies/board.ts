// The forecast board on one engine: a day is learnt, then the board is read.
//
// Invariant: the key slots hold the last KEY_COUNT observed days, the query slots the next QUERY_COUNT days,
// and a day that comes takes the slot of the one that goes.

import type { BackendName } from "../src/backends/select.ts";
import type { DynamicAttentionStats } from "../src/engine/answers.ts";
import { DynamicAttention } from "../src/engine/dynamic_attention.ts";
import { type BoardRows, lastDayOf, QUERY_COUNT } from "./board_rows.ts";
import { engineOptions, type Strategy } from "./strategies.ts";

/** The rows of the board. */
export interface Reading {
  /** One number a coming day, the next day first. */
  readonly output: Float32Array;
  /** For each of them, how far it can be from exact; null where the strategy does not say. */
  readonly bounds: Float64Array | null;
}

/** Keeps the board current in the way of a strategy. */
export class Board {
  readonly #live: DynamicAttention;
  readonly #rows: BoardRows;
  readonly #strategy: Strategy;
  /** Slots of the observed days, the oldest first. */
  readonly #keySlots: number[];
  /** Slots of the coming days, the next day first. */
  readonly #querySlots: number[];
  #state: number;

  private constructor(live: DynamicAttention, rows: BoardRows, state: number, strategy: Strategy) {
    const { keyCount, queryCount } = live.stats();
    this.#live = live;
    this.#rows = rows;
    this.#strategy = strategy;
    this.#state = state;
    this.#keySlots = Array.from({ length: keyCount }, (_, slot) => slot);
    this.#querySlots = Array.from({ length: queryCount }, (_, slot) => slot);
  }

  /** The board as it stands in state `state`, computed from scratch. */
  static async create(
    rows: BoardRows,
    state: number,
    strategy: Strategy,
    backend: BackendName,
  ): Promise<Board> {
    const live = await DynamicAttention.create({
      ...rows.ofState(state),
      scale: 1,
      backend,
      ...engineOptions(strategy),
    });
    return new Board(live, rows, state, strategy);
  }

  /**
   * Learns the next day: its observation comes, the oldest goes, and its query becomes that of the day behind
   * the last one on the board.
   */
  async learn(): Promise<void> {
    const live = this.#live, rows = this.#rows;
    this.#state++;
    const day = lastDayOf(this.#state);
    const oldest = take(this.#keySlots), passed = take(this.#querySlots);
    const key = rows.key(day), value = rows.value(day), query = rows.query(day + QUERY_COUNT);
    this.#querySlots.push(passed);
    // One batch: a threshold that is crossed in the middle of a day would show a board without that day.
    const [, inserted] = live.edit([
      { kind: "delete", slot: oldest },
      { kind: "insert", key, value },
      { kind: "setQuery", slot: passed, query },
    ]);
    this.#keySlots.push(inserted);
    if (this.#strategy.family === "everyAnswer") await live.rebuild();
  }

  /** The strategy's forecasts. */
  async read(): Promise<Reading> {
    switch (this.#strategy.family) {
      case "original":
      case "patch": {
        // The original algorithm has no certificates, so their work is not to be counted.
        const { output } = await this.#live.peek(this.#querySlots, { bounds: false });
        return { output: output.data, bounds: null };
      }
      case "budgetRebuild":
      case "budgetPatch":
      case "adaptive": {
        const { output, bounds } = await this.#live.peek(this.#querySlots);
        return { output: output.data, bounds };
      }
      case "everyAnswer":
      case "exact":
        return { output: (await this.#live.read(this.#querySlots)).data, bounds: null };
    }
  }

  stats(): DynamicAttentionStats {
    return this.#live.stats();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#live.dispose();
  }
}

function take(slots: number[]): number {
  const slot = slots.shift();
  if (slot === undefined) throw new Error("Board.learn: no slot is left, expected one per day");
  return slot;
}
