// Checks the judge: in a few states, drawn by a seed, the float64 oracle of the library computes the board in its own
// way, and both the exact board and the readings of the exact strategy are held against it.

import { referenceAttention } from "../src/numerics/reference.ts";
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
  const next = randomNumbers(seed);
  const drawn = new Set<number>();
  while (drawn.size < Math.min(count, states)) drawn.add(Math.floor(next() * states));
  return [...drawn].sort((a, b) => a - b);
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

/** Numbers in [0, 1): mulberry32, small and the same everywhere. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
