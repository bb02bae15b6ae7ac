// Progress of a sweep for people: on a terminal one line that redraws itself, elsewhere a plain line now and
// then.

import { formatCount } from "../src/display/format.ts";
import type { TextTarget } from "../src/jupyter/progress_targets.ts";
import { fitLine, percentText, timeLeftText } from "../src/jupyter/progress_text.ts";
import type { SweepProgress } from "./sweep.ts";

const REDRAW_EVERY_MS = 100;
/** A plain line for each of this many shares of the work. */
const PLAIN_LINES = 10;
const ERASE_LINE = "\r\x1b[K";

/** Writes progress; `clock` gives milliseconds. */
export class ProgressReporter {
  readonly #target: TextTarget;
  readonly #clock: () => number;
  readonly #start: number;
  #drawn = -Infinity;
  #plainLines = 0;

  constructor(target: TextTarget, clock: () => number = () => performance.now()) {
    this.#target = target;
    this.#clock = clock;
    this.#start = clock();
  }

  report(progress: SweepProgress): void {
    const now = this.#clock();
    const elapsed = now - this.#start;
    const { isTerminal, columns } = this.#target;
    if (isTerminal) {
      if (now - this.#drawn < REDRAW_EVERY_MS) return;
      this.#drawn = now;
      this.#target.write(ERASE_LINE + barLine(progress, elapsed, columns));
      return;
    }
    const lines = Math.floor(progress.share * PLAIN_LINES);
    if (lines <= this.#plainLines) return;
    this.#plainLines = lines;
    this.#target.write(plainLine(progress, elapsed) + "\n");
  }

  /** Leaves a clean line behind. */
  end(): void {
    if (this.#target.isTerminal) this.#target.write(ERASE_LINE);
  }
}

/** `███░░░  42 %  3,100 days/s  12 s left`, never wider than `columns` − 1. */
export function barLine(progress: SweepProgress, elapsedMs: number, columns: number): string {
  const { share } = progress;
  const percent = percentText(share).padStart(5);
  return fitLine(
    share,
    ` ${percent}  ${rate(progress, elapsedMs)}  ${timeLeftText(share, elapsedMs)}`,
    columns,
  );
}

/**
 * `progress: 42 % of the work, 3,100 days/s, 12 s left`. The number of days is left out: some ways take a
 * hundred times as long for a day as others, so that it would contradict the share.
 */
export function plainLine(progress: SweepProgress, elapsedMs: number): string {
  const { share } = progress;
  const left = timeLeftText(share, elapsedMs);
  return `progress: ${percentText(share)} of the work, ${rate(progress, elapsedMs)}, ${left}`;
}

function rate({ days }: SweepProgress, elapsedMs: number): string {
  return `${formatCount(elapsedMs > 0 ? days / elapsedMs * 1000 : 0)} days/s`;
}
