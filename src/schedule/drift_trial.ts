/**
 * Whether following drift pays. A row that is within its error by drift is left as it is, which saves bringing it up to
 * date; following costs a score for every pair once, and changes that are caught up with later may have overtaken or undone
 * each other by then, or not. Which of it counts for more depends on the stream of edits, and only trying tells.
 *
 * So a sample of the query slots is tried first. Once it has earned what it cost, all are followed; when it loses, it is
 * given up, and the next trial waits until the losses so far are a small share of what exact answers would have cost.
 */

/** What trials may lose of what exact answers cost. */
const SHARE = 1 / 25;
/** A trial is given up when it has lost so many times what it cost to begin. */
const PATIENCE = 2;

/** A sample that has not earned what it cost when exact answers would have cost so many times that is given up. */
const FUTILE = 256;

/** What a sample has to earn of what exact answers would have cost. */
const WORTH = 0.3;

/** What is followed: nothing, a sample, or all query slots. */
export type Phase = "off" | "sample" | "all";

/** Decides peek by peek; costs are in any one unit. */
export class DriftTrial {
  #phase: Phase = "off";
  /** What exact answers would have cost. */
  #total = 0;
  /** What trials that were given up have lost. */
  #lost = 0;
  /** What the present phase cost to begin, what it has earned until now, and the most that it had. */
  #price = 0;
  #earned = 0;
  #most = 0;
  /** What exact answers would have cost in it. */
  #exact = 0;

  get phase(): Phase {
    return this.#phase;
  }

  /** Whether a trial is due that costs so much to begin, in an engine that cost so much to make. */
  isDue(price: number, made: number): boolean {
    if (this.#phase !== "off") return false;
    return this.#lost + price <= SHARE * (this.#total + made);
  }

  /** Whether the sample earns so much that following all will pay soon. */
  get hasPaid(): boolean {
    return this.#phase === "sample" && this.#earned >= this.#price / 2 && this.#earned >= WORTH * this.#exact;
  }

  /** A phase begins, which cost so much. */
  begin(phase: "sample" | "all", price: number): void {
    this.#phase = phase;
    this.#price = price;
    this.#earned = this.#most = this.#exact = 0;
  }

  /** Something more was paid to go on with the phase. */
  paid(price: number): void {
    this.#earned -= price;
  }

  /**
   * Answers were given that would have cost `exact` with rows that are exact at each look; those of query slots that are followed
   * would have cost `followed`, and cost `gain` less.
   */
  answered(exact: number, followed: number, gain: number): void {
    this.#total += exact;
    if (this.#phase === "off") return;
    this.#earned += gain;
    this.#exact += followed;
    this.#most = Math.max(this.#most, this.#earned);
    const isFutile = this.#phase === "sample" && this.#earned < this.#price &&
      this.#exact > FUTILE * this.#price;
    if (!isFutile && this.#most - this.#earned <= PATIENCE * this.#price) return;
    this.#lost += Math.max(0, this.#price - this.#earned);
    this.#phase = "off";
  }

  /** Gives up what is followed. */
  stop(): void {
    this.#phase = "off";
  }

  /** Starts anew. */
  reset(): void {
    this.#phase = "off";
    this.#total =
      this.#lost =
      this.#price =
      this.#earned =
      this.#most =
      this.#exact =
        0;
  }
}
