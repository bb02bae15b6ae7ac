/**
 * An answer that is given while its rows are brought up to date, and taken when their bounds are there: a caller's
 * array is written only where bounds are known before.
 */

import type { Ahead } from "../backends/backend.ts";

/** The answer of one question at a time. */
export class EarlyAnswer {
  readonly #bringUp: (slots: Uint32Array, ahead?: Ahead) => Promise<void> | null;
  #ahead: Ahead | undefined;

  constructor(bringUp: (slots: Uint32Array, ahead?: Ahead) => Promise<void> | null) {
    this.#bringUp = bringUp;
  }

  /** Forgets an answer that nobody has taken, since its bounds failed. */
  begin(): void {
    this.#ahead = undefined;
  }

  /**
   * Brings query slots up to date, and answers them on the way if that is possible, where their bounds are known or
   * there is no array of the caller's; null when it is done.
   */
  bringUp(
    slots: Uint32Array,
    into: Float32Array<ArrayBuffer> | null,
    isBounded: boolean,
  ): Promise<void> | null {
    const isEarly = isBounded || into === null;
    this.#ahead = isEarly ? { wanted: { into, logs: false }, given: null } : undefined;
    return this.#bringUp(slots, this.#ahead);
  }

  /** The answer of the last call, once; null if there is none. */
  take(): Float32Array<ArrayBuffer> | null {
    const output = this.#ahead?.given?.output ?? null;
    this.#ahead = undefined;
    return output;
  }
}
