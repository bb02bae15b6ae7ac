// ONNX Runtime as WebAssembly, on its CPU provider.

import type { ModelForm } from "../onnx/attention_models.ts";
import { type OnnxRuntime, prepareSession } from "./onnxruntime.ts";
import { importPeer, type PeerForm } from "./peer.ts";

const LIBRARY = "onnxruntime-web";

function form(modelForm: ModelForm, name: string): PeerForm {
  return {
    name: `${LIBRARY} ${name}`,
    library: LIBRARY,
    singleThreaded: null,
    async load(threads) {
      const runtime = await importPeer<OnnxRuntime>(LIBRARY, "InferenceSession");
      runtime.env.wasm.numThreads = threads;
      // An output given to it is not written into, so none is.
      return {
        prepare: (shape, inputs) =>
          prepareSession(runtime, modelForm, { executionProviders: ["wasm"] }, false, shape, inputs),
      };
    },
  };
}

export const ONNXRUNTIME_WEB: readonly PeerForm[] = [
  form("fused", "MultiHeadAttention"),
  form("products", "MatMul-Softmax-MatMul"),
];
