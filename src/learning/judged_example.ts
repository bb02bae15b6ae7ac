/**
 * One example of a step: its prediction, its loss, and the derivatives of the weighted loss by the rows behind it.
 */

import { InputError } from "../base/errors.ts";
import type { DynamicAttention } from "../engine/dynamic_attention.ts";
import { EngineCore } from "../engine/engine_core.ts";
import type { RowId } from "../write/row_ids.ts";
import { type CheckedExample, matchGradientOf, outputGradientOf, scoresOf } from "./examples.ts";
import { askGradients, isOfHeaviest } from "./gradient_question.ts";
import type { StepBounds } from "./learner_answers.ts";
import type { LearnerConfig } from "./learner_options.ts";
import type { StepGradients } from "./learner_step.ts";
import { judge, type Judgement, smoothnessOf } from "./loss_calls.ts";
import type { Loss } from "./losses.ts";
import type { NearOutputs } from "./near_outputs.ts";
import { staleScoresOf, valuesOf } from "./score_reads.ts";

/** An example with its targets, and what its loss counts. */
export interface WeightedExample {
  readonly example: CheckedExample;
  readonly targets: Float64Array;
  readonly weight: number;
}

/** An example before its step. */
export interface JudgedExample {
  readonly prediction: Float64Array<ArrayBuffer>;
  /** L, without the weight. */
  readonly value: number;
  readonly gradients: StepGradients;
  readonly leftOut: number;
  readonly queryGradient: Float64Array<ArrayBuffer>;
  /** null where the output was exact. */
  readonly bounds: StepBounds | null;
}

/** The loss of an example and the derivatives of `weight` times it, as of the call. */
export async function judgeExample<KeyId extends RowId, QueryId extends RowId>(
  operation: string,
  live: DynamicAttention<KeyId, QueryId>,
  { loss, top, rates }: LearnerConfig,
  { example, targets, weight }: WeightedExample,
  outputs: NearOutputs | null,
): Promise<JudgedExample> {
  const { rules } = EngineCore.of(operation, live), { layout } = rules;
  const isNear = outputs !== null && example.rows.kind === "standing" &&
    isOfHeaviest(rules, { rows: example.rows, top });
  // Both are asked for in one turn, so that they are of one moment.
  const near = isNear && example.rows.kind === "standing"
    ? outputs.output(operation, example.rows.slots[0])
    : null;
  // Where the question is refused, nobody waits for it.
  near?.catch(() => {});
  const toScores = near && staleScoresOf(operation, live, example);
  const valueOf = valuesOf(live, example);
  let output = new Float64Array(0);
  let plain: Judgement = { prediction: output, value: 0, byScore: output }, judgement = plain;
  const answer = await askGradients(operation, live, {
    rows: example.rows,
    top,
    wantsRows: rates.key !== null || rates.value !== null,
    wantsBias: false,
    toOutputGradient: (exact) => {
      output = Float64Array.from(exact);
      const scores = scoresOf(example, output, valueOf, layout);
      plain = judge(operation, loss, scores, targets);
      judgement = weighted(operation, plain, weight);
      return outputGradientOf(example, judgement.byScore, valueOf, layout);
    },
  }, near && near.then(({ output }) => output));
  const { prediction, value, byScore } = judgement;
  const matched = new Map<number, Float64Array>();
  example.against?.forEach((slot, at) => {
    const gradient = matchGradientOf(byScore[at], output, layout), before = matched.get(slot);
    matched.set(slot, before ? gradient.map((g, c) => g + before[c]) : gradient);
  });
  const queries = new Map<number, Float64Array>();
  if (example.rows.kind === "standing") queries.set(example.rows.slots[0], answer.query);
  return {
    prediction,
    value,
    gradients: { slots: answer.slots, rows: answer.rows, matched, queries },
    leftOut: answer.leftOut.reduce((most, mass) => Math.max(most, mass), 0),
    queryGradient: answer.query,
    bounds: near && toScores
      ? boundsOf(operation, loss, plain.byScore, toScores(output, (await near).bound).bounds)
      : null,
  };
}

/**
 * How far the loss and its derivative may be from those of exact scores: with M the smoothness of the loss and b the
 * bounds of scores, |L − L'| ≤ ‖∇L‖‖b‖ + ½ M‖b‖² and ‖∇L − ∇L'‖ ≤ M‖b‖.
 */
function boundsOf(
  operation: string,
  loss: Loss,
  byScore: Float64Array,
  scores: Float64Array<ArrayBuffer>,
): StepBounds {
  const off = Math.hypot(...scores);
  if (off === 0) return { scores, loss: 0, gradient: 0 };
  const gradient = ROUNDING * smoothnessOf(operation, loss, scores.length) * off;
  return { scores, loss: ROUNDING * (Math.hypot(...byScore) + gradient / 2) * off, gradient };
}

/** Covers what is rounded here. */
const ROUNDING = 1 + 2 ** -40;

/** A judgement whose derivative counts `weight` times. */
function weighted(operation: string, judgement: Judgement, weight: number): Judgement {
  if (weight === 1) return judgement;
  const byScore = judgement.byScore.map((g) => weight * g);
  const at = byScore.findIndex((g) => !Number.isFinite(g));
  if (at === -1) return { ...judgement, byScore };
  const found = `the gradient of the loss is ${
    judgement.byScore[at]
  } at index ${at}, times the weight ${weight}`;
  throw new InputError(operation, found, "a product of float64 range");
}
