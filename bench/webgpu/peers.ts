// The same attention by two other libraries on the same adapter, each from scratch and with its answer on the
// host: jax-js compiled, and ONNX Runtime with MatMul-Softmax-MatMul. Installed when this runs.

import { seededInputs } from "../data.ts";
import { attentionModel, MODEL_OUTPUT, tensorShapes } from "../onnx/attention_models.ts";
import { median } from "simple-statistics";
import type { Shape } from "../workload.ts";

/** A peer's result, or the reason why there is none. */
export interface PeerLine {
  readonly name: string;
  readonly milliseconds: number | null;
  /** Largest difference from the engine's answer. */
  readonly difference: number | null;
  readonly trouble: string | null;
}

interface JaxArray {
  readonly ref: JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  data(): Promise<ArrayLike<number>>;
}
type Attend = (query: JaxArray, key: JaxArray, value: JaxArray) => JaxArray;
interface Jax {
  init(device: "webgpu"): Promise<readonly string[]>;
  defaultDevice(device: "webgpu"): unknown;
  jit(attend: Attend): Attend;
  readonly numpy: { array(data: Float32Array): JaxArray };
  readonly nn: { readonly dotProductAttention: Attend };
}
interface OnnxRuntime {
  readonly env: { readonly wasm: { numThreads?: number } };
  readonly Tensor: new (type: "float32", data: Float32Array, shape: readonly number[]) => unknown;
  readonly InferenceSession: {
    create(model: Uint8Array, options: unknown): Promise<{
      run(
        feeds: Readonly<Record<string, unknown>>,
      ): Promise<Readonly<Record<string, { data: Float32Array }>>>;
    }>;
  };
}

type Run = () => Promise<ArrayLike<number>>;

const PEERS: Readonly<
  Record<string, { specifier: string; prepare(module: unknown, shape: Shape): Promise<Run> }>
> = {
  "jax-js": {
    specifier: "npm:@jax-js/jax@0.1.25",
    async prepare(module, shape) {
      const jax = module as Jax, { queryCount, keyCount, headDim, valueDim } = shape;
      const devices = await jax.init("webgpu");
      if (!devices.includes("webgpu")) throw new Error("it finds no WebGPU here");
      jax.defaultDevice("webgpu");
      const { query, key, value } = seededInputs(shape);
      const upload = (data: Float32Array, sizes: readonly number[]) => jax.numpy.array(data).reshape(sizes);
      const q = upload(query, [queryCount, 1, headDim]), k = upload(key, [keyCount, 1, headDim]);
      const v = upload(value, [keyCount, 1, valueDim]);
      const attend = jax.jit((q, k, v) => jax.nn.dotProductAttention(q, k, v));
      return () => attend(q.ref, k.ref, v.ref).data();
    },
  },
  "onnxruntime-web": {
    specifier: "npm:onnxruntime-web@1.30.0/webgpu",
    async prepare(module, shape) {
      const runtime = (module as { default?: OnnxRuntime }).default ?? module as OnnxRuntime;
      runtime.env.wasm.numThreads = 1;
      const session = await runtime.InferenceSession.create(attentionModel("products", shape), {
        executionProviders: ["webgpu"],
      });
      const inputs = seededInputs(shape), shapes = tensorShapes(shape);
      const wrap = (name: "query" | "key" | "value") =>
        new runtime.Tensor("float32", inputs[name], shapes[name]);
      const feeds = { query: wrap("query"), key: wrap("key"), value: wrap("value") };
      return async () => (await session.run(feeds))[MODEL_OUTPUT].data;
    },
  },
};

/** Measures every peer that runs; `expected` is the engine's answer. */
export async function runPeers(
  shape: Shape,
  expected: Float32Array,
  repetitions: number,
): Promise<PeerLine[]> {
  const lines: PeerLine[] = [];
  for (const [name, { specifier, prepare }] of Object.entries(PEERS)) {
    try {
      const run = await prepare(await import(specifier), shape);
      let difference = 0;
      const answer = await run();
      for (let at = 0; at < expected.length; at++) {
        difference = Math.max(difference, Math.abs(answer[at] - expected[at]));
      }
      if (!(difference < 1e-3)) throw new Error(`its answer is off by ${difference}`);
      const times: number[] = [];
      for (let repetition = 0; repetition < repetitions; repetition++) {
        const start = performance.now();
        await run();
        times.push(performance.now() - start);
      }
      lines.push({ name, milliseconds: median(times), difference, trouble: null });
    } catch (cause) {
      const trouble = cause instanceof Error ? cause.message : String(cause);
      lines.push({ name, milliseconds: null, difference: null, trouble });
    }
  }
  return lines;
}
