// The common part of the two ONNX Runtimes, which have the same interface.

import type { Inputs } from "../data.ts";
import { attentionModel, MODEL_OUTPUT, type ModelForm, tensorShapes } from "../onnx/attention_models.ts";
import type { Shape } from "../workload.ts";
import { importPeer, type PeerForm, type PreparedAttention } from "./peer.ts";

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
interface OnnxRuntime {
  readonly env: { readonly wasm: { numThreads?: number } };
  readonly Tensor: new (type: "float32", data: Float32Array, shape: readonly number[]) => Tensor;
  readonly InferenceSession: {
    create(model: Uint8Array, options: Readonly<Record<string, unknown>>): Promise<Session>;
  };
}

/** The options of a runtime. */
interface RuntimeUse {
  /** Options of its sessions. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether it writes into an output that it is given. */
  readonly preallocate: boolean;
}

/** The forms of a runtime, which `use` readies for some threads. */
export function formsOf(
  library: string,
  use: (runtime: OnnxRuntime, threads: number) => RuntimeUse,
): readonly PeerForm[] {
  const form = (modelForm: ModelForm, name: string): PeerForm => ({
    name: `${library} ${name}`,
    library,
    singleThreaded: null,
    async load(threads) {
      const runtime = await importPeer<OnnxRuntime>(library, "InferenceSession");
      const { options, preallocate } = use(runtime, threads);
      return {
        prepare: (shape, inputs) => prepareSession(runtime, modelForm, options, preallocate, shape, inputs),
      };
    },
  });
  return [form("fused", "MultiHeadAttention"), form("products", "MatMul-Softmax-MatMul")];
}

/**
 * A warm session over inputs that are wrapped once: the tensors share their memory. `preallocate` also keeps
 * the output in one place, which the native runtime writes into.
 */
async function prepareSession(
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
