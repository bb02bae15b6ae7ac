// The same memory kept in several ways: what each costs, how far its answers are from exact, and what that
// does to prediction.

import { addReading, NO_DEVIATION, relativeError } from "../metrics.ts";
import { type Strategy, strategyName } from "../strategies.ts";
import type { Contexts } from "./contexts.ts";
import type { Text } from "./next_word.ts";
import { EXACT, type MemoryShape, WordMemory } from "./word_memory.ts";
import type { Words } from "./words.ts";

/** The result of one way over a run of words. */
export interface PolicyResult {
  readonly name: string;
  readonly strategy: Strategy;
  /** Multiply-adds a word, the reading included. */
  readonly cost: number;
  /** ‖read − exact‖ / ‖exact‖ over all readings. */
  readonly relativeError: number;
  /** The probability of each word of the run. */
  readonly probabilities: Float64Array;
}

/** The ways that are compared. */
export const POLICIES: readonly Strategy[] = [
  { family: "everyAnswer", threshold: null, error: null },
  ...[16, 64, 256].map((threshold) => ({ family: "original", threshold, error: null }) as const),
  ...[16, 64, 256].map((threshold) => ({ family: "patch", threshold, error: null }) as const),
  ...[0.03, 0.1, 0.3].map((error) => ({ family: "budgetPatch", threshold: null, error }) as const),
  ...[0.03, 0.1, 0.3].map((error) => ({ family: "adaptive", threshold: null, error }) as const),
  EXACT,
];

/** Runs every way over words `from` to `to` of a text, each with a memory that is full at the beginning. */
export async function comparePolicies(
  text: Text,
  words: Words,
  contexts: Contexts,
  shape: MemoryShape,
  stretch: { readonly from: number; readonly to: number },
  strategies: readonly Strategy[] = POLICIES,
): Promise<PolicyResult[]> {
  const { from, to } = stretch;
  if (!(from >= shape.length && to > from && to <= text.words.length)) {
    throw new Error(
      `comparePolicies: words ${from} to ${to}, expected some from ${shape.length} to ${text.words.length}`,
    );
  }
  const run = (strategy: Strategy) =>
    runPolicy({ text: text.words, words, contexts, shape }, strategy, { from, to });
  const exact = await run(EXACT);
  const results: PolicyResult[] = [];
  for (const strategy of strategies) {
    const { readings, probabilities, multiplyAdds } = strategy === EXACT ? exact : await run(strategy);
    const deviation = readings.reduce(
      (sums, reading, at) => addReading(sums, reading, exact.readings[at], 0),
      NO_DEVIATION,
    );
    results.push({
      name: strategy.family === "everyAnswer" ? "the row asked for, computed anew" : strategyName(strategy),
      strategy,
      cost: multiplyAdds / (to - from),
      relativeError: relativeError(deviation),
      probabilities,
    });
  }
  return results;
}

async function runPolicy(
  { text, words, contexts, shape }: {
    readonly text: Text["words"];
    readonly words: Words;
    readonly contexts: Contexts;
    readonly shape: MemoryShape;
  },
  strategy: Strategy,
  { from, to }: { readonly from: number; readonly to: number },
) {
  // Filled in one go, whatever the way: catching up during the filling would tell nothing.
  await using memory = await WordMemory.filled(
    words,
    contexts,
    shape,
    strategy,
    text.slice(from - shape.length, from),
  );
  const before = memory.stats().multiplyAdds;
  const readings: Float32Array[] = [];
  const probabilities = new Float64Array(to - from);
  for (let t = from; t < to; t++) {
    const distribution = await memory.read(text[t - 1]);
    readings.push(distribution);
    probabilities[t - from] = memory.probability(distribution, text[t]);
    memory.learn(text[t - 1], text[t]);
  }
  return { readings, probabilities, multiplyAdds: memory.stats().multiplyAdds - before };
}
