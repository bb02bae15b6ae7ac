// How long the event loop stands still: it beats as often as it can, and the time between two beats is a stop. On a machine that
// others use, too, most of a stop may have nothing to do with the program: its thread waits for a processor, which Linux counts, or
// the whole virtual machine stands still, which nobody counts. Then the clock goes on while the thread neither computes nor waits
// nor has given up its processor. The rest is the program's own: it computes, and waits for the disk or for other threads.

import { setImmediate } from "node:timers";
import { quantile } from "simple-statistics";

/** The longest times between two beats of several runs, in milliseconds. */
export interface Stops {
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

/** The longest time between two beats, in milliseconds. */
export interface LongestStop {
  /** By the clock. */
  readonly clock: number;
  /**
   * An estimate of the same stop on a machine without other work; Linux counts in steps of 4 ms. NaN where the system does
   * not tell.
   */
  readonly own: number;
  /** The time that the loop's thread computed, without waits for the disk and other threads. NaN likewise. */
  readonly computed: number;
}

/** What was seen of the loop while something ran. */
export interface Beats extends LongestStop {
  readonly ms: number;
}

/** The times of a thread so far, in milliseconds. */
interface ThreadTimes {
  readonly computed: number;
  /** The time that it was ready to run while another thread ran. */
  readonly waited: number;
  /** The number of times that it gave up its processor to wait for something. */
  readonly yields: number;
}

/** Runs something while the loop beats. */
export async function beatsDuring(run: () => Promise<unknown>): Promise<Beats> {
  let isDone = false, last = performance.now(), times = threadTimes();
  let clock = 0, own = 0, computed = 0;
  const note = () => {
    const now = performance.now(), then = times, stop = now - last;
    times = threadTimes();
    const computing = times.computed - then.computed;
    clock = Math.max(clock, stop);
    own = Math.max(own, times.yields === then.yields ? computing : stop - (times.waited - then.waited));
    computed = Math.max(computed, computing);
    last = now;
  };
  const beat = () => {
    note();
    if (!isDone) setImmediate(beat);
  };
  setImmediate(beat);
  await new Promise<void>((resolve) => setImmediate(resolve));
  clock = own = computed = 0;
  const start = last = performance.now();
  await run();
  const ms = performance.now() - start;
  note();
  isDone = true;
  await new Promise<void>((resolve) => setImmediate(resolve));
  return { clock, own, computed, ms };
}

function threadTimes(): ThreadTimes {
  if (Deno.build.os !== "linux") return { computed: NaN, waited: NaN, yields: NaN };
  const [computed, waited] = Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ").map(Number);
  const [, yields] =
    /^voluntary_ctxt_switches:\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/thread-self/status")) ?? [];
  return { computed: computed / 1e6, waited: waited / 1e6, yields: Number(yields) };
}

/** The longest stop of each run: their median, 99th percentile and the longest. */
export function summaryOf(longest: readonly number[]): Stops {
  const [p50, p99, most] = quantile([...longest], [0.5, 0.99, 1]);
  return { p50, p99, most };
}
