// The plan of the benchmark: all subjects are measured at one workload, one after the other, so that they
// meet the same noise.

import {
  describeShape,
  type EditKind,
  type RowChoice,
  type Shape,
  shapeOf,
  type Workload,
} from "./workload.ts";

/** One line of the plan. */
export interface Step {
  readonly shape: Shape;
  readonly workload: Workload;
  /** Peers recompute whatever was edited, so not everything is asked of them. */
  readonly ofPeers: boolean;
}

const FIXED_QUERIES = 128;
const KEY_COUNTS = [256, 1024, 4096, 16_384, 65_536], SQUARES = [256, 1024, 4096, 16_384];
const QUICK_KEY_COUNTS = [256, 1024], QUICK_SQUARES = [256, 1024];
/** Workloads with few queries. */
const FEW_QUERIES = [1, 4, 16], FEW_QUERIES_KEYS = 4096;
const PATCH_SIZES = [1, 4, 16, 64, 256];
/** Edits between two reads, up to where recomputing wins. */
const EDIT_COUNTS = [1, 4, 16, 64, 256, 1024, 4096, 16_384];

/** The sizes that the targets are about. */
export const TARGET_SHAPE: Shape = shapeOf(4096, 4096);
export const SCALE_SHAPE: Shape = shapeOf(1024, 1_000_000);
/** Workloads for which memory is measured. */
export const MEMORY_SHAPES: readonly Shape[] = [TARGET_SHAPE, shapeOf(FIXED_QUERIES, 65_536)];
export const QUICK_MEMORY_SHAPES: readonly Shape[] = [shapeOf(1024, 1024)];

export const REBUILD: Workload = { kind: "rebuild" };

export function patchOf(changes: number): Workload {
  return { kind: "patch", changes };
}

export function answerAfter(edits: number, edit: EditKind = "key", rows: RowChoice = "all"): Workload {
  return { kind: "answer", edit, edits, rows };
}

/** Whether a shape is on the line of the break-even curve. */
export function hasFixedQueries({ queryCount }: Shape): boolean {
  return queryCount === FIXED_QUERIES;
}

/** The steps of a run, smaller sizes first: what is too large is foretold from them. */
export function planSteps({ quick, shapes }: { quick: boolean; shapes: readonly string[] }): Step[] {
  const lines = (quick ? QUICK_KEY_COUNTS : KEY_COUNTS).map((keys) => shapeOf(FIXED_QUERIES, keys));
  const squares = (quick ? QUICK_SQUARES : SQUARES).map((size) => shapeOf(size, size));
  const few = quick ? [] : FEW_QUERIES.map((queries) => shapeOf(queries, FEW_QUERIES_KEYS));
  const isWanted = (shape: Shape) => shapes.length === 0 || shapes.includes(describeShape(shape));
  return [
    ...lines.filter(isWanted).flatMap((shape) => [...stepsOf(shape), ...losingSteps(shape)]),
    ...squares.filter(isWanted).flatMap(stepsOf),
    ...few.filter(isWanted).flatMap((shape) => [
      { shape, workload: REBUILD, ofPeers: true },
      { shape, workload: answerAfter(1), ofPeers: true },
      { shape, workload: answerAfter(64), ofPeers: false },
    ]),
  ];
}

function stepsOf(shape: Shape): Step[] {
  const ofAll = (workload: Workload) => ({ shape, workload, ofPeers: true });
  const ofEngines = (workload: Workload) => ({ shape, workload, ofPeers: false });
  return [
    ofAll(REBUILD),
    ...PATCH_SIZES.filter((changes) => changes <= shape.keyCount).map((changes) =>
      ofEngines(patchOf(changes))
    ),
    ofAll(answerAfter(1)),
    ofAll(answerAfter(64)),
    ofAll(answerAfter(1, "key", "same")),
    ofAll(answerAfter(1, "key", "drifting")),
    ofAll(answerAfter(1, "key", "random")),
    ofEngines(answerAfter(1, "slide")),
    ofEngines(answerAfter(1, "value")),
    ofEngines(answerAfter(1, "entry")),
  ];
}

/** Further counts of edits before a read; 1 and 64 are among the steps of every shape. */
function losingSteps(shape: Shape): Step[] {
  return EDIT_COUNTS.filter((edits) => edits <= shape.keyCount && edits !== 1 && edits !== 64)
    .map((edits) => ({ shape, workload: answerAfter(edits), ofPeers: false }));
}

/** Edits before a read that are looked at for a number of keys. */
export function editCounts({ keyCount }: Shape): number[] {
  return EDIT_COUNTS.filter((edits) => edits <= keyCount);
}
