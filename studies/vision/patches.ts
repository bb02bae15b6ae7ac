// A frame as keys and values: overlapping patches of the size of a digit.
//
// A key is what a patch looks like, 49 numbers of length 1 at most, and where it is, 3 numbers. A value is
// where it is, how much ink it has, and what it looks like once more: so attention to a patch says where
// something is, and what was found there.

import { SIDE } from "./digits.ts";

/** Pixels from one patch to the next. */
export const STRIDE = 4;
const BLOCK = 4, CELLS = SIDE / BLOCK;
/** Numbers that say what a patch looks like. */
export const LOOKS = CELLS * CELLS;
export const KEY_WIDTH = LOOKS + 3, VALUE_WIDTH = LOOKS + 3;
/** A patch with less contrast than this hardly differs from an empty one. */
const FAINT = 2;

/** The places of the patches of a frame. */
export class PatchGrid {
  /** Patches of a side. */
  readonly side: number;
  readonly #size: number;

  /** `size` is the side of the frame in pixels. */
  constructor(size: number) {
    if (!(size >= SIDE && (size - SIDE) % STRIDE === 0)) {
      throw new Error(
        `PatchGrid: the frame has a side of ${size}, expected ${SIDE} and a multiple of ${STRIDE} more`,
      );
    }
    this.#size = size;
    this.side = (size - SIDE) / STRIDE + 1;
  }

  get count(): number {
    return this.side ** 2;
  }

  /** Upper left corner of a patch, in pixels. */
  corner(patch: number): { readonly x: number; readonly y: number } {
    return { x: STRIDE * (patch % this.side), y: STRIDE * Math.floor(patch / this.side) };
  }

  /** The same from 0 to 1. */
  place(patch: number): readonly [x: number, y: number] {
    const { x, y } = this.corner(patch), last = Math.max(1, this.#size - SIDE);
    return [x / last, y / last];
  }

  /** Patches in which a pixel is different. */
  changed(before: Float32Array, now: Float32Array): number[] {
    const found = new Set<number>();
    for (let at = 0; at < now.length; at++) {
      if (now[at] === before[at]) continue;
      const x = at % this.#size, y = Math.floor(at / this.#size);
      for (let row = this.#first(y); row <= this.#last(y); row++) {
        for (let column = this.#first(x); column <= this.#last(x); column++) {
          found.add(row * this.side + column);
        }
      }
    }
    return [...found].sort((a, b) => a - b);
  }

  /** Key and value of a patch. */
  row(pixels: Float32Array, patch: number): { readonly key: Float32Array; readonly value: Float32Array } {
    const { x, y } = this.corner(patch);
    const window = new Float32Array(SIDE * SIDE);
    for (let row = 0; row < SIDE; row++) {
      const from = (y + row) * this.#size + x;
      window.set(pixels.subarray(from, from + SIDE), row * SIDE);
    }
    const { looks, ink } = toLooks(window);
    const [px, py] = this.place(patch);
    const key = new Float32Array(KEY_WIDTH), value = new Float32Array(VALUE_WIDTH);
    key.set(looks);
    key.set([px, py, px * px + py * py], LOOKS);
    value.set([px, py, ink]);
    value.set(looks, 3);
    return { key, value };
  }

  #first(pixel: number): number {
    return Math.max(0, Math.ceil((pixel - SIDE + 1) / STRIDE));
  }

  #last(pixel: number): number {
    return Math.min(this.side - 1, Math.floor(pixel / STRIDE));
  }
}

/**
 * The features of a square of 28 × 28 pixels: means of 4 × 4 pixels minus their mean, scaled to length 1
 * unless there is hardly any contrast.
 */
export function toLooks(
  window: Float32Array,
): { readonly looks: Float32Array<ArrayBuffer>; readonly ink: number } {
  const looks = new Float32Array(LOOKS);
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      looks[Math.floor(row / BLOCK) * CELLS + Math.floor(column / BLOCK)] += window[row * SIDE + column] /
        BLOCK ** 2;
    }
  }
  const ink = looks.reduce((sum, cell) => sum + cell, 0) / LOOKS;
  for (let c = 0; c < LOOKS; c++) looks[c] -= ink;
  const length = Math.sqrt(looks.reduce((sum, cell) => sum + cell * cell, 0));
  const scale = 1 / Math.max(FAINT, length);
  for (let c = 0; c < LOOKS; c++) looks[c] *= scale;
  return { looks, ink };
}
