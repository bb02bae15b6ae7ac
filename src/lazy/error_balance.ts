/**
 * An error can be kept in two ways: measure at each peek how far the rows are off and bring them up to date when it
 * is too much, or bring them up to date at each peek. Which costs less depends on how much the edits between two
 * peeks undo or overtake each other, and only trying tells: the first way is tried, and given up for a while, each
 * time twice as long, when what it has cost exceeds what the second would have.
 */

/** Peeks without a trial after the first one that was lost. */
const FIRST_PAUSE = 16;
const LONGEST_PAUSE = 4096;
/** A trial of so many peeks was worth it, however it ended. */
const LONG_TRIAL = 64;
/** What lies so many peeks back counts for a third. */
const MEMORY = 64;

/** Decides peek by peek. */
export class ErrorBalance {
  #spent = 0;
  #alternative = 0;
  #trial = 0;
  #pause = FIRST_PAUSE;
  #left = 0;

  /** Whether the next peek is to be measured; otherwise rows are brought up to date for it. */
  get measures(): boolean {
    return this.#left === 0;
  }

  /** A peek was answered with rows brought up to date. */
  applied(): void {
    this.#left--;
  }

  /**
   * A peek was measured: `spent` is what measuring cost, and bringing rows up to date where that was necessary;
   * `alternative` is what bringing them up to date at once would have cost.
   */
  measured(spent: number, alternative: number): void {
    this.#spent += spent - this.#spent / MEMORY;
    this.#alternative += alternative - this.#alternative / MEMORY;
    this.#trial++;
    if (this.#spent <= this.#alternative) return;
    if (this.#trial >= LONG_TRIAL) this.#pause = FIRST_PAUSE;
    this.#left = this.#pause;
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
    this.#spent = this.#alternative = this.#trial = 0;
  }

  /** Starts anew. */
  reset(): void {
    this.#spent =
      this.#alternative =
      this.#trial =
      this.#left =
        0;
    this.#pause = FIRST_PAUSE;
  }
}
