// ONNX Runtime as native code, with its own binary for Linux in the package.

import type { ModelForm } from "../onnx/attention_models.ts";
import { type OnnxRuntime, prepareSession } from "./onnxruntime.ts";
import { importPeer, type PeerForm } from "./peer.ts";

const LIBRARY = "onnxruntime-node";

function form(modelForm: ModelForm, name: string): PeerForm {
  return {
    name: `${LIBRARY} ${name}`,
    library: LIBRARY,
    singleThreaded: null,
    async load(threads) {
      const runtime = await importPeer<OnnxRuntime>(LIBRARY, "InferenceSession");
      const options = { intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: "sequential" };
      return {
        prepare: (shape, inputs) => prepareSession(runtime, modelForm, options, true, shape, inputs),
      };
    },
  };
}

export const ONNXRUNTIME_NODE: readonly PeerForm[] = [
  form("fused", "MultiHeadAttention"),
  form("products", "MatMul-Softmax-MatMul"),
];
