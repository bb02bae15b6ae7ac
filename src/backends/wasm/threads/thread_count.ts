/**
 * The option `threads`.
 */

/**
 * The values of the option `threads`: a number of threads, or "auto" for as many as there are processors, 16
 * at most.
 */
export type ThreadCount = number | "auto";

/** The largest number that "auto" stands for; more threads gain little. */
const MOST_BY_ITSELF = 16;
/** The largest number that is accepted. */
export const MOST_THREADS = 256;

/** Whether a value is a number of threads or "auto". */
export function isThreadCount(threads: unknown): threads is ThreadCount {
  return threads === "auto" ||
    (Number.isInteger(threads) && (threads as number) >= 1 && (threads as number) <= MOST_THREADS);
}

/** The number of threads that the option stands for here. */
export function threadsOf(threads: ThreadCount): number {
  if (threads !== "auto") return threads;
  return Math.min(MOST_BY_ITSELF, globalThis.navigator?.hardwareConcurrency ?? processorsOfNode() ?? 1);
}

/** The number of processors as Node tells it, which has no navigator before version 21. */
function processorsOfNode(): number | undefined {
  const { process } = globalThis as {
    process?: { getBuiltinModule?: (name: string) => { availableParallelism?: () => number } | undefined };
  };
  return process?.getBuiltinModule?.("node:os")?.availableParallelism?.();
}
