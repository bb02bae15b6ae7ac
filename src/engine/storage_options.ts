/**
 * The option `storage` of engines, and its check, which is loaded on demand.
 */

import { InputError } from "../base/errors.ts";
import type { Matrix } from "../base/matrix.ts";
import { takeOptions, takeWord } from "../base/names.ts";
import { type HeadLayout, keyColumns } from "../numerics/head_layout.ts";
import type { RowFormat, RowStorage } from "../numerics/row_format.ts";
import { roundRows, ROW_FORMATS } from "../numerics/row_storage.ts";

/** The format of keys and values, or of each. */
export type StorageInput = RowFormat | { readonly keys?: RowFormat; readonly values?: RowFormat };

/** Adds the formats to a layout, if some are not float32, and rounds the rows that a problem begins with. */
export function addStorage(
  operation: string,
  { layout, key, value }: { readonly layout: HeadLayout; readonly key: Matrix; readonly value: Matrix },
  input: StorageInput | undefined,
  isTurned: boolean,
): HeadLayout {
  const storage = toStorage(operation, input, isTurned);
  if (storage === null) return layout;
  const packed = { ...layout, storage };
  roundRows(operation, packed, key.data, key.shape[1], 0);
  roundRows(operation, packed, value.data, value.shape[1], keyColumns(layout));
  return packed;
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
