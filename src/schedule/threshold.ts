/**
 * When stale answers must know of pending edits.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";

/** What waits. */
export interface PendingEdits {
  /** Changed slots, of keys and queries; edits of one slot count once, an undone edit does not count. */
  readonly edits: number;
  /** Changed key slots. */
  readonly keys: number;
  /** Changed query slots. */
  readonly queries: number;
  /** Milliseconds since the first of them was made. */
  readonly ageMs: number;
  /** n, live keys. */
  readonly keyCount: number;
  /** m, live queries. */
  readonly queryCount: number;
}

/** Limits, of which any one that is reached ends the waiting. */
export interface PendingLimits {
  /** Changed slots, an integer ≥ 1. */
  readonly edits?: number;
  /** Milliseconds that an edit may wait, as of the next edit or peek; no timer runs. */
  readonly ageMs?: number;
  /**
   * How far a row may be from exact, in Euclidean distance: what a `peek` would answer with a larger bound is brought
   * up to date first. Nothing is brought up to date while nobody peeks. Where waiting has not paid lately, rows are brought
   * up to date at each peek: it never costs much more than exact answers.
   */
  readonly error?: number;
  /** Another name of `error`; of two, the smaller one counts. */
  readonly targetError?: number;
}

/**
 * When stale answers must know of pending edits: once so many slots have changed (an integer ≥ 1, or Infinity for never), at
 * the first limit that is reached, or when a function says so, which is asked after each edit and before each peek.
 *
 * A function is asked when the edit has been made. When it throws, or answers neither true nor false, the edit stays made
 * and nothing is brought up to date for it; the next answer rejects with an {@link InputError} that says so, whose `cause`
 * is what was thrown. It may not edit or ask the engine meanwhile ({@link ReentryError}).
 */
export type LazyThreshold = number | PendingLimits | ((pending: PendingEdits) => boolean);

/** A checked threshold. */
export interface Threshold {
  /** Whether what is pending has waited long enough; false when a function could not say so. */
  isReached(pending: PendingEdits): boolean;
  /** Whether a function is being asked just now. */
  readonly isAsked: boolean;
  /** Why a function could not answer since this was last called; null when it could. */
  takeFailure(): InputError | null;
  /** The largest bound that a peek may answer with; Infinity for any. */
  readonly error: number;
  /** The limits, all of them, as a snapshot holds them; null for a function, which no file can hold. */
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
 * Asks a function of the caller's. It is asked when an edit has been made already, so that what it throws must not be what
 * becomes of the edit: it is kept until an answer can tell it.
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
