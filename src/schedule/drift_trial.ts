/**
 * Decides whether following drift pays. A query that is within its error by drift need not be brought up to
 * date. Following costs a score for every row when a key changes for the first time; changes that are applied
 * later may have replaced or undone each other by then. Which effect is larger depends on the stream of
 * edits, and only a trial can tell.
 *
 * So a sample of the query slots is tried first. Once it earns enough, all are followed, which may cost in
 * proportion what the sample has cost before it earned. Either is given up when all losses so far are more
 * than a small share of the cost of exact answers besides.
 */

/** The share of the cost of exact answers that trials may lose. */
const SHARE = 1 / 50;

/**
 * A sample is given up if it has not earned the least that a trial costs when exact answers would have cost
 * this multiple of it, and decides nothing before they would have cost that one.
 */
const FUTILE = 256, EARLY = 16;

/** The share of the cost of exact answers that a sample has to earn. */
const WORTH = 0.3;
/**
 * A trial may lose this multiple of what the one before has lost: keys in turn take a while to come again.
 */
const GROWTH = 2;
/** All query slots may cost this multiple of what the sample has cost before it earned, for as many rows. */
const PATIENCE = 2;

/** The followed query slots: none, a sample, or all. */
export type Phase = "off" | "sample" | "all";

/** Decides at each peek. Costs may have any unit, the same for all. */
export class DriftTrial {
  #phase: Phase = "off";
  /** The cost that exact answers would have had. */
  #total = 0;
  /** The loss of the trials that were given up, and of the last of them. */
  #lost = 0;
  #lastLoss = 0;
  /** The least that the present phase costs, and what it has earned so far. */
  #least = 0;
  #earned = 0;
  /** What the phase has been in loss at most, and may be in loss besides the share. */
  #deepest = 0;
  #allowed = 0;
  /** The cost that exact answers would have had in it. */
  #exact = 0;

  get phase(): Phase {
    return this.#phase;
  }

  /** Whether a trial is due that costs `least`, or more if it goes on. */
  isDue(least: number): boolean {
    return this.#phase === "off" &&
      this.#lost + Math.max(least, GROWTH * this.#lastLoss) <= SHARE * this.#total;
  }

  /** Whether the sample earns enough for following all query slots. */
  get hasPaid(): boolean {
    return this.#phase === "sample" && this.#exact >= EARLY * this.#least &&
      this.#earned >= WORTH * this.#exact;
  }

  /** Notes the beginning of a phase, which has cost `cost`, and will cost `least`, or more if it goes on. */
  begin(phase: "sample" | "all", least: number, cost: number): void {
    this.#allowed = this.#phase === "sample" ? PATIENCE * this.#deepest * least / this.#least : 0;
    this.#phase = phase;
    this.#least = least;
    this.#earned = -cost;
    this.#exact = this.#deepest = 0;
  }

  /** Notes a cost of the phase beside its answers. */
  paid(cost: number): void {
    this.#earned -= cost;
  }

  /**
   * Notes answers that would have cost `exact` if they were exact; those of followed query slots would have
   * cost `followed`, and have cost `gain` less.
   */
  answered(exact: number, followed: number, gain: number): void {
    this.#total += exact;
    if (this.#phase === "off") return;
    this.#earned += gain;
    this.#deepest = Math.max(this.#deepest, -this.#earned);
    this.#exact += followed;
    const isFutile = this.#phase === "sample" && this.#earned < this.#least &&
      this.#exact > FUTILE * this.#least;
    if (!isFutile && this.#lost - this.#earned <= SHARE * this.#total + this.#allowed) return;
    this.#lastLoss = Math.max(0, -this.#earned);
    this.#lost += this.#lastLoss;
    this.#phase = "off";
  }

  /** Gives up following. */
  stop(): void {
    this.#phase = "off";
  }

  /** Starts anew. */
  reset(): void {
    this.#phase = "off";
    this.#total =
      this.#lost =
      this.#lastLoss =
      this.#least =
      this.#earned =
      this.#deepest =
      this.#allowed =
      this.#exact =
        0;
  }
}
