/**
 * Lets timers be stopped without harm: what they call runs as a job of its own. A kernel that is stopped while a timer calls
 * directly never gets back to its event loop.
 */

type Callback = (...args: unknown[]) => void;
type Timer = (callback: unknown, delay?: number, ...args: unknown[]) => unknown;

const nativeTimeout = globalThis.setTimeout;

/** Does something in a turn of the event loop of its own, as a job that can be terminated without harm. */
export function laterTurn(work: () => void, milliseconds = 0): void {
  // Not an immediate: those that are called by one loop are lost with it.
  nativeTimeout(() => queueMicrotask(work), milliseconds);
}

/** Replaces `setTimeout` and `setInterval`. */
export function replaceTimers(): void {
  for (const name of ["setTimeout", "setInterval"] as const) {
    // Declared more narrowly than it takes.
    const native = Reflect.get(globalThis, name as string) as Timer;
    const timer: Timer = (callback, delay, ...args) => {
      if (typeof callback !== "function") return native(callback, delay, ...args);
      return native(() => queueMicrotask(() => (callback as Callback)(...args)), delay);
    };
    // Its name, and what Node hangs on it.
    Object.defineProperties(timer, Object.getOwnPropertyDescriptors(native));
    Object.defineProperty(globalThis, name, { value: timer, configurable: true, writable: true });
  }
}
