// Of many times one number and its spread, and whether a series of them still gets better.

/** Milliseconds of repeated runs. */
export interface Timing {
  readonly median: number;
  /** First and third quartile. */
  readonly spread: readonly [number, number];
  readonly runs: number;
  /** Whether times had stopped improving before they were taken. */
  readonly warm: boolean;
}

/** The number below which a share of the samples lies, interpolated between the two nearest. */
export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new RangeError("quantile: there are no samples, expected at least one");
  const sorted = samples.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const below = Math.floor(at), above = Math.ceil(at);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/** Median and quartiles. */
export function summarize(samples: readonly number[], warm: boolean): Timing {
  return {
    median: quantile(samples, 0.5),
    spread: [quantile(samples, 0.25), quantile(samples, 0.75)],
    runs: samples.length,
    warm,
  };
}

const SETTLED_BATCHES = 3, SETTLED_GAIN = 0.03;

/**
 * Whether the medians of consecutive batches have stopped improving: none of the last three is more than 3 % below
 * the best one before them.
 */
export function hasSettled(medians: readonly number[]): boolean {
  if (medians.length <= SETTLED_BATCHES) return false;
  const before = Math.min(...medians.slice(0, -SETTLED_BATCHES));
  return Math.min(...medians.slice(-SETTLED_BATCHES)) >= before * (1 - SETTLED_GAIN);
}

/** A number with three digits. */
export function short(number: number): string {
  return number >= 1000 ? Math.round(number).toLocaleString("en") : number.toPrecision(3);
}
