// Standing questions about topics over the sentences of all speeches.
//
// A key is the vector of a sentence, a value says in which year it was spoken, a column a year, and whether a
// reader has marked it. Attention of a topic is then a distribution over years, and what it gives to marked
// sentences is a column of its own.

import { DynamicAttention } from "../../mod.ts";
import type { Speech } from "./speeches.ts";
import { splitWords, toUnit, type Words } from "./words.ts";

/** A question that stands. */
export interface Topic {
  readonly name: string;
  /** The question is the mean of their vectors. */
  readonly words: readonly string[];
  /** Words that speak of it too; what attention found is held against how often they come. */
  readonly heldOut: readonly string[];
}

export const TOPICS: readonly Topic[] = [
  {
    name: "Soviet Union",
    words: ["soviet", "communist"],
    heldOut: ["moscow", "communism", "afghanistan", "poland"],
  },
  { name: "arms", words: ["nuclear", "missile"], heldOut: ["weapons", "arms", "warheads", "missiles"] },
  {
    name: "terrorism",
    words: ["terrorist", "terrorism"],
    heldOut: ["terrorists", "qaeda", "attacks", "taliban"],
  },
  { name: "Iraq", words: ["iraq", "iraqi"], heldOut: ["saddam", "baghdad", "kuwait", "hussein"] },
  {
    name: "health care",
    words: ["health", "insurance"],
    heldOut: ["medicare", "patients", "doctors", "medicaid", "doctor"],
  },
  {
    name: "education",
    words: ["school", "education"],
    heldOut: ["teachers", "students", "schools", "college"],
  },
  { name: "jobs", words: ["jobs", "unemployment"], heldOut: ["workers", "wages", "hiring", "job"] },
  { name: "deficit", words: ["deficit", "budget"], heldOut: ["spending", "debt", "deficits", "balanced"] },
  { name: "energy", words: ["energy", "oil"], heldOut: ["gas", "coal", "solar", "fuel", "gasoline"] },
  { name: "virus", words: ["virus", "vaccine"], heldOut: ["pandemic", "flu", "disease", "aids"] },
];

/** The weight of a word in a sentence, which is less for more frequent words (the list is in that order). */
const RARE_RANK = 300;
const SCALE = 12;

/**
 * The direction of a sentence: the mean of its words' vectors, frequent words counting less, less the mean of
 * all words.
 *
 * Source: Arora, Liang, Ma, "A simple but tough-to-beat baseline for sentence embeddings", ICLR 2017, for the
 * weights.
 */
export class SentenceVectors {
  readonly #words: Words;
  readonly #mean: Float32Array;

  constructor(words: Words) {
    this.#words = words;
    this.#mean = new Float32Array(words.dimensions);
    for (let word = 0; word < words.unknown; word++) {
      const vector = words.vector(word);
      for (let c = 0; c < vector.length; c++) this.#mean[c] += vector[c] / words.unknown;
    }
  }

  /** 0 where no word is known. */
  of(names: readonly string[]): Float32Array<ArrayBuffer> {
    const sum = new Float32Array(this.#words.dimensions);
    for (const name of names) {
      const word = this.#words.numberOf(name);
      if (word === this.#words.unknown) continue;
      const weight = word / (word + RARE_RANK), vector = this.#words.vector(word);
      for (let c = 0; c < sum.length; c++) sum[c] += weight * (vector[c] - this.#mean[c]);
    }
    toUnit(sum);
    return sum;
  }
}

/** The sentences of speeches so far, and topics that look at them. */
export class TopicMemory {
  /** The engine, whose slots are numbers of sentences. */
  readonly live: DynamicAttention;
  readonly #vectors: SentenceVectors;
  readonly #firstYear: number;
  readonly #years: number;
  readonly #sentences: { readonly year: number; readonly text: string }[] = [];

  private constructor(live: DynamicAttention, vectors: SentenceVectors, firstYear: number, years: number) {
    this.live = live;
    this.#vectors = vectors;
    this.#firstYear = firstYear;
    this.#years = years;
  }

  /** A memory of nothing, for `years` years from `firstYear` on. */
  static async create(
    words: Words,
    topics: readonly Topic[],
    firstYear: number,
    years: number,
  ): Promise<TopicMemory> {
    const vectors = new SentenceVectors(words);
    const live = await DynamicAttention.create({
      query: topics.map((topic) => vectors.of(topic.words)),
      key: { data: new Float32Array(0), shape: [0, words.dimensions] },
      value: { data: new Float32Array(0), shape: [0, years + 1] },
      scale: SCALE,
      lazyThreshold: Infinity,
      threads: 1,
    });
    return new TopicMemory(live, vectors, firstYear, years);
  }

  /** Hears a speech: a key a sentence. */
  hear({ year, sentences }: Speech): void {
    for (const text of sentences) {
      this.live.insert(this.#vectors.of(splitWords(text)), this.#valueOf(year, false));
      this.#sentences.push({ year, text });
    }
  }

  /** The sentence in a slot. */
  sentence(slot: number): { readonly year: number; readonly text: string } {
    return this.#sentences[slot];
  }

  /** Marks a sentence, or takes the mark away: one value changes. */
  mark(slot: number, isMarked = true): void {
    this.live.setValue(slot, this.#valueOf(this.#sentences[slot].year, isMarked));
  }

  /** The column of the output that says what attention marked sentences have. */
  get markColumn(): number {
    return this.#years;
  }

  /** The attention that each topic gives to each year; a row a topic, sums 1. */
  async byYear(): Promise<number[][]> {
    const { data, shape: [rows, columns] } = await this.live.read();
    return Array.from(
      { length: rows },
      (_, row) => [...data.subarray(row * columns, row * columns + this.#years)],
    );
  }

  #valueOf(year: number, isMarked: boolean): Float32Array {
    const value = new Float32Array(this.#years + 1);
    value[year - this.#firstYear] = 1;
    value[this.#years] = isMarked ? 1 : 0;
    return value;
  }
}

/** How often words come in each speech, a share of all its words. */
export function shareOfWords(speeches: readonly Speech[], names: readonly string[]): number[] {
  const wanted = new Set(names);
  return speeches.map(({ sentences }) => {
    const words = sentences.flatMap(splitWords);
    return words.filter((word) => wanted.has(word)).length / Math.max(1, words.length);
  });
}

/**
 * Spearman's correlation: that of ranks, in which equal numbers share the mean of theirs; NaN where one side
 * never changes.
 */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) {
    throw new Error(`rankCorrelation: ${a.length} and ${b.length} numbers, expected as many`);
  }
  const [x, y] = [ranks(a), ranks(b)];
  const middle = (a.length - 1) / 2;
  let xy = 0, xx = 0, yy = 0;
  for (let at = 0; at < a.length; at++) {
    xy += (x[at] - middle) * (y[at] - middle);
    xx += (x[at] - middle) ** 2;
    yy += (y[at] - middle) ** 2;
  }
  return xy / Math.sqrt(xx * yy);
}

function ranks(numbers: readonly number[]): number[] {
  return numbers.map((number) => {
    const below = numbers.filter((other) => other < number).length;
    const equal = numbers.filter((other) => other === number).length;
    return below + (equal - 1) / 2;
  });
}
