/**
 * Mean and spread of numbers that come one at a time, each with a weight, over the whole range of float64.
 *
 * With W the weight of all numbers, S = Σ w (x − mean)², and earlier numbers weighing `stays` of what they
 * did, a number x of weight 1 makes
 *
 *     W' = stays · W + 1,   mean' = mean + (x − mean) / W',   S' = stays · S + (x − mean) (x − mean')
 *
 * Source: Welford, "Note on a Method for Calculating Corrected Sums of Squares and Products", 1962; with
 * weights West, "Updating Mean and Variance Estimates: An Improved Method", 1979.
 */

/** The moments of the numbers so far. */
export class Moments {
  #mean = 0;
  #weight = 0;
  #weightSquares = 0;
  readonly #squares = new SquareSum();

  /** Takes a finite number; the weight of each one before becomes `stays` of what it was. */
  add(number: number, stays = 1): void {
    const before = this.#weight === 0 ? number : this.#mean;
    this.#weight = stays * this.#weight + 1;
    this.#weightSquares = stays * stays * this.#weightSquares + 1;
    const distance = number - before, weight = this.#weight;
    if (Number.isFinite(distance)) {
      this.#mean = within(before + distance / weight);
      this.#squares.add(stays, distance, number - this.#mean, 1);
    } else {
      // The ends of float64 are further apart than float64 goes.
      this.#mean = before * (1 - 1 / weight) + number / weight;
      this.#squares.add(stays, number / 2 - before / 2, number / 2 - this.#mean / 2, 2);
    }
  }

  /** NaN before the first number. */
  get mean(): number {
    return this.#weight === 0 ? NaN : this.#mean;
  }

  /** As how many numbers of equal weight they count: (Σ w)² / Σ w². */
  get count(): number {
    return this.#weight === 0 ? 0 : this.#weight / (this.#weightSquares / this.#weight);
  }

  /** The unbiased variance: NaN while it is not known, Infinity where it is beyond float64. */
  get variance(): number {
    const freedom = this.#freedom;
    return freedom > NO_FREEDOM ? this.#squares.over(freedom) : NaN;
  }

  /** The standard error of the mean, √(variance / count), also where the variance is beyond float64. */
  get standardError(): number {
    const freedom = this.#freedom;
    return freedom > NO_FREEDOM ? this.#squares.rootOver(freedom, this.count) : NaN;
  }

  /** n − 1 for n numbers of weight 1. */
  get #freedom(): number {
    return this.#weight - this.#weightSquares / this.#weight;
  }
}

/** Where one number has all the weight, rounding may leave this of n − 1. */
const NO_FREEDOM = 1e-9;
/** Sums of squares keep within the squares of FAR and 1 / FAR, in their unit. */
const FAR = 2 ** 400;

/** A sum of squares in a unit of its own, a power of two, so that it neither overflows nor loses digits. */
class SquareSum {
  #sum = 0;
  #unit = 1;

  /** `stays` of the sum, and a · b · unit² of the same sign. */
  add(stays: number, a: number, b: number, unit: number): void {
    const size = Math.max(Math.abs(a), Math.abs(b));
    const own = Math.sqrt(this.#sum);
    // In this order, since each quotient is of moderate numbers in one of the two cases.
    const relative = size / this.#unit * unit;
    if (relative > FAR || (relative < 1 / FAR && own < 1 / FAR && (size > 0 || own > 0))) {
      this.#moveTo(
        own > relative ? Math.max(Number.MIN_VALUE, this.#unit * powerOfTwo(own)) : powerOfTwo(size),
      );
    }
    this.#sum = stays * this.#sum + (a / this.#unit * unit) * (b / this.#unit * unit);
  }

  /** The sum / `divisor`. */
  over(divisor: number): number {
    return this.#sum / divisor * this.#unit * this.#unit;
  }

  /** √(the sum / (a · b)). */
  rootOver(a: number, b: number): number {
    return Math.sqrt(this.#sum / a / b) * this.#unit;
  }

  #moveTo(unit: number): void {
    const ratio = this.#unit / unit;
    if (this.#sum > 0) this.#sum = this.#sum * ratio * ratio;
    this.#unit = unit;
  }
}

/** A power of two near a number above 0. */
function powerOfTwo(number: number): number {
  // The logarithm of the largest numbers rounds to 1024.
  return 2 ** Math.min(1023, Math.floor(Math.log2(number)));
}

/** A number that rounding may have taken past the end of float64. */
function within(number: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, number));
}
