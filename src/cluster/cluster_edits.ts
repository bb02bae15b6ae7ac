/**
 * Edits of keys and of masks, as callers give them.
 *
 * Invariant: every edit is looked at in depth before anything is done, and rows are copies.
 */

import { describe, InputError } from "../base/errors.ts";
import { takeList } from "../base/lists.ts";
import { toRow, type VectorInput } from "../base/matrix.ts";
import { takeOptions, takeWord } from "../base/names.ts";
import { keyColumns, valueColumns } from "../numerics/head_layout.ts";
import type { MaskFunction, MaskMatrix } from "../write/mask_input.ts";
import type { RowEdit } from "./batch.ts";
import { type ClusterConfig, partitionOf, rowColumns } from "./cluster_config.ts";
import { hasMaskEdits, placesOf, type Scoring } from "./exact_sums.ts";
import { toId } from "./ids.ts";
import { toMaskEdits } from "./mask_edits.ts";
import { toPosition } from "./memory_options.ts";

/** An edit of a key with its value, by the caller's own id: 1 to 512 characters of any text. */
export type ClusterEdit =
  | {
    /** The key is there with this value from then on, whether it was there before or not. */
    readonly kind: "set";
    /** The caller's own id. */
    readonly id: string;
    /** Hkv·d numbers. */
    readonly key: VectorInput;
    /** Hkv·dv numbers. */
    readonly value: VectorInput;
    /** Its position, a number: required where a rule looks at positions, and unknown elsewhere. */
    readonly position?: number;
  }
  | {
    /** The key is at this position from then on; nothing happens if it is not there. */
    readonly kind: "setPosition";
    /** The caller's own id. */
    readonly id: string;
    /** Its new position. */
    readonly position: number;
  }
  | {
    /**
     * Says which pairs may attend, or what is added to their scores, in a cluster with `editableMask`. What
     * is said last of a pair counts. A key that is not there is left out, and a key that is deleted takes
     * along what was said of it.
     */
    readonly kind: "setMask";
    /** false and −∞ forbid the pairs, true and 0 allow them, and other numbers are added to their scores. */
    readonly entry: boolean | number;
    /** Ids of keys; all keys, those to come included, unless given. */
    readonly keys?: ArrayLike<string>;
    /** Ids of standing queries; all queries, those to come included, unless given. */
    readonly queries?: ArrayLike<string>;
    /** The head of which it is said, in a cluster with masks by head; all heads unless given. */
    readonly head?: number;
  }
  | {
    /** As above, with an entry for each pair: a block of the mask. */
    readonly kind: "setMask";
    /**
     * A matrix of queries × keys; where masks differ by head, a list of H matrices, too; or a function of the
     * ids of a query and a key and of the head, which this call asks about each pair, and nobody later.
     */
    readonly entries: MaskMatrix | ArrayLike<MaskMatrix> | MaskFunction<string, string>;
    /** Ids of keys, one for each column. */
    readonly keys: ArrayLike<string>;
    /** Ids of standing queries, one for each row. */
    readonly queries: ArrayLike<string>;
    /** As above. */
    readonly head?: number;
  }
  | {
    /** The key is not there any more; nothing happens if it was not. */
    readonly kind: "delete";
    /** The caller's own id. */
    readonly id: string;
  };

/** Checks edits; the rows are copies. */
export function toEdits(operation: string, edits: unknown, config: ClusterConfig): RowEdit[] {
  const { length, entries, kind } = takeList(operation, "edits", edits, "a list of edits");
  if (kind !== null) throw new InputError(operation, `edits is ${describe(edits)}`, "a list of edits");
  const checked: RowEdit[] = [];
  for (let at = 0; at < length; at++) {
    const name = `edits[${at}]`, given = entries[at];
    const kind = kindOf(operation, name, given, config);
    if (kind === "setMask") checked.push(...toMaskEdits(operation, name, given as object, config.scoring));
    else checked.push(toRowEdit(operation, name, kind, given as ClusterEdit, config.scoring));
  }
  return checked;
}

/** The kind of an edit, read once. */
function kindOf(operation: string, name: string, given: unknown, { scoring }: ClusterConfig) {
  if (typeof given !== "object" || given === null) {
    const expected = `{ kind: "set", id, key, value } or { kind: "delete", id }`;
    throw new InputError(operation, `${name} is ${describe(given)}`, expected);
  }
  const kinds = [
    ...["set", "delete"] as const,
    ...placesOf(scoring) === null ? [] : ["setPosition"] as const,
    ...hasMaskEdits(scoring) ? ["setMask"] as const : [],
  ];
  return takeWord(operation, `${name}.kind`, (given as { kind?: unknown }).kind, kinds);
}

function toRowEdit(
  operation: string,
  name: string,
  kind: "set" | "delete" | "setPosition",
  given: ClusterEdit,
  scoring: Scoring,
): RowEdit {
  const { layout } = scoring, isPlaced = placesOf(scoring) !== null;
  if (kind === "delete") {
    const { id } = takeOptions(
      operation,
      given as ClusterEdit & { kind: "delete" },
      ["kind", "id"],
      `${name} field`,
    );
    return { id: toId(operation, `${name}.id`, id), row: null };
  }
  const placeOf = (position: unknown) => toPosition(operation, `${name}.position`, position, scoring);
  if (kind === "setPosition") {
    const move = takeOptions(
      operation,
      given as ClusterEdit & { kind: "setPosition" },
      ["kind", "id", "position"],
      `${name} field`,
    );
    return { id: toId(operation, `${name}.id`, move.id), row: null, position: placeOf(move.position) };
  }
  const set = takeOptions(
    operation,
    given as ClusterEdit & { kind: "set" },
    ["kind", "id", "key", "value", ...isPlaced ? ["position"] as const : []],
    `${name} field`,
  );
  const id = toId(operation, `${name}.id`, set.id), row = new Float32Array(rowColumns(layout));
  row.set(toRow(operation, `${name}.key`, set.key, keyColumns(layout), "kvHeads × dim"));
  row.set(
    toRow(operation, `${name}.value`, set.value, valueColumns(layout), "kvHeads × valueDim"),
    keyColumns(layout),
  );
  return { id, row, ...(isPlaced ? { position: placeOf(set.position) } : {}) };
}

/** Edits by partition, in their order; what is said of all keys goes to all partitions. */
export function groupsOf(edits: readonly RowEdit[], partitions: number): Map<number, RowEdit[]> {
  const groups = new Map<number, RowEdit[]>();
  const put = (partition: number, edit: RowEdit) => {
    const group = groups.get(partition);
    if (group) group.push(edit);
    else groups.set(partition, [edit]);
  };
  for (const edit of edits) {
    if (edit.id !== "") put(partitionOf(edit.id, partitions), edit);
    else for (let partition = 0; partition < partitions; partition++) put(partition, edit);
  }
  return groups;
}
