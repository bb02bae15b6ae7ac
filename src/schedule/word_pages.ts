/**
 * Short lists of whole numbers as parts of longer ones: an array of more than a few numbers is allocated
 * outside the heap, which takes longer than filling it.
 *
 * Invariant: no number is given out twice, so a list stays as its owner writes it.
 */

/** Numbers of a page, which lives while one of its lists does. */
const PAGE = 2048;

/** Gives out lists. */
export class WordPages {
  #page: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  #next = 0;

  /** A list of `length` zeros. */
  take(length: number): Uint32Array<ArrayBuffer> {
    if (length > PAGE / 8) return new Uint32Array(length);
    if (this.#next + length > this.#page.length) {
      this.#page = new Uint32Array(PAGE);
      this.#next = 0;
    }
    return this.#page.subarray(this.#next, this.#next += length);
  }
}
