/**
 * Lets a cell be stopped while it waits: whatever its code awaits throws, as if it had failed, so that `finally` runs and
 * the state is what it was.
 *
 * Invariant: a stop reaches the cell that runs, and what was started by it; tasks of earlier cells go on. Code that
 * awaits without end also leaves time for messages.
 */

import { AsyncLocalStorage } from "node:async_hooks";
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

/** A cell, or a message to a comm, with all that was started by it. */
interface Task {
  isStopped: boolean;
  readonly waiting: Set<(reason: Interrupted) => void>;
}

/** A row of awaits that never wait would keep the event loop from turning; so often it turns. */
const TURN_MS = 20;

/** The cells and messages that run. */
export class Cells {
  readonly #current = new AsyncLocalStorage<Task | undefined>();
  readonly #running = new Set<Task>();
  #cell: Task | null = null;
  #turnedAt = performance.now();

  /** Begins a cell. */
  readonly enter = (): void => {
    this.leave();
    this.#cell = newTask();
    this.#running.add(this.#cell);
    this.#current.enterWith(this.#cell);
  };

  /** Ends the cell, if one runs. */
  leave(): void {
    if (this.#cell) this.#running.delete(this.#cell);
    this.#cell = null;
  }

  /** Runs something that can be stopped like a cell. */
  async run(work: () => unknown): Promise<void> {
    const task = newTask();
    this.#running.add(task);
    try {
      await this.#current.run(task, work);
    } finally {
      this.#running.delete(task);
    }
  }

  /** Does something outside of any cell. */
  outside<T>(work: () => T): T {
    return this.#current.run(undefined, work);
  }

  /** Stops all that runs; says how many awaits that was. */
  stop(): number {
    let count = 0;
    for (const task of this.#running) {
      task.isStopped = true;
      count += task.waiting.size;
      for (const reject of task.waiting) reject(new Interrupted());
      task.waiting.clear();
    }
    return count;
  }

  /** What an `await` of a cell waits for. */
  readonly awaiting = <T>(value: T): T | Promise<Awaited<T>> => {
    const task = this.#current.getStore();
    if (task === undefined) return value;
    if (task.isStopped) return Promise.reject(new Interrupted());
    // Tasks of earlier cells are no longer to be stopped.
    if (!this.#running.has(task)) return value;
    return new Promise<Awaited<T>>((resolve, reject) => {
      task.waiting.add(reject);
      Promise.resolve(value).then(
        (result) => this.#afterTurn(() => settle(task, reject, () => resolve(result))),
        (reason) => settle(task, reject, () => reject(reason)),
      );
    });
  };

  /** What a `for await` of a cell goes over: as it is, but each step can be stopped. */
  readonly iterating = <T>(
    items: AsyncIterable<T> | Iterable<T | PromiseLike<T>>,
  ): AsyncIterable<T> | Iterable<T | PromiseLike<T>> => {
    if (typeof items !== "object" || items === null || !(Symbol.asyncIterator in items)) return items;
    return {
      [Symbol.asyncIterator]: () => {
        const iterator = items[Symbol.asyncIterator]();
        return {
          next: async () => await this.awaiting(iterator.next()),
          // The end is not waited for by a stop: it tidies up.
          ...(iterator.return ? { return: (value) => iterator.return!(value) } : {}),
        };
      },
    };
  };

  #afterTurn(then: () => void): void {
    const now = performance.now();
    if (now - this.#turnedAt < TURN_MS) return then();
    laterTurn(() => {
      this.#turnedAt = performance.now();
      then();
    });
  }
}

function newTask(): Task {
  return { isStopped: false, waiting: new Set() };
}

function settle(task: Task, reject: (reason: Interrupted) => void, then: () => void): void {
  task.waiting.delete(reject);
  then();
}
