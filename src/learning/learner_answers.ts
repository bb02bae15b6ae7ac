/**
 * The answers of a learner.
 */

/** A prediction from a stale answer. */
export interface StalePrediction {
  /** The loss's prediction from the scores, K numbers for K scores. */
  readonly prediction: Float64Array<ArrayBuffer>;
  /** For each score, before the link of the loss: a bound on its distance from exact. */
  readonly bounds: Float64Array<ArrayBuffer>;
  /** The number of changed keys that the answer does not include; 0 means that it is exact. */
  readonly pending: number;
}

/** A step that was made. */
export interface LearnedStep {
  /** The exact prediction before the step. */
  readonly prediction: Float64Array<ArrayBuffer>;
  /** L before the step; Infinity if it is beyond float64, such as the square of an error of 10¹⁵⁵. */
  readonly loss: number;
  /** The number of rows of keys, values and queries that the step has changed. */
  readonly rowsStepped: number;
  /** The largest weight that `top` left out, over the heads. */
  readonly leftOut: number;
  /**
   * ∂L/∂q of the query, H·d numbers, for callers that compute passing queries from parameters of their own.
   */
  readonly queryGradient: Float64Array<ArrayBuffer>;
}

/** A step that was made of several examples. */
export interface LearnedBatch {
  /** The exact predictions before the step, one for each example. */
  readonly predictions: readonly Float64Array<ArrayBuffer>[];
  /** The weighted mean of the losses before the step. */
  readonly loss: number;
  /** The number of rows of keys, values and queries that the step has changed. */
  readonly rowsStepped: number;
  /** The largest weight that `top` left out, over examples and heads. */
  readonly leftOut: number;
  /** ∂L/∂q of each example's own loss times its share of the weight, H·d numbers. */
  readonly queryGradients: readonly Float64Array<ArrayBuffer>[];
}

/** Counts of a learner. */
export interface LearnerStats {
  /** The number of steps: examples learned from, a mini-batch being one. */
  readonly steps: number;
  /** The number of predictions from exact reads. */
  readonly exactReads: number;
  /** The number of predictions from stale reads. */
  readonly staleReads: number;
  /** The number of keys with an optimizer state. */
  readonly keyStates: number;
  /** The number of values with an optimizer state. */
  readonly valueStates: number;
  /** The number of standing queries with an optimizer state. */
  readonly queryStates: number;
}
