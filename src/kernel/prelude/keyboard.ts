/**
 * The keyboard of cells: they read lines that the person at the front end is asked for.
 *
 * Invariant: nobody is asked for what no code waits for.
 */

import process from "node:process";
import { Readable } from "node:stream";
import { Deno, Object, Promise, ReadableStream, TextEncoder, Uint8Array } from "../natives.ts";

/** Asks for a line; null where nobody can be asked. */
export type ReadLine = () => string | null;

/** How long a stream that goes on reading without a word may wait: it may be about to be closed. */
const PATIENCE_MS = 300;

/** Connects `Deno.stdin` and `process.stdin`; `later` calls in a turn of its own. */
export function replaceKeyboard(
  readLine: ReadLine,
  isCellRunning: () => boolean,
  later: (work: () => void, milliseconds: number) => void,
): void {
  const readSync = lineReader(readLine);
  const methods = { readSync, read: (target: Uint8Array) => Promise.resolve().then(() => readSync(target)) };
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(Deno.stdin, name, { value, configurable: true, writable: true });
  }
  // Input is requested only once a reader waits for it.
  const readable = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const bytes = new Uint8Array(4096), count = readSync(bytes);
      if (count === null) controller.close();
      else controller.enqueue(bytes.subarray(0, count));
    },
  }, { highWaterMark: 0 });
  Object.defineProperty(Deno.stdin, "readable", { value: readable, configurable: true });
  const stream = new Keyboard(readLine, isCellRunning, later);
  Object.defineProperty(process, "stdin", { value: stream, configurable: true, writable: true });
}

/** Reads as from a file: asks when nothing is left of the last line. */
function lineReader(readLine: ReadLine): (target: Uint8Array) => number | null {
  const encoder = new TextEncoder();
  let left = new Uint8Array();
  return (target) => {
    if (left.length === 0) {
      const line = readLine();
      if (line === null) return null;
      left = encoder.encode(`${line}\n`);
    }
    const part = left.subarray(0, target.length);
    target.set(part);
    left = left.subarray(part.length);
    return part.length;
  };
}

/** A stream reads ahead, also when its reader has what it wants: so it asks a moment later, if it is still read then. */
class Keyboard extends Readable {
  readonly #readLine: ReadLine;
  readonly #isCellRunning: () => boolean;
  readonly #later: (work: () => void, milliseconds: number) => void;
  #isWanted = false;
  #isFirst = true;

  constructor(
    readLine: ReadLine,
    isCellRunning: () => boolean,
    later: (work: () => void, milliseconds: number) => void,
  ) {
    super({ encoding: "utf8", highWaterMark: 1 });
    this.#readLine = readLine;
    this.#isCellRunning = isCellRunning;
    this.#later = later;
    this.on("resume", () => {
      this.#isFirst = true;
      if (this.#isWanted) this.#ask();
    });
  }

  override _read(): void {
    this.#isWanted = true;
    this.#ask();
  }

  #ask(): void {
    this.#later(() => {
      if (!this.#isWanted || !this.readableFlowing) return;
      if (!this.#isCellRunning()) return this.#ask();
      this.#isWanted = false;
      const line = this.#readLine();
      this.push(line === null ? null : `${line}\n`);
    }, this.#isFirst ? 1 : PATIENCE_MS);
    this.#isFirst = false;
  }
}
