/**
 * The forms of what a learner answers.
 */

/** A prediction from a stale answer. */
export interface StalePrediction {
  /** What the loss makes of the scores, a number a score. */
  readonly prediction: Float64Array<ArrayBuffer>;
  /** For each score, before the link of the loss: how far it can be from exact. */
  readonly bounds: Float64Array<ArrayBuffer>;
  /** Changed keys that the answer does not know of; 0 means that it is exact. */
  readonly pending: number;
}

/** What a step saw and did. */
export interface LearnedStep {
  /** The exact prediction before the step. */
  readonly prediction: Float64Array<ArrayBuffer>;
  /** L before the step. */
  readonly loss: number;
  /** Rows of keys, values and queries that were stepped, each counted once. */
  readonly rowsStepped: number;
  /** The largest weight that `top` left out, over the heads. */
  readonly leftOut: number;
  /** ∂L/∂q of the query, H·d: for whoever computes passing queries from numbers that learn, too. */
  readonly queryGradient: Float64Array<ArrayBuffer>;
}

/** What a learner has done. */
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
