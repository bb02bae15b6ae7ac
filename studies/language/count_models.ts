// Predictions of the next word by counting: the baselines of the attention memory.
//
// Invariant: at any time the probabilities of a model sum to 1 over all words (of the window once it holds a
// word), and a model knows only the words that it was told to learn.

/** Says how probable a word is after another one, and learns what came. */
export interface NextWordModel {
  /** P(word | previous), from what was learnt so far. */
  probability(previous: number, word: number): number;
  learn(previous: number, word: number): void;
}

/** (count(w) + a) / (N + a V): how often a word came at all. */
export class Unigram implements NextWordModel {
  readonly #counts: Float64Array;
  readonly #pseudo: number;
  #total = 0;

  /** `size` is V; `pseudo` is a, how often each word is taken to have come before the text began. */
  constructor(size: number, pseudo = 0.1) {
    this.#counts = new Float64Array(size);
    this.#pseudo = pseudo;
  }

  probability(_: number, word: number): number {
    return (this.#counts[word] + this.#pseudo) / (this.#total + this.#pseudo * this.#counts.length);
  }

  learn(_: number, word: number): void {
    this.#counts[word]++;
    this.#total++;
  }
}

/**
 * (count(u w) + b P(w)) / (count(u) + b) with P of the unigrams: how often a word came after this one; the
 * less often u has come, the more counts how often w came at all.
 *
 * Source: MacKay, Peto, "A hierarchical Dirichlet language model", Natural Language Engineering 1 (1995).
 */
export class Bigram implements NextWordModel {
  readonly #unigram: Unigram;
  readonly #size: number;
  readonly #prior: number;
  readonly #pairs = new Map<number, number>();
  readonly #starts: Float64Array;

  /** `prior` is b, what the unigrams count for, in words. */
  constructor(size: number, prior = 100) {
    this.#unigram = new Unigram(size);
    this.#size = size;
    this.#prior = prior;
    this.#starts = new Float64Array(size);
  }

  probability(previous: number, word: number): number {
    const pairs = this.#pairs.get(previous * this.#size + word) ?? 0;
    const expected = this.#prior * this.#unigram.probability(previous, word);
    return (pairs + expected) / (this.#starts[previous] + this.#prior);
  }

  learn(previous: number, word: number): void {
    const pair = previous * this.#size + word;
    this.#pairs.set(pair, (this.#pairs.get(pair) ?? 0) + 1);
    this.#starts[previous]++;
    this.#unigram.learn(previous, word);
  }
}

/** The share of a word among the last `length` words: a cache without attention. */
export class WindowCounts implements NextWordModel {
  readonly #counts: Float64Array;
  readonly #window: Uint32Array;
  #learnt = 0;

  constructor(size: number, length: number) {
    this.#counts = new Float64Array(size);
    this.#window = new Uint32Array(length);
  }

  probability(_: number, word: number): number {
    return this.#counts[word] / Math.max(1, Math.min(this.#learnt, this.#window.length));
  }

  learn(_: number, word: number): void {
    const place = this.#learnt % this.#window.length;
    if (this.#learnt >= this.#window.length) this.#counts[this.#window[place]]--;
    this.#window[place] = word;
    this.#counts[word]++;
    this.#learnt++;
  }

  /** How often a word is in the window. */
  count(word: number): number {
    return this.#counts[word];
  }
}
