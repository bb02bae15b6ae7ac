/**
 * File formats: single matrices as NumPy's `.npy` files, and the errors that reading a file can throw.
 * Snapshots of engines are made by `DynamicAttention.save` and read by `DynamicAttention.load`.
 *
 * @example
 * ```ts
 * import { fromNpy, toNpy } from "@attune/attention/store";
 * import { attention } from "@attune/attention";
 * import { assertEquals } from "@std/assert";
 *
 * const file = toNpy({ data: Float32Array.of(1, 0, 0, 1), shape: [2, 2] }); // or await Deno.readFile("keys.npy")
 * const key = fromNpy(file);
 * const output = await attention({ query: [[0, 0]], key, value: [[1], [3]] });
 * assertEquals(fromNpy(toNpy(output)), output);
 * ```
 *
 * @module
 */

export { AttentionError, FormatError, InputError } from "../base/errors.ts";
export { type Matrix } from "../base/matrix.ts";
export { fromNpy, toNpy } from "./npy.ts";
