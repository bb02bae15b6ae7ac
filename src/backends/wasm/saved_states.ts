/**
 * The states of the backend `wasm` as a snapshot holds them, for m query slots, H heads and w = dv + 2 sums
 * per head row:
 *
 *     shift, ceiling               F64 [m, H], −∞ for sums of no keys
 *     massError, sumError          F32 [m, H]
 *     sums                         F64 [m, H, w]; older files have them in two floats, high and low
 *     heavyCount                   U8  [m, H]
 *     heavySlots, heavyScores      U32 and F32 [m, H, 8], of which the first heavyCount of a row count
 *     isFused U8 [1], whether multiply-adds rounded once when the states were computed
 *
 * Weights have other bits where multiply-adds round differently, so that a patch could not subtract them
 * exactly. There states are computed, not restored.
 */

import type { HeadLayout } from "../../numerics/head_layout.ts";
import { FormatError } from "../../base/errors.ts";
import { checkArrayNames, checkNumbers, type SavedArrays, takeNumbers } from "../../base/saved_array.ts";
import type { HostRows } from "../host/host_rows.ts";
import type { KeyTable } from "../host/key_table.ts";
import { EMPTY_SHIFT } from "./job_fields.ts";
import { HEAVY_KEYS, type HeavyKey, type RowStates } from "./row_states.ts";

const NAMES = [
  "shift",
  "ceiling",
  "massError",
  "sumError",
  "sums",
  "heavyCount",
  "heavySlots",
  "heavyScores",
  "isFused",
];

/** Names in files from before sums were in float64. */
const TWO_FLOATS = ["high", "low"];

/** Copies the states of the query slots below `querySize`. */
export function saveStates(
  states: RowStates,
  { heads, valueDim }: HeadLayout,
  querySize: number,
  isFused: boolean,
): SavedArrays {
  const width = valueDim + 2, rows = querySize * heads;
  const shift = new Float64Array(rows).fill(-Infinity), ceiling = new Float64Array(rows).fill(-Infinity);
  const massError = new Float32Array(rows), sumError = new Float32Array(rows);
  const sums = new Float64Array(rows * width);
  const heavyCount = new Uint8Array(rows), heavySlots = new Uint32Array(rows * HEAVY_KEYS);
  const heavyScores = new Float32Array(rows * HEAVY_KEYS);
  const { columns } = states.heads[0];
  const rowSums = new Float64Array(columns);
  for (let slot = 0; slot < Math.min(querySize, states.capacity); slot++) {
    for (let head = 0; head < heads; head++) {
      const row = slot * heads + head;
      const held = states.heads[head].readState(slot, rowSums);
      shift[row] = fromPower(held.shift);
      ceiling[row] = fromPower(held.ceiling);
      // The kernels also charge rows without keys when other rows of a block are computed, so their bounds
      // have no meaning.
      if (held.shift !== EMPTY_SHIFT) {
        massError[row] = held.massError;
        sumError[row] = held.sumError;
      }
      sums.set(rowSums.subarray(0, width), row * width);
      const heavy = states.heavyKeys(head, slot);
      heavyCount[row] = heavy.length;
      heavy.forEach((key, at) => {
        heavySlots[row * HEAVY_KEYS + at] = key.slot;
        heavyScores[row * HEAVY_KEYS + at] = key.score;
      });
    }
  }
  const perRow = [querySize, heads];
  return {
    shift: { shape: perRow, data: shift },
    ceiling: { shape: perRow, data: ceiling },
    massError: { shape: perRow, data: massError },
    sumError: { shape: perRow, data: sumError },
    sums: { shape: [...perRow, width], data: sums },
    heavyCount: { shape: perRow, data: heavyCount },
    heavySlots: { shape: [...perRow, HEAVY_KEYS], data: heavySlots },
    heavyScores: { shape: [...perRow, HEAVY_KEYS], data: heavyScores },
    isFused: { shape: [1], data: Uint8Array.of(Number(isFused)) },
  };
}

/**
 * Restores the states of all queries, after checking all of them; false if they were computed where
 * multiply-adds round differently.
 *
 * @throws {FormatError} When a tensor is missing, of another shape, or holds what no state can.
 */
export function restoreStates(
  operation: string,
  saved: SavedArrays,
  states: RowStates,
  { heads, valueDim }: HeadLayout,
  { stored, queries }: HostRows,
  isFused: boolean,
): boolean {
  const isOlder = Object.hasOwn(saved, "high");
  checkArrayNames(operation, saved, isOlder ? [...NAMES, ...TWO_FLOATS] : NAMES);
  if (takeNumbers(operation, saved, "isFused", "U8", [1])[0] !== Number(isFused)) return false;
  const querySize = queries.size, width = valueDim + 2, perRow = [querySize, heads];
  const shift = takeNumbers(operation, saved, "shift", "F64", perRow);
  const ceiling = takeNumbers(operation, saved, "ceiling", "F64", perRow);
  const massError = takeNumbers(operation, saved, "massError", "F32", perRow);
  const sumError = takeNumbers(operation, saved, "sumError", "F32", perRow);
  const sums = takeSums(operation, saved, [...perRow, width]);
  const heavyCount = takeNumbers(operation, saved, "heavyCount", "U8", perRow);
  const heavySlots = takeNumbers(operation, saved, "heavySlots", "U32", [...perRow, HEAVY_KEYS]);
  const heavyScores = takeNumbers(operation, saved, "heavyScores", "F32", [...perRow, HEAVY_KEYS]);
  checkNumbers(operation, "shift", shift, isPower, "whole numbers, or −Infinity for a row without keys");
  checkNumbers(operation, "ceiling", ceiling, isPower, "whole numbers, or −Infinity for a row without keys");
  // A row whose sums have overflowed keeps them; it is steep, and answered without them.
  const isNoLess = (number: number) => !(number < 0);
  checkNumbers(operation, "massError", massError, isNoLess, "numbers ≥ 0");
  checkNumbers(operation, "sumError", sumError, isNoLess, "numbers ≥ 0");
  checkNumbers(operation, "heavyCount", heavyCount, (count) => count <= HEAVY_KEYS, `at most ${HEAVY_KEYS}`);
  const heavy = Array.from(heavyCount, (count, row) => {
    return toHeavyKeys(operation, row, heavySlots, heavyScores, count, stored);
  });

  for (let row = 0; row < querySize * heads; row++) {
    const slot = Math.floor(row / heads), head = row % heads;
    states.heads[head].writeState(slot, {
      shift: toPower(shift[row]),
      ceiling: toPower(ceiling[row]),
      massError: massError[row],
      sumError: sumError[row],
      sums: sums.subarray(row * width, (row + 1) * width),
    });
    states.setHeavyKeys(head, slot, heavy[row]);
  }
  return true;
}

/** The sums, which older files have in two floats. */
function takeSums(operation: string, saved: SavedArrays, shape: readonly number[]): Float64Array {
  if (Object.hasOwn(saved, "sums")) return takeNumbers(operation, saved, "sums", "F64", shape);
  const low = takeNumbers(operation, saved, "low", "F32", shape);
  return Float64Array.from(
    takeNumbers(operation, saved, "high", "F32", shape),
    (number, at) => number + low[at],
  );
}

/** Reads a row's heavy keys; throws unless they are live and none occurs twice. */
function toHeavyKeys(
  operation: string,
  row: number,
  slots: Uint32Array,
  scores: Float32Array,
  count: number,
  keys: KeyTable,
): HeavyKey[] {
  const start = row * HEAVY_KEYS;
  const heavy = slots.subarray(start, start + count);
  if (!heavy.every((slot, at) => keys.isLive(slot) && heavy.indexOf(slot) === at)) {
    throw new FormatError(
      operation,
      `tensor heavySlots has [${heavy.join(", ")}] for row ${row}`,
      "numbers of live keys, none twice",
    );
  }
  checkNumbers(
    operation,
    "heavyScores",
    scores.subarray(start, start + count),
    (score) => score > -Infinity,
    "no NaN",
  );
  return Array.from(heavy, (slot, at) => ({ slot, score: scores[start + at] }));
}

/** Whether a number is a power as the kernels store it, in an i32, or −∞. */
function isPower(power: number): boolean {
  return power === -Infinity || (Number.isInteger(power) && Math.abs(power) < -EMPTY_SHIFT);
}

function fromPower(power: number): number {
  return power === EMPTY_SHIFT ? -Infinity : power;
}

function toPower(power: number): number {
  return power === -Infinity ? EMPTY_SHIFT : power;
}
