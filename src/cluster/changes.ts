/**
 * A list of items that grows, read by any number of readers that wait for more.
 *
 * Invariant: a waiting reader is woken by every `tell`, by the end of its signal, and by `close`, and holds
 * nothing afterwards.
 */

/** Wakes the readers that wait. */
export class Changes {
  #waiting = new Set<() => void>();
  #isClosed = false;

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Wakes all who wait. */
  tell(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }

  /**
   * Resolves with the next `tell`, with the end of the signal, or with `close`; at once after one of the last
   * two.
   */
  next(signal?: AbortSignal): Promise<void> {
    if (this.#isClosed || signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal?.addEventListener("abort", wake);
    });
  }

  /** Wakes all who wait, now and later. */
  close(): void {
    this.#isClosed = true;
    this.tell();
  }
}
