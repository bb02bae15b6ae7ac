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
import { Pace } from "./pace.ts";
import { laterTurn } from "./timers.ts";
import type { LoopAwaits } from "./bridge.ts";
import { Looks, type Waiting } from "./looks.ts";
import { FREE_LOOP, Interrupted, LoopWait, Wait } from "./waits.ts";
import { Promise, Reflect, Set, String, Symbol, TypeError, Uint8Array } from "../natives.ts";

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

/** The interval at which the clean-up after a stop is checked. */
const LOOK_MS = 5;
/** Code that a stopped cell has left running is told of the stop at so many awaits; the next one never ends. */
const REMINDERS = 100;
/** So many awaits of a place wait without a look when one has found nothing. */
const MISSES = 32;

/** The cells and messages that run. */
export class Cells {
  readonly #current = new AsyncLocalStorage<Task | undefined>();
  /** Those that can be stopped. */
  readonly #running = new Set<Task>();
  #cell: Task | null = null;
  #press = 0;
  readonly #pace = new Pace();
  readonly #looks = new Looks();
  /** How many awaits of each place are not to look, since one has found nothing. */
  readonly #misses = new Uint8Array(256);
  /** Whether a stop ever came: before it, awaits of what is there need not know whose they are. */
  #hasStopped = false;

  /** Nothing needs to be told. */
  constructor() {
    this.end = this.#looks.end;
    this.out = this.#looks.out;
  }

  /** Begins a cell. */
  readonly enter = (id: number): void => {
    this.leave();
    this.#pace.beginTurn();
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
    this.#pace.beginTurn();
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

  /** Whether a stop is new, and meant for the running code, which hears of it now: for no callback while its cell waits. */
  hears(press: number): boolean {
    const cell = this.#cell;
    if (press <= this.#press || cell === null || this.#current.getStore() !== cell) return false;
    if (waitsOf(cell).length > 0) return false;
    this.hear(press);
    return true;
  }

  /** Gives the value that an `await` of a cell waits for. */
  readonly awaiting = <T>(value: T, isTop?: unknown): T | Promise<Awaited<T>> =>
    mayWait(value) ? this.#coming(value, isTop !== undefined) : this.#there(value);

  /** Gives what an await that may run many times awaits first; `place` is a number for where it is. */
  readonly begin = <T>(value: T, place: number, isTop?: unknown): unknown => {
    if (!mayWait(value)) return this.#there(value);
    const pace = this.#pace, misses = this.#misses;
    if (!pace.isQuick || misses[place] > 0 || --pace.left <= 0) {
      if (misses[place] > 0) misses[place]--;
      return this.#coming(value, isTop !== undefined);
    }
    const task = this.#current.getStore();
    if (task === undefined || task.stops > 0 || !task.isRunning) {
      return this.#coming(value, isTop !== undefined);
    }
    const look = this.#looks.begin(place, isTop !== undefined), { gives, throws } = look;
    apply(nativeThen, resolvedWith(value), [gives, throws]);
    return look.mark;
  };

  /** Takes what such an await has given; falsy where it has to wait for the {@link rest}. */
  readonly end: (value: unknown) => unknown;
  /** Gives the value of such an await in the end. */
  readonly out: (value: unknown) => unknown;

  /** Gives what such an await waits for where its promise has not been settled at once. */
  readonly rest = (): unknown => {
    const look = this.#looks.takeLate(), task = this.#current.getStore();
    if (look === null) return undefined;
    this.#misses[look.place] = MISSES;
    const stopped = task !== undefined && task.stops > 0 ? this.#afterStop(task) : null;
    if (stopped) return stopped;
    const promise = new Promise(takeHandlers);
    // Nobody stops what belongs to no task.
    look.waiting = this.#wait(task?.ring ?? new Wait(false, 0, ignore), look.isTop, task?.stops ?? 0);
    return promise;
  };

  /** A value that is awaited where nothing is to be waited for. */
  #there<T>(value: T): T | Promise<Awaited<T>> {
    // This is the commonest case, and the fastest: there is nothing to wait for, and no stop.
    const isDue = this.#pace.isTurnDue();
    if (!this.#hasStopped && !isDue) return value;
    const task = this.#current.getStore();
    if (task === undefined) return value;
    const stopped = task.stops > 0 ? this.#afterStop<T>(task) : null;
    if (stopped) return stopped;
    // Tasks of earlier cells are no longer to be stopped.
    if (!task.isRunning || !isDue) return value;
    return new Promise((resolve) => this.#turn(() => resolve(value as Awaited<T>)));
  }

  /** A promise of what another one gives, unless a stop comes first. */
  #coming<T>(value: T, isTop: boolean): T | Promise<Awaited<T>> {
    const task = this.#current.getStore();
    if (task === undefined) return value;
    const stopped = task.stops > 0 ? this.#afterStop<T>(task) : null;
    if (stopped) return stopped;
    if (!task.isRunning) return value;
    // As the language does: a promise is taken as it is, and of anything else `then` is asked once, and what that gives
    // is waited for to the end.
    const source = resolvedWith(value);
    const promise = new Promise<Awaited<T>>(takeHandlers);
    apply(nativeThen, source, this.#wait(task.ring, isTop, task.stops));
    return promise;
  }

  /** Puts a wait into a ring, whose end settles the newest promise. */
  #wait(ring: Wait, isTop: boolean, stops: number): Waiting {
    const resolve = lastResolve, reject = lastReject;
    const wait = new Wait(isTop, stops, reject);
    ring.add(wait);
    return [(result) => {
      if (this.#pace.isTurnDue()) return this.#turn(() => wait.remove() && resolve(result));
      wait.remove();
      resolve(result);
    }, (reason) => {
      wait.remove();
      reject(reason);
    }];
  }

  /**
   * Runs a loop of a cell, or of a function in one, whose awaits go by way of what `run` is given; resolves at its end, and
   * rejects when it is stopped.
   */
  readonly looping = (run: (loop: LoopAwaits) => Promise<void>, isTop?: unknown): Promise<void> => {
    const task = this.#current.getStore();
    if (task === undefined) return run(FREE_LOOP);
    const promise = new Promise<void>(takeHandlers);
    const resolve = lastResolve, reject = lastReject;
    // A terminated loop can be recognized only by the fact that nothing holds its promise.
    lastResolve = lastReject = ignore;
    const loop = new LoopWait(isTop !== undefined, reject, task, this.#pace, this.awaiting);
    task.ring.add(loop);
    // Handed over as it is, it lets a trace name the function that the loop is in.
    const over = [resolve, (reason: unknown) => {
      loop.remove();
      reject(reason);
    }];
    apply(nativeThen, run(loop), over);
    return promise;
  };

  /**
   * Code was terminated. No loop is held any longer that nothing waits in, since nobody else holds it then; and what waits for
   * code that will never go on, or was to be told of the stop by such code, is told of it again.
   */
  letGo(): void {
    this.#looks.forget();
    for (const task of this.#running) {
      const { ring, stops } = task;
      for (let wait = ring.after, next = wait.after; wait !== ring; wait = next, next = wait.after) {
        if (wait instanceof LoopWait) wait.letGo();
      }
      const waits = waitsOf(task).filter((wait) => wait.stops < stops);
      throwIn(waits.filter(({ isTop }) => !isTop));
      if (waits.length > 0) this.#stopTop(task, waits);
    }
  }

  /** Gives the items that a `for await` of a cell goes over: the same ones, but each step can be stopped. */
  readonly iterating = <T>(
    items: AsyncIterable<T> | Iterable<T | PromiseLike<T>>,
    isTop?: unknown,
  ): AsyncIterable<T> | Iterable<T | PromiseLike<T>> => {
    if (typeof items === "string") return items;
    // The language's own error would quote the code that was put in.
    if (items === null || items === undefined) throw new TypeError(`${items} is not async iterable`);
    const open: unknown = (items as AsyncIterable<T>)[Symbol.asyncIterator];
    const isAsync = open !== null && open !== undefined;
    const begin = isAsync ? open : (items as Iterable<T>)[Symbol.iterator];
    if (typeof begin !== "function") throw new TypeError(`${nameOf(items)} is not async iterable`);
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
          // A stop does not interrupt the closing of an iterator, which cleans up.
          ...(iterator.return ? { return: (value) => iterator.return!(value) } : {}),
        };
      },
    } as AsyncIterable<T>;
  };

  /** Decides an await in a task that was stopped: what it gives, or null where it waits like any other. */
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
      this.#pace.beginTurn();
      then();
    });
  }
}

const { then: nativeThen } = Promise.prototype;
const nativeResolve = Promise.resolve;
/** A constant costs less than a look into a namespace. */
const { apply } = Reflect;

/** The promise that an await of a value waits for. Throws where the value's `constructor` does. */
function resolvedWith(value: unknown): Promise<unknown> {
  return apply(nativeResolve, Promise, [value]);
}

/** The handlers of the newest promise: one executor for all promises costs less than one for each. */
let lastResolve: (value: unknown) => void = ignore, lastReject: (reason: unknown) => void = ignore;

function ignore(): void {}

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
  for (let wait = ring.before; wait !== ring; wait = wait.before) if (wait.isOpen()) waits.push(wait);
  return waits;
}

/** Those of the waits throw that still wait. */
function throwIn(waits: readonly Wait[]): void {
  // All throw the same error: a chain of calls without end has millions of awaits.
  const reason = new Interrupted();
  for (const wait of waits) wait.interrupt(reason);
}

function nameOf(value: unknown): string {
  const isPlain = typeof value !== "object" && typeof value !== "function";
  return isPlain ? `${typeof value} ${String(value)}` : typeof value;
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
