/**
 * The one place that knows which backends there are: turns the option `backend` into a factory.
 * A backend is loaded when it is asked for first.
 */

import { describe, InputError } from "../errors.ts";
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
      return async (config) => await createWasm(config) ?? await createArray(config);
    case "array":
      return createArray;
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

async function createArray(config: BackendConfig): Promise<Backend> {
  const { ArrayBackend } = await import("./array/array_backend.ts");
  return new ArrayBackend(config);
}

/** null where it cannot run. */
async function createWasm(config: BackendConfig): Promise<Backend | null> {
  const { createWasmBackend } = await import("./wasm/wasm_backend.ts");
  return await createWasmBackend(config);
}
