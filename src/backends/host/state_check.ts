/**
 * Checks that the states of a snapshot belong to its rows. A checksum detects damage, but not a file that
 * someone has made or changed. A state that belongs to other keys would give wrong answers for as long as it
 * is patched.
 *
 * A state is a sum over all keys, so checking it takes all keys: its head row is computed from scratch in
 * float64 and compared, within the state's own error bounds and, on backends that compute weights in float32,
 * the proven rounding of weights. That takes O(n (d + dv)) per head row. `budget` limits the work: if it does
 * not suffice for all head rows, a random sample is checked.
 */

import type { Changes } from "../backend.ts";
import { NOTHING } from "../since.ts";
import { noWork } from "../work.ts";
import { type HeadLayout, keyHeadOf } from "../../numerics/head_layout.ts";
import { shiftedLog } from "../../numerics/power_shift.ts";
import { isTrusted } from "../../numerics/rounding_ledger.ts";
import type { ScoreRule } from "../../numerics/score_rule.ts";
import { FormatError } from "../../base/errors.ts";
import { type SavedArrays, takeAnyNumbers } from "../../base/saved_array.ts";
import { valueOffset } from "./key_block.ts";
import { KeyReach, STEEP_SCORE } from "./key_reach.ts";
import { weightRounding } from "./weight_rounding.ts";
import { HostRows } from "./host_rows.ts";
import { Kernels, type QueryHead } from "./kernels.ts";
import { KeysAt } from "./keys_at.ts";
import { ArrayTable } from "./number_table.ts";
import { RowStates } from "./row_states.ts";
import { RowTotals } from "./row_totals.ts";
import { StateReader } from "./state_reader.ts";
import { distance } from "./value_spread.ts";

/** The content of a snapshot that states must agree with. */
export interface StateContent {
  readonly layout: HeadLayout;
  readonly rule: ScoreRule;
  readonly tolerance: number;
  /** All slots of the snapshot; `changes.keys.bias` has all biases. */
  readonly changes: Changes;
}

/** The smallest tolerance of float32 sums, with the rounding of a device's comparison. */
const FLOAT32_TOLERANCE = 1.01e-5;
/**
 * The largest relative error that a device may charge per key of a row that it builds: not all devices keep
 * sums in two floats.
 */
const PLAIN_CHARGE = 2 ** -22, FEW_KEYS = 8;
/** The largest error that float32 kernels charge per key of a row that they build, for subnormal numbers. */
const SUBNORMAL_CHARGE = 2 ** -110;
/** With a relative error of weights of this size, a comparison is useless. */
const WORTHLESS = 0.5;
/** Factors that cover the float64 arithmetic of the comparison. */
const SLACK = 1 + 2 ** -20, EXACT_ROUNDING = 2 ** -40;
/** The cost per key of an exponential and of bookkeeping, in multiply-adds. */
const PAIR_COST = 20;

/**
 * Throws when there is a state that no backend can have had for these rows.
 *
 * @param budget The number of multiply-adds that may be spent.
 * @returns Query slots whose scores are so large that float32 resolves them poorly. Their states cannot be
 * checked and must be computed anew.
 * @throws {FormatError} When a state that was checked does not belong to its rows.
 */
export function checkStates(
  operation: string,
  states: SavedArrays,
  content: StateContent,
  budget: number,
): Uint32Array {
  const { layout, layout: { heads, headDim, valueDim }, changes: { queries } } = content;
  const reader = new StateReader(operation, states, layout, queries.slots.length);
  const rows = toHostRows(content), { stored } = rows;
  checkBalls(operation, states, layout, rows);
  const sizes = new KeyReach(layout, content.rule.scale);
  sizes.refit(rows);
  const reach = toReach(operation, states, content, sizes);
  const judge = new RowJudge(content, rows, sizes, reach, Object.hasOwn(states, "device"));
  reader.check(queries.live, (row) => reader.ceiling !== null && judge.isSteep(row));
  const headRows = liveRows(queries.live, heads).filter((row) => !reader.isLeftOut(row));
  const isBlind = (row: number) => reader.ceiling !== null && judge.isBlind(row);
  const cost = Math.max(1, stored.size) * (3 * headDim + 2 * valueDim + PAIR_COST);
  const judged = headRows.filter((row) => !isBlind(row));
  for (const row of someOf(judged, Math.max(1, Math.floor(budget / cost)))) {
    if (judge.agrees(row, reader)) continue;
    throw new FormatError(
      operation,
      `state of query ${Math.floor(row / heads)}, head ${row % heads} is not that of the keys`,
      "sums over the keys of the file",
    );
  }
  return Uint32Array.from(new Set(headRows.filter(isBlind).map((row) => Math.floor(row / heads))));
}

/** Computes head rows from scratch and compares them with states. */
class RowJudge {
  readonly #content: StateContent;
  readonly #rows: HostRows;
  readonly #keys: KeysAt;
  readonly #kernels: Kernels;
  readonly #totals: RowTotals;
  readonly #fresh: RowStates;
  readonly #sizes: KeyReach;
  readonly #reach: KeyReach;
  /** The error bound for head rows whose sums may be plain. */
  readonly #plainBound: number;

  constructor(content: StateContent, rows: HostRows, sizes: KeyReach, reach: KeyReach, isOfDevice: boolean) {
    const { layout, rule } = content, work = noWork();
    this.#content = content;
    this.#rows = rows;
    this.#keys = rows.keysAt(NOTHING);
    this.#sizes = sizes;
    this.#reach = reach;
    this.#kernels = new Kernels(layout, rule, work);
    this.#totals = new RowTotals(layout, work);
    this.#fresh = new RowStates(layout.valueDim + 2, 1);
    this.#plainBound = isOfDevice ? PLAIN_CHARGE * (rows.size + FEW_KEYS) : 0;
  }

  /** Whether float32 kernels do not compute a head row, since its keys or values are too large. */
  isSteep(row: number): boolean {
    const { layout } = this.#content;
    return this.#reach.isSteep(this.#normOf(row), keyHeadOf(layout, row % layout.heads));
  }

  #queryHead(row: number): QueryHead {
    const { heads } = this.#content.layout;
    return this.#rows.queryHead(Math.floor(row / heads), row % heads);
  }

  #normOf(row: number): number {
    return this.#rows.queryNorm(this.#queryHead(row));
  }

  /** Whether float32 resolves a head row's scores so poorly that its sums cannot be checked. */
  isBlind(row: number): boolean {
    return this.#roundingOf(row, 0) >= WORTHLESS && !this.isSteep(row);
  }

  /** Whether the state that `reader` has for a head row can be its state. */
  agrees(row: number, reader: StateReader): boolean {
    const { layout, tolerance } = this.#content, head = row % layout.heads;
    const isExact = reader.ceiling === null;
    if (!isExact && this.isSteep(row)) return true;

    this.#kernels.select(this.#queryHead(row));
    reader.read(row);
    const { state } = reader, total = this.#totals;
    total.take(state, 0, this.#keys, head);
    if (!state.heavyScores.subarray(0, state.heavyCount[0]).every(Number.isFinite)) return false;
    // Such a head row is answered from its keys, so its sums do not matter.
    if (!isExact && total.mass > 0 && Math.abs(total.shift) >= STEEP_SCORE) return true;
    const bound = isExact ? tolerance : Math.max(tolerance, FLOAT32_TOLERANCE, this.#plainBound);
    const charge = isExact ? 0 : SUBNORMAL_CHARGE * (this.#rows.size + 1);
    const floors = {
      ofMass: charge,
      ofSums: charge * Math.max(1, this.#sizes.magnitudes[keyHeadOf(layout, head)]),
    };
    const { mass, massError, sumError, sums } = total;
    const magnitude = sums[sums.length - 1];
    if (!isTrusted(massError - floors.ofMass, mass, sumError - floors.ofSums, magnitude, bound)) return false;
    const rounding = (logSumExp: number) => isExact ? EXACT_ROUNDING : this.#roundingOf(row, logSumExp);
    const weights = rounding(total.logSumExp());
    return this.#agreesInHeavy(state, weights) && this.#agreesInSums(state, rounding, floors) &&
      (reader.ceiling === null || this.#agreesInCeiling(state, reader.ceiling[row], weights));
  }

  /** A bound on the relative error of float32 weights in a head row with this log-sum-exp. */
  #roundingOf(row: number, logSumExp: number): number {
    const { layout: { heads, headDim }, layout, rule } = this.#content;
    const largestProduct = Math.abs(rule.scale) * this.#normOf(row) *
      this.#sizes.norms[keyHeadOf(layout, row % heads)];
    const rounded = { logSumExp, largestProduct, keyCount: this.#rows.size };
    return weightRounding(rounded, rule, headDim, this.#content.changes.keys.bias === null ? 0 : 1).mass;
  }

  /** Whether the scores of a state's heavy keys are those of the selected head row. */
  #agreesInHeavy({ heavyCount, heavySlots, heavyScores }: RowStates, weights: number): boolean {
    const within = SLACK * Math.log1p(weights);
    return heavySlots.subarray(0, heavyCount[0]).every((slot, at) => {
      const score = this.#kernels.scoreWithBias(this.#keys.stored, slot);
      const isSeen = score > -Infinity;
      return isSeen && Math.abs(heavyScores[at] - score) <= within * Math.max(1, Math.abs(score));
    });
  }

  /**
   * Whether exactly the keys above the ceiling are heavy: when a key is removed, kernels decide by the
   * ceiling whether it is in the sums.
   */
  #agreesInCeiling({ heavyCount, heavySlots }: RowStates, ceiling: number, weights: number): boolean {
    const heavy = heavySlots.subarray(0, heavyCount[0]), within = 2 ** -20 + 2 * Math.log2(1 + weights);
    for (let j = 0; j < this.#rows.size; j++) {
      const score = this.#kernels.scoreWithBias(this.#keys.stored, j);
      if (score === -Infinity) continue;
      // Powers are rounded to integers.
      const above = score * Math.LOG2E - (ceiling + 0.5);
      if (heavy.includes(j) ? above < -within : above > within) return false;
    }
    return true;
  }

  /** Whether the sums of a state are those of the selected head row over all keys but the heavy ones. */
  #agreesInSums(
    state: RowStates,
    rounding: (logSumExp: number) => number,
    floors: { readonly ofMass: number; readonly ofSums: number },
  ): boolean {
    const { layout: { valueDim } } = this.#content;
    const { stored, retained } = this.#keys, others = stored.live.slice(), fresh = this.#fresh;
    for (let at = 0; at < state.heavyCount[0]; at++) others[state.heavySlots[at]] = 0;
    this.#kernels.buildRow(fresh, 0, new KeysAt({ ...stored, live: others }, retained, NOTHING));
    const shift = state.shift[0], freshShift = fresh.shift[0], isEmpty = freshShift === -Infinity;
    // Such sums are not read: the head row is answered from its keys, or by its heavy keys while it has any.
    const isFar = !isEmpty && Math.abs(freshShift * Math.LN2) >= 2 * STEEP_SCORE;
    if (floors.ofMass > 0 && isFar) return Math.abs(shift) >= STEEP_SCORE;
    const weights = isEmpty ? 0 : rounding(shiftedLog(fresh.high[valueDim], freshShift));
    const factor = isEmpty ? 0 : 2 ** (freshShift - shift);
    if (!Number.isFinite(factor)) return false;
    const last = valueDim + 1;
    // Weights are off by factors of up to 1 + `weights` in either direction.
    const least = factor * fresh.high[valueDim] / (1 + weights) - state.massError[0] - floors.ofMass;
    if (!(state.high[valueDim] + state.low[valueDim] >= least / SLACK)) return false;
    const boundOf = (own: number, other: number, size: number) =>
      own + SLACK * factor * (other + weights * size);
    const ofMass = floors.ofMass + boundOf(state.massError[0], fresh.massError[0], fresh.high[valueDim]);
    const ofSums = floors.ofSums + boundOf(state.sumError[0], fresh.sumError[0], fresh.high[last]);
    for (let c = 0; c <= last; c++) {
      const held = state.high[c] + state.low[c], right = factor * (fresh.high[c] + fresh.low[c]);
      // The comparison is negated so that NaN does not pass.
      if (!(Math.abs(held - right) <= (c === valueDim ? ofMass : ofSums))) return false;
    }
    return true;
  }
}

/** Stores the rows of a snapshot at a host. */
function toHostRows(
  { layout, rule, tolerance, changes, changes: { keys, queries } }: StateContent,
): HostRows {
  const { bias, slots } = keys, pairs = slots.length * queries.slots.length;
  const maskHeads = bias === null || pairs === 0 ? 0 : bias.length / pairs;
  const columns = layout.valueDim + 2;
  const rows = new HostRows({ layout, rule, maskHeads, tolerance }, {
    layout,
    maskHeads,
    columns,
    hasPositions: true,
    makeTable: () => new ArrayTable(),
  });
  rows.reserve(rows.sizesFor(changes, NOTHING.retained));
  rows.stored.store(keys);
  rows.storeQueries(queries);
  return rows;
}

/** Throws when a ball does not contain all values. */
function checkBalls(
  operation: string,
  states: SavedArrays,
  { kvHeads, valueDim }: HeadLayout,
  { stored }: HostRows,
): void {
  const centres = Float64Array.from(takeAnyNumbers(operation, states, "centres", [kvHeads, valueDim]));
  const radii = takeAnyNumbers(operation, states, "radii", [kvHeads]);
  const block = stored.block(), { count, live, values } = block;
  for (let j = 0; j < count; j++) {
    if (live[j] === 0) continue;
    for (let head = 0; head < kvHeads; head++) {
      const away = distance(centres, head * valueDim, values, valueOffset(block, j, head), valueDim);
      if (away <= radii[head] * SLACK) continue;
      const found = `the ball of key head ${head} has the radius ${radii[head]}`;
      throw new FormatError(operation, found, `at least ${away}, how far key ${j}'s value lies`);
    }
  }
}

/**
 * Reads the bounds that decide which head rows are steep; throws if a key exceeds them. Does nothing if none
 * are saved.
 */
function toReach(
  operation: string,
  states: SavedArrays,
  { layout, rule }: StateContent,
  sizes: KeyReach,
): KeyReach {
  const reach = new KeyReach(layout, rule.scale);
  if (!Object.hasOwn(states, "norms")) return reach;
  const take = (name: "norms" | "magnitudes") => {
    const bounds = Float64Array.from(takeAnyNumbers(operation, states, name, [layout.kvHeads]));
    bounds.forEach((bound, head) => {
      if (sizes[name][head] <= bound * SLACK) return;
      const found = `tensor ${name} has ${bound} at index ${head}`;
      throw new FormatError(operation, found, `at least ${sizes[name][head]}, that of a key of the file`);
    });
    return bounds;
  };
  reach.restore(take("norms"), take("magnitudes"));
  return reach;
}

function liveRows(live: Uint8Array, heads: number): number[] {
  const rows: number[] = [];
  for (let slot = 0; slot < live.length; slot++) {
    if (live[slot] === 1) { for (let head = 0; head < heads; head++) rows.push(slot * heads + head); }
  }
  return rows;
}

/** All rows if there are at most `count`, else a random sample of that size. */
function someOf(rows: number[], count: number): readonly number[] {
  if (count >= rows.length) return rows;
  const draws = crypto.getRandomValues(new Uint32Array(Math.min(count, 2 ** 14)));
  draws.forEach((draw, at) => {
    const other = at + draw % (rows.length - at);
    [rows[at], rows[other]] = [rows[other], rows[at]];
  });
  return rows.slice(0, draws.length);
}
