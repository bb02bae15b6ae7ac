/**
 * An error can be kept in two ways: measure at each peek how far the rows are off and bring them up to date when it
 * is too much, or bring them up to date at each peek. Which costs less depends on how much the edits between two
 * peeks undo or overtake each other, and only trying tells.
 *
 * So the first way is tried on a budget: what trials have lost never exceeds a share of what the second way has cost,
 * or would have, but for a seed that the first trial starts with and for the peek in which a budget runs out. A trial
 * that was lost is billed with what it leaves undone. The next one waits for a budget twice as large as what it lost:
 * the longer a trial can last, the more it can see.
 */

/** What trials may lose of what the second way costs. */
const SHARE = 1 / 20;
/** The first trial may lose as much as the second way costs in so many peeks. */
const SEED_PEEKS = 8;

/** Decides peek by peek; costs are in any one unit. */
export class ErrorBalance {
  /** What the second way has cost, or would have. */
  #total = 0;
  #seed = 0;
  /** What trials have lost. */
  #lost = 0;
  /** The budget that the next trial waits for. */
  #needed = 0;
  #isTrying = true;
  /** What the trial has lost until now, and the debt that it began with or was last billed for. */
  #loss = 0;
  #debt = 0;

  /** Whether the next peek is to be measured; otherwise rows are brought up to date for it. */
  get measures(): boolean {
    return this.#isTrying;
  }

  /** A peek was answered with rows brought up to date, which costs `cost` if they were so before. */
  applied(cost: number): void {
    this.#total += cost;
    const budget = this.#budget();
    if (budget <= 0 || budget < this.#needed) return;
    this.#isTrying = true;
    this.#loss = this.#debt = 0;
  }

  /**
   * A peek was measured: `spent` is what measuring cost, and bringing rows up to date where that was necessary;
   * `alternative` is what bringing them up to date at each peek would have cost, `debt` what bringing them up to date
   * now would.
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
      // Won: what follows is judged anew.
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
