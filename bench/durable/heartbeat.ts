// How long the event loop stands still: it beats as often as it can, and the time between two beats is a stop.

import { setImmediate } from "node:timers";
import { quantile } from "simple-statistics";

/** Times between two beats, in milliseconds. */
export interface Stops {
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

/** What was seen of the loop while something ran. */
export interface Beats {
  /** The longest time between two beats. */
  readonly longest: number;
  /**
   * The most time for which the loop's thread has computed between two beats: on a machine that others use, too, this is
   * what the program itself has done, without waits for the disk or the processor. NaN where the system does not tell.
   */
  readonly longestCpu: number;
  readonly ms: number;
}

/** Runs something while the loop beats. */
export async function beatsDuring(run: () => Promise<unknown>): Promise<Beats> {
  let isDone = false, last = performance.now(), longest = 0, lastCpu = cpuMs(), longestCpu = 0;
  const note = () => {
    const now = performance.now(), cpu = cpuMs();
    longest = Math.max(longest, now - last);
    longestCpu = Math.max(longestCpu, cpu - lastCpu);
    last = now;
    lastCpu = cpu;
  };
  const beat = () => {
    note();
    if (!isDone) setImmediate(beat);
  };
  setImmediate(beat);
  await new Promise<void>((resolve) => setImmediate(resolve));
  longest = longestCpu = 0;
  const start = last = performance.now();
  await run();
  const ms = performance.now() - start;
  note();
  isDone = true;
  await new Promise<void>((resolve) => setImmediate(resolve));
  return { longest, longestCpu, ms };
}

/** Milliseconds for which this thread has computed. */
function cpuMs(): number {
  if (Deno.build.os !== "linux") return NaN;
  return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]) / 1e6;
}

/** The longest stop of each run: their median, 99th percentile and the longest. */
export function summaryOf(longest: readonly number[]): Stops {
  const [p50, p99, most] = quantile([...longest], [0.5, 0.99, 1]);
  return { p50, p99, most };
}
