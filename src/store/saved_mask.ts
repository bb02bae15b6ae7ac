/**
 * The mask of a snapshot, read and checked.
 */

import type { HeadLayout } from "../numerics/head_layout.ts";
import { describe, FormatError } from "../base/errors.ts";
import type { BiasMatrix } from "../write/mask.ts";
import type { SlotNumbers } from "../write/slot_table.ts";
import { checkNumbers, type SavedArrays, takeArray, takeNumbers } from "../base/saved_array.ts";
import { ROW_TENSORS } from "./saved_rows.ts";

/** A mask: its matrices, or the answers of a function for each key slot, query slot and head. */
export type SavedMask =
  | { readonly kind: "matrix"; readonly matrices: readonly BiasMatrix[]; readonly isEditable?: boolean }
  | { readonly kind: "function"; readonly bias: Float32Array };

/** Reads the mask from the arrays that are neither rows nor states. */
export function takeMask(
  operation: string,
  kind: "none" | "matrix" | "function",
  tensors: SavedArrays,
  { heads }: HeadLayout,
  keys: SlotNumbers,
  queries: SlotNumbers,
): SavedMask | null {
  const names = Object.keys(tensors);
  const { size: keySize } = keys, { size: querySize } = queries;
  const isBias = (bias: number) => bias < Infinity;
  const expected = "finite numbers or −Infinity";
  if (kind === "function") {
    checkOnly(operation, names, ["bias"]);
    const bias = takeNumbers(operation, tensors, "bias", "F32", [keySize, querySize, heads]);
    checkNumbers(operation, "bias", bias, isBias, expected);
    checkUnasked(operation, bias, heads, keys, queries);
    return { kind, bias };
  }
  const count = kind === "none" ? 0 : names.length === 1 ? 1 : heads;
  const matrixNames = Array.from({ length: Math.min(count, names.length) }, (_, at) => `mask.${at}`);
  checkOnly(operation, names, matrixNames);
  if (count > names.length) {
    throw new FormatError(operation, `file has ${names.length} matrices of a mask`, `1 or ${heads} (heads)`);
  }
  const matrices = matrixNames.map((name) => {
    const { shape: [rows, columns], data } = takeArray(operation, tensors, name, "F32", [null, null]);
    checkNumbers(operation, name, data, isBias, expected);
    if (rows < querySize || columns < keySize) {
      const least = `at least [${querySize}, ${keySize}], the slots of queries and keys`;
      throw new FormatError(operation, `tensor ${name} is F32 [${rows}, ${columns}]`, least);
    }
    return { rows, columns, data };
  });
  return kind === "none" ? null : { kind, matrices };
}

/** Throws when there is an answer for a pair with a free slot, for which a mask function is never called. */
function checkUnasked(
  operation: string,
  bias: Float32Array,
  heads: number,
  keys: SlotNumbers,
  queries: SlotNumbers,
): void {
  const stride = queries.size * heads;
  const check = (start: number, end: number, what: string) => {
    for (let at = start; at < end; at++) {
      if (bias[at] === -Infinity) continue;
      throw new FormatError(
        operation,
        `tensor bias has ${bias[at]} at index ${at}`,
        `−Infinity, since ${what} is free`,
      );
    }
  };
  for (const key of keys.free) check(key * stride, (key + 1) * stride, `key slot ${key}`);
  for (const query of queries.free) {
    for (let key = 0; key < keys.size; key++) {
      const start = key * stride + query * heads;
      check(start, start + heads, `query slot ${query}`);
    }
  }
}

function checkOnly(operation: string, names: readonly string[], known: readonly string[]): void {
  const allowed = new Set(known);
  const stranger = names.find((name) => !allowed.has(name));
  if (stranger === undefined) return;
  const others = known.length > 2 ? [known[0], "…", known[known.length - 1]] : known;
  const expected = `only ${[...ROW_TENSORS, ...others].join(", ")} and states of the backend`;
  throw new FormatError(operation, `file has a tensor ${describe(stranger)}`, expected);
}
