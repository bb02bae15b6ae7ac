/**
 * Lets timers be stopped without harm: what they call runs as a job of its own. A kernel that is stopped while a timer calls
 * directly never gets back to its event loop.
 *
 * Invariant: an interval whose call was terminated calls no more, nor does a timer that this call has set.
 */

import process from "node:process";
import nodeTimers from "node:timers";
import {
  AbortController,
  AbortSignal,
  clearInterval,
  globalObject,
  Object,
  Promise,
  queueMicrotask,
  Reflect,
  setTimeout,
  SharedAtomics,
  WebAssembly,
} from "../natives.ts";

type Callback = (...args: unknown[]) => unknown;
type Timer = (callback: unknown, ...rest: unknown[]) => unknown;

/** Does something in a turn of the event loop of its own, as a job that can be terminated without harm. */
export function laterTurn(work: () => void, milliseconds = 0): void {
  // An immediate would not do: a termination loses all immediates of the same turn of the event loop.
  setTimeout(() =>
    queueMicrotask(() => {
      forgetCall();
      work();
    }), milliseconds);
}

/** Their promises are settled in a task outside of the event loop: what goes on there cannot be stopped without harm. */
const COMPILERS = ["compile", "instantiate", "compileStreaming", "instantiateStreaming"] as const;

/** Has what awaits a compiled module, a change of shared memory or a deadline go on in a turn of its own. */
export function replaceTasks(): void {
  for (const name of COMPILERS) {
    const native = Reflect.get(WebAssembly, name) as (...args: unknown[]) => Promise<unknown>;
    replace(WebAssembly, name, native, (...args: unknown[]) => inTurn(native(...args)));
  }
  const { waitAsync } = SharedAtomics;
  replace(SharedAtomics, "waitAsync", waitAsync, (...args: Parameters<typeof waitAsync>) => {
    const wait = waitAsync(...args);
    return wait.async ? { ...wait, value: inTurn(wait.value) } : wait;
  });
  const { timeout } = AbortSignal;
  replace(AbortSignal, "timeout", timeout, (milliseconds: number) => {
    const deadline = timeout(milliseconds), controller = new AbortController();
    deadline.addEventListener("abort", () => queueMicrotask(() => controller.abort(deadline.reason)));
    return controller.signal;
  });
}

/** The value of a promise, in a turn of its own. */
async function inTurn<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } finally {
    await new Promise<void>((resolve) => laterTurn(resolve));
  }
}

function replace(owner: object, name: string, native: object, value: object): void {
  // The replacement keeps the name and the properties of the original.
  Object.defineProperties(value, Object.getOwnPropertyDescriptors(native));
  const { enumerable = false } = Object.getOwnPropertyDescriptor(owner, name) ?? {};
  Object.defineProperty(owner, name, { value, configurable: true, writable: true, enumerable });
}

/** A call of a timer. Code that is terminated runs no `finally`: a call that has been running since earlier was stopped. */
interface Call {
  /** The call in which the timer was set; null where that was none. */
  readonly by: Call | null;
  isRunning: boolean;
}

let running: Call | null = null;

function runCall(call: Call, callback: Callback, self: unknown, args: readonly unknown[]): void {
  call.isRunning = true;
  running = call;
  try {
    Reflect.apply(callback, self, args);
  } finally {
    call.isRunning = false;
    running = null;
  }
}

/** Code that runs from now on belongs to no call: a call that was terminated does not say itself that it is over. */
export function forgetCall(): void {
  running = null;
}

/**
 * Replaces `process.nextTick` by what libraries put in its place in browsers, a job: a loop that is terminated in a call of the
 * runtime's own row leaves that without an end.
 */
export function replaceTicks(): void {
  const native = process.nextTick;
  replace(process, "nextTick", native, (callback: unknown, ...args: unknown[]) => {
    if (typeof callback !== "function") return Reflect.apply(native, process, [callback, ...args]);
    queueMicrotask(() => void Reflect.apply(callback, undefined, args));
  });
}

/** Replaces the timers, and those of `node:timers`, which are the same functions. */
export function replaceTimers(): void {
  for (const name of ["setTimeout", "setInterval", "setImmediate"] as const) {
    const timer = replaceTimer(globalObject, name, name !== "setImmediate");
    Object.defineProperty(nodeTimers, name, {
      value: timer,
      configurable: true,
      writable: true,
      enumerable: true,
    });
  }
}

function replaceTimer(owner: object, name: string, hasDelay: boolean): Timer {
  const native = Reflect.get(owner, name) as Timer;
  const timer: Timer = (callback, ...rest) => {
    if (typeof callback !== "function") return native(callback, ...rest);
    const call: Call = { by: running, isRunning: false }, args = rest.slice(hasDelay ? 1 : 0);
    const id = native(function (this: unknown) {
      queueMicrotask(() => {
        if (call.isRunning) return clearInterval(id as number);
        // Work that it had prepared before the stop does not begin either.
        if (call.by?.isRunning) return;
        runCall(call, callback as Callback, this, args);
      });
    }, ...rest.slice(0, hasDelay ? 1 : 0));
    return id;
  };
  replace(owner, name, native, timer);
  return timer;
}
