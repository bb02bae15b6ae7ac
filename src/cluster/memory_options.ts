/**
 * The arguments of a client's calls, and their checks: every one is looked at in depth before anything is
 * done.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount, takeList } from "../base/lists.ts";
import { type MatrixInput, toMatrix, toRow, type VectorInput } from "../base/matrix.ts";
import { takeOptions, takeWord } from "../base/names.ts";
import { keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import { ENTRY } from "../write/mask_input.ts";
import { checkPlace } from "../write/places.ts";
import type { RowEdit } from "./batch.ts";
import {
  type ClusterConfig,
  type ClusterShape,
  partitionOf,
  refuseStorage,
  rowColumns,
} from "./cluster_config.ts";
import { placesOf, type Scoring } from "./exact_sums.ts";
import { isBias } from "./pair_masks.ts";
import { type ClusterToken, NO_TOKEN, toToken } from "./token.ts";

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
     * Says which pairs may attend, or what is added to their scores, in a cluster with `editableMask`. What is
     * said last of a pair counts. A key that is not there is left out, and a key that is deleted takes along what
     * was said of it.
     */
    readonly kind: "setMask";
    /** false and −∞ forbid the pairs, true and 0 allow them, and other numbers are added to their scores. */
    readonly entry: boolean | number;
    /** Ids of keys; all keys, those to come included, unless given. */
    readonly keys?: ArrayLike<string>;
    /** Ids of standing queries; all queries, those to come included, unless given. */
    readonly queries?: ArrayLike<string>;
  }
  | {
    /** The key is not there any more; nothing happens if it was not. */
    readonly kind: "delete";
    /** The caller's own id. */
    readonly id: string;
  };

/** How an edit is waited for. */
export interface EditOptions {
  /**
   * Milliseconds after which a call that the log has not acknowledged is given up; that of `connect` unless
   * given.
   */
  readonly timeoutMs?: number;
}

/** As {@link EditOptions}, of a standing query. */
export interface QueryOptions extends EditOptions {
  /** Its position, a number: required where a rule looks at positions, and unknown elsewhere. */
  readonly position?: number;
}

/** The records that an answer must include, and how long it may take. */
export interface ReadOptions {
  /**
   * A token of an edit: the answer includes that edit and all before it. Edits of this connection that were
   * acknowledged are always included.
   */
  readonly after?: ClusterToken;
  /** Milliseconds until the call gives up; that of `connect` unless given. */
  readonly timeoutMs?: number;
  /**
   * Whether partitions that do not answer in time are left out, and listed in `missing`; false unless given:
   * then the call throws.
   */
  readonly partial?: boolean;
}

/** As {@link ReadOptions}, of passing queries. */
export interface PassingOptions extends ReadOptions {
  /** A position for each of them: required where a rule looks at positions, and unknown elsewhere. */
  readonly positions?: ArrayLike<number>;
  /**
   * The id of the standing query whose mask they have, or null for none: required in a cluster with
   * `editableMask`, and unknown elsewhere.
   */
  readonly maskOf?: string | null;
}

/** Limits on the age of rows that are given again, and on the time for new answers. */
export interface PeekOptions extends Omit<ReadOptions, "after"> {
  /** Milliseconds; 0, for no row that was given before, unless given. */
  readonly maxAgeMs?: number;
  /**
   * The largest distance from the exact answer of a row that is given again, whatever its age. Hosts then
   * send a bound of how far it has moved, some numbers for each head instead of the row. Without it, age
   * alone decides.
   */
  readonly maxError?: number;
}

/** As {@link ReadOptions}, for one head. */
export interface TopKeysOptions extends Omit<ReadOptions, "partial"> {
  /** The number of the head; 0 unless given. */
  readonly head?: number;
}

/** The options of `connect`. */
export interface ConnectOptions {
  /** The shape of the cluster, which is made if there is none yet; one that is there must have the same. */
  readonly create?: ClusterShape;
  /** Milliseconds that a call may take unless it says so; 5,000 unless given. */
  readonly timeoutMs?: number;
  /**
   * Bytes of edits that may wait for the log; then `edit` waits before it takes more. 16 MiB unless given.
   */
  readonly maxUnacked?: number;
}

/** Checked options of a read. */
export interface CheckedRead {
  readonly after: ClusterToken;
  readonly timeoutMs: number;
  readonly partial: boolean;
}

/** Passing queries. */
export interface PassingRows {
  readonly rows: Float32Array;
  readonly columns: number;
  /** null where rows have none. */
  readonly positions: Float64Array | null;
  /** The standing query whose mask they have, "" for none; null where pairs have no masks. */
  readonly maskOf: string | null;
}

const LONGEST_ID = 512;
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;
const TIMEOUT_MS = 5000, MAX_UNACKED = 16 << 20;

/** Checks the options of `connect`; the shape is checked apart. */
export function toConnectOptions(operation: string, options: ConnectOptions) {
  refuseStorage(operation, options, "storage");
  const { create, timeoutMs, maxUnacked = MAX_UNACKED } = takeOptions(operation, options, [
    "create",
    "timeoutMs",
    "maxUnacked",
  ]);
  if (!isCount(maxUnacked) || maxUnacked === 0) {
    throw new InputError(operation, `maxUnacked is ${describe(maxUnacked)}`, "a whole number above 0");
  }
  return { create: create ?? null, timeoutMs: toTimeout(operation, timeoutMs, TIMEOUT_MS), maxUnacked };
}

/** Checks a number of milliseconds. */
export function toTimeout(operation: string, ms: unknown, otherwise: number, name = "timeoutMs"): number {
  if (ms === undefined) return otherwise;
  if (typeof ms === "number" && ms >= 0 && ms <= LONGEST_TIMEOUT_MS) return ms;
  throw new InputError(operation, `${name} is ${describe(ms)}`, "milliseconds, not negative");
}

/** Checks options of a read; those of an answer that tells of no missing partitions have no `partial`. */
export function toReadOptions(
  operation: string,
  options: ReadOptions,
  { partitions }: ClusterConfig,
  timeoutMs: number,
  mayLack = true,
): CheckedRead {
  const given = takeOptions(operation, options, [
    "after",
    "timeoutMs",
    ...mayLack ? ["partial"] as const : [],
  ]);
  const { partial = false } = given;
  if (typeof partial !== "boolean") {
    throw new InputError(operation, `partial is ${describe(partial)}`, "a boolean");
  }
  return {
    partial,
    timeoutMs: toTimeout(operation, given.timeoutMs, timeoutMs),
    after: given.after === undefined ? NO_TOKEN : toToken(operation, given.after, partitions),
  };
}

/** Checks an id. */
export function toId(operation: string, name: string, id: unknown): string {
  if (typeof id === "string" && id.length > 0 && id.length <= LONGEST_ID && isWellFormed(id)) return id;
  throw new InputError(operation, `${name} is ${describe(id)}`, `text of 1 to ${LONGEST_ID} characters`);
}

/** Text that UTF-8 holds; a half of a pair of surrogates is none. */
function isWellFormed(text: string): boolean {
  return text.isWellFormed();
}

/** Checks a list of ids. */
export function toIds(operation: string, name: string, ids: unknown): string[] {
  const expected = "a list of ids";
  if (typeof ids === "string") throw new InputError(operation, `${name} is ${describe(ids)}`, expected);
  const { length, entries, kind } = takeList(operation, name, ids, expected);
  if (kind !== null) throw new InputError(operation, `${name} is ${describe(ids)}`, expected);
  return Array.from({ length }, (_, at) => toId(operation, `${name}[${at}]`, entries[at]));
}

/** Checks a position, which only rows of a rule that looks at positions have. */
export function toPosition(operation: string, name: string, position: unknown, scoring: Scoring): number {
  const rule = placesOf(scoring);
  if (rule === null) {
    throw new InputError(
      operation,
      `${name} is ${describe(position)}`,
      "none, as no rule looks at positions",
    );
  }
  if (typeof position !== "number" || !Number.isFinite(position)) {
    throw new InputError(
      operation,
      `${name} is ${describe(position)}`,
      "a finite number, as a rule looks at it",
    );
  }
  checkPlace(operation, name, position, rule);
  return position + 0;
}

/** Checks passing queries and their options. */
export function toPassing(
  operation: string,
  queries: MatrixInput,
  options: PassingOptions,
  config: ClusterConfig,
  timeoutMs: number,
): { readonly passing: PassingRows; readonly checked: CheckedRead } {
  const { scoring } = config, columns = queryColumns(scoring.layout), isPlaced = placesOf(scoring) !== null;
  const { data: rows, shape: [count, found] } = toMatrix(operation, "queries", queries);
  const { positions, maskOf, ...read } = takeOptions(operation, options, [
    ...["after", "timeoutMs", "partial"] as const,
    ...isPlaced ? ["positions"] as const : [],
    ...scoring.isMasked ? ["maskOf"] as const : [],
  ]);
  if (found !== columns) {
    throw new InputError(operation, `queries has ${found} columns`, `${columns} (heads × dim)`);
  }
  if (scoring.isMasked && maskOf === undefined) {
    const expected = "the id of a standing query whose mask they have, or null for none";
    throw new InputError(operation, "maskOf is undefined", expected);
  }
  const ofMask = scoring.isMasked ? maskOf === null ? "" : toId(operation, "maskOf", maskOf) : null;
  const places = isPlaced ? toPositions(operation, positions, count, scoring) : null;
  return {
    passing: { rows, columns, positions: places, maskOf: ofMask },
    checked: toReadOptions(operation, read, config, timeoutMs),
  };
}

function toPositions(operation: string, positions: unknown, count: number, scoring: Scoring): Float64Array {
  const { length, entries } = takeList(operation, "positions", positions, `${count} numbers, one per query`);
  if (length !== count) {
    throw new InputError(operation, `positions has ${length} numbers`, `${count} (one per query)`);
  }
  return Float64Array.from(
    { length },
    (_, at) => toPosition(operation, `positions[${at}]`, entries[at], scoring),
  );
}

/** Checks edits; the rows are copies. */
export function toEdits(operation: string, edits: unknown, scoring: Scoring): RowEdit[] {
  const { length, entries, kind } = takeList(operation, "edits", edits, "a list of edits");
  if (kind !== null) throw new InputError(operation, `edits is ${describe(edits)}`, "a list of edits");
  const checked: RowEdit[] = [];
  for (let at = 0; at < length; at++) {
    const name = `edits[${at}]`, given = entries[at];
    const isMask = scoring.isMasked && typeof given === "object" && given !== null &&
      (given as { kind?: unknown }).kind === "setMask";
    if (isMask) checked.push(...toMaskEdits(operation, name, given as ClusterEdit & { kind: "setMask" }));
    else checked.push(toEdit(operation, name, given, scoring));
  }
  return checked;
}

/** Queries of one edit, so that it fits into a record whatever their ids are. */
const MASKED_QUERIES = 64;

/** One edit for each key, or one of all keys, and for some queries at a time. */
function toMaskEdits(operation: string, name: string, given: ClusterEdit & { kind: "setMask" }): RowEdit[] {
  const fields = ["kind", "entry", "keys", "queries"] as const;
  const { entry, keys, queries } = takeOptions(operation, given, fields, `${name} field`);
  const bias = typeof entry === "boolean" ? (entry ? 0 : -Infinity) : entry;
  if (typeof bias !== "number" || !isBias(bias)) {
    throw new InputError(operation, `${name}.entry is ${describe(entry)}`, ENTRY);
  }
  if (keys === undefined && queries === undefined) {
    throw new InputError(operation, `${name} has neither keys nor queries`, "ids of one of them, or of both");
  }
  const keyIds = keys === undefined ? [""] : toIds(operation, `${name}.keys`, keys);
  const queryIds = queries === undefined ? [] : toIds(operation, `${name}.queries`, queries);
  // A list of none names no pair.
  const parts: string[][] = queries === undefined ? [[]] : [];
  for (let at = 0; at < queryIds.length; at += MASKED_QUERIES) {
    parts.push(queryIds.slice(at, at + MASKED_QUERIES));
  }
  return keyIds.flatMap((id) =>
    parts.map((part) => ({ id, row: null, mask: { queries: part, bias: Math.fround(bias) + 0 } }))
  );
}

function toEdit(operation: string, name: string, given: unknown, scoring: Scoring): RowEdit {
  const { layout } = scoring, isPlaced = placesOf(scoring) !== null;
  if (typeof given !== "object" || given === null) {
    throw new InputError(
      operation,
      `${name} is ${describe(given)}`,
      `{ kind: "set", id, key, value } or { kind: "delete", id }`,
    );
  }
  const kinds = [
    ...["set", "delete"] as const,
    ...isPlaced ? ["setPosition"] as const : [],
    ...scoring.isMasked ? ["setMask"] as const : [],
  ];
  const kind = takeWord(operation, `${name}.kind`, (given as { kind?: unknown }).kind, kinds);
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
