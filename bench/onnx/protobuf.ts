// Writes protocol buffers, as far as a model needs them: varints, text, bytes, and messages inside messages.

const VARINT = 0, LENGTH_DELIMITED = 2;

/** A message under construction; fields come out in the order in which they are added. */
export class MessageWriter {
  readonly #bytes: number[] = [];

  /** A non-negative integer. */
  integer(field: number, value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`MessageWriter.integer: value is ${value}, expected a non-negative safe integer`);
    }
    this.#tag(field, VARINT);
    this.#varint(value);
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, LENGTH_DELIMITED);
    this.#varint(value.length);
    for (const byte of value) this.#bytes.push(byte);
    return this;
  }

  message(field: number, value: MessageWriter): this {
    return this.bytes(field, value.finish());
  }

  finish(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.#bytes);
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType);
  }

  #varint(value: number): void {
    // Not shifts: they would cut the number to 32 bits.
    while (value >= 128) {
      this.#bytes.push(value % 128 + 128);
      value = Math.floor(value / 128);
    }
    this.#bytes.push(value);
  }
}
