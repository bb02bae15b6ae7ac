/**
 * The derivatives of a loss by a standing query and by its heaviest keys, from what a client is told of them.
 *
 * With g = ∂L/∂o, weights p_j of the heaviest keys and scores s_j = cap(scale · q·k_j), for each head
 *
 *     ∂L/∂v_j = p_j g,   ∂L/∂s_j = p_j g·(v_j − o),   ∂L/∂k_j = scale cap' ∂L/∂s_j q,   ∂L/∂q = scale Σ_j cap' ∂L/∂s_j k_j
 *
 * with cap' = 1 − (cap/c)². They are the derivatives over all keys but for ∂L/∂q, which lacks the part of the
 * keys that are left out. With rotary positions q and k_j are turned rows, and derivatives by them are turned
 * back.
 */

import { keyHeadOf } from "../numerics/head_layout.ts";
import { Turner } from "../numerics/rotary.ts";
import { sinkOf } from "../numerics/score_rule.ts";
import type { ClusterKey, StoredKey } from "./cluster_answers.ts";
import { type Scoring, turnedRow } from "./exact_sums.ts";
import { pairBias } from "./pair_score.ts";

/** A standing query with its output and its heaviest keys. */
export interface LearnedQuery {
  /** H·d numbers. */
  readonly query: ArrayLike<number>;
  /** 0 where no rule looks at positions. */
  readonly position: number;
  /** o, H·dv numbers. */
  readonly output: ArrayLike<number>;
  /** For each head its heaviest keys. */
  readonly heavy: readonly (readonly ClusterKey[])[];
  /** The rows of these keys; a key that is gone has none. */
  readonly rows: ReadonlyMap<string, StoredKey>;
  /** For each head its log-sum-exp; they are looked at where heads have sinks, or pairs masks. */
  readonly logSumExp: ArrayLike<number>;
}

/** Derivatives. */
export interface LearnerGradients {
  /** ∂L/∂q. */
  readonly query: Float64Array<ArrayBuffer>;
  /** ∂L/∂k and ∂L/∂v by id. */
  readonly keys: ReadonlyMap<
    string,
    { readonly key: Float64Array<ArrayBuffer>; readonly value: Float64Array<ArrayBuffer> }
  >;
  /** The largest weight that is left out, over the heads. */
  readonly leftOut: number;
}

/** The derivatives of a loss from g = ∂L/∂o. */
export function learnerGradients(
  scoring: Scoring,
  { query: given, position, output, heavy, rows, logSumExp }: LearnedQuery,
  byOutput: Float64Array,
): LearnerGradients {
  const { layout, scale, softcap, rule, isMasked } = scoring, { heads, kvHeads, headDim, valueDim } = layout;
  const query = rule?.rotary === undefined
    ? given
    : turnedRow(scoring, Float32Array.from(given), heads, position);
  const byQuery = new Float64Array(query.length);
  const turnedKeys = new Map<string, Float32Array>();
  const keys = new Map<string, { key: Float64Array<ArrayBuffer>; value: Float64Array<ArrayBuffer> }>();
  let leftOut = 0;
  heavy.forEach((list, head) => {
    const ofKey = keyHeadOf(layout, head) * headDim, ofValue = keyHeadOf(layout, head) * valueDim;
    const ofQuery = head * headDim, ofOutput = head * valueDim;
    const ofSink = rule?.sinks === undefined ? 0 : Math.exp(sinkOf(rule, head) - logSumExp[head]);
    leftOut = Math.max(
      leftOut,
      list.length === 0 ? 0 : 1 - list.reduce((sum, { weight }) => sum + weight, ofSink),
    );
    for (const { id, weight } of list) {
      const row = rows.get(id);
      if (!row) continue;
      let own = keys.get(id);
      if (!own) {
        own = { key: new Float64Array(row.key.length), value: new Float64Array(row.value.length) };
        keys.set(id, own);
        turnedKeys.set(id, turnedRow(scoring, row.key, kvHeads, row.position ?? 0));
      }
      const key = turnedKeys.get(id) ?? row.key;
      let byWeight = 0, product = 0;
      for (let c = 0; c < valueDim; c++) {
        const g = byOutput[ofOutput + c];
        byWeight += g * (row.value[ofValue + c] - output[ofOutput + c]);
        own.value[ofValue + c] += weight * g;
      }
      for (let c = 0; c < headDim; c++) product += query[ofQuery + c] * key[ofKey + c];
      // Under a mask the score is known by its weight alone.
      const capped = isMasked && rule?.biasFirst ? Math.log(weight) + logSumExp[head] : null;
      const inner = rule?.biasFirst && capped === null
        ? pairBias(rule, head, position, row.position ?? 0)
        : 0;
      // A key that has moved out of reach since it was weighed does not learn.
      const slope = capped !== null
        ? 1 - Math.min(1, (capped / softcap) ** 2)
        : softcap > 0 && inner > -Infinity
        ? 1 - Math.tanh((scale * product + inner) / softcap) ** 2
        : Number(inner > -Infinity);
      const factor = scale * slope * weight * byWeight;
      for (let c = 0; c < headDim; c++) {
        own.key[ofKey + c] += factor * query[ofQuery + c];
        byQuery[ofQuery + c] += factor * key[ofKey + c];
      }
    }
  });
  if (rule?.rotary !== undefined) {
    const turner = new Turner(rule.rotary, layout);
    turner.turnBack(byQuery, 0, heads, position);
    for (const [id, { key }] of keys) turner.turnBack(key, 0, kvHeads, rows.get(id)?.position ?? 0);
  }
  return { query: byQuery, keys, leftOut };
}
