/**
 * Modules that may be edited while the notebook goes on. A module is loaded once by its address, so that an edited one gets a
 * new address, and so does each that imports it.
 *
 * Invariant: what was not edited keeps its address, and with it its state.
 */

import { Date, Deno, Map, Math, Set, URL } from "../natives.ts";

const MARK = "?edited=";

/** Knows the modules of a folder. */
export class Editions {
  readonly #folder: string;
  /** When each was loaded first. */
  readonly #loadedAt = new Map<string, number>();
  readonly #imports = new Map<string, Set<string>>();

  /** An address that ends in a slash. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The address by which a module is loaded as it is now. */
  current(url: string, parent: string | undefined): string {
    if (!this.#isOwn(url)) return url;
    if (parent !== undefined && this.#isOwn(parent)) this.#importsOf(plainOf(parent)).add(url);
    if (!this.#loadedAt.has(url)) this.#loadedAt.set(url, Date.now());
    const stamp = this.#stamp(url, new Set());
    return stamp === 0 ? url : `${url}${MARK}${stamp}`;
  }

  #isOwn(url: string): boolean {
    return url.startsWith(this.#folder) && !url.includes("/node_modules/") && !/\?(?!edited=)/.test(url);
  }

  #importsOf(url: string): Set<string> {
    let imports = this.#imports.get(url);
    if (!imports) this.#imports.set(url, imports = new Set());
    return imports;
  }

  /** When a module, or one that it imports, was last edited; 0 where that was before it was loaded. */
  #stamp(url: string, seen: Set<string>): number {
    if (seen.has(url)) return 0;
    seen.add(url);
    let own = 0;
    try {
      const edited = Deno.statSync(new URL(url)).mtime?.getTime() ?? 0;
      if (edited > (this.#loadedAt.get(url) ?? Infinity)) own = edited;
    } catch {
      // The file is gone or unreadable; loading it reports that.
    }
    return [...this.#importsOf(url)].reduce((most, inner) => Math.max(most, this.#stamp(inner, seen)), own);
  }
}

function plainOf(url: string): string {
  return url.split(MARK)[0];
}
