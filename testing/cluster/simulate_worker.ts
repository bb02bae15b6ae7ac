// A worker that simulates runs: it is told seeds, and tells what came of each.

import { makeRun } from "./sim_run.ts";
import { type Outcome, simulate } from "./simulate.ts";

/** What came of a seed: an outcome, or the words of a fault. */
export interface SeedResult {
  readonly seed: number;
  readonly outcome: Outcome | null;
  readonly fault: string;
}

interface WorkerScope {
  onmessage: ((event: MessageEvent<readonly number[]>) => void) | null;
  postMessage(result: SeedResult): void;
}

const scope = self as unknown as WorkerScope;
scope.onmessage = async ({ data: seeds }) => {
  for (const seed of seeds) {
    try {
      scope.postMessage({ seed, outcome: await simulate(makeRun(seed)), fault: "" });
    } catch (error) {
      scope.postMessage({
        seed,
        outcome: null,
        fault: error instanceof Error ? error.message : String(error),
      });
    }
  }
};
