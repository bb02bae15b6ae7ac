// Progress of a sweep for people: on a terminal one line that redraws itself, elsewhere a plain line now and then.

import type { SweepProgress } from "./sweep.ts";

/** Where progress is written. */
export interface ProgressTarget {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Characters in a line of the terminal. */
  readonly columns: number;
}

const REDRAW_EVERY_MS = 100;
/** A plain line for each of this many shares of the work. */
const PLAIN_LINES = 10;
const WIDEST_BAR = 40;
const NARROWEST_BAR = 8;
const ERASE_LINE = "\r\x1b[K";

/** Writes the progress it is told of; `clock` gives milliseconds. */
export class ProgressReporter {
  readonly #target: ProgressTarget;
  readonly #clock: () => number;
  readonly #start: number;
  #drawn = -Infinity;
  #plainLines = 0;

  constructor(target: ProgressTarget, clock: () => number = () => performance.now()) {
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
  const text = ` ${percent(progress)}  ${rate(progress, elapsedMs)}  ${timeLeft(progress, elapsedMs)}`;
  const width = Math.min(WIDEST_BAR, columns - 1 - text.length);
  if (width < NARROWEST_BAR) return text.trim().slice(0, columns - 1);
  const filled = Math.round(Math.min(1, progress.share) * width);
  return "█".repeat(filled) + "░".repeat(width - filled) + text;
}

/** `progress: 42 %, 24,200 of 57,660 days, 3,100 days/s, 12 s left`. */
export function plainLine(progress: SweepProgress, elapsedMs: number): string {
  const { days, totalDays } = progress;
  return `progress: ${percent(progress).trim()}, ${whole(days)} of ${whole(totalDays)} days, ` +
    `${rate(progress, elapsedMs)}, ${timeLeft(progress, elapsedMs)}`;
}

function percent({ share }: SweepProgress): string {
  return `${Math.floor(share * 100)} %`.padStart(5);
}

function rate({ days }: SweepProgress, elapsedMs: number): string {
  return `${whole(elapsedMs > 0 ? days / elapsedMs * 1000 : 0)} days/s`;
}

/** From the share of the work, not of the days, which cost anything from 1 to 100. */
function timeLeft({ share }: SweepProgress, elapsedMs: number): string {
  if (share <= 0) return "time left unknown";
  const seconds = Math.ceil(elapsedMs * (1 - share) / share / 1000);
  return seconds < 60 ? `${seconds} s left` : `${Math.floor(seconds / 60)} min ${seconds % 60} s left`;
}

function whole(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}
