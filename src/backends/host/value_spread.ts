/**
 * Balls that contain all stored and retained values, one for each key head: a centre and a radius. Balls grow
 * with new rows. They are fitted anew when nothing is retained: when all states are computed from scratch,
 * and when the traces of deleted rows are erased.
 */

import { type HeadLayout, keyHeadOf } from "../../numerics/head_layout.ts";
import { type KeyBlock, valueOffset } from "./key_block.ts";

/** A centre is the mean of about this number of rows, since it only has to lie well inside the ball. */
const SAMPLE = 128;

/** The balls, one per key head. */
export class ValueSpread {
  readonly #layout: HeadLayout;
  readonly #centres: Float64Array;
  readonly #radii: Float64Array;
  /** ‖centre‖ of each. */
  readonly #centreNorms: Float64Array;
  /** Slots of the values whose mean is the centre; null if they are not known. */
  #sampled: Set<number> | null = null;
  /** Whether a value that determined a centre or a radius has been deleted or replaced. */
  #isOutdated = false;
  /** Key heads that a query head with a sink reads: the sink is a value of 0, which the ball must contain. */
  readonly #hasSink: readonly boolean[];

  constructor(layout: HeadLayout, sinks?: Float64Array) {
    this.#layout = layout;
    this.#hasSink = Array.from({ length: layout.kvHeads }, (_, keyHead) => {
      return sinks?.some((sink, head) => sink > -Infinity && keyHeadOf(layout, head) === keyHead) ?? false;
    });
    this.#centres = new Float64Array(layout.kvHeads * layout.valueDim);
    this.#radii = new Float64Array(layout.kvHeads);
    this.#centreNorms = new Float64Array(layout.kvHeads);
  }

  /** Fits the balls to a block's live values, around the mean of some of them. */
  refit(block: KeyBlock): void {
    const { kvHeads, valueDim } = this.#layout;
    const { count, live, values } = block;
    const centres = this.#centres;
    const step = Math.max(1, Math.floor(count / SAMPLE));
    const sampled = this.#sampled = new Set<number>();
    this.#isOutdated = false;
    centres.fill(0);
    for (let j = 0; j < count; j += step) {
      if (live[j] === 0) continue;
      sampled.add(j);
      for (let head = 0; head < kvHeads; head++) {
        const offset = valueOffset(block, j, head);
        for (let c = 0; c < valueDim; c++) centres[head * valueDim + c] += values[offset + c];
      }
    }
    if (sampled.size > 0) { for (let at = 0; at < centres.length; at++) centres[at] /= sampled.size; }
    for (let head = 0; head < kvHeads; head++) {
      const centre = centres.subarray(head * valueDim, (head + 1) * valueDim);
      this.#radii[head] = furthest(centre, block, head);
    }
    this.#measureCentres();
  }

  /**
   * Copies of the centres, dv numbers per key head, and of the radii. The file does not say whose mean a
   * centre is; the engine that is saved forgets it too, so that the loaded one fits its balls anew at the
   * same moments.
   */
  save(): { readonly centres: Float64Array; readonly radii: Float64Array } {
    this.#sampled = null;
    return { centres: this.#centres.slice(), radii: this.#radii.slice() };
  }

  /** Copies the centres, dv numbers per key head. */
  copyCentres(): Float64Array<ArrayBuffer> {
    return this.#centres.slice();
  }

  /** Restores saved balls. */
  restore(centres: Float64Array, radii: Float64Array): void {
    this.#centres.set(centres);
    this.#radii.set(radii);
    this.#measureCentres();
    this.#sampled = null;
    this.#isOutdated = false;
  }

  /** Lets the balls grow until they contain one value of a block, if it is live. */
  include(block: KeyBlock, j: number): void {
    if (block.live[j] === 0) return;
    for (let head = 0; head < this.#layout.kvHeads; head++) {
      this.#radii[head] = Math.max(this.#radii[head], this.#distanceOf(block, j, head));
    }
  }

  /** Notes that a value of a block, if it is live, is about to be replaced or deleted. */
  release(block: KeyBlock, j: number): void {
    if (this.#isOutdated || block.live[j] === 0) return;
    this.#isOutdated = this.#sampled === null || this.#sampled.has(j);
    for (let head = 0; head < this.#layout.kvHeads; head++) {
      if (this.#distanceOf(block, j, head) >= this.#radii[head]) this.#isOutdated = true;
    }
  }

  /**
   * Fits the balls anew if a value that determined them has been deleted or replaced. Nothing may be
   * retained.
   */
  forget(block: KeyBlock): void {
    if (this.#isOutdated) this.refit(block);
  }

  #distanceOf(block: KeyBlock, j: number, head: number): number {
    const { valueDim } = this.#layout;
    const offset = valueOffset(block, j, head), first = head * valueDim;
    // It does not call `distance`, for the reason that `furthest` does not.
    const centres = this.#centres, { values } = block;
    let squared = 0;
    for (let c = 0; c < valueDim; c++) {
      const difference = centres[first + c] - values[offset + c];
      squared += difference * difference;
    }
    return Math.sqrt(squared);
  }

  /** A bound on the norm of every value of a key head. */
  largestNorm(head: number): number {
    return this.#centreNorms[head] + this.#radii[head];
  }

  /** The radius of the ball of a key head. */
  radius(head: number): number {
    if (!this.#hasSink[head]) return this.#radii[head];
    return Math.max(this.#radii[head], this.#centreNorms[head] * (1 + 2 ** -40));
  }

  /** Every answer within an error asks for the norms of the centres, which seldom move. */
  #measureCentres(): void {
    const { kvHeads, valueDim } = this.#layout;
    for (let head = 0; head < kvHeads; head++) {
      let squared = 0;
      for (let c = head * valueDim; c < (head + 1) * valueDim; c++) squared += this.#centres[c] ** 2;
      this.#centreNorms[head] = Math.sqrt(squared);
    }
  }
}

/**
 * The largest distance of a live value of a key head from a centre. It does not call `distance`, since a loop
 * over one kind of array is twice as fast.
 */
function furthest(centre: Float64Array, block: KeyBlock, keyHead: number): number {
  const { count, live, values } = block;
  let largest = 0;
  for (let j = 0; j < count; j++) {
    if (live[j] === 0) continue;
    const at = valueOffset(block, j, keyHead);
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
