/**
 * Waiting until something is so, or until a time has passed.
 */

import type { Changes } from "./changes.ts";
import type { Clock } from "./clock.ts";
import { LogError } from "./log.ts";

/** A reason that takes no stack trace to make. */
const OVER = "over";

/**
 * Waits until `isSo`, which is asked after every change; false if `ms` pass before, or the signal is aborted.
 */
export async function waitUntil(
  clock: Clock,
  changes: Changes,
  ms: number,
  isSo: () => boolean,
  signal?: AbortSignal,
): Promise<boolean> {
  if (isSo()) return true;
  if (!(ms > 0)) return false;
  const over = new AbortController();
  const end = () => over.abort(OVER);
  signal?.addEventListener("abort", end);
  if (signal?.aborted) end();
  clock.sleep(ms, over.signal).then(end);
  try {
    while (!over.signal.aborted && !changes.isClosed) {
      await changes.next(over.signal);
      if (isSo()) return true;
    }
    return isSo();
  } finally {
    signal?.removeEventListener("abort", end);
    over.abort(OVER);
  }
}

/** Waits for the next change of any of `changes`, for `ms`, or for the signal, whichever is first. */
export async function pause(
  clock: Clock,
  ms: number,
  changes: readonly Changes[],
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController();
  const end = () => over.abort(OVER);
  signal.addEventListener("abort", end);
  if (signal.aborted) end();
  try {
    await Promise.race([clock.sleep(ms, over.signal), ...changes.map((change) => change.next(over.signal))]);
  } finally {
    signal.removeEventListener("abort", end);
    over.abort(OVER);
  }
}

const RETRY_MS = 100;

/** Does something of a log, and tries again while the log is away or slow, until the time is over. */
export async function patiently<T>(clock: Clock, timeoutMs: number, act: () => Promise<T>): Promise<T> {
  for (const until = clock.now() + timeoutMs;;) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof LogError) || !error.isPassing || clock.now() >= until) throw error;
      await clock.sleep(RETRY_MS);
    }
  }
}
