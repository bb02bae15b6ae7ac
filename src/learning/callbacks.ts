/**
 * Calls of the caller's functions: losses, optimizers, schedules and measures, which may throw anything.
 */

import { describe, InputError } from "../base/errors.ts";

/**
 * Returns the result of `call`. An error that it throws becomes the `cause` of an {@link InputError} that
 * names the function, so that it is not mistaken for a failure of the engine.
 */
export function callGiven<T>(operation: string, what: () => string, expected: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw new InputError(operation, `${what()} threw ${describe(cause)}`, expected, { cause });
  }
}

/** As `callGiven`, for a check: an {@link InputError} that it throws is passed on unchanged. */
export function callCheck<T>(operation: string, what: string, expected: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    throw new InputError(operation, `${what} threw ${describe(cause)}`, expected, { cause });
  }
}

/**
 * Throws unless an object has all of some methods and, if `text` is given, a string property of that name.
 */
export function checkGiven(
  operation: string,
  what: string,
  given: unknown,
  methods: readonly string[],
  text?: string,
): void {
  const typeOf = (member: string) =>
    typeof given === "object" && given !== null ? typeof Reflect.get(given, member) : "undefined";
  const hasAll = methods.every((method) => typeOf(method) === "function");
  if (hasAll && (text === undefined || typeOf(text) === "string")) return;
  const members = [...(text === undefined ? [] : [text]), ...methods];
  throw new InputError(operation, `${what} is ${describe(given)}`, `an object with ${members.join(", ")}`);
}
