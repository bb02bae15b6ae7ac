/**
 * Mean and variance of a stream of weighted numbers, over the whole range of float64.
 *
 * Let W be the total weight, S = Σ w (x − mean)², and let the weights of earlier numbers be multiplied by
 * `stays`. A number x of weight 1 then gives
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

  /** Takes a finite number of weight 1, and multiplies the weights of earlier numbers by `stays`. */
  add(number: number, stays = 1): void {
    const before = this.#weight === 0 ? number : this.#mean;
    this.#weight = stays * this.#weight + 1;
    this.#weightSquares = stays * stays * this.#weightSquares + 1;
    const distance = number - before, weight = this.#weight;
    if (Number.isFinite(distance)) {
      this.#mean = within(before + distance / weight);
      this.#squares.add(stays, distance, number - this.#mean, 1);
    } else {
      // The difference of two float64 numbers may be beyond float64.
      this.#mean = before * (1 - 1 / weight) + number / weight;
      this.#squares.add(stays, number / 2 - before / 2, number / 2 - this.#mean / 2, 2);
    }
  }

  /** The mean; NaN before the first number. */
  get mean(): number {
    return this.#weight === 0 ? NaN : this.#mean;
  }

  /** The effective number of numbers, (Σ w)² / Σ w². */
  get count(): number {
    return this.#weight === 0 ? 0 : this.#weight / (this.#weightSquares / this.#weight);
  }

  /** The unbiased variance: NaN before it is defined, Infinity if it is beyond float64. */
  get variance(): number {
    const freedom = this.#freedom;
    return freedom > NO_FREEDOM ? this.#squares.over(freedom) : NaN;
  }

  /** The standard error of the mean, √(variance / count), also if the variance is beyond float64. */
  get standardError(): number {
    const freedom = this.#freedom;
    return freedom > NO_FREEDOM ? this.#squares.rootOver(freedom, this.count) : NaN;
  }

  /** The degrees of freedom, n − 1 for n numbers of weight 1. */
  get #freedom(): number {
    return this.#weight - this.#weightSquares / this.#weight;
  }
}

/** The largest rounding error of the degrees of freedom when one number has all the weight. */
const NO_FREEDOM = 1e-9;
/** Sums of squares keep within the squares of FAR and 1 / FAR, in their unit. */
const FAR = 2 ** 400;

/** A sum of squares in a unit of its own, a power of two, so that it neither overflows nor loses digits. */
class SquareSum {
  #sum = 0;
  #unit = 1;

  /** Multiplies the sum by `stays` and adds a · b · unit², where a and b have the same sign. */
  add(stays: number, a: number, b: number, unit: number): void {
    const size = Math.max(Math.abs(a), Math.abs(b));
    const own = Math.sqrt(this.#sum);
    // The order of the operations avoids overflow and underflow.
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

/** A number within the range of float64, which rounding may have left. */
function within(number: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, number));
}
