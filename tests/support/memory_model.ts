// What an engine should hold, kept as plainly as possible: rows by slot. It knows nothing of logs, layers or
// thresholds; every expected answer is computed from scratch by the oracle.

import { referenceAttention, type ReferenceCase, type ReferenceResult } from "../../src/core/reference.ts";

/** Keys, values and queries by slot. */
export class MemoryModel {
  readonly headDim: number;
  readonly valueDim: number;
  readonly scale: number;
  readonly keys: Map<number, Float32Array>;
  readonly values: Map<number, Float32Array>;
  readonly queries: Map<number, Float32Array>;

  constructor(
    sizes: { headDim: number; valueDim: number; scale: number },
    rows: {
      query: readonly ArrayLike<number>[];
      key: readonly ArrayLike<number>[];
      value: readonly ArrayLike<number>[];
    },
  ) {
    this.headDim = sizes.headDim;
    this.valueDim = sizes.valueDim;
    this.scale = sizes.scale;
    this.keys = bySlot(rows.key);
    this.values = bySlot(rows.value);
    this.queries = bySlot(rows.query);
  }

  /** Live key slots in ascending order. */
  get keySlots(): number[] {
    return [...this.keys.keys()].sort((a, b) => a - b);
  }

  /** Live query slots in ascending order. */
  get querySlots(): number[] {
    return [...this.queries.keys()].sort((a, b) => a - b);
  }

  /** A copy of what is held now. */
  snapshot(): MemoryModel {
    const copy = new MemoryModel(this, { query: [], key: [], value: [] });
    for (const [slot, row] of this.keys) copy.keys.set(slot, row.slice());
    for (const [slot, row] of this.values) copy.values.set(slot, row.slice());
    for (const [slot, row] of this.queries) copy.queries.set(slot, row.slice());
    return copy;
  }

  /** The question that the oracle is asked for some query slots, or for passing queries. */
  caseOf(query: readonly ArrayLike<number>[]): ReferenceCase {
    const slots = this.keySlots;
    return {
      query,
      key: slots.map((slot) => this.keys.get(slot)!),
      value: slots.map((slot) => this.values.get(slot)!),
      scale: this.scale,
      valueDim: this.valueDim,
    };
  }

  /** As `caseOf`, of standing queries. */
  standing(rows: readonly number[] = this.querySlots): ReferenceCase {
    return this.caseOf(rows.map((slot) => this.queries.get(slot)!));
  }

  /** The oracle's answer for standing queries. */
  answer(rows: readonly number[] = this.querySlots): ReferenceResult {
    return referenceAttention(this.standing(rows));
  }
}

function bySlot(rows: readonly ArrayLike<number>[]): Map<number, Float32Array> {
  return new Map(rows.map((row, slot) => [slot, Float32Array.from(row)]));
}
