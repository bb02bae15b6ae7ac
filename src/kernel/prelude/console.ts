/**
 * `console`, whose lines say which cell they belong to.
 */

import { denoInternals } from "./internals.ts";
import { console, Object, Reflect } from "../natives.ts";

/** The functions that the console of a kernel calls. */
export interface ConsoleTarget {
  write(name: "stdout" | "stderr", text: string): void;
  /** Takes away what the cell has shown so far. */
  clear(): void;
}

/** Replaces the methods of the console there is, so that what holds it goes on holding the right one. */
export function replaceConsole({ write, clear }: ConsoleTarget): void {
  const Console = denoInternals().Console;
  const own = new Console((text, level) => write(level > 1 ? "stderr" : "stdout", text));
  for (const name of Object.keys(own)) {
    const method: unknown = Reflect.get(own, name);
    if (typeof method !== "function" || !(name in console)) continue;
    Object.defineProperty(console, name, {
      value: method,
      configurable: true,
      writable: true,
      enumerable: true,
    });
  }
  Object.defineProperty(console, "clear", {
    value: clear,
    configurable: true,
    writable: true,
    enumerable: true,
  });
}
