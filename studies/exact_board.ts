// The board's forecasts in every state without rounding: attention in float64 of the same float32 rows. It
// judges the strategies, so it shares no arithmetic with the engine.
//
// A day stands on the board for QUERY_COUNT states, while the window of keys moves by one a state. All those
// windows share a core, so a row of sums costs one pass over the keys for all its states: the core, plus what
// is left of it (summed from the core outwards), plus what is right of it. Nothing is ever subtracted.

import { KEY_COUNT, lastDayOf, QUERY_COUNT } from "./board_rows.ts";
import type { BoardRows } from "./board_rows.ts";

/** A sum of weights and of weighted values. */
interface Sums {
  mass: number;
  weighted: number;
}

/** Exact outputs of the states 0 to `states − 1`: QUERY_COUNT numbers a state, the next day first. */
export function exactBoard(rows: BoardRows, states: number): Float64Array {
  // Shared, so that every worker reads the one copy.
  const outputs = new Float64Array(new SharedArrayBuffer(8 * states * QUERY_COUNT));
  const firstKey = lastDayOf(0) - KEY_COUNT + 1;
  const keyCount = KEY_COUNT + states - 1;
  const keys = Array.from({ length: keyCount }, (_, j) => Float64Array.from(rows.key(firstKey + j)));
  const values = Float64Array.from({ length: keyCount }, (_, j) => rows.value(firstKey + j)[0]);

  for (let day = lastDayOf(0) + 1; day <= lastDayOf(states - 1) + QUERY_COUNT; day++) {
    // State i sees the keys i to i + KEY_COUNT − 1 of the lists above.
    const first = Math.max(0, day - QUERY_COUNT - lastDayOf(0));
    const last = Math.min(states - 1, day - 1 - lastDayOf(0));
    const weights = weigh(Float64Array.from(rows.query(day)), keys, first, last + KEY_COUNT);
    const add = (sums: Sums, j: number): Sums => {
      const a = weights[j - first];
      return { mass: sums.mass + a, weighted: sums.weighted + a * values[j] };
    };
    let left: Sums = { mass: 0, weighted: 0 };
    for (let j = last; j < first + KEY_COUNT; j++) left = add(left, j);
    const lefts = [left];
    for (let j = last - 1; j >= first; j--) lefts.unshift(left = add(left, j));
    let right: Sums = { mass: 0, weighted: 0 };
    for (let state = first; state <= last; state++) {
      if (state > first) right = add(right, state + KEY_COUNT - 1);
      const { mass, weighted } = lefts[state - first];
      outputs[state * QUERY_COUNT + day - lastDayOf(state) - 1] = (weighted + right.weighted) /
        (mass + right.mass);
    }
  }
  return outputs;
}

/** exp(q·k_j − the largest of them) for the keys `first` to `end` − 1. */
function weigh(query: Float64Array, keys: Float64Array[], first: number, end: number): Float64Array {
  const weights = new Float64Array(end - first);
  let largest = -Infinity;
  for (let j = first; j < end; j++) {
    const key = keys[j];
    let score = 0;
    for (let c = 0; c < query.length; c++) score += query[c] * key[c];
    weights[j - first] = score;
    if (score > largest) largest = score;
  }
  for (let at = 0; at < weights.length; at++) weights[at] = Math.exp(weights[at] - largest);
  return weights;
}
