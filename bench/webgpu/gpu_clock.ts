// How long the device itself was busy with the last work of an engine, by timestamp queries where it has them.

import type { GpuDevice } from "../../src/backends/webgpu/device.ts";

/** A clock on a device. */
export class GpuClock {
  /** The device, told to note times. */
  readonly gpu: GpuDevice;
  readonly #queries: GPUQuerySet | null = null;

  constructor(gpu: GpuDevice) {
    if (!gpu.hasTimestamps) {
      this.gpu = gpu;
      return;
    }
    const querySet = this.#queries = gpu.device.createQuerySet({ type: "timestamp", count: 2 });
    const timestamps = { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
    this.gpu = Object.create(gpu, { timestamps: { value: timestamps } });
  }

  /** Milliseconds of the last pass; NaN where nobody can tell. */
  async lastMilliseconds(): Promise<number> {
    if (!this.#queries) return NaN;
    const { device } = this.gpu;
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    const resolved = device.createBuffer({ size: 16, usage: QUERY_RESOLVE | COPY_SRC });
    const staging = device.createBuffer({ size: 16, usage: COPY_DST | MAP_READ });
    const encoder = device.createCommandEncoder();
    encoder.resolveQuerySet(this.#queries, 0, 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, 16);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const [begin, end] = new BigUint64Array(staging.getMappedRange().slice(0));
    resolved.destroy();
    staging.destroy();
    return Number(end - begin) / 1e6;
  }
}
