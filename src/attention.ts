/**
 * Attention once, with nothing kept.
 */

import { outputColumns } from "./core/head_layout.ts";
import { fillBackend } from "./fill_backend.ts";
import type { Matrix } from "./matrix.ts";
import { type AttentionOptions, toProblem } from "./options.ts";

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
  const problem = toProblem("attention", options);
  const backend = await fillBackend(problem);
  try {
    const count = problem.query.shape[0];
    const { output } = await backend.read(Uint32Array.from({ length: count }, (_, i) => i), null);
    return { data: output, shape: [count, outputColumns(problem.layout)] };
  } finally {
    await backend.dispose();
  }
}
