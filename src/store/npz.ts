/**
 * NumPy's `.npz` format: `.npy` files in a ZIP archive, each under the name of its array. An entry point of its own, since it is
 * the only part of the files that needs a package, zip.js, which is loaded at the first call.
 *
 * @example
 * ```ts
 * import { decodeNpz, encodeNpz } from "@attune/attention/npz";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = await encodeNpz({ key: { data: Float32Array.of(1, 2), shape: [1, 2] } });
 * assertEquals((await decodeNpz(bytes)).key.shape, [1, 2]);
 * ```
 *
 * @module
 */

import { describe, FormatError, InputError } from "../base/errors.ts";
import { reading } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";
import { checkBytes, readNpy, writeNpy } from "./npy.ts";
import { checkTensor, type Tensor } from "./tensor.ts";
import { takeNamedTensors } from "./tensor_files.ts";

export { AttentionError, FormatError, InputError } from "../base/errors.ts";
export type { Tensor, TensorData, TensorType } from "./tensor.ts";

const ENDING = ".npy";
/** Bytes of a name in UTF-8, its ending included, that a ZIP archive can count. */
const MOST_NAME_BYTES = 2 ** 16 - 1;

/**
 * The arrays in the bytes of an `.npz` file by name, as {@link decodeNpy} reads them, compressed or not. The reader of ZIP
 * archives, zip.js, is loaded at the first call. Names are as the file has them, such as "../key": check them before you use
 * one as a path.
 *
 * @throws {FormatError} When the bytes are no such file, or are damaged, or an array is not one of numbers.
 *
 * @example
 * ```ts
 * import { decodeNpz, encodeNpz } from "@attune/attention/npz";
 * import { toMatrix } from "@attune/attention/store";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = await encodeNpz({
 *   key: { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] },
 *   ids: { data: BigInt64Array.of(70n, 71n), shape: [2] },
 * }, { compressed: true });
 * const { key, ids } = await decodeNpz(bytes); // or of await Deno.readFile("memory.npz")
 * assertEquals(toMatrix(key).shape, [2, 2]);
 * assertEquals(ids.data, BigInt64Array.of(70n, 71n));
 * ```
 */
export async function decodeNpz(bytes: Uint8Array): Promise<Record<string, Tensor>> {
  const operation = "decodeNpz";
  checkBytes(operation, bytes);
  // The caller may change the array after the first await.
  const copy = new Uint8Array(bytes);
  const { unzip } = await import("./zip_archive.ts");
  const arrays = new Map<string, Tensor>();
  for (const { name, bytes } of await unzip(operation, copy)) {
    const key = name.endsWith(ENDING) ? name.slice(0, -ENDING.length) : name;
    if (arrays.has(key)) throw new FormatError(operation, `array ${key} is there twice`, "each name once");
    arrays.set(key, readNpy(`${operation}.${key}`, bytes));
  }
  return Object.fromEntries(arrays);
}

/**
 * Tensors as the bytes of an `.npz` file, which `numpy.load` reads; equal tensors in the same order give equal bytes.
 *
 * @param options `compressed` as `numpy.savez_compressed` does; false unless given.
 * @throws {InputError} When a tensor's shape does not fit its data, or its type does not, or a finite number is beyond it, or
 * a name is longer than an archive can hold.
 *
 * @example
 * ```ts
 * import { decodeNpz, encodeNpz } from "@attune/attention/npz";
 * import { assertEquals } from "@std/assert";
 *
 * const keys = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] };
 * const bytes = await encodeNpz({ keys }, { compressed: true }); // numpy.load(file)["keys"]
 * assertEquals((await decodeNpz(bytes)).keys.data, keys.data);
 * ```
 */
export async function encodeNpz(
  tensors: Readonly<Record<string, Tensor>>,
  options: { readonly compressed?: boolean } = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const operation = "encodeNpz";
  const { files, compressed } = reading(operation, () => {
    const { compressed = false } = takeOptions(operation, options, ["compressed"]);
    if (typeof compressed !== "boolean") {
      throw new InputError(operation, `compressed is ${describe(compressed)}`, "a boolean");
    }
    const files = takeNamedTensors(operation, tensors).map(([name, tensor]) => {
      const bytes = writeNpy(operation, name, checkTensor(operation, name, tensor));
      checkLength(operation, name);
      return { name: `${name}${ENDING}`, bytes };
    });
    return { files, compressed };
  });
  const { zip } = await import("./zip_archive.ts");
  return await zip(files, compressed);
}

/** Refuses a name that no archive can hold. */
function checkLength(operation: string, name: string): void {
  const bytes = new TextEncoder().encode(name).length, most = MOST_NAME_BYTES - ENDING.length;
  if (bytes <= most) return;
  throw new InputError(operation, `name ${describe(name)} has ${bytes} bytes`, `at most ${most}`);
}
