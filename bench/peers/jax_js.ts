// jax-js on its WebAssembly backend: its own attention function, compiled.

import type { Inputs } from "../data.ts";
import { importPeer, type PeerForm } from "./peer.ts";

const LIBRARY = "@jax-js/jax";

interface JaxArray {
  /** Another reference: a function takes those it is given. */
  readonly ref: JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}
type Attend = (query: JaxArray, key: JaxArray, value: JaxArray) => JaxArray;
interface Jax {
  init(device: "wasm"): Promise<unknown>;
  defaultDevice(device: "wasm"): unknown;
  jit(attend: Attend): Attend & { dispose?(): void };
  readonly numpy: { array(data: Float32Array): JaxArray };
  readonly nn: { readonly dotProductAttention: Attend };
}

export const JAX_JS: PeerForm = {
  name: "jax-js",
  library: LIBRARY,
  singleThreaded: null,
  async load(threads) {
    // It takes a thread a core, in workers; where there are none it computes in place, which is its best for
    // one.
    if (threads === 1) Reflect.deleteProperty(globalThis, "Worker");
    const jax = await importPeer<Jax>(LIBRARY, "jit");
    await jax.init("wasm");
    jax.defaultDevice("wasm");
    return {
      prepare({ queryCount, keyCount, headDim, valueDim }, inputs) {
        // A row is a token of one head.
        const shapes: Record<keyof Inputs, number[]> = {
          query: [queryCount, 1, headDim],
          key: [keyCount, 1, headDim],
          value: [keyCount, 1, valueDim],
        };
        const upload = (name: keyof Inputs) => jax.numpy.array(inputs[name]).reshape(shapes[name]);
        const arrays = { query: upload("query"), key: upload("key"), value: upload("value") };
        const attend = jax.jit((query, key, value) => jax.nn.dotProductAttention(query, key, value));
        return Promise.resolve({
          update(changed) {
            for (const name of changed) {
              arrays[name].dispose();
              arrays[name] = upload(name);
            }
          },
          run: () => attend(arrays.query.ref, arrays.key.ref, arrays.value.ref).data(),
          dispose() {
            for (const array of Object.values(arrays)) array.dispose();
            attend.dispose?.();
          },
        });
      },
    };
  },
};
