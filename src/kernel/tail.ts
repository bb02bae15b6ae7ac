/**
 * The end of what a program writes, for when it fails.
 */

/** Keeps the last `limit` letters. */
export class Tail {
  readonly #limit: number;
  #text = "";

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes the bytes of one stream. */
  writable(): WritableStream<Uint8Array> {
    const decoder = new TextDecoder();
    return new WritableStream({
      write: (bytes) => {
        this.#text = (this.#text + decoder.decode(bytes, { stream: true })).slice(-this.#limit);
      },
    });
  }

  /** The text that is kept. */
  text(): string {
    return this.#text;
  }
}
