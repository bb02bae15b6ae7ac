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

/** How far a step of a learner with an `error` may be from that of exact outputs. */
export interface StepBounds {
  /** For each score: a bound on its distance from exact. */
  readonly scores: Float64Array<ArrayBuffer>;
  /** A bound on the distance of the loss from that of exact scores; Infinity if the loss has no `smoothness`. */
  readonly loss: number;
  /** A bound on ‖∂L/∂score − that of exact scores‖₂, likewise. */
  readonly gradient: number;
}

/** A step that was made. */
export interface LearnedStep {
  /** The prediction before the step, exact unless there are `bounds`. */
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
  /** The bounds of a step by an output that may be stale; absent where it was exact. */
  readonly bounds?: StepBounds;
}

/** A step that was made of several examples. */
export interface LearnedBatch {
  /** The predictions before the step, one for each example, exact where there are no `bounds`. */
  readonly predictions: readonly Float64Array<ArrayBuffer>[];
  /** The weighted mean of the losses before the step. */
  readonly loss: number;
  /** The number of rows of keys, values and queries that the step has changed. */
  readonly rowsStepped: number;
  /** The largest weight that `top` left out, over examples and heads. */
  readonly leftOut: number;
  /** ∂L/∂q of each example's own loss times its share of the weight, H·d numbers. */
  readonly queryGradients: readonly Float64Array<ArrayBuffer>[];
  /** For each example, as of a {@link LearnedStep}; null where it was exact. Not there without the option `error`. */
  readonly bounds?: readonly (StepBounds | null)[];
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
