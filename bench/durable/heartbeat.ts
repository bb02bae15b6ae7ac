// How long the event loop stands still: it beats as often as it can, and the time between two beats is a stop.

import { setImmediate } from "node:timers";
import { quantile } from "simple-statistics";

/** Times between two beats, in milliseconds. */
export interface Stops {
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

/** Runs something while the loop beats. */
export async function stopsDuring(run: () => Promise<unknown>): Promise<{ stops: number[]; ms: number }> {
  const stops: number[] = [];
  let isDone = false, last = performance.now();
  const beat = () => {
    const now = performance.now();
    stops.push(now - last);
    last = now;
    if (!isDone) setImmediate(beat);
  };
  setImmediate(beat);
  await new Promise<void>((resolve) => setImmediate(resolve));
  stops.length = 0;
  const start = performance.now();
  last = start;
  await run();
  const ms = performance.now() - start;
  stops.push(performance.now() - last);
  isDone = true;
  await new Promise<void>((resolve) => setImmediate(resolve));
  return { stops, ms };
}

/** The longest stop of each run: their median, 99th percentile and the longest. */
export function summaryOf(longest: readonly number[]): Stops {
  const [p50, p99, most] = quantile([...longest], [0.5, 0.99, 1]);
  return { p50, p99, most };
}
