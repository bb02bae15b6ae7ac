/**
 * How much text may be on its way from the kernel to its front ends. The kernel counts what it sends, the proxy what it has
 * handed on, both in the same units; the words of the proxy go to a worker, since cells may keep the kernel's thread busy.
 */

import { Math } from "../natives.ts";

/** Letters of a unit, and how many units may be on their way. */
export const FLOW_UNIT = 2 ** 20, FLOW_UNITS = 32;

/** Counts letters. */
export class FlowCount {
  #letters = 0;

  /** Adds some; gives how many units have become full by that. */
  add(letters: number): number {
    const before = Math.floor(this.#letters / FLOW_UNIT);
    this.#letters += letters;
    return Math.floor(this.#letters / FLOW_UNIT) - before;
  }
}
