// Arguments whose code throws at one moment of a call: the first time that anything of them is read, the second, and so on.

import { AttentionError } from "../mod.ts";
import { assert, assertInstanceOf } from "./assert.ts";
import { outcome } from "./hostile_values.ts";

/** Thrown by what cannot be read. */
export class ReadFailure extends Error {
  override readonly name = "ReadFailure";
}

/**
 * `value`, every read of whose fields, and of theirs, is counted; the read with the number `at` throws. What is neither a list nor
 * a plain object stays as it is.
 */
export function failingAt<T>(value: T, at: number): { readonly value: T; readonly hasFailed: () => boolean } {
  let reads = 0;
  const read = () => {
    if (reads++ === at) throw new ReadFailure(`read ${at} fails`);
  };
  const wrap = (inner: unknown): unknown => {
    if (!isPlain(inner)) return inner;
    return new Proxy(inner, {
      get(target, name) {
        read();
        const found = Reflect.get(target, name);
        return typeof found === "function" ? found : wrap(found);
      },
      ownKeys(target) {
        read();
        return Reflect.ownKeys(target);
      },
      has(target, name) {
        read();
        return Reflect.has(target, name);
      },
      getOwnPropertyDescriptor(target, name) {
        read();
        const found = Reflect.getOwnPropertyDescriptor(target, name);
        // A field of the target's own that cannot change must be told as it is.
        return found && "value" in found && found.configurable
          ? { ...found, value: wrap(found.value) }
          : found;
      },
    });
  };
  return { value: wrap(value) as T, hasFailed: () => reads > at };
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

/** What became of a call, and a look at what it left behind. */
export interface Attempt {
  readonly error: unknown;
  readonly check: () => Promise<void>;
}

/**
 * Makes a call with each of its arguments failing at each of its reads, until none fails any more. What is thrown is typed and
 * names the failure as its cause. The number of failures.
 */
export async function failEachRead(
  args: readonly unknown[],
  call: (...args: never[]) => Promise<Attempt>,
): Promise<number> {
  let failures = 0;
  for (let which = 0; which < args.length; which++) {
    if (typeof args[which] !== "object") continue;
    for (let at = 0;; at++) {
      const failing = failingAt(args[which], at);
      const given = args.map((arg, position) => position === which ? failing.value : arg);
      const { error, check } = await call(...given as never[]);
      if (!failing.hasFailed()) break;
      failures++;
      const place = `argument ${which}, read ${at}`;
      if (error !== null) {
        assertInstanceOf(error, AttentionError, `${place}: ${error instanceof Error ? error.stack : error}`);
        assert(hasCause(error), `${place}: ${error.message}`);
      }
      await check();
    }
  }
  return failures;
}

/** An error of a failed read names it as its cause, however deep. */
function hasCause(error: unknown): boolean {
  for (let inner = error; inner instanceof Error; inner = inner.cause) {
    if (inner instanceof ReadFailure) return true;
  }
  return false;
}

/** As {@link failEachRead}, of a function that keeps nothing. */
export async function refuseEachRead(
  run: (...args: never[]) => unknown,
  args: readonly unknown[],
): Promise<number> {
  return await failEachRead(args, async (...given) => {
    return { error: await outcome(() => run(...given)), check: () => Promise.resolve() };
  });
}
