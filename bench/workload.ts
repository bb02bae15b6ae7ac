// The workloads: sizes, and the edits of keys and queries between two answers.

/** m standing queries of one head over n keys. */
export interface Shape {
  readonly queryCount: number;
  readonly keyCount: number;
  readonly headDim: number;
  readonly valueDim: number;
}

/** d = dv of every measurement. */
export const HEAD_DIM = 64;

/** The kinds of edits; a slide deletes the oldest key and inserts a new one. */
export type EditKind = "key" | "value" | "entry" | "slide";
/**
 * The query slots that are read: all, or a few: always the same ones, a band that moves by one each time, or
 * a random sample.
 */
export type RowChoice = "all" | "same" | "drifting" | "random";

/** A workload, which is repeated. */
export type Workload =
  /** Everything from scratch, of inputs that are in place. */
  | { readonly kind: "rebuild" }
  /** `changes` keys exchanged in the applied state; only of an engine. */
  | { readonly kind: "patch"; readonly changes: number }
  /**
   * `edits` edits, then an answer. A peer writes the changed rows into its inputs and computes the rows asked
   * for.
   */
  | { readonly kind: "answer"; readonly edit: EditKind; readonly edits: number; readonly rows: RowChoice };

/** Rows of an answer that is not about all of them. */
export const FEW_ROWS = 16;

/** A name that says everything. */
export function describeWorkload(workload: Workload): string {
  switch (workload.kind) {
    case "rebuild":
      return "rebuild";
    case "patch":
      return `patch ${workload.changes}`;
    case "answer": {
      const { edit, edits, rows } = workload;
      return `${edits} ${edit} ${edits === 1 ? "edit" : "edits"}, read ${rows}`;
    }
  }
}

/** Sizes as a word: 128x4096 is 128 queries over 4,096 keys. */
export function describeShape({ queryCount, keyCount }: Shape): string {
  return `${queryCount}x${keyCount}`;
}

export function shapeOf(queryCount: number, keyCount: number): Shape {
  return { queryCount, keyCount, headDim: HEAD_DIM, valueDim: HEAD_DIM };
}

/** The rows that an answer is about. */
export function rowCount({ queryCount }: Shape, rows: RowChoice): number {
  return rows === "all" ? queryCount : Math.min(FEW_ROWS, queryCount);
}

/**
 * The least arithmetic that a workload needs, in floating-point operations: for a rebuild the two products of
 * every pair; for a patch of keys one new score and one difference of weights a pair. Null where it depends
 * on the way.
 */
export function leastFlops(
  workload: Workload,
  { queryCount, keyCount, headDim, valueDim }: Shape,
): number | null {
  const aPair = 2 * (headDim + valueDim);
  if (workload.kind === "rebuild") return queryCount * keyCount * aPair;
  return workload.kind === "patch" ? queryCount * workload.changes * aPair : null;
}
