/**
 * Snapshots of an engine as safetensors files, format "attune", version 3. For m query slots and n key slots,
 * those that are free included (their rows are zero):
 *
 *     query            F32 [m, H·d]             key   F32 [n, Hkv·d]      value  F32 [n, Hkv·dv]
 *                                                                         float16 and int8: see `packed_rows.ts`
 *     query.positions  F64 [m]                  key.positions  F64 [n]
 *     query.free       U32 [any]                key.free       U32 [any]  free slots, the one freed last at the end
 *     query.ids        U8  [any]                key.ids        U8  [any]  where rows have ids (see `saved_ids.ts`)
 *     mask.0, mask.1 … F32 [rows, columns]      the matrices of a mask: one, or one per head
 *     bias             F32 [n, m, H]            the answers of a mask function
 *     beside           U8  [any]                of a durable folder: what it keeps beside rows, no part of the engine
 *     wasm.* …                                  the states that the backend named in the metadata saved
 *
 * The metadata hold the other settings as text: format, version, backend, heads, kvHeads, headDim, valueDim,
 * scale, softcap, before, after, tolerance, onThreshold, lazyThreshold ("limits" or "function"), edits,
 * ageMs, error, targetError, mask ("none", "matrix" or "function"), nextKeyPosition, nextQueryPosition,
 * nextKeyId, nextQueryId ("none", "given" or a number), sequence, metadata (the caller's, as JSON, where
 * there are some), keyStorage and valueStorage (where one of them is not float32), origin (what is added to the positions, where it is not 0), rule (see `saved_rule.ts`, where there is more than that) and sha256 (see `checksum.ts`).
 *
 * Version 2 has no ids, sequence or metadata, and is still read.
 */

import { type HeadLayout, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import type { RowStorage } from "../numerics/row_format.ts";
import { ROW_FORMATS } from "../numerics/row_storage.ts";
import { isRelative, looksAtPositions, type ScoreRule } from "../numerics/score_rule.ts";
import { FormatError } from "../base/errors.ts";
import type { FlushPolicy } from "../schedule/planner.ts";
import type { PendingLimits } from "../schedule/threshold.ts";
import type { JsonValue } from "../base/json.ts";
import { isCount } from "../base/lists.ts";
import { MOST_WHOLE } from "../write/position_frame.ts";
import type { SlotNumbers } from "../write/slot_table.ts";
import { type SavedArray, type SavedArrays, takeArray } from "../base/saved_array.ts";
import type { SavedErrors } from "../write/row_errors.ts";
import { checkSeal, UNSEALED } from "./checksum.ts";
import { MetadataReader, writeNumber } from "./metadata.ts";
import { packedForms, packedKinds, packedNames } from "./packed_rows.ts";
import { decodeTensors, formOf, layOutHeader, type TensorForm } from "./safetensors.ts";
import { writeNextId } from "./saved_ids.ts";
import { type SavedMask, takeMask } from "./saved_mask.ts";
import { readRule, RULE_NAME, writeRule } from "./saved_rule.ts";
import { ROW_TENSORS, type SlotRows, takeKeys, takeQueries } from "./saved_rows.ts";

export type { SavedMask } from "./saved_mask.ts";
export type { SlotRows } from "./saved_rows.ts";

/** The history of an engine, beside its settings. */
export interface SavedHistory {
  /** Edits that the engine has accepted since it was first made, over all loads. */
  readonly sequence: number;
  /** The caller's metadata; undefined if there are none. */
  readonly metadata: JsonValue | undefined;
  /** The origin that positions are held by. */
  readonly origin: number;
}

/** The settings of an engine, as plain data. */
export interface SavedSettings {
  readonly layout: HeadLayout;
  readonly rule: ScoreRule;
  readonly tolerance: number;
  readonly policy: FlushPolicy;
  /** The limits of `lazyThreshold`; null if it was a function. */
  readonly limits: Required<PendingLimits> | null;
}

/** The content of an engine without pending edits. */
export interface Snapshot extends SavedSettings, SavedHistory {
  readonly mask: SavedMask | null;
  /** Rows `[key | value]`. */
  readonly keys: SlotRows;
  /** How far they are from those that were given; without numbers where they are float32. */
  readonly errors: SavedErrors;
  readonly queries: SlotRows;
  /** The name of the backend that has saved `states`. */
  readonly backend: string;
  readonly states: SavedArrays;
  /** What a durable folder keeps beside the rows; null where there is nothing. */
  readonly beside?: Uint8Array<ArrayBuffer> | null;
}

const FORMAT = "attune", VERSION = "3", OLDER_VERSION = "2";
/**
 * A small file must not make the reader allocate much memory: an engine may take BYTES_PER_BYTE times the
 * bytes of its file, and FREE_BYTES more.
 */
const FREE_BYTES = 2 ** 26, BYTES_PER_BYTE = 64;
/** Bytes of a head beside its rows, an upper bound over all backends. */
const HEAD_BYTES = 4096;

/**
 * Reads a snapshot. Numbers that are aligned in `bytes` are views of it.
 *
 * @param isOwn Whether the file is known to be what this library wrote. Another file is refused when it is much smaller than
 * the engine that it describes.
 * @throws {FormatError} When the file is damaged, of another format or version, or does not agree with
 * itself.
 */
export async function decodeSnapshot(
  operation: string,
  bytes: Uint8Array<ArrayBuffer>,
  isOwn = false,
): Promise<Snapshot> {
  const { metadata, tensors } = decodeTensors(operation, bytes);
  const reader = new MetadataReader(operation, metadata);
  reader.choice("format", [FORMAT]);
  const version = reader.choice("version", [OLDER_VERSION, VERSION]);
  await checkSeal(operation, bytes);

  const settings = readSettings(operation, reader, version === VERSION);
  const { layout, limits } = settings;
  const backend = reader.name("backend", /^(?!(?:query|key|value|mask|bias)$)[a-z]{1,32}$/);
  const maskKind = reader.choice("mask", ["none", "matrix", "function"]);
  const { shape: [querySize] } = takeArray(operation, tensors, "query", "F32", [null, queryColumns(layout)]);
  if (!isOwn) checkSize(operation, layout, querySize, bytes.length);
  const { errors, ...keys } = takeKeys(operation, reader, tensors, settings);
  const queries = takeQueries(operation, reader, tensors, settings);
  const limitNames = limits ? LIMIT_NAMES : [];
  const newNames = version === VERSION ? NEW_NAMES : [];
  reader.checkNames([...NAMES, ...limitNames, ...newNames]);
  const kinds = packedKinds(layout);
  const isRow = (name: string) =>
    ROW_TENSORS.includes(name) && (name !== "key.ids" || keys.slots.ids !== null) &&
    (name !== "query.ids" || queries.slots.ids !== null) &&
    (!/[.](?:scales|errors)$/.test(name) || kinds.some((kind) => packedNames(kind).includes(name)));
  const rest = Object.entries(tensors).filter(([name]) => !isRow(name) && name !== BESIDE);
  const isState = ([name]: readonly [string, SavedArray]) => name.startsWith(`${backend}.`);
  const states = rest.filter(isState).map(([name, array]) =>
    [name.slice(backend.length + 1), array] as const
  );
  const maskTensors = Object.fromEntries(rest.filter((entry) => !isState(entry)));
  return {
    ...settings,
    mask: withEdits(reader, takeMask(operation, maskKind, maskTensors, layout, keys.slots, queries.slots)),
    keys,
    errors,
    queries,
    backend,
    states: Object.fromEntries(states),
    beside: takeBeside(operation, tensors),
  };
}

/** The tensor that an engine passes over. */
const BESIDE = "beside";

function takeBeside(operation: string, tensors: SavedArrays): Uint8Array<ArrayBuffer> | null {
  if (!Object.hasOwn(tensors, BESIDE)) return null;
  return takeArray(operation, tensors, BESIDE, "U8", [null]).data;
}

const NAMES = [
  ...[
    "format",
    "version",
    "backend",
    "heads",
    "kvHeads",
    "headDim",
    "valueDim",
    "scale",
    "softcap",
    "before",
  ],
  ...["after", "tolerance", "onThreshold", "lazyThreshold", "mask", "nextKeyPosition", "nextQueryPosition"],
  "sha256",
];
const NEW_NAMES = [
  "nextKeyId",
  "nextQueryId",
  "sequence",
  "metadata",
  "maskEdits",
  RULE_NAME,
  "origin",
  "keyStorage",
  "valueStorage",
];
const LIMIT_NAMES = ["edits", "ageMs", "error", "targetError"];
function writeMetadata(
  { layout, rule, tolerance, policy, limits, sequence, metadata, origin }: SavedSettings & SavedHistory,
  { mask, keys, queries, backend }: {
    readonly mask: SavedMask | null;
    readonly keys: { readonly slots: SlotNumbers };
    readonly queries: { readonly slots: SlotNumbers };
    readonly backend: string;
  },
): Record<string, string> {
  const numbers = (fields: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(fields).map(([name, number]) => [name, writeNumber(number)]));
  const { heads, kvHeads, headDim, valueDim } = layout;
  const { scale, softcap, before, after } = rule;
  return {
    format: FORMAT,
    version: VERSION,
    backend,
    ...numbers({ heads, kvHeads, headDim, valueDim, scale, softcap, before, after, tolerance }),
    ...(layout.storage ? { keyStorage: layout.storage.keys, valueStorage: layout.storage.values } : {}),
    onThreshold: policy,
    lazyThreshold: limits ? "limits" : "function",
    ...(limits ? numbers({ ...limits }) : {}),
    mask: mask?.kind ?? "none",
    ...(mask?.kind === "matrix" && mask.isEditable ? { maskEdits: "true" } : {}),
    nextKeyPosition: writeNumber(keys.slots.nextPosition),
    nextQueryPosition: writeNumber(queries.slots.nextPosition),
    nextKeyId: writeNextId(keys.slots.ids),
    nextQueryId: writeNextId(queries.slots.ids),
    sequence: writeNumber(sequence),
    ...(metadata === undefined ? {} : { metadata: JSON.stringify(metadata) }),
    ...writeRule(rule),
    ...(origin === 0 ? {} : { origin: writeNumber(origin) }),
    sha256: UNSEALED,
  };
}

/** The name that a snapshot without states has instead of a backend's. */
export const NO_BACKEND = "none";

/** An engine whose rows are written by and by. */
export interface SnapshotForm {
  readonly settings: SavedSettings;
  readonly history: SavedHistory;
  readonly mask: SavedMask | null;
  readonly keys: SlotNumbers;
  readonly queries: SlotNumbers;
  /** Bytes of the tensors `key.ids`, `query.ids` and `beside`; 0 for none. */
  readonly keyIdBytes: number;
  readonly queryIdBytes: number;
  readonly besideBytes: number;
  readonly backend: string;
  /** The states of the backend. */
  readonly states: SavedArrays;
}

/**
 * The header of a snapshot, not sealed yet, and the names of its tensors in the order in which
 * their numbers follow.
 */
export function layOutSnapshot(operation: string, form: SnapshotForm): {
  readonly header: Uint8Array<ArrayBuffer>;
  readonly order: readonly string[];
  readonly dataBytes: number;
} {
  const { settings, history, mask, keys, queries, keyIdBytes, queryIdBytes, besideBytes, backend, states } =
    form;
  const { layout } = settings;
  const [keyKind, valueKind] = packedKinds(layout);
  const forms: Record<string, TensorForm> = {
    "query": { type: "F32", shape: [queries.size, queryColumns(layout)] },
    "query.positions": { type: "F64", shape: [queries.size] },
    "query.free": { type: "U32", shape: [queries.free.length] },
    ...packedForms(keyKind, keys.size),
    ...packedForms(valueKind, keys.size),
    "key.positions": { type: "F64", shape: [keys.size] },
    "key.free": { type: "U32", shape: [keys.free.length] },
  };
  for (
    const [name, bytes] of [["query.ids", queryIdBytes], ["key.ids", keyIdBytes], [
      BESIDE,
      besideBytes,
    ]] as const
  ) {
    if (bytes > 0) forms[name] = { type: "U8", shape: [bytes] };
  }
  if (mask?.kind === "function") {
    forms.bias = { type: "F32", shape: [keys.size, queries.size, layout.heads] };
  }
  if (mask?.kind === "matrix") {
    mask.matrices.forEach(({ rows, columns }, at) => {
      forms[`mask.${at}`] = { type: "F32", shape: [rows, columns] };
    });
  }
  for (const [name, array] of Object.entries(states)) forms[`${backend}.${name}`] = formOf(array);
  const metadata = writeMetadata({ ...settings, ...history }, {
    mask,
    keys: { slots: keys },
    queries: { slots: queries },
    backend,
  });
  return layOutHeader(operation, metadata, forms);
}

function readSettings(
  operation: string,
  reader: MetadataReader,
  isNew: boolean,
): SavedSettings & SavedHistory {
  const size = (name: string) =>
    reader.number(name, (count) => isCount(count) && count > 0, "a whole number ≥ 1");
  const isFloat32 = (number: number) => Number.isFinite(Math.fround(number));
  const isLimit = (number: number) => number >= 0;
  const heads = size("heads");
  const layout: HeadLayout = {
    heads,
    kvHeads: reader.number(
      "kvHeads",
      (count) => count > 0 && heads % count === 0,
      `a divisor of ${heads} (heads)`,
    ),
    headDim: size("headDim"),
    valueDim: size("valueDim"),
    ...(isNew && (reader.has("keyStorage") || reader.has("valueStorage"))
      ? { storage: readStorage(reader) }
      : {}),
  };
  const shared = {
    scale: reader.number("scale", isFloat32, "a finite number of float32 range"),
    softcap: reader.number("softcap", (cap) => cap >= 0 && isFloat32(cap), "a finite number ≥ 0"),
    before: reader.number("before", isLimit, "a number ≥ 0"),
    after: reader.number("after", (reach) => reach > -Infinity, "a finite number, or Infinity"),
  };
  const rule: ScoreRule = { ...shared, ...(isNew ? readRule(operation, reader, layout, shared) : {}) };
  if (rule.rotary && layout.storage && layout.storage.keys !== "float32") {
    throw new FormatError(
      operation,
      `metadata keyStorage is "${layout.storage.keys}" with rotary`,
      '"float32"',
    );
  }
  const isEdits = (edits: number) => edits === Infinity || (isCount(edits) && edits >= 1);
  return {
    layout,
    rule,
    tolerance: reader.number("tolerance", (share) => share > 0 && share < 1, "a number between 0 and 1"),
    policy: reader.choice("onThreshold", ["auto", "patch", "rebuild"]),
    limits: reader.choice("lazyThreshold", ["limits", "function"]) === "function" ? null : {
      edits: reader.number("edits", isEdits, "a whole number ≥ 1, or Infinity"),
      ageMs: reader.number("ageMs", isLimit, "a number ≥ 0"),
      error: reader.number("error", isLimit, "a number ≥ 0"),
      targetError: reader.number("targetError", isLimit, "a number ≥ 0"),
    },
    sequence: isNew ? reader.number("sequence", isCount, "a whole number ≥ 0") : 0,
    metadata: isNew ? reader.json("metadata") : undefined,
    origin: isNew && reader.has("origin") ? readOrigin(reader, rule) : 0,
  };
}

/**
 * Throws when the file is too small for the engine that it describes. Its states and tables may be large even
 * if it has few rows: there is a state for each query, head and column of a value.
 */
function checkSize(operation: string, layout: HeadLayout, querySize: number, fileBytes: number): void {
  const { heads, valueDim } = layout;
  const needed = 16 * querySize * heads * (valueDim + 2) + 8 * (queryColumns(layout) + valueColumns(layout)) +
    HEAD_BYTES * heads;
  const most = FREE_BYTES + BYTES_PER_BYTE * fileBytes;
  if (needed <= most) return;
  throw new FormatError(
    operation,
    `file of ${fileBytes} bytes describes an engine of ${needed} bytes`,
    `at most ${most}`,
  );
}

/** The formats of rows, of which one is not float32. */
function readStorage(reader: MetadataReader): RowStorage {
  const keys = reader.choice("keyStorage", ROW_FORMATS);
  return { keys, values: reader.choice("valueStorage", ROW_FORMATS.slice(keys === "float32" ? 1 : 0)) };
}

function readOrigin(reader: MetadataReader, rule: ScoreRule): number {
  const mayMove = looksAtPositions(rule) && isRelative(rule);
  const isOrigin = (origin: number) =>
    mayMove && Number.isInteger(origin) && origin !== 0 && Math.abs(origin) < MOST_WHOLE;
  const expected = mayMove ? "a whole number within ±2^50, and not 0" : "none, by the rule of its scores";
  return reader.number("origin", isOrigin, expected);
}

/** A mask, editable where the file says so. */
function withEdits(reader: MetadataReader, mask: SavedMask | null): SavedMask | null {
  if (!reader.has("maskEdits")) return mask;
  reader.choice("maskEdits", mask?.kind === "matrix" ? ["true"] : []);
  return mask?.kind === "matrix" ? { ...mask, isEditable: true } : mask;
}
