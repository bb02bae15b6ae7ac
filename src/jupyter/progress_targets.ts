/**
 * Where progress is shown: below a cell, on a terminal, in a log.
 */

import { escapeHtml } from "../display/escape.ts";
import { type Kernel, notebookKernel } from "./kernel.ts";
import { progressLine, type ProgressState, progressText, shareOf } from "./progress_text.ts";
import { NO_MATH } from "./plain_text.ts";

/** One loop as a place to show its progress. */
export interface ProgressView {
  /** Milliseconds that lie between two calls of `draw`, at least. */
  readonly intervalMs: number;
  draw(state: ProgressState): void;
  /** Shows the last state, which stays. */
  end(state: ProgressState): void;
  /** Takes the bar away. */
  remove(): void;
}

/** Where the lines of terminals and logs go. */
export interface TextTarget {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Characters in a line of the terminal. */
  readonly columns: number;
}

/** A view where this program is: in a notebook, else on standard error. */
export function openView(): ProgressView {
  const kernel = notebookKernel();
  if (kernel) return new NotebookView(kernel);
  const target = standardError();
  return target.isTerminal ? new TerminalView(target) : new LogView(target);
}

/** A bar that is a display of its own, updated in place. Broadcasts are sent at once, also while a cell is busy. */
export class NotebookView implements ProgressView {
  readonly intervalMs = 100;
  readonly #kernel: Kernel;
  readonly #id = `attune-progress-${crypto.randomUUID()}`;
  #isOpen = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  draw(state: ProgressState): void {
    this.#show({ "text/plain": progressText(state), "text/html": progressHtml(state) });
  }

  end(state: ProgressState): void {
    this.draw(state);
  }

  /** What was shown cannot be taken away, but be emptied. */
  remove(): void {
    if (this.#isOpen) this.#show({ "text/plain": "", "text/html": "" });
  }

  #show(data: Record<string, string>): void {
    const type = this.#isOpen ? "update_display_data" : "display_data";
    this.#isOpen = true;
    const content = { data, metadata: {}, transient: { display_id: this.#id } };
    // A bar is not worth an error: a front end that has gone must not end the loop.
    try {
      Promise.resolve(this.#kernel.broadcast(type, content)).catch(() => {});
    } catch {
      // A front end that has gone must not end the loop here either.
    }
  }
}

const COLORS = { running: "#0072b2", done: "#009e73", stopped: "#d9363e", failed: "#d9363e" };

function progressHtml(state: ProgressState): string {
  const share = shareOf(state), color = COLORS[state.status];
  const isRed = state.status === "failed" || state.status === "stopped";
  const width = share === null ? (state.status === "running" ? 50 : 100) : 100 * share;
  const stripes = share === null && state.status === "running" ? ";opacity:.45" : "";
  return `<div role="progressbar" class="${NO_MATH}" aria-label="${
    escapeHtml(state.label || "progress")
  }" aria-valuemin="0" aria-valuemax="100"${
    share === null ? "" : ` aria-valuenow="${Math.floor(100 * share)}"`
  } style="display:flex;align-items:center;gap:10px;margin:2px 0;font:13px/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums">
<div style="flex:none;width:220px;height:10px;border-radius:5px;background:rgba(128,128,128,.25);overflow:hidden"><div style="width:${
    width.toFixed(1)
  }%;height:100%;background:${color}${stripes}"></div></div>
<div${isRed ? ` style="color:${color}"` : ""}>${escapeHtml(progressText(state))}</div></div>`;
}

const ERASE_LINE = "\r\x1b[K";

/** Lines at the bottom of a terminal, one a loop that runs, the outermost first. */
export class TerminalView implements ProgressView {
  /** Views whose loops run, of all of them on this terminal. */
  static readonly #open: TerminalView[] = [];
  readonly intervalMs = 100;
  readonly #target: TextTarget;
  #line = "";

  constructor(target: TextTarget) {
    this.#target = target;
  }

  draw(state: ProgressState): void {
    const open = TerminalView.#open;
    this.#line = progressLine(state, this.#target.columns);
    const linesBefore = open.length;
    if (!open.includes(this)) open.push(this);
    this.#target.write(redrawn(linesBefore, open.map((view) => view.#line)));
  }

  end(state: ProgressState): void {
    const linesBefore = this.#leave();
    const last = progressLine(state, this.#target.columns), open = TerminalView.#open;
    this.#target.write(
      redrawn(linesBefore, [last, ...open.map((view) => view.#line)]) + (open.length === 0 ? "\n" : ""),
    );
  }

  remove(): void {
    const linesBefore = this.#leave(), open = TerminalView.#open;
    const lines = open.map((view) => view.#line);
    // The line that is free now is cleared, and the cursor leaves it.
    const back = linesBefore > 1 ? "\x1b[1A" : "";
    this.#target.write(redrawn(linesBefore, [...lines, ""]) + back);
  }

  /** Says how many lines there were. */
  #leave(): number {
    const open = TerminalView.#open;
    const linesBefore = open.length, at = open.indexOf(this);
    if (at !== -1) open.splice(at, 1);
    return linesBefore;
  }
}

/** From the end of the last of so many lines: erases them and writes others in their place. */
function redrawn(linesBefore: number, lines: readonly string[]): string {
  const up = linesBefore > 1 ? `\x1b[${linesBefore - 1}A` : "";
  return up + lines.map((line) => ERASE_LINE + line).join("\n");
}

/** A plain line for each tenth of the work, or each ten seconds where nobody knows how much there is. */
export class LogView implements ProgressView {
  readonly intervalMs = 100;
  readonly #target: TextTarget;
  #told = 0;

  constructor(target: TextTarget) {
    this.#target = target;
  }

  draw(state: ProgressState): void {
    const share = shareOf(state);
    const step = share === null ? Math.floor(state.elapsedMs / 10_000) : Math.floor(share * 10);
    if (step <= this.#told || step === 10) return;
    this.#told = step;
    this.#target.write(`${progressText(state)}\n`);
  }

  end(state: ProgressState): void {
    this.#target.write(`${progressText(state)}\n`);
  }

  /** A line in a log stays. */
  remove(): void {}
}

/** Standard error, or the console where there is none. */
export function standardError(): TextTarget {
  if (!("Deno" in globalThis)) {
    return { write: (text) => console.error(text.trimEnd()), isTerminal: false, columns: 80 };
  }
  const encoder = new TextEncoder();
  const isTerminal = Deno.stderr.isTerminal();
  return {
    write: (text) => void Deno.stderr.writeSync(encoder.encode(text)),
    isTerminal,
    columns: isTerminal ? Deno.consoleSize().columns : 80,
  };
}
