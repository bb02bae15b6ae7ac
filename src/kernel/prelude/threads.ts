/**
 * What the workers of cells print is shown below the cell that has started them. The stock kernel keeps it.
 *
 * Invariant: what a worker has printed before it told the cell something is shown before the cell is over.
 */

import { Atomics, BroadcastChannel, encodeURIComponent, globalObject, JSON, String } from "../natives.ts";
import { HEARS_THREADS } from "./flow.ts";
import type { Origin } from "./outputs.ts";
import { beginThread, openThread, wrapWorkers } from "./thread_part.ts";

/** The watchdog is waited for so long before the first worker begins. */
const READY_MS = 3000;

/** Knows whether there are any. */
export class Threads {
  readonly #name: string;
  readonly #counter: Int32Array<SharedArrayBuffer>;
  #line: BroadcastChannel | null = null;
  #fence = 0;

  /** `name` is that of the channel on which the watchdog listens, which the counter says. */
  constructor(name: string, counter: Int32Array<SharedArrayBuffer>) {
    this.#name = name;
    this.#counter = counter;
  }

  /** Replaces `Worker`; `originNow` says what the running code belongs to. */
  install(originNow: () => Origin | null): void {
    const parts = [openThread, wrapWorkers].map(String).join(","), begin = String(beginThread);
    wrapWorkers(globalObject, (href) => {
      if (!this.#isHeard()) return null;
      this.#line ??= new BroadcastChannel(this.#name);
      const settings = JSON.stringify({ channel: this.#name, origin: originNow(), href });
      return `data:text/javascript,${encodeURIComponent(`(${begin})(globalThis,${settings},${parts});`)}`;
    });
  }

  #isHeard(): boolean {
    Atomics.wait(this.#counter, HEARS_THREADS, 0, READY_MS);
    return Atomics.load(this.#counter, HEARS_THREADS) === 1;
  }

  /** A number that the proxy hears of when all has come that workers have printed so far; null where there were none. */
  fence(): number | null {
    if (this.#line === null) return null;
    this.#line.postMessage(["fenced", ++this.#fence]);
    return this.#fence;
  }
}
