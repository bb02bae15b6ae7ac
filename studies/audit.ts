// Checks the judge: in a few states, drawn by a seed, the float64 oracle of the library computes the board in
// its own way, and both the exact board and the readings of the exact strategy are held against it.

import { referenceAttention } from "../src/numerics/reference.ts";
import { SeededRandom } from "../src/learning/random.ts";
import { type BoardRows, lastDayOf, QUERY_COUNT } from "./board_rows.ts";

export interface Audit {
  readonly seed: number;
  /** The last observed day of each state that was drawn. */
  readonly dates: readonly string[];
  /** max |reading of the exact strategy − oracle|. */
  readonly readings: number;
  /** max |exact board − oracle|. */
  readonly exactBoard: number;
}

/** Up to `count` different states from 0 to `states − 1`, in order. */
export function drawStates(seed: number, count: number, states: number): number[] {
  const all = Array.from({ length: states }, (_, state) => state);
  return new SeededRandom(seed).sample(all, count).sort((a, b) => a - b);
}

/** Holds readings, by state, and the exact board against the oracle. */
export function audit(
  seed: number,
  rows: BoardRows,
  readings: ReadonlyMap<number, Float32Array>,
  exact: Float64Array,
): Audit {
  const states = [...readings.keys()].sort((a, b) => a - b);
  const largest = { readings: 0, exactBoard: 0 };
  for (const state of states) {
    const { output } = referenceAttention({ ...rows.ofState(state), scale: 1, valueDim: 1 });
    for (const [i, [expected]] of output.entries()) {
      const read = readings.get(state)?.[i] ?? NaN;
      largest.readings = Math.max(largest.readings, Math.abs(read - expected));
      const computed = exact[state * QUERY_COUNT + i];
      largest.exactBoard = Math.max(largest.exactBoard, Math.abs(computed - expected));
    }
  }
  return { seed, dates: states.map((state) => rows.days[lastDayOf(state)].date), ...largest };
}
