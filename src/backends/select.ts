/**
 * The one place that knows which backends there are: turns the option `backend` into a factory.
 */

import { describe, InputError } from "../errors.ts";

import { ArrayBackend } from "./array/array_backend.ts";
import type { Backend, BackendConfig, BackendFactory } from "./backend.ts";

/** What the option `backend` accepts; "auto" is the fastest one that runs here. */
export type BackendName = "auto" | "array" | "wasm";

/** Whether there is a backend of this name. */
export function isBackendName(name: string): name is BackendName {
  return name === "auto" || name === "array" || name === "wasm";
}

/** The factory for `name`. */
export function selectBackend(operation: string, name: BackendName = "auto"): BackendFactory {
  switch (name) {
    case "auto":
      return async (config) => await createWasm(config) ?? new ArrayBackend(config);
    case "array":
      return (config) => Promise.resolve(new ArrayBackend(config));
    case "wasm":
      return async (config) => {
        const backend = await createWasm(config);
        if (backend) return backend;
        throw new InputError(
          operation,
          'backend is "wasm" where WebAssembly has no SIMD',
          '"auto" or "array"',
        );
      };
    default:
      throw new InputError(operation, `backend is ${describe(name)}`, '"auto", "array" or "wasm"');
  }
}

/** null where it cannot run. The kernels are loaded when they are asked for first. */
async function createWasm(config: BackendConfig): Promise<Backend | null> {
  const { createWasmBackend } = await import("./wasm/wasm_backend.ts");
  return await createWasmBackend(config);
}
