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
import { promisify } from "node:util";
import {
  AbortController,
  AbortSignal,
  clearImmediate,
  clearInterval,
  DOMException,
  globalObject,
  Number,
  Object,
  Promise,
  queueMicrotask,
  Reflect,
  SharedAtomics,
  Symbol,
  WebAssembly,
} from "../natives.ts";
import { jobAfter, jobSoon, LONGEST_MS } from "./alarm.ts";

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

function replace(
  owner: object,
  name: string,
  native: object,
  value: object,
  own: PropertyDescriptorMap = {},
): void {
  // The replacement keeps the name and the properties of the original, but for those of its own.
  Object.defineProperties(value, { ...Object.getOwnPropertyDescriptors(native), ...own });
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
  _destroyed: boolean;
  _onTimeout: unknown;
  _idleTimeout: number;
  refresh(): unknown;
}

/** Replaces the timers, those of `node:timers`, which are the same functions, and those of `node:timers/promises`. */
export function replaceTimers(): void {
  const promised = replacePromised();
  const replaced = (name: string, make: (native: Timer) => Timer) => {
    const native = Reflect.get(globalObject, name) as Timer, value = make(native), own = promised[name];
    replace(globalObject, name, native, value, own ? { [promisify.custom]: { value: own } } : {});
    Object.defineProperty(nodeTimers, name, { value, configurable: true, writable: true, enumerable: true });
  };
  const { set, clear } = immediatesOf(clearImmediate as (handle: unknown) => void);
  replaced("setTimeout", (native) => timerOf(native, false));
  replaced("setInterval", (native) => timerOf(native, true));
  replaced("setImmediate", set);
  replaced("clearImmediate", () => clear);
  syncBuiltinESMExports();
}

/** The functions of `node:timers/promises`, by name; those with options are the runtime's. */
function replacePromised(): Readonly<Record<string, Timer>> {
  const { setTimeout: later, setImmediate: soon } = timerPromises as unknown as Record<string, Timer>;
  const promised: Record<string, Timer> = {
    setTimeout: (delay, value, options) => {
      if (options !== undefined || delay !== undefined && typeof delay !== "number") {
        return later(delay, value, options);
      }
      return new Promise((resolve) =>
        jobAfter(delay !== undefined && delay >= 1 ? delay : 1, () => resolve(value))
      );
    },
    setImmediate: (value, options) =>
      options === undefined ? new Promise((resolve) => jobSoon(() => resolve(value))) : soon(value, options),
  };
  replace(timerPromises, "setTimeout", later, promised.setTimeout);
  replace(timerPromises, "setImmediate", soon, promised.setImmediate);
  const { scheduler } = timerPromises, { wait } = scheduler;
  replace(Object.getPrototypeOf(scheduler), "wait", wait, function (this: unknown, ...args: unknown[]) {
    const [delay, options] = args, isPlain = this === scheduler && options === undefined;
    return isPlain ? promised.setTimeout(delay, undefined) : Reflect.apply(wait, this, args);
  });
  return promised;
}

/** Makes a timer. Its handle is one of the runtime's, set for the longest time, so that every method of handles works on it. */
function timerOf(native: Timer, isInterval: boolean): Timer {
  return (callback, delay, ...args) => {
    if (typeof callback !== "function") return native(callback, delay, ...args);
    // As in the runtime, any other delay is the shortest.
    const given = Number(delay), milliseconds = given >= 1 && given <= LONGEST_MS ? given : 1;
    const call: Call = { by: running, isRunning: false };
    const handle = native(() => {}, LONGEST_MS) as Handle;
    const end = () => clearInterval(handle as unknown as number), nativeRefresh = handle.refresh;
    let settings = 0, isOver = false;
    const set = () => {
      const setting = ++settings, isDead = () => handle._destroyed || setting !== settings;
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
      if (handle._destroyed) {
        // A timer that has fired begins anew; one that was cleared does not.
        if (!isOver) return handle;
        isOver = false;
        handle._onTimeout = ignore;
        handle._idleTimeout = LONGEST_MS;
        Reflect.apply(nativeRefresh, handle, []);
      }
      set();
      return handle;
    };
    Object.defineProperty(handle, "refresh", { value: refresh, configurable: true, writable: true });
    set();
    return handle;
  };
}

/** The parts of what the runtime's immediates give back. */
interface ImmediateHandle {
  _destroyed: boolean;
  _onImmediate: unknown;
}

/**
 * Makes immediates. A handle is one of the runtime's that was cleared, and looks as if it were not, so that the runtime does
 * not count it.
 */
function immediatesOf(nativeClear: (handle: unknown) => void): {
  set: (native: Timer) => Timer;
  clear: (handle: unknown) => void;
} {
  const clear = (handle: unknown): void => {
    const own = handle as ImmediateHandle | null | undefined;
    if (own?._onImmediate !== ignore) return nativeClear(handle);
    own._destroyed = true;
    own._onImmediate = null;
    setRef(own, false);
  };
  const set = (native: Timer): Timer => {
    const methods = methodsOf(native(ignore), clear);
    return (callback, ...args) => {
      if (typeof callback !== "function") return native(callback, ...args);
      const call: Call = { by: running, isRunning: false };
      const handle = native(ignore) as ImmediateHandle;
      nativeClear(handle);
      Object.setPrototypeOf(handle, methods);
      handle._destroyed = false;
      handle._onImmediate = ignore;
      setRef(handle, true);
      jobSoon(() => {
        if (handle._destroyed) return;
        clear(handle);
        if (!call.by?.isRunning) runCall(call, callback as Callback, handle, args);
      });
      return handle;
    };
  };
  return { set, clear };
}

/** The prototype of handles, without the methods by which the runtime counts those that keep it going. */
function methodsOf(native: unknown, clear: (handle: unknown) => void): object {
  const method = (value: (this: object) => unknown) => ({ value, configurable: true, writable: true });
  return Object.create(Object.getPrototypeOf(native), {
    ref: method(function () {
      return setRef(this, true);
    }),
    unref: method(function () {
      return setRef(this, false);
    }),
    [Symbol.dispose]: method(function () {
      return clear(this);
    }),
  });
}

/** Changes what `hasRef` of a handle says. */
function setRef(handle: object, isOn: boolean): object {
  refed ??= Object.getOwnPropertySymbols(handle).find(({ description }) => description === "refed");
  if (refed !== undefined) Reflect.set(handle, refed, isOn);
  return handle;
}

/** The name by which handles keep that; known with the first of them. */
let refed: symbol | undefined;

function ignore(): void {}
