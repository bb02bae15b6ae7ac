/**
 * The parts of Deno that are used and not promised, in one place.
 *
 * Invariant: each is looked for before it is used; where one is missing an error says so.
 */

import { Deno, Error, Reflect } from "../natives.ts";

/** The parts of Deno's core that are used. */
export interface DenoInternals {
  readonly ops: Readonly<Record<string, unknown>>;
  /** A console that writes by a function of one's own. */
  readonly Console: new (print: (text: string, level: number) => void) => object;
  /** The functions that the stock kernel calls. */
  readonly jupyter: {
    /** Shows the last value of a cell; the stock kernel looks it up here for each. */
    broadcastResult(count: number, value: unknown): Promise<void>;
    /** The bundle of a value. */
    formatInner(value: unknown, raw: boolean): Promise<Record<string, unknown>>;
  };
  inspectArgs(args: readonly unknown[], options: { readonly colors: boolean }): string;
}

/** Finds it. */
export function denoInternals(): DenoInternals {
  const key: unknown = Reflect.get(Deno, "internal");
  const internal = recordAt(Deno, key),
    core = recordAt(internal, "core"),
    jupyter = recordAt(internal, "jupyter");
  const parts: readonly (readonly [name: string, isThere: boolean])[] = [
    ["core.ops", typeof core?.ops === "object"],
    ["Console", typeof internal?.Console === "function"],
    ["inspectArgs", typeof internal?.inspectArgs === "function"],
    ["jupyter.formatInner", typeof jupyter?.formatInner === "function"],
    ["jupyter.broadcastResult", typeof jupyter?.broadcastResult === "function"],
  ];
  const missing = parts.filter(([, isThere]) => !isThere).map(([name]) => name);
  if (missing.length > 0) {
    throw new Error(
      `denoInternals: this version of Deno has no ${missing.join(", ")}, expected one that has`,
    );
  }
  return { ...internal, ops: core?.ops, jupyter } as unknown as DenoInternals;
}

function recordAt(object: unknown, key: unknown): Record<string, unknown> | null {
  if (typeof object !== "object" || object === null || typeof key !== "symbol" && typeof key !== "string") {
    return null;
  }
  const value: unknown = Reflect.get(object, key);
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : null;
}
