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

/** What stopped code sees thrown. */
export class Interrupted extends Error {
  /** The name of the class. */
  override readonly name: string = "Interrupted";

  /** Nothing needs to be told. */
  constructor() {
    super("the cell was stopped; its state is kept");
    this.stack = `${this.name}: ${this.message}`;
  }
}

/** An await that has not ended. */
interface Wait {
  /** Whether it is of the cell itself, not of a function in it. */
  readonly isTop: boolean;
  /** How many stops there had been when it began. */
  readonly stops: number;
  readonly reject: (reason: Interrupted) => void;
}

/** A cell, or a message to a comm, with all that was started by it. */
interface Task {
  readonly origin: Origin;
  readonly waits: Set<Wait>;
  stops: number;
  /** Whether a stop came while nothing waited: the next await throws. */
  owes: boolean;
  /** How often what was left running after the cell's end was told of the stop. */
  reminders: number;
}

/** A row of awaits that never wait would keep the event loop from turning; so often it turns. */
const TURN_MS = 20;
/** The clock is looked at once in so many awaits, and one more. */
const CLOCK_MASK = 15;
/** So often it is looked whether what tidies up after a stop is done. */
const LOOK_MS = 5;
/** What a stopped cell has left running is told so at so many awaits, then lets go of. */
const REMINDERS = 100;

/** The cells and messages that run. */
export class Cells {
  readonly #current = new AsyncLocalStorage<Task | undefined>();
  readonly #running = new Set<Task>();
  #cell: Task | null = null;
  #press = 0;
  #turnedAt = performance.now();
  #awaits = 0;

  /** Begins a cell. */
  readonly enter = (id: number): void => {
    this.leave();
    this.#cell = newTask({ kind: "cell", id });
    this.#running.add(this.#cell);
    this.#current.enterWith(this.#cell);
  };

  /** Ends the cell, if one runs. */
  leave(): void {
    if (this.#cell) this.#running.delete(this.#cell);
    this.#cell = null;
  }

  /** The cell that runs. */
  get cell(): Origin | null {
    return this.#cell?.origin ?? null;
  }

  /** What the running code belongs to; null where nobody knows. */
  get origin(): Origin | null {
    return this.#current.getStore()?.origin ?? null;
  }

  /** Runs something that can be stopped like a cell. */
  async run(id: number, work: () => unknown): Promise<void> {
    const task = newTask({ kind: "comm", id });
    this.#running.add(task);
    try {
      await this.#current.run(task, work);
    } finally {
      this.#running.delete(task);
    }
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
    let count = 0;
    for (const task of this.#running) {
      task.stops++;
      const waits = [...task.waits], inFunctions = waits.filter(({ isTop }) => !isTop);
      count += waits.length;
      if (waits.length === 0) task.owes = true;
      // The second stop is the last: all throw at once, and no later await goes on.
      else if (task.stops > 1 || inFunctions.length === 0) throwIn(task, waits);
      else {
        throwIn(task, inFunctions);
        this.#stopTop(task, waits);
      }
    }
    return count;
  }

  /** What an `await` of a cell waits for. */
  readonly awaiting = <T>(value: T, isTop?: unknown): T | Promise<Awaited<T>> => {
    const task = this.#current.getStore();
    if (task === undefined) return value;
    if (task.stops > 0) {
      const stopped = this.#afterStop<T>(task);
      if (stopped) return stopped;
    }
    // Tasks of earlier cells are no longer to be stopped.
    if (!this.#running.has(task)) return value;
    const { waits, stops } = task;
    if (!isThenable(value)) {
      if (!this.#isTurnDue()) return value;
      return new Promise((resolve) => this.#turn(() => resolve(value as Awaited<T>)));
    }
    return new Promise<Awaited<T>>((resolve, reject) => {
      const wait: Wait = { isTop: isTop !== undefined, stops, reject };
      waits.add(wait);
      value.then(
        (result) => {
          if (this.#isTurnDue()) {
            this.#turn(() => {
              waits.delete(wait);
              resolve(result as Awaited<T>);
            });
          } else {
            waits.delete(wait);
            resolve(result as Awaited<T>);
          }
        },
        (reason) => {
          waits.delete(wait);
          reject(reason);
        },
      );
    });
  };

  /** Whether the event loop has not turned for long. The clock, which costs more than the rest, is looked at now and then. */
  #isTurnDue(): boolean {
    return (++this.#awaits & CLOCK_MASK) === 0 && performance.now() - this.#turnedAt >= TURN_MS;
  }

  /** What a `for await` of a cell goes over: as it is, but each step can be stopped. */
  readonly iterating = <T>(
    items: AsyncIterable<T> | Iterable<T | PromiseLike<T>>,
    isTop?: unknown,
  ): AsyncIterable<T> | Iterable<T | PromiseLike<T>> => {
    if (typeof items !== "object" || items === null || !(Symbol.asyncIterator in items)) return items;
    return {
      [Symbol.asyncIterator]: () => {
        const iterator = items[Symbol.asyncIterator]();
        return {
          next: async () => await this.awaiting(iterator.next(), isTop),
          // The end is not waited for by a stop: it tidies up.
          ...(iterator.return ? { return: (value) => iterator.return!(value) } : {}),
        };
      },
    };
  };

  /** What an await gives of a task that was stopped; null where it waits as any other. */
  #afterStop<T>(task: Task): Promise<Awaited<T>> | null {
    if (!this.#running.has(task)) {
      // What a stopped cell has left running ends here; what catches everything must not go round for ever.
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
    while (task.stops === stops && [...task.waits].some((wait) => wait.stops === stops)) await look();
    if (task.stops === stops) throwIn(task, waits.filter(({ isTop }) => isTop));
  }

  #turn(then: () => void): void {
    laterTurn(() => {
      this.#turnedAt = performance.now();
      then();
    });
  }
}

function newTask(origin: Origin): Task {
  return { origin, waits: new Set(), stops: 0, owes: false, reminders: 0 };
}

/** Those of the waits throw that still wait. */
function throwIn({ waits }: Task, some: readonly Wait[]): void {
  for (const wait of some) if (waits.delete(wait)) wait.reject(new Interrupted());
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
