/**
 * The fields that all calls of one engine share, and the largest work of a dispatch.
 */

import type { BackendConfig } from "../backend.ts";
import { isBiasCapped, kernelSoftcap, looksAtPositions, type ScoreRule } from "../../numerics/score_rule.ts";
import { DeviceError } from "../../base/errors.ts";
import { HEAVY_KEYS } from "../host/row_states.ts";
import { type Call, SLOPES, TABLE } from "./call_fields.ts";
import type { GpuDevice } from "./device.ts";
import { TILE_DEPTH } from "./kernels/products.ts";
import { TILE_KEYS, TILE_ROWS } from "./kernels/rows_kernel.ts";
import { placeOf } from "./position_range.ts";
import type { RecordLayout } from "./record_layout.ts";

/** The smallest tolerance of sums in two floats; smaller ones count as this. */
export const LEAST_TOLERANCE = 1e-5;
/** The tolerance of plain sums, which must be as exact as those of one computation from scratch. */
const PLAIN_TOLERANCE = 2 ** -20;

/** Sizes, score rule and tolerance as fields of a call. */
export function ruleOf(
  { layout, rule, tolerance, maskHeads }: BackendConfig,
  record: RecordLayout,
  { arithmetic }: GpuDevice,
): Call {
  const cap = kernelSoftcap(rule.softcap), inverse = cap > 0 ? 1 / cap : 0;
  return {
    headDim: layout.headDim,
    kvHeads: layout.kvHeads,
    heads: layout.heads,
    width: record.width,
    scale: rule.scale,
    scaleLow: rule.scale - Math.fround(rule.scale),
    softcap: cap,
    softcapLow: cap - Math.fround(cap),
    inverseSoftcap: inverse,
    inverseSoftcapLow: inverse - Math.fround(inverse),
    tolerance: Math.max(tolerance, arithmetic.isCompensated ? LEAST_TOLERANCE : PLAIN_TOLERANCE),
    looksAtPositions: looksAtPositions(rule) ? 1 : 0,
    ...keptOf(rule),
    biasFirst: isBiasCapped(rule) ? 1 : 0,
    ...distanceOf(rule),
    ...blocksOf(rule),
    maskHeads,
    keyWords: record.keyWords,
    valueStart: record.valueStart,
    placeStart: record.placeStart,
    queryPlaceStart: record.queryPlaceStart,
    biasStart: record.biasStart,
    queryWords: record.queryWords,
    stateWords: record.stateWords,
  };
}

/** The place of the keys that no window leaves behind. */
function keptOf({ keepBefore = -Infinity }: ScoreRule): Call {
  if (keepBefore === -Infinity) return {};
  const [keepHigh, keepLow] = placeOf(keepBefore);
  return { keepHigh, keepLow };
}

function distanceOf({ distanceBias }: ScoreRule): Call {
  if (distanceBias === undefined) return {};
  if (distanceBias.kind === "slopes") return { distanceKind: SLOPES };
  const { from, count, heads } = distanceBias;
  return { distanceKind: TABLE, firstDistance: from, distanceCount: count, distanceHeads: heads };
}

function blocksOf(rule: ScoreRule): Call {
  const { blocks } = rule;
  if (blocks === undefined) return {};
  const { rows, columns, heads } = blocks, blockFirst = distanceNumbers(rule).length;
  return { blockFirst, blockRows: rows, blockColumns: columns, blockHeads: heads };
}

/** The numbers of biases by distance and by blocks, as kernels read them; null without any. */
export function ruleNumbers(rule: ScoreRule): Float32Array<ArrayBuffer> | null {
  const { distanceBias, blocks } = rule;
  if (distanceBias === undefined && blocks === undefined) return null;
  return Float32Array.from([...distanceNumbers(rule), ...(blocks?.values ?? [])]);
}

/** Slopes in two floats, by head, or the table. */
function distanceNumbers({ distanceBias }: ScoreRule): Float32Array {
  if (distanceBias === undefined) return new Float32Array(0);
  if (distanceBias.kind === "table") return Float32Array.from(distanceBias.values);
  const numbers = new Float32Array(2 * distanceBias.slopes.length);
  distanceBias.slopes.forEach((slope, head) => {
    numbers[2 * head] = slope;
    numbers[2 * head + 1] = slope - numbers[2 * head];
  });
  return numbers;
}

/**
 * The largest number of terms of a workgroup, a whole number of tiles, so that no loop has more iterations
 * than the device allows.
 *
 * @throws {DeviceError} When rows are so long that even one tile of terms has too many iterations.
 */
export function mostTermsOf(
  { layout: { headDim, valueDim } }: BackendConfig,
  { arithmetic }: GpuDevice,
): number {
  const { mostRounds } = arithmetic;
  if (mostRounds === Infinity) return Infinity;
  const chunks = Math.floor((mostRounds - valueDim) / roundsOfChunk(headDim, valueDim));
  if (chunks > 0) return TILE_KEYS * chunks;
  const sizes = `keys of ${headDim} and values of ${valueDim} numbers`;
  throw new DeviceError(
    "webgpu",
    "internal",
    `this device ends loops after ${mostRounds} rounds, too few for ${sizes}`,
  );
}

/**
 * A bound on the iterations of all loops of a thread for a chunk of terms, in the worst case, in which every
 * product is added separately; each loop counts as one iteration longer. See `kernels/products.ts`.
 */
function roundsOfChunk(headDim: number, valueDim: number): number {
  const perThread = TILE_ROWS * TILE_KEYS / 64, loads = TILE_ROWS * TILE_DEPTH / 64;
  const score = Math.ceil(headDim / TILE_DEPTH) * (loads + TILE_DEPTH + 3) + perThread * (1 + NEWTON_ROUNDS) +
    2;
  const weigh = perThread + 1, charge = TILE_KEYS + 1, raise = TILE_KEYS + 1;
  const heavy = TILE_KEYS * (HEAVY_KEYS + 3) + 2;
  const perTile = loads + TILE_KEYS + loads * (TILE_KEYS + 2) + 4;
  return score + weigh + charge + raise + heavy + Math.ceil((valueDim + 2) / TILE_DEPTH) * perTile + 1;
}

/** Iterations of a reciprocal, including the final test of the loop. */
const NEWTON_ROUNDS = 5;
