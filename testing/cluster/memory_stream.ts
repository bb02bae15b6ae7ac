// A stream of edits of a memory that depends on its numbers alone, so that any process can make batch 17, and
// the oracle's answer after any number of batches.

import type { ClusterEdit } from "../../src/cluster/mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assertLessOrEqual } from "../assert.ts";
import { Random } from "../random.ts";

/** The shape of the memory. */
export const SHAPE = { dim: 4, valueDim: 3, partitions: 4, heads: 2, replicas: 2 } as const;
/** The queries that stand. */
export const QUERIES: readonly Float32Array[] = new Random(91).rows(3, SHAPE.heads * SHAPE.dim);
/** Their ids. */
export const QUERY_IDS: readonly string[] = QUERIES.map((_, at) => `query ${at}`);

const EDITS = 8, IDS = 150;

/** The edits of batch `number`. */
export function editsOf(number: number): ClusterEdit[] {
  const random = new Random(1000 + number);
  return Array.from({ length: EDITS }, (): ClusterEdit => {
    const id = `key ${random.below(IDS)}`;
    if (number > 0 && random.below(5) === 0) return { kind: "delete", id };
    return {
      kind: "set",
      id,
      key: random.row(SHAPE.heads * SHAPE.dim),
      value: random.row(SHAPE.heads * SHAPE.valueDim),
    };
  });
}

/** The memory as it must be. */
export class MemoryModel {
  readonly #keys = new Map<string, { readonly key: Float32Array; readonly value: Float32Array }>();
  /** Batches that were made. */
  batches = 0;

  /** Makes batches until there are `batches`. */
  advance(batches: number): void {
    for (; this.batches < batches; this.batches++) {
      for (const edit of editsOf(this.batches)) {
        if (edit.kind === "delete") this.#keys.delete(edit.id);
        else if (edit.kind === "set") {
          this.#keys.set(edit.id, { key: toRow(edit.key), value: toRow(edit.value) });
        }
      }
    }
  }

  /** What a read of {@link QUERY_IDS} must give, in float64. */
  answers(): number[] {
    const rows = [...this.#keys.values()];
    return referenceAttention({
      query: QUERIES,
      key: rows.map(({ key }) => key),
      value: rows.map(({ value }) => value),
      scale: 1 / Math.sqrt(SHAPE.dim),
      valueDim: SHAPE.valueDim,
      heads: SHAPE.heads,
    }).output.flat();
  }
}

/** How far an answer is from the oracle's, at most. */
export function errorOf(given: ArrayLike<number>, expected: readonly number[]): number {
  return expected.reduce((most, value, at) => Math.max(most, Math.abs(value - given[at])), 0);
}

/** Fails where an answer is further from the oracle's than rounding. */
export function assertAnswers(given: ArrayLike<number>, expected: readonly number[], what: string): void {
  assertLessOrEqual(errorOf(given, expected), 1e-7, what);
}

function toRow(row: unknown): Float32Array {
  if (row instanceof Float32Array) return row;
  throw new TypeError("edits of the stream have Float32Arrays");
}
