/**
 * Answers to a question for derivatives: from all keys, scored in float64 here, or from the heaviest keys of each head row,
 * by the backend's weights.
 */

import type { Backend } from "../backends/backend.ts";
import {
  type AsOfCall,
  type GradientRows,
  QuestionKeys,
  QuestionQueries,
  turnBack,
} from "./gradient_rows.ts";
import {
  addHeadGradient,
  biasOfPair,
  cappedScore,
  type GradientSums,
  scoreKeys,
  toWeights,
  weighValues,
} from "../numerics/attention_gradient.ts";
import { heaviestOf } from "../numerics/heaviest.ts";
import { type HeadLayout, outputColumns, queryColumns } from "../numerics/head_layout.ts";
import { isBiasCapped, sinkOf } from "../numerics/score_rule.ts";
import { CapacityError } from "../base/errors.ts";
import type { EditRules } from "../write/edits.ts";

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

/** The answer over all live keys, scored in float64. */
export function answerFromAll(
  operation: string,
  rules: EditRules,
  backend: Backend,
  question: GradientQuestion,
  asOfCall: AsOfCall,
): GradientAnswer {
  const { layout, layout: { heads, valueDim }, rule } = rules, { top } = question, { slots } = asOfCall;
  const queries = new QuestionQueries(question.rows, backend, rules);
  const keys = new QuestionKeys(backend.keys, slots, rules);
  const biasOf = queries.biases(rules, backend, asOfCall);
  const count = queries.count, n = slots.length, columns = outputColumns(layout);
  const biases = biasOf ? new Float64Array(n) : null;
  const what = `a score and a weight for each of ${count} rows, ${heads} heads and ${n} keys`;
  const [capped, weights] = CapacityError.guard(
    operation,
    what,
    16 * count * heads * n,
    () => [new Float64Array(count * heads * n), new Float64Array(count * heads * n)],
  );
  const scoresOf = (i: number, head: number) => {
    const from = (i * heads + head) * n;
    return { capped: capped.subarray(from, from + n), weights: weights.subarray(from, from + n) };
  };
  const output = new Float64Array(count * columns);
  for (let i = 0; i < count; i++) {
    for (let head = 0; head < heads; head++) {
      const own = keys.head(head), scores = scoresOf(i, head);
      if (biasOf && biases) { for (let t = 0; t < n; t++) biases[t] = biasOf(i, slots[t], head); }
      scoreKeys(queries.head(i, head), own, rule, biases, scores);
      toWeights(scores.weights, n, sinkOf(rule, head));
      weighValues(own, scores.weights, output, i * columns + head * valueDim);
    }
  }
  const leftOut = new Float64Array(count * heads);
  if (top < n) keepHeaviest(weights, n, top, leftOut, rule.sinks !== undefined);
  const answer = emptyAnswer(question, queries, keys, leftOut);
  const at = { output, gradient: question.toOutputGradient(output), offset: 0 };
  for (let i = 0; i < count; i++) {
    for (let head = 0; head < heads; head++) {
      at.offset = i * columns + head * valueDim;
      const sums = sumsOf(answer, layout, i, head);
      addHeadGradient(queries.head(i, head), keys.head(head), scoresOf(i, head), at, rule, sums);
    }
  }
  turnBack(answer, queries, keys, rules);
  return top < n ? withoutUntouched(answer, weights, count * heads) : answer;
}

/** Weights of some key slots in a head row. */
interface HeaviestKeys {
  readonly slots: Uint32Array;
  readonly weights: Float64Array;
}

/** The answer over the heaviest keys of each head row, by the backend's weights; `output` is what the backend answers. */
export async function answerFromHeaviest(
  rules: EditRules,
  backend: Backend,
  question: GradientQuestion,
  asOfCall: AsOfCall,
  output: Float64Array,
): Promise<GradientAnswer> {
  const { layout, layout: { heads, valueDim }, rule } = rules, columns = outputColumns(layout);
  const queries = new QuestionQueries(question.rows, backend, rules);
  const biasOf = isBiasCapped(rule) ? queries.biases(rules, backend, asOfCall) : null;
  const leftOut = new Float64Array(queries.count * heads);
  const kept: HeaviestKeys[] = [];
  for (let row = 0; row < leftOut.length; row++) {
    const slot = queries.slots![Math.floor(row / heads)];
    const all = await backend.weights(slot, row % heads, asOfCall.keySize);
    const slots = heaviestOf(asOfCall.slots, all, question.top);
    const weights = Float64Array.from(slots, (slot) => all[slot]);
    leftOut[row] = massBeyond(weights, rule.sinks ? sumOf(all) : 1);
    kept.push({ slots, weights });
  }
  const union = Uint32Array.from(new Set(kept.flatMap(({ slots }) => [...slots]))).sort();
  const places = new Map(Array.from(union, (slot, at) => [slot, at]));
  const keys = new QuestionKeys(backend.keys, union, rules);
  const answer = emptyAnswer(question, queries, keys, leftOut);
  const at = { output, gradient: question.toOutputGradient(output), offset: 0 };
  const scores = { capped: new Float64Array(union.length), weights: new Float64Array(union.length) };
  for (let i = 0; i < queries.count; i++) {
    for (let head = 0; head < heads; head++) {
      const query = queries.head(i, head), ofHead = keys.head(head), own = kept[i * heads + head];
      scores.weights.fill(0);
      own.slots.forEach((slot, nth) => {
        const place = places.get(slot) as number;
        // Only terms added before the softcap change the slope of a score.
        const inner = isBiasCapped(rule)
          ? biasOfPair(query, ofHead, place, rule, biasOf?.(i, slot, head) ?? 0)
          : 0;
        scores.weights[place] = own.weights[nth];
        scores.capped[place] = cappedScore(query, ofHead, place, rule, inner);
      });
      at.offset = i * columns + head * valueDim;
      addHeadGradient(query, ofHead, scores, at, rule, sumsOf(answer, layout, i, head));
    }
  }
  turnBack(answer, queries, keys, rules);
  return answer;
}

/** An answer to which nothing has been added. */
function emptyAnswer(
  { wantsRows, wantsBias }: GradientQuestion,
  queries: QuestionQueries,
  keys: QuestionKeys,
  leftOut: Float64Array<ArrayBuffer>,
): GradientAnswer {
  return {
    slots: keys.slots,
    query: new Float64Array(queries.length),
    rows: new Float64Array(wantsRows ? keys.rows.length : 0),
    bias: new Float64Array(wantsBias ? leftOut.length * keys.slots.length : 0),
    leftOut,
  };
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

/** Sets all but the `top` largest of each run of `n` weights to 0, and notes the weight that is left out. */
function keepHeaviest(
  weights: Float64Array,
  n: number,
  top: number,
  leftOut: Float64Array,
  hasSinks: boolean,
): void {
  const places = Uint32Array.from({ length: n }, (_, t) => t);
  for (let run = 0; run < leftOut.length; run++) {
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
