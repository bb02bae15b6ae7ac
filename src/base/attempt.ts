/**
 * Calls `compute`, and turns an error that it throws synchronously into a rejection. `Promise.try` does the
 * same, but Node has it only from version 24 on.
 */
export function attempt<T>(compute: () => T | PromiseLike<T>): Promise<T> {
  return new Promise((resolve) => resolve(compute()));
}
