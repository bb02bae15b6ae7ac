/**
 * The configuration of a notebook's folder, which the kernel reads when it starts and never again.
 */

import { fileURLToPath } from "node:url";

const NAMES = ["deno.json", "deno.jsonc", "package.json"];

/** Sees that it changes. */
export class Configuration {
  /** The folder, as a path without a slash at its end. */
  readonly folder: string;
  readonly #paths: readonly string[];
  #seen: string;

  constructor(folder: string | URL) {
    const path = folder instanceof URL ? fileURLToPath(folder) : folder;
    this.folder = path.replace(/[/\\]$/, "");
    this.#paths = NAMES.map((name) => `${this.folder}/${name}`);
    this.#seen = this.#look();
  }

  /** The name of the file that has changed since the last call; null when none has. */
  changed(): string | null {
    const now = this.#look();
    if (now === this.#seen) return null;
    const [before, after] = [this.#seen, now].map((text) => text.split("\n"));
    this.#seen = now;
    return NAMES[after.findIndex((stamp, at) => stamp !== before[at])];
  }

  #look(): string {
    return this.#paths.map((path) => {
      try {
        const { mtime, size } = Deno.statSync(path);
        return `${mtime?.getTime()} ${size}`;
      } catch {
        return "";
      }
    }).join("\n");
  }
}
