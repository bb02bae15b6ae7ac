/**
 * The backend `wasm`: kernels, which are compiled once, a memory, and the threads that compute in it.
 */

import type { BackendConfig } from "../backend.ts";
import { HostBackend } from "../host/host_backend.ts";
import { compileKernels, instantiateKernels, supportedBuild } from "./load_kernels.ts";
import { takeMemory } from "./memory_pool.ts";
import { WORKER_POOL, type WorkerPool } from "./threads/worker_pool.ts";
import { type ThreadCount, threadsOf } from "./threads/thread_count.ts";
import { WasmStore } from "./wasm_store.ts";

let compiled: Promise<WebAssembly.Module> | null = null;

/** Makes an empty backend with the best build that runs here; null if neither does. */
export async function createWasmBackend(
  config: BackendConfig,
  threads: ThreadCount = "auto",
  pool: WorkerPool = WORKER_POOL,
): Promise<HostBackend | null> {
  const build = supportedBuild();
  if (!build) return null;
  compiled ??= compileKernels(build);
  const module = await compiled;
  const memory = takeMemory();
  const kernels = await instantiateKernels(module, memory);
  const store = new WasmStore(config, kernels, memory, { pool, module, threads: threadsOf(threads) });
  return new HostBackend(config, store);
}
