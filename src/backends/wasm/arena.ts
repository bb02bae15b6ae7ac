/**
 * The memory of the kernels as an arena that only grows, and views of it. A view is valid until the next
 * `take`, which may let the memory grow.
 */

const PAGE_BYTES = 65536;
/** The bytes that 32-bit addresses reach. */
const MOST_BYTES = 2 ** 32;

/** Allocates parts of a memory, which are never freed. */
export class Arena {
  readonly memory: WebAssembly.Memory;
  #next: number;
  #numbers: Float32Array;
  #words: Uint32Array;
  #integers: Int32Array;
  #doubles: Float64Array;

  /** The arena begins at `start`, where the module's own data ends. */
  constructor(memory: WebAssembly.Memory, start: number) {
    this.memory = memory;
    this.#next = start;
    this.#numbers = new Float32Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#integers = new Int32Array(memory.buffer);
    this.#doubles = new Float64Array(memory.buffer);
  }

  /** Allocates `bytes` zeros and returns their address, a multiple of 64. */
  take(bytes: number): number {
    const address = Math.ceil(this.#next / 64) * 64;
    if (address + bytes > MOST_BYTES) throw new RangeError(`WebAssembly has no ${address + bytes} bytes`);
    const missing = address + bytes - this.memory.buffer.byteLength;
    if (missing > 0) {
      this.memory.grow(Math.ceil(missing / PAGE_BYTES));
      this.#numbers = new Float32Array(this.memory.buffer);
      this.#words = new Uint32Array(this.memory.buffer);
      this.#integers = new Int32Array(this.memory.buffer);
      this.#doubles = new Float64Array(this.memory.buffer);
    }
    this.#next = address + bytes;
    return address;
  }

  /** Allocates a part for each size, all of them or, where it throws, none. */
  takeEach(sizes: readonly number[]): number[] {
    const ends: number[] = [];
    let end = 0;
    for (const bytes of sizes) ends.push(end += Math.ceil(bytes / 64) * 64);
    const address = this.take(end);
    return sizes.map((_, at) => address + (at === 0 ? 0 : ends[at - 1]));
  }

  /** The end of the allocated bytes. */
  get bytes(): number {
    return this.#next;
  }

  /**
   * The whole memory as float32; the number at an address is element address / 4. Valid until the next
   * `take`.
   */
  get numbers(): Float32Array {
    return this.#numbers;
  }

  /** The same as whole numbers, without a sign. */
  get allWords(): Uint32Array {
    return this.#words;
  }

  /** The same as whole numbers. */
  get allIntegers(): Int32Array {
    return this.#integers;
  }

  /** The same as float64. */
  get allDoubles(): Float64Array {
    return this.#doubles;
  }

  floats(address: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, count);
  }

  doubles(address: number, count: number): Float64Array {
    return new Float64Array(this.memory.buffer, address, count);
  }

  integers(address: number, count: number): Int32Array {
    return new Int32Array(this.memory.buffer, address, count);
  }

  words(address: number, count: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, address, count);
  }
}
