/**
 * The kernels of a device, compiled once for all its engines. Some drivers compile a kernel at its first run,
 * on the caller's thread. So each kernel is run once on empty data, and the time limit is checked after each.
 */

import { DeviceError } from "../../base/errors.ts";
import { CALL_BYTES } from "./call_fields.ts";
import type { Deadline } from "./deadline.ts";
import { MERGE } from "./kernels/merge_kernel.ts";
import { rowsKernel } from "./kernels/rows_kernel.ts";
import { SELF_TEST } from "./kernels/self_test_kernel.ts";
import { BIAS, MOVE, PLAN } from "./kernels/table_kernels.ts";
import { BufferUsage, ShaderStage } from "./usage.ts";

/** The names of kernels; the plain ones have no compensated sums. */
export type KernelName =
  | "move"
  | "bias"
  | "plan"
  | "merge"
  | "score"
  | "build"
  | "patch"
  | "plainBuild"
  | "plainPatch"
  | "selfTest";

/** A compiled kernel. */
export interface Kernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

const R: GPUBufferBindingType = "read-only-storage", W: GPUBufferBindingType = "storage";

/** The source of each kernel and its bindings from 1 on. */
const SOURCES: Record<
  KernelName,
  { readonly code: string; readonly bindings: readonly GPUBufferBindingType[] }
> = {
  move: { code: MOVE, bindings: [R, R, W] },
  bias: { code: BIAS, bindings: [R, W] },
  merge: { code: MERGE, bindings: [R, W, W] },
  plan: { code: PLAN, bindings: [R, W, W] },
  score: { code: rowsKernel("score", true), bindings: [R, R, R, W, R, W] },
  build: { code: rowsKernel("build", true), bindings: [R, R, R, W, R] },
  patch: { code: rowsKernel("patch", true), bindings: [R, R, R, W, R, W] },
  plainBuild: { code: rowsKernel("build", false), bindings: [R, R, R, W, R] },
  plainPatch: { code: rowsKernel("patch", false), bindings: [R, R, R, W, R, W] },
  selfTest: { code: SELF_TEST, bindings: [R, W] },
};

/** The kernels that all devices need beside the self-test, those that take longest to compile last. */
const COMMON: readonly KernelName[] = ["move", "bias", "plan", "merge", "score", "build", "patch"];

/** The compiled kernels of a device. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #kernels = new Map<KernelName, Kernel>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Compiles the kernels that every engine needs, within a time limit. */
  async compile(deadline: Deadline): Promise<void> {
    const device = this.#device;
    await deadline.wait("compiling the kernels", Promise.all(COMMON.map((name) => this.add(name))));
    const buffers = [0, 1, 2, 3, 4, 5, 6].map(() => {
      return device.createBuffer({ size: 4096, usage: BufferUsage.STORAGE | BufferUsage.UNIFORM });
    });
    try {
      for (const name of COMMON) {
        this.#runOnNothing(name, buffers);
        deadline.check(`compiling the kernel "${name}"`);
      }
      await deadline.wait("compiling the kernels", device.queue.onSubmittedWorkDone());
    } finally {
      for (const buffer of buffers) buffer.destroy();
    }
  }

  /** Compiles a kernel unless it is compiled already. */
  async add(name: KernelName): Promise<void> {
    if (this.#kernels.has(name)) return;
    const { code, bindings } = SOURCES[name];
    this.#kernels.set(name, await compileKernel(this.#device, name, code, bindings));
  }

  /** Runs a kernel once with a call of zeros, which has no rows and no records. */
  #runOnNothing(name: KernelName, buffers: readonly GPUBuffer[]): void {
    const device = this.#device, { pipeline, layout } = this.get(name);
    const entries = SOURCES[name].bindings.map((_, at) => ({
      binding: at + 1,
      resource: { buffer: buffers[at + 1] },
    }));
    const call = { binding: 0, resource: { buffer: buffers[0], size: CALL_BYTES } };
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries: [call, ...entries] }), [0]);
    pass.dispatchWorkgroups(1);
    pass.end();
    device.queue.submit([encoder.finish()]);
  }

  /** The kernel of a name, which must be compiled. */
  get(name: KernelName): Kernel {
    return this.#kernels.get(name) as Kernel;
  }
}

/**
 * Compiles one kernel.
 *
 * @throws {DeviceError} With the compiler's messages and their lines.
 */
export async function compileKernel(
  device: GPUDevice,
  name: string,
  code: string,
  bindings: readonly GPUBufferBindingType[],
): Promise<Kernel> {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ label: name, code });
  const uniform: GPUBindGroupLayoutEntry = {
    binding: 0,
    visibility: ShaderStage.COMPUTE,
    buffer: { type: "uniform", hasDynamicOffset: true, minBindingSize: CALL_BYTES },
  };
  const layout = device.createBindGroupLayout({
    entries: [
      uniform,
      ...bindings.map((type, at): GPUBindGroupLayoutEntry => ({
        binding: at + 1,
        visibility: ShaderStage.COMPUTE,
        buffer: { type },
      })),
    ],
  });
  const pipeline = device.createComputePipeline({
    label: name,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: "main" },
  });
  const error = await device.popErrorScope();
  const { messages } = await module.getCompilationInfo();
  const said = messages.filter(({ type }) => type === "error")
    .map(({ lineNum, linePos, message }) => `${name}:${lineNum}:${linePos} ${message}`);
  if (said.length > 0) throw new DeviceError("webgpu", "shader", said.join("; "));
  if (error) throw new DeviceError("webgpu", "shader", `${name}: ${error.message}`);
  return { pipeline, layout };
}
