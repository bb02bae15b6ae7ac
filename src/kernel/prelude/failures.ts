/**
 * The report of an error: all that is known of it, as `console.error` would write it, with causes, the errors within it and
 * its own fields.
 *
 * Invariant: whatever was thrown, something is told, and telling it throws nothing.
 */

import process from "node:process";
import { types } from "node:util";
import type { JsonObject } from "../protocol/message.ts";
import { addEventListener, Deno, Error, Object, String, SuppressedError } from "../natives.ts";

/** A cell may replace it. */
const { isNativeError } = types;
/** Frames of the runtime, and of cells whose name is not known, in the traces of other realms, which nobody has prepared. */
const FOREIGN = /\n\s+at (.*\(ext:.*\)|<anonymous>:\d+:\d+)(?=\n|$)/g;
/** A module that was edited is known by the name of its file. */
const EDITED = /\?edited=\d+/g;
/** Errors within errors are told so deep. */
const DEPTH = 4;

/** The content of an error message. */
export function failureOf(thrown: unknown, colors: boolean): JsonObject {
  // A Proxy may throw even when asked that.
  const isError = isErrorOf(thrown);
  const text = textOf(thrown, isError, colors, 0);
  return {
    ename: isError ? attempt(() => String((thrown as Error).name)) || "Error" : kindOf(thrown),
    evalue:
      (isError ? attempt(() => String((thrown as Error).message)) : attempt(() => Deno.inspect(thrown))) ??
        "",
    traceback: (isError ? text : `Uncaught ${text}`).split("\n"),
  };
}

function textOf(thrown: unknown, isError: boolean, colors: boolean, depth: number): string {
  const text =
    attempt(() => bare(thrown, Deno.inspect(thrown, { colors, depth: 4 })).replaceAll(EDITED, "")) ??
      // An error that does not let itself be shown has a trace all the same.
      (isError ? attempt(() => String((thrown as Error).stack)) : null) ??
      "[what was thrown cannot be shown]";
  if (!isError || depth === DEPTH || attempt(() => thrown instanceof SuppressedError) !== true) return text;
  // The runtime shows neither of its two errors.
  const parts = (["error", "suppressed"] as const).map((name) => {
    const part = attempt(() => (thrown as SuppressedError)[name]);
    const inner = textOf(part, isErrorOf(part), colors, depth + 1);
    return `  [${name}]: ${inner.split("\n").join("\n  ")}`;
  });
  return [text, ...parts].join("\n");
}

/** Without the brackets that the runtime puts around an error of which it knows no place: the kernel tells that below. */
function bare(thrown: unknown, text: string): string {
  // A Proxy may throw even when asked that.
  if (attempt(() => thrown instanceof Error) !== true) return text.replaceAll(FOREIGN, "");
  const stack: unknown = text.startsWith("[") ? attempt(() => (thrown as Error).stack) : null;
  const isIn = typeof stack === "string" && text.startsWith(`[${stack}]`);
  return isIn ? stack + text.slice(stack.length + 2) : text;
}

/**
 * Hears of errors that nobody catches, and has the kernel go on; `tell` is told of those that no listener of the notebook's
 * own takes, one of the page's or of Node's.
 */
export function hearErrors(tell: (thrown: unknown) => void): void {
  const hear = async (event: Event, thrown: unknown, nodeName: string) => {
    const isNodes = process.listenerCount(nodeName) > 0;
    // Node's part hears of a rejection that nobody has taken before.
    if (isNodes && nodeName === "unhandledRejection") return;
    let isTaken = isNodes;
    event.preventDefault();
    Object.defineProperty(event, "preventDefault", {
      value: () => void (isTaken = true),
      configurable: true,
    });
    // Listeners of the notebook hear of it after this one. What goes on then still belongs to the same cell.
    await null;
    if (!isTaken) tell(thrown);
  };
  addEventListener("error", (event) => {
    hear(event, event.error ?? new Error(event.message), "uncaughtException");
  });
  addEventListener("unhandledrejection", (event) => hear(event, event.reason, "unhandledRejection"));
}

/** Also of another realm, as of `node:vm`. */
function isErrorOf(thrown: unknown): boolean {
  return attempt(() => thrown instanceof Error || isNativeError(thrown)) === true;
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
