/**
 * Modules of Node of which the kernel has replaced functions, as modules that have them: the runtime keeps what such a module
 * exports by name as it was at its start.
 *
 * Invariant: the default export is the same object for all; every name is exported that was there at the start.
 */

import childProcess from "node:child_process";
import fs from "node:fs";
import process from "node:process";
import timers from "node:timers";
import timerPromises from "node:timers/promises";
import workerThreads from "node:worker_threads";
import { encodeURIComponent, JSON, Map, Object } from "../natives.ts";

const MODULES: Readonly<Record<string, object>> = {
  "node:child_process": childProcess,
  "node:fs": fs,
  "node:process": process,
  "node:timers": timers,
  "node:timers/promises": timerPromises,
  "node:worker_threads": workerThreads,
};
const NAME = /^[A-Za-z_$][\w$]*$/;

/** Knows them by their addresses. */
export class Builtins {
  readonly #addresses = new Map<string, string>();

  /** Takes the names of what has been replaced by now. */
  constructor() {
    for (const [address, value] of Object.entries(MODULES)) {
      const names = Object.keys(value).filter((name) => NAME.test(name) && name !== "default");
      const text = `import all from ${JSON.stringify(address)};export default all;${
        names.map((name, at) => `const v${at}=all.${name};`).join("")
      }export{${names.map((name, at) => `v${at} as ${name}`).join(",")}};`;
      this.#addresses.set(address, `data:text/javascript,${encodeURIComponent(text)}`);
    }
  }

  /** The address of a module for one that imports it. */
  current(url: string, parent: string | undefined): string {
    const own = this.#addresses.get(url);
    return own === undefined || own === parent ? url : own;
  }
}
