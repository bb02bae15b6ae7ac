/**
 * Lets timers be stopped without harm: what they call runs as a job of its own. A kernel that is stopped while a timer calls
 * directly never gets back to its event loop.
 *
 * Invariant: an interval whose call was terminated calls no more, nor does a timer that this call has set.
 */

import process from "node:process";
import { syncBuiltinESMExports } from "node:module";
import nodeTimers from "node:timers";
import timerPromises from "node:timers/promises";
import {
  AbortController,
  AbortSignal,
  clearInterval,
  DOMException,
  globalObject,
  Number,
  Object,
  Promise,
  queueMicrotask,
  Reflect,
  SharedAtomics,
  WebAssembly,
} from "../natives.ts";
import { jobAfter, LONGEST_MS } from "./alarm.ts";

type Callback = (...args: unknown[]) => unknown;
type Timer = (callback: unknown, ...rest: unknown[]) => unknown;

/** Does something in a turn of the event loop of its own, as a job that can be terminated without harm. */
export function laterTurn(work: () => void, milliseconds = 0): void {
  // An immediate would not do: a termination loses all immediates of the same turn of the event loop.
  jobAfter(milliseconds, () => {
    forgetCall();
    work();
  });
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
    // The runtime's own function throws at a wrong delay.
    if (!(milliseconds >= 0 && milliseconds <= LONGEST_MS)) return timeout(milliseconds);
    const controller = new AbortController();
    jobAfter(
      milliseconds,
      () => controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError")),
    );
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

/** The parts of what the runtime's timers give back. */
interface Handle {
  readonly _destroyed: boolean;
}

/** Replaces the timers, those of `node:timers`, which are the same functions, and the one of `node:timers/promises`. */
export function replaceTimers(): void {
  for (const name of ["setTimeout", "setInterval", "setImmediate"] as const) {
    const native = Reflect.get(globalObject, name) as Timer;
    const timer = name === "setImmediate" ? immediateOf(native) : timerOf(native, name === "setInterval");
    replace(globalObject, name, native, timer);
    Object.defineProperty(nodeTimers, name, {
      value: timer,
      configurable: true,
      writable: true,
      enumerable: true,
    });
  }
  replacePromised();
}

/** The function of `node:timers/promises`. */
function replacePromised(): void {
  const native = timerPromises.setTimeout as Timer;
  replace(timerPromises, "setTimeout", native, (delay: unknown, value: unknown, options?: object) => {
    if (options !== undefined || delay !== undefined && typeof delay !== "number") {
      return native(delay, value, options);
    }
    return new Promise((resolve) =>
      jobAfter(delay !== undefined && delay >= 1 ? delay : 1, () => resolve(value))
    );
  });
  syncBuiltinESMExports();
}

/** Makes a timer. Its handle is one of the runtime's, set for the longest time, so that every method of handles works on it. */
function timerOf(native: Timer, isInterval: boolean): Timer {
  return (callback, delay, ...args) => {
    if (typeof callback !== "function") return native(callback, delay, ...args);
    // As in the runtime, any other delay is the shortest.
    const given = Number(delay), milliseconds = given >= 1 && given <= LONGEST_MS ? given : 1;
    const call: Call = { by: running, isRunning: false };
    const handle = native(() => {}, LONGEST_MS) as Handle;
    const end = () => clearInterval(handle as unknown as number);
    let settings = 0, isOver = false;
    const set = () => {
      const setting = ++settings, isAgain = isOver;
      const isDead = () => handle._destroyed && !isAgain || setting !== settings;
      jobAfter(milliseconds, () => {
        if (isDead()) return;
        if (call.isRunning) return end();
        if (isInterval) set();
        else {
          isOver = true;
          end();
        }
        // Work that it had prepared before the stop does not begin either.
        if (!call.by?.isRunning) runCall(call, callback as Callback, handle, args);
      }, isDead);
    };
    const refresh = () => {
      // A timer that has fired begins anew; one that was cleared does not.
      if (!handle._destroyed || isOver) set();
      return handle;
    };
    Object.defineProperty(handle, "refresh", { value: refresh, configurable: true, writable: true });
    set();
    return handle;
  };
}

function immediateOf(native: Timer): Timer {
  return (callback, ...args) => {
    if (typeof callback !== "function") return native(callback, ...args);
    const call: Call = { by: running, isRunning: false };
    return native(function (this: unknown) {
      queueMicrotask(() => {
        if (!call.by?.isRunning) runCall(call, callback as Callback, this, args);
      });
    });
  };
}
