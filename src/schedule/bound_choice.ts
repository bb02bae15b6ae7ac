/**
 * Decides whether a stale answer is certified or its query slots catch up, by times from constants.
 *
 * An engine that answers exactly at each look pays for the keys that have changed since the last one. While states
 * are behind, certificates may cost more than that, and catching up costs more the longer it waits. So what they have
 * cost beside exact looks is summed; when the sum is a good part of what catching up costs, that is done, and the
 * following looks are exact, twice as many after each time that this has happened.
 */

/** Nanoseconds of a look. */
export interface LookTime {
  /** Certificates. */
  readonly certified: number;
  /** Bringing the query slots up to date, and what that would take if they had been at the last look. */
  readonly exact: number;
  readonly exactEachLook: number;
}

/** States that are behind catch up when certificates have lost this share of what that takes. */
const LOSS = 1 / 4;
const MOST_DOUBLINGS = 10;

/** The choices of one engine. */
export class BoundChoice {
  #loss = 0;
  #failures = 0;
  /** Looks that are exact from now on. */
  #pause = 0;

  /** Whether query slots catch up for a look. */
  catchesUp({ certified, exact, exactEachLook }: LookTime): boolean {
    if (this.#pause > 0) {
      this.#pause--;
      return true;
    }
    this.#loss = Math.max(0, this.#loss + certified - exactEachLook);
    if (certified <= exact && this.#loss <= LOSS * exact) return false;
    if (exact > exactEachLook) {
      this.#failures = Math.min(MOST_DOUBLINGS, this.#failures + 1);
      this.#pause = 2 ** this.#failures;
    }
    this.#loss = 0;
    return true;
  }

  /** Starts anew. */
  reset(): void {
    this.#loss = this.#failures = this.#pause = 0;
  }
}
