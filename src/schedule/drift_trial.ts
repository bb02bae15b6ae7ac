/**
 * Decides whether following drift pays. A copy that is within its error by drift need not be made anew.
 * Following costs a score for every row when a key changes for the first time; changes that are applied later
 * may have replaced or undone each other by then. Which effect is larger depends on the stream of edits, and
 * only a trial can tell.
 *
 * A trial that has cost more than exact answers by a small share of all answers so far is given up, and so is
 * one whose copies have all been made anew some times without having saved more than is still owed. Each trial
 * in a row that is lost doubles the time to the next one.
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

type Unit = keyof Price;

/** The share of the cost of exact answers that trials may lose. */
const SHARE: Price = { work: 1 / 50, time: 1 / 20 };
/** Whether following has paid is asked each time that copies have been made anew this often on average. */
const REFRESHES = 2;
/** No trial begins before so many answers after edits. */
const EARLY = 4;
/** The pause after a lost trial grows by a factor of two up to this power. */
const MOST_DOUBLINGS = 12;

/** The accounts in one unit. */
class Balance {
  readonly #unit: Unit;
  /** The cost that exact answers would have had, and what it was when the last trial ended. */
  #total = 0;
  #totalBefore = 0;
  /** The losses of the trials that were given up, and of the last of them. */
  #lost = 0;
  #lastLoss = 0;
  /** The cost of the present trial less what it has saved. */
  #loss = 0;
  /** The loss that it may make besides the share, and the gain that counts besides it. */
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

  begin(cost: Price, allowed: Price, credit: Price): void {
    this.#loss = cost[this.#unit];
    this.#allowed = allowed[this.#unit];
    this.#credit = credit[this.#unit];
  }

  answered(exact: Price): void {
    this.#total += exact[this.#unit];
  }

  paid(cost: Price): void {
    this.#loss += cost[this.#unit];
  }

  /** What was saved is credit up to the share, and besides it for what may still have to be paid. */
  saved(gain: Price): void {
    const least = -SHARE[this.#unit] * this.#total - this.#credit;
    this.#loss = Math.max(this.#loss - gain[this.#unit], least);
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

/** Decides at each answer. */
export class DriftTrial {
  #isFollowing = false;
  #work = new Balance("work");
  #time = new Balance("time");
  /** Trials begun, and lost in a row. */
  #begun = 0;
  #failures = 0;
  /** Answers after edits. */
  #answers = 0;
  /**
   * Since it was last asked whether following has paid: how often copies were made anew on average, and what was
   * saved, less what was owed then.
   */
  #refreshes = 0;
  #saved: Price = FREE;
  /** Whether the trial has no copies yet. */
  #isNew = false;

  /** Whether a trial goes on. */
  get isFollowing(): boolean {
    return this.#isFollowing;
  }

  /**
   * Whether a trial is due that costs `least`, or more if it goes on. The first one is, after some answers, where
   * `isFirstFree` says that what it begins with is of use in any case.
   */
  isDue(least: Price, isFirstFree: boolean): boolean {
    if (this.#isFollowing || this.#answers < EARLY) return false;
    if (isFirstFree && this.#begun === 0) return true;
    return this.#work.isDue(least, this.#failures) && this.#time.isDue(least, this.#failures);
  }

  /**
   * A trial begins, which has cost `cost` so far. What it saves is credit up to `credit` besides the share: what
   * bringing all up to date may cost, which has to be paid in the end. The first trial may lose what it has cost.
   */
  begin(cost: Price, credit: Price): void {
    const allowed = this.#begun++ === 0 ? cost : FREE;
    this.#isFollowing = this.#isNew = true;
    this.#refreshes = 0;
    this.#saved = FREE;
    this.#work.begin(cost, allowed, credit);
    this.#time.begin(cost, allowed, credit);
  }

  /** Notes a cost of the trial beside its answers. */
  paid(cost: Price): void {
    this.#work.paid(cost);
    this.#time.paid(cost);
  }

  /** Notes an answer after edits that has cost so much, or would have, if it was exact. */
  answered(exact: Price): void {
    this.#answers++;
    this.#work.answered(exact);
    this.#time.answered(exact);
  }

  /**
   * Notes how much less an answer by copies has cost than an exact one, how many copies were made anew for
   * each one in it, and what bringing all of them up to date would cost now.
   */
  saved(gain: Price, refreshes: number, debt: () => Price): void {
    // The first copies are made of answers that are exact in any case.
    if (this.#isNew) {
      this.#isNew = false;
      return;
    }
    this.#work.saved(gain);
    this.#time.saved(gain);
    this.#saved = sum(this.#saved, gain, 1);
    this.#refreshes += refreshes;
    if (this.#work.isTooDear || this.#time.isTooDear) return this.#lose();
    if (this.#refreshes < REFRESHES) return;
    const owed = debt(), { work, time } = sum(this.#saved, owed, -1);
    if (work < 0 || time < 0) {
      this.paid(owed);
      return this.#lose();
    }
    if (this.#work.isInGain && this.#time.isInGain) this.#failures = 0;
    this.#refreshes = 0;
    this.#saved = owed;
  }

  /** The trial is lost, so that the next one waits for longer. */
  #lose(): void {
    this.#failures = Math.min(this.#failures + 1, MOST_DOUBLINGS);
    this.stop();
  }

  /** Ends a trial. */
  stop(): void {
    if (!this.#isFollowing) return;
    this.#work.end();
    this.#time.end();
    this.#isFollowing = false;
  }

  /** Starts anew. */
  reset(): void {
    this.#isFollowing = false;
    this.#work = new Balance("work");
    this.#time = new Balance("time");
    this.#begun = this.#failures = this.#answers = 0;
  }
}

/** No cost. */
const FREE: Price = { work: 0, time: 0 };

function sum(one: Price, other: Price, factor: number): Price {
  return { work: one.work + factor * other.work, time: one.time + factor * other.time };
}
