/**
 * The option `storage` of engines, and its check, which is loaded on demand.
 */

import { InputError } from "../base/errors.ts";
import type { Matrix } from "../base/matrix.ts";
import { takeOptions, takeWord } from "../base/names.ts";
import { type HeadLayout, keyColumns } from "../numerics/head_layout.ts";
import type { RowFormat, RowStorage } from "../numerics/row_format.ts";
import { roundRow, ROW_FORMATS } from "../numerics/row_storage.ts";
import { RowErrors } from "../write/row_errors.ts";

/** The format of keys and values, or of each. */
export type StorageInput = RowFormat | { readonly keys?: RowFormat; readonly values?: RowFormat };

/** A layout, and how far the rows that a problem begins with are from those that were given. */
export interface Stored {
  readonly layout: HeadLayout;
  /** null where all rows are float32. */
  readonly errors: RowErrors | null;
}

/** Adds the formats to a layout, if some are not float32, and rounds the rows that a problem begins with. */
export function addStorage(
  operation: string,
  { layout, key, value }: { readonly layout: HeadLayout; readonly key: Matrix; readonly value: Matrix },
  input: StorageInput | undefined,
  isTurned: boolean,
): Stored {
  const storage = toStorage(operation, input, isTurned);
  if (storage === null) return { layout, errors: null };
  const packed = { ...layout, storage };
  const errors = new RowErrors(packed), count = key.shape[0];
  if (count > 0) errors.reserve(count - 1);
  roundRows(operation, packed, key, 0, errors);
  roundRows(operation, packed, value, keyColumns(layout), errors);
  return { layout: packed, errors };
}

/** Rounds all keys or all values; `column` is where they begin in a row. */
function roundRows(
  operation: string,
  layout: HeadLayout,
  { data, shape: [count, width] }: Matrix,
  column: number,
  errors: RowErrors,
): void {
  const given = new Float32Array(width);
  for (let slot = 0; slot < count; slot++) {
    const row = data.subarray(slot * width, (slot + 1) * width);
    given.set(row);
    roundRow(operation, layout, row, column);
    errors.note(slot, column, given, row);
  }
}

/** null where all rows are float32. */
function toStorage(operation: string, input: StorageInput | undefined, isTurned: boolean): RowStorage | null {
  if (input === undefined) return null;
  if (typeof input === "string") takeWord(operation, "storage", input, ROW_FORMATS);
  const { keys = "float32", values = "float32" } = typeof input === "string"
    ? { keys: input, values: input }
    : takeOptions(operation, input, ["keys", "values"], "storage field");
  const storage = {
    keys: takeWord(operation, "storage.keys", keys, ROW_FORMATS),
    values: takeWord(operation, "storage.values", values, ROW_FORMATS),
  };
  if (storage.keys === "float32" && storage.values === "float32") return null;
  if (storage.keys !== "float32" && isTurned) {
    const expected = '"float32", since what is kept of keys is turned';
    throw new InputError(operation, `storage.keys is "${storage.keys}" with rotary`, expected);
  }
  return storage;
}
