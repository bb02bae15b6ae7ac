// Runs strategies in module workers, as many at a time as there are cores, the dearest first.

import type { BackendName } from "../src/backends/select.ts";
import type { BirthsDay } from "./births.ts";
import { joinCertificates } from "./certificates.ts";
import { mergeDeviations } from "./metrics.ts";
import { pairsPerDay, type Strategy, stretchesOf } from "./strategies.ts";
import type { RunOutcome, RunTask } from "./strategy_run.ts";
import type { WorkerReply, WorkerRequest } from "./strategy_worker.ts";

export interface Sweep {
  readonly births: readonly BirthsDay[];
  /** The exact outputs of the states 0 to `days`. */
  readonly exact: Float64Array;
  readonly strategies: readonly Strategy[];
  readonly days: number;
  readonly backend: BackendName;
  /** States whose reading by each strategy is wanted. */
  readonly audited: readonly number[];
}

/** How far a sweep is. */
export interface SweepProgress {
  /** Days learnt, all strategies together. */
  readonly days: number;
  /**
   * Share of the estimated work, 0 to 1: days cost less and less while the dear strategies come to their end.
   */
  readonly share: number;
}

/** A piece of one strategy's days. */
interface Part {
  readonly strategy: number;
  readonly task: RunTask;
  readonly pairs: number;
  learnt: number;
  outcome: RunOutcome | null;
}

/** Outcomes in the order of `strategies`. */
export async function runSweep(
  sweep: Sweep,
  onProgress: (progress: SweepProgress) => void,
  concurrency: number = navigator.hardwareConcurrency,
): Promise<RunOutcome[]> {
  const parts = toParts(sweep);
  const waiting = parts.toSorted((a, b) => b.pairs * b.task.days - a.pairs * a.task.days);
  const workers: Worker[] = [];
  try {
    const count = Math.max(1, Math.min(concurrency, waiting.length));
    for (let at = 0; at < count; at++) {
      workers.push(new Worker(new URL("./strategy_worker.ts", import.meta.url), { type: "module" }));
    }
    await Promise.all(workers.map(async (worker) => {
      send(worker, { kind: "begin", days: sweep.births, exact: sweep.exact });
      for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
        await runPart(worker, part, () => onProgress(progressOf(parts)));
      }
    }));
  } finally {
    for (const worker of workers) worker.terminate();
  }
  return sweep.strategies.map((_, strategy) =>
    parts.filter((part) => part.strategy === strategy).map(outcomeOf).reduce(joinOutcomes)
  );
}

/** The outcomes of two stretches of days, the earlier one first, as one. */
export function joinOutcomes(a: RunOutcome, b: RunOutcome): RunOutcome {
  return {
    backend: a.backend,
    days: a.days + b.days,
    forecasts: Float64Array.from([...a.forecasts, ...b.forecasts]),
    deviation: mergeDeviations(a.deviation, b.deviation),
    certificates: joinCertificates(a.certificates, b.certificates),
    multiplyAdds: a.multiplyAdds + b.multiplyAdds,
    exponentials: a.exponentials + b.exponentials,
    readings: new Map([...a.readings, ...b.readings]),
  };
}

function toParts({ strategies, days, backend, audited }: Sweep): Part[] {
  return strategies.flatMap((strategy, index) => {
    return stretchesOf(strategy, days).map((stretch): Part => ({
      strategy: index,
      task: { strategy, ...stretch, backend, audited },
      pairs: pairsPerDay(strategy),
      learnt: 0,
      outcome: null,
    }));
  });
}

function runPart(worker: Worker, part: Part, onProgress: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`sweep: a worker failed (${event.message})`));
    };
    worker.onmessage = ({ data }: MessageEvent<WorkerReply>) => {
      switch (data.kind) {
        case "progress":
          part.learnt = data.days;
          return onProgress();
        case "outcome":
          part.learnt = part.task.days;
          part.outcome = data.outcome;
          onProgress();
          return resolve();
        case "failure":
          return reject(new Error(`sweep: a strategy failed (${data.message})`));
      }
    };
    send(worker, { kind: "run", task: part.task });
  });
}

function send(worker: Worker, request: WorkerRequest): void {
  worker.postMessage(request);
}

function progressOf(parts: readonly Part[]): SweepProgress {
  let days = 0, done = 0, total = 0;
  for (const { task, pairs, learnt } of parts) {
    days += learnt;
    done += learnt * pairs;
    total += task.days * pairs;
  }
  return { days, share: done / total };
}

function outcomeOf({ outcome }: Part): RunOutcome {
  if (outcome === null) throw new Error("sweep: a part has no outcome, expected one of every part");
  return outcome;
}
