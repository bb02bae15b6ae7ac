/**
 * The only module that names backends: it turns the option `backend` into a factory, and gives each backend
 * the reason for which it was chosen. The code of a backend is loaded on first use.
 */

import { describe, DeviceError, InputError } from "../base/errors.ts";
import { takeWord } from "../base/names.ts";
import type { Backend, BackendConfig, BackendFactory } from "./backend.ts";
import { isThreadCount, MOST_THREADS, type ThreadCount } from "./wasm/threads/thread_count.ts";

export type { ThreadCount };

/** The names that the option `backend` accepts; "auto" is the fastest backend that runs here. */
export type BackendName = "auto" | "array" | "wasm" | "webgpu";

const NAMES: readonly BackendName[] = ["auto", "array", "wasm", "webgpu"];

/**
 * The number of multiply-adds of a rebuild, H·m·n·(d + dv), from which "auto" looks for a graphics device.
 * For smaller problems `wasm` answers sooner than a device can be opened; docs/internals/webgpu.md has the
 * estimate.
 */
export const DEVICE_WORK = 2 ** 30;

/** Whether there is a backend of this name. */
export function isBackendName(name: string): name is BackendName {
  return NAMES.some((known) => known === name);
}

/** The factory for `name`, whose backends use at most `threads` threads. */
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

/**
 * The factory for states that were saved on `name`; that of the fastest backend if `name` does not run here.
 */
export function selectSaved(operation: string, name: string, threads: ThreadCount = "auto"): BackendFactory {
  if (name !== "webgpu") return selectBackend(operation, isBackendName(name) ? name : "auto", threads);
  return async (config) => {
    const { isFound, description } = await findDevice();
    if (!isFound) return await createFastest(config, threads);
    const found = await tryWebgpu({ ...config, reason: "saved on it" });
    if (typeof found !== "string") return found;
    return await createFastest(
      config,
      threads,
      `saved on webgpu, but ${description}; it is refused: ${found}; `,
    );
  };
}

const BY_NAME = "asked for by name";

/** Makes the fastest backend that runs here; its reason begins with `note`. */
async function createFastest(config: BackendConfig, threads: ThreadCount, note = ""): Promise<Backend> {
  const { layout: { heads, headDim, valueDim }, sizes } = config;
  const work = sizes ? heads * sizes.queryCount * sizes.keyCount * (headDim + valueDim) : 0;
  const taken = `a rebuild takes ${inThousands(work)} multiply-adds`;
  let reason = `${note}${taken}, and a graphics device is looked for from a billion on`;
  if (work >= DEVICE_WORK && note === "") {
    const { isHardware, description } = await findDevice();
    reason = description;
    if (isHardware) {
      const found = await tryWebgpu({
        ...config,
        reason: `${description}, and ${taken}`,
      });
      if (typeof found !== "string") return found;
      reason = `${description}; it is refused: ${found}`;
    }
  }
  const wasm = await createWasm({ ...config, reason }, threads);
  return wasm ?? await createArray({ ...config, reason: `${reason}; WebAssembly has no SIMD` });
}

/** A whole number with commas; `toLocaleString` would load the languages of the world, for 11 ms. */
function inThousands(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

async function createArray(config: BackendConfig): Promise<Backend> {
  const { createArrayBackend } = await import("./array/array_backend.ts");
  return createArrayBackend(config);
}

/** Makes a `wasm` backend; null if it cannot run here. */
async function createWasm(config: BackendConfig, threads: ThreadCount): Promise<Backend | null> {
  const { createWasmBackend } = await import("./wasm/wasm_backend.ts");
  return await createWasmBackend(config, threads);
}

/** Makes a `webgpu` backend on any adapter, also a software one, whose arithmetic is exact enough. */
async function createWebgpu(operation: string, config: BackendConfig): Promise<Backend> {
  const { isFound, description } = await findDevice();
  const found = isFound ? await tryWebgpu(config) : null;
  if (found !== null && typeof found !== "string") return found;
  const refused = found === null ? description : `${description}; it is refused: ${found}`;
  throw new InputError(operation, `backend is "webgpu", but ${refused}`, '"auto", "wasm" or "array"');
}

/** Makes a `webgpu` backend, or returns the reason why the device is refused, in words. */
async function tryWebgpu(config: BackendConfig): Promise<Backend | string> {
  const { createWebgpuBackend } = await import("./webgpu/webgpu_backend.ts");
  try {
    return await createWebgpuBackend(config);
  } catch (error) {
    if (error instanceof DeviceError) return error.message.slice(error.operation.length + 2);
    throw error;
  }
}

async function findDevice() {
  const { describeAdapter } = await import("./webgpu/adapter.ts");
  return await describeAdapter();
}
