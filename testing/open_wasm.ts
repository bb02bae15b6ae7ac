// A backend on the WebAssembly kernels whose parts a test can look at, and replace.

import type { BackendConfig } from "../src/backends/backend.ts";
import { HostBackend } from "../src/backends/host/host_backend.ts";
import type { WasmCertificates } from "../src/backends/wasm/certificates.ts";
import {
  compileKernels,
  createMemory,
  instantiateKernels,
  type Kernels,
} from "../src/backends/wasm/load_kernels.ts";
import { WORKER_POOL } from "../src/backends/wasm/threads/worker_pool.ts";
import { WasmStore } from "../src/backends/wasm/wasm_store.ts";
import { assert } from "./assert.ts";

/** A backend with its parts. */
export interface OpenWasm {
  readonly backend: HostBackend;
  /** The functions that the backend calls; those that a test sets are called from then on. */
  readonly kernels: Kernels;
  readonly memory: WebAssembly.Memory;
  readonly store: WasmStore;
  readonly certificates: WasmCertificates;
}

/** Makes an empty backend for rules that have certificates by kernels. */
export async function openWasm(config: BackendConfig): Promise<OpenWasm> {
  const module = await compileKernels("relaxed"), memory = createMemory();
  const kernels = { ...await instantiateKernels(module, memory) };
  const store = new WasmStore(config, kernels, memory, { pool: WORKER_POOL, module, threads: 1 });
  assert(store.certificates);
  return {
    backend: new HostBackend(config, store),
    kernels,
    memory,
    store,
    certificates: store.certificates,
  };
}
