/**
 * What the workers of cells print is shown below the cell that has started them. The stock kernel keeps it.
 *
 * Invariant: what a worker has printed before it told the cell something is shown before the cell is over.
 */

import { pathToFileURL } from "node:url";
import workerThreads from "node:worker_threads";
import {
  Atomics,
  BroadcastChannel,
  encodeURIComponent,
  globalObject,
  JSON,
  Object,
  Proxy,
  Reflect,
  URL,
} from "../natives.ts";
import { HEARS_THREADS } from "./flow.ts";
import type { Origin } from "./outputs.ts";
import { type Addresses, THREAD_PARTS } from "./thread_part.ts";

/** The watchdog is waited for so long before the first worker begins. */
const READY_MS = 3000;

/** Knows whether there are any. */
export class Threads {
  readonly #name: string;
  readonly #counter: Int32Array<SharedArrayBuffer>;
  #line: BroadcastChannel | null = null;
  #fence = 0;
  #hasWaited = false;

  /** `name` is that of the channel on which the watchdog listens, which the counter says. */
  constructor(name: string, counter: Int32Array<SharedArrayBuffer>) {
    this.#name = name;
    this.#counter = counter;
  }

  /** Replaces `Worker`, and that of Node; `originNow` says what the running code belongs to. */
  install(originNow: () => Origin | null): void {
    const { programOf, textOf, wrapWorkers } = THREAD_PARTS, texts = textOf(globalObject, THREAD_PARTS);
    const program = (href: string | null, isNode: boolean) => {
      if (!this.#isHeard()) return null;
      this.#line ??= new BroadcastChannel(this.#name);
      const settings = { channel: this.#name, origin: originNow(), href, isNode };
      return encodeURIComponent(programOf(globalObject, settings, texts));
    };
    const preparationFor = (href: string | null, isNode: boolean) => {
      const code = program(href, isNode);
      return code === null ? null : `data:text/javascript,${code}`;
    };
    const addressFor = wrapWorkers(globalObject, preparationFor, THREAD_PARTS);
    replaceNode(addressFor, () => program(null, true));
  }

  #isHeard(): boolean {
    if (!this.#hasWaited) Atomics.wait(this.#counter, HEARS_THREADS, 0, READY_MS);
    this.#hasWaited = true;
    return Atomics.load(this.#counter, HEARS_THREADS) === 1;
  }

  /** A number that the proxy hears of when all has come that workers have printed so far; null where there were none. */
  fence(): number | null {
    if (this.#line === null) return null;
    this.#line.postMessage(["fenced", ++this.#fence]);
    return this.#fence;
  }
}

/** Replaces the workers of Node; `program` gives what prepares one, encoded. */
function replaceNode(
  addressFor: Addresses,
  program: () => string | null,
): void {
  const { Worker: Native } = workerThreads;
  const prepared = (file: unknown, options: Record<string, unknown>): unknown => {
    // Streams that their owner reads are not shown.
    if (options.stdout || options.stderr) return file;
    if (!options.eval) {
      const isPath = typeof file === "string" && /^(\.{0,2}[\\/]|[a-z]:[\\/])/i.test(file);
      // Node takes no other address as a text.
      const url = isPath ? pathToFileURL(file as string) : file instanceof URL ? file : null;
      const address = addressFor(url, true);
      return address === null ? file : new URL(address);
    }
    const code = typeof file === "string" ? program() : null;
    if (code === null) return file;
    // A text at its beginning makes a program strict; its lines keep their numbers.
    const strict = /^\s*(["'])use strict\1/.test(file as string) ? '"use strict";' : "";
    return `${strict}(0,eval)(decodeURIComponent(${JSON.stringify(code)}));${file}`;
  };
  const value = new Proxy(Native, {
    construct: (target, [file, options, ...rest], by) =>
      Reflect.construct(target, [prepared(file, options ?? {}), options, ...rest], by),
  });
  Object.defineProperty(workerThreads, "Worker", {
    value,
    configurable: true,
    writable: true,
    enumerable: true,
  });
  Object.defineProperty(Native.prototype, "constructor", { value, configurable: true, writable: true });
}
