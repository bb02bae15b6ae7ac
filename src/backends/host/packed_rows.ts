/**
 * Rows of heads in float16 or int8, in the words of a table of numbers; `numerics/row_storage.ts` has the
 * formats. A head is
 *
 *     float16   its numbers as binary16, two a word
 *     int8      the scale s, a float32, then whole q as bytes, four a word
 *
 * The head of a value has one more number behind, ‖v‖∞, since a row that is unpacked is widened: (v, 1, ‖v‖∞)
 * and zeros. Kernels unpack rows themselves (`wasm/assembly/unpack.ts`); at the host a row is unpacked to one of
 * a few places when it is asked for.
 *
 * Invariant: rows were rounded to the format before, so that packing loses nothing.
 */

import { largestOf, scaleOf } from "../../numerics/row_storage.ts";
import type { NumberTable } from "./number_table.ts";

/** The formats that are packed. */
export type PackedFormat = "float16" | "int8";

/**
 * Places of unpacked rows, a prime number: a row has one of its own, by its index. There is one more, for a row whose
 * place has the row that was asked for last, so that two rows are there at the same time.
 */
const PLACES = 61;
/** The place of a row that is not unpacked. */
const NOWHERE = -1;
/** Added to the exponent of a binary16 for that of a float32, at the place where binary16 has its own. */
const EXPONENT_SHIFT = 112 << 10;
/** The bits of the smallest normal binary16, and of the float32 that it is; the unit of subnormal ones. */
const HALF_NORMAL = 1024, FLOAT_NORMAL = 0x38800000, HALF_UNIT = 2 ** -24;

/** Rows of heads in a table. */
export class PackedRows {
  /** Words of a head. */
  readonly headWords: number;
  /** Where unpacked rows are. */
  readonly numbers: Float32Array;
  readonly #bits: Uint32Array;
  readonly #format: PackedFormat;
  readonly #count: number;
  readonly #columns: number;
  readonly #isValue: boolean;
  readonly #table: NumberTable;
  /** Indices of the rows in the places. */
  readonly #places = new Int32Array(PLACES + 1).fill(NOWHERE);
  #last = 0;
  // The words of the table by their types, made anew when its memory is another one.
  #seen: Float32Array | null = null;
  #halves: Uint16Array = new Uint16Array(0);
  #bytes: Int8Array = new Int8Array(0);

  /** Rows of `count` numbers; those of values are unpacked to `columns` numbers. */
  constructor(table: NumberTable, format: PackedFormat, count: number, columns: number, isValue: boolean) {
    const codes = count + (isValue ? 1 : 0);
    this.headWords = format === "float16" ? Math.ceil(codes / 2) : 1 + Math.ceil(codes / 4);
    this.#table = table;
    this.#format = format;
    this.#count = count;
    this.#columns = columns;
    this.#isValue = isValue;
    this.numbers = new Float32Array((PLACES + 1) * columns);
    this.#bits = new Uint32Array(this.numbers.buffer);
  }

  /**
   * Writes a head, whose first number is `from` among `rows`, to the words from `index` on; `bits` are the words of
   * `rows`.
   */
  write(index: number, rows: Float32Array, bits: Uint32Array, from: number): void {
    this.#look();
    this.drop(index, 1);
    const count = this.#count, isValue = this.#isValue;
    if (this.#format === "float16") {
      const halves = this.#halves, at = 2 * index;
      let largest = 0;
      for (let c = 0; c < count; c++) {
        const size = bits[from + c] & 0x7fffffff, sign = (bits[from + c] >>> 16) & 0x8000;
        const half = size < FLOAT_NORMAL
          ? Math.abs(rows[from + c]) / HALF_UNIT
          : (size >>> 13) - EXPONENT_SHIFT;
        halves[at + c] = sign | half;
        largest = Math.max(largest, half);
      }
      // Without signs, bits are in the order of their numbers.
      if (isValue) halves[at + count] = largest;
      return;
    }
    const bytes = this.#bytes,
      at = 4 * (index + 1),
      largest = largestOf(rows, from, count),
      scale = scaleOf(largest);
    this.#table.numbers[index] = scale;
    for (let c = 0; c < count; c++) bytes[at + c] = rows[from + c] / scale;
    if (isValue) bytes[at + count] = largest / scale;
  }

  /** Unpacks the head whose words begin at `index`; returns where its numbers begin among `numbers`. */
  open(index: number): number {
    const places = this.#places, own = index % PLACES;
    const place = places[own] === index || own !== this.#last ? own : PLACES;
    this.#last = place;
    const to = place * this.#columns, count = this.#count;
    if (places[place] === index) return to;
    this.#look();
    const { numbers } = this;
    places[place] = index;
    if (this.#format === "float16") {
      const halves = this.#halves, bits = this.#bits, from = 2 * index;
      for (let c = 0; c < count; c++) {
        const half = halves[from + c], size = half & 0x7fff;
        if (size >= HALF_NORMAL) bits[to + c] = ((half & 0x8000) << 16) | ((size + EXPONENT_SHIFT) << 13);
        // A subnormal binary16 is a normal float32.
        else numbers[to + c] = half === size ? size * HALF_UNIT : -size * HALF_UNIT;
      }
    } else {
      const bytes = this.#bytes, from = 4 * (index + 1), scale = this.#table.numbers[index];
      for (let c = 0; c < count; c++) numbers[to + c] = scale * bytes[from + c];
    }
    if (!this.#isValue) return to;
    numbers[to + count] = 1;
    numbers[to + count + 1] = this.magnitude(index);
    return to;
  }

  /** ‖v‖∞ of the value whose words begin at `index`. */
  magnitude(index: number): number {
    this.#look();
    if (this.#format === "int8") {
      return this.#table.numbers[index] * this.#bytes[4 * (index + 1) + this.#count];
    }
    const bits = this.#halves[2 * index + this.#count];
    return bits < HALF_NORMAL ? bits * HALF_UNIT : (1024 + (bits & 1023)) * 2 ** ((bits >> 10) - 25);
  }

  /** Wipes the unpacked numbers of `heads` heads from `index` on. */
  drop(index: number, heads: number): void {
    for (let head = 0; head < heads; head++, index += this.headWords) {
      this.#wipe(index % PLACES, index);
      this.#wipe(PLACES, index);
    }
  }

  #wipe(place: number, index: number): void {
    if (this.#places[place] !== index) return;
    const columns = this.#columns;
    this.#places[place] = NOWHERE;
    this.numbers.fill(0, place * columns, (place + 1) * columns);
  }

  /** Wipes all unpacked numbers: the table may lie elsewhere now. */
  dropAll(): void {
    this.#places.fill(NOWHERE);
    this.numbers.fill(0);
  }

  #look(): void {
    const { numbers } = this.#table;
    if (numbers === this.#seen) return;
    this.#seen = numbers;
    this.#halves = new Uint16Array(numbers.buffer);
    this.#bytes = new Int8Array(numbers.buffer);
  }
}
