/**
 * Decides whether following drift pays. A query that is within its error by drift need not be brought up to
 * date. Following costs a score for every row when a key changes for the first time; changes that are applied
 * later may have replaced or undone each other by then. Which effect is larger depends on the stream of edits, and only a trial can
 * tell.
 *
 * So a sample of the query slots is tried first. Once it has earned its cost, all are followed; if it loses,
 * it is given up, and the next trial waits until the losses so far are a small share of the cost of exact
 * answers.
 */

/** The share of the cost of exact answers that trials may lose. */
const SHARE = 1 / 25;
/** The share of the cost of making the engine that trials may lose besides, so that the first one begins soon. */
const START = 1 / 3;
/** A trial is given up when it has lost this multiple of its stake. */
const PATIENCE = 2;

/**
 * A sample is given up if it has not earned its stake when exact answers would have cost this multiple of it, and
 * decides nothing before they would have cost this share of it.
 */
const FUTILE = 256, EARLY = 1 / 64;

/** The share of the cost of exact answers that a sample has to earn. */
const WORTH = 0.3;

/** The followed query slots: none, a sample, or all. */
export type Phase = "off" | "sample" | "all";

/** Decides at each peek. Costs may have any unit, the same for all. */
export class DriftTrial {
  #phase: Phase = "off";
  /** The cost that exact answers would have had. */
  #total = 0;
  /** The loss of the trials that were given up. */
  #lost = 0;
  /** What the present phase may cost before it earns, its earnings so far, and their maximum. */
  #stake = 0;
  #earned = 0;
  #most = 0;
  /** The cost that exact answers would have had in it. */
  #exact = 0;

  get phase(): Phase {
    return this.#phase;
  }

  /** Whether a trial is due that may cost `stake`, in an engine that cost `made` to make. */
  isDue(stake: number, made: number): boolean {
    if (this.#phase !== "off") return false;
    return this.#lost + stake <= SHARE * this.#total + START * made;
  }

  /** Whether the sample earns enough for following all query slots. */
  get hasPaid(): boolean {
    return this.#phase === "sample" && this.#exact >= EARLY * this.#stake &&
      this.#earned >= WORTH * this.#exact;
  }

  /** Notes the beginning of a phase, which may cost `stake`. */
  begin(phase: "sample" | "all", stake: number): void {
    this.#phase = phase;
    this.#stake = stake;
    this.#earned = this.#most = this.#exact = 0;
  }

  /**
   * Notes answers that would have cost `exact` if they were exact; those of followed query slots would have
   * cost `followed`, and have cost `gain` less.
   */
  answered(exact: number, followed: number, gain: number): void {
    this.#total += exact;
    if (this.#phase === "off") return;
    this.#earned += gain;
    this.#exact += followed;
    this.#most = Math.max(this.#most, this.#earned);
    const isFutile = this.#phase === "sample" && this.#earned < this.#stake &&
      this.#exact > FUTILE * this.#stake;
    if (!isFutile && this.#most - this.#earned <= PATIENCE * this.#stake) return;
    this.#lost += Math.max(0, -this.#earned);
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
      this.#stake =
      this.#earned =
      this.#most =
      this.#exact =
        0;
  }
}
