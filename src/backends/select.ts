/**
 * The one place that knows which backends there are: turns the option `backend` into a factory.
 * A backend is loaded when it is asked for first.
 */

import { describe, InputError } from "../errors.ts";
import type { Backend, BackendConfig, BackendFactory } from "./backend.ts";
import { isThreadCount, MOST_THREADS, type ThreadCount } from "./wasm/threads/thread_count.ts";

export type { ThreadCount };

/** What the option `backend` accepts; "auto" is the fastest one that runs here. */
export type BackendName = "auto" | "array" | "wasm";

/** Whether there is a backend of this name. */
export function isBackendName(name: string): name is BackendName {
  return name === "auto" || name === "array" || name === "wasm";
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
  switch (name) {
    case "auto":
      return async (config) => await createWasm(config, threads) ?? await createArray(config);
    case "array":
      if (threads !== "auto" && threads !== 1) {
        throw new InputError(operation, `threads is ${threads} with backend "array"`, '1 or "auto"');
      }
      return createArray;
    case "wasm":
      return async (config) => {
        const backend = await createWasm(config, threads);
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

/** Why an engine that was asked to compute on `asked` computes on `chosen`, in words. */
export function explainBackend(asked: BackendName, chosen: string): string {
  if (asked !== "auto") return "as asked";
  return chosen === "wasm" ? "the fastest that runs here" : "WebAssembly has no SIMD here";
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
