/**
 * Reads exact numbers of bytes from a stream that comes in pieces. Small reads are served from one buffer, large ones go
 * straight to where they belong.
 */

import { Error, Math, Uint8Array } from "../natives.ts";

/** A source of bytes; `Deno.Conn` is one. */
export interface ByteSource {
  read(into: Uint8Array): Promise<number | null>;
}

/** Where a stream ended, in the middle of something. */
export class EndOfStream extends Error {
  /** The name of the class. */
  override readonly name: string = "EndOfStream";
}

/**
 * Somebody may announce more than they send: so much room is made at once, and more as it fills.
 */
const FIRST_ROOM = 1 << 20;

/** Bytes that were received but not asked for yet are kept; each is given out once, in order. */
export class ByteReader {
  readonly #source: ByteSource;
  readonly #buffer = new Uint8Array(65536);
  #start = 0;
  #end = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** The next `count` bytes, which belong to the caller. Throws an `EndOfStream` when there are not so many. */
  async take(count: number): Promise<Uint8Array<ArrayBuffer>> {
    let taken = new Uint8Array(Math.min(count, FIRST_ROOM));
    let filled = this.#serve(taken);
    while (filled < count) {
      if (filled === taken.length) {
        const larger = new Uint8Array(Math.min(count, 2 * taken.length));
        larger.set(taken);
        taken = larger;
        filled += this.#serve(taken.subarray(filled));
        continue;
      }
      if (count - filled >= this.#buffer.length) {
        filled += await this.#receive(taken.subarray(filled));
        continue;
      }
      this.#start = 0;
      this.#end = await this.#receive(this.#buffer);
      filled += this.#serve(taken.subarray(filled));
    }
    return taken;
  }

  /** Copies what is there, and says how much that was. */
  #serve(into: Uint8Array): number {
    const count = Math.min(into.length, this.#end - this.#start);
    into.set(this.#buffer.subarray(this.#start, this.#start + count));
    this.#start += count;
    return count;
  }

  async #receive(into: Uint8Array): Promise<number> {
    const count = await this.#source.read(into);
    if (count === null) throw new EndOfStream("the stream ended");
    return count;
  }
}
