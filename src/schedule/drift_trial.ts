/**
 * Decides whether following drift pays. A query that is within its error by drift need not be brought up to
 * date. Following costs a score for every row when a key changes for the first time; changes that are applied
 * later may have replaced or undone each other by then. Which effect is larger depends on the stream of
 * edits, and only a trial can tell.
 *
 * So a sample of the query slots is watched first, whose answers stay exact: what copies of them would have
 * cost is only computed. Once they would have earned enough, all query slots are followed, which may cost in
 * proportion what the sample would have cost before it earned. Either is given up when all losses so far are
 * more than a small share of the cost of exact answers besides, the sample also when it has not earned by
 * then; and each trial in a row that is lost doubles the time to the next one.
 *
 * Costs are counted in work and in time, and each decision has to hold in both.
 */

/** A cost. */
export interface Price {
  /** In counted multiply-adds. */
  readonly work: number;
  /** In nanoseconds, by constants. */
  readonly time: number;
}

/** What a sample would have cost in one answer. */
export interface Sampled {
  /** What its exact answers have cost. */
  readonly exact: Price;
  /** What copies would have cost in their place, with catching up and their share of following drift. */
  readonly followed: Price;
  /** What catching up with what copies lack would cost now. */
  readonly debt: Price;
  /** How often copies would have been made anew, for each query slot. */
  readonly refreshes: number;
}

const UNITS = ["work", "time"] as const;
type Unit = typeof UNITS[number];

/** The share of the cost of exact answers that trials may lose. */
const SHARE: Readonly<Record<Unit, number>> = { work: 1 / 50, time: 1 / 20 };
/** The share of the cost of exact answers that a sample has to earn. */
const WORTH: Readonly<Record<Unit, number>> = { work: 0.3, time: 0.1 };
/**
 * A sample that has not earned by then is given up when its copies would have been made anew this often on
 * average, or when its exact answers have cost this multiple of building its rows.
 */
const REFRESHES = 4, BUILDS = 3;
/**
 * A sample is given up for its length only when its exact answers have cost this multiple of its beginning, so
 * that that can have been earned.
 */
const BEGINNINGS = 16;
/** A sample decides nothing before so many answers. */
const EARLY = 4;
/** All query slots may cost this multiple of what the sample would have cost before it earned. */
const PATIENCE = 2;
/** The pause after a lost trial grows by a factor of two up to this power. */
const MOST_DOUBLINGS = 12;

/** The followed query slots: none, a sample, or all. */
export type Phase = "off" | "sample" | "all";

/** The accounts in one unit. */
class Balance {
  readonly #unit: Unit;
  /** The cost that exact answers would have had, and what it was when the last trial ended. */
  #total = 0;
  #totalBefore = 0;
  /** The losses of the trials that were given up, and of the last of them. */
  #lost = 0;
  #lastLoss = 0;
  /** What the present phase has cost besides what it has earned, as far as it was really paid. */
  #loss = 0;
  /** What a sample would have earned, with what it would owe, and what it would have been in loss at most. */
  #earned = 0;
  #net = 0;
  #deepest = 0;
  /** The cost that exact answers have had in it, and that of its beginning. */
  #exact = 0;
  #begun = 0;
  /** What all query slots may lose besides the share, and what they may have gained besides. */
  #allowed = 0;
  #credit = 0;

  constructor(unit: Unit) {
    this.#unit = unit;
  }

  isDue(least: Price, doublings: number): boolean {
    const unit = this.#unit, share = SHARE[unit];
    return this.#lost + least[unit] <= share * this.#total &&
      2 ** doublings * this.#lastLoss <= share * (this.#total - this.#totalBefore);
  }

  beginSample(cost: Price): void {
    this.#loss = this.#begun = cost[this.#unit];
    this.#earned = this.#net = -this.#loss;
    this.#exact =
      this.#deepest =
      this.#allowed =
      this.#credit =
        0;
  }

  /** `scale` is the number of followed rows for each one of the sample; what that has cost stays lost. */
  beginAll(cost: Price, scale: number): void {
    this.#allowed = PATIENCE * this.#deepest * scale;
    this.#loss += cost[this.#unit];
  }

  /** All query slots are followed without a sample. */
  beginAtOnce(cost: Price, allowed: Price, credit: Price): void {
    this.#loss = cost[this.#unit];
    this.#allowed = allowed[this.#unit];
    this.#credit = credit[this.#unit];
  }

  paid(cost: Price): void {
    this.#loss += cost[this.#unit];
  }

  answered(exact: number): void {
    this.#total += exact;
  }

  sampled({ exact, followed, debt }: Sampled): void {
    const unit = this.#unit;
    this.#exact += exact[unit];
    this.#earned += exact[unit] - followed[unit];
    this.#net = this.#earned - debt[unit];
    this.#deepest = Math.max(this.#deepest, -this.#net);
  }

  /** What followed query slots have gained is credit for later, up to the share. */
  gained(gain: Price): void {
    this.#loss = Math.max(this.#loss - gain[this.#unit], -SHARE[this.#unit] * this.#total - this.#credit);
  }

  get hasEarned(): boolean {
    return this.#net >= WORTH[this.#unit] * this.#exact;
  }

  /** Whether it earns enough, but for its beginning. */
  get isEarning(): boolean {
    return this.#net + this.#begun >= WORTH[this.#unit] * this.#exact;
  }

  /**
   * Whether exact answers of the sample have cost some times as much as building its rows, and as beginning
   * it.
   */
  isLongBeside(build: Price): boolean {
    return this.#exact > Math.max(BUILDS * build[this.#unit], BEGINNINGS * this.#begun);
  }

  get isTooDear(): boolean {
    return this.#lost + this.#loss > SHARE[this.#unit] * this.#total + this.#allowed;
  }

  get isInGain(): boolean {
    return this.#loss < 0;
  }

  end(): void {
    this.#lastLoss = Math.max(0, this.#loss);
    this.#lost += this.#lastLoss;
    this.#loss = 0;
    this.#totalBefore = this.#total;
  }
}

/** Decides at each peek. */
export class DriftTrial {
  #phase: Phase = "off";
  #work = new Balance("work");
  #time = new Balance("time");
  /** Trials lost in a row. */
  #failures = 0;
  /** Answers of the present sample, and how often its copies would have been made anew. */
  #answers = 0;
  #refreshes = 0;

  get phase(): Phase {
    return this.#phase;
  }

  /** Whether a trial is due that costs `least`, or more if it goes on. */
  isDue(least: Price): boolean {
    return this.#phase === "off" &&
      this.#work.isDue(least, this.#failures) && this.#time.isDue(least, this.#failures);
  }

  /** Whether the sample earns enough for following all query slots. */
  get hasPaid(): boolean {
    return this.#phase === "sample" && this.#answers >= EARLY && this.#work.hasEarned &&
      this.#time.hasEarned;
  }

  /** A sample begins, which has cost `cost`. */
  beginSample(cost: Price): void {
    this.#phase = "sample";
    this.#answers = this.#refreshes = 0;
    this.#work.beginSample(cost);
    this.#time.beginSample(cost);
  }

  /** All query slots are followed from now on, `scale` for each one of the sample. */
  beginAll(cost: Price, scale: number): void {
    this.#phase = "all";
    this.#work.beginAll(cost, scale);
    this.#time.beginAll(cost, scale);
  }

  /**
   * All query slots are followed from now on, without a sample before, which has cost `cost`. They may lose
   * `allowed` besides the share. What they gain is credit up to `credit` besides it: what catching up with all
   * would cost at most, since that is not paid yet.
   */
  beginAtOnce(cost: Price, allowed: Price, credit: Price): void {
    this.#phase = "all";
    this.#work.beginAtOnce(cost, allowed, credit);
    this.#time.beginAtOnce(cost, allowed, credit);
  }

  /** Notes a cost of the phase beside its answers. */
  paid(cost: Price): void {
    this.#work.paid(cost);
    this.#time.paid(cost);
  }

  /** Notes an answer that has cost so much, or would have, if it was exact. */
  answered(work: number, time: number): void {
    this.#work.answered(work);
    this.#time.answered(time);
  }

  /** Notes what a sample, whose rows take `build` to build, would have cost in an answer. */
  answeredSample(sampled: Sampled, build: Price): void {
    this.#work.sampled(sampled);
    this.#time.sampled(sampled);
    this.#answers++;
    this.#refreshes += sampled.refreshes;
    if (this.#answers < EARLY || this.hasPaid) return;
    const isEarning = this.#work.isEarning && this.#time.isEarning;
    const isFutile = this.#refreshes >= REFRESHES && !isEarning ||
      this.#work.isLongBeside(build) && this.#time.isLongBeside(build);
    // A sample that was only too dear may go on for longer next time.
    if (isFutile) this.#end(this.#failures + 1);
    else if (this.#isTooDear) this.#end(Math.max(1, this.#failures));
  }

  /** Notes how much less an answer by copies has cost than an exact one. */
  answeredAll(gain: Price): void {
    this.#work.gained(gain);
    this.#time.gained(gain);
    if (this.#isTooDear) this.#end(this.#failures + 1);
    else if (this.#work.isInGain && this.#time.isInGain) this.#failures = 0;
  }

  get #isTooDear(): boolean {
    return this.#work.isTooDear || this.#time.isTooDear;
  }

  /** The trial is lost, and so many before it that the next one waits. */
  #end(failures: number): void {
    this.#work.end();
    this.#time.end();
    this.#failures = Math.min(failures, MOST_DOUBLINGS);
    this.#phase = "off";
  }

  /** Gives up what does not pay; the next trial waits for longer. */
  giveUp(): void {
    this.#end(this.#failures + 1);
  }

  /** Gives up following. */
  stop(): void {
    if (this.#phase !== "off") this.#end(this.#failures);
  }

  /** Starts anew. */
  reset(): void {
    this.#phase = "off";
    this.#work = new Balance("work");
    this.#time = new Balance("time");
    this.#failures = this.#answers = this.#refreshes = 0;
  }
}
