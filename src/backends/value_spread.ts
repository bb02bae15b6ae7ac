/**
 * Balls that hold all values, stored and kept, one a key head: a centre and a radius. A radius never shrinks but when
 * the ball is laid anew, which is when nothing is kept.
 */

import type { HeadLayout } from "../core/head_layout.ts";

/** Values as a backend stores them, `width` numbers a row and key head of which the first dv count. */
export interface ValueRows {
  readonly count: number;
  readonly live: Uint8Array;
  readonly values: Float32Array;
}

/** A centre is the mean of so many rows or a few more: it only has to lie well inside. */
const SAMPLE = 128;

/** One ball a key head. */
export class ValueSpread {
  readonly #layout: HeadLayout;
  readonly #width: number;
  readonly #centres: Float64Array;
  readonly #radii: Float64Array;

  constructor(layout: HeadLayout, width: number) {
    this.#layout = layout;
    this.#width = width;
    this.#centres = new Float64Array(layout.kvHeads * layout.valueDim);
    this.#radii = new Float64Array(layout.kvHeads);
  }

  /** Lays the balls around about the mean of a block's live values. */
  layAround(block: ValueRows): void {
    const { kvHeads, valueDim } = this.#layout;
    const { count, live, values } = block;
    const width = this.#width, centres = this.#centres;
    const step = Math.max(1, Math.floor(count / SAMPLE));
    let sampled = 0;
    centres.fill(0);
    for (let j = 0; j < count; j += step) {
      if (live[j] === 0) continue;
      sampled++;
      for (let head = 0; head < kvHeads; head++) {
        const offset = (j * kvHeads + head) * width;
        for (let c = 0; c < valueDim; c++) centres[head * valueDim + c] += values[offset + c];
      }
    }
    if (sampled > 0) { for (let at = 0; at < centres.length; at++) centres[at] /= sampled; }
    for (let head = 0; head < kvHeads; head++) {
      const centre = centres.subarray(head * valueDim, (head + 1) * valueDim);
      this.#radii[head] = furthest(centre, block, kvHeads * width, head * width);
    }
  }

  /** Copies of the centres, dv numbers a key head, and of the radii. */
  save(): { readonly centres: Float64Array; readonly radii: Float64Array } {
    return { centres: this.#centres.slice(), radii: this.#radii.slice() };
  }

  /** Takes balls that were saved. */
  restore(centres: Float64Array, radii: Float64Array): void {
    this.#centres.set(centres);
    this.#radii.set(radii);
  }

  /** Lets the balls grow until they hold one value of a block, if it is live. */
  holdRow(block: ValueRows, j: number): void {
    if (block.live[j] === 0) return;
    const { kvHeads, valueDim } = this.#layout;
    const radii = this.#radii;
    for (let head = 0; head < kvHeads; head++) {
      const offset = (j * kvHeads + head) * this.#width;
      radii[head] = Math.max(
        radii[head],
        distance(this.#centres, head * valueDim, block.values, offset, valueDim),
      );
    }
  }

  /** The radius of the ball of a key head. */
  radius(head: number): number {
    return this.#radii[head];
  }
}

/**
 * The largest distance of a live value, `stride` numbers a row from `offset` on, from a centre. A loop of its own, not calls
 * of `distance`: it meets one kind of array, which makes it twice as fast.
 */
function furthest(
  centre: Float64Array,
  { count, live, values }: ValueRows,
  stride: number,
  offset: number,
): number {
  let largest = 0;
  for (let j = 0; j < count; j++) {
    if (live[j] === 0) continue;
    const at = j * stride + offset;
    let squared = 0;
    for (let c = 0; c < centre.length; c++) {
      const difference = centre[c] - values[at + c];
      squared += difference * difference;
    }
    largest = Math.max(largest, squared);
  }
  return Math.sqrt(largest);
}

/** ‖a − b‖₂ of `length` numbers each. */
export function distance(
  a: Float64Array | Float32Array,
  aOffset: number,
  b: Float32Array,
  bOffset: number,
  length: number,
): number {
  let squared = 0;
  for (let c = 0; c < length; c++) squared += (a[aOffset + c] - b[bOffset + c]) ** 2;
  return Math.sqrt(squared);
}
