// TensorFlow.js on its WebAssembly backend, XNNPACK inside.

import type { Inputs } from "../data.ts";
import { importPeer, type PeerForm } from "./peer.ts";

const LIBRARY = "@tensorflow/tfjs-backend-wasm", CORE = "@tensorflow/tfjs-core";

interface Tensor {
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}
interface Core {
  setBackend(name: "wasm"): Promise<boolean>;
  ready(): Promise<void>;
  tensor2d(data: Float32Array, shape: readonly [number, number]): Tensor;
  scalar(value: number): Tensor;
  tidy(compute: () => Tensor): Tensor;
  mul(a: Tensor, b: Tensor): Tensor;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  softmax(logits: Tensor): Tensor;
}
interface WasmBackend {
  setThreadsCount(threads: number): void;
}

export const TFJS_WASM: PeerForm = {
  name: "tfjs wasm",
  library: LIBRARY,
  singleThreaded: "its package switches threads off outside of browsers",
  async load(threads) {
    const core = await importPeer<Core>(CORE, "tensor2d");
    const backend = await importPeer<WasmBackend>(LIBRARY, "setThreadsCount");
    backend.setThreadsCount(threads);
    if (!await core.setBackend("wasm")) throw new Error("its wasm backend does not start");
    await core.ready();
    return {
      prepare({ queryCount, keyCount, headDim, valueDim }, inputs) {
        const shapes: Record<keyof Inputs, [number, number]> = {
          query: [queryCount, headDim],
          key: [keyCount, headDim],
          value: [keyCount, valueDim],
        };
        const upload = (name: keyof Inputs) => core.tensor2d(inputs[name], shapes[name]);
        const tensors = { query: upload("query"), key: upload("key"), value: upload("value") };
        const scale = core.scalar(1 / Math.sqrt(headDim));
        return Promise.resolve({
          update(changed) {
            for (const name of changed) {
              tensors[name].dispose();
              tensors[name] = upload(name);
            }
          },
          async run() {
            // The queries are scaled, not the scores: fewer products.
            const output = core.tidy(() => {
              const scores = core.matMul(core.mul(tensors.query, scale), tensors.key, false, true);
              return core.matMul(core.softmax(scores), tensors.value);
            });
            const data = await output.data();
            output.dispose();
            return data;
          },
          dispose() {
            for (const tensor of Object.values(tensors)) tensor.dispose();
            scale.dispose();
          },
        });
      },
    };
  },
};
