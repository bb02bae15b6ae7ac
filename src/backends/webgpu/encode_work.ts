/**
 * Encodes a work list as commands.
 */

import { CALL_BYTES } from "./call_fields.ts";
import type { Pipelines } from "./pipelines.ts";
import { UPLOAD, type WorkList } from "./work_list.ts";

/** A device and its kernels. */
export interface KernelDevice {
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
}

/**
 * Adds the kernels of a list to a command buffer, in one pass. `upload` is the buffer of its words,
 * `timestamps` the places of the pass's timestamps.
 */
export function encodeWork(
  { device, pipelines }: KernelDevice,
  encoder: GPUCommandEncoder,
  work: WorkList,
  upload: GPUBuffer,
  timestamps?: GPUComputePassTimestampWrites,
): void {
  const pass = encoder.beginComputePass(timestamps ? { timestampWrites: timestamps } : {});
  for (const { kernel, callAt, buffers, groups } of work.dispatches) {
    const { pipeline, layout } = pipelines.get(kernel);
    const entries: GPUBindGroupEntry[] = [{ binding: 0, resource: { buffer: upload, size: CALL_BYTES } }];
    buffers.forEach((buffer, at) => {
      entries.push({ binding: at + 1, resource: { buffer: buffer === UPLOAD ? upload : buffer } });
    });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries }), [callAt]);
    if ("indirect" in groups) pass.dispatchWorkgroupsIndirect(groups.indirect, groups.offset);
    else pass.dispatchWorkgroups(groups.x, groups.y, groups.z);
  }
  pass.end();
}
