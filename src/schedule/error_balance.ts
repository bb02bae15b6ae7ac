/**
 * There are two ways to keep the error of stale answers within a limit: compute bounds at each peek and bring
 * states up to date if a bound is above the limit, or bring states up to date at each peek. Which way costs
 * less depends on how often the edits between two peeks undo or replace each other, and only a trial can
 * tell.
 *
 * So the first way is tried on a budget: the loss of all trials never exceeds a share of the cost that the
 * second way has had or would have had, apart from a seed for the first trial and from the peek in which a
 * budget runs out. A trial that fails is also charged for the updates that it leaves undone. The next trial
 * waits for a budget of twice that loss, since a longer trial can gain more.
 */

/** The share of the second way's cost that trials may lose. */
const SHARE = 1 / 20;
/** The first trial may lose the cost of the second way for this number of peeks. */
const SEED_PEEKS = 8;

/** Decides at each peek which way to take. Costs may have any unit, the same for all. */
export class ErrorBalance {
  /** The cost that the second way has had, or would have had. */
  #total = 0;
  #seed = 0;
  /** The loss of all trials. */
  #lost = 0;
  /** The budget that the next trial waits for. */
  #needed = 0;
  #isTrying = true;
  /** The loss of the current trial, and the debt with which it began or for which it was last charged. */
  #loss = 0;
  #debt = 0;

  /** Whether the next peek computes bounds; otherwise it brings states up to date. */
  get measures(): boolean {
    return this.#isTrying;
  }

  /**
   * Notes a peek that brought states up to date; `cost` is the cost of the update if they were up to date at
   * the last peek.
   */
  applied(cost: number): void {
    this.#total += cost;
    const budget = this.#budget();
    if (budget <= 0 || budget < this.#needed) return;
    this.#isTrying = true;
    this.#loss = this.#debt = 0;
  }

  /**
   * Notes a peek that computed bounds. `spent` is the cost of the bounds and of the updates that were
   * necessary; `alternative` is the cost of bringing states up to date at each peek, `debt` the cost of
   * bringing them up to date now.
   */
  measured(spent: number, alternative: number, debt: number): void {
    if (this.#seed === 0) this.#seed = SEED_PEEKS * alternative;
    this.#total += alternative;
    this.#loss += spent + debt - this.#debt - alternative;
    this.#debt = debt;
    const budget = this.#budget();
    if (this.#loss > budget) {
      this.#lost += this.#loss;
      this.#needed = 2 * this.#loss;
      this.#isTrying = false;
    } else if (this.#loss < -budget) {
      // The trial has gained, so its gain pays for earlier losses and a new trial begins.
      this.#lost = Math.max(0, this.#lost + this.#loss);
      this.#loss = this.#needed = 0;
    }
  }

  /** Starts anew. */
  reset(): void {
    this.#total =
      this.#seed =
      this.#lost =
      this.#needed =
      this.#loss =
      this.#debt =
        0;
    this.#isTrying = true;
  }

  #budget(): number {
    return this.#seed + SHARE * this.#total - this.#lost;
  }
}
