/**
 * Puts answers that were computed cohort by cohort in the order in which the caller listed the query slots.
 */

/** The order of the query slots of one question. */
export class CohortAnswers {
  readonly #slots: Uint32Array;
  /** The places of each query slot in the caller's list; null where that is ascending without repetition. */
  readonly #places: Map<number, number[]> | null;

  /** `slots` is the caller's list, which may name a query slot more than once. */
  constructor(slots: Uint32Array) {
    this.#slots = slots;
    this.#places = isAscending(slots) ? null : new Map();
    for (let at = 0; this.#places !== null && at < slots.length; at++) {
      const places = this.#places.get(slots[at]);
      if (places) places.push(at);
      else this.#places.set(slots[at], [at]);
    }
  }

  /** Copies the answers of a cohort, a number per query slot, to the places of its query slots. */
  place(target: Float64Array, cohort: Uint32Array, answers: Float64Array): void {
    const slots = this.#slots, places = this.#places;
    for (let from = 0, at = 0; from < cohort.length; from++) {
      const slot = cohort[from];
      if (places !== null) {
        for (const place of places.get(slot) as number[]) target[place] = answers[from];
        continue;
      }
      // Cohorts are ascending most often, too.
      if (slots[at] > slot) at = 0;
      while (slots[at] < slot) at++;
      target[at] = answers[from];
    }
  }
}

function isAscending(slots: Uint32Array): boolean {
  for (let at = 1; at < slots.length; at++) if (slots[at] <= slots[at - 1]) return false;
  return true;
}
