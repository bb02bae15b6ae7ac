/**
 * Makes snapshots of engines, and engines of snapshots.
 */

import type { Backend, Changes } from "../backends/backend.ts";
import { turnChanges } from "../backends/host/rotary_backend.ts";
import { checkStates } from "../backends/host/state_check.ts";
import { selectBackend, selectSaved } from "../backends/select.ts";
import { keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import { CapacityError, describe, InputError } from "../base/errors.ts";
import { makeBackend, type WrapBackend } from "./fill_backend.ts";
import type { Entries } from "../write/edit_log.ts";
import type { EditRules } from "../write/edits.ts";
import { type Mask, type MaskFunction, maskKeys, toMask } from "../write/mask.ts";
import type { FlushPolicy } from "../schedule/planner.ts";
import { PositionFrame } from "../write/position_frame.ts";
import { RowErrors, type SavedErrors } from "../write/row_errors.ts";
import { type SlotNumbers, SlotTable } from "../write/slot_table.ts";
import { type Threshold, toThreshold } from "../schedule/threshold.ts";
import type { LoadProblem } from "./options.ts";
import { decodeSnapshot, type SavedMask, type SlotRows, type Snapshot } from "../store/snapshot.ts";
import type { NumbersToWrite, SnapshotToWrite } from "../store/snapshot_slices.ts";
import { type FrozenMask, FrozenRows, liveFlags } from "../write/frozen_rows.ts";

export type { LoadOptions } from "./options.ts";
export { encodeSnapshot } from "../store/snapshot_file.ts";

/** The checked options of an engine and its live slots. */
export interface EngineRules extends EditRules {
  readonly threshold: Threshold;
  readonly policy: FlushPolicy;
  readonly tolerance: number;
}

/** The content of an engine at the call of `save`. */
export interface SavedMoment extends Pick<Snapshot, "sequence" | "metadata" | "origin"> {
  readonly slots: { readonly keys: SlotNumbers; readonly queries: SlotNumbers };
  readonly errors: SavedErrors | null;
  /** An editable mask; null for another one. */
  readonly editable: FrozenMask | null;
}

/** The content of an engine at one moment, while edits go on. */
export interface FrozenSnapshot extends SnapshotToWrite {
  readonly keys: FrozenRows;
  readonly queries: FrozenRows;
}

/**
 * Takes the content of a backend, whose states must all be up to date: states are copied at once, rows later, and `keep`
 * must be called before they change.
 */
export async function takeSnapshot(
  { layout, rule, mask, threshold, policy, tolerance }: EngineRules,
  { slots, errors, sequence, metadata, origin, editable }: SavedMoment,
  backend: Backend,
): Promise<FrozenSnapshot> {
  const keyWidth = keyColumns(layout) + valueColumns(layout);
  const keys = new FrozenRows(slots.keys, keyWidth, () => backend.keys);
  const queries = new FrozenRows(slots.queries, queryColumns(layout), () => backend.queries);
  const said = mask?.isFunction ? backend.bias(slots.keys.size, slots.queries.size) : null;
  const maskNumbers = said && mask ? [saidOf(said, mask.heads, keys, queries)] : editable?.matrices;
  const name = backend.name, arrays = await backend.save(slots.queries.size);
  return {
    settings: { layout, rule, tolerance, policy, limits: threshold.limits },
    history: { sequence, metadata, origin },
    mask: mask && toSavedMask(mask),
    ...(maskNumbers ? { maskNumbers } : {}),
    keys,
    errors,
    queries,
    states: { backend: name, arrays },
  };
}

/**
 * Makes the parts of an engine, with its filled backend, of the bytes of a snapshot.
 *
 * @throws {FormatError} When the bytes are no snapshot.
 * @throws {InputError} When an option is missing or does not fit.
 */
export async function restoreEngine(
  operation: string,
  bytes: Uint8Array<ArrayBuffer>,
  options: LoadProblem,
  wrap?: WrapBackend,
): Promise<{ readonly rules: EngineRules; readonly backend: Backend; readonly snapshot: Snapshot }> {
  const snapshot = await decodeSnapshot(operation, bytes);
  return await restoreSnapshot(operation, snapshot, options, wrap, workFor(bytes.length));
}

/**
 * As `restoreEngine`, of a snapshot that was read; `work` multiply-adds are free for the check of its states.
 */
export async function restoreSnapshot(
  operation: string,
  snapshot: Snapshot,
  options: LoadProblem,
  wrap: WrapBackend = (backend) => backend,
  work = 0,
): Promise<{ readonly rules: EngineRules; readonly backend: Backend; readonly snapshot: Snapshot }> {
  const { layout, rule, tolerance, policy, keys, queries } = snapshot;
  const mask = toLoadedMask(operation, snapshot, options.mask);
  const rules: EngineRules = {
    layout,
    rule,
    tolerance,
    policy,
    mask,
    threshold: options.threshold ?? toSavedThreshold(operation, snapshot),
    keySlots: SlotTable.restore(keys.slots),
    querySlots: SlotTable.restore(queries.slots),
    frame: new PositionFrame(rule, snapshot.origin),
    errors: layout.storage ? RowErrors.restore(layout, snapshot.errors) : null,
  };
  mask?.speakOf(rules.keySlots, rules.querySlots);
  const sizes = { queryCount: queries.slots.size, keyCount: keys.slots.size };
  const config = { layout, rule, tolerance, maskHeads: mask?.heads ?? 0, sizes };
  const name = options.backend ?? snapshot.backend;
  const threads = name === "array" || name === "webgpu" ? 1 : options.threads;
  const factory = options.backend
    ? selectBackend(operation, options.backend, threads)
    : selectSaved(operation, name, threads);
  const backend = wrap(await makeBackend(operation, factory, config));
  const states = backend.name === snapshot.backend ? snapshot.states : null;
  try {
    const changes = toChanges(snapshot, rules);
    await backend.restore(operation, changes, states);
    if (states) {
      const { rotary, ...plain } = rule;
      const held = rotary ? turnChanges(rotary, layout, changes) : changes;
      const content = { layout, rule: plain, tolerance, changes: held };
      const unknown = checkStates(operation, states, content, work);
      if (unknown.length > 0) await backend.update(unknown, []);
    }
  } catch (error) {
    await backend.dispose();
    throw CapacityError.ofCall(operation, error);
  }
  return { rules, backend, snapshot };
}

/**
 * The number of multiply-adds for checking the states of a file, which take about as long as reading the
 * file.
 */
function workFor(fileBytes: number): number {
  return FREE_WORK + WORK_PER_BYTE * fileBytes;
}

const FREE_WORK = 2 ** 23, WORK_PER_BYTE = 1;

/** What a mask function said. The bias of a pair with a deleted row has no meaning, so it is always written as the same number. */
function saidOf(bias: Float32Array, heads: number, keys: FrozenRows, queries: FrozenRows): NumbersToWrite {
  const isLive = (at: number) => {
    const pair = Math.floor(at / heads);
    return keys.live[Math.floor(pair / queries.live.length)] === 1 &&
      queries.live[pair % queries.live.length] === 1;
  };
  const { length } = bias;
  return {
    length,
    slice: (from, end) => bias.slice(from, end).map((entry, at) => isLive(from + at) ? entry : -Infinity),
  };
}

function toSavedMask({ isFunction, isEditable, matrices }: Mask): SavedMask {
  if (isFunction) return { kind: "function", bias: NOTHING };
  return { kind: "matrix", matrices, ...(isEditable ? { isEditable } : {}) };
}

const NOTHING = new Float32Array(0);

function toLoadedMask(
  operation: string,
  { mask, layout, keys, queries }: Snapshot,
  option: MaskFunction<never, never> | undefined,
): Mask | null {
  const needsFunction = mask?.kind === "function";
  if (needsFunction !== (typeof option === "function") || (!needsFunction && option !== undefined)) {
    const expected = needsFunction
      ? "a function, as the saved engine has one"
      : "none, since the file has the mask";
    throw new InputError(operation, `mask is ${describe(option)}`, expected);
  }
  if (!mask) return null;
  const input = mask.kind === "function"
    ? option
    : mask.matrices.map(({ data, rows, columns }) => ({ data, shape: [rows, columns] as const }));
  const isEditable = mask.kind === "matrix" && mask.isEditable === true;
  return toMask(operation, input, layout.heads, queries.slots.size, keys.slots.size, isEditable);
}

function toSavedThreshold(operation: string, { limits }: Snapshot): Threshold {
  if (limits) return toThreshold(operation, limits);
  const expected = "one, since the saved engine's is a function";
  throw new InputError(operation, "lazyThreshold is undefined", expected);
}

/** All slots of a snapshot as one batch. */
function toChanges(
  { keys, queries, mask }: Snapshot,
  { mask: live, keySlots, querySlots }: EngineRules,
): Changes {
  const entries = allSlots(keys);
  const scope = {
    keySize: keySlots.size,
    querySize: querySlots.size,
    hasKey: (slot: number) => keySlots.isLive(slot),
    hasQuery: (slot: number) => querySlots.isLive(slot),
  };
  return {
    keys: mask?.kind === "function" ? { ...entries, bias: mask.bias } : maskKeys(live, entries, scope),
    queries: { ...allSlots(queries), bias: null },
  };
}

function allSlots({ slots, rows, positions }: SlotRows): Entries {
  return {
    slots: Uint32Array.from({ length: slots.size }, (_, slot) => slot),
    live: liveFlags(slots),
    rows,
    positions,
  };
}
