/**
 * Lets a cell be stopped while it waits: what its code awaits throws, as if it had failed, so that `finally` runs and the
 * state is what it was.
 *
 * Invariant: a stop reaches the cell that runs, and what was started by it; tasks of earlier cells go on. One stop throws
 * once: later awaits pass, those of `finally` too. A second stop lets no await go on. Code that awaits without end leaves
 * time for messages.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import type { Origin } from "./outputs.ts";
import { laterTurn } from "./timers.ts";
import { Error, Math, performance, Promise, Reflect, Set, Symbol } from "../natives.ts";

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
class Wait {
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

/** A cell, or a message to a comm, with all that was started by it. */
interface Task {
  readonly origin: Origin;
  /** Where the ring of its waits begins; no wait itself. */
  readonly ring: Wait;
  /** Whether it can be stopped: it has not ended. */
  isRunning: boolean;
  stops: number;
  /** Whether a stop came while nothing waited: the next await throws. */
  owes: boolean;
  /** How often what was left running after the cell's end was told of the stop. */
  reminders: number;
}

/** A row of awaits that never wait would keep the event loop from turning; so often it turns. */
const TURN_MS = 20;
/** The clock, which costs as much as an await, is looked at rarely where awaits are quick, at most once in so many. */
const RAREST_LOOK = 64, QUICK_MS = 0.5, SLOW_MS = 5;
/** So often it is looked whether what tidies up after a stop is done. */
const LOOK_MS = 5;
/** Code that a stopped cell has left running is told of the stop at so many awaits; the next one never ends. */
const REMINDERS = 100;

/** The cells and messages that run. */
export class Cells {
  readonly #current = new AsyncLocalStorage<Task | undefined>();
  /** Those that can be stopped. */
  readonly #running = new Set<Task>();
  #cell: Task | null = null;
  #press = 0;
  #turnedAt = performance.now();
  #lookedAt = 0;
  /** Awaits from one look at the clock to the next, and those that are left of them. */
  #interval = 1;
  #left = 1;
  /** Whether a stop ever came: before it, awaits of what is there need not know whose they are. */
  #hasStopped = false;

  /** Begins a cell. */
  readonly enter = (id: number): void => {
    this.leave();
    this.#beginTurn();
    this.#cell = newTask({ kind: "cell", id });
    this.#running.add(this.#cell);
    this.#current.enterWith(this.#cell);
  };

  /** Ends the cell, if one runs. */
  leave(): void {
    if (this.#cell) this.#end(this.#cell);
    this.#cell = null;
  }

  /** The cell that runs. */
  get cell(): Origin | null {
    return this.#cell?.origin ?? null;
  }

  /** The cell or message that the running code belongs to; null where that is not known. */
  get origin(): Origin | null {
    return this.#current.getStore()?.origin ?? null;
  }

  /** Runs something that can be stopped like a cell. */
  async run(id: number, work: () => unknown): Promise<void> {
    const task = newTask({ kind: "comm", id });
    this.#beginTurn();
    this.#running.add(task);
    try {
      await this.#current.run(task, work);
    } finally {
      this.#end(task);
    }
  }

  #end(task: Task): void {
    task.isRunning = false;
    this.#running.delete(task);
  }

  /** Does something as a part of the cell that runs. */
  inCell<T>(work: () => T): T {
    return this.#current.run(this.#cell ?? undefined, work);
  }

  /** Does something outside of any cell. */
  outside<T>(work: () => T): T {
    return this.#current.run(undefined, work);
  }

  /**
   * Stops all that runs; says how many awaits that was. The same press of the button may be told of several times, and
   * counts once.
   */
  stop(press: number): number {
    if (press === this.#press) return 0;
    this.#press = press;
    this.#hasStopped = true;
    let count = 0;
    for (const task of this.#running) {
      task.stops++;
      const waits = waitsOf(task), inFunctions = waits.filter(({ isTop }) => !isTop);
      count += waits.length;
      if (waits.length === 0) task.owes = true;
      // The second stop is the last: all throw at once, and no later await goes on.
      else if (task.stops > 1 || inFunctions.length === 0) throwIn(waits);
      else {
        throwIn(inFunctions);
        this.#stopTop(task, waits);
      }
    }
    return count;
  }

  /** A question of the cell has heard of a stop, so that no await of it need hear of this one. */
  hear(press: number): void {
    if (press === this.#press) return;
    this.#press = press;
    this.#hasStopped = true;
    if (this.#cell) this.#cell.stops++;
  }

  /** Gives the value that an `await` of a cell waits for. */
  readonly awaiting = <T>(value: T, isTop?: unknown): T | Promise<Awaited<T>> => {
    const isThere = !mayWait(value);
    // The commonest case, and the quickest: nothing to wait for, and nobody who stops it.
    if (isThere && !this.#hasStopped && !this.#isTurnDue()) return value;
    const task = this.#current.getStore();
    if (task === undefined) return value;
    if (task.stops > 0) {
      const stopped = this.#afterStop<T>(task);
      if (stopped) return stopped;
    }
    // Tasks of earlier cells are no longer to be stopped.
    if (!task.isRunning) return value;
    if (!isThere) return this.#wait<T>(task, value, isTop !== undefined);
    if (this.#hasStopped && !this.#isTurnDue()) return value;
    return new Promise((resolve) => this.#turn(() => resolve(value as Awaited<T>)));
  };

  /** A promise of what another one gives, unless a stop comes first. */
  #wait<T>(task: Task, value: unknown, isTop: boolean): Promise<Awaited<T>> {
    // As the language does: a promise is taken as it is, and of anything else `then` is asked once, and what that gives
    // is waited for to the end.
    const source = resolvedWith(value);
    const promise = new Promise<Awaited<T>>(takeHandlers);
    const resolve = lastResolve, reject = lastReject;
    const wait = new Wait(isTop, task.stops, reject);
    task.ring.add(wait);
    const settled = [(result: unknown) => {
      if (this.#isTurnDue()) return this.#turn(() => wait.remove() && resolve(result));
      wait.remove();
      resolve(result);
    }, (reason: unknown) => {
      wait.remove();
      reject(reason);
    }];
    Reflect.apply(nativeThen, source, settled);
    return promise;
  }

  /** Whether the event loop has not turned for long. */
  #isTurnDue(): boolean {
    if (--this.#left > 0) return false;
    const now = performance.now(), passed = now - this.#lookedAt;
    this.#lookedAt = now;
    if (passed < QUICK_MS) this.#interval = Math.min(RAREST_LOOK, 2 * this.#interval);
    else if (passed > SLOW_MS) this.#interval = 1;
    this.#left = this.#interval;
    return now - this.#turnedAt >= TURN_MS;
  }

  /** Gives the items that a `for await` of a cell goes over: the same ones, but each step can be stopped. */
  readonly iterating = <T>(
    items: AsyncIterable<T> | Iterable<T | PromiseLike<T>>,
    isTop?: unknown,
  ): AsyncIterable<T> | Iterable<T | PromiseLike<T>> => {
    if (items === null || items === undefined || typeof items === "string") return items;
    const open: unknown = (items as AsyncIterable<T>)[Symbol.asyncIterator];
    const isAsync = open !== null && open !== undefined;
    const begin = isAsync ? open : (items as Iterable<T>)[Symbol.iterator];
    // The language says what is wrong with it.
    if (typeof begin !== "function") return items;
    return {
      [Symbol.asyncIterator]: () => {
        const iterator = Reflect.apply(begin, items, []) as AsyncIterator<T> & Iterator<T>;
        const { next } = iterator;
        const step = () => Reflect.apply(next, iterator, []);
        return {
          next: async () => {
            if (isAsync) return await this.awaiting(step(), isTop);
            const { done, value } = step();
            if (done) return { done, value };
            try {
              return { done, value: await this.awaiting(value, isTop) };
            } catch (error) {
              // The language ends an iterator whose item was rejected.
              iterator.return?.();
              throw error;
            }
          },
          // The end is not waited for by a stop: it tidies up.
          ...(iterator.return ? { return: (value) => iterator.return!(value) } : {}),
        };
      },
    } as AsyncIterable<T>;
  };

  /** The value of an await in a task that was stopped; null where it waits as any other. */
  #afterStop<T>(task: Task): Promise<Awaited<T>> | null {
    if (!task.isRunning) {
      // Code that a stopped cell has left running ends here; code that catches everything must not go round for ever.
      if (++task.reminders > REMINDERS) return new Promise(() => {});
      return new Promise((_, reject) => this.#turn(() => reject(new Interrupted())));
    }
    if (task.stops > 1) return new Promise(() => {});
    if (!task.owes) return null;
    task.owes = false;
    return Promise.reject(new Interrupted());
  }

  /** The cell's own await throws when what its functions do about the stop is done, and it still waits. */
  async #stopTop(task: Task, waits: readonly Wait[]): Promise<void> {
    const { stops } = task;
    const look = () => new Promise<void>((resolve) => laterTurn(resolve, LOOK_MS));
    await look();
    while (task.stops === stops && waitsOf(task).some((wait) => wait.stops === stops)) await look();
    if (task.stops === stops) throwIn(waits.filter(({ isTop }) => isTop));
  }

  #turn(then: () => void): void {
    laterTurn(() => {
      this.#beginTurn();
      then();
    });
  }

  #beginTurn(): void {
    this.#turnedAt = performance.now();
    this.#interval = this.#left = 1;
  }
}

const { then: nativeThen } = Promise.prototype;
const nativeResolve = Promise.resolve;

/** The promise that an await of a value waits for. Throws where the value's `constructor` does. */
function resolvedWith(value: unknown): Promise<unknown> {
  return Reflect.apply(nativeResolve, Promise, [value]);
}

/** The handlers of the newest promise: one executor for all promises costs less than one for each. */
let lastResolve: (value: unknown) => void = () => {}, lastReject: (reason: unknown) => void = () => {};

function takeHandlers(resolve: (value: never) => void, reject: (reason: unknown) => void): void {
  lastResolve = resolve as (value: unknown) => void;
  lastReject = reject;
}

function newTask(origin: Origin): Task {
  return { origin, ring: new Wait(false, 0, () => {}), isRunning: true, stops: 0, owes: false, reminders: 0 };
}

/** All that wait, the first one first. */
function waitsOf({ ring }: Task): Wait[] {
  const waits: Wait[] = [];
  for (let wait = ring.before; wait !== ring; wait = wait.before) waits.push(wait);
  return waits;
}

/** Those of the waits throw that still wait. */
function throwIn(waits: readonly Wait[]): void {
  for (const wait of waits) if (wait.remove()) wait.reject(new Interrupted());
}

/** Whether an await would ask it for its `then`, which is not asked here: it may be a getter. */
function mayWait(value: unknown): boolean {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return false;
  try {
    return "then" in value;
  } catch {
    // A proxy does not have to say so.
    return true;
  }
}
