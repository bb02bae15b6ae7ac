/**
 * The options of `attention`, of engines and of loading one, as types: what `options.ts` and `rule_options.ts`
 * check.
 */

import type { BackendName, ThreadCount } from "../backends/select.ts";
import type { MatrixInput } from "../base/matrix.ts";
import type { FlushPolicy } from "../schedule/planner.ts";
import type { LazyThreshold } from "../schedule/threshold.ts";
import type { AnyMaskInput, MaskFunction, MaskInput } from "../write/mask.ts";
import type { RowId, RowIdsInput } from "../write/row_ids.ts";
import type { BlockMaskInput, DistanceBiasInput, RotaryInput, WindowInput } from "./rule_options.ts";
import type { StorageInput } from "./storage_options.ts";

export type { BlockMaskInput, DistanceBiasInput, RotaryInput, WindowInput } from "./rule_options.ts";
export type { RowFormat, RowStorage } from "../numerics/row_format.ts";
export type { StorageInput } from "./storage_options.ts";

/** The options of `attention`. */
export interface AttentionOptions {
  /**
   * Q, m × H·d: one row per token, head h in columns [h·d, (h+1)·d); or `{ data, shape: [H, m, d] }`, like K
   * and V.
   */
  readonly query: MatrixInput;
  /** K, n × Hkv·d; n may be 0. */
  readonly key: MatrixInput;
  /** V, n × Hkv·dv. */
  readonly value: MatrixInput;
  /** H, query heads; 1 unless given, or what the shape of `query` says. */
  readonly heads?: number;
  /**
   * Hkv, key and value heads, a divisor of H; query head h reads key head ⌊h·Hkv/H⌋. H unless given, or
   * unless the shape of `key` has it.
   */
  readonly kvHeads?: number;
  /** Multiplies q·k; 1 / √d unless given. */
  readonly scale?: number;
  /** c in c·tanh(s/c), which caps scores before biases are added; 0, the default, is none. */
  readonly softcap?: number;
  /**
   * Whether the mask's numbers and biases by distance are added before the softcap, c·tanh((s + b)/c); false
   * unless given. −∞ forbids a pair either way.
   */
  readonly biasBeforeSoftcap?: boolean;
  /**
   * Sinks: a logit for each query head, or one number for all, that takes weight like a key and has no value,
   * o = Σ_j exp(s_j) v_j / (exp(sink) + Σ_j exp(s_j)). −∞ is no sink, as is the default. Log-sum-exps and
   * weights have it in their total; a row that no key is allowed in is 0.
   */
  readonly sinks?: number | ArrayLike<number>;
  /**
   * ALiBi: adds −slope · |keyPosition − queryPosition| to the scores of a head. `true` takes the slopes of the
   * paper, 2^(−8/H), 2^(−16/H), …; or H slopes ≥ 0. It is computed from positions, and takes no memory.
   */
  readonly alibi?: boolean | ArrayLike<number>;
  /**
   * A bias by the distance keyPosition − queryPosition, from a table or a function of whole distances, in place
   * of `alibi`; see {@link DistanceBiasInput}. Positions must then be whole numbers.
   */
  readonly distanceBias?: DistanceBiasInput;
  /**
   * A block-sparse mask by positions: `entries` has a boolean or a number, which is added to the scores (−∞
   * forbids), for each block of query positions and block of key positions, all of `size` positions, or
   * `[query size, key size]`; a list of H matrices differs by head. Position p lies in block ⌊p / size⌋; a
   * pair with a row in no block is forbidden. It takes memory for the blocks, and none for pairs.
   */
  readonly blockMask?: BlockMaskInput;
  /**
   * Rotary positions: pairs of a head's columns are turned by angles that grow with the position, so that
   * q·k depends on keyPosition − queryPosition. `true` is `{ base: 10000, dims: d, interleaved: false }`; see
   * {@link RotaryInput}. Rows come in, and are answered, as they are before they are turned.
   */
  readonly rotary?: boolean | RotaryInput;
  /**
   * The mask, m × n: numbers of float32 range, which are added to the scores (−∞ forbids a pair), or
   * booleans, of which true lets a pair attend. A `Uint8Array` of 1 and 0 holds booleans; typed arrays of
   * other whole numbers are refused. One matrix for all heads, a list of H matrices, or a function of query
   * slot, key slot and head.
   */
  readonly mask?: MaskInput;
  /** Lets a key attend only if keyPosition ≤ queryPosition + offset; `true` is an offset of 0. */
  readonly causal?: boolean | { readonly offset: number };
  /**
   * Lets a key attend only if −left ≤ keyPosition − queryPosition ≤ right; Infinity limits nothing. As
   * `{ left, right, keepFirst }`, keys at positions below `keepFirst` are never too far left: the window
   * slides and its first keys stay.
   */
  readonly window?: readonly [left: number, right: number] | WindowInput;
  /** Positions of the queries; 0, 1, 2, … unless given. */
  readonly queryPositions?: ArrayLike<number>;
  /** Positions of the keys; 0, 1, 2, … unless given. */
  readonly keyPositions?: ArrayLike<number>;
  /**
   * The compute backend; "auto" unless given, which takes a graphics device for large problems if there is
   * one (never a software emulation), else `wasm` if it runs here, else `array`. `stats().backendReason` says
   * why.
   */
  readonly backend?: BackendName;
  /**
   * The number of threads that may compute on the backend `wasm`, 1 to 256; "auto" unless given, which is the
   * number of processors, 16 at most. Workers start at the first large computation, are shared by all engines
   * and end with the last of them. Small computations run on the caller's thread, and so do all computations
   * if workers cannot share memory. The answers have the same bits for any number of threads.
   */
  readonly threads?: ThreadCount;
  /**
   * How keys and values are kept: "float32" unless given; "float16" in half of the memory, "int8", with a scale
   * per row and key head, in little more than a quarter; or `{ keys, values }`. Rows are rounded when they are
   * written, and from then on are what was rounded: answers are exact for them, `getKey` returns them. float16
   * is off by 2⁻¹¹·|x| at most, and takes numbers up to 65504; int8 by max |x| / 254 of the head of the row, or
   * 2⁻¹²⁷ if that is more.
   * Keys stay float32 with `rotary`.
   */
  readonly storage?: StorageInput;
}

/** The options of `DynamicAttention.create`; `KeyId` and `QueryId` are the types of ids. */
export interface DynamicAttentionOptions<KeyId extends RowId = number, QueryId extends RowId = number>
  extends Omit<AttentionOptions, "mask"> {
  /** As {@link AttentionOptions.mask}; a function is asked by ids where the engine has some. */
  readonly mask?: MaskInput<QueryId, KeyId>;
  /**
   * Ids of the keys, one per row: text, finite numbers or bigints. Every method then takes a key's id instead
   * of its slot, `insert` requires one (`{ id }`), and answers have ids. "auto" gives out 0, 1, 2, … each
   * only once, so that the id of a deleted key is refused. Without ids, which is the default, keys are named
   * by their slots.
   */
  readonly keyIds?: RowIdsInput<KeyId>;
  /**
   * Whether `setMask` may change the mask, which then is one of matrices; false unless given. What an edit took back before it
   * was read is then done like any other edit.
   */
  readonly editableMask?: boolean;
  /** Names of the standing queries, as `keyIds`. */
  readonly queryIds?: RowIdsInput<QueryId>;
  /**
   * The condition on which stale answers must include pending edits: a number of changed slots (64 unless
   * given; Infinity for never), limits `{ edits, error, targetError, ageMs }` of which the first one that is
   * reached counts, or a function that returns true. Exact answers always include all edits.
   */
  readonly lazyThreshold?: LazyThreshold;
  /**
   * How states are brought up to date: "auto" (the default) takes the cheaper way for each query that is
   * asked for; "patch" and "rebuild" bring all states up to date when the threshold is reached, in the way
   * that they name.
   */
  readonly onThreshold?: FlushPolicy;
  /**
   * The largest bound on the accumulated rounding error of a head row, relative to its sums, before the head
   * row is computed from scratch; 1e-8 unless given, less than a rounding of the float32 output.
   */
  readonly tolerance?: number;
}

/** The options of `DynamicAttention.load`. */
export interface LoadOptions<KeyId extends RowId = number, QueryId extends RowId = number> {
  /** The compute backend; that of the saved engine unless given, or "auto" if that one is not known here. */
  readonly backend?: BackendName;
  /**
   * The number of threads that may compute on the backend `wasm`, 1 to 256, as in {@link
   * AttentionOptions.threads}; "auto" unless given, whatever the saved engine had. An engine that was saved
   * on `array` and stays there has one.
   */
  readonly threads?: ThreadCount;
  /**
   * The mask function for rows inserted later, required if the saved engine has a mask function; its answers
   * so far are in the file.
   */
  readonly mask?: MaskFunction<QueryId, KeyId>;
  /** A threshold that replaces the saved one; required if that was a function. */
  readonly lazyThreshold?: LazyThreshold;
}

/** Options of an engine whose rows may have ids of any type. */
export type AnyEngineOptions = Omit<DynamicAttentionOptions<RowId, RowId>, "mask"> & {
  readonly mask?: AnyMaskInput;
};

/** The options of loading such an engine. */
export type AnyLoadOptions = Omit<LoadOptions<RowId, RowId>, "mask"> & {
  readonly mask?: MaskFunction<never, never>;
};
