/**
 * The option `threads`.
 */

/** What the option `threads` accepts: a number of threads, or "auto" for as many as there are processors. */
export type ThreadCount = number | "auto";

/** More threads than this gain little, whatever there is. */
const MOST_BY_ITSELF = 16;
/** The largest number that is accepted. */
export const MOST_THREADS = 256;

/** Whether it is a number of threads or "auto". */
export function isThreadCount(threads: unknown): threads is ThreadCount {
  return threads === "auto" ||
    (Number.isInteger(threads) && (threads as number) >= 1 && (threads as number) <= MOST_THREADS);
}

/** How many threads that are here. */
export function threadsOf(threads: ThreadCount): number {
  if (threads !== "auto") return threads;
  return Math.min(MOST_BY_ITSELF, globalThis.navigator?.hardwareConcurrency ?? 1);
}
