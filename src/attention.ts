/**
 * Attention once, with nothing kept.
 */

import { firstChanges } from "./backends/first_changes.ts";
import type { Matrix } from "./matrix.ts";
import { type AttentionOptions, toProblem } from "./options.ts";

/**
 * `softmax(scale · Q Kᵀ) V`, computed once.
 *
 * Shapes: Q is m × d, K is n × d, V is n × dv; the result is m × dv. Scores are in natural-log units. Without any
 * key (n = 0) the result is all 0. Costs O(m n (d + dv)).
 *
 * @param options Q, K, V and, if wanted, `scale` (1 / √d) and `backend` ("auto").
 * @returns A matrix of the caller's own, m × dv.
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
 * Source: Vaswani et al., "Attention Is All You Need", arXiv 1706.03762, §3.2.1.
 */
export async function attention(options: AttentionOptions): Promise<Matrix> {
  const operation = "attention";
  const { query, key, value, scale, factory } = toProblem(operation, options);
  const backend = factory({ headDim: query.shape[1], valueDim: value.shape[1], scale, tolerance: 1e-8 });
  try {
    await backend.apply(firstChanges(null, key, value), "patch");
    const { output } = await backend.attend(query.data, query.shape[0], null);
    return { data: output, shape: [query.shape[0], value.shape[1]] };
  } finally {
    await backend.dispose();
  }
}
