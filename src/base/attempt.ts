/** As `Promise.try`, which Node has from version 24 on: what `compute` throws at once becomes a rejection, too. */
export function attempt<T>(compute: () => T | PromiseLike<T>): Promise<T> {
  return new Promise((resolve) => resolve(compute()));
}
