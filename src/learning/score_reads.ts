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
  const { layout, querySlots, errors } = EngineCore.of(operation, live).rules;
  const named = Array.from(slots, (slot) => querySlots.nameOf(slot));
  const answer = live.peek(named, { bounds: certified });
  const valueOf = valuesOf(live, example);
  // How far a value may be from the one that was given, over all heads, as of now.
  const offs = new Map(Array.from(example.against ?? [], (slot) => {
    let squared = 0;
    for (let head = 0; errors && head < layout.heads; head++) {
      squared += errors.ofValue(slot, keyHeadOf(layout, head)) ** 2;
    }
    return [slot, Math.sqrt(squared)];
  }));
  const { output, bounds: [bound], pending } = await answer;
  const lengthOf = (slot: number) => {
    const value = valueOf(slot);
    let sum = 0;
    for (let at = 0; at < outputColumns(layout); at++) sum += value[partnerOf(at, layout)] ** 2;
    return Math.sqrt(sum);
  };
  // The bound is 0 if one factor is 0, even if the other is Infinity.
  const boundOf = (length: number) => bound === 0 || length === 0 ? 0 : bound * length;
  const bounds = example.against
    ? Float64Array.from(example.against, (slot) => {
      // |o·v − o'·v'| ≤ ‖o − o'‖‖v'‖ + ‖o‖‖v − v'‖
      const off = offs.get(slot) ?? 0;
      return boundOf(lengthOf(slot)) + (off === 0 ? 0 : (Math.hypot(...output.data) + bound) * off);
    })
    : Float64Array.from(example.columns, () => bound);
  return { scores: scoresOf(example, output.data, valueOf, layout), bounds, pending };
}
