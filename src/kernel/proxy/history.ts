/**
 * The cells that were run since the kernel started.
 */

import type { JsonObject } from "../protocol/message.ts";

type Entry = readonly [session: number, line: number, source: string];

/** Remembers and finds them. */
export class History {
  readonly #entries: Entry[] = [];

  /** Adds a cell. */
  add(count: number, code: string): void {
    this.#entries.push([1, count, code]);
  }

  /** The entries that a request asks for. */
  find(request: JsonObject): unknown[] {
    const { hist_access_type: access, n, pattern, unique, start, stop, session } = request;
    let found = this.#entries;
    if (access === "range") {
      const from = typeof start === "number" ? start : 0, to = typeof stop === "number" ? stop : Infinity;
      const isThis = session === undefined || session === 0 || session === 1;
      found = isThis ? found.filter(([, line]) => line >= from && line < to) : [];
    }
    if (access === "search") {
      const shape = globPattern(typeof pattern === "string" ? pattern : "*");
      found = found.filter(([, , source]) => shape.test(source));
      if (unique === true) {
        found = [...new Map(found.map((entry) => [entry[2], entry])).values()];
      }
    }
    if (access !== "range" && typeof n === "number") found = n > 0 ? found.slice(-n) : [];
    return request.output === true ? found.map(([a, b, source]) => [a, b, [source, null]]) : [...found];
  }
}

function globPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^]*").replaceAll("?", "[^]");
  return new RegExp(`^${escaped}$`);
}
