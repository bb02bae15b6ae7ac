/**
 * Tells when the event loop has to turn: a row of awaits that never wait would keep it from that.
 *
 * Invariant: the clock, which costs as much as an await, is looked at rarely where awaits are quick, and at each where they
 * are slow.
 */

import { Math, performance } from "../natives.ts";

/** The event loop turns at least this often. */
const TURN_MS = 20;
/** At most once in so many awaits the clock is looked at. */
const RAREST_LOOK = 64, QUICK_MS = 0.5, SLOW_MS = 5;

/** Counts awaits. */
export class Pace {
  /** Awaits that are left to the next look. */
  left = 1;
  /** Whether many awaits in a row were quick. */
  isQuick = false;
  #interval = 1;
  #turnedAt = performance.now();
  #lookedAt = 0;

  /** Whether the event loop has not turned for long; called at each await, or when none is left. */
  isTurnDue(): boolean {
    if (--this.left > 0) return false;
    const now = performance.now(), passed = now - this.#lookedAt;
    this.#lookedAt = now;
    if (passed < QUICK_MS) this.#interval = Math.min(RAREST_LOOK, 2 * this.#interval);
    else if (passed > SLOW_MS) this.#interval = 1;
    this.left = this.#interval;
    this.isQuick = this.#interval === RAREST_LOOK;
    return now - this.#turnedAt >= TURN_MS;
  }

  /** It turns. */
  beginTurn(): void {
    this.#turnedAt = performance.now();
    this.#interval = this.left = 1;
    this.isQuick = false;
  }
}
