/**
 * The report of an error: all that is known of it, as `console.error` would write it, with causes, the errors within it and
 * its own fields.
 *
 * Invariant: whatever was thrown, something is told, and telling it throws nothing.
 */

import type { JsonObject } from "../protocol/message.ts";
import { Deno, Error, String } from "../natives.ts";

/** The content of an error message. */
export function failureOf(thrown: unknown, colors: boolean): JsonObject {
  // A Proxy may throw even when asked that.
  const isError = attempt(() => thrown instanceof Error) === true;
  const text = attempt(() => Deno.inspect(thrown, { colors, depth: 4 })) ??
    "[what was thrown cannot be shown]";
  return {
    ename: isError ? attempt(() => String((thrown as Error).name)) || "Error" : kindOf(thrown),
    evalue:
      (isError ? attempt(() => String((thrown as Error).message)) : attempt(() => Deno.inspect(thrown))) ??
        "",
    traceback: (isError ? text : `Uncaught ${text}`).split("\n"),
  };
}

/** The kind of a thrown value that is no error. */
function kindOf(thrown: unknown): string {
  if (typeof thrown !== "object" || thrown === null) return thrown === null ? "null" : typeof thrown;
  return attempt(() => String(thrown.constructor.name)) || "Object";
}

function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}
