/**
 * Runs a work list on a device without a session, and reads a buffer that it wrote.
 */

import type { Deadline } from "./deadline.ts";
import { encodeWork } from "./encode_work.ts";
import type { Pipelines } from "./pipelines.ts";
import { BufferUsage, MapMode } from "./usage.ts";
import type { WorkList } from "./work_list.ts";

/**
 * A function that fills a work list, which writes to the buffer `found` and to buffers that `make` makes,
 * given their numbers of words.
 */
export type FillWork = (found: GPUBuffer, make: (words: number) => GPUBuffer) => WorkList;

/** Runs the list and returns the first `words` words of its buffer; frees all buffers. */
export async function runOnce(
  device: GPUDevice,
  pipelines: Pipelines,
  deadline: Deadline,
  words: number,
  fill: FillWork,
): Promise<ArrayBuffer> {
  const buffers: GPUBuffer[] = [];
  const { STORAGE, COPY_DST, COPY_SRC, INDIRECT, UNIFORM, MAP_READ } = BufferUsage;
  const create = (words: number, usage: GPUBufferUsageFlags) => {
    const buffer = device.createBuffer({ size: 4 * words, usage });
    buffers.push(buffer);
    return buffer;
  };
  try {
    const found = create(words, STORAGE | COPY_SRC);
    const work = fill(found, (words) => create(words, STORAGE | COPY_DST | INDIRECT));
    const upload = create(work.bytes / 4, STORAGE | UNIFORM | COPY_DST);
    const staging = create(words, MAP_READ | COPY_DST);
    device.queue.writeBuffer(upload, 0, work.data());
    const encoder = device.createCommandEncoder();
    encodeWork({ device, pipelines }, encoder, work, upload);
    encoder.copyBufferToBuffer(found, 0, staging, 0, 4 * words);
    device.queue.submit([encoder.finish()]);
    await deadline.wait("its self-test", staging.mapAsync(MapMode.READ));
    return staging.getMappedRange().slice(0);
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}
