/**
 * `_`, `__` and `___`: the last three values that cells have shown.
 *
 * Invariant: a notebook that uses one of the names itself has it for itself from then on.
 */

import { globalObject, Math, Object } from "../natives.ts";

const NAMES = ["_", "__", "___"] as const;

/** Keeps them. */
export class LastValues {
  readonly #values: unknown[] = [];

  /** Defines the names. */
  install(): void {
    NAMES.forEach((name, at) => {
      Object.defineProperty(globalObject, name, {
        get: () => this.#values[at],
        set: (value: unknown) => {
          Object.defineProperty(globalObject, name, { value, configurable: true, writable: true });
        },
        configurable: true,
        enumerable: false,
      });
    });
  }

  /** A value was shown. */
  add(value: unknown): void {
    this.#values.unshift(value);
    this.#values.length = Math.min(this.#values.length, NAMES.length);
  }
}
