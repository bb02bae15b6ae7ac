/**
 * A time limit for waiting for a device. Some drivers block the caller's thread, others work in a thread of
 * their own: so the clock is checked between steps, and waiting ends when the time has run out.
 */

/** The error when time has run out. */
export class TimeoutError extends Error {
  /** `what` had not ended after `milliseconds`. */
  constructor(what: string, milliseconds: number) {
    super(`${what} had not ended after ${milliseconds / 1000} s`);
  }
}

/** A point in time until which a caller waits. */
export class Deadline {
  readonly #milliseconds: number;
  readonly #end: number;

  /** The deadline is `milliseconds` from now. */
  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
    this.#end = performance.now() + milliseconds;
  }

  /**
   * Throws when time has run out.
   *
   * @throws {TimeoutError} Its message names `what` took the time.
   */
  check(what: string): void {
    if (performance.now() > this.#end) throw new TimeoutError(what, this.#milliseconds);
  }

  /** Waits for a promise until the deadline, and then rejects with a {@link TimeoutError}. */
  async wait<T>(what: string, promise: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = new Promise<never>((_, reject) => {
      const left = Math.max(0, this.#end - performance.now());
      timer = setTimeout(() => reject(new TimeoutError(what, this.#milliseconds)), left);
    });
    try {
      return await Promise.race([promise, end]);
    } finally {
      clearTimeout(timer);
      // A failure after a timeout is ignored.
      promise.catch(() => {});
    }
  }
}
