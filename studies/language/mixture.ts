// Several models as one: Σ_k λ_k P_k(word), with weights that make a stretch of text as probable as a mixture
// can.

/** The probabilities of each word under several models: `columns[k][t]` is P_k of word t. */
export type Probabilities = readonly Float64Array[];

const ROUNDS = 60;

/**
 * Weights ≥ 0 with the sum 1 under which Π_t Σ_k λ_k P_k(t) is largest over words `from` to `to`, by
 * expectation and maximisation: each model takes of each word the share that it had in its probability, and
 * weighs as much as it took. O(rounds · words · models).
 *
 * @throws {Error} When no word is asked about, or one that no model holds possible.
 */
export function fitMixture(columns: Probabilities, from: number, to: number): number[] {
  if (!(to > from)) throw new Error(`fitMixture: words ${from} to ${to} are none, expected at least one`);
  let weights = columns.map(() => 1 / columns.length);
  for (let round = 0; round < ROUNDS; round++) {
    const taken = columns.map(() => 0);
    for (let t = from; t < to; t++) {
      const whole = mixed(columns, weights, t);
      if (!(whole > 0)) {
        throw new Error(`fitMixture: word ${t} has the probability ${whole}, expected above 0`);
      }
      for (const [k, column] of columns.entries()) taken[k] += weights[k] * column[t] / whole;
    }
    weights = taken.map((share) => share / (to - from));
  }
  return weights;
}

/** Σ_k λ_k P_k of word t. */
export function mixed(columns: Probabilities, weights: readonly number[], t: number): number {
  return columns.reduce((sum, column, k) => sum + weights[k] * column[t], 0);
}

/** −Σ ln P over words `from` to `to` of a mixture, in nats. */
export function surprise(
  columns: Probabilities,
  weights: readonly number[],
  from: number,
  to: number,
): number {
  let sum = 0;
  for (let t = from; t < to; t++) sum -= Math.log(mixed(columns, weights, t));
  return sum;
}

/** The perplexity, exp of the mean surprise: the size of a fair choice with the same uncertainty. */
export function perplexity(
  columns: Probabilities,
  weights: readonly number[],
  from: number,
  to: number,
): number {
  return Math.exp(surprise(columns, weights, from, to) / (to - from));
}
