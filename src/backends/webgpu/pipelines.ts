/**
 * The kernels of a device, compiled once for all engines on it.
 */

import { DeviceError } from "../../errors.ts";
import { CALL_BYTES } from "./call_fields.ts";
import { MERGE } from "./kernels/merge_kernel.ts";
import { rowsKernel } from "./kernels/rows_kernel.ts";
import { SELF_TEST } from "./kernels/self_test_kernel.ts";
import { BIAS, MOVE, PLAN } from "./kernels/table_kernels.ts";
import { ShaderStage } from "./usage.ts";

/** Kernels by name; the plain ones do without compensation. */
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

/** A kernel that can be dispatched. */
export interface Kernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

const R: GPUBufferBindingType = "read-only-storage", W: GPUBufferBindingType = "storage";

/** Source and bindings from 1 on. */
const SOURCES: Record<
  KernelName,
  { readonly code: string; readonly bindings: readonly GPUBufferBindingType[] }
> = {
  move: { code: MOVE, bindings: [R, R, W] },
  bias: { code: BIAS, bindings: [R, W] },
  merge: { code: MERGE, bindings: [R, W, W] },
  plan: { code: PLAN, bindings: [R, W, W] },
  score: { code: rowsKernel("score", true), bindings: [R, R, R, W, W] },
  build: { code: rowsKernel("build", true), bindings: [R, R, R, W] },
  patch: { code: rowsKernel("patch", true), bindings: [R, R, R, W, W] },
  plainBuild: { code: rowsKernel("build", false), bindings: [R, R, R, W] },
  plainPatch: { code: rowsKernel("patch", false), bindings: [R, R, R, W, W] },
  selfTest: { code: SELF_TEST, bindings: [R, W] },
};

/** Kernels that only some devices need. */
const RARE: readonly KernelName[] = ["plainBuild", "plainPatch"];

/** Compiled kernels. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #kernels = new Map<KernelName, Kernel>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Compiles all but the rare kernels. */
  async compile(): Promise<void> {
    const names = Object.keys(SOURCES) as KernelName[];
    await Promise.all(names.filter((name) => !RARE.includes(name)).map((name) => this.add(name)));
  }

  /** Compiles a kernel, if it is not there. */
  async add(name: KernelName): Promise<void> {
    if (this.#kernels.has(name)) return;
    const { code, bindings } = SOURCES[name];
    this.#kernels.set(name, await compileKernel(this.#device, name, code, bindings));
  }

  /** A compiled kernel. */
  get(name: KernelName): Kernel {
    return this.#kernels.get(name) as Kernel;
  }
}

/**
 * Compiles one kernel.
 *
 * @throws {DeviceError} With what the compiler says, and where.
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
