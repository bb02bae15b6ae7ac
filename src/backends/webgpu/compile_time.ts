/**
 * How long the thread that asks would stand still while a driver compiles the kernels, foretold from a small
 * one. Most drivers compile in threads of their own, and whoever waits for them can give up. Some compile in
 * the call that submits; and those of OpenGL write down each word of workgroup memory by itself, which takes
 * them a time that grows with its square: half a second for a small kernel, two minutes for all. Such a
 * device must not be asked.
 */

import type { Deadline } from "./deadline.ts";
import { BufferUsage, MapMode } from "./usage.ts";

/** Words of workgroup memory of the small kernel, and of those that keep rows. */
const FEW_WORDS = 256, ALL_WORDS = 3400;
/**
 * All kernels together take as long as this many that do nothing but fill their workgroup memory; so they did
 * where it was seen.
 */
const KERNELS = 3;
/**
 * A forecast is believed to be too long when it was so this often and for this time: the processor may be
 * busy with others.
 */
const FORECASTS = 3, FORECAST_MS = 1000;

/**
 * Milliseconds for which compiling all kernels would block the caller, next to nothing where the driver has
 * its own threads; foretold again and again while it is more than `most`.
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

/** Milliseconds for which making and submitting a new small kernel blocks; it has run by then. */
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

/** A kernel that no cache has seen. */
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
