/**
 * Puts answers that were given cohort by cohort in the order in which rows were asked for.
 */

/** The order of one question. */
export class CohortAnswers {
  /** Where each row was asked for. */
  readonly #places = new Map<number, number[]>();

  /** Rows may be asked for more than once. */
  constructor(rows: Uint32Array) {
    rows.forEach((row, at) => {
      const places = this.#places.get(row);
      if (places) places.push(at);
      else this.#places.set(row, [at]);
    });
  }

  /** Copies the answers of a cohort, `width` numbers a row, to where its rows were asked for. */
  place<Numbers extends Float32Array | Float64Array>(
    target: Numbers,
    rows: Uint32Array,
    answers: Numbers,
    width: number,
  ): void {
    rows.forEach((row, from) => {
      for (const at of this.#places.get(row) as number[]) {
        target.set(answers.subarray(from * width, (from + 1) * width), at * width);
      }
    });
  }
}
