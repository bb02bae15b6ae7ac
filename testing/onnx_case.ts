// Reads the vectors of the ONNX operator `Attention` and says each as a problem of this library, a batch
// element its own. The mapping is the one that the README beside the vectors states.

import type { MaskInput } from "../mod.ts";
import { assert, assertEquals } from "./assert.ts";

/** One attention of rows with heads side by side, a mask that knows every pair, and what must come out. */
export interface OnnxProblem {
  readonly name: string;
  readonly heads: number;
  readonly kvHeads: number;
  readonly query: Float32Array[];
  readonly key: Float32Array[];
  readonly value: Float32Array[];
  readonly headDim: number;
  readonly valueDim: number;
  readonly scale: number | undefined;
  readonly softcap: number;
  /** Keys after query + offset are forbidden; null where the case is not causal. */
  readonly causalOffset: number | null;
  /** The mask and the padding as one answer a pair; null where there is neither. */
  readonly mask: ((i: number, j: number, head: number) => number | boolean) | null;
  /** Y, one row per query. */
  readonly expected: Float32Array[];
  /** Whether Y was rounded to float16. */
  readonly isHalf: boolean;
}

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: string;
}

interface OnnxFile {
  readonly name: string;
  readonly attributes: Readonly<Record<string, number>>;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

interface Numbers {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
  readonly dtype: string;
}

/** The attributes that change Y, and two that do not: what else an operator says must not be passed over. */
const ATTRIBUTES = ["q_num_heads", "kv_num_heads", "scale", "softcap", "is_causal", "qk_matmul_output_mode"];
const INPUTS = ["Q", "K", "V", "attn_mask", "past_key", "past_value", "nonpad_kv_seqlen"];

/** The problems of a file, one a batch element. */
export function toProblems(text: string): OnnxProblem[] {
  const { name, attributes, inputs, outputs }: OnnxFile = JSON.parse(text);
  for (const attribute of Object.keys(attributes)) assert(ATTRIBUTES.includes(attribute), attribute);
  for (const input of inputs) assert(INPUTS.includes(input.name), input.name);
  const find = (slot: string) => inputs.find((tensor) => tensor.name === slot);
  const tensor = (slot: string) => decode(find(slot)!);

  const query = toHeads(tensor("Q"), attributes.q_num_heads);
  const newKey = toHeads(tensor("K"), attributes.kv_num_heads);
  const newValue = toHeads(tensor("V"), attributes.kv_num_heads);
  const past = find("past_key") ? { key: tensor("past_key"), value: tensor("past_value") } : null;
  const key = past ? concatenate(past.key, newKey) : newKey;
  const value = past ? concatenate(past.value, newValue) : newValue;
  const Y = decode(outputs.find((output) => output.name === "Y")!);
  const expected = toHeads(Y, attributes.q_num_heads);
  const mask = find("attn_mask") ? tensor("attn_mask") : null;
  const nonpad = find("nonpad_kv_seqlen") ? tensor("nonpad_kv_seqlen") : null;

  const [batches, heads, queryCount, headDim] = query.shape;
  const [, kvHeads, keyCount] = key.shape;
  const valueDim = value.shape[3];
  assertEquals(expected.shape, [batches, heads, queryCount, valueDim]);
  return Array.from({ length: batches }, (_, b) => {
    const padding = nonpad ? nonpad.data[b] : keyCount;
    const pastOffset = past ? past.key.shape[2] : nonpad ? padding - queryCount : 0;
    return {
      name: `${name}[${b}]`,
      heads,
      kvHeads,
      query: toTokens(query, b),
      key: toTokens(key, b),
      value: toTokens(value, b),
      headDim,
      valueDim,
      scale: attributes.scale,
      softcap: attributes.softcap ?? 0,
      causalOffset: attributes.is_causal === 1 ? pastOffset : null,
      mask: mask || nonpad ? toAnswer(mask, b, padding) : null,
      expected: toTokens(expected, b),
      isHalf: Y.dtype === "float16",
    };
  });
}

/** The mask of a problem as matrices: one per head, or one for all heads if they are equal. */
export function toMatrices({ mask, heads, query, key }: OnnxProblem): MaskInput | undefined {
  if (!mask) return undefined;
  const matrices = Array.from({ length: heads }, (_, head) => ({
    data: query.flatMap((_, i) => key.map((_, j) => mask(i, j, head))) as number[] | boolean[],
    shape: [query.length, key.length] as const,
  }));
  const areEqual = matrices.every(({ data }) => data.every((entry, at) => entry === matrices[0].data[at]));
  return areEqual ? matrices[0] : matrices;
}

function decode({ shape, dtype, data }: Tensor): Numbers {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const count = shape.reduce((product, length) => product * length, 1);
  const [size, read] = readerOf(dtype, view);
  assertEquals(bytes.length, count * size);
  return { shape, dtype, data: Array.from({ length: count }, (_, at) => read(at * size)) };
}

function readerOf(dtype: string, view: DataView): [size: number, read: (at: number) => number] {
  switch (dtype) {
    case "float32":
      return [4, (at) => view.getFloat32(at, true)];
    case "float16":
      return [2, (at) => view.getFloat16(at, true)];
    case "int64":
      return [8, (at) => Number(view.getBigInt64(at, true))];
    case "bool":
      return [1, (at) => view.getUint8(at)];
    default:
      throw new Error(`a tensor of ${dtype}`);
  }
}

/** (B, S, H·d) as (B, H, S, d); four dimensions stay as they are. */
function toHeads(tensor: Numbers, heads: number): Numbers {
  if (tensor.shape.length === 4) return tensor;
  const [batches, count, width] = tensor.shape;
  const size = width / heads;
  const data = new Float32Array(tensor.data.length);
  let to = 0;
  for (let b = 0; b < batches; b++) {
    for (let head = 0; head < heads; head++) {
      for (let s = 0; s < count; s++) {
        const from = (b * count + s) * width + head * size;
        for (let c = 0; c < size; c++) data[to++] = tensor.data[from + c];
      }
    }
  }
  return { ...tensor, shape: [batches, heads, count, size], data };
}

/** Two tensors (B, H, S, d) one after the other on the axis of S. */
function concatenate(first: Numbers, second: Numbers): Numbers {
  const [batches, heads, firstCount, size] = first.shape;
  const secondCount = second.shape[2];
  const data: number[] = [];
  for (let run = 0; run < batches * heads; run++) {
    const a = run * firstCount * size, b = run * secondCount * size;
    for (let at = 0; at < firstCount * size; at++) data.push(first.data[a + at]);
    for (let at = 0; at < secondCount * size; at++) data.push(second.data[b + at]);
  }
  return { ...first, shape: [batches, heads, firstCount + secondCount, size], data };
}

/** Batch element b of (B, H, S, d), a row a token with its heads side by side. */
function toTokens({ shape, data }: Numbers, b: number): Float32Array[] {
  const [, heads, count, size] = shape;
  return Array.from({ length: count }, (_, s) =>
    Float32Array.from({ length: heads * size }, (_, column) => {
      const head = Math.floor(column / size);
      return data[((b * heads + head) * count + s) * size + column % size];
    }));
}

/**
 * Mask and padding of batch element b: axes are aligned at the right, and a mask that is too short forbids
 * the rest.
 */
function toAnswer(
  mask: Numbers | null,
  b: number,
  padding: number,
): (i: number, j: number, head: number) => number | boolean {
  const isBoolean = mask === null || mask.dtype === "bool";
  const shape = mask ? [...new Array<number>(4 - mask.shape.length).fill(1), ...mask.shape] : [1, 1, 1, 1];
  const at = (axis: number, index: number) => shape[axis] === 1 ? 0 : index;
  return (i, j, head) => {
    const isCovered = !mask || shape[3] === 1 || j < shape[3];
    if (j >= padding || !isCovered) return isBoolean ? false : -Infinity;
    if (!mask) return true;
    const offset = ((at(0, b) * shape[1] + at(1, head)) * shape[2] + at(2, i)) * shape[3] + at(3, j);
    return isBoolean ? mask.data[offset] !== 0 : mask.data[offset];
  };
}
