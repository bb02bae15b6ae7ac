/**
 * Attention that stays current while keys and values change.
 *
 * {@link DynamicAttention} holds `softmax(scale · Q Kᵀ) V` for a set of standing queries while keys and values
 * are edited, inserted and deleted, and an edit costs the same however many keys there are.
 * {@link attention} computes it once; {@link mergeStates} joins what was computed over parts of the keys.
 *
 * @example
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 *
 * await using live = await DynamicAttention.create({
 *   query: [[1, 0], [0, 1]],
 *   key: [[1, 0], [0, 1], [1, 1]],
 *   value: [[10], [20], [30]],
 * });
 * live.setValue(0, [40]); // O(d), whatever the number of keys
 * const slot = live.insert([2, 0], [50]);
 * live.delete(1);
 * const { data } = await live.read(); // exact
 * assertAlmostEquals(data[0], 42.552, 1e-3);
 * assertAlmostEquals(await live.readEntry(1, 0), 37.448, 1e-3);
 * assertEquals((await live.topKeys(0, 2)).map((key) => key.slot), [slot, 0]); // heaviest first
 * ```
 *
 * @module
 */

export { attention, attentionState } from "./src/engine/attention.ts";
export type { BackendName, ThreadCount } from "./src/backends/select.ts";
export type {
  DynamicAttentionStats,
  RankedKey,
  StaleOutput,
  WeightedKey,
  WeightTensor,
} from "./src/engine/answers.ts";
export { type AnyOf, DynamicAttention, type InsertOptions } from "./src/engine/dynamic_attention.ts";
export type { FollowedAttention, FollowOptions } from "./src/engine/followed_attention.ts";
export {
  AccuracyError,
  AttentionError,
  BackendError,
  CapacityError,
  DeviceError,
  DisposedError,
  FormatError,
  IdError,
  InputError,
  ReentryError,
  SlotError,
} from "./src/base/errors.ts";
export type { DeviceFailure } from "./src/base/errors.ts";
export type { MimeBundle } from "./src/display/mime_bundle.ts";
export type { JsonValue } from "./src/base/json.ts";
export type { Edit } from "./src/write/edits.ts";
export type { RowId, RowIdsInput, TypedIds } from "./src/write/row_ids.ts";
export type { MaskEntry, MaskFunction, MaskInput, MaskMatrix, MaskRow } from "./src/write/mask.ts";
export type { FlushPolicy } from "./src/schedule/planner.ts";
export type { LazyThreshold, PendingEdits, PendingLimits } from "./src/schedule/threshold.ts";
export type {
  CsrMatrix,
  Matrix,
  MatrixInput,
  RowInput,
  SparseRow,
  SparseRows,
  StridedMatrix,
  VectorInput,
} from "./src/base/matrix.ts";
export {
  attentionBatch,
  type Batch,
  type BatchInput,
  type BatchOptions,
  splitHeads,
} from "./src/engine/batches.ts";
export { type AttentionState, mergeStates, unmergeState } from "./src/engine/merge_states.ts";
export type {
  AttentionOptions,
  BlockMaskInput,
  DistanceBiasInput,
  DynamicAttentionOptions,
  LoadOptions,
  RotaryInput,
  RowFormat,
  RowStorage,
  StorageInput,
  WindowInput,
} from "./src/engine/option_types.ts";
export type { PassingMask } from "./src/engine/passing_mask.ts";
