// Predict, then learn, word by word: every model gives the probability of the next word before it learns it.

import type { Contexts } from "./contexts.ts";
import { Bigram, type NextWordModel, Unigram, WindowCounts } from "./count_models.ts";
import { fitMixture, perplexity, type Probabilities, surprise } from "./mixture.ts";
import { type Speech, wordsOf } from "./speeches.ts";
import { USUAL_SHAPE, WordMemory } from "./word_memory.ts";
import type { Words } from "./words.ts";
import { meanInterval } from "../../src/learning/confidence.ts";

/** Speeches one after the other, as one text. */
export interface Text {
  readonly words: readonly number[];
  /** The index at which each speech begins, and finally the end of the text. */
  readonly starts: readonly number[];
}

/** The first `limit` words of every speech. */
export function toText(speeches: readonly Speech[], words: Words, limit: number): Text {
  const parts = speeches.map((speech) => wordsOf(speech, words, limit));
  const starts = [0];
  for (const part of parts) starts.push(starts[starts.length - 1] + part.length);
  return { words: parts.flat(), starts };
}

/**
 * The probabilities of each word of a text under the counting models: unigrams, bigrams, counts of the last
 * `window` words.
 */
export function countedProbabilities(
  text: Text,
  words: Words,
  window: number,
): Record<CountedName, Float64Array> {
  return {
    unigram: progressive(text, new Unigram(words.size), words),
    bigram: progressive(text, new Bigram(words.size), words),
    window: progressive(text, new WindowCounts(words.size, window), words),
  };
}

type CountedName = "unigram" | "bigram" | "window";

function progressive({ words: text }: Text, model: NextWordModel, words: Words): Float64Array {
  const probabilities = new Float64Array(text.length);
  for (let t = 0; t < text.length; t++) {
    const previous = text[t - 1] ?? words.unknown;
    probabilities[t] = model.probability(previous, text[t]);
    model.learn(previous, text[t]);
  }
  return probabilities;
}

/**
 * The probabilities of words 0 to `to` of a text under an exact attention memory; `passing` uses the word's
 * own vector as a passing query.
 */
export async function attentionProbabilities(
  text: Text,
  words: Words,
  contexts: Contexts,
  options: { readonly scale: number; readonly to?: number; readonly passing?: boolean },
  steps: (count: number) => Iterable<number> | AsyncIterable<number> = range,
): Promise<{ readonly probabilities: Float64Array; readonly multiplyAdds: number }> {
  const to = options.to ?? text.words.length;
  await using memory = await WordMemory.create(words, contexts, { ...USUAL_SHAPE, scale: options.scale });
  const probabilities = new Float64Array(to);
  for await (const t of steps(to)) {
    const previous = text.words[t - 1] ?? words.unknown, word = text.words[t];
    if (t > 0) {
      const distribution = await (options.passing ? memory.ask(previous) : memory.read(previous));
      probabilities[t] = memory.probability(distribution, word);
    }
    memory.learn(previous, word);
  }
  return { probabilities, multiplyAdds: memory.stats().multiplyAdds };
}

function* range(count: number): Iterable<number> {
  for (let at = 0; at < count; at++) yield at;
}

/** How a mixture does on speeches that its weights were not chosen on. */
export interface Score {
  readonly name: string;
  readonly weights: readonly number[];
  /** Over all those speeches. */
  readonly perplexity: number;
  /** The same speech by speech, in nats a word. */
  readonly nats: readonly number[];
}

/** Chooses weights on the first `tuned` speeches, and scores the others. */
export function scoreMixture(name: string, columns: Probabilities, { starts }: Text, tuned: number): Score {
  const weights = fitMixture(columns, 1, starts[tuned]);
  const nats = starts.slice(tuned, -1).map((from, at) => {
    const to = starts[tuned + at + 1];
    return surprise(columns, weights, from, to) / (to - from);
  });
  return {
    name,
    weights,
    nats,
    perplexity: perplexity(columns, weights, starts[tuned], starts[starts.length - 1]),
  };
}

/**
 * By how many nats a word `a` is better than `b`, speech by speech, with a 95 % interval for the mean over
 * speeches.
 */
export function gainOver(
  a: Score,
  b: Score,
): { readonly mean: number; readonly low: number; readonly high: number } {
  const gains = b.nats.map((nats, at) => nats - a.nats[at]);
  const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
  const variance = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / (gains.length - 1);
  return { mean, ...meanInterval(mean, variance, gains.length, 0.95) };
}
