/**
 * When stale answers must know of pending edits.
 */

import { describe, InputError } from "../errors.ts";

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
   * up to date first. Nothing is measured, and nothing brought up to date, while nobody peeks.
   */
  readonly error?: number;
  /**
   * As `error`, but adaptive: a row that is asked for is kept within the limit by whatever has cost less lately,
   * measuring it at each peek or bringing it up to date. It never costs much more than the cheaper of the two.
   */
  readonly targetError?: number;
}

/**
 * When stale answers must know of pending edits: once so many slots have changed (an integer ≥ 1, or Infinity for never), at the
 * first limit that is reached, or when a function says so, which is asked after each edit and before each peek.
 */
export type LazyThreshold = number | PendingLimits | ((pending: PendingEdits) => boolean);

/** A checked threshold. */
export interface Threshold {
  /** Whether what is pending has waited long enough. */
  isReached(pending: PendingEdits): boolean;
  /** The largest bound that a peek may answer with; Infinity for any. */
  readonly error: number;
  /** Whether it may be kept without measuring. */
  readonly isAdaptive: boolean;
  /** The limits, all of them, as a snapshot holds them; null for a function, which no file can hold. */
  readonly limits: Required<PendingLimits> | null;
}

/** Checks the option `lazyThreshold`. */
export function toThreshold(operation: string, input: LazyThreshold = 64): Threshold {
  if (typeof input === "function") {
    return {
      isReached: (pending) => input(pending) === true,
      error: Infinity,
      isAdaptive: false,
      limits: null,
    };
  }
  if (typeof input === "number") {
    const limits = { edits: input, ageMs: Infinity, error: Infinity, targetError: Infinity };
    return {
      isReached: limitOf(operation, "lazyThreshold", input),
      error: Infinity,
      isAdaptive: false,
      limits,
    };
  }
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    const expected = "a number, { edits, error, targetError, ageMs } or a function";
    throw new InputError(operation, `lazyThreshold is ${describe(input)}`, expected);
  }
  for (const name of Object.keys(input)) {
    if (LIMITS.includes(name)) continue;
    throw new InputError(operation, `lazyThreshold has a limit ${describe(name)}`, LIMITS.join(", "));
  }
  const { edits = Infinity, ageMs = Infinity, error = Infinity, targetError = Infinity } = input;
  const isFull = limitOf(operation, "lazyThreshold.edits", edits);
  checkLimit(operation, "lazyThreshold.ageMs", ageMs);
  checkLimit(operation, "lazyThreshold.error", error);
  checkLimit(operation, "lazyThreshold.targetError", targetError);
  return {
    isReached: (pending) => isFull(pending) || (pending.edits > 0 && pending.ageMs >= ageMs),
    error: Math.min(error, targetError),
    isAdaptive: targetError <= error && targetError < Infinity,
    limits: { edits, ageMs, error, targetError },
  };
}

const LIMITS: readonly string[] = [
  "edits",
  "error",
  "targetError",
  "ageMs",
] satisfies (keyof PendingLimits)[];

function limitOf(operation: string, name: string, edits: number): Threshold["isReached"] {
  if (edits !== Infinity && !(Number.isSafeInteger(edits) && edits >= 1)) {
    throw new InputError(operation, `${name} is ${describe(edits)}`, "an integer ≥ 1, or Infinity");
  }
  return (pending) => pending.edits >= edits;
}

function checkLimit(operation: string, name: string, limit: number): void {
  if (typeof limit === "number" && limit >= 0) return;
  throw new InputError(operation, `${name} is ${describe(limit)}`, "a number ≥ 0");
}
