// What a learner's steps cost on disk, where few or many rows have states of the optimizer: a step writes the states that it has
// changed, and a snapshot all of them, in parts.

import { openDurable } from "../../src/durable/mod.ts";
import { adagrad } from "../../src/learning/mod.ts";
import { quantile } from "simple-statistics";
import { beatsDuring } from "./heartbeat.ts";

const KEYS = 16_384, DIM = 32, TOP = 4;

/** What was measured where this many rows have states. */
export interface LearnerCosts {
  readonly states: number;
  /** Milliseconds of a step, until it is on disk. */
  readonly stepMs: number;
  /** Bytes of journal for each step. */
  readonly stepBytes: number;
  /** The time of a snapshot. */
  readonly snapshotMs: number;
  readonly snapshotBytes: number;
  /** The longest stop of the loop, without waits for a processor. */
  readonly longestStopMs: number;
  readonly openMs: number;
}

/** Measures steps with states for about `share` of the keys. */
export async function measureLearner(folder: string, share: number, steps: number): Promise<LearnerCosts> {
  const rows = (count: number) =>
    Array.from({ length: count }, (_, at) => {
      return Float32Array.from({ length: DIM }, (_, column) => Math.sin(1 + at * DIM + column));
    });
  const create = { query: rows(1), key: rows(KEYS), value: rows(KEYS) };
  const options = { create, snapshot: { journalBytes: Infinity } };
  const target = new Float32Array(DIM);
  let result: Omit<LearnerCosts, "openMs">;
  {
    await using live = await openDurable(folder, options);
    if (share > 0) {
      // One step without a limit gives every key that it attends to a state.
      const wide = await live.learner({ optimizer: adagrad(), rate: 1e-3, top: Math.ceil(share * KEYS) });
      await wide.learnOne({ query: 0 }, target);
      await live.snapshot();
    }
    const learner = await live.learner({ optimizer: adagrad(), rate: 1e-3, top: TOP });
    await learner.learnOne({ query: 0 }, target);
    const before = live.stats().durable.journalBytes, times: number[] = [];
    for (let step = 0; step < steps; step++) {
      const start = performance.now();
      await learner.learnOne({ query: 0 }, target);
      times.push(performance.now() - start);
    }
    const stepBytes = (live.stats().durable.journalBytes - before) / steps;
    const { own, ms } = await beatsDuring(() => live.snapshot());
    const { keyStates, valueStates, queryStates } = learner.stats();
    result = {
      states: keyStates + valueStates + queryStates,
      stepMs: quantile(times, 0.5),
      stepBytes,
      snapshotMs: ms,
      snapshotBytes: live.stats().durable.snapshot.bytes,
      longestStopMs: own,
    };
  }
  await using again = await openDurable(folder, options);
  return { ...result, openMs: again.stats().durable.openMs };
}
