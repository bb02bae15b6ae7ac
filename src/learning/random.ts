/**
 * Random numbers that a seed decides, with a state that can be written down.
 */

import { describe, InputError } from "../errors.ts";
import { isCount } from "../matrix.ts";

/**
 * A small generator for initial rows and for negative samples: a counter in steps of the golden ratio, mixed to 32
 * bits. Not for secrets.
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

  /** Starts anew: `seed` is a whole number from 0 to 2³² − 1. */
  constructor(seed: number) {
    if (!isCount(seed) || seed >= 2 ** 32) {
      throw new InputError("SeededRandom", `seed is ${describe(seed)}`, "an integer from 0 to 2³² − 1");
    }
    this.#state = seed;
  }

  /** All that decides what comes: the seed of a generator that goes on as this one. */
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

  /** `length` normal numbers of standard deviation `size`, as a row to start from. */
  normalRow(length: number, size: number): Float32Array<ArrayBuffer> {
    return Float32Array.from({ length }, () => size * this.normal());
  }

  /**
   * `count` different items drawn uniformly, none of `except`: negative samples. Fewer where there are not so many.
   * O(count) unless nearly all are wanted or excepted, then O(items).
   */
  sample(items: ArrayLike<number>, count: number, except: Iterable<number> = []): number[] {
    if (!isCount(count)) {
      throw new InputError("SeededRandom.sample", `count is ${describe(count)}`, "an integer ≥ 0");
    }
    const excluded = new Set(except);
    const chosen: number[] = [];
    if (2 * (count + excluded.size) <= items.length) {
      while (chosen.length < count) {
        const item = items[this.below(items.length)];
        if (excluded.has(item)) continue;
        excluded.add(item);
        chosen.push(item);
      }
      return chosen;
    }
    const rest = Array.from(items).filter((item) => !excluded.has(item));
    while (chosen.length < count && rest.length > 0) {
      const at = this.below(rest.length);
      chosen.push(rest[at]);
      rest[at] = rest[rest.length - 1];
      rest.pop();
    }
    return chosen;
  }
}
