// ONNX Runtime as WebAssembly, on its CPU provider.

import { formsOf } from "./onnxruntime.ts";

export const ONNXRUNTIME_WEB = formsOf("onnxruntime-web", (runtime, threads) => {
  runtime.env.wasm.numThreads = threads;
  // An output given to it is not written into, so none is.
  return { options: { executionProviders: ["wasm"] }, preallocate: false };
});
