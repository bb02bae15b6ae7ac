/**
 * The device that the engines of a process share: found once, its kernels compiled once, and asked once whether its
 * arithmetic is what the kernels take for granted. A device that was lost is forgotten, and the next call finds another.
 */

import { DeviceError } from "../../errors.ts";
import { findAdapter, isSoftware, nameOf } from "./adapter.ts";
import type { KernelDevice } from "./encode_work.ts";
import { Pipelines } from "./pipelines.ts";
import { type Arithmetic, testArithmetic } from "./self_test.ts";

/** What a process may find. */
export interface GpuDevice extends KernelDevice {
  /** What the adapter says of itself. */
  readonly adapterName: string;
  /** Whether it computes on the processor. */
  readonly isSoftware: boolean;
  readonly arithmetic: Arithmetic;
  /** Bytes of the largest part of a buffer that a kernel may see. */
  readonly largestBinding: number;
  readonly hasTimestamps: boolean;
  /** What was said when it was lost; null while it is there. */
  readonly lost: string | null;
}

/** Limits that are asked for as far as the adapter offers them; the kernels need none of them. */
const WANTED = ["maxStorageBufferBindingSize", "maxBufferSize"] as const;

/** Word offsets in a page fit 32 bits. */
const MOST_PAGE_BYTES = 2 ** 32 - 256;

let shared: Promise<GpuDevice> | null = null;

/**
 * The device of this process.
 *
 * @throws {DeviceError} When there is none, or its shaders do not compile.
 */
export async function acquireDevice(): Promise<GpuDevice> {
  const found = shared ??= openDevice();
  try {
    const gpu = await found;
    if (gpu.lost === null) return gpu;
  } catch (cause) {
    if (shared === found) shared = null;
    throw cause;
  }
  if (shared === found) shared = null;
  return await acquireDevice();
}

/** Destroys the device of this process, if there is one; engines on it find another. */
export async function releaseDevice(): Promise<void> {
  const found = shared;
  shared = null;
  (await found?.catch(() => null))?.device.destroy();
}

/** Finds and prepares a device of its own; limits are the adapter's but for those given. */
export async function openDevice(limits: Readonly<Record<string, number>> = {}): Promise<GpuDevice> {
  const adapter = await findAdapter();
  if (!adapter) throw new DeviceError("webgpu", "lost", "no adapter was found here");
  const requiredLimits: Record<string, number> = {};
  for (const name of WANTED) requiredLimits[name] = limits[name] ?? adapter.limits[name];
  const hasTimestamps = adapter.features.has("timestamp-query");
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      requiredLimits,
      requiredFeatures: hasTimestamps ? ["timestamp-query"] : [],
    });
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new DeviceError("webgpu", "lost", said, { cause });
  }
  const pipelines = new Pipelines(device);
  await pipelines.compile();
  let lost: string | null = null;
  device.lost.then(({ message }) => lost = message);
  const arithmetic = await testArithmetic(device, pipelines);
  if (!arithmetic.isCompensated) {
    await Promise.all([pipelines.add("plainBuild"), pipelines.add("plainPatch")]);
  }
  return {
    device,
    pipelines,
    adapterName: nameOf(adapter),
    isSoftware: isSoftware(adapter),
    arithmetic,
    largestBinding: Math.min(
      device.limits.maxStorageBufferBindingSize,
      device.limits.maxBufferSize,
      MOST_PAGE_BYTES,
    ),
    hasTimestamps,
    get lost() {
      return lost;
    },
  };
}
