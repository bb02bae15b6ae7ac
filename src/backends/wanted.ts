/**
 * The parts of an answer that a caller wants.
 */

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

/** The caller's array has no room any more. The turn of the question makes an error of it that names the call. */
export class LostRoom extends Error {
  readonly actual: string;
  readonly expected: string;

  constructor(now: number, length: number) {
    super("the array of the answer has no room any more");
    this.actual = `into has ${now} numbers by now`;
    this.expected = `${length}, as when it was given`;
  }
}

/**
 * The array for an output of `length` numbers. The caller's array may have been detached since it was
 * checked.
 */
export function outputFor(into: Wanted["into"], length: number): Float32Array<ArrayBuffer> {
  if (into === null) return new Float32Array(length);
  const now = lengthOf(into);
  if (now === length) return into;
  throw new LostRoom(now, length);
}
