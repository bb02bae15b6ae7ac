// The limits of a device, measured on it: multiply-adds in registers, and bytes copied from buffer to buffer.

import type { GpuDevice } from "../../src/backends/webgpu/device.ts";

/** Limits of a device. */
export interface DeviceLimit {
  /** Two operations a multiply-add. */
  readonly flopsPerSecond: number;
  /** Read and written. */
  readonly bytesPerSecond: number;
}

const ROUNDS = 256, CHAINS = 8, THREADS = 64, BYTES = 2 ** 25;

const SOURCE = /* wgsl */ `
@group(0) @binding(0) var<storage, read_write> numbers: array<vec4f>;
@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = numbers[id.x];
  var sums: array<vec4f, ${CHAINS}>;
  for (var chain = 0u; chain < ${CHAINS}u; chain++) {
    sums[chain] = x + f32(chain);
  }
  for (var round = 0u; round < ${ROUNDS}u; round++) {
    ${
  Array.from({ length: CHAINS }, (_, chain) => `sums[${chain}] = fma(sums[${chain}], x, x);`).join("\n    ")
}
  }
  var total = vec4f();
  for (var chain = 0u; chain < ${CHAINS}u; chain++) {
    total += sums[chain];
  }
  numbers[id.x] = total;
}
`;

/** Measures a device; the best of some runs counts. */
export async function measureLimit({ device, isSoftware }: GpuDevice): Promise<DeviceLimit> {
  const groups = isSoftware ? 64 : 4096;
  const numbers = device.createBuffer({ size: 16 * THREADS * groups, usage: GPUBufferUsage.STORAGE });
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module: device.createShaderModule({ code: SOURCE }) },
  });
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer: numbers } }],
  });
  const compute = (encoder: GPUCommandEncoder) => {
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(groups);
    pass.end();
  };
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const [source, target] = [0, 1].map(() => device.createBuffer({ size: BYTES, usage }));
  const copy = (encoder: GPUCommandEncoder) => encoder.copyBufferToBuffer(source, 0, target, 0, BYTES);
  const operations = 2 * 4 * CHAINS * ROUNDS * THREADS * groups;
  const limit = {
    flopsPerSecond: operations / await secondsOf(device, compute),
    bytesPerSecond: 2 * BYTES / await secondsOf(device, copy),
  };
  for (const buffer of [numbers, source, target]) buffer.destroy();
  return limit;
}

/** Seconds of one run: the difference of many and few in one submit, so that what waiting costs drops out. */
async function secondsOf(device: GPUDevice, encode: (encoder: GPUCommandEncoder) => void): Promise<number> {
  const run = async (times: number) => {
    const start = performance.now();
    const encoder = device.createCommandEncoder();
    for (let time = 0; time < times; time++) encode(encoder);
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    return performance.now() - start;
  };
  await run(2);
  let best = Infinity;
  for (let attempt = 0; attempt < 5; attempt++) {
    const few = await run(2), many = await run(18);
    best = Math.min(best, Math.max(1e-3, many - few) / 16);
  }
  return best / 1000;
}
