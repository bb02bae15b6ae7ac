/**
 * Wraps what is looped over, so that one sees how far the loop is.
 *
 * Invariant: the loop sees the same items in the same order, and its end, break or error reaches the source.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount, reading } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";
import type { ProgressState } from "./progress_text.ts";
import { openView, type ProgressView } from "./progress_targets.ts";

/** What {@link progress} may be told. */
export interface ProgressOptions {
  /** How many items there are; the length or size of the source unless given, where it has one. */
  readonly total?: number;
  /** In front of the numbers; nothing unless given. */
  readonly label?: string;
  /** What an item is called, in the plural; "items" unless given. */
  readonly unit?: string;
  /** Behind the numbers; nothing unless given, and see {@link ProgressLoop.postfix}. */
  readonly postfix?: string;
  /** Whether the bar of a loop that has ended well stays; true unless given. Loops inside loops are better without. */
  readonly leave?: boolean;
  /** Ends the loop with an error when it is aborted; see {@link interruptible}. */
  readonly signal?: AbortSignal;
}

/** The clock is looked at once in so many items at most: an item that is slow all of a sudden must not be missed. */
const LONGEST_STRIDE = 64;
/** Two looks at the clock that are closer than this are needlessly close, and needlessly far apart at ten times that. */
const STRIDE_MS = 2;
/** How often an asynchronous loop lets the rest of the program do something, the signal of a stop button included. */
const BREATH_MS = 50;

/** A loop and how far it is; made by {@link progress}. */
export class ProgressLoop<T> implements Iterable<T>, AsyncIterable<T> {
  readonly #source: Iterable<T> | AsyncIterable<T>;
  readonly #options: ProgressOptions;
  readonly #total: number | null;
  readonly #open: () => ProgressView;
  readonly #clock: () => number;
  #postfix: string;
  #isRunning = false;
  #hasRun = false;

  /** For {@link progress}; views and clocks of one's own are for tests. */
  constructor(
    source: Iterable<T> | AsyncIterable<T>,
    options: ProgressOptions = {},
    open: () => ProgressView = openView,
    clock: () => number = () => performance.now(),
  ) {
    this.#source = source;
    this.#options = options;
    this.#total = options.total ?? sizeOf(source);
    this.#postfix = options.postfix ?? "";
    this.#open = open;
    this.#clock = clock;
  }

  /** What is written behind the numbers, for example a loss; it is shown with the next picture of the bar. */
  get postfix(): string {
    return this.#postfix;
  }

  /** Any text. */
  set postfix(text: string) {
    this.#postfix = String(text);
  }

  /** For `for (const item of …)`. A source that is only asynchronous is refused. */
  [Symbol.iterator](): Iterator<T> {
    const source = this.#source;
    if (!isIterable(source)) {
      throw new InputError("progress", "an asynchronous source is looped over with for", "for await");
    }
    const items = source[Symbol.iterator]();
    const tracker = this.#start(Object.is(items, source));
    return {
      next: () => {
        try {
          tracker.count();
          const result = items.next();
          if (result.done) tracker.end("done");
          return result;
        } catch (error) {
          tracker.end("failed");
          throw error;
        }
      },
      return: (value?: unknown) => {
        tracker.end("stopped");
        items.return?.();
        return { done: true, value };
      },
    };
  }

  /**
   * For `for await (const item of …)`, over any source. The loop lets the program breathe every 50 ms, so that timers,
   * messages and the signal of a stop button get through.
   */
  [Symbol.asyncIterator](): AsyncIterator<T> {
    const source = this.#source;
    const items = isAsyncIterable(source) ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    const tracker = this.#start(Object.is(items, source));
    let breath = this.#clock();
    return {
      next: async () => {
        try {
          if (tracker.count() && this.#clock() - breath >= BREATH_MS) {
            await new Promise((resolve) => setTimeout(resolve, 0));
            breath = this.#clock();
          }
          this.#options.signal?.throwIfAborted();
          const result = await items.next();
          if (result.done) tracker.end("done");
          return result;
        } catch (error) {
          tracker.end("failed");
          throw error;
        }
      },
      return: async (value?: unknown) => {
        tracker.end("stopped");
        await items.return?.();
        return { done: true, value };
      },
    };
  }

  /** `isOnce` says that the source is an iterator, which gives its items once. */
  #start(isOnce: boolean): Tracker {
    if (this.#isRunning) {
      throw new InputError("progress", "the loop runs already", "a loop of its own for each run");
    }
    if (isOnce && this.#hasRun) {
      throw new InputError(
        "progress",
        "the source is an iterator that was looped over",
        "a source of its own",
      );
    }
    this.#isRunning = this.#hasRun = true;
    const { label = "", unit = "items", signal, leave = true } = this.#options;
    const state = (): Pick<ProgressState, "label" | "unit" | "total" | "postfix"> => ({
      label,
      unit,
      total: this.#total,
      postfix: this.#postfix,
    });
    return new Tracker(this.#open(), this.#clock, state, leave, signal, () => this.#isRunning = false);
  }
}

/** Counts, and draws when it is time. */
class Tracker {
  readonly #view: ProgressView;
  readonly #clock: () => number;
  readonly #state: () => Pick<ProgressState, "label" | "unit" | "total" | "postfix">;
  readonly #leave: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #onEnd: () => void;
  readonly #start: number;
  /** Items that have been given out; all but the last of them are done while the loop runs. */
  #given = 0;
  #lookAt = 0;
  #stride = 1;
  #looked: number;
  #drawn: number;
  #isOver = false;

  constructor(
    view: ProgressView,
    clock: () => number,
    state: () => Pick<ProgressState, "label" | "unit" | "total" | "postfix">,
    leave: boolean,
    signal: AbortSignal | undefined,
    onEnd: () => void,
  ) {
    this.#view = view;
    this.#clock = clock;
    this.#state = state;
    this.#leave = leave;
    this.#signal = signal;
    this.#onEnd = onEnd;
    this.#start = this.#looked = this.#drawn = clock();
    view.draw(this.#now(this.#start, 0, "running"));
  }

  /** One more item is wanted. @returns Whether the clock was looked at. */
  count(): boolean {
    if (this.#given++ < this.#lookAt) return false;
    this.#signal?.throwIfAborted();
    const now = this.#clock();
    const since = now - this.#looked;
    if (since < STRIDE_MS) this.#stride = Math.min(LONGEST_STRIDE, this.#stride * 2);
    else if (since > 10 * STRIDE_MS) this.#stride = Math.max(1, this.#stride >> 2);
    this.#looked = now;
    this.#lookAt = this.#given - 1 + this.#stride;
    if (now - this.#drawn >= this.#view.intervalMs) {
      this.#drawn = now;
      this.#view.draw(this.#now(now, this.#given - 1, "running"));
    }
    return true;
  }

  /** Once; what comes later changes nothing. */
  end(status: "done" | "stopped" | "failed"): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd();
    // The item that a loop was broken at is not done, and the source's end is no item.
    const last = this.#now(this.#clock(), Math.max(0, this.#given - 1), status);
    if (status === "done" && !this.#leave) this.#view.remove();
    else this.#view.end(last);
  }

  #now(time: number, done: number, status: ProgressState["status"]): ProgressState {
    return { ...this.#state(), done, elapsedMs: time - this.#start, status };
  }
}

/**
 * Shows how far a loop is, while it runs: share, items, rate, time left. In a notebook below the cell, also while it
 * is busy, on a terminal as a bar, elsewhere as a plain line now and then. Loops inside loops have bars of their own.
 * A loop that ends early or with an error leaves a red bar.
 *
 * It looks at the clock as rarely as it can: a loop whose items take a microsecond or more is slowed by less than 2 %.
 * A busy `for` loop keeps everything else waiting, the stop button too; `for await` over the same source does not.
 *
 * @param source What is looped over: an array or another iterable, an asynchronous iterable, or a number n for
 * 0 … n − 1.
 * @param options Label, unit, total and so on.
 * @throws {InputError} When the source cannot be looped over, or an option is of the wrong type.
 *
 * @example
 * ```ts
 * import { progress } from "@attune/attention/jupyter";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = progress([1, 2, 3], { label: "adding", unit: "numbers" });
 * let sum = 0;
 * for (const number of loop) {
 *   sum += number;
 *   loop.postfix = `sum ${sum}`;
 * }
 * assertEquals(sum, 6);
 * ```
 */
export function progress(source: number, options?: ProgressOptions): ProgressLoop<number>;
/** As above, over items. */
export function progress<T>(
  source: Iterable<T> | AsyncIterable<T>,
  options?: ProgressOptions,
): ProgressLoop<T>;
export function progress(
  source: number | Iterable<unknown> | AsyncIterable<unknown>,
  options: ProgressOptions = {},
): ProgressLoop<unknown> {
  const operation = "progress";
  const given = takeOptions(operation, options, ["total", "label", "unit", "postfix", "leave", "signal"]);
  for (const name of ["label", "unit", "postfix"] as const) {
    if (given[name] === undefined || typeof given[name] === "string") continue;
    throw new InputError(operation, `${name} is ${describe(given[name])}`, "a string");
  }
  const { total, leave } = given;
  if (leave !== undefined && typeof leave !== "boolean") {
    throw new InputError(operation, `leave is ${describe(leave)}`, "true or false");
  }
  if (total !== undefined && !isCount(total)) {
    throw new InputError(operation, `total is ${describe(total)}`, "an integer ≥ 0");
  }
  if (typeof source === "number") {
    if (!isCount(source)) throw new InputError(operation, `source is ${describe(source)}`, "an integer ≥ 0");
    return new ProgressLoop(numbersBelow(source), { total: source, ...given });
  }
  return reading(operation, () => {
    if (isIterable(source) || isAsyncIterable(source)) return new ProgressLoop(source, given);
    throw new InputError(operation, `source is ${describe(source)}`, "an iterable or a number");
  });
}

/** As often as somebody loops over them. */
function numbersBelow(count: number): Iterable<number> {
  return {
    *[Symbol.iterator]() {
      for (let at = 0; at < count; at++) yield at;
    },
  };
}

function isIterable<T>(source: Iterable<T> | AsyncIterable<T>): source is Iterable<T>;
function isIterable(source: unknown): source is Iterable<never>;
function isIterable(source: unknown): boolean {
  return typeof source === "string" ||
    (typeof source === "object" && source !== null && Symbol.iterator in source);
}

function isAsyncIterable<T>(source: Iterable<T> | AsyncIterable<T>): source is AsyncIterable<T>;
function isAsyncIterable(source: unknown): source is AsyncIterable<never>;
function isAsyncIterable(source: unknown): boolean {
  return typeof source === "object" && source !== null && Symbol.asyncIterator in source;
}

function sizeOf(source: unknown): number | null {
  if (typeof source !== "object" || source === null) return null;
  if ("length" in source && isCount(source.length)) return source.length;
  return "size" in source && isCount(source.size) ? source.size : null;
}
