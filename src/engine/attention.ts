/**
 * Attention computed once, without an engine.
 */

import { selectBackend } from "../backends/select.ts";
import { fitsFloat32, toFloat32Logs } from "../numerics/attention_state.ts";
import { outputColumns } from "../numerics/head_layout.ts";
import { shownMatrix } from "../display/shown_matrix.ts";
import { InputError } from "../base/errors.ts";
import type { Matrix } from "../base/matrix.ts";
import type { AttentionState } from "./merge_states.ts";
import { type AttentionOptions, toProblem, withRules } from "./options.ts";

/**
 * `softmax(scale · Q Kᵀ) V`, computed once.
 *
 * Shapes: Q is m × H·d, K is n × Hkv·d, V is n × Hkv·dv; the result is m × H·dv. The score of a pair is scale
 * · q·k, then c·tanh(s/c) with a softcap c, then plus the mask; natural log throughout. The output of a query
 * without any allowed key is 0. Costs O(H m n (d + dv)).
 *
 * @param options Q, K and V; heads, scale, softcap, mask, causal, window and positions as {@link
 * AttentionOptions} says.
 * @returns The output, m × H·dv, in a matrix that the caller owns.
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
  const operation = "attention";
  const problem = await withRules(operation, toProblem(operation, options));
  const { compute } = await import("./fill_backend.ts");
  const { output } = await compute(operation, problem);
  return shownMatrix(output, [problem.query.shape[0], outputColumns(problem.layout)]);
}

/**
 * As {@link attention}, with the log-sum-exp that {@link mergeStates} needs to merge the answer with that
 * over other keys:
 *
 *     o_i = Σ_j exp(s_ij) v_j / exp(L_i),     L_i = ln Σ_j exp(s_ij).
 *
 * Shapes: as for {@link attention}; `output` is m × H·dv and `logSumExp` m × H, natural log; −∞, and the
 * output 0, if no key is allowed. Costs O(H m n (d + dv)).
 *
 * @param options As for {@link attention}. `causal` and `window` compare positions, so give `keyPositions` if
 * the keys are part of a longer sequence. `backend: "auto"` is `array`, which computes in float64 and rounds
 * once at the end, as the bound of `unmergeState` assumes. `wasm` is faster and rounds more.
 * @returns The state, in matrices that the caller owns.
 * @throws {InputError} When shapes do not fit, a number is not finite or an option is unknown; also when a
 * log-sum-exp is beyond ±3.4·10³⁸, as scores of that size make it: such a state could not be merged.
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
  const problem = await withRules(operation, toProblem(operation, options));
  const { backend, query: { shape: [count] }, layout: { heads }, layout } = problem;
  const { compute } = await import("./fill_backend.ts");
  const { output, logSumExp } = await compute(
    operation,
    backend === "auto" ? { ...problem, factory: selectBackend(operation, "array") } : problem,
  );
  const beyond = logSumExp.findIndex((L) => !fitsFloat32(L));
  if (beyond >= 0) {
    throw new InputError(
      operation,
      `logSumExp of query ${Math.floor(beyond / heads)}, head ${beyond % heads} is ${logSumExp[beyond]}`,
      "one of float32 range, which can be merged; a smaller scale may help",
    );
  }
  return {
    output: shownMatrix(output, [count, outputColumns(layout)]),
    logSumExp: shownMatrix(toFloat32Logs(logSumExp), [count, heads]),
  };
}
