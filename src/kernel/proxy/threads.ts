/**
 * What workers of cells print, which comes by another way than what cells show.
 *
 * Invariant: the end of a cell is told when all has come that its workers had printed by then, or when they say nothing.
 */

import type { JsonObject } from "../protocol/message.ts";

/** Nobody waits longer for what workers have printed. */
const PATIENCE_MS = 5000;

/** Hears what the watchdog hands on. */
export class ThreadWords {
  readonly #onPrinted: (name: string, text: string, origin: JsonObject | null) => void;
  #passed = 0;
  #isSilent = false;
  #waiting: { readonly fence: number; readonly then: () => void }[] = [];

  /** `onPrinted` is told of text, and of the cell that it belongs to. */
  constructor(onPrinted: (name: string, text: string, origin: JsonObject | null) => void) {
    this.#onPrinted = onPrinted;
  }

  /** Takes what was handed on. */
  readonly take = ({ type, words }: JsonObject): void => {
    if (type !== "thread" || !Array.isArray(words)) return;
    const [kind, first, name, text] = words as unknown[];
    if (kind === "fenced") {
      this.#passed = Math.max(this.#passed, Number(first));
      this.#isSilent = false;
      this.#go();
    } else if (name === "stdout" || name === "stderr") {
      this.#onPrinted(name, String(text), typeof first === "object" ? first as JsonObject | null : null);
    }
  };

  /** Calls when a fence has come; at once where there is none. */
  behind(fence: unknown, then: () => void): void {
    if (typeof fence !== "number" || fence <= this.#passed || this.#isSilent) return then();
    this.#waiting.push({ fence, then });
    setTimeout(() => {
      if (fence <= this.#passed) return;
      this.#isSilent = true;
      this.#passed = fence;
      this.#go();
    }, PATIENCE_MS);
  }

  #go(): void {
    const ready = this.#waiting.filter(({ fence }) => fence <= this.#passed);
    this.#waiting = this.#waiting.filter(({ fence }) => fence > this.#passed);
    for (const { then } of ready) then();
  }
}
