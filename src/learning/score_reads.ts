/**
 * The scores of an example, asked of the engine: exact, or from a row as it was last brought up to date.
 */

import { outputColumns, queryColumns } from "../numerics/head_layout.ts";
import { EngineCore } from "../engine/engine_core.ts";
import type { AnyEngine } from "./any_engine.ts";
import { type CheckedExample, partnerOf, scoresOf } from "./examples.ts";

/** Scores of a stale row. */
export interface StaleScores {
  readonly scores: Float64Array<ArrayBuffer>;
  /** For each score, how far it can be from exact. */
  readonly bounds: Float64Array<ArrayBuffer>;
  /** Changed keys that the row does not know of. */
  readonly pending: number;
}

/** The values that an example is matched with, as they are now, by key slot. */
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
  const { layout, querySlots } = EngineCore.of(operation, live).rules;
  const { rows } = example;
  const named = rows.kind === "standing" ? Array.from(rows.slots, (slot) => querySlots.nameOf(slot)) : null;
  const output = rows.kind === "standing" ? live.read(named ?? []) : live.attend(
    { data: rows.queries.rows, shape: [1, queryColumns(layout)] },
    { positions: rows.queries.positions },
  );
  // Of the same moment as the output.
  const valueOf = valuesOf(live, example);
  return scoresOf(example, (await output).data, valueOf, layout);
}

/** Scores of a standing query as it was last brought up to date; bounds are Infinity unless `certified`. */
export async function peekScores(
  operation: string,
  live: AnyEngine,
  example: CheckedExample,
  slots: Uint32Array,
  certified: boolean,
): Promise<StaleScores> {
  const { layout, querySlots } = EngineCore.of(operation, live).rules;
  const named = Array.from(slots, (slot) => querySlots.nameOf(slot));
  const answer = live.peek(named, { bounds: certified });
  const valueOf = valuesOf(live, example);
  const { output, bounds: [bound], pending } = await answer;
  const lengthOf = (slot: number) => {
    const value = valueOf(slot);
    let sum = 0;
    for (let at = 0; at < outputColumns(layout); at++) sum += value[partnerOf(at, layout)] ** 2;
    return Math.sqrt(sum);
  };
  // A bound of 0 or a value of 0 makes it 0, whatever the other is.
  const boundOf = (length: number) => bound === 0 || length === 0 ? 0 : bound * length;
  const bounds = example.against
    ? Float64Array.from(example.against, (slot) => boundOf(lengthOf(slot)))
    : Float64Array.from(example.columns, () => bound);
  return { scores: scoresOf(example, output.data, valueOf, layout), bounds, pending };
}
