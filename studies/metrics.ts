// The measures of the studies: the distance of an answer from exact attention, and that of a forecast from
// the truth.

/** Sums from which the errors of a run follow; sums of parts add up. */
export interface Deviation {
  /** Σ (read − exact)². */
  readonly squaredDifference: number;
  /** Σ exact². */
  readonly squaredExact: number;
  /** max |read − exact|. */
  readonly largest: number;
}

export const NO_DEVIATION: Deviation = { squaredDifference: 0, squaredExact: 0, largest: 0 };

/** The sums with one more reading, `exact[offset + i]` being what `read[i]` should be. */
export function addReading(
  sums: Deviation,
  read: ArrayLike<number>,
  exact: ArrayLike<number>,
  offset: number,
): Deviation {
  let { squaredDifference, squaredExact, largest } = sums;
  for (let i = 0; i < read.length; i++) {
    const expected = exact[offset + i];
    const difference = Math.abs(read[i] - expected);
    squaredDifference += difference * difference;
    squaredExact += expected * expected;
    // Math.max keeps a NaN, a comparison would drop it.
    largest = Math.max(largest, difference);
  }
  return { squaredDifference, squaredExact, largest };
}

/** The sums of two parts together. */
export function mergeDeviations(a: Deviation, b: Deviation): Deviation {
  return {
    squaredDifference: a.squaredDifference + b.squaredDifference,
    squaredExact: a.squaredExact + b.squaredExact,
    largest: Math.max(a.largest, b.largest),
  };
}

/** ‖read − exact‖₂ / ‖exact‖₂ over all that was read. */
export function relativeError({ squaredDifference, squaredExact }: Deviation): number {
  return Math.sqrt(squaredDifference / squaredExact);
}

/**
 * Tells the forecast for day `origin + horizon` that was made when day `origin` was the last one observed.
 */
export type Forecaster = (origin: number, horizon: number) => number;

/**
 * Mean absolute error at one horizon over `count` origins from `first` on, as far as the day forecast is
 * observed; NaN when none is.
 */
export function meanAbsoluteError(
  births: ArrayLike<number>,
  forecaster: Forecaster,
  { first, count, horizon }: { first: number; count: number; horizon: number },
): number {
  let sum = 0, scored = 0;
  for (let origin = first; origin < first + count && origin + horizon < births.length; origin++) {
    sum += Math.abs(births[origin + horizon] - forecaster(origin, horizon));
    scored++;
  }
  return sum / scored;
}
