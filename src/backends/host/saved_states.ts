/**
 * States in float64 as a snapshot holds them, for m query slots, H heads and rows of w = dv + 2 sums:
 *
 *     shift, massError, sumError   F64 [m, H]
 *     high, low                    F64 [m, H, w]
 *     heavyCount                   U8  [m, H]
 *     heavySlots, heavyScores U32 and F64 [m, H, 8], of which the first heavyCount of a row count
 *
 * That is 16 w + 121 bytes per head row. Rows without a live query are written as the state over no keys, so
 * that equal states give equal files.
 */

import type { HeadLayout } from "../../numerics/head_layout.ts";
import { FormatError } from "../../base/errors.ts";
import { checkArrayNames, checkNumbers, type SavedArrays, takeNumbers } from "../../base/saved_array.ts";
import type { HostRows } from "./host_rows.ts";
import { HEAVY_KEYS, RowStates } from "./row_states.ts";

/** Names of the tensors. */
export const STATE_NAMES: readonly string[] = [
  "shift",
  "massError",
  "sumError",
  "high",
  "low",
  "heavyCount",
  "heavySlots",
  "heavyScores",
];

/** Copies the states of the query slots below `querySize`. */
export function saveStates(states: RowStates, { heads }: HeadLayout, querySize: number): SavedArrays {
  const rows = querySize * heads;
  const saved = new RowStates(states.width, rows);
  for (let row = 0; row < Math.min(rows, states.shift.length); row++) saved.copyFrom(states, row, row);
  const perRow = [querySize, heads];
  return {
    shift: { shape: perRow, data: saved.shift },
    massError: { shape: perRow, data: saved.massError },
    sumError: { shape: perRow, data: saved.sumError },
    high: { shape: [...perRow, states.width], data: saved.high },
    low: { shape: [...perRow, states.width], data: saved.low },
    heavyCount: { shape: perRow, data: saved.heavyCount },
    heavySlots: { shape: [...perRow, HEAVY_KEYS], data: saved.heavySlots },
    heavyScores: { shape: [...perRow, HEAVY_KEYS], data: saved.heavyScores },
  };
}

/**
 * Takes the states of all queries, after all of them were checked.
 *
 * @param more Names of further tensors that may be in the file.
 * @throws {FormatError} When a tensor is missing, of another shape, or holds what no state can.
 */
export function restoreStates(
  operation: string,
  saved: SavedArrays,
  states: RowStates,
  { heads }: HeadLayout,
  rows: HostRows,
  more: readonly string[] = [],
): void {
  checkArrayNames(operation, saved, [...STATE_NAMES, ...more]);
  const { queries } = rows, perRow = [queries.size, heads];
  const loaded = Object.assign(new RowStates(states.width), {
    shift: takeNumbers(operation, saved, "shift", "F64", perRow),
    massError: takeNumbers(operation, saved, "massError", "F64", perRow),
    sumError: takeNumbers(operation, saved, "sumError", "F64", perRow),
    high: takeNumbers(operation, saved, "high", "F64", [...perRow, states.width]),
    low: takeNumbers(operation, saved, "low", "F64", [...perRow, states.width]),
    heavyCount: takeNumbers(operation, saved, "heavyCount", "U8", perRow),
    heavySlots: takeNumbers(operation, saved, "heavySlots", "U32", [...perRow, HEAVY_KEYS]),
    heavyScores: takeNumbers(operation, saved, "heavyScores", "F64", [...perRow, HEAVY_KEYS]),
  });
  checkRows(operation, loaded);
  checkHeavyKeys(operation, loaded, rows);
  for (let row = 0; row < queries.size * heads; row++) states.copyFrom(loaded, row, row);
}

const BOUND = "finite numbers ≥ 0";

function isBound(number: number): boolean {
  return number >= 0 && number < Infinity;
}

function checkRows(operation: string, { shift, high, low, massError, sumError }: RowStates): void {
  const isShift = (power: number) => power === -Infinity || Number.isInteger(power);
  checkNumbers(operation, "shift", shift, isShift, "whole numbers, or −Infinity for a row without keys");
  checkNumbers(operation, "high", high, Number.isFinite, "finite numbers");
  checkNumbers(operation, "low", low, Number.isFinite, "finite numbers");
  checkNumbers(operation, "massError", massError, isBound, BOUND);
  checkNumbers(operation, "sumError", sumError, isBound, BOUND);
}

/** Throws unless a row's heavy keys are live and none occurs twice. */
function checkHeavyKeys(operation: string, loaded: RowStates, { stored }: HostRows): void {
  const { heavyCount, heavySlots, heavyScores } = loaded;
  checkNumbers(operation, "heavyCount", heavyCount, (count) => count <= HEAVY_KEYS, `at most ${HEAVY_KEYS}`);
  checkNumbers(operation, "heavyScores", heavyScores, Number.isFinite, "finite numbers");
  for (let row = 0; row < heavyCount.length; row++) {
    const start = row * HEAVY_KEYS;
    const heavy = heavySlots.subarray(start, start + heavyCount[row]);
    if (heavy.every((slot, at) => stored.isLive(slot) && heavy.indexOf(slot) === at)) continue;
    throw new FormatError(
      operation,
      `tensor heavySlots has [${heavy.join(", ")}] for row ${row}`,
      "numbers of live keys, none twice",
    );
  }
}
