/**
 * Any safetensors file in and out: matrices of other programs, in the types that these write. Snapshots of an engine are such
 * files too, with a stricter reader of their own (`snapshot.ts`).
 */

import { CapacityError, describe, FormatError, InputError } from "../base/errors.ts";
import { reading, takeList } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";
import { decodeNumbers, ELEMENTS, encodeNumbers, type TensorType } from "./element_types.ts";
import { checkBytes } from "./npy.ts";
import { readTensorEntries, type TensorEntry } from "./safetensors.ts";
import { checkTensor, type Tensor } from "./tensor.ts";

/** Our types by the format's names, in the order in which its own writer lays tensors: the widest first. */
const TYPES: Readonly<Record<string, TensorType>> = {
  U64: "uint64",
  I64: "int64",
  F64: "float64",
  F32: "float32",
  U32: "uint32",
  I32: "int32",
  BF16: "bfloat16",
  F16: "float16",
  U16: "uint16",
  I16: "int16",
  I8: "int8",
  U8: "uint8",
  BOOL: "bool",
};
const NAMES = Object.keys(TYPES);
const ELEMENT_BYTES = Object.fromEntries(NAMES.map((name) => [name, ELEMENTS[TYPES[name]].bytes]));
/** The reader of the format's own library takes no longer header. */
const LONGEST_HEADER = 100_000_000;

/** Tensors by name, with a map of strings. */
export interface Tensors {
  /** Tensors by name, in the order of the file's header. */
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** The file's map of strings; empty where it has none. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The tensors in the bytes of a safetensors file, each a copy in the type that it has there; F16 and BF16 come in a
 * `Float32Array`, BOOL in a `Uint8Array` of 0 and 1. {@link toMatrix} makes a matrix of one.
 *
 * @param options `names` of the tensors that are wanted; all unless given. Others may then be of types that are not read
 * here (float8 and smaller), and cost nothing.
 * @throws {FormatError} When the bytes are no such file, are cut off or damaged, or lack a tensor that is wanted, or it is of
 * a type that is not read.
 *
 * @example
 * ```ts
 * import { decodeSafetensors, encodeSafetensors, toMatrix } from "@attune/attention/store";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = encodeSafetensors({
 *   "memory.key": { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2], dtype: "bfloat16" },
 *   "memory.step": { data: BigInt64Array.of(7n), shape: [] },
 * }, { metadata: { model: "tiny" } });
 *
 * const { tensors, metadata } = decodeSafetensors(bytes, { names: ["memory.key"] });
 * assertEquals(toMatrix(tensors["memory.key"]).shape, [2, 2]);
 * assertEquals(metadata.model, "tiny");
 * ```
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  options: { readonly names?: readonly string[] } = {},
): Tensors {
  const operation = "decodeSafetensors";
  checkBytes(operation, bytes);
  const names = reading(
    operation,
    () => takeNames(operation, takeOptions(operation, options, ["names"]).names),
  );
  const file = bytes.buffer instanceof ArrayBuffer ? bytes as Uint8Array<ArrayBuffer> : new Uint8Array(bytes);
  const isWanted = (name: string) => names?.has(name) ?? true;
  const { metadata, entries, data } = readTensorEntries(operation, file, ELEMENT_BYTES, isWanted);
  const wanted = entries.filter(({ name }) => isWanted(name));
  for (const name of names ?? []) {
    if (wanted.some((entry) => entry.name === name)) continue;
    throw new FormatError(operation, `tensor ${describe(name)} is missing`, `one of ${listed(entries)}`);
  }
  const tensors = wanted.map(({ name, dtype, shape, begin, end }) => {
    const type = TYPES[dtype];
    return [name, {
      data: decodeNumbers(operation, type, data.subarray(begin, end), false),
      shape,
      dtype: type,
    }];
  });
  return { tensors: Object.fromEntries(tensors), metadata };
}

/** Names that a caller wants. */
function takeNames(operation: string, input: unknown): ReadonlySet<string> | null {
  if (input === undefined) return null;
  const { length, entries } = takeList(operation, "names", input, "an array of names");
  const names = new Set<string>();
  for (let at = 0; at < length; at++) {
    const name = entries[at];
    if (typeof name !== "string") {
      throw new InputError(operation, `names has ${describe(name)} at index ${at}`, "names of tensors");
    }
    names.add(name);
  }
  return names;
}

function listed(entries: readonly TensorEntry[]): string {
  const shown = entries.slice(0, 10).map(({ name }) => describe(name));
  return `${shown.join(", ")}${entries.length > shown.length ? `, … (${entries.length})` : ""}`;
}

/**
 * Tensors as the bytes of a safetensors file: the same that the format's own library for Python writes.
 *
 * @param options `metadata`, a map of strings.
 * @throws {InputError} When a tensor's shape does not fit its data, or its type does not, or a finite number is beyond it, or
 * a text of the metadata is none.
 * @throws {CapacityError} When the names are so many or long that no reader takes them.
 *
 * @example
 * ```ts
 * import { decodeSafetensors, encodeSafetensors } from "@attune/attention/store";
 * import { assertEquals } from "@std/assert";
 *
 * const key = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2], dtype: "bfloat16" as const };
 * const bytes = encodeSafetensors({ key }, { metadata: { model: "tiny" } });
 * // In Deno: await Deno.writeFile("keys.safetensors", bytes)
 * const { tensors, metadata } = decodeSafetensors(bytes);
 * assertEquals([tensors.key.data, metadata], [key.data, { model: "tiny" }]);
 * ```
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  options: { readonly metadata?: Readonly<Record<string, string>> } = {},
): Uint8Array<ArrayBuffer> {
  const operation = "encodeSafetensors";
  const { named, metadata } = reading(operation, () => ({
    named: takeTensors(operation, tensors),
    metadata: takeStrings(operation, takeOptions(operation, options, ["metadata"]).metadata),
  }));
  const ordered = named.sort((a, b) => rankOf(a.type) - rankOf(b.type) || compareBytes(a.name, b.name));
  let end = 0;
  const entries = ordered.map(({ name, bytes, shape, type }) => {
    const begin = end;
    end += bytes.length;
    return [name, { dtype: NAMES[rankOf(type)], shape, data_offsets: [begin, end] }];
  });
  const texts = metadata ? { [METADATA]: metadata } : {};
  const json = new TextEncoder().encode(JSON.stringify({ ...texts, ...Object.fromEntries(entries) }));
  const headerBytes = Math.ceil(json.length / 8) * 8;
  if (headerBytes > LONGEST_HEADER) {
    const cause = new RangeError(`at most ${LONGEST_HEADER} bytes of header`);
    throw new CapacityError(operation, `a header of ${ordered.length} tensors`, headerBytes, cause);
  }
  const file = new Uint8Array(8 + headerBytes + end).fill(0x20, 8, 8 + headerBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.set(json, 8);
  let at = 8 + headerBytes;
  for (const { bytes } of ordered) {
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}

const METADATA = "__metadata__";

function rankOf(type: TensorType): number {
  return NAMES.findIndex((name) => TYPES[name] === type);
}

/** The order of names in UTF-8, which is that of their code points. */
function compareBytes(a: string, b: string): number {
  const left = new TextEncoder().encode(a), right = new TextEncoder().encode(b);
  const at = left.findIndex((byte, index) => byte !== right[index]);
  return at === -1 ? left.length - right.length : left[at] - (right[at] ?? -1);
}

/** Tensors of the caller's by name, as bytes. */
function takeTensors(operation: string, tensors: unknown): {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}[] {
  return takeNamedTensors(operation, tensors).map(([name, tensor]) => {
    if (name === METADATA) throw new InputError(operation, `a tensor is named ${METADATA}`, "another name");
    const { type, shape, data } = checkTensor(operation, name, tensor);
    return { name, type, shape, bytes: encodeNumbers(operation, name, type, data) };
  });
}

/** The entries of an object of tensors; what an entry is has not been looked at. */
export function takeNamedTensors(operation: string, tensors: unknown): [name: string, tensor: Tensor][] {
  const isRecord = typeof tensors === "object" && tensors !== null && !(Symbol.iterator in tensors);
  if (!isRecord) {
    throw new InputError(operation, `tensors are ${describe(tensors)}`, "an object of tensors by name");
  }
  const named: [string, Tensor][] = Object.entries(tensors);
  for (const [name] of named) checkText(operation, `name ${describe(name)}`, name);
  return named;
}

function takeStrings(operation: string, metadata: unknown): Record<string, string> | null {
  if (metadata === undefined) return null;
  if (typeof metadata !== "object" || metadata === null || Symbol.iterator in metadata) {
    throw new InputError(operation, `metadata is ${describe(metadata)}`, "an object of texts by name");
  }
  const strings: [string, string][] = Object.entries(metadata);
  for (const [name, text] of strings) {
    if (typeof text !== "string") {
      throw new InputError(operation, `metadata ${describe(name)} is ${describe(text)}`, "text");
    }
    checkText(operation, `name ${describe(name)}`, name);
    checkText(operation, `metadata ${describe(name)}`, text);
  }
  return Object.fromEntries(strings);
}

/** Refuses half a character: UTF-8, which files are in, has no way to write it. */
function checkText(operation: string, what: string, text: string): void {
  // `isWellFormed`, which not every engine of JavaScript has yet.
  if (!/\p{Surrogate}/u.test(text)) return;
  throw new InputError(operation, `${what} has half of a pair of surrogates`, "text");
}
