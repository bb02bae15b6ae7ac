/**
 * Bytes that are written one after another, little-endian, in a buffer that grows; and the same bytes read again, with every
 * length checked before anything is made of it.
 */

import { CapacityError } from "../base/errors.ts";

const FIRST_BYTES = 4096;
/** More room than this is given back. */
const ROOM_KEPT = 1 << 22;

/** Takes bytes. */
export class ByteWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  u32(number: number): void {
    const at = this.#more(4);
    this.#view.setUint32(at, number, true);
  }

  f64(number: number): void {
    const at = this.#more(8);
    this.#view.setFloat64(at, number, true);
  }

  /** Whole numbers, after how many there are. */
  words(numbers: ArrayLike<number>): void {
    this.u32(numbers.length);
    for (let at = 0; at < numbers.length; at++) this.u32(numbers[at]);
  }

  /** The numbers, after how many there are. */
  floats(numbers: Float32Array): void {
    this.u32(numbers.length);
    this.raw(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
  }

  /** The bytes, after how many there are, padded to a multiple of 4. */
  bytes(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
    for (let left = -bytes.length & 3; left > 0; left--) this.raw(PADDING);
  }

  /** As `bytes`, of a text in UTF-8. */
  text(text: string): void {
    if (text === "") this.u32(0);
    else this.bytes(ENCODER.encode(text));
  }

  raw(bytes: Uint8Array): void {
    const at = this.#more(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Writes over a number. */
  patch(at: number, number: number): void {
    this.#view.setUint32(at, number, true);
  }

  /** Takes back what was written behind `length`. */
  cutTo(length: number): void {
    this.length = length;
  }

  /** What was written, as a view that the next write invalidates. */
  view(start = 0, end = this.length): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(start, end);
  }

  clear(): void {
    this.length = 0;
    if (this.#bytes.length <= ROOM_KEPT) return;
    this.#bytes = new Uint8Array(FIRST_BYTES);
    this.#view = new DataView(this.#bytes.buffer);
  }

  #more(count: number): number {
    const at = this.length, needed = at + count;
    if (needed > this.#bytes.length) {
      const capacity = Math.max(needed, 2 * this.#bytes.length);
      const what = `${capacity} bytes of journal`;
      const room = CapacityError.guard("edit", what, capacity, () => new Uint8Array(capacity));
      room.set(this.#bytes.subarray(0, at));
      this.#bytes = room;
      this.#view = new DataView(room.buffer);
    }
    this.length = needed;
    return at;
  }
}

/** A text may begin with the mark of byte order. */
const ENCODER = new TextEncoder(), DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const PADDING = Uint8Array.of(0);

/** Bytes of a text in UTF-8. */
export function textLength(text: string): number {
  return ENCODER.encode(text).length;
}

/** A number of bytes, padded to a multiple of 4. */
export function paddedLength(length: number): number {
  return length + (-length & 3);
}

/** Bytes that end before what they announce. */
export class CutOff extends Error {}

/** Gives bytes back. */
export class ByteReader {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #end: number;
  at: number;

  constructor(bytes: Uint8Array<ArrayBuffer>, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.at = start;
    this.#end = end;
  }

  /** Where reading ends from now on; never behind the bytes. */
  endAt(end: number): void {
    this.#end = Math.min(end, this.#bytes.length);
  }

  get isDone(): boolean {
    return this.at >= this.#end;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** Whole numbers, as `words` wrote them. */
  words(): Uint32Array<ArrayBuffer> {
    const count = this.u32(), at = this.#take(4 * count);
    return Uint32Array.from({ length: count }, (_, word) => this.#view.getUint32(at + 4 * word, true));
  }

  /** A view where it is aligned, else a copy. */
  floats(): Float32Array<ArrayBuffer> {
    const count = this.u32();
    const at = this.#take(4 * count), offset = this.#bytes.byteOffset + at;
    if (offset % 4 === 0) return new Float32Array(this.#bytes.buffer, offset, count);
    return new Float32Array(this.#bytes.slice(at, at + 4 * count).buffer);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const length = this.u32();
    const at = this.#take(length + (-length & 3));
    return this.#bytes.slice(at, at + length);
  }

  /** As `bytes`, of a text in UTF-8. */
  text(): string {
    const length = this.u32();
    const at = this.#take(length + (-length & 3));
    return length === 0 ? "" : DECODER.decode(this.#bytes.subarray(at, at + length));
  }

  raw(length: number): Uint8Array<ArrayBuffer> {
    const at = this.#take(length);
    return this.#bytes.slice(at, at + length);
  }

  #take(count: number): number {
    const at = this.at;
    if (count > this.#end - at) throw new CutOff(`${this.#end - at} bytes are left, expected ${count}`);
    this.at += count;
    return at;
  }
}
