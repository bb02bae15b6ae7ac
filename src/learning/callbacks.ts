/**
 * Calls of the caller's functions: losses, optimizers, schedules and measures, which may throw anything.
 */

import { describe, InputError } from "../base/errors.ts";
import { reading } from "../base/lists.ts";

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

/** Throws unless an object has all of some methods. */
export function checkGiven(
  operation: string,
  what: string,
  given: unknown,
  methods: readonly string[],
  members = methods,
): void {
  const isObject = typeof given === "object" && given !== null;
  const hasAll = isObject &&
    reading(operation, () => methods.every((method) => typeof Reflect.get(given, method) === "function"));
  if (hasAll) return;
  // `optimizer: adam` where `adam()` was meant.
  const hint = typeof given === "function" ? "; did you mean to call it?" : "";
  const expected = `an object with ${members.join(", ")}${hint}`;
  throw new InputError(operation, `${what} is ${describe(given)}`, expected);
}

/** The name of an object of the caller's that has some methods; throws unless it has all of them and a name. */
export function takeNamed(
  operation: string,
  what: string,
  given: { readonly name: string },
  methods: readonly string[],
): string {
  const members = ["name", ...methods];
  checkGiven(operation, what, given, methods, members);
  const name: unknown = reading(operation, () => given.name);
  if (typeof name === "string") return name;
  throw new InputError(operation, `${what} is ${describe(given)}`, `an object with ${members.join(", ")}`);
}
