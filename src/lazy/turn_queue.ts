/**
 * What a backend is asked, in the order in which it was asked, one at a time; and how a failure is told. When one
 * question fails in a way that those behind it were built on, they reject with the same error.
 */

import { AttentionError, BackendError, DeviceError } from "../errors.ts";

/** A queue for one backend. */
export class TurnQueue {
  readonly #backend: { readonly name: string };
  #tail: Promise<void> = Promise.resolve();
  /** Grows with each failure that takes the queue along; what was queued before one must not run after it. */
  #generation = 0;
  #failure: AttentionError | null = null;
  /** The last such failure, until a caller has been told of it. */
  #untold: AttentionError | null = null;

  /** Errors call the backend by the name that it has at the time. */
  constructor(backend: { readonly name: string }) {
    this.#backend = backend;
  }

  /**
   * Runs `run` when its turn comes; what it throws becomes an error of the library. What is `independent` builds on
   * nothing before it, and runs whatever fails there.
   */
  enqueue<T>(operation: string, run: () => Promise<T>, independent = false): Promise<T> {
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
  forgive(): void {
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

  /** Resolves when all that is queued now has run. */
  idle(): Promise<void> {
    return this.#tail;
  }
}

function ignore(): void {}
