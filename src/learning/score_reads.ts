/**
 * Reads the scores of an example from the engine: exact ones, or stale ones as of the last update of the
 * query.
 */

import { keyHeadOf, outputColumns, queryColumns } from "../numerics/head_layout.ts";
import { EngineCore } from "../engine/engine_core.ts";
import type { AnyEngine } from "./any_engine.ts";
import { type CheckedExample, partnerOf, scoresOf } from "./examples.ts";

/** Scores of a stale answer. */
export interface StaleScores {
  readonly scores: Float64Array<ArrayBuffer>;
  /** For each score, a bound on its distance from exact. */
  readonly bounds: Float64Array<ArrayBuffer>;
  /** The number of changed keys that the answer does not include. */
  readonly pending: number;
}

/** The current values of the keys that an example is scored against, by key slot. */
export function valuesOf(
  live: AnyEngine,
  { against }: CheckedExample,
): (slot: number) => ArrayLike<number> {
  const { keySlots } = EngineCore.of("getValue", live).rules;
  const valueOf = (slot: number) => live.getValue(keySlots.nameOf(slot));
  const values = new Map(Array.from(against ?? [], (slot) => [slot, valueOf(slot)]));
  return (slot) => values.get(slot) ?? [];
}

/** Exact scores, as of the call. */
export async function readScores(
  operation: string,
  live: AnyEngine,
  example: CheckedExample,
): Promise<Float64Array<ArrayBuffer>> {
  const { layout, querySlots, frame } = EngineCore.of(operation, live).rules;
  const { rows } = example;
  const named = rows.kind === "standing" ? Array.from(rows.slots, (slot) => querySlots.nameOf(slot)) : null;
  const output = rows.kind === "standing" ? live.read(named ?? []) : live.attend(
    { data: rows.queries.rows, shape: [1, queryColumns(layout)] },
    { positions: Float64Array.from(rows.queries.positions, (held) => frame.position(held)) },
  );
  // The values are copied now, so that they are as of the same edit as the output.
  const valueOf = valuesOf(live, example);
  return scoresOf(example, (await output).data, valueOf, layout);
}

/** Scores of a standing query as of its last update; bounds are Infinity unless `certified`. */
export async function peekScores(
  operation: string,
  live: AnyEngine,
  example: CheckedExample,
  slots: Uint32Array,
  certified: boolean,
): Promise<StaleScores> {
  const { querySlots } = EngineCore.of(operation, live).rules;
  const named = Array.from(slots, (slot) => querySlots.nameOf(slot));
  const answer = live.peek(named, { bounds: certified });
  const toScores = staleScoresOf(operation, live, example);
  const { output, bounds: [bound], pending } = await answer;
  return { ...toScores(output.data, bound), pending };
}

/**
 * Computes the scores of an example, with bounds, from an output and a bound on its distance from exact. Values are read at
 * once, so that they are as of the same edit as the output.
 */
export function staleScoresOf(
  operation: string,
  live: AnyEngine,
  example: CheckedExample,
): (output: ArrayLike<number>, bound: number) => Omit<StaleScores, "pending"> {
  const { layout, errors } = EngineCore.of(operation, live).rules, width = outputColumns(layout);
  const valueOf = valuesOf(live, example);
  // This is ‖v‖ over all heads, and how far v may be from the value that was given.
  const sizes = Array.from(example.against ?? [], (slot) => {
    const value = valueOf(slot);
    let squared = 0, off = 0;
    for (let at = 0; at < width; at++) squared += value[partnerOf(at, layout)] ** 2;
    for (let head = 0; errors && head < layout.heads; head++) {
      off += errors.ofValue(slot, keyHeadOf(layout, head)) ** 2;
    }
    return { length: Math.sqrt(squared), off: Math.sqrt(off) };
  });
  return (output, bound) => {
    let squared = 0;
    for (let at = 0; at < output.length; at++) squared += output[at] ** 2;
    // |o·v − o'·v'| ≤ ‖o − o'‖‖v'‖ + ‖o‖‖v − v'‖; a product is 0 if one factor is 0, even if the other is Infinity.
    const boundOf = ({ length, off }: (typeof sizes)[number]) =>
      product(bound, length) + product(Math.sqrt(squared) + bound, off);
    const bounds = example.against
      ? Float64Array.from(sizes, boundOf)
      : Float64Array.from(example.columns, () => bound);
    return { scores: scoresOf(example, output, valueOf, layout), bounds };
  };
}

function product(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : a * b;
}
