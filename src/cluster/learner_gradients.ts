/**
 * The derivatives of a loss by a standing query and by its heaviest keys, from what a client is told of them.
 *
 * With g = ∂L/∂o, weights p_j of the heaviest keys and scores s_j = cap(scale · q·k_j), for each head
 *
 *     ∂L/∂v_j = p_j g,   ∂L/∂s_j = p_j g·(v_j − o),   ∂L/∂k_j = scale cap' ∂L/∂s_j q,   ∂L/∂q = scale Σ_j cap' ∂L/∂s_j k_j
 *
 * with cap' = 1 − (cap/c)². They are the derivatives over all keys but for ∂L/∂q, which lacks the part of the
 * keys that are left out.
 */

import { keyHeadOf } from "../numerics/head_layout.ts";
import type { ClusterKey, StoredKey } from "./cluster_answers.ts";
import type { Scoring } from "./exact_sums.ts";

/** A standing query with its output and its heaviest keys. */
export interface LearnedQuery {
  /** H·d numbers. */
  readonly query: ArrayLike<number>;
  /** o, H·dv numbers. */
  readonly output: ArrayLike<number>;
  /** For each head its heaviest keys. */
  readonly heavy: readonly (readonly ClusterKey[])[];
  /** The rows of these keys; a key that is gone has none. */
  readonly rows: ReadonlyMap<string, StoredKey>;
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
  { layout, scale, softcap }: Scoring,
  { query, output, heavy, rows }: LearnedQuery,
  byOutput: Float64Array,
): LearnerGradients {
  const { headDim, valueDim } = layout, byQuery = new Float64Array(query.length);
  const keys = new Map<string, { key: Float64Array<ArrayBuffer>; value: Float64Array<ArrayBuffer> }>();
  let leftOut = 0;
  heavy.forEach((list, head) => {
    const ofKey = keyHeadOf(layout, head) * headDim, ofValue = keyHeadOf(layout, head) * valueDim;
    const ofQuery = head * headDim, ofOutput = head * valueDim;
    leftOut = Math.max(
      leftOut,
      list.length === 0 ? 0 : 1 - list.reduce((sum, { weight }) => sum + weight, 0),
    );
    for (const { id, weight } of list) {
      const row = rows.get(id);
      if (!row) continue;
      let own = keys.get(id);
      if (!own) {
        own = { key: new Float64Array(row.key.length), value: new Float64Array(row.value.length) };
        keys.set(id, own);
      }
      let byWeight = 0, product = 0;
      for (let c = 0; c < valueDim; c++) {
        const g = byOutput[ofOutput + c];
        byWeight += g * (row.value[ofValue + c] - output[ofOutput + c]);
        own.value[ofValue + c] += weight * g;
      }
      for (let c = 0; c < headDim; c++) product += query[ofQuery + c] * row.key[ofKey + c];
      const slope = softcap > 0 ? 1 - Math.tanh(scale * product / softcap) ** 2 : 1;
      const factor = scale * slope * weight * byWeight;
      for (let c = 0; c < headDim; c++) {
        own.key[ofKey + c] += factor * query[ofQuery + c];
        byQuery[ofQuery + c] += factor * row.key[ofKey + c];
      }
    }
  });
  return { query: byQuery, keys, leftOut };
}
