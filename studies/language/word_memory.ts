// The memory that slides over a text: which words have followed words like this one lately?
//
// Of each of the last n words, the key is the vector of the word before it and the value says which word it
// was. Attention of a context q gives Σ_j w_j [word j is x] with w_j ∝ exp(θ q·k_j), a distribution over the
// words of the window.
//
// A column for each of ten thousand words would be too much: the most frequent words have a column each, the
// others share some, and within a column counts of the window say which word is meant. The probabilities
// still sum to 1.

import { DynamicAttention, type DynamicAttentionStats } from "../../mod.ts";
import { engineOptions, type Strategy } from "../strategies.ts";
import type { Contexts } from "./contexts.ts";
import { WindowCounts } from "./count_models.ts";
import type { Words } from "./words.ts";

/** How large a memory is. */
export interface MemoryShape {
  /** n, how many words it remembers. */
  readonly length: number;
  /** θ: how much more alike contexts count. */
  readonly scale: number;
  /** Columns of the values: of frequent words, a column each, and those that the others share. */
  readonly singleColumns: number;
  readonly sharedColumns: number;
}

export const USUAL_SHAPE: MemoryShape = { length: 1000, scale: 25, singleColumns: 96, sharedColumns: 160 };

/** The exact quantities before each word. */
export const EXACT: Strategy = { family: "exact", threshold: null, error: null };

/** An attention memory with a standing query for each context. */
export class WordMemory {
  readonly #live: DynamicAttention;
  readonly #words: Words;
  readonly #contexts: Contexts;
  readonly #shape: MemoryShape;
  readonly #strategy: Strategy;
  readonly #window: WindowCounts;
  readonly #columnCounts: Float64Array;
  /** The columns of the words that are remembered, by slot. */
  readonly #columns: Uint32Array;
  #learnt = 0;

  private constructor(
    live: DynamicAttention,
    words: Words,
    contexts: Contexts,
    shape: MemoryShape,
    strategy: Strategy,
  ) {
    this.#live = live;
    this.#words = words;
    this.#contexts = contexts;
    this.#shape = shape;
    this.#strategy = strategy;
    this.#window = new WindowCounts(words.size, shape.length);
    this.#columnCounts = new Float64Array(shape.singleColumns + shape.sharedColumns);
    this.#columns = new Uint32Array(shape.length);
  }

  /** A memory of nothing. */
  static async create(
    words: Words,
    contexts: Contexts,
    shape: MemoryShape = USUAL_SHAPE,
    strategy: Strategy = EXACT,
  ): Promise<WordMemory> {
    const columns = shape.singleColumns + shape.sharedColumns;
    const live = await DynamicAttention.create({
      query: [...contexts.queries],
      key: { data: new Float32Array(0), shape: [0, words.dimensions] },
      value: { data: new Float32Array(0), shape: [0, columns] },
      scale: shape.scale,
      ...engineOptions(strategy),
      threads: 1,
    });
    return new WordMemory(live, words, contexts, shape, strategy);
  }

  /** A memory of the words of `text`, the first of which follows none. */
  static async filled(
    words: Words,
    contexts: Contexts,
    shape: MemoryShape,
    strategy: Strategy,
    text: readonly number[],
  ): Promise<WordMemory> {
    const memory = await WordMemory.create(words, contexts, shape, strategy);
    text.forEach((word, t) => memory.#note(text[t - 1] ?? words.unknown, word));
    await memory.#live.rebuild();
    return memory;
  }

  /** The distribution over columns after a word, exact or stale, as the strategy says. */
  async read(previous: number): Promise<Float32Array> {
    const rows = [this.#contexts.ofWord[previous]];
    const { family } = this.#strategy;
    if (family === "everyAnswer") {
      return (await this.#live.attend(rows.map((row) => this.#live.getQuery(row)))).data;
    }
    if (family === "exact") return (await this.#live.read(rows)).data;
    return (await this.#live.peek(rows, { bounds: this.#strategy.error !== null })).output.data;
  }

  /** As `read`, of the vector of the word itself and from scratch: O(n (d + dv)), nothing is kept. */
  async ask(previous: number): Promise<Float32Array> {
    return (await this.#live.attend([this.#words.vector(previous)])).data;
  }

  /** The probability of a word, from a distribution over columns. */
  probability(distribution: ArrayLike<number>, word: number): number {
    const inWindow = this.#window.count(word);
    if (inWindow === 0) return 0;
    const column = this.#columnOf(word);
    return Math.max(0, distribution[column]) * inWindow / this.#columnCounts[column];
  }

  /** Remembers a word after another one, in place of the oldest. */
  learn(previous: number, word: number): void {
    this.#note(previous, word);
  }

  #note(previous: number, word: number): void {
    const { length } = this.#shape;
    const key = this.#words.vector(previous), column = this.#columnOf(word);
    const value = new Float32Array(this.#columnCounts.length);
    value[column] = 1;
    const slot = this.#learnt % length;
    if (this.#learnt < length) this.#live.insert(key, value);
    else {
      this.#live.set(slot, key, value);
      this.#columnCounts[this.#columns[slot]]--;
    }
    this.#columns[slot] = column;
    this.#columnCounts[column]++;
    this.#window.learn(previous, word);
    this.#learnt++;
  }

  /** Sizes and counted work. */
  stats(): DynamicAttentionStats {
    return this.#live.stats();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#live.dispose();
  }

  #columnOf(word: number): number {
    const { singleColumns, sharedColumns } = this.#shape;
    return word < singleColumns ? word : singleColumns + word % sharedColumns;
  }
}
