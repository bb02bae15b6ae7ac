/**
 * From derivatives to edits: each touched row is moved by its optimizer, from the newest row that there is.
 *
 * Invariant: nothing is changed here. The states that rows will have are kept aside until the edits are made, so that
 * both change or neither.
 */

import { keyColumns, valueColumns } from "../core/head_layout.ts";
import type { DynamicAttention } from "../dynamic_attention.ts";
import { InputError } from "../errors.ts";
import type { Edit, EditRules } from "../lazy/edits.ts";
import type { RowKind } from "../lazy/newest_rows.ts";
import type { SlotTable } from "../lazy/slot_table.ts";
import type { GradientAnswer } from "./gradient_question.ts";
import type { LearnerConfig } from "./learner_options.ts";
import { checkRate } from "./rates.ts";
import type { RowStates } from "./row_states.ts";

/** States of all kinds of rows. */
export type AllStates = Readonly<Record<RowKind, RowStates>>;

/** Which rows there were when derivatives were asked for. */
export interface Moment {
  readonly key: number;
  readonly query: number;
}

/** What is to be stepped by. */
export interface StepGradients extends Pick<GradientAnswer, "slots" | "rows" | "query"> {
  /** The standing query that was asked about; null for a passing one. */
  readonly querySlot: number | null;
  /** ∂L/∂v beside the part of `rows`, by slot. */
  readonly matched: ReadonlyMap<number, Float64Array>;
}

/** What is to be done. */
export interface PlannedStep {
  readonly edits: readonly Edit[];
  /** Keeps the states of the rows, once the edits are made. */
  keepStates(): void;
  /** Rows that the edits step. */
  readonly rowCount: number;
}

export function momentOf({ keySlots, querySlots }: EditRules): Moment {
  return { key: keySlots.newestIdentity, query: querySlots.newestIdentity };
}

/** Plans the step of the example after `step` others. */
export function planStep(
  operation: string,
  live: DynamicAttention,
  parts: EditRules,
  config: LearnerConfig,
  states: AllStates,
  moment: Moment,
  gradients: StepGradients,
  step: number,
): PlannedStep {
  const { layout, keySlots, querySlots } = parts;
  const planned: { readonly states: RowStates; readonly slot: number; readonly state: Float64Array }[] = [];
  const edits: Edit[] = [];
  const rateOf: Record<RowKind, number> = { key: 0, value: 0, query: 0 };
  for (const kind of ["key", "value", "query"] as const) {
    const schedule = config.rates[kind];
    if (!schedule) continue;
    rateOf[kind] = schedule(step);
    checkRate(operation, rateOf[kind], `the rate of step ${step}`);
  }
  /** The row after its step; null when it stays as it is. */
  const move = (kind: RowKind, slot: number, gradient: Float64Array): Float32Array | null => {
    if (rateOf[kind] === 0 || gradient.every((g) => g === 0)) return null;
    const factor = config.rowRate(kind, slot);
    checkRate(operation, factor, `rowRate(${kind}, ${slot})`);
    if (factor === 0) return null;
    const row = kind === "key"
      ? live.getKey(slot)
      : kind === "value"
      ? live.getValue(slot)
      : live.getQuery(slot);
    const state = states[kind].copyOf(slot);
    const delta = new Float64Array(row.length);
    config.optimizer.step(gradient, row, state, factor * rateOf[kind], delta);
    for (let c = 0; c < row.length; c++) {
      const before = row[c];
      row[c] = before + delta[c];
      if (Number.isFinite(row[c])) continue;
      throw new InputError(
        operation,
        `the step takes ${kind} ${slot} from ${before} to ${row[c]} in column ${c}`,
        "finite numbers; a lower rate or a clip may help",
      );
    }
    planned.push({ states: states[kind], slot, state });
    return row;
  };
  const keyWidth = keyColumns(layout), width = keyWidth + valueColumns(layout);
  // Where queries alone learn, a step costs no look at the keys.
  const learnsRows = rateOf.key !== 0 || rateOf.value !== 0;
  const [answered, matched] = learnsRows ? [gradients.slots, gradients.matched.keys()] : [[], []];
  const places = new Map(Array.from(answered, (slot, at) => [slot, at]));
  for (const slot of new Set([...answered, ...matched])) {
    // What was deleted meanwhile learns nothing, nor does what has taken its slot.
    if (!isSame(keySlots, slot, moment.key)) continue;
    const place = places.get(slot);
    const own = place === undefined ? NOTHING : gradients.rows.subarray(place * width, (place + 1) * width);
    const key = move("key", slot, own.subarray(0, keyWidth));
    const value = move("value", slot, sumOf(own.subarray(keyWidth), gradients.matched.get(slot)));
    if (key && value) edits.push({ kind: "set", slot, key, value });
    else if (key) edits.push({ kind: "setKey", slot, key });
    else if (value) edits.push({ kind: "setValue", slot, value });
  }
  const { querySlot } = gradients;
  if (querySlot !== null && isSame(querySlots, querySlot, moment.query)) {
    const query = move("query", querySlot, gradients.query);
    if (query) edits.push({ kind: "setQuery", slot: querySlot, query });
  }
  return {
    edits,
    rowCount: planned.length,
    keepStates() {
      for (const { states, slot, state } of planned) states.put(slot, state);
    },
  };
}

const NOTHING = new Float64Array(0);

function isSame(slots: SlotTable, slot: number, newest: number): boolean {
  return slots.isLive(slot) && slots.identityOf(slot) <= newest;
}

function sumOf(own: Float64Array, other: Float64Array | undefined): Float64Array {
  if (!other || own.length === 0) return other ?? own;
  return own.map((x, c) => x + other[c]);
}
