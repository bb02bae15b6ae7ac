/**
 * The option `lazyThreshold`: the condition on which stale answers must include pending edits.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";

/** The pending edits of an engine. */
export interface PendingEdits {
  /**
   * Changed key slots and query slots. Several edits of one slot count once, an edit that was undone does not
   * count.
   */
  readonly edits: number;
  /** Changed key slots. */
  readonly keys: number;
  /** Changed query slots. */
  readonly queries: number;
  /** Milliseconds since the first pending edit was made. */
  readonly ageMs: number;
  /** n, live keys. */
  readonly keyCount: number;
  /** m, live queries. */
  readonly queryCount: number;
}

/** Limits on pending edits. The first one that is reached brings states up to date. */
export interface PendingLimits {
  /** Changed slots, an integer ≥ 1. */
  readonly edits?: number;
  /** Milliseconds that an edit may wait, as of the next edit or peek; no timer runs. */
  readonly ageMs?: number;
  /**
   * The largest Euclidean distance of an answer from the exact one: a `peek` first brings up to date the
   * queries whose bounds are larger. Nothing is brought up to date between peeks. If waiting has not paid
   * lately, queries are brought up to date at each peek, so that a limit never costs much more than exact
   * answers.
   */
  readonly error?: number;
  /** Another name of `error`; of two, the smaller one counts. */
  readonly targetError?: number;
}

/**
 * The condition on which stale answers must include pending edits: a number of changed slots (an integer ≥ 1,
 * or Infinity for never), limits of which the first one that is reached counts, or a function that is called
 * after each edit and before each peek and returns true when the condition holds.
 *
 * A function is called after the edit has been made. If it throws, or returns neither true nor false, the
 * edit stays made and no state is brought up to date for it; the next answer rejects with an {@link
 * InputError}, whose `cause` is the error that was thrown. The function may not call methods of the engine
 * that edit or answer asynchronously ({@link ReentryError}).
 */
export type LazyThreshold = number | PendingLimits | ((pending: PendingEdits) => boolean);

/** A checked threshold. */
export interface Threshold {
  /** Whether the pending edits reach the threshold; false when the function failed. */
  isReached(pending: PendingEdits): boolean;
  /** Whether the function is being called right now. */
  readonly isAsked: boolean;
  /** The failure of the function since this was last called; null if there was none. */
  takeFailure(): InputError | null;
  /** The largest bound that a peek may answer with; Infinity for any. */
  readonly error: number;
  /** All limits, as a snapshot holds them; null for a function, which no file can hold. */
  readonly limits: Required<PendingLimits> | null;
}

/** Checks the option `lazyThreshold`. */
export function toThreshold(operation: string, input: LazyThreshold = 64): Threshold {
  if (typeof input === "function") return asked(input);
  if (typeof input === "number") {
    checkEdits(operation, "lazyThreshold", input);
    return limited({ edits: input, ageMs: Infinity, error: Infinity, targetError: Infinity });
  }
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    const expected = "a number, { edits, error, targetError, ageMs } or a function";
    throw new InputError(operation, `lazyThreshold is ${describe(input)}`, expected);
  }
  const given = takeOptions(operation, input, LIMITS, "lazyThreshold limit");
  const { edits = Infinity, ageMs = Infinity, error = Infinity, targetError = Infinity } = given;
  checkEdits(operation, "lazyThreshold.edits", edits);
  for (const [name, limit] of Object.entries({ ageMs, error, targetError })) {
    if (typeof limit === "number" && limit >= 0) continue;
    throw new InputError(operation, `lazyThreshold.${name} is ${describe(limit)}`, "a number ≥ 0");
  }
  return limited({ edits, ageMs, error, targetError });
}

const LIMITS = ["edits", "error", "targetError", "ageMs"] satisfies (keyof PendingLimits)[];

function checkEdits(operation: string, name: string, edits: unknown): void {
  if (edits === Infinity || (isCount(edits) && edits >= 1)) return;
  throw new InputError(operation, `${name} is ${describe(edits)}`, "an integer ≥ 1, or Infinity");
}

function limited(limits: Required<PendingLimits>): Threshold {
  const { edits, ageMs, error, targetError } = limits;
  return {
    isReached: (pending) => pending.edits >= edits || (pending.edits > 0 && pending.ageMs >= ageMs),
    isAsked: false,
    takeFailure: () => null,
    error: Math.min(error, targetError),
    limits,
  };
}

/**
 * A threshold that calls a function of the caller's. The function is called when the edit has already been
 * made, so an error that it throws must not make the edit fail: it is kept until the next answer, which
 * rejects with it.
 */
function asked(ask: (pending: PendingEdits) => boolean): Threshold {
  let isAsked = false;
  let failure: InputError | null = null;
  const fail = (said: string, options?: ErrorOptions) => {
    failure = new InputError("lazyThreshold", said, "true or false", options);
    return false;
  };
  return {
    isReached(pending) {
      isAsked = true;
      try {
        const answer: unknown = ask(pending);
        return typeof answer === "boolean" ? answer : fail(`answer is ${describe(answer)}`);
      } catch (cause) {
        return fail(`the function threw ${describe(cause)}`, { cause });
      } finally {
        isAsked = false;
      }
    },
    get isAsked() {
      return isAsked;
    },
    takeFailure() {
      const taken = failure;
      failure = null;
      return taken;
    },
    error: Infinity,
    limits: null,
  };
}
