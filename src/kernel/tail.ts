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

  /** Takes the bytes of one stream; `tell` is told of the text, and waited for. */
  writable(tell?: (text: string) => Promise<void> | void): WritableStream<Uint8Array> {
    const decoder = new TextDecoder();
    return new WritableStream({
      write: (bytes) => {
        const text = decoder.decode(bytes, { stream: true });
        this.#text = (this.#text + text).slice(-this.#limit);
        return tell?.(text);
      },
    });
  }

  /** The text that is kept. */
  text(): string {
    return this.#text;
  }
}
