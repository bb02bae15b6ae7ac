/**
 * The cells that were run, in this start of the kernel and, where there is a file for them, in earlier ones.
 *
 * Invariant: what cannot be kept in the file is remembered all the same; lines of the file that nobody understands are
 * passed over.
 */

import type { JsonObject } from "../protocol/message.ts";

type Entry = readonly [session: number, line: number, source: string];

/** Entries that are kept from one start to the next. */
const KEPT = 5000;

/** Remembers and finds them. */
export class History {
  readonly #entries: Entry[] = [];
  readonly #file: string | null;
  readonly #session: number;
  #lastWrite: Promise<unknown> = Promise.resolve();

  private constructor(entries: readonly Entry[], file: string | null) {
    this.#entries = [...entries];
    this.#file = file;
    this.#session = 1 + entries.reduce((most, [session]) => Math.max(most, session), 0);
  }

  /** Goes on with what a file holds; null keeps none. */
  static async open(file: string | null): Promise<History> {
    if (file === null) return new History([], null);
    const entries = await readEntries(file);
    const history = new History(entries.slice(-KEPT), file);
    // Several kernels write to the file, so it is shortened only now and then.
    if (entries.length > 2 * KEPT) await writeAnew(file, entries.slice(-KEPT));
    return history;
  }

  /** Adds a cell. */
  add(count: number, code: string): void {
    const entry: Entry = [this.#session, count, code];
    this.#entries.push(entry);
    if (this.#entries.length > 4 * KEPT) this.#entries.splice(0, KEPT);
    const file = this.#file;
    if (file === null) return;
    this.#lastWrite = this.#lastWrite.then(() => append(file, `${JSON.stringify(entry)}\n`)).catch(() => {});
  }

  /** Resolves when all is written. */
  async written(): Promise<void> {
    await this.#lastWrite;
  }

  /** The entries that a request asks for. */
  find(request: JsonObject): unknown[] {
    const { hist_access_type: access, n, pattern, unique, start, stop, session } = request;
    let found = this.#entries;
    if (access === "range") {
      const from = typeof start === "number" ? start : 0, to = typeof stop === "number" ? stop : Infinity;
      // Session 0 is the current one, −1 the one before.
      const wanted = typeof session === "number" && session > 0
        ? session
        : this.#session + (Number(session) || 0);
      found = found.filter(([own, line]) => own === wanted && line >= from && line < to);
    }
    if (access === "search") {
      const shape = typeof pattern === "string" ? pattern : "*";
      found = found.filter(([, , source]) => matchesGlob(source, shape));
      if (unique === true) {
        found = [...new Map(found.map((entry) => [entry[2], entry])).values()];
      }
    }
    if (access !== "range" && typeof n === "number") found = n > 0 ? found.slice(-n) : [];
    return request.output === true ? found.map(([a, b, source]) => [a, b, [source, null]]) : [...found];
  }
}

async function readEntries(file: string): Promise<Entry[]> {
  let text = "";
  try {
    text = await Deno.readTextFile(file);
  } catch {
    // There is none yet.
  }
  return text.split("\n").flatMap((line): Entry[] => {
    try {
      const [session, number, source] = JSON.parse(line) as Entry;
      const isEntry = Number.isInteger(session) && Number.isInteger(number) && typeof source === "string";
      return isEntry ? [[session, number, source]] : [];
    } catch {
      return [];
    }
  });
}

async function append(file: string, text: string): Promise<void> {
  await Deno.mkdir(file.replace(/[/\\][^/\\]*$/, ""), { recursive: true });
  // Only the user may read the cells that they have typed.
  await Deno.writeTextFile(file, text, { append: true, mode: 0o600 });
}

async function writeAnew(file: string, entries: readonly Entry[]): Promise<void> {
  const fresh = `${file}.${crypto.randomUUID()}`;
  try {
    await Deno.writeTextFile(fresh, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""), {
      mode: 0o600,
    });
    await Deno.rename(fresh, file);
  } catch {
    // The file then keeps its length.
  }
}

/**
 * Whether a text has a shape, in which `*` stands for any letters and `?` for one. A star that turns out to be too short grows
 * by one letter, and those before it stay as they are, so that it takes no longer than the product of both lengths.
 */
function matchesGlob(text: string, glob: string): boolean {
  let at = 0, shape = 0, star = -1, starEnd = 0;
  while (at < text.length) {
    if (glob[shape] === "*") {
      star = shape++;
      starEnd = at;
    } else if (glob[shape] === "?" || glob[shape] === text[at]) {
      shape++;
      at++;
    } else if (star === -1) return false;
    else {
      shape = star + 1;
      at = ++starEnd;
    }
  }
  while (glob[shape] === "*") shape++;
  return shape === glob.length;
}
