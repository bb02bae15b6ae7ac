/**
 * The rows of a snapshot, with their slots and positions, read and checked: rows that no engine can have had
 * are refused.
 */

import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import { MOST_PLACE } from "../numerics/distance_bias.ts";
import { isRounded } from "../numerics/row_storage.ts";
import { looksAtPositions, type ScoreRule } from "../numerics/score_rule.ts";
import { FormatError } from "../base/errors.ts";
import type { SlotNumbers } from "../write/slot_table.ts";
import { checkNumbers, type SavedArrays, takeArray, takeNumbers } from "../base/saved_array.ts";
import type { SavedErrors } from "../write/row_errors.ts";
import type { MetadataReader } from "./metadata.ts";
import { packedKinds, takeErrors, takeRows } from "./packed_rows.ts";
import { takeIds } from "./saved_ids.ts";

/** Rows of one kind; the row of a free slot is all zeros. */
export interface SlotRows {
  readonly slots: SlotNumbers;
  readonly rows: Float32Array;
  readonly positions: Float64Array;
}

/** The settings of an engine that its rows must fit. */
export interface RowSettings {
  readonly layout: HeadLayout;
  readonly rule: ScoreRule;
  /** What is added to positions; they are whole where it is not 0. */
  readonly origin: number;
}

/** The names of the tensors that hold rows. */
export const ROW_TENSORS = [
  ...["query", "query.positions", "query.free", "query.ids"],
  ...["key", "value", "key.positions", "key.free", "key.ids"],
  ...["key.scales", "key.errors", "value.scales", "value.errors"],
];

/** Reads the keys with their values, and how far they are from those that were given. */
export function takeKeys(
  operation: string,
  reader: MetadataReader,
  tensors: SavedArrays,
  { layout, rule, origin }: RowSettings,
): SlotRows & { readonly errors: SavedErrors } {
  const keyWidth = keyColumns(layout), valueWidth = valueColumns(layout), width = keyWidth + valueWidth;
  const [keyKind, valueKind] = packedKinds(layout);
  const { size, rows: keys } = takeRows(operation, tensors, keyKind, null);
  const { rows: values } = takeRows(operation, tensors, valueKind, size);
  checkNumbers(operation, "key", keys, Number.isFinite, "finite numbers");
  checkNumbers(operation, "value", values, Number.isFinite, "finite numbers");
  const placed = takeSlots(operation, reader, tensors, {
    what: "key",
    nextName: "nextKeyPosition",
    size,
    rule,
    origin,
  });
  checkFree(operation, "key", keys, placed.slots);
  checkFree(operation, "value", values, placed.slots);
  const rows = new Float32Array(size * width);
  for (let slot = 0; slot < size; slot++) {
    rows.set(keys.subarray(slot * keyWidth, (slot + 1) * keyWidth), slot * width);
    rows.set(values.subarray(slot * valueWidth, (slot + 1) * valueWidth), slot * width + keyWidth);
    if (!layout.storage || isRounded(layout, rows.subarray(slot * width, (slot + 1) * width))) continue;
    const { keys: ofKeys, values: ofValues } = layout.storage;
    throw new FormatError(
      operation,
      `row ${slot} is not rounded`,
      `keys of ${ofKeys} and values of ${ofValues}`,
    );
  }
  const errors = {
    keys: takeErrors(operation, tensors, keyKind, keys),
    values: takeErrors(operation, tensors, valueKind, values),
  };
  for (const [name, numbers] of [["key.errors", errors.keys], ["value.errors", errors.values]] as const) {
    checkNumbers(operation, name, numbers, (error) => error >= 0, "numbers ≥ 0");
    checkFree(operation, name, numbers, placed.slots);
  }
  return { rows, ...placed, errors };
}

/** Reads the standing queries. */
export function takeQueries(
  operation: string,
  reader: MetadataReader,
  tensors: SavedArrays,
  { layout, rule, origin }: RowSettings,
): SlotRows {
  const width = queryColumns(layout);
  const { shape: [size], data: rows } = takeArray(operation, tensors, "query", "F32", [null, width]);
  checkNumbers(operation, "query", rows, Number.isFinite, "finite numbers");
  const placed = takeSlots(operation, reader, tensors, {
    what: "query",
    nextName: "nextQueryPosition",
    size,
    rule,
    origin,
  });
  checkFree(operation, "query", rows, placed.slots);
  return { rows, ...placed };
}

/** A kind of rows in a file: the prefix of its tensors, the entry of its next position, and its slots. */
interface SavedKind {
  readonly what: "key" | "query";
  readonly nextName: string;
  readonly size: number;
  readonly rule: ScoreRule;
  readonly origin: number;
}

function takeSlots(
  operation: string,
  reader: MetadataReader,
  tensors: SavedArrays,
  { what, nextName, size, rule, origin }: SavedKind,
): Omit<SlotRows, "rows"> {
  const positions = takeNumbers(operation, tensors, `${what}.positions`, "F64", [size]);
  checkNumbers(operation, `${what}.positions`, positions, Number.isFinite, "finite numbers");
  const free = takeNumbers(operation, tensors, `${what}.free`, "U32", [null]);
  const isFree = new Uint8Array(size);
  checkNumbers(operation, `${what}.free`, free, (slot) => {
    if (slot >= size || isFree[slot] === 1) return false;
    isFree[slot] = 1;
    return true;
  }, `slots below ${size} (rows of ${what}), none twice`);
  checkFree(operation, `${what}.positions`, positions, { size, free });
  if (!looksAtPositions(rule)) {
    checkNumbers(operation, `${what}.positions`, positions, isZero, "0, since no rule depends on positions");
  }
  checkNumbers(operation, `${what}.positions`, positions, isPlace(rule), "positions that suit the rule");
  if (origin !== 0) {
    checkNumbers(
      operation,
      `${what}.positions`,
      positions,
      Number.isInteger,
      "whole numbers, with an origin",
    );
  }
  let least = Math.min(0, -origin);
  for (let slot = 0; slot < size; slot++) {
    if (isFree[slot] === 0) least = Math.max(least, positions[slot] + 1);
  }
  // If no rule depends on positions, every row is at position 0. Otherwise the next one may be any: rows to come
  // follow a shift also where there has never been a row.
  const isCounted = looksAtPositions(rule);
  const most = isCounted ? Number.MAX_VALUE : Math.min(size, 1);
  const isNext = (position: number) => position >= least && position <= most && !Object.is(position, -0);
  const expected = isCounted ? `a finite number ≥ ${least}, beyond all positions` : `${most}`;
  const nextPosition = reader.number(nextName, isNext, expected);
  const ids = takeIds(operation, reader, tensors, what, { size, free });
  return { positions, slots: { size, free, nextPosition, ids } };
}

/** Throws when a row of a free slot has a number other than 0. */
function checkFree(
  operation: string,
  name: string,
  data: Float32Array | Float64Array,
  { size, free }: Pick<SlotNumbers, "size" | "free">,
): void {
  const width = size === 0 ? 0 : data.length / size;
  for (const slot of free) {
    for (let at = slot * width; at < (slot + 1) * width; at++) {
      if (isZero(data[at])) continue;
      throw new FormatError(
        operation,
        `tensor ${name} has ${data[at]} at index ${at}`,
        `0, since slot ${slot} is free`,
      );
    }
  }
}

/** Whether a position suits a bias by distance. */
function isPlace({ distanceBias }: ScoreRule): (position: number) => boolean {
  if (distanceBias === undefined) return () => true;
  const isWhole = distanceBias.kind === "table";
  return (position) => Math.abs(position) <= MOST_PLACE && (!isWhole || Number.isInteger(position));
}

function isZero(number: number): boolean {
  return Object.is(number, 0);
}
