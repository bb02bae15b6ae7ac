/**
 * Losses: functions of scores and targets that a learner minimizes, with their derivatives and the link from
 * scores to a prediction.
 *
 * A *score* is one number of attention's output, or its product with the value of a key. The link turns it
 * into a *prediction*, which metrics compare with the target.
 */

import { describe, InputError } from "../base/errors.ts";

/**
 * A loss of K scores; an object with these members is a loss. Its methods must depend on nothing but their
 * arguments, which are copies. A step whose loss throws, or whose derivative is not finite, is refused.
 */
export interface Loss {
  /** The name in snapshots, including the loss's constants. */
  readonly name: string;
  /**
   * Throws when targets do not fit K scores.
   *
   * @throws {InputError} With `operation` in its message.
   */
  check(operation: string, targets: Float64Array, scoreCount: number): void;
  /** The prediction, K numbers. */
  predict(scores: Float64Array): Float64Array<ArrayBuffer>;
  /** L, a number; Infinity if it is beyond float64. */
  value(scores: Float64Array, targets: Float64Array): number;
  /** ∂L/∂score, K finite numbers. */
  gradient(scores: Float64Array, targets: Float64Array): Float64Array<ArrayBuffer>;
  /**
   * A number M ≥ 0 with ‖∇L(a) − ∇L(b)‖ ≤ M·‖a − b‖ for any K scores a and b and any targets, by which a learner
   * with the option `error` tells how far a loss and its derivative may be off; Infinity unless given.
   */
  smoothness?(scoreCount: number): number;
}

/**
 * ½ Σ (score − y)², for numbers; y has one number per score.
 *
 * @example
 * ```ts
 * import { squaredLoss } from "@attune/attention/learning";
 * import { assertEquals } from "@std/assert";
 *
 * const loss = squaredLoss();
 * assertEquals(loss.value(Float64Array.of(3), Float64Array.of(1)), 2);
 * assertEquals(loss.gradient(Float64Array.of(3), Float64Array.of(1)), Float64Array.of(2));
 * ```
 */
export function squaredLoss(): Loss {
  return {
    name: "squared",
    check: checkOneEach,
    predict: (scores) => Float64Array.from(scores),
    value: (scores, targets) =>
      sumOf(scores, (score, at) => {
        const error = score - targets[at];
        // The error is halved first, since the square may be beyond float64 when its half is not.
        return error / 2 * error;
      }),
    gradient: (scores, targets) => Float64Array.from(scores, (score, at) => score - targets[at]),
    smoothness: () => 1,
  };
}

/**
 * Σ ½e² for |e| ≤ δ, Σ δ(|e| − δ/2) beyond: quadratic up to an error of `delta` and linear from there on, so
 * that an outlier has little influence.
 *
 * Source: Huber, "Robust Estimation of a Location Parameter", 1964.
 *
 * @example
 * ```ts
 * import { huberLoss } from "@attune/attention/learning";
 * import { assertEquals } from "@std/assert";
 *
 * const loss = huberLoss(1); // errors beyond 1 pull no harder than an error of 1
 * assertEquals([...loss.gradient(Float64Array.of(0.5, 100), Float64Array.of(0, 0))], [0.5, 1]);
 * ```
 */
export function huberLoss(delta: number): Loss {
  if (!(typeof delta === "number" && delta > 0 && delta < Infinity)) {
    throw new InputError("huberLoss", `delta is ${describe(delta)}`, "a finite number above 0");
  }
  const clipped = (error: number) => Math.max(-delta, Math.min(delta, error));
  return {
    name: `huber(${delta})`,
    check: checkOneEach,
    predict: (scores) => Float64Array.from(scores),
    value: (scores, targets) =>
      sumOf(scores, (score, at) => {
        const error = score - targets[at], inside = clipped(error);
        return inside * (error - inside / 2);
      }),
    gradient: (scores, targets) => Float64Array.from(scores, (score, at) => clipped(score - targets[at])),
    smoothness: () => 1,
  };
}

/**
 * −Σ [y ln p + (1 − y) ln(1 − p)] with p = σ(score) = 1 / (1 + exp(−score)), for binary targets: y is true or
 * false, or a probability. The prediction is p.
 *
 * @example
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { logisticLoss, OnlineLearner } from "@attune/attention/learning";
 * import { assert } from "@std/assert";
 *
 * await using live = await DynamicAttention.create({
 *   query: [[0.1, 0]],
 *   queryIds: ["ann"],
 *   key: [[1, 0], [0, 1]],
 *   value: [[1, 0], [0, 1]],
 *   keyIds: ["sport", "music"],
 * });
 * const learner = new OnlineLearner(live, { loss: logisticLoss(), rate: 0.5 });
 * for (let step = 0; step < 20; step++) {
 *   await learner.learnOne({ query: "ann", against: "sport" }, true); // a click
 *   await learner.learnOne({ query: "ann", against: "music" }, false); // passed over
 * }
 * const [sport, music] = await learner.predictOne({ query: "ann", against: ["sport", "music"] });
 * assert(sport > 0.6 && music < 0.4, `${sport} ${music}`); // probabilities of a click
 * ```
 */
export function logisticLoss(): Loss {
  return {
    name: "logistic",
    check(operation, targets, scoreCount) {
      checkOneEach(operation, targets, scoreCount);
      const bad = targets.find((target) => !(target >= 0 && target <= 1));
      if (bad !== undefined) {
        throw new InputError(operation, `y has ${bad}`, "true, false or numbers from 0 to 1");
      }
    },
    predict: (scores) => Float64Array.from(scores, sigmoid),
    // −ln p = softplus(−score) and −ln(1 − p) = softplus(score). Differences of nearly equal numbers are
    // avoided: the loss of a good prediction is small and would lose its digits.
    value: (scores, targets) =>
      sumOf(scores, (score, at) => {
        const y = targets[at];
        return y * softplus(-score) + (1 - y) * softplus(score);
      }),
    gradient: (scores, targets) =>
      Float64Array.from(scores, (score, at) => {
        return (1 - targets[at]) * sigmoid(score) - targets[at] * sigmoid(-score);
      }),
    smoothness: () => 1 / 4,
  };
}

/**
 * Σ_j −ln σ(s_y − s_j) over all j ≠ y, where y is the index, from 0 on, of the score that should be the
 * largest of two or more. The prediction is the scores, whose order counts.
 *
 * Source: Rendle, Freudenthaler, Gantner, Schmidt-Thieme, "BPR: Bayesian Personalized Ranking", UAI 2009, §4.
 *
 * @example
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { OnlineLearner, rankingLoss } from "@attune/attention/learning";
 * import { assert } from "@std/assert";
 *
 * await using live = await DynamicAttention.create({
 *   query: [[0, 0]],
 *   key: [[1, 0], [0, 1], [-1, -1]],
 *   value: [[1, 0], [0, 1], [-1, -1]],
 * });
 * const learner = new OnlineLearner(live, { loss: rankingLoss(), rate: 0.3 });
 * const x = { query: 0, against: [0, 1, 2] }; // of the keys on the page
 * for (let step = 0; step < 20; step++) await learner.learnOne(x, 1); // the second one was taken
 * const [first, second, third] = await learner.predictOne(x);
 * assert(second > first && second > third);
 * ```
 */
export function rankingLoss(): Loss {
  return {
    name: "ranking",
    check(operation, targets, scoreCount) {
      if (scoreCount < 2) {
        throw new InputError(operation, `there is ${scoreCount} score to rank`, "at least 2");
      }
      const [target] = targets;
      if (targets.length === 1 && Number.isInteger(target) && target >= 0 && target < scoreCount) return;
      throw new InputError(
        operation,
        `y is ${describe([...targets])}`,
        `an index from 0 to ${scoreCount - 1}`,
      );
    },
    predict: (scores) => Float64Array.from(scores),
    value: (scores, [preferred]) =>
      sumOf(scores, (score, at) => at === preferred ? 0 : softplus(score - scores[preferred])),
    gradient(scores, [preferred]) {
      const gradient = Float64Array.from(scores, (score, at) => {
        return at === preferred ? 0 : sigmoid(score - scores[preferred]);
      });
      gradient[preferred] = -gradient.reduce((sum, x) => sum + x, 0);
      return gradient;
    },
    // The second derivative is a sum of at most ¼ (e_j − e_y)(e_j − e_y)ᵀ over j ≠ y, whose largest eigenvalue is K / 4.
    smoothness: (scoreCount) => scoreCount / 4,
  };
}

/** 1 / (1 + exp(−x)), without overflow. */
export function sigmoid(x: number): number {
  const small = Math.exp(-Math.abs(x));
  return x >= 0 ? 1 / (1 + small) : small / (1 + small);
}

/** ln(1 + exp(x)), without overflow. */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function sumOf(scores: Float64Array, term: (score: number, at: number) => number): number {
  return scores.reduce((sum, score, at) => sum + term(score, at), 0);
}

function checkOneEach(operation: string, targets: Float64Array, scoreCount: number): void {
  if (targets.length === scoreCount) return;
  throw new InputError(operation, `y has ${targets.length} numbers`, `${scoreCount} (one for each score)`);
}
