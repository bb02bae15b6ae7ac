/**
 * An answer that is given while its rows are brought up to date, and taken when their bounds are there: the
 * caller's array stays as it is if bounds fail.
 */

import type { Ahead } from "../backends/backend.ts";
import { outputFor } from "../backends/wanted.ts";
import { type HeadLayout, outputColumns } from "../numerics/head_layout.ts";

/** Larger answers for an array of the caller's are sooner there in a pass of their own than copied. */
const MOST_NUMBERS = 2 ** 15;

/** The answer of one question at a time. */
export class EarlyAnswer {
  readonly #bringUp: (slots: Uint32Array, ahead?: Ahead) => Promise<void> | null;
  readonly #width: number;
  #room = new Float32Array(0);
  #ahead: Ahead | undefined;

  constructor(bringUp: (slots: Uint32Array, ahead?: Ahead) => Promise<void> | null, layout: HeadLayout) {
    this.#bringUp = bringUp;
    this.#width = outputColumns(layout);
  }

  get bytes(): number {
    return this.#room.byteLength;
  }

  /** Forgets the numbers of past answers. */
  forget(): void {
    this.#room = new Float32Array(0);
    this.#ahead = undefined;
  }

  /** Brings query slots up to date, and answers them on the way if that is possible; null when it is done. */
  bringUp(slots: Uint32Array, isInto: boolean): Promise<void> | null {
    const into = isInto ? this.#roomFor(slots.length * this.#width) : null;
    this.#ahead = isInto && into === null ? undefined : { wanted: { into, logs: false }, given: null };
    return this.#bringUp(slots, this.#ahead);
  }

  /** Forgets an answer that nobody has taken, since its bounds failed. */
  begin(): void {
    this.#ahead = undefined;
  }

  /** The answer since the last call, in the caller's array if there is one; null if there is none. */
  take(into: Float32Array<ArrayBuffer> | null): Float32Array<ArrayBuffer> | null {
    const output = this.#ahead?.given?.output ?? null;
    this.#ahead = undefined;
    if (output === null || into === null) return output;
    const given = outputFor(into, output.length);
    given.set(output);
    output.fill(0);
    return given;
  }

  #roomFor(size: number): Float32Array<ArrayBuffer> | null {
    if (size > MOST_NUMBERS) return null;
    if (this.#room.length < size) this.#room = new Float32Array(size);
    return this.#room.length === size ? this.#room : this.#room.subarray(0, size);
  }
}
