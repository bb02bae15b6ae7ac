// What the two ONNX Runtimes have in common: their interface is one.

import type { Inputs } from "../data.ts";
import { attentionModel, MODEL_OUTPUT, type ModelForm, tensorShapes } from "../onnx/attention_models.ts";
import type { Shape } from "../workload.ts";
import type { PreparedAttention } from "./peer.ts";

interface Tensor {
  readonly data: Float32Array;
  dispose(): void;
}
interface Session {
  run(
    feeds: Readonly<Record<string, Tensor>>,
    fetches?: Readonly<Record<string, Tensor>>,
  ): Promise<Readonly<Record<string, Tensor>>>;
  release(): Promise<void>;
}
export interface OnnxRuntime {
  readonly env: { readonly wasm: { numThreads?: number } };
  readonly Tensor: new (type: "float32", data: Float32Array, shape: readonly number[]) => Tensor;
  readonly InferenceSession: {
    create(model: Uint8Array, options: Readonly<Record<string, unknown>>): Promise<Session>;
  };
}

/**
 * A warm session over inputs that are wrapped once: the tensors share their memory. `preallocate` also keeps the
 * output in one place, which the native runtime writes into.
 */
export async function prepareSession(
  runtime: OnnxRuntime,
  form: ModelForm,
  options: Readonly<Record<string, unknown>>,
  preallocate: boolean,
  shape: Shape,
  inputs: Inputs,
): Promise<PreparedAttention> {
  const session = await runtime.InferenceSession.create(attentionModel(form, shape), {
    graphOptimizationLevel: "all",
    ...options,
  });
  const shapes = tensorShapes(shape);
  const wrap = (data: Float32Array, dimensions: readonly number[]) =>
    new runtime.Tensor("float32", data, dimensions);
  const feeds = {
    query: wrap(inputs.query, shapes.query),
    key: wrap(inputs.key, shapes.key),
    value: wrap(inputs.value, shapes.value),
  };
  const fetches = preallocate
    ? { [MODEL_OUTPUT]: wrap(new Float32Array(shape.queryCount * shape.valueDim), shapes.output) }
    : undefined;
  return {
    update: () => {},
    async run() {
      const { [MODEL_OUTPUT]: output } = await session.run(feeds, fetches);
      return output.data;
    },
    dispose: () => session.release(),
  };
}
