// Standing questions to a frame: where is something that looks like this, and what is in that region?
//
// Scores are θ q·k. The question for a digit is a prototype and asks for looks alone. The question for a
// region asks for places alone: with k = (x, y, x² + y²) and q = (cx, cy, −½)/(θσ²), a score is −|p − c|²/2σ²
// but for a constant, a soft window.

import { DynamicAttention, type DynamicAttentionStats } from "../../mod.ts";
import { engineOptions, type Strategy } from "../strategies.ts";
import { type Digits, gather } from "./digits.ts";
import { KEY_WIDTH, LOOKS, PatchGrid, toLooks, VALUE_WIDTH } from "./patches.ts";

const SCALE = 40;
const REGION_WIDTH = 0.2;
const REGIONS = [[0.2, 0.2], [0.8, 0.2], [0.2, 0.8], [0.8, 0.8]] as const;

/** The questions. */
export interface Questions {
  /** Prototypes first, then four regions. */
  readonly queries: readonly Float32Array<ArrayBuffer>[];
  /** The digit that each prototype is of. */
  readonly digits: readonly number[];
}

/** `each` prototypes of each digit, and the regions upper left, upper right, lower left, lower right. */
export function toQuestions({ known }: Digits, each: number): Questions {
  const digits = known.flatMap((_, digit) => Array.from({ length: each }, () => digit));
  const prototypes = known.flatMap((glyphs, digit) =>
    gather(glyphs.map((glyph) => toLooks(glyph).looks), each, digit + 1).map((centre) => {
      const length = Math.hypot(...centre);
      return Float32Array.from({ length: KEY_WIDTH }, (_, c) => c < LOOKS ? centre[c] / length : 0);
    })
  );
  const regions = REGIONS.map(([x, y]) => {
    const query = new Float32Array(KEY_WIDTH);
    query.set([x, y, -0.5].map((number) => number / (SCALE * REGION_WIDTH ** 2)), LOOKS);
    return query;
  });
  return { queries: [...prototypes, ...regions], digits };
}

/** The digit and its place, 0 to 1 from the left and from the top. */
export interface Finding {
  readonly digit: number;
  readonly x: number;
  readonly y: number;
}

/** The answers for a frame. */
export interface FrameReading {
  /** A row a question. */
  readonly output: Float32Array;
  /** A bound on the distance of each row from exact; null where rows are exact. */
  readonly bounds: Float64Array | null;
}

/** The engine over the patches of a frame. */
export class VisualAttention {
  readonly live: DynamicAttention;
  readonly grid: PatchGrid;
  readonly #questions: Questions;
  readonly #strategy: Strategy;
  #pixels: Float32Array<ArrayBuffer>;

  private constructor(
    live: DynamicAttention,
    grid: PatchGrid,
    questions: Questions,
    strategy: Strategy,
    pixels: Float32Array<ArrayBuffer>,
  ) {
    this.live = live;
    this.grid = grid;
    this.#questions = questions;
    this.#strategy = strategy;
    this.#pixels = pixels;
  }

  /** Looks at a first frame. */
  static async create(
    questions: Questions,
    size: number,
    pixels: Float32Array<ArrayBuffer>,
    strategy: Strategy,
  ): Promise<VisualAttention> {
    const grid = new PatchGrid(size);
    const rows = Array.from({ length: grid.count }, (_, patch) => grid.row(pixels, patch));
    const live = await DynamicAttention.create({
      query: [...questions.queries],
      key: rows.map(({ key }) => key),
      value: rows.map(({ value }) => value),
      scale: SCALE,
      ...engineOptions(strategy),
      threads: 1,
    });
    return new VisualAttention(live, grid, questions, strategy, pixels);
  }

  /** Sees the next frame: only patches that changed are edited. Returns how many. */
  async see(pixels: Float32Array<ArrayBuffer>): Promise<number> {
    const changed = this.grid.changed(this.#pixels, pixels);
    this.live.edit(changed.map((slot) => ({ kind: "set", slot, ...this.grid.row(pixels, slot) })));
    this.#pixels = pixels;
    if (this.#strategy.family === "everyAnswer") await this.live.rebuild();
    return changed.length;
  }

  /** The strategy's answers; with `certify` there are bounds even if no budget needs them. */
  async read(certify = false): Promise<FrameReading> {
    const { family, error } = this.#strategy, isCertified = certify || error !== null;
    if (family === "exact" || family === "everyAnswer") {
      return { output: (await this.live.read()).data, bounds: null };
    }
    const { output, bounds } = await this.live.peek(undefined, { bounds: isCertified });
    return { output: output.data, bounds: isCertified ? bounds : null };
  }

  /** The digit whose prototype finds what looks most like itself, where it finds it. */
  find(output: ArrayLike<number>): Finding {
    return findIn(this.#questions, output);
  }

  /** The question that `find` believed. */
  believed(output: ArrayLike<number>): number {
    return bestRow(this.#questions, output);
  }

  stats(): DynamicAttentionStats {
    return this.live.stats();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.live.dispose();
  }
}

function findIn(questions: Questions, output: ArrayLike<number>): Finding {
  const row = bestRow(questions, output), at = row * VALUE_WIDTH;
  return { digit: questions.digits[row], x: output[at], y: output[at + 1] };
}

function bestRow({ queries, digits }: Questions, output: ArrayLike<number>): number {
  let best = 0, most = -Infinity;
  for (let row = 0; row < digits.length; row++) {
    let likeness = 0;
    for (let c = 0; c < LOOKS; c++) likeness += queries[row][c] * output[row * VALUE_WIDTH + 3 + c];
    if (likeness > most) [best, most] = [row, likeness];
  }
  return best;
}

/** The baseline: of all pairs of a prototype and a patch, the one that is most alike. */
export function nearestPatch({ queries, digits }: Questions, grid: PatchGrid, pixels: Float32Array): Finding {
  let best = { digit: digits[0], patch: 0 }, most = -Infinity;
  for (let patch = 0; patch < grid.count; patch++) {
    const { key } = grid.row(pixels, patch);
    for (const [row, digit] of digits.entries()) {
      let likeness = 0;
      for (let c = 0; c < LOOKS; c++) likeness += queries[row][c] * key[c];
      if (likeness > most) [best, most] = [{ digit, patch }, likeness];
    }
  }
  const [x, y] = grid.place(best.patch);
  return { digit: best.digit, x, y };
}
