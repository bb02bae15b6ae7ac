/**
 * The states of the backend `webgpu` as a snapshot holds them: the tensors of `../host/saved_states.ts`, and
 *
 *     ceiling              F64 [m, H], −∞ for rows of no keys
 *     device U8 [length], a fingerprint of the device and its arithmetic
 *
 * Weights may have other bits on another device, where a patch could not subtract them exactly, so states are
 * computed there, not restored. A query whose sums have overflowed is answered without them; it has a ceiling
 * of +∞ and the state over no keys.
 */

import type { HeadLayout } from "../../numerics/head_layout.ts";
import { checkArrayNames, checkNumbers, type SavedArrays, takeNumbers } from "../../base/saved_array.ts";
import { HEAVY_KEYS, RowStates } from "../host/row_states.ts";
import type { HostRows } from "../host/host_rows.ts";
import { restoreStates, saveStates, STATE_NAMES } from "../host/saved_states.ts";
import type { GpuDevice } from "./device.ts";
import { EMPTY_SHIFT } from "./record_layout.ts";
import type { StateMirror } from "./state_mirror.ts";

/** A number that is changed when kernels compute other bits than before. */
const KERNELS = 2;
/** The names of the further tensors. */
const NAMES = ["ceiling", "device"];

/** The bytes that tell one device from another. */
export function fingerprintOf({ adapterName, arithmetic }: GpuDevice): Uint8Array {
  const { isCompensated, repeatsWeights } = arithmetic;
  return new TextEncoder().encode(`${KERNELS} ${isCompensated} ${repeatsWeights} ${adapterName}`);
}

/** Whether states were made on a device like this one. */
export function fitsDevice(operation: string, saved: SavedArrays, gpu: GpuDevice): boolean {
  checkArrayNames(operation, saved, [...STATE_NAMES, ...NAMES]);
  const found = takeNumbers(operation, saved, "device", "U8", [null]);
  const own = fingerprintOf(gpu);
  return found.length === own.length && own.every((byte, at) => byte === found[at]);
}

/** Copies the states of the live queries below `querySize`, which must be in the mirror. */
export function saveMirror(
  mirror: StateMirror,
  layout: HeadLayout,
  gpu: GpuDevice,
  queries: Uint32Array,
  querySize: number,
): SavedArrays {
  const { heads, valueDim } = layout;
  const states = new RowStates(valueDim + 2, querySize * heads);
  const ceiling = new Float64Array(querySize * heads).fill(-Infinity);
  for (let at = 0; at < queries.length; at++) {
    const slot = queries[at], first = slot * heads;
    for (let head = 0; head < heads; head++) {
      const power = mirror.ceiling(slot, head);
      mirror.decode(slot, head, states, first + head);
      ceiling[first + head] = power === EMPTY_SHIFT ? -Infinity : power;
    }
    const rows = Array.from({ length: heads }, (_, head) => first + head);
    if (mirror.isFinite(slot) && rows.every((row) => isKnown(states, row))) continue;
    for (const row of rows) {
      states.clear(row);
      ceiling[row] = Infinity;
    }
  }
  return {
    ...saveStates(states, layout, querySize),
    ceiling: { shape: [querySize, heads], data: ceiling },
    device: { shape: [fingerprintOf(gpu).length], data: fingerprintOf(gpu) },
  };
}

/**
 * Restores the states of all live queries, after checking all of them; returns the queries without a state.
 *
 * @throws {FormatError} When a tensor is missing, of another shape, or holds what no state can.
 */
export function restoreMirror(
  operation: string,
  saved: SavedArrays,
  mirror: StateMirror,
  layout: HeadLayout,
  rows: HostRows,
): Uint32Array {
  const { heads, valueDim } = layout, { queries } = rows;
  const ceiling = takeNumbers(operation, saved, "ceiling", "F64", [queries.size, heads]);
  checkNumbers(operation, "ceiling", ceiling, isCeiling, "whole numbers, or an infinity");
  checkNumbers(
    operation,
    "shift",
    takeNumbers(operation, saved, "shift", "F64", [queries.size, heads]),
    isPower,
    POWERS,
  );
  const states = new RowStates(valueDim + 2, queries.size * heads);
  restoreStates(operation, saved, states, layout, rows, NAMES);
  const missing: number[] = [];
  for (let slot = 0; slot < queries.size; slot++) {
    if (!queries.isLive(slot)) continue;
    for (let head = 0; head < heads; head++) {
      const row = slot * heads + head;
      mirror.encode(slot, head, states, row, ceiling[row] === -Infinity ? EMPTY_SHIFT : ceiling[row]);
    }
    if (ceiling[slot * heads] === Infinity) missing.push(slot);
  }
  return Uint32Array.from(missing);
}

/**
 * Whether the bounds and heavy keys of a row are finite. Bounds overflow before sums do, and products before
 * both.
 */
function isKnown({ massError, sumError, heavyCount, heavyScores }: RowStates, row: number): boolean {
  const start = row * HEAVY_KEYS, heavy = heavyScores.subarray(start, start + heavyCount[row]);
  return Number.isFinite(massError[row] + sumError[row]) && heavy.every(Number.isFinite);
}

const POWERS = "whole numbers, or −Infinity for a row without keys";

/** Whether a number is a power as kernels store it, in an i32, or −∞. */
function isPower(power: number): boolean {
  return power === -Infinity || (Number.isInteger(power) && Math.abs(power) < -EMPTY_SHIFT);
}

function isCeiling(power: number): boolean {
  return power === Infinity || isPower(power);
}
