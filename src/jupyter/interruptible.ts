/**
 * Lets the stop button of a notebook end a long run and leave everything as it is.
 */

import { AttentionError, describe, InputError } from "../base/errors.ts";

/** A run was interrupted; what it has done so far is still there. */
export class InterruptedError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "InterruptedError";

  /** Nothing needs to be told. */
  constructor() {
    super("interruptible", "the run was interrupted; what it has done so far is still there");
  }
}

/**
 * Runs something that the stop button of a notebook, or Ctrl-C on a terminal, ends by aborting a signal. Without it
 * the stop button ends the stock kernel and with it all state.
 *
 * The signal is heard while the run waits for something that takes time, such as a timer or a message; a loop that
 * only computes hears nothing. `for await (const item of progress(items, { signal }))` waits every 50 ms and ends
 * when it is told to.
 *
 * @param run What to do. It may look at the signal and end in its own way, or let `signal.throwIfAborted()` end it.
 * @returns What the run returns.
 * @throws {InterruptedError} When the run ended with the signal's reason.
 * @throws {InputError} When `run` is no function.
 *
 * @example
 * ```ts
 * import { interruptible, progress } from "@attune/attention/jupyter";
 * import { assertEquals } from "@std/assert";
 *
 * let done = 0;
 * await interruptible(async (signal) => {
 *   for await (const _ of progress(1000, { signal })) done++;
 * });
 * assertEquals(done, 1000);
 * ```
 */
export async function interruptible<T>(run: (signal: AbortSignal) => T | Promise<T>): Promise<T> {
  if (typeof run !== "function") {
    throw new InputError("interruptible", `run is ${describe(run)}`, "a function of an AbortSignal");
  }
  const controller = new AbortController();
  const interrupt = () => controller.abort(new InterruptedError());
  const listens = "Deno" in globalThis;
  if (listens) Deno.addSignalListener("SIGINT", interrupt);
  try {
    return await run(controller.signal);
  } finally {
    if (listens) Deno.removeSignalListener("SIGINT", interrupt);
  }
}
