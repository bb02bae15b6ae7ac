/**
 * Edits of masks, as callers give them: one entry for all pairs that are named, or a block of entries.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";
import { ENTRY } from "../write/mask_input.ts";
import type { RowEdit } from "./batch.ts";
import type { Scoring } from "./exact_sums.ts";
import { toIds } from "./ids.ts";
import { toMaskMatrices } from "./initial_mask.ts";
import { isBias, type MaskEdit } from "./pair_masks.ts";

/** Queries of one edit, so that it fits into a record whatever their ids are. */
const MASKED_QUERIES = 64;

/** The fields of an edit of a mask, which may have one or the other form. */
interface GivenMask {
  readonly kind?: unknown;
  readonly entry?: unknown;
  readonly entries?: unknown;
  readonly keys?: unknown;
  readonly queries?: unknown;
  readonly head?: unknown;
}

/** One edit for each key, or one of all keys, and for some queries at a time. */
export function toMaskEdits(operation: string, name: string, edit: object, scoring: Scoring): RowEdit[] {
  const fields = ["kind", "entry", "entries", "keys", "queries", "head"] as const;
  const given: GivenMask = takeOptions<GivenMask>(operation, edit, fields, `${name} field`);
  const head = toHead(operation, name, given.head, scoring);
  if (given.entries !== undefined) return toBlockEdits(operation, name, given, head, scoring);
  const { entry, keys, queries } = given, bias = typeof entry === "boolean" ? (entry ? 0 : -Infinity) : entry;
  if (typeof bias !== "number" || !isBias(bias)) {
    throw new InputError(operation, `${name}.entry is ${describe(entry)}`, ENTRY);
  }
  if (keys === undefined && queries === undefined) {
    throw new InputError(operation, `${name} has neither keys nor queries`, "ids of one of them, or of both");
  }
  const keyIds = keys === undefined ? [""] : toIds(operation, `${name}.keys`, keys);
  const queryIds = queries === undefined ? null : toIds(operation, `${name}.queries`, queries);
  return keyIds.flatMap((id) => editsOf(id, queryIds, Math.fround(bias) + 0, head));
}

/** The head that an edit is about; undefined for all. */
function toHead(operation: string, name: string, head: unknown, { layout, maskHeads = 1 }: Scoring) {
  if (head === undefined) return undefined;
  const { heads } = layout;
  if (maskHeads === 1 && heads > 1) {
    const expected = 'none, since all heads share the mask: "heads" as create.editableMask lets them differ';
    throw new InputError(operation, `${name}.head is ${describe(head)}`, expected);
  }
  if (!isCount(head) || head >= heads) {
    throw new InputError(operation, `${name}.head is ${describe(head)}`, `a head below ${heads}`);
  }
  return maskHeads === 1 ? undefined : head;
}

/** The edits of a block: what it says of a key in one head, of some queries at a time. */
function toBlockEdits(
  operation: string,
  name: string,
  { entry, entries, keys, queries }: GivenMask,
  head: number | undefined,
  { maskHeads = 1 }: Scoring,
): RowEdit[] {
  if (entry !== undefined) {
    throw new InputError(operation, `${name} has entry and entries`, "one of them");
  }
  if (keys === undefined || queries === undefined) {
    const absent = keys === undefined ? "keys" : "queries";
    const expected = "ids, one for each column (keys) and row (queries) of entries";
    throw new InputError(operation, `${name}.${absent} is undefined`, expected);
  }
  const keyIds = toIds(operation, `${name}.keys`, keys);
  const queryIds = toIds(operation, `${name}.queries`, queries);
  const given = head === undefined ? maskHeads : 1;
  const isOneHead = typeof entries === "function" && head !== undefined;
  const asked = isOneHead
    ? (query: string, key: string) => (entries as (...pair: unknown[]) => unknown)(query, key, head)
    : entries;
  const matrices = toMaskMatrices(operation, `${name}.entries`, asked, queryIds, keyIds, given);
  return keyIds.flatMap((id, column) =>
    matrices.flatMap((matrix, at) => {
      const of = matrices.length === 1 ? head : at, biases = new Map<string, number>();
      queryIds.forEach((query, row) => biases.set(query, matrix[row * keyIds.length + column] + 0));
      return editsOf(id, [...biases.keys()], [...biases.values()], of);
    })
  );
}

/**
 * The edits that say a bias of a key with queries, null for all, or a bias for each of them; a list of none names
 * no pair.
 */
function editsOf(
  id: string,
  queries: readonly string[] | null,
  said: number | readonly number[],
  head: number | undefined,
): RowEdit[] {
  const ofHead = head === undefined ? {} : { head }, edits: RowEdit[] = [];
  const edit = (mask: MaskEdit) => edits.push({ id, row: null, mask: { ...mask, ...ofHead } });
  if (queries === null) edit({ queries: [], bias: said as number });
  for (let at = 0; queries !== null && at < queries.length; at += MASKED_QUERIES) {
    const end = at + MASKED_QUERIES, part = { queries: queries.slice(at, end) };
    const biases = typeof said === "number" ? [said] : said.slice(at, end), [bias] = biases;
    // Programs from before blocks read what is the same for all queries.
    edit(biases.every((other) => other === bias) ? { ...part, bias } : { ...part, bias: 0, biases });
  }
  return edits;
}
