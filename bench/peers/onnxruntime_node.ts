// ONNX Runtime as native code, with its own binary for Linux in the package.

import { formsOf } from "./onnxruntime.ts";

export const ONNXRUNTIME_NODE = formsOf("onnxruntime-node", (_, threads) => ({
  options: { intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: "sequential" },
  preallocate: true,
}));
