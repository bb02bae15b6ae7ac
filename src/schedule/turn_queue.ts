/**
 * Runs the turns of an engine one at a time, in the order of the calls, and reports failures. If a turn fails
 * on which the turns behind it build, they reject with the same error.
 *
 * Invariant: a closed queue takes no new turn, and when `close` has resolved no turn runs.
 */

import { LostRoom } from "../backends/wanted.ts";
import {
  AttentionError,
  BackendError,
  CapacityError,
  DeviceError,
  DisposedError,
  InputError,
} from "../base/errors.ts";

/** The queue of one engine. */
export class TurnQueue {
  readonly #backend: { readonly name: string };
  #tail: Promise<void> = Promise.resolve();
  /**
   * The number of failures that made the queued turns fail. A turn that was queued before such a failure must
   * not run after it.
   */
  #generation = 0;
  #failure: AttentionError | null = null;
  /** The last such failure, until a call has rejected with it. */
  #untold: AttentionError | null = null;
  #isClosed = false;

  /** Errors name the backend by the name that it has when they are made. */
  constructor(backend: { readonly name: string }) {
    this.#backend = backend;
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Runs `run` after the turns before it; errors that it throws become errors of the library. An
   * `independent` turn runs even if turns before it have failed. A closed queue rejects with a {@link
   * DisposedError}. What `run` returns at once is there when the turn is.
   */
  enqueue<T>(operation: string, run: () => T | Promise<T>, independent = false): Promise<T> {
    if (this.#isClosed) return Promise.reject(new DisposedError(operation));
    const generation = this.#generation;
    const result = this.#tail.then(() => {
      if (generation !== this.#generation && !independent) throw this.#failure;
      try {
        const answer = run();
        return answer instanceof Promise ? this.#named(operation, answer) : answer;
      } catch (cause) {
        throw this.toError(operation, cause);
      }
    });
    this.#tail = result.then(ignore, ignore);
    return result;
  }

  async #named<T>(operation: string, answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (cause) {
      throw this.toError(operation, cause);
    }
  }

  /** Turns any thrown value into an error of the library. */
  toError(operation: string, cause: unknown): AttentionError {
    if (cause instanceof LostRoom) return new InputError(operation, cause.actual, cause.expected);
    const told = CapacityError.ofCall(operation, cause);
    if (told instanceof AttentionError && !(told instanceof DeviceError)) return told;
    return new BackendError(operation, this.#backend.name, cause);
  }

  /** Makes all turns that are queued now reject with `failure`. */
  failAll(failure: AttentionError): void {
    this.#generation++;
    this.#failure = this.#untold = failure;
  }

  /** Forgets an earlier failure, so that no later call rejects with it. */
  clearFailure(): void {
    this.#untold = null;
  }

  /**
   * Begins `answer` at once and returns its result to a caller. If an earlier failure has reached no caller
   * yet, it rejects with that instead. Each failure reaches one caller only.
   */
  tell<T>(answer: () => Promise<T>): Promise<T> {
    const failure = this.#untold;
    this.#untold = null;
    if (failure) return Promise.reject(failure);
    try {
      const told = answer();
      // The caller's own promise, on which nothing else waits, stays as short as it is.
      told.catch((error) => this.#noteTold(error));
      return told;
    } catch (error) {
      this.#noteTold(error);
      return Promise.reject(error);
    }
  }

  #noteTold(error: unknown): void {
    if (error === this.#untold) this.#untold = null;
  }

  /** Takes no new turn from now on; resolves when all turns queued before have run. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#tail;
  }
}

function ignore(): void {}
