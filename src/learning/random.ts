/**
 * Seeded random numbers, with a state that can be saved.
 */

import { describe, InputError } from "../base/errors.ts";
import { checkArray, isCount } from "../base/matrix.ts";

/**
 * A small generator for initial rows and for negative samples: a counter in steps of the golden ratio, mixed
 * to 32 bits. Not for secrets.
 *
 * @example
 * ```ts
 * import { SeededRandom } from "@attune/attention/learning";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new SeededRandom(7).normalRow(3, 0.1), new SeededRandom(7).normalRow(3, 0.1));
 * assertEquals(new SeededRandom(7).sample([4, 5, 6], 2, [5]).includes(5), false);
 * ```
 */
export class SeededRandom {
  #state: number;

  /** `seed` is a whole number from 0 to 2³² − 1. */
  constructor(seed: number) {
    if (!isCount(seed) || seed >= 2 ** 32) {
      throw new InputError("SeededRandom", `seed is ${describe(seed)}`, "an integer from 0 to 2³² − 1");
    }
    this.#state = seed;
  }

  /** The state, which is the seed of a generator that continues this one's sequence. */
  get state(): number {
    return this.#state;
  }

  /** Uniform in [0, 1), a multiple of 2⁻³². */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  }

  /** A uniform whole number from 0 to `end` − 1; `end` at most 2³². */
  below(end: number): number {
    if (!isCount(end) || end === 0 || end > 2 ** 32) {
      throw new InputError("SeededRandom.below", `end is ${describe(end)}`, "an integer from 1 to 2³²");
    }
    return Math.floor(this.next() * end);
  }

  /** A standard normal number. Source: Box and Muller, 1958. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  /**
   * `length` normal numbers of standard deviation `size`, as an initial row.
   *
   * @throws {InputError} When `size` is so large that a number could leave the range of float32; nothing is
   * drawn then.
   */
  normalRow(length: number, size: number): Float32Array<ArrayBuffer> {
    const operation = "SeededRandom.normalRow";
    if (!isCount(length)) throw new InputError(operation, `length is ${describe(length)}`, "an integer ≥ 0");
    if (!(typeof size === "number" && Math.abs(size) <= LARGEST_SIZE)) {
      throw new InputError(operation, `size is ${describe(size)}`, `a number up to ${LARGEST_SIZE}`);
    }
    return Float32Array.from({ length }, () => size * this.normal());
  }

  /**
   * `count` different items drawn uniformly, none of `except`, as negative samples; all that are left if they
   * are fewer. O(count), or O(items) if nearly all items are wanted or excepted, or many items are equal.
   *
   * @throws {InputError} When `items` is no array of numbers, or `except` no list; nothing is drawn then.
   */
  sample(items: ArrayLike<number>, count: number, except: Iterable<number> = []): number[] {
    const operation = "SeededRandom.sample";
    checkArray(operation, "items", items);
    if (!isCount(count)) throw new InputError(operation, `count is ${describe(count)}`, "an integer ≥ 0");
    if (typeof except?.[Symbol.iterator] !== "function") {
      throw new InputError(operation, `except is ${describe(except)}`, "a list of numbers");
    }
    const excluded = new Set(except);
    const chosen: number[] = [];
    const isSparse = 2 * (count + excluded.size) <= items.length;
    // At least every second draw then finds a new item, unless items are equal.
    for (let draws = isSparse ? 8 * count + 64 : 0; draws > 0 && chosen.length < count; draws--) {
      const item = items[this.below(items.length)];
      if (excluded.has(item)) continue;
      excluded.add(item);
      chosen.push(item);
    }
    if (chosen.length === count) return chosen;
    const rest = Array.from(new Set(Array.from(items))).filter((item) => !excluded.has(item));
    while (chosen.length < count && rest.length > 0) {
      const at = this.below(rest.length);
      chosen.push(rest[at]);
      rest[at] = rest[rest.length - 1];
      rest.pop();
    }
    return chosen;
  }
}

/**
 * The largest standard deviation. Box and Muller's method with 32-bit uniform numbers gives numbers below 7.
 */
const LARGEST_SIZE = 4e37;
