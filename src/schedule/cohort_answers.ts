/**
 * Puts answers that were computed cohort by cohort in the order in which the caller listed the query slots.
 */

/** The order of the query slots of one question. */
export class CohortAnswers {
  /** The places of each query slot in the caller's list. */
  readonly #places = new Map<number, number[]>();

  /** `slots` is the caller's list, which may name a query slot more than once. */
  constructor(slots: Uint32Array) {
    slots.forEach((slot, at) => {
      const places = this.#places.get(slot);
      if (places) places.push(at);
      else this.#places.set(slot, [at]);
    });
  }

  /** Copies the answers of a cohort, `width` numbers per query slot, to the places of its query slots. */
  place<Numbers extends Float32Array | Float64Array>(
    target: Numbers,
    slots: Uint32Array,
    answers: Numbers,
    width: number,
  ): void {
    slots.forEach((slot, from) => {
      for (const at of this.#places.get(slot) as number[]) {
        target.set(answers.subarray(from * width, (from + 1) * width), at * width);
      }
    });
  }
}
