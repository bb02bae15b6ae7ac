import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "../../../testing/assert.ts";
import type { Contexts } from "../../../studies/language/contexts.ts";
import { Bigram, Unigram, WindowCounts } from "../../../studies/language/count_models.ts";
import { comparePolicies } from "../../../studies/language/memory_policies.ts";
import { fitMixture, mixed, perplexity } from "../../../studies/language/mixture.ts";
import { attentionProbabilities, gainOver, scoreMixture } from "../../../studies/language/next_word.ts";
import { EXACT, WordMemory } from "../../../studies/language/word_memory.ts";
import { dot, Words } from "../../../studies/language/words.ts";

const words = new Words(["a", "b", "c", "d"], [1, 0, 0, 1, 1, 1, 1, -1], 2);
const TEXT = [0, 1, 2, 0, 1, 3, 4, 0, 1, 2, 2, 0, 3, 1, 0, 1, 2, 0];
const contexts: Contexts = {
  queries: Array.from({ length: words.size }, (_, word) => words.vector(word)),
  ofWord: Uint32Array.from({ length: words.size }, (_, word) => word),
};
const shape = { length: 6, scale: 3, singleColumns: 2, sharedColumns: 2 };

Deno.test("counting models: probabilities sum to 1 whatever was learnt", () => {
  for (const model of [new Unigram(5), new Bigram(5), new WindowCounts(5, 3)]) {
    TEXT.forEach((word, t) => {
      if (t > 0) {
        const sum = [0, 1, 2, 3, 4].reduce((sum, next) => sum + model.probability(TEXT[t - 1], next), 0);
        assertAlmostEquals(sum, 1, 1e-12);
        model.learn(TEXT[t - 1], word);
      } else model.learn(4, word);
    });
  }
});

Deno.test("counting models: a bigram knows what follows, a window forgets", () => {
  const bigram = new Bigram(5, 1), window = new WindowCounts(5, 2);
  for (let t = 1; t < TEXT.length; t++) {
    bigram.learn(TEXT[t - 1], TEXT[t]);
    window.learn(TEXT[t - 1], TEXT[t]);
  }
  assert(bigram.probability(0, 1) > 0.6);
  assertEquals([window.probability(0, 2), window.probability(0, 1)], [0.5, 0]);
});

Deno.test("mixture: all weight goes to the model that is right, and each round can only help", () => {
  const good = Float64Array.of(0.5, 0.6, 0.4), bad = Float64Array.of(0.1, 0.1, 0.1);
  const weights = fitMixture([good, bad], 0, 3);
  assertAlmostEquals(weights[0] + weights[1], 1, 1e-12);
  assert(weights[0] > 0.999);
  assertAlmostEquals(mixed([good, bad], [0.5, 0.5], 0), 0.3, 1e-12);
  assertAlmostEquals(perplexity([Float64Array.of(0.25, 0.25)], [1], 0, 2), 4, 1e-12);
  assertThrows(() => fitMixture([good], 2, 2), Error, "expected at least one");
  assertThrows(() => fitMixture([Float64Array.of(0)], 0, 1), Error, "expected above 0");
});

Deno.test("scores: weights come from the first speeches alone", () => {
  const a = Float64Array.of(0.5, 0.5, 0.5, 0.1, 0.1, 0.2), b = Float64Array.of(0.1, 0.1, 0.1, 0.5, 0.5, 0.4);
  const text = { words: [0, 0, 0, 0, 0, 0], starts: [0, 3, 5, 6] };
  const score = scoreMixture("both", [a, b], text, 1);
  assert(score.weights[0] > 0.999);
  assertEquals(score.nats.length, 2);
  const gain = gainOver(scoreMixture("b", [b], text, 1), score);
  assert(gain.low < gain.mean && gain.mean < gain.high && gain.mean > 0.5);
});

/** By definition, with a sum over words and no engine. */
function expected(at: number, word: number): number {
  const question = words.vector(TEXT[at - 1]);
  let mass = 0;
  const columns = new Map<number, number>(), counts = new Map<number, number>();
  const columnOf = (word: number) => word < 2 ? word : 2 + word % 2;
  for (let t = Math.max(0, at - shape.length); t < at; t++) {
    const weight = Math.exp(shape.scale * dot(question, words.vector(TEXT[t - 1] ?? words.unknown)));
    mass += weight;
    columns.set(columnOf(TEXT[t]), (columns.get(columnOf(TEXT[t])) ?? 0) + weight);
    counts.set(TEXT[t], (counts.get(TEXT[t]) ?? 0) + 1);
  }
  const inColumn = [...counts].reduce(
    (sum, [other, count]) => columnOf(other) === columnOf(word) ? sum + count : sum,
    0,
  );
  return inColumn === 0 ? 0 : (columns.get(columnOf(word)) ?? 0) / mass * (counts.get(word) ?? 0) / inColumn;
}

Deno.test("word memory: what it says is attention over the window by definition, standing and asked anew", async () => {
  await using memory = await WordMemory.create(words, contexts, shape);
  for (let t = 0; t < TEXT.length; t++) {
    if (t > 0) {
      for (const reading of [await memory.read(TEXT[t - 1]), await memory.ask(TEXT[t - 1])]) {
        let sum = 0;
        for (let word = 0; word < words.size; word++) {
          const probability = memory.probability(reading, word);
          assertAlmostEquals(probability, expected(t, word), 1e-5);
          sum += probability;
        }
        assertAlmostEquals(sum, 1, 1e-5);
      }
    }
    memory.learn(TEXT[t - 1] ?? words.unknown, TEXT[t]);
  }
});

Deno.test("next word: a word is predicted before it is learnt", async () => {
  const text = { words: [0, 1, 1, 1], starts: [0, 4] };
  const { probabilities, multiplyAdds } = await attentionProbabilities(text, words, contexts, { scale: 1 });
  assertEquals([...probabilities.subarray(0, 2)], [0, 0]);
  assert(probabilities[2] > 0 && probabilities[3] > probabilities[2]);
  assert(multiplyAdds > 0);
});

Deno.test("policies: exact ways are exact, waiting is not, and a budget is kept on average", async () => {
  const text = { words: [...TEXT, ...TEXT, ...TEXT], starts: [0, 3 * TEXT.length] };
  const results = await comparePolicies(text, words, contexts, shape, { from: 8, to: 50 }, [
    { family: "everyAnswer", threshold: null, error: null },
    { family: "original", threshold: 4, error: null },
    { family: "patch", threshold: 4, error: null },
    { family: "budgetPatch", threshold: null, error: 0.05 },
    EXACT,
  ]);
  const [everyAnswer, original, patch, budget, exact] = results;
  assertEquals(exact.relativeError, 0);
  assert(everyAnswer.relativeError < 1e-5);
  assert(original.relativeError > 0.01);
  assertAlmostEquals(patch.relativeError, original.relativeError, 1e-5);
  assert(budget.relativeError < original.relativeError);
  assertEquals(everyAnswer.cost, 6 * (2 + 4 + 2), "one row over six keys: scores, columns, mass, rounding");
  await assertRejects(
    () => comparePolicies(text, words, contexts, shape, { from: 2, to: 50 }),
    Error,
    "expected some from 6",
  );
});
