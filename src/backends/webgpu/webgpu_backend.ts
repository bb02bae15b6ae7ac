/**
 * The backend `webgpu`, for the graphics device that all engines of a process share.
 */

import type { BackendConfig } from "../backend.ts";
import { HostBackend } from "../host/host_backend.ts";
import { acquireDevice, type GpuDevice, holdDevice } from "./device.ts";
import type { Traffic } from "./traffic.ts";
import { WebgpuStore } from "./webgpu_store.ts";

/** Attention on a graphics device. */
export class WebgpuBackend extends HostBackend {
  readonly #store: WebgpuStore;

  /**
   * `open` opens the device, also after the last one was lost; `letGo` is called when the backend no longer
   * needs it.
   */
  constructor(config: BackendConfig, open: () => Promise<GpuDevice>, letGo: () => void = () => {}) {
    const store = new WebgpuStore(config, open, letGo);
    super(config, store);
    this.#store = store;
  }

  /** Counts of requests to the device. */
  get traffic(): Readonly<Traffic> {
    return this.#store.traffic;
  }
}

/**
 * Makes an empty backend on the device of this process.
 *
 * @throws {DeviceError} When there is none, or it is unfit, so that the caller learns it before the first
 * question.
 */
export async function createWebgpuBackend(config: BackendConfig): Promise<WebgpuBackend> {
  const letGo = holdDevice();
  try {
    await acquireDevice();
  } catch (error) {
    letGo();
    throw error;
  }
  return new WebgpuBackend(config, acquireDevice, letGo);
}
