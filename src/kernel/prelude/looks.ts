/**
 * Looks at promises. Where awaits are quick an await looks whether its promise is settled before it waits for it as a stop
 * needs it, by a promise of the kernel's own: it awaits a mark for one job, in which a promise that was settled has told.
 *
 * Invariant: a look is used again when its promise has told, which it does once, and its await has taken what it told. A mark
 * is known as long as an await looks, or none has it.
 */

import { Map, Symbol } from "../natives.ts";

/** How far a look is: nothing was told, the promise has given or thrown, or somebody else is to be told. */
const LOOKING = 0, GIVEN = 1, THROWN = 2, LATE = 3;
/** At most so many are kept to be used again. */
const MOST_KEPT = 1000;

/** The two functions that the promise of a look calls which has found nothing. */
export type Waiting = [gives: (value: unknown) => void, throws: (reason: unknown) => void];

/** A look that is used again. */
class Look {
  /** What the await awaits meanwhile: a symbol is asked for no `then`. */
  readonly mark = Symbol();
  phase = LOOKING;
  place = 0;
  isTop = false;
  result: unknown = undefined;
  waiting: Waiting | null = null;

  readonly gives = (value: unknown): void => {
    if (this.phase === LATE) return this.waiting?.[0](value);
    this.phase = GIVEN;
    this.result = value;
  };

  readonly throws = (reason: unknown): void => {
    if (this.phase === LATE) return this.waiting?.[1](reason);
    this.phase = THROWN;
    this.result = reason;
  };
}

export type { Look };

/** All of them. */
export class Looks {
  #free: Look[] = [];
  #marked = new Map<unknown, Look>();
  #newest = new Look();
  #last: unknown = undefined;
  #hasLast = false;
  #hasThrown = false;
  #late: Look | null = null;

  /** A look from a place. */
  begin(place: number, isTop: boolean): Look {
    let look = this.#free.pop();
    if (look === undefined) {
      look = new Look();
      this.#marked.set(look.mark, look);
    }
    this.#newest = look;
    look.phase = LOOKING;
    look.place = place;
    look.isTop = isTop;
    return look;
  }

  /** Takes what an await has given: the value, or the mark of its look. False where that has found nothing. */
  readonly end = (value: unknown): boolean => {
    const look = typeof value === "symbol" ? this.#lookOf(value) : undefined;
    if (look === undefined) {
      this.#last = value;
      return this.#hasLast = true;
    }
    const { phase, result } = look;
    if (phase === LOOKING) {
      look.phase = LATE;
      this.#late = look;
      this.#marked.delete(look.mark);
      return false;
    }
    this.#last = result;
    if (phase === THROWN) this.#hasThrown = true;
    look.result = undefined;
    if (this.#free.length < MOST_KEPT) this.#free.push(look);
    else this.#marked.delete(look.mark);
    return this.#hasLast = true;
  };

  /** What the await gives in the end: what was taken just before, else what it has waited for. */
  readonly out = (value: unknown): unknown => {
    if (!this.#hasLast) return value;
    const last = this.#last;
    this.#hasLast = false;
    this.#last = undefined;
    if (!this.#hasThrown) return last;
    this.#hasThrown = false;
    throw last;
  };

  #lookOf(mark: symbol): Look | undefined {
    // Most often one await looks at a time.
    return mark === this.#newest.mark ? this.#newest : this.#marked.get(mark);
  }

  /** The look that has just found nothing. */
  takeLate(): Look | null {
    const look = this.#late;
    this.#late = null;
    return look;
  }

  /** Code was terminated: an await that looked then never goes on, and its look need not be kept. */
  forget(): void {
    this.#marked = new Map();
    this.#newest = new Look();
    this.#free = [];
  }
}
