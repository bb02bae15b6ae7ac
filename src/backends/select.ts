/**
 * The one place that knows which backends there are: turns the option `backend` into a factory and tells each backend why
 * it was chosen. A backend is loaded when it is asked for first.
 */

import { describe, InputError } from "../errors.ts";
import { takeWord } from "../names.ts";
import type { Backend, BackendConfig, BackendFactory } from "./backend.ts";
import { isThreadCount, MOST_THREADS, type ThreadCount } from "./wasm/threads/thread_count.ts";

export type { ThreadCount };

/** What the option `backend` accepts; "auto" is the fastest one that runs here. */
export type BackendName = "auto" | "array" | "wasm" | "webgpu";

const NAMES: readonly BackendName[] = ["auto", "array", "wasm", "webgpu"];

/**
 * Multiply-adds of a rebuild, H·m·n·(d + dv), from which "auto" looks for a graphics device. Below, the answers of `wasm`
 * are there before a device has been asked anything; docs/webgpu.md has the estimate.
 */
export const DEVICE_WORK = 2 ** 30;

/** Whether there is a backend of this name. */
export function isBackendName(name: string): name is BackendName {
  return NAMES.some((known) => known === name);
}

/** The factory for `name`, whose backends use `threads` threads at most. */
export function selectBackend(
  operation: string,
  name: BackendName = "auto",
  threads: ThreadCount = "auto",
): BackendFactory {
  if (!isThreadCount(threads)) {
    throw new InputError(
      operation,
      `threads is ${describe(threads)}`,
      `an integer from 1 to ${MOST_THREADS}, or "auto"`,
    );
  }
  switch (takeWord(operation, "backend", name, NAMES)) {
    case "auto":
      return (config) => createFastest(config, threads);
    case "array":
    case "webgpu":
      if (threads !== "auto" && threads !== 1) {
        throw new InputError(operation, `threads is ${threads} with backend "${name}"`, '1 or "auto"');
      }
      return async (config) => {
        const named = { ...config, reason: BY_NAME };
        return name === "array" ? await createArray(named) : await createWebgpu(operation, named);
      };
    case "wasm":
      return async (config) => {
        const backend = await createWasm({ ...config, reason: BY_NAME }, threads);
        if (backend) return backend;
        throw new InputError(
          operation,
          'backend is "wasm" where WebAssembly has no SIMD',
          '"auto" or "array"',
        );
      };
  }
}

/** The factory for states that were saved on `name`: where that does not run, the fastest one that does. */
export function selectSaved(operation: string, name: string, threads: ThreadCount = "auto"): BackendFactory {
  if (name !== "webgpu") return selectBackend(operation, isBackendName(name) ? name : "auto", threads);
  return async (config) => {
    const { isFound } = await findDevice();
    if (isFound) return await createWebgpu(operation, { ...config, reason: "saved on it" });
    return await createFastest(config, threads);
  };
}

const BY_NAME = "asked for by name";

async function createFastest(config: BackendConfig, threads: ThreadCount): Promise<Backend> {
  const { layout: { heads, headDim, valueDim }, sizes } = config;
  const work = sizes ? heads * sizes.queryCount * sizes.keyCount * (headDim + valueDim) : 0;
  let reason = `a rebuild takes ${work} multiply-adds, and a graphics device pays from ${DEVICE_WORK} on`;
  if (work >= DEVICE_WORK) {
    const { isHardware, description } = await findDevice();
    reason = description;
    if (isHardware) {
      const backend = await tryWebgpu({
        ...config,
        reason: `${description}, and a rebuild takes ${work} multiply-adds`,
      });
      if (backend) return backend;
      reason = `${description}, but does not run`;
    }
  }
  const wasm = await createWasm({ ...config, reason }, threads);
  return wasm ?? await createArray({ ...config, reason: `${reason}; WebAssembly has no SIMD` });
}

async function createArray(config: BackendConfig): Promise<Backend> {
  const { ArrayBackend } = await import("./array/array_backend.ts");
  return new ArrayBackend(config);
}

/** null where it cannot run. */
async function createWasm(config: BackendConfig, threads: ThreadCount): Promise<Backend | null> {
  const { createWasmBackend } = await import("./wasm/wasm_backend.ts");
  return await createWasmBackend(config, threads);
}

/** On any adapter, software too. */
async function createWebgpu(operation: string, config: BackendConfig): Promise<Backend> {
  const { isFound, description } = await findDevice();
  if (!isFound) {
    throw new InputError(operation, `backend is "webgpu", but ${description}`, '"auto", "wasm" or "array"');
  }
  const { createWebgpuBackend } = await import("./webgpu/webgpu_backend.ts");
  return await createWebgpuBackend(config);
}

/** null where an adapter promised more than its device keeps. */
async function tryWebgpu(config: BackendConfig): Promise<Backend | null> {
  const { createWebgpuBackend } = await import("./webgpu/webgpu_backend.ts");
  try {
    return await createWebgpuBackend(config);
  } catch {
    return null;
  }
}

async function findDevice() {
  const { describeAdapter } = await import("./webgpu/adapter.ts");
  return await describeAdapter();
}
