/**
 * The backend `array`: plain loops over typed arrays, which run on any JavaScript engine.
 */

import type { BackendConfig } from "../backend.ts";
import { HostBackend } from "../host/host_backend.ts";
import { ArrayStore } from "./array_store.ts";

/** Makes an empty backend. */
export function createArrayBackend(config: BackendConfig): HostBackend {
  return new HostBackend(config, new ArrayStore(config));
}
