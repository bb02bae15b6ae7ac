/**
 * The arguments of a client's calls, and their checks: every one is looked at in depth before anything is
 * done.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount, takeList } from "../base/lists.ts";
import { type MatrixInput, toMatrix } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { queryColumns } from "../numerics/head_layout.ts";
import { checkPlace } from "../write/places.ts";
import { type ClusterConfig, type ClusterShape, refuseStorage } from "./cluster_config.ts";
import { placesOf, type Scoring } from "./exact_sums.ts";
import { toId } from "./ids.ts";
import { checkShift, type NamedShift } from "./position_shift.ts";
import { type ClusterToken, NO_TOKEN, toToken } from "./token.ts";

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

/** As {@link EditOptions}, of a move of all rows of a range. */
export interface ShiftOptions extends EditOptions {
  /** The first position that moves; −∞ unless given. */
  readonly from?: number;
  /** The position before which rows move, which stays; Infinity unless given. */
  readonly to?: number;
  /**
   * A name of the move, 1 to 512 characters: a partition that has made a move of this name makes it no second
   * time, so that a call which failed can be made again. The newest 256 are remembered. It is one that nobody
   * has had, unless given.
   */
  readonly name?: string;
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

const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;
/** The most heavy keys that are asked for at once. */
const MOST_TOP = 4096;
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

/** Checks options of an answer that may be old; those of a read are left for `toReadOptions`. */
export function toPeek(operation: string, options: PeekOptions) {
  const { maxAgeMs, maxError = null, ...read } = takeOptions(operation, options, [
    ...["maxAgeMs", "maxError", "timeoutMs", "partial"] as const,
  ]);
  if (maxError !== null && !(typeof maxError === "number" && maxError >= 0)) {
    throw new InputError(operation, `maxError is ${describe(maxError)}`, "a number that is not negative");
  }
  return { limits: { maxAge: toTimeout(operation, maxAgeMs, 0, "maxAgeMs"), maxError }, read };
}

/** Checks a question about heavy keys. */
export function toTopKeys(
  operation: string,
  id: unknown,
  count: unknown,
  options: TopKeysOptions,
  config: ClusterConfig,
  timeoutMs: number,
) {
  const { heads } = config.scoring.layout;
  const { head = 0, ...read } = takeOptions(operation, options, ["head", "after", "timeoutMs"]);
  if (!isCount(head) || head >= heads) {
    throw new InputError(operation, `head is ${describe(head)}`, `a head below ${heads}`);
  }
  if (!isCount(count) || count > MOST_TOP) {
    throw new InputError(operation, `count is ${describe(count)}`, `a whole number up to ${MOST_TOP}`);
  }
  const asked = { head, id: toId(operation, "id", id), count };
  return { asked, checked: toReadOptions(operation, read, config, timeoutMs) };
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

/** Checks a move of all rows of a range; `newName` gives it a name where it has none. */
export function toNamedShift(
  operation: string,
  by: unknown,
  options: Omit<ShiftOptions, "timeoutMs">,
  scoring: Scoring,
  newName: () => string,
): NamedShift {
  const { from = -Infinity, to = Infinity, name } = options, rule = placesOf(scoring);
  if (rule === null) {
    throw new InputError(operation, `by is ${describe(by)}`, "none, as no rule looks at positions");
  }
  checkShift(operation, { by, from, to }, rule);
  return { name: name === undefined ? newName() : toId(operation, "name", name), by: by as number, from, to };
}
