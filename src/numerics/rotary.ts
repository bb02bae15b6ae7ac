/**
 * Rotary positions: pairs of a row's numbers are turned by angles that grow with its position, so that the
 * product of a query and a key depends on the difference of their positions alone,
 *
 * (x, y) → (x cos θ − y sin θ,  x sin θ + y cos θ),      θ_i = position · base^(−2i/dims),  0 ≤ i < dims/2.
 *
 * The pair i is columns 2i and 2i + 1 of a head where it is interleaved, else i and i + dims/2; columns from
 * dims on stay. Angles and products are float64, and what was turned is rounded to float32 once.
 *
 * Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", arXiv 2104.09864, §3.4.
 */

import type { HeadLayout } from "./head_layout.ts";

/** The rule by which rows are turned. */
export interface Rotary {
  /** The base of the angles' frequencies. */
  readonly base: number;
  /** Columns of a head that are turned, an even number. */
  readonly dims: number;
  /** Whether a pair is two neighbours. */
  readonly interleaved: boolean;
}

/** The largest float32; turning may lead beyond it. */
const LARGEST = 2 ** 128 - 2 ** 104;

/** Turns rows of an engine. */
export class Turner {
  readonly #rotary: Rotary;
  readonly #headDim: number;
  readonly #frequencies: Float64Array;
  /** The cosines of the position that was asked for last. */
  readonly #cosines: Float64Array;
  readonly #sines: Float64Array;

  constructor(rotary: Rotary, { headDim }: HeadLayout) {
    const { base, dims } = rotary;
    this.#rotary = rotary;
    this.#headDim = headDim;
    this.#frequencies = Float64Array.from({ length: dims / 2 }, (_, i) => base ** (-2 * i / dims));
    this.#cosines = new Float64Array(dims / 2);
    this.#sines = new Float64Array(dims / 2);
  }

  /** Turns `heads` heads that lie side by side from `offset` on, as float32. */
  turn(rows: Float32Array, offset: number, heads: number, position: number): void {
    this.#rotate(rows, offset, heads, position, 1);
    const end = offset + heads * this.#headDim;
    for (let at = offset; at < end; at++) {
      if (Math.abs(rows[at]) > LARGEST) rows[at] = Math.sign(rows[at]) * LARGEST;
    }
  }

  /** Turns derivatives by turned rows back to derivatives by rows. */
  turnBack(rows: Float64Array, offset: number, heads: number, position: number): void {
    this.#rotate(rows, offset, heads, position, -1);
  }

  #rotate(
    rows: Float32Array | Float64Array,
    offset: number,
    heads: number,
    position: number,
    sign: number,
  ): void {
    const { dims, interleaved } = this.#rotary, half = dims / 2;
    const cosines = this.#cosines, sines = this.#sines;
    for (let i = 0; i < half; i++) {
      const angle = position * this.#frequencies[i];
      cosines[i] = Math.cos(angle);
      sines[i] = sign * Math.sin(angle);
    }
    const step = interleaved ? 2 : 1, apart = interleaved ? 1 : half;
    for (let head = 0, start = offset; head < heads; head++, start += this.#headDim) {
      for (let i = 0, at = start; i < half; i++, at += step) {
        const x = rows[at], y = rows[at + apart];
        rows[at] = x * cosines[i] - y * sines[i];
        rows[at + apart] = x * sines[i] + y * cosines[i];
      }
    }
  }
}
