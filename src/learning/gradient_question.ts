/**
 * Asks the engine for derivatives in the order of turns: they are exact as of the call, whatever is edited
 * before the answer comes.
 *
 * There are two ways. With all keys, head rows are scored in float64 from the stored keys and values, with
 * the same bits on every backend. With the heaviest keys only, the backend computes the weights, and only the
 * heaviest keys are touched; the weight of the other keys is reported as left out.
 */

import type { AnyEngine } from "./any_engine.ts";
import type { Backend, PassingBias, PassingQueries, RowSource } from "../backends/backend.ts";
import {
  addHeadGradient,
  type GradientSums,
  type HeadKeys,
  scoreKeys,
  toWeights,
  weighValues,
} from "../numerics/attention_gradient.ts";
import { heaviestOf } from "../numerics/heaviest.ts";
import {
  type HeadLayout,
  keyColumns,
  keyHeadOf,
  outputColumns,
  queryColumns,
  valueColumns,
} from "../numerics/head_layout.ts";
import { blockBiasAt } from "../numerics/block_bias.ts";
import { biasAt } from "../numerics/distance_bias.ts";
import { Turner } from "../numerics/rotary.ts";
import { isBiasCapped, score, type ScoreRule, sinkOf } from "../numerics/score_rule.ts";
import { EngineCore } from "../engine/engine_core.ts";
import { CapacityError, InputError } from "../base/errors.ts";
import type { Mask } from "../write/mask.ts";

/** The queries whose outputs are differentiated: standing or passing ones. */
export type GradientRows =
  | { readonly kind: "standing"; readonly slots: Uint32Array }
  | { readonly kind: "passing"; readonly queries: PassingQueries };

/** A question. */
export interface GradientQuestion {
  readonly rows: GradientRows;
  /** The number of heaviest keys of each head row that count; Infinity for all. */
  readonly top: number;
  /** Whether derivatives by keys and values are wanted. */
  readonly wantsRows: boolean;
  /** Whether derivatives by every score are wanted. */
  readonly wantsBias: boolean;
  /** Computes g from o, both r rows of H·dv numbers. */
  readonly toOutputGradient: (output: Float64Array) => Float64Array;
}

/** The answer, for T touched keys. */
export interface GradientAnswer {
  /** T slots in ascending order. */
  readonly slots: Uint32Array<ArrayBuffer>;
  /** r × H·d. */
  readonly query: Float64Array<ArrayBuffer>;
  /** T rows `[key | value]`; empty if not wanted. */
  readonly rows: Float64Array<ArrayBuffer>;
  /** r × H × T; empty if not wanted. */
  readonly bias: Float64Array<ArrayBuffer>;
  /** r × H: 1 minus the weights that counted. */
  readonly leftOut: Float64Array<ArrayBuffer>;
}

/** Rows of keys that a question needs, side by side. */
interface Gathered {
  readonly slots: Uint32Array<ArrayBuffer>;
  readonly rows: Float32Array;
  readonly positions: Float64Array;
}

/**
 * Computes the answer to a question as of the call. `rows` must be live.
 *
 * @throws {InputError} When a derivative leaves the range of float64.
 */
export function askGradients(
  operation: string,
  live: AnyEngine,
  question: GradientQuestion,
): Promise<GradientAnswer> {
  const inside = EngineCore.of(operation, live);
  const { rows, top } = question;
  const { keySlots, querySlots } = inside.rules;
  const asOfNow = {
    slots: keySlots.liveSlots(),
    keySize: keySlots.size,
    querySize: querySlots.size,
  };
  const standing = rows.kind === "standing" ? rows.slots : NO_ROWS;
  const isSparse = rows.kind === "standing" && top < asOfNow.slots.length;
  return inside.ask(operation, standing, async ({ backend, read }) => {
    let largest = 0;
    const watched: GradientQuestion = {
      ...question,
      toOutputGradient(output) {
        const gradient = question.toOutputGradient(output);
        largest = gradient.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
        return gradient;
      },
    };
    const answer = isSparse
      ? await answerFromHeaviest(inside, backend, watched, asOfNow, Float64Array.from((await read()).output))
      : answerFromAll(operation, inside, backend, watched, asOfNow);
    // The comparison is negated so that it holds for NaN.
    if (!(largest < SAFE_GRADIENT)) checkFinite(operation, answer, rows, inside.rules.layout);
    return answer;
  });
}

/**
 * If |g| is below this, no derivative leaves the range of float64: a derivative is at most g · 2⁴ · 10¹²⁰,
 * for float32 rows and a float32 scale, times the number of terms.
 */
const SAFE_GRADIENT = 1e150;

function checkFinite(
  operation: string,
  { slots, query, rows, bias }: GradientAnswer,
  asked: GradientRows,
  layout: HeadLayout,
): void {
  const refuse = (what: string, number: number) => {
    const expected = "finite numbers; the derivative by the output is too large for them";
    throw new InputError(operation, `a derivative by ${what} is ${number}`, expected);
  };
  const check = (numbers: Float64Array, what: (at: number) => string) => {
    numbers.forEach((number, at) => Number.isFinite(number) || refuse(what(at), number));
  };
  check(query, (at) => {
    const row = Math.floor(at / queryColumns(layout));
    return asked.kind === "standing" ? `query ${asked.slots[row]}` : `passing query ${row}`;
  });
  const width = keyColumns(layout) + valueColumns(layout);
  check(rows, (at) => {
    const kind = at % width < keyColumns(layout) ? "key" : "value";
    return `${kind} ${slots[Math.floor(at / width)]}`;
  });
  check(bias, () => "a score");
}

const NO_ROWS = new Uint32Array(0);

interface AsOfCall {
  /** Live key slots. */
  readonly slots: Uint32Array<ArrayBuffer>;
  readonly keySize: number;
  readonly querySize: number;
}

/** The columns that a head reads. */
function headKeysOf(
  { layout }: { readonly layout: HeadLayout },
  head: number,
  { slots, rows }: Gathered,
): HeadKeys {
  const { headDim, valueDim } = layout;
  const keyHead = keyHeadOf(layout, head);
  return {
    rows,
    count: slots.length,
    stride: keyColumns(layout) + valueColumns(layout),
    keyOffset: keyHead * headDim,
    valueOffset: keyColumns(layout) + keyHead * valueDim,
    headDim,
    valueDim,
  };
}

/** The answer over all live keys, scored in float64. */
function answerFromAll(
  operation: string,
  { rules }: EngineCore,
  backend: Backend,
  { rows, top, wantsRows, wantsBias, toOutputGradient }: GradientQuestion,
  { slots, keySize, querySize }: AsOfCall,
): GradientAnswer {
  const { layout, rule, mask } = rules;
  const { heads, headDim, valueDim } = layout;
  const queries = turnedQueries(queriesOf(rows, backend, layout), rule, layout);
  const gathered = turnedKeys(gather(backend.keys, slots, layout), rule, layout);
  const count = queries.count, n = slots.length, columns = outputColumns(layout);
  const biasOf = biasReader(queries, mask, backend, keySize, querySize);
  const biases = biasOf ? new Float64Array(n) : null;
  const what = `a score and a weight for each of ${count} rows, ${heads} heads and ${n} keys`;
  const [capped, weights] = CapacityError.guard(
    operation,
    what,
    16 * count * heads * n,
    () => [new Float64Array(count * heads * n), new Float64Array(count * heads * n)],
  );
  const output = new Float64Array(count * columns);
  const query = new Float64Array(headDim);
  const placeOf = (i: number, head: number) => (i * heads + head) * n;
  const loadHead = (i: number, head: number) => {
    const from = i * queryColumns(layout) + head * headDim;
    query.set(queries.rows.subarray(from, from + headDim));
  };
  for (let i = 0; i < count; i++) {
    for (let head = 0; head < heads; head++) {
      loadHead(i, head);
      const at = placeOf(i, head), keys = headKeysOf(rules, head, gathered);
      const own = capped.subarray(at, at + n), ownWeights = weights.subarray(at, at + n);
      if (biasOf && biases) { for (let t = 0; t < n; t++) biases[t] = biasOf(i, slots[t], head); }
      const position = queries.positions[i];
      scoreKeys(query, position, keys, gathered.positions, rule, head, biases, own, ownWeights);
      toWeights(ownWeights, n, sinkOf(rule, head));
      weighValues(keys, ownWeights, output, i * columns + head * valueDim);
    }
  }
  const leftOut = new Float64Array(count * heads);
  if (top < n) keepHeaviest(weights, count * heads, n, top, leftOut, rule.sinks !== undefined);
  const outputGradient = toOutputGradient(output);
  const answer: GradientAnswer = {
    slots,
    query: new Float64Array(queries.rows.length),
    rows: new Float64Array(wantsRows ? gathered.rows.length : 0),
    bias: new Float64Array(wantsBias ? count * heads * n : 0),
    leftOut,
  };
  for (let i = 0; i < count; i++) {
    for (let head = 0; head < heads; head++) {
      loadHead(i, head);
      const at = placeOf(i, head);
      addHeadGradient(
        query,
        headKeysOf(rules, head, gathered),
        capped.subarray(at, at + n),
        weights.subarray(at, at + n),
        output,
        outputGradient,
        i * columns + head * valueDim,
        rule,
        sumsOf(answer, layout, i, head),
      );
    }
  }
  turnBack(answer, queries.positions, gathered.positions, rule, layout);
  return top < n ? withoutUntouched(answer, weights, count * heads) : answer;
}

/** The answer over the heaviest keys of each head row, by the backend's weights. */
async function answerFromHeaviest(
  { rules }: EngineCore,
  backend: Backend,
  { rows, top, wantsRows, wantsBias, toOutputGradient }: GradientQuestion,
  { slots: liveSlots, keySize, querySize }: AsOfCall,
  output: Float64Array,
): Promise<GradientAnswer> {
  const { layout, rule, mask } = rules;
  const { heads, headDim, valueDim } = layout;
  const queries = turnedQueries(queriesOf(rows, backend, layout), rule, layout);
  const biasOf = isBiasCapped(rule) ? biasReader(queries, mask, backend, keySize, querySize) : null;
  const { count } = queries, columns = outputColumns(layout);
  const leftOut = new Float64Array(count * heads);
  const kept: { readonly slots: Uint32Array; readonly weights: Float64Array }[] = [];
  for (let i = 0; i < count; i++) {
    for (let head = 0; head < heads; head++) {
      const all = await backend.weights(queries.slots![i], head, keySize);
      const slots = heaviestOf(liveSlots, all, top);
      const weights = Float64Array.from(slots, (slot) => all[slot]);
      leftOut[i * heads + head] = massBeyond(weights, rule.sinks ? sumOf(all) : 1);
      kept.push({ slots, weights });
    }
  }
  const union = Uint32Array.from(new Set(kept.flatMap(({ slots }) => [...slots]))).sort();
  const places = new Map(Array.from(union, (slot, at) => [slot, at]));
  const gathered = turnedKeys(gather(backend.keys, union, layout), rule, layout);
  const outputGradient = toOutputGradient(output);
  const answer: GradientAnswer = {
    slots: union,
    query: new Float64Array(queries.rows.length),
    rows: new Float64Array(wantsRows ? gathered.rows.length : 0),
    bias: new Float64Array(wantsBias ? count * heads * union.length : 0),
    leftOut,
  };
  const query = new Float64Array(headDim);
  const capped = new Float64Array(union.length), weights = new Float64Array(union.length);
  for (let i = 0; i < count; i++) {
    for (let head = 0; head < heads; head++) {
      const from = i * queryColumns(layout) + head * headDim;
      query.set(queries.rows.subarray(from, from + headDim));
      const keys = headKeysOf(rules, head, gathered);
      const own = kept[i * heads + head];
      weights.fill(0);
      own.slots.forEach((slot, at) => {
        const place = places.get(slot) as number;
        weights[place] = own.weights[at];
        const offset = place * keys.stride + keys.keyOffset;
        let inner = 0;
        if (isBiasCapped(rule)) {
          if (biasOf) inner += biasOf(i, slot, head);
          if (rule.distanceBias) {
            inner += biasAt(rule.distanceBias, head, gathered.positions[place] - queries.positions[i]);
          }
          if (rule.blocks) {
            inner += blockBiasAt(rule.blocks, head, queries.positions[i], gathered.positions[place]);
          }
        }
        capped[place] = score(query, gathered.rows, offset, headDim, rule.scale, rule.softcap, inner);
      });
      const at = i * columns + head * valueDim;
      const sums = sumsOf(answer, layout, i, head);
      addHeadGradient(query, keys, capped, weights, output, outputGradient, at, rule, sums);
    }
  }
  turnBack(answer, queries.positions, gathered.positions, rule, layout);
  return answer;
}

/** Queries as scores see them. */
function turnedQueries(queries: QueryRows, { rotary }: ScoreRule, layout: HeadLayout): QueryRows {
  if (!rotary) return queries;
  const turner = new Turner(rotary, layout), rows = queries.rows.slice(), width = queryColumns(layout);
  queries.positions.forEach((position, i) => turner.turn(rows, i * width, layout.heads, position));
  return { ...queries, rows };
}

/** Keys as scores see them. */
function turnedKeys(gathered: Gathered, { rotary }: ScoreRule, layout: HeadLayout): Gathered {
  if (!rotary) return gathered;
  const turner = new Turner(rotary, layout), width = keyColumns(layout) + valueColumns(layout);
  gathered.positions.forEach((position, t) =>
    turner.turn(gathered.rows, t * width, layout.kvHeads, position)
  );
  return gathered;
}

/** Makes derivatives by turned rows derivatives by rows. */
function turnBack(
  { query, rows }: GradientAnswer,
  queryPositions: Float64Array,
  keyPositions: Float64Array,
  { rotary }: ScoreRule,
  layout: HeadLayout,
): void {
  if (!rotary) return;
  const turner = new Turner(rotary, layout), width = keyColumns(layout) + valueColumns(layout);
  queryPositions.forEach((position, i) => {
    turner.turnBack(query, i * queryColumns(layout), layout.heads, position);
  });
  if (rows.length === 0) return;
  keyPositions.forEach((position, t) => turner.turnBack(rows, t * width, layout.kvHeads, position));
}

/** Reads the biases of a mask by the number of a query in the question, key slot and head; null without a mask. */
function biasReader(
  { slots, bias }: QueryRows,
  mask: Mask | null,
  backend: Backend,
  keySize: number,
  querySize: number,
): ((i: number, j: number, head: number) => number) | null {
  if (bias) {
    const { heads, keySize: stride, numbers } = bias;
    return (i, j, head) => numbers[(i * stride + j) * heads + (heads === 1 ? 0 : head)];
  }
  if (!mask || !slots) return null;
  // A mask matrix never changes; the backend holds the answers of a mask function.
  const said = mask.isFunction || mask.isEditable ? backend.bias(keySize, querySize) : null;
  return (i, j, head) => {
    const maskHead = mask.heads === 1 ? 0 : head;
    return said ? said[(j * querySize + slots[i]) * mask.heads + maskHead] : mask.bias(slots[i], j, maskHead);
  };
}

interface QueryRows {
  readonly count: number;
  readonly rows: Float32Array;
  readonly positions: Float64Array;
  /** null for passing ones. */
  readonly slots: Uint32Array | null;
  /** The mask of passing ones. */
  readonly bias: PassingBias | null;
}

function queriesOf(rows: GradientRows, backend: Backend, layout: HeadLayout): QueryRows {
  if (rows.kind === "passing") return { ...rows.queries, slots: null };
  const { slots } = rows;
  const width = queryColumns(layout);
  const queries = new Float32Array(slots.length * width);
  slots.forEach((slot, i) => backend.queries.copyRow(slot, queries, i * width));
  const positions = Float64Array.from(slots, (slot) => backend.queries.position(slot));
  return { count: slots.length, rows: queries, positions, slots, bias: null };
}

function gather(source: RowSource, slots: Uint32Array<ArrayBuffer>, layout: HeadLayout): Gathered {
  const width = keyColumns(layout) + valueColumns(layout);
  const rows = new Float32Array(slots.length * width);
  const positions = new Float64Array(slots.length);
  for (let t = 0; t < slots.length; t++) {
    source.copyRow(slots[t], rows, t * width);
    positions[t] = source.position(slots[t]);
  }
  return { slots, rows, positions };
}

function sumsOf(answer: GradientAnswer, layout: HeadLayout, i: number, head: number): GradientSums {
  return {
    query: answer.query,
    queryOffset: i * queryColumns(layout) + head * layout.headDim,
    rows: answer.rows.length > 0 ? answer.rows : null,
    scores: answer.bias.length > 0 ? answer.bias : null,
    scoreOffset: (i * layout.heads + head) * answer.slots.length,
  };
}

/**
 * Sets all but the `top` largest weights of each of `count` runs to 0, and notes the weight that is left out.
 */
function keepHeaviest(
  weights: Float64Array,
  count: number,
  n: number,
  top: number,
  leftOut: Float64Array,
  hasSinks: boolean,
): void {
  const places = Uint32Array.from({ length: n }, (_, t) => t);
  for (let run = 0; run < count; run++) {
    const own = weights.subarray(run * n, (run + 1) * n);
    const kept = heaviestOf(places, own, top);
    const keptWeights = Float64Array.from(kept, (t) => own[t]);
    leftOut[run] = massBeyond(keptWeights, hasSinks ? sumOf(own) : 1);
    own.fill(0);
    kept.forEach((t, at) => own[t] = keptWeights[at]);
  }
}

/**
 * The total of all weights, which is 1 without sinks, minus the sum of some, not below 0; 0 for a head row
 * without an allowed key.
 */
function massBeyond(weights: Float64Array, total: number): number {
  const kept = sumOf(weights);
  return kept === 0 && (weights.length > 0) ? 0 : Math.max(0, total - kept);
}

function sumOf(weights: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < weights.length; at++) sum += weights[at];
  return sum;
}

/** The answer without keys that count for no head row. */
function withoutUntouched(answer: GradientAnswer, weights: Float64Array, runs: number): GradientAnswer {
  const { slots, rows, bias } = answer;
  const n = slots.length, width = n === 0 ? 0 : rows.length / n;
  const touched: number[] = [];
  for (let t = 0; t < n; t++) {
    for (let run = 0; run < runs; run++) {
      if (weights[run * n + t] === 0) continue;
      touched.push(t);
      break;
    }
  }
  const kept = new Float64Array(touched.length * width);
  touched.forEach((t, at) => kept.set(rows.subarray(t * width, (t + 1) * width), at * width));
  const keptBias = new Float64Array(bias.length > 0 ? runs * touched.length : 0);
  if (bias.length > 0) {
    for (let run = 0; run < runs; run++) {
      touched.forEach((t, at) => keptBias[run * touched.length + at] = bias[run * n + t]);
    }
  }
  return { ...answer, slots: Uint32Array.from(touched, (t) => slots[t]), rows: kept, bias: keptBias };
}
