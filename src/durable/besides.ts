/**
 * What is kept beside rows, by name: the states of a learner for example (see `kept_states.ts`).
 *
 * Invariant: a content never changes, it is replaced. So a snapshot holds the contents of its moment by references.
 */

import type { FrozenEntries } from "./frozen_entries.ts";
import { paddedLength, textLength } from "./byte_buffer.ts";

/** Contents by name. */
export class Besides implements Iterable<readonly [name: string, content: Uint8Array<ArrayBuffer>]> {
  readonly #contents = new Map<string, Uint8Array<ArrayBuffer>>();
  #bytes = 0;
  /** Bytes of the names as they are written. */
  #nameBytes = 0;
  /** Bytes of the contents as they are written. */
  #paddedBytes = 0;

  constructor(contents: Iterable<readonly [string, Uint8Array<ArrayBuffer>]> = []) {
    for (const [name, content] of contents) this.set(name, content);
  }

  get size(): number {
    return this.#contents.size;
  }

  /** Bytes of all contents. */
  get bytes(): number {
    return this.#bytes;
  }

  get(name: string): Uint8Array<ArrayBuffer> | undefined {
    return this.#contents.get(name);
  }

  set(name: string, content: Uint8Array<ArrayBuffer>): void {
    this.delete(name);
    this.#contents.set(name, content);
    this.#count(name, content, 1);
  }

  delete(name: string): void {
    const content = this.#contents.get(name);
    if (!content) return;
    this.#contents.delete(name);
    this.#count(name, content, -1);
  }

  #count(name: string, { length }: Uint8Array, sign: number): void {
    this.#bytes += sign * length;
    this.#nameBytes += sign * paddedLength(textLength(name));
    this.#paddedBytes += sign * paddedLength(length);
  }

  [Symbol.iterator](): IterableIterator<[string, Uint8Array<ArrayBuffer>]> {
    return this.#contents[Symbol.iterator]();
  }

  /** What is kept now. */
  freeze(): FrozenEntries {
    const contents = [...this.#contents.values()];
    return {
      names: [...this.#contents.keys()],
      bytes: 8 * this.size + this.#nameBytes + this.#paddedBytes,
      contentOf: (at) => contents[at],
    };
  }
}
