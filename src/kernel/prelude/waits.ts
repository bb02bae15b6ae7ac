/**
 * The awaits of cells that have not ended, in rings: one for each await, or one for all awaits of a loop.
 *
 * Invariant: a wait is in a ring as long as a stop may reach it. A loop that was given up never goes on: what it waited for
 * may still come, and finds an end there.
 */

import { Array, Error, Symbol } from "../natives.ts";
import type { LoopAwaits } from "./bridge.ts";
import type { Pace } from "./pace.ts";

/** The error that stopped code sees thrown. */
export class Interrupted extends Error {
  /** The name of the class. */
  override readonly name: string = "Interrupted";

  /** Nothing needs to be told. */
  constructor() {
    super("the cell was stopped; its state is kept");
    this.stack = `${this.name}: ${this.message}`;
  }
}

/** An await that has not ended, in a ring with all others of its task. */
export class Wait {
  /** Whether it is of the cell itself, not of a function in it. */
  readonly isTop: boolean;
  /** How many stops there had been when it began. */
  readonly stops: number;
  readonly reject: (reason: Interrupted) => void;
  before: Wait = this;
  after: Wait = this;

  constructor(isTop: boolean, stops: number, reject: (reason: Interrupted) => void) {
    this.isTop = isTop;
    this.stops = stops;
    this.reject = reject;
  }

  /** Whether something waits here now. */
  isOpen(): boolean {
    return true;
  }

  /** Throws in what waits; says nothing where nothing does. */
  interrupt(reason: Interrupted): void {
    if (this.remove()) this.reject(reason);
  }

  /** Puts another one behind this. */
  add(wait: Wait): void {
    wait.before = this;
    wait.after = this.after;
    this.after.before = wait;
    this.after = wait;
  }

  /** Takes this one out; says whether it was in. */
  remove(): boolean {
    const { before, after } = this;
    if (after === this) return false;
    before.after = after;
    after.before = before;
    this.before = this.after = this;
    return true;
  }
}

/** The parts of a task that a loop looks at. */
export interface LoopTask {
  readonly stops: number;
}

/**
 * The awaits of one loop, of which one at most waits. They wait for the promises themselves, which costs next to nothing, and
 * a stop does not resume them: it gives up the loop as a whole, which nothing in the loop can tell from an error that is
 * thrown, since no await of it stands in a `try`.
 */
export class LoopWait extends Wait implements LoopAwaits {
  readonly #task: LoopTask;
  readonly #pace: Pace;
  readonly #awaiting: (value: unknown, isTop?: unknown) => unknown;
  #isWaiting = false;
  #isGivenUp = false;
  /** Whether giving it up leaves nothing open. */
  #isPlain = true;

  /** `awaiting` gives what is awaited where a loop must not be given up. */
  constructor(
    isTop: boolean,
    reject: (reason: Interrupted) => void,
    task: LoopTask,
    pace: Pace,
    awaiting: (value: unknown, isTop?: unknown) => unknown,
  ) {
    super(isTop, 0, reject);
    this.#task = task;
    this.#pace = pace;
    this.#awaiting = awaiting;
  }

  override isOpen(): boolean {
    return this.#isWaiting;
  }

  override interrupt(reason: Interrupted): void {
    if (!this.#isWaiting || !this.remove()) return;
    this.#isGivenUp = true;
    this.reject(reason);
  }

  begin(value: unknown): unknown {
    if (this.#isPlain && this.#task.stops === 0 && --this.#pace.left > 0) {
      this.#isWaiting = true;
      return value;
    }
    return this.#awaiting(value, this.isTop ? 1 : undefined);
  }

  end<T>(value: T): T {
    // Nobody hears of it: the loop has ended for all others.
    if (this.#isGivenUp) throw new Interrupted();
    this.#isWaiting = false;
    return value;
  }

  over<T>(items: T): T {
    // Other iterators have to be told of the end of a loop.
    if (!isPlainArray(items)) this.#isPlain = false;
    return items;
  }

  finish(): void {
    // It has waited for the last time, and was not stopped.
    this.remove();
  }

  /** Its awaits can be stopped one by one from now on; the ring need not hold it. */
  letGo(): void {
    if (this.#isWaiting) return;
    this.#isPlain = false;
    this.remove();
  }
}

/** Awaits that nobody stops. */
export const FREE_LOOP: LoopAwaits = {
  begin: (value) => value,
  end: (value) => value,
  over: (items) => items,
  finish: () => {},
};

const { isArray } = Array;
const iterator: typeof Symbol.iterator = Symbol.iterator;
const arrayIterator = Array.prototype[iterator];

function isPlainArray(items: unknown): boolean {
  return isArray(items) && items[iterator] === arrayIterator;
}
