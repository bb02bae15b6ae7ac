// A worker that runs strategies. The first message brings the days and the exact board, each later one a
// task; every task is answered by any number of "progress" messages and then one "outcome" or "failure".

/// <reference lib="deno.worker" />

import type { BirthsDay } from "./births.ts";
import { BoardRows } from "./board_rows.ts";
import { type RunOutcome, runStrategy, type RunTask } from "./strategy_run.ts";

export type WorkerRequest =
  | { readonly kind: "begin"; readonly days: readonly BirthsDay[]; readonly exact: Float64Array }
  | { readonly kind: "run"; readonly task: RunTask };

export type WorkerReply =
  | { readonly kind: "progress"; readonly days: number }
  | { readonly kind: "outcome"; readonly outcome: RunOutcome }
  | { readonly kind: "failure"; readonly message: string };

const REPORT_EVERY_MS = 100;

let rows: BoardRows | null = null;
let exact: Float64Array | null = null;

self.onmessage = async ({ data }: MessageEvent<WorkerRequest>) => {
  if (data.kind === "begin") {
    rows = new BoardRows(data.days);
    exact = data.exact;
    return;
  }
  try {
    if (rows === null || exact === null) throw new Error("strategy worker: a task came before the days");
    reply({ kind: "outcome", outcome: await runStrategy(data.task, rows, exact, reporter()) });
  } catch (error) {
    reply({ kind: "failure", message: error instanceof Error ? error.message : String(error) });
  }
};

function reporter(): (days: number) => void {
  let last = performance.now();
  return (days) => {
    const now = performance.now();
    if (now - last < REPORT_EVERY_MS) return;
    last = now;
    reply({ kind: "progress", days });
  };
}

function reply(message: WorkerReply): void {
  self.postMessage(message);
}
