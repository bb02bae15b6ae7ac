/**
 * Predicts, from a small kernel, for how long compiling the kernels would block the caller's thread. Most
 * drivers compile in threads of their own, and the caller can stop waiting. Some compile in the call that
 * submits work; drivers for OpenGL also write out each word of workgroup memory separately, which takes
 * quadratic time: half a second for a small kernel, two minutes for all. Such a device must not compile the
 * kernels.
 */

import type { Deadline } from "./deadline.ts";
import { BufferUsage, MapMode } from "./usage.ts";

/** Words of workgroup memory of the small kernel, and of the kernels that compute states. */
const FEW_WORDS = 256, ALL_WORDS = 3400;
/**
 * All kernels together took as long as this number of kernels that only fill their workgroup memory, where it
 * was measured.
 */
const KERNELS = 3;
/**
 * A device is refused only if this number of predictions, over this time, are too long, since the processor
 * may be busy.
 */
const FORECASTS = 3, FORECAST_MS = 1000;

/**
 * The predicted milliseconds for which compiling all kernels would block the caller, nearly 0 if the driver
 * has threads of its own. The prediction is repeated while it is more than `most`.
 */
export async function foretellBlocking(device: GPUDevice, most: number, deadline: Deadline): Promise<number> {
  const start = performance.now();
  let least = Infinity;
  for (let forecast = 0; forecast < FORECASTS || performance.now() - start < FORECAST_MS; forecast++) {
    const blocked = await blockingTime(device, deadline);
    least = Math.min(least, KERNELS * blocked * (ALL_WORDS / FEW_WORDS) ** 2);
    if (least <= most) break;
  }
  return least;
}

/** The milliseconds for which making and submitting a new small kernel blocks, measured after it has run. */
async function blockingTime(device: GPUDevice, deadline: Deadline): Promise<number> {
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = BufferUsage;
  const found = device.createBuffer({ size: 256, usage: STORAGE | COPY_SRC });
  const staging = device.createBuffer({ size: 4, usage: MAP_READ | COPY_DST });
  try {
    const start = performance.now();
    const module = device.createShaderModule({ code: kernelOf(FEW_WORDS) });
    const pipeline = device.createComputePipeline({
      layout: "auto",
      compute: { module, entryPoint: "main" },
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    const entries = [{ binding: 0, resource: { buffer: found } }];
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(found, 0, staging, 0, 4);
    device.queue.submit([encoder.finish()]);
    const blocked = performance.now() - start;
    await deadline.wait("compiling a small kernel", staging.mapAsync(MapMode.READ));
    return blocked;
  } finally {
    found.destroy();
    staging.destroy();
  }
}

/** The source of a kernel that is in no cache. */
function kernelOf(words: number): string {
  const salt = Math.floor(2 ** 32 * Math.random());
  return /* wgsl */ `
@group(0) @binding(0) var<storage, read_write> found: array<u32>;
var<workgroup> numbers: array<f32, ${words}>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  for (var at = thread; at < ${words}u; at += 64u) {
    numbers[at] = f32(found[at % 64u] ^ ${salt}u);
  }
  workgroupBarrier();
  var sum = 0.0;
  for (var at = 0u; at < ${words}u; at++) {
    sum = fma(numbers[at], numbers[(at + thread) % ${words}u], sum);
  }
  found[thread] = bitcast<u32>(sum);
}
`;
}
