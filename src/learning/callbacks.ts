/**
 * Calls of what the caller wrote: losses, optimizers, schedules and measures may throw anything.
 */

import { describe, InputError } from "../base/errors.ts";

/**
 * Answers what `call` returns. An error of its own becomes the `cause` of an {@link InputError} that says what
 * threw, so that it is never taken for a failure of the engine.
 */
export function callGiven<T>(operation: string, what: () => string, expected: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw new InputError(operation, `${what()} threw ${describe(cause)}`, expected, { cause });
  }
}

/** As `callGiven`, of a check whose own refusals, InputErrors, are passed on as they are. */
export function callCheck<T>(operation: string, what: string, expected: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    throw new InputError(operation, `${what} threw ${describe(cause)}`, expected, { cause });
  }
}

/** Refuses what lacks one of some methods, or a text named `text`. */
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
