/**
 * The parameters of the kernels for one head, and how they are written to its job. `job_fields.ts` has the
 * layout.
 */

import type { BlockBias } from "../../numerics/block_bias.ts";
import type { HeadLayout } from "../../numerics/head_layout.ts";
import { exponentOf, shiftedExp } from "../../numerics/power_shift.ts";
import { kernelSoftcap, type ScoreRule } from "../../numerics/score_rule.ts";
import type { Arena } from "./arena.ts";
import * as field from "./job_fields.ts";

/** Shifts of rows that the kernels read lie well within ±2^22. */
const MOST_POWER = 2 ** 24;
/** Bounds on sums in float32 are not below it, so that a smaller tolerance counts as this. */
const LEAST_TOLERANCE = 1e-5;

/** The words of a job that say how rows are kept. */
export interface PackedFields {
  readonly keyFormat: number;
  readonly valueFormat: number;
  /** Bytes from a lane to its tiles; 0 where rows are not packed. */
  readonly keyTile: number;
  readonly valueTile: number;
}

/** The parameters of all kernels of one head. */
export interface RowRule {
  /** d. */
  readonly headDim: number;
  /** dv. */
  readonly valueDim: number;
  readonly scale: number;
  /** 0 for none. */
  readonly softcap: number;
  /** The largest proven relative error of a row. */
  readonly tolerance: number;
  /** The largest distances of a key before and after the query, which are used only with positions. */
  readonly before: number;
  readonly after: number;
  /** Not there where rows are float32. */
  readonly packed?: PackedFields;
  /** As {@link ScoreRule} has them. */
  readonly extras?: Pick<ScoreRule, "keepBefore" | "distanceBias" | "blocks" | "biasFirst" | "sinks">;
}

/** Columns of a value row: dv numbers, 1, their largest magnitude, and zeros up to a multiple of 4. */
export function columnsOf(valueDim: number): number {
  return Math.ceil((valueDim + 2) / 4) * 4;
}

/** The parameters of the kernels. */
export function toRowRule({ headDim, valueDim }: HeadLayout, rule: ScoreRule, tolerance: number): RowRule {
  const { scale, softcap, before, after } = rule;
  return {
    headDim,
    valueDim,
    scale,
    softcap,
    before,
    after,
    tolerance: Math.max(tolerance, LEAST_TOLERANCE),
    extras: rule,
  };
}

/** Writes the parameters of a query head to its job. It may let the memory grow. */
export function placeRule(arena: Arena, job: number, rule: RowRule, head: number): void {
  const words = arena.words(job, field.JOB_BYTES / 4), floats = arena.floats(job, 6);
  words[field.HEAD_DIM / 4] = rule.headDim;
  words[field.COLUMNS / 4] = columnsOf(rule.valueDim);
  words[field.VALUE_DIM / 4] = rule.valueDim;
  words[field.EXACT_TERMS / 4] = field.FEW_TERMS;
  floats[field.SCALE / 4] = rule.scale;
  floats[field.SOFTCAP / 4] = kernelSoftcap(rule.softcap);
  floats[field.TOLERANCE / 4] = rule.tolerance;
  arena.doubles(job + field.BEFORE, 2).set([rule.before, rule.after]);
  if (rule.packed) {
    words[field.KEY_FORMAT / 4] = rule.packed.keyFormat;
    words[field.VALUE_FORMAT / 4] = rule.packed.valueFormat;
    words[field.KEY_TILE / 4] = rule.packed.keyTile;
    words[field.VALUE_TILE / 4] = rule.packed.valueTile;
  }
  if (rule.extras?.blocks) placeBlocks(arena, job, rule.extras.blocks, head);
  placeExtras(arena, job, rule.extras ?? {}, head);
}

/** Writes biases by block. */
function placeBlocks(
  arena: Arena,
  job: number,
  { querySize, keySize, heads, rows, columns, values }: BlockBias,
  head: number,
): void {
  const count = rows * columns, start = heads > 1 ? head * count : 0;
  const table = arena.take(4 * count);
  arena.floats(table, count).set(values.subarray(start, start + count));
  const words = arena.words(job, field.JOB_BYTES / 4);
  const doubles = arena.doubles(job, field.JOB_BYTES / 8);
  words[field.BLOCK_BIASES / 4] = table;
  words[field.BLOCK_ROW_COUNT / 4] = rows;
  words[field.BLOCK_COLUMN_COUNT / 4] = columns;
  doubles[field.QUERY_BLOCK / 8] = querySize;
  doubles[field.KEY_BLOCK / 8] = keySize;
}

/** Writes the other rules that only some engines have. */
function placeExtras(
  arena: Arena,
  job: number,
  { keepBefore, distanceBias, biasFirst, sinks }: NonNullable<RowRule["extras"]>,
  head: number,
): void {
  let table = 0;
  if (distanceBias?.kind === "table") {
    // This may let the memory grow, so it comes before any view of it.
    const { values, count, heads } = distanceBias;
    table = arena.take(4 * count);
    const start = heads > 1 ? head * count : 0;
    arena.floats(table, count).set(values.subarray(start, start + count));
  }
  const words = arena.words(job, field.JOB_BYTES / 4);
  const doubles = arena.doubles(job, field.JOB_BYTES / 8);
  words[field.BIAS_FIRST / 4] = biasFirst ? 1 : 0;
  doubles[field.KEEP_BEFORE / 8] = keepBefore ?? -Infinity;
  if (distanceBias?.kind === "slopes") doubles[field.SLOPE / 8] = distanceBias.slopes[head];
  if (distanceBias?.kind === "table") {
    words[field.DISTANCE_BIASES / 4] = table;
    doubles[field.FIRST_DISTANCE / 8] = distanceBias.from;
    words[field.DISTANCE_COUNT / 4] = distanceBias.count;
  }
  if (sinks && sinks[head] > -Infinity) {
    const power = exponentOf(sinks[head]);
    doubles[field.SINK / 8] = shiftedExp(sinks[head], power);
    // Beyond the shifts of all rows the exact distance makes no difference.
    words[field.SINK_POWER / 4] = Math.max(-MOST_POWER, Math.min(power, MOST_POWER));
  }
}
