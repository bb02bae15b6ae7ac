// Seeded random numbers of tests and benchmarks.
//
// The generator is the tests' own: the library's SeededRandom is among what is judged, and the committed
// corpus of traces and the recorded bounds are of this very sequence, which pure-rand does not give.

/** mulberry32: uniform numbers in [0, 1) from a 32-bit seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Uniform integer from 0 to `end` − 1. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** Standard normal, by Box and Muller. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** `length` normal numbers of standard deviation `size`. */
  row(length: number, size = 1): Float32Array<ArrayBuffer> {
    return Float32Array.from({ length }, () => size * this.normal());
  }

  /**
   * The items in a random order. A sort whose comparisons are random gives one that depends on how the JavaScript engine
   * has compiled it, so that a seed would not give the same run again.
   */
  shuffled<T>(items: Iterable<T>): T[] {
    const all = [...items];
    for (let end = all.length; end > 1; end--) {
      const at = this.below(end);
      [all[end - 1], all[at]] = [all[at], all[end - 1]];
    }
    return all;
  }

  /** `count` such rows. */
  rows(count: number, length: number, size = 1): Float32Array<ArrayBuffer>[] {
    return Array.from({ length: count }, () => this.row(length, size));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
}
