/**
 * A limit of time for what a device is waited for. Some drivers work while the caller waits in the call, and
 * some in a thread of their own: so the clock is asked between steps, and a wait is given up when it runs
 * out.
 */

/** Thrown when time has run out. */
export class TimeoutError extends Error {
  /** `what` had not come to its end after `milliseconds`. */
  constructor(what: string, milliseconds: number) {
    super(`${what} had not ended after ${milliseconds / 1000} s`);
  }
}

/** A moment that is not waited beyond. */
export class Deadline {
  readonly #milliseconds: number;
  readonly #end: number;

  /** That many milliseconds from now. */
  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
    this.#end = performance.now() + milliseconds;
  }

  /**
   * Fails when time has run out.
   *
   * @throws {TimeoutError} `what` names what took the time.
   */
  check(what: string): void {
    if (performance.now() > this.#end) throw new TimeoutError(what, this.#milliseconds);
  }

  /** Waits for a promise, but not beyond the end: then it rejects with a {@link TimeoutError}. */
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
      // After a timeout nobody wants to hear of a failure any more.
      promise.catch(() => {});
    }
  }
}
