/**
 * The answers of a learner.
 */

/** A prediction from a stale answer. */
export interface StalePrediction {
  /** The prediction that the loss makes of the scores, K numbers for K scores. */
  readonly prediction: Float64Array<ArrayBuffer>;
  /** For each score, before the link of the loss: how far it can be from exact. */
  readonly bounds: Float64Array<ArrayBuffer>;
  /** Changed keys that the answer does not know of; 0 means that it is exact. */
  readonly pending: number;
}

/** A step that was made. */
export interface LearnedStep {
  /** The exact prediction before the step. */
  readonly prediction: Float64Array<ArrayBuffer>;
  /** L before the step; Infinity where it is beyond float64, such as the square of an error of 10¹⁵⁵. */
  readonly loss: number;
  /** Rows of keys, values and queries that were stepped, each counted once. */
  readonly rowsStepped: number;
  /** The largest weight that `top` left out, over the heads. */
  readonly leftOut: number;
  /** ∂L/∂q of the query, H·d numbers: to learn from where passing queries are computed from other numbers. */
  readonly queryGradient: Float64Array<ArrayBuffer>;
}

/** Counts of a learner. */
export interface LearnerStats {
  /** Examples learned from. */
  readonly steps: number;
  /** Predictions from exact reads. */
  readonly exactReads: number;
  /** Predictions from stale ones. */
  readonly staleReads: number;
  /** Keys with a state of the optimizer. */
  readonly keyStates: number;
  /** Values with a state. */
  readonly valueStates: number;
  /** Standing queries with a state. */
  readonly queryStates: number;
}
