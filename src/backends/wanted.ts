/**
 * The parts of an answer that a caller wants.
 */

import { InputError } from "../base/errors.ts";
import { lengthOf } from "../base/lists.ts";

/** The wanted parts of an answer. */
export interface Wanted {
  /** An array of the caller's for the output, of the right length; null for a new one. */
  readonly into: Float32Array<ArrayBuffer> | null;
  /** Whether log-sum-exps are wanted. */
  readonly logs: boolean;
}

/** A new output, with its log-sum-exps. */
export const WHOLE: Wanted = { into: null, logs: true };
/** A new output alone. */
export const OUTPUT_ALONE: Wanted = { into: null, logs: false };

/**
 * The array for an output of `length` numbers. The caller's array may have been detached since it was
 * checked.
 */
export function outputFor(into: Wanted["into"], length: number): Float32Array<ArrayBuffer> {
  if (into === null) return new Float32Array(length);
  const now = lengthOf(into);
  if (now === length) return into;
  throw new InputError("into", `into has ${now} numbers by now`, `${length}, as when it was given`);
}
