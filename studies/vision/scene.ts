// Digits that move in a larger frame, bounce at its edges and become others, over clutter that stands still.

import { SeededRandom } from "../../src/learning/mod.ts";
import { type Glyph, SIDE } from "./digits.ts";

/** The options of a scene. */
export interface SceneOptions {
  /** Pixels of a side of the frame. */
  readonly size: number;
  /** Digits that move. */
  readonly movers: number;
  /** Pieces of digits that stand still. */
  readonly clutter: number;
  /** The number of frames after which a mover becomes another digit. */
  readonly changeAfter: number;
  readonly seed: number;
}

/** A digit that moves: its kind, and the pixel of its upper left corner. */
export interface Mover {
  readonly digit: number;
  readonly x: number;
  readonly y: number;
}

const PIECE = 9;

/** A scene, one frame at a time; the same seed gives the same frames. */
export class Scene {
  readonly size: number;
  readonly #options: SceneOptions;
  readonly #glyphs: readonly (readonly Glyph[])[];
  readonly #random: SeededRandom;
  readonly #background: Float32Array<ArrayBuffer>;
  readonly #movers: { digit: number; glyph: Glyph; x: number; y: number; dx: number; dy: number }[];
  #frame = 0;

  /** `glyphs` are examples by digit. */
  constructor(glyphs: readonly (readonly Glyph[])[], options: SceneOptions) {
    this.size = options.size;
    this.#options = options;
    this.#glyphs = glyphs;
    this.#random = new SeededRandom(options.seed);
    this.#background = new Float32Array(options.size ** 2);
    for (let piece = 0; piece < options.clutter; piece++) this.#drawPiece();
    this.#movers = Array.from({ length: options.movers }, () => ({
      ...this.#choose(),
      x: this.#random.below(options.size - SIDE + 1),
      y: this.#random.below(options.size - SIDE + 1),
      dx: this.#speed(),
      dy: this.#speed(),
    }));
  }

  /** The movers at their present places. */
  get movers(): Mover[] {
    return this.#movers.map(({ digit, x, y }) => ({ digit, x, y }));
  }

  /** The pixels of the frame, row by row. */
  pixels(): Float32Array<ArrayBuffer> {
    const pixels = this.#background.slice();
    for (const { glyph, x, y } of this.#movers) {
      stamp(pixels, this.size, glyph, { x, y, left: 0, top: 0, side: SIDE });
    }
    return pixels;
  }

  /** The next frame. */
  step(): void {
    this.#frame++;
    const last = this.size - SIDE;
    for (const mover of this.#movers) {
      [mover.x, mover.dx] = bounced(mover.x, mover.dx, last);
      [mover.y, mover.dy] = bounced(mover.y, mover.dy, last);
      if (this.#frame % this.#options.changeAfter === 0) Object.assign(mover, this.#choose());
    }
  }

  #choose(): { digit: number; glyph: Glyph } {
    const digit = this.#random.below(this.#glyphs.length);
    return { digit, glyph: this.#glyphs[digit][this.#random.below(this.#glyphs[digit].length)] };
  }

  /** 1 to 3 pixels a frame, either way. */
  #speed(): number {
    return (1 + this.#random.below(3)) * (this.#random.below(2) === 0 ? 1 : -1);
  }

  #drawPiece(): void {
    const { glyph } = this.#choose();
    stamp(this.#background, this.size, glyph, {
      x: this.#random.below(this.size - PIECE),
      y: this.#random.below(this.size - PIECE),
      left: 8 + this.#random.below(4),
      top: 8 + this.#random.below(4),
      side: PIECE,
    });
  }
}

/** The place after a step within 0 to `last`, and the speed after it. */
export function bounced(place: number, speed: number, last: number): [place: number, speed: number] {
  const next = place + speed;
  if (next < 0) return [Math.min(last, -next), -speed];
  if (next > last) return [Math.max(0, 2 * last - next), -speed];
  return [next, speed];
}

/** Draws a square of a glyph over what is there; of two pixels the brighter one stays. */
function stamp(
  pixels: Float32Array,
  size: number,
  glyph: Glyph,
  at: {
    readonly x: number;
    readonly y: number;
    readonly left: number;
    readonly top: number;
    readonly side: number;
  },
): void {
  for (let row = 0; row < at.side; row++) {
    for (let column = 0; column < at.side; column++) {
      const place = (at.y + row) * size + at.x + column;
      pixels[place] = Math.max(pixels[place], glyph[(at.top + row) * SIDE + at.left + column]);
    }
  }
}
