/**
 * The unit in which work is shared: a *piece* is a few neighbouring blocks, which one thread builds or
 * patches from beginning to end.
 *
 * Invariant: the result for a row depends on the row alone, so that its bits do not depend on which thread
 * takes which piece, or when.
 */

import * as field from "../job_fields.ts";
import type { Kernels } from "../load_kernels.ts";

/** The largest number of blocks of a piece. */
export const PIECE_BLOCKS = 4;
/** A lane is a job and its scratch, which only one thread uses. The scratch starts here. */
const LANE_SCRATCH = field.JOB_BYTES;
/** Bytes of a lane. */
export const LANE_BYTES = LANE_SCRATCH + field.SCRATCH_BYTES;
/** Bytes of the table of pieces before its entries, which hold the number of the next piece to take. */
export const TABLE_START = 4;
/**
 * Bytes of an entry: the first block of the piece, the end of its blocks, and the number of events of its
 * patch.
 */
export const ENTRY_BYTES = 12;

/** Work on the rows of one job, cut into pieces. It has only numbers, so that it can be sent to a thread. */
export interface PieceRun {
  readonly kind: "build" | "patch";
  /** Address of the job, which does not change during the run. */
  readonly job: number;
  /** Address of the table of pieces. */
  readonly table: number;
  /** Pieces in the table. */
  readonly pieceCount: number;
}

/** The layouts that `runPieces` needs. */
export const LAYOUT = {
  jobBytes: field.JOB_BYTES,
  laneScratch: LANE_SCRATCH,
  scratch: field.SCRATCH,
  eventCount: field.EVENT_COUNT,
  termCount: field.TERM_COUNT,
  /** Tables of terms, and the bytes of a term in each. */
  terms: [
    [field.TERM_KEYS, 4],
    [field.TERM_VALUES, 4],
    [field.TERM_SIGNS, 4],
    [field.TERM_BIASES, 4],
    [field.TERM_POSITIONS, 8],
  ],
  /** The number of terms that a build takes at a time, so that their rows fit the level-2 cache. */
  tileTerms: 512,
} as const;

/**
 * Takes pieces until none is left; `words` is the whole memory. Its source text is also the program of the
 * workers, so it may use nothing but its arguments.
 */
export function runPieces(
  kernels: Kernels,
  words: Uint32Array,
  run: PieceRun,
  lane: number,
  layout: typeof LAYOUT,
): void {
  const word = (at: number) => (lane + at) / 4;
  const next = run.table / 4;
  for (;;) {
    const piece = Atomics.add(words, next, 1);
    if (piece >= run.pieceCount) return;
    const entry = next + 1 + 3 * piece;
    const first = words[entry], end = words[entry + 1];
    words.copyWithin(lane / 4, run.job / 4, (run.job + layout.jobBytes) / 4);
    words[word(layout.scratch)] = lane + layout.laneScratch;
    if (run.kind === "patch") {
      words[word(layout.eventCount)] = 0;
      kernels.patch(lane, first, end);
      words[entry + 2] = words[word(layout.eventCount)];
      continue;
    }
    const count = words[word(layout.termCount)];
    kernels.clear(lane, first, end);
    for (let term = 0; term < count; term += layout.tileTerms) {
      words[word(layout.termCount)] = Math.min(layout.tileTerms, count - term);
      kernels.build(lane, first, end);
      for (const [at, bytes] of layout.terms) {
        if (words[word(at)] !== 0) words[word(at)] += bytes * layout.tileTerms;
      }
    }
    kernels.settle(lane, first, end);
  }
}
