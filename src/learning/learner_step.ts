/**
 * Turns derivatives into edits: the optimizer's step of each touched row is added to the newest row.
 *
 * A step is made in two parts. First the caller's functions are called (schedules, `rowRate`, the optimizer),
 * which may do anything, including edits of the engine. Then, without further calls of them, the steps are
 * added to the newest rows. Invariant: nothing is changed here; the new optimizer states are kept aside until
 * the edits are made, so that both change or neither.
 */

import type { AnyEngine } from "./any_engine.ts";
import { keyColumns, valueColumns } from "../numerics/head_layout.ts";
import { CapacityError, InputError } from "../base/errors.ts";
import type { AnyEdit, EditRules } from "../write/edits.ts";
import type { RowId } from "../write/row_ids.ts";
import type { RowKind } from "../write/newest_rows.ts";
import type { SlotTable } from "../write/slot_table.ts";
import { callGiven } from "./callbacks.ts";
import type { GradientAnswer } from "./gradient_answers.ts";
import type { KeptState } from "./learner_keeper.ts";
import type { LearnerConfig } from "./learner_options.ts";
import { checkRate } from "./rates.ts";
import type { RowStates } from "./row_states.ts";

/** States of all kinds of rows. */
export type AllStates = Readonly<Record<RowKind, RowStates>>;

/** The identities of the newest rows at the time when derivatives were asked for. */
export interface Moment {
  readonly key: number;
  readonly query: number;
}

/** The derivatives that rows are stepped by. */
export interface StepGradients extends Pick<GradientAnswer, "slots" | "rows"> {
  /** ∂L/∂q by query slot; none for passing queries. */
  readonly queries: ReadonlyMap<number, Float64Array>;
  /** Further terms of ∂L/∂v by key slot, which are added to those in `rows`. */
  readonly matched: ReadonlyMap<number, Float64Array>;
}

/** The step of one row. */
interface RowStep {
  readonly kind: RowKind;
  readonly slot: number;
  /** The step, which is added to the row. */
  readonly delta: Float64Array;
  /** The optimizer state of the row after the step. */
  readonly state: Float64Array<ArrayBuffer>;
}

/** The step of one example. */
export interface PlannedStep {
  readonly edits: readonly AnyEdit[];
  /** Stores the new optimizer states, once the edits are made. */
  keepStates(): void;
  /** The states that rows have then, for each that the edits step. */
  readonly states: readonly KeptState[];
  /** The number of rows that the edits change. */
  readonly rowCount: number;
}

export function momentOf({ keySlots, querySlots }: EditRules): Moment {
  return { key: keySlots.newestIdentity, query: querySlots.newestIdentity };
}

/** The learner whose step is planned, and the rows that it asked about. */
export interface SteppedLearner {
  readonly live: AnyEngine;
  readonly rules: EditRules;
  readonly config: LearnerConfig;
  readonly states: AllStates;
  readonly moment: Moment;
}

/** Plans the step of an example, where `step` counts the examples before it. */
export function planStep(
  operation: string,
  { live, rules, config, states, moment }: SteppedLearner,
  gradients: StepGradients,
  step: number,
): PlannedStep {
  // A row that was deleted meanwhile does not learn, nor does a row that has taken its slot.
  const isThere = (kind: RowKind, slot: number) =>
    kind === "query"
      ? isSame(rules.querySlots, slot, moment.query)
      : isSame(rules.keySlots, slot, moment.key);
  const rates = ratesOf(operation, config, step);
  const steps: RowStep[] = [];
  const add = (kind: RowKind, slot: number, gradient: Float64Array) => {
    if (!isThere(kind, slot)) return;
    const rate = rateOf(operation, config, rates[kind], kind, nameIn(rules, kind, slot), gradient);
    // The rate may be a function that has deleted rows.
    if (rate === 0 || !isThere(kind, slot)) return;
    const row = newestRow(live, rules, kind, slot);
    steps.push(optimize(operation, config, { kind, slot, gradient, row, rate }, states[kind]));
  };
  const keyWidth = keyColumns(rules.layout), width = keyWidth + valueColumns(rules.layout);
  // If only queries learn, a step need not visit the keys.
  const learnsRows = rates.key !== 0 || rates.value !== 0;
  const [answered, matched] = learnsRows ? [gradients.slots, gradients.matched.keys()] : [[], []];
  const places = new Map(Array.from(answered, (slot, at) => [slot, at]));
  for (const slot of new Set([...answered, ...matched])) {
    const place = places.get(slot);
    const own = place === undefined ? NOTHING : gradients.rows.subarray(place * width, (place + 1) * width);
    add("key", slot, own.subarray(0, keyWidth));
    add("value", slot, sumOf(own.subarray(keyWidth), gradients.matched.get(slot)));
  }
  for (const [slot, gradient] of gradients.queries) add("query", slot, gradient);

  const made = steps.filter(({ kind, slot }) => isThere(kind, slot));
  const rows = made.map((own) => stepped(operation, own, newestRow(live, rules, own.kind, own.slot)));
  return {
    edits: toEdits(made, rows, rules),
    states: made,
    rowCount: made.length,
    keepStates() {
      for (const { kind, slot, state } of made) states[kind].put(slot, state);
    },
  };
}

const NOTHING = new Float64Array(0);

/** The rate of each kind of row, 0 for a kind that does not learn. */
function ratesOf(operation: string, { rates }: LearnerConfig, step: number): Record<RowKind, number> {
  const rateOf = { key: 0, value: 0, query: 0 };
  for (const kind of ["key", "value", "query"] as const) {
    const schedule = rates[kind];
    if (!schedule) continue;
    const name = `the rate of step ${step}`;
    rateOf[kind] = callGiven(operation, () => name, "a finite number ≥ 0", () => schedule(step));
    checkRate(operation, rateOf[kind], name);
  }
  return rateOf;
}

/** The rate of one row; 0 for a row that does not learn. */
function rateOf(
  operation: string,
  { rowRate }: LearnerConfig,
  rateOfKind: number,
  kind: RowKind,
  slot: RowId,
  gradient: Float64Array,
): number {
  if (rateOfKind === 0 || gradient.every((g) => g === 0)) return 0;
  const name = () => `rowRate(${kind}, ${slot})`;
  const factor = callGiven(operation, name, "a finite number ≥ 0", () => rowRate(kind, slot));
  const rate = factor * rateOfKind;
  if (factor >= 0 && rate < Infinity) return rate;
  checkRate(operation, factor, name());
  checkRate(operation, rate, `the rate of ${kind} ${slot}`);
  return rate;
}

/** A row with the derivative and the rate of its step. */
interface RowToStep {
  readonly kind: RowKind;
  readonly slot: number;
  readonly gradient: Float64Array;
  readonly row: Float32Array;
  readonly rate: number;
}

/** Calls the optimizer for the step of one row. */
function optimize(
  operation: string,
  { optimizer }: LearnerConfig,
  { kind, slot, gradient, row, rate }: RowToStep,
  states: RowStates,
): RowStep {
  for (let c = 0; c < gradient.length; c++) {
    if (Number.isFinite(gradient[c])) continue;
    const found = `the derivative by ${kind} ${slot} is ${gradient[c]} in column ${c}`;
    throw new InputError(operation, found, "finite numbers");
  }
  const what = () => `optimizer ${optimizer.name}`;
  const copy = () => states.copyOf(slot);
  const state = CapacityError.guard(operation, "a state of the optimizer", 8 * states.length, copy);
  const delta = new Float64Array(row.length);
  const ask = () => optimizer.step(gradient.slice(), row, state, rate, delta);
  callGiven(operation, what, "a step of finite numbers", ask);
  return { kind, slot, delta, state };
}

/** A row after its step; throws unless the row and its state are finite. */
function stepped(operation: string, { kind, slot, delta, state }: RowStep, row: Float32Array): Float32Array {
  const refuse = (what: string, to: number, where: string): never => {
    const found = `the step takes ${what} to ${to} ${where}`;
    throw new InputError(operation, found, "finite numbers; a lower rate or a clip may help");
  };
  for (let at = 0; at < state.length; at++) {
    if (!Number.isFinite(state[at])) refuse(`the state of ${kind} ${slot}`, state[at], `at index ${at}`);
  }
  for (let c = 0; c < row.length; c++) {
    const before = row[c];
    row[c] = before + delta[c];
    if (!Number.isFinite(row[c])) refuse(`${kind} ${slot} from ${before}`, row[c], `in column ${c}`);
  }
  return row;
}

/** One edit for each slot; steps of the key and the value of a slot are neighbours in the list. */
function toEdits(
  steps: readonly RowStep[],
  rows: readonly Float32Array[],
  rules: EditRules,
): AnyEdit[] {
  const edits: AnyEdit[] = [];
  for (let at = 0; at < steps.length; at++) {
    const { kind } = steps[at], row = rows[at], next = steps[at + 1];
    const slot = nameIn(rules, kind, steps[at].slot);
    if (kind === "query") edits.push({ kind: "setQuery", slot, query: row });
    else if (kind === "value") edits.push({ kind: "setValue", slot, value: row });
    else if (next?.kind === "value" && next.slot === steps[at].slot) {
      edits.push({ kind: "set", slot, key: row, value: rows[at + 1] });
      at++;
    } else edits.push({ kind: "setKey", slot, key: row });
  }
  return edits;
}

function newestRow(live: AnyEngine, rules: EditRules, kind: RowKind, slot: number): Float32Array {
  const name = nameIn(rules, kind, slot);
  if (kind === "query") return live.getQuery(name);
  return kind === "key" ? live.getKey(name) : live.getValue(name);
}

/** The id of the row in a live slot, or the slot. */
function nameIn({ keySlots, querySlots }: EditRules, kind: RowKind, slot: number): RowId {
  return (kind === "query" ? querySlots : keySlots).nameOf(slot);
}

function isSame(slots: SlotTable, slot: number, newest: number): boolean {
  return slots.isLive(slot) && slots.identityOf(slot) <= newest;
}

function sumOf(own: Float64Array, other: Float64Array | undefined): Float64Array {
  if (!other || own.length === 0) return other ?? own;
  return own.map((x, c) => x + other[c]);
}

/** The sum of the derivatives of several examples, all of one moment. */
export function sumGradients(parts: readonly StepGradients[]): StepGradients {
  if (parts.length === 1) return parts[0];
  const rows = new Map<number, Float64Array>();
  const matched = new Map<number, Float64Array>(), queries = new Map<number, Float64Array>();
  const add = (to: Map<number, Float64Array>, slot: number, gradient: Float64Array) => {
    const sum = to.get(slot);
    if (sum) gradient.forEach((g, c) => sum[c] += g);
    else to.set(slot, gradient.slice());
  };
  for (const part of parts) {
    const width = part.slots.length === 0 ? 0 : part.rows.length / part.slots.length;
    part.slots.forEach((slot, at) => add(rows, slot, part.rows.subarray(at * width, (at + 1) * width)));
    for (const [slot, gradient] of part.matched) add(matched, slot, gradient);
    for (const [slot, gradient] of part.queries) add(queries, slot, gradient);
  }
  const slots = Uint32Array.from(rows.keys()).sort();
  const width = slots.length === 0 ? 0 : rows.get(slots[0])?.length ?? 0;
  const sums = new Float64Array(slots.length * width);
  slots.forEach((slot, at) => sums.set(rows.get(slot) as Float64Array, at * width));
  return { slots, rows: sums, matched, queries };
}
