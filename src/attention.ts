/**
 * Attention once, with nothing kept.
 */

import { NOTHING } from "./backends/since.ts";
import { selectBackend } from "./backends/select.ts";
import { outputColumns } from "./core/head_layout.ts";
import { shownMatrix } from "./display/shown_matrix.ts";
import { fillBackend } from "./fill_backend.ts";
import type { Matrix } from "./matrix.ts";
import type { AttentionState } from "./merge_states.ts";
import { type AttentionOptions, type Problem, toProblem } from "./options.ts";

/**
 * `softmax(scale · Q Kᵀ) V`, computed once.
 *
 * Shapes: Q is m × H·d, K is n × Hkv·d, V is n × Hkv·dv; the result is m × H·dv. The score of a pair is
 * scale · q·k, then c·tanh(s/c) with a softcap c, then plus the mask; natural log throughout. A row without any
 * allowed key is 0. Costs O(H m n (d + dv)).
 *
 * @param options Q, K and V; heads, scale, softcap, mask, causal, window and positions as {@link AttentionOptions} says.
 * @returns A matrix of the caller's own, m × H·dv.
 * @throws {InputError} When shapes do not fit, a number is not finite or an option is unknown.
 *
 * @example
 * ```ts
 * import { attention } from "@attune/attention";
 * import { assertEquals } from "@std/assert";
 *
 * const output = await attention({
 *   query: [[0, 0], [100, 0]],
 *   key: [[1, 0], [-1, 0]],
 *   value: [[1, 10], [3, 30]],
 * });
 * assertEquals(output.shape, [2, 2]);
 * assertEquals([...output.data], [2, 20, 1, 10]);
 * ```
 *
 * @example Two heads that share one key head, causal
 * ```ts
 * import { attention } from "@attune/attention";
 * import { assertEquals } from "@std/assert";
 *
 * const output = await attention({
 *   query: [[1, 0, 0, 1], [1, 0, 0, 1]],
 *   key: [[0, 0], [0, 0]],
 *   value: [[2], [4]],
 *   heads: 2,
 *   kvHeads: 1,
 *   causal: true,
 * });
 * assertEquals([...output.data], [2, 2, 3, 3]);
 * ```
 *
 * Source: Vaswani et al., "Attention Is All You Need", arXiv 1706.03762, §3.2.1.
 */
export async function attention(options: AttentionOptions): Promise<Matrix> {
  const { output } = await compute(toProblem("attention", options));
  return output;
}

/**
 * As {@link attention}, with what is needed to merge the answer with that over other keys:
 *
 *     o_i = Σ_j exp(s_ij) v_j / exp(L_i),     L_i = ln Σ_j exp(s_ij).
 *
 * Shapes: as for {@link attention}; `output` is m × H·dv and `logSumExp` m × H, natural log, −∞ (and the output 0)
 * where no key is allowed. Costs O(H m n (d + dv)).
 *
 * @param options As for {@link attention}. `causal` and `window` look at positions: of some keys out of many, give
 * `keyPositions`. With `backend: "auto"` it is computed on `array`, in float64 with one rounding at the end: that is
 * what the bound of `unmergeState` takes for granted. `wasm` is faster and rounds more.
 * @returns Matrices of the caller's own.
 * @throws {InputError} When shapes do not fit, a number is not finite or an option is unknown.
 *
 * @example
 * ```ts
 * import { attentionState } from "@attune/attention";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 *
 * const { output, logSumExp } = await attentionState({
 *   query: [[1, 0]],
 *   key: [[0, 0], [0, 0]],
 *   value: [[1], [3]],
 * });
 * assertEquals([...output.data], [2]);
 * assertAlmostEquals(logSumExp.data[0], Math.log(2), 1e-7);
 * ```
 *
 * Source: Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv 1805.02867, §3, for the
 * normaliser as a state of its own.
 */
export async function attentionState(options: AttentionOptions): Promise<AttentionState> {
  const operation = "attentionState";
  const problem = toProblem(operation, options);
  const { backend = "auto" } = options;
  return await compute(
    backend === "auto" ? { ...problem, factory: selectBackend(operation, "array") } : problem,
  );
}

async function compute(problem: Problem): Promise<AttentionState> {
  const backend = await fillBackend(problem);
  try {
    const { query, layout } = problem;
    const count = query.shape[0];
    const rows = Uint32Array.from({ length: count }, (_, i) => i);
    const { output, logSumExp } = await backend.read({ queries: rows, since: NOTHING });
    return {
      output: shownMatrix(output, [count, outputColumns(layout)]),
      logSumExp: shownMatrix(logSumExp, [count, layout.heads]),
    };
  } finally {
    await backend.dispose();
  }
}
