/**
 * Keeps the kernel from sending faster than front ends take it: a cell that prints without end would fill memory, and a stop
 * would be heard of behind all that.
 *
 * Invariant: who waits here can be stopped, and waits no longer than {@link PATIENCE_MS} without a word of the proxy.
 */

import { FLOW_UNITS, FlowCount } from "../link/flow.ts";
import { Atomics, Int32Array, performance, SharedArrayBuffer } from "../natives.ts";
import { Interrupted } from "./waits.ts";

/**
 * The places of the counter that the worker shares: units that were handed on, presses of the stop button, and whether it hears
 * what workers of cells print.
 */
export const HANDED_ON = 0, PRESSES = 1, HEARS_THREADS = 2;
const PATIENCE_MS = 5000, SLICE_MS = 100;

/** Counts what is on its way. */
export class Flow {
  /** Shared with the worker that hears of the proxy. */
  readonly counter: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(12));
  readonly #count = new FlowCount();
  readonly #hears: (press: number) => boolean;
  readonly #patienceMs: number;
  #units = 0;

  /** `hears` says whether a stop is meant for the running code, and takes note of it. */
  constructor(hears: (press: number) => boolean, patienceMs: number = PATIENCE_MS) {
    this.#hears = hears;
    this.#patienceMs = patienceMs;
  }

  /** Takes note of text that was sent, and waits while too much is on its way; throws when it is stopped meanwhile. */
  sent(letters: number): void {
    const more = this.#count.add(letters);
    if (more === 0) return;
    this.#units += more;
    let since = performance.now();
    for (;;) {
      const handedOn = Atomics.load(this.counter, HANDED_ON);
      if (this.#units - handedOn <= FLOW_UNITS) return;
      if (this.#hears(Atomics.load(this.counter, PRESSES))) throw new Interrupted();
      if (Atomics.wait(this.counter, HANDED_ON, handedOn, SLICE_MS) !== "timed-out") {
        since = performance.now();
      } else if (performance.now() - since > this.#patienceMs) {
        // A front end that does not read is not waited for twice.
        this.#units = handedOn;
        return;
      }
    }
  }
}
