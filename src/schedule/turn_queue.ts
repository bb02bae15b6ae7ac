/**
 * Asks a backend one question at a time, in the order of the calls, and reports failures. When a question fails in a way
 * that those behind it were built on, they reject with the same error.
 *
 * Invariant: once the queue is closed nothing new is queued, and when `close` resolves nothing of it runs any more.
 */

import { AttentionError, BackendError, DeviceError, DisposedError } from "../base/errors.ts";

/** A queue for one backend. */
export class TurnQueue {
  readonly #backend: { readonly name: string };
  #tail: Promise<void> = Promise.resolve();
  /** Grows with each failure that takes the queue along; what was queued before one must not run after it. */
  #generation = 0;
  #failure: AttentionError | null = null;
  /** The last such failure, until a caller has been told of it. */
  #untold: AttentionError | null = null;
  #isClosed = false;

  /** Errors call the backend by the name that it has at the time. */
  constructor(backend: { readonly name: string }) {
    this.#backend = backend;
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Runs `run` when its turn comes; what it throws becomes an error of the library. What is `independent` builds on
   * nothing before it, and runs whatever fails there. A closed queue rejects with a {@link DisposedError}.
   */
  enqueue<T>(operation: string, run: () => Promise<T>, independent = false): Promise<T> {
    if (this.#isClosed) return Promise.reject(new DisposedError(operation));
    const generation = this.#generation;
    const result = this.#tail.then(async () => {
      if (generation !== this.#generation && !independent) throw this.#failure;
      try {
        return await run();
      } catch (cause) {
        throw this.toError(operation, cause);
      }
    });
    this.#tail = result.then(ignore, ignore);
    return result;
  }

  /** An error of the library for whatever was thrown. */
  toError(operation: string, cause: unknown): AttentionError {
    const isTold = cause instanceof AttentionError && !(cause instanceof DeviceError);
    return isTold ? cause : new BackendError(operation, this.#backend.name, cause);
  }

  /** Rejects all that is queued now. */
  failAll(failure: AttentionError): void {
    this.#generation++;
    this.#failure = this.#untold = failure;
  }

  /** Nobody needs to be told of an earlier failure any more. */
  clearFailure(): void {
    this.#untold = null;
  }

  /**
   * What a caller waits for, begun at once. A failure that nobody was told of comes first; one that a caller is told
   * is not told again.
   */
  async tell<T>(answer: () => Promise<T>): Promise<T> {
    const failure = this.#untold;
    this.#untold = null;
    if (failure) throw failure;
    try {
      return await answer();
    } catch (error) {
      if (error === this.#untold) this.#untold = null;
      throw error;
    }
  }

  /** Takes nothing new from now on; resolves when all that was queued before has run. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#tail;
  }
}

function ignore(): void {}
