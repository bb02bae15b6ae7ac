/**
 * The formats in which rows are kept, as types; `row_storage.ts` says what each makes of a row.
 */

/** How the numbers of a row are kept. */
export type RowFormat = "float32" | "float16" | "int8";

/** The formats of keys and of values. */
export interface RowStorage {
  /** The format of keys. */
  readonly keys: RowFormat;
  /** The format of values. */
  readonly values: RowFormat;
}
