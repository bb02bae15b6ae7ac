/**
 * The device that the engines of a process share. It is opened, checked and given its kernels once. A device
 * that was lost is forgotten, and the next call opens another; a device that is unfit is refused for the rest
 * of the process.
 *
 * Opening a device takes bounded time: a small kernel checks its arithmetic, another predicts for how long
 * compiling would block, and the kernels are not compiled if that is too long. Waiting for a compiler ends at
 * a time limit.
 *
 * Engines hold the device. When the last one releases it, a weak reference remains, by which the next engine
 * finds the device if it still exists.
 */

import { DeviceError } from "../../base/errors.ts";
import { findAdapter, isSoftware, nameOf } from "./adapter.ts";
import { checkNumbers } from "./check_numbers.ts";
import { checkRows } from "./check_rows.ts";
import { foretellBlocking } from "./compile_time.ts";
import { Deadline, TimeoutError } from "./deadline.ts";
import type { KernelDevice } from "./encode_work.ts";
import { Pipelines } from "./pipelines.ts";

/** Properties of a device's float32 arithmetic. */
export interface Arithmetic {
  /** Whether two-float sums keep the rounding errors of additions. */
  readonly isCompensated: boolean;
  /** Whether a pair has the same weight in a build and in a patch. */
  readonly repeatsWeights: boolean;
  /** The number of iterations after which the device ends any loop; Infinity if it does not. */
  readonly mostRounds: number;
}

/** A device that passed its checks, with its kernels. */
export interface GpuDevice extends KernelDevice {
  /** The adapter's own description. */
  readonly adapterName: string;
  /** Whether it is software on the processor. */
  readonly isSoftware: boolean;
  readonly arithmetic: Arithmetic;
  /** Bytes of the largest part of a buffer that can be bound to a kernel. */
  readonly largestBinding: number;
  readonly hasTimestamps: boolean;
  /** The message of its loss; null while the device works. */
  readonly lost: string | null;
}

/**
 * Milliseconds that compiling all kernels may take. A browser's software device takes ten seconds, or more
 * when the processor is busy.
 */
export const MOST_COMPILE_MS = 30_000;
/** Milliseconds that a small kernel may take to compile and run. */
const MOST_CHECK_MS = 10_000;

/** Limits that are requested up to the adapter's values; the kernels do not require them. */
const WANTED = ["maxStorageBufferBindingSize", "maxBufferSize"] as const;

/** Offsets in a page must fit 32 bits. */
const MOST_PAGE_BYTES = 2 ** 32 - 256;

/** The device of this process, while anything refers to it. */
let known: WeakRef<GpuDevice> | null = null;
/** The same device, while an engine holds it. */
let held: GpuDevice | null = null;
let opening: Promise<GpuDevice> | null = null;
let holders = 0;
/**
 * Adapters of which a device has passed its checks in this process, so that compile times need not be
 * predicted again.
 */
const taken = new Set<string>();
/** The reason why the device of this process is refused. */
let refusal: DeviceError | null = null;

/**
 * The device of this process.
 *
 * @throws {DeviceError} When there is none, its shaders do not compile, or it is unfit.
 */
export async function acquireDevice(): Promise<GpuDevice> {
  if (refusal) throw refusal;
  const last = known?.deref();
  if (last?.lost === null) return keep(last);
  const found = opening ??= openDevice();
  try {
    const gpu = await found;
    if (gpu.lost === null) return keep(gpu);
  } catch (cause) {
    if (cause instanceof DeviceError && cause.reason === "unfit") refusal = cause;
    throw cause;
  } finally {
    if (opening === found) opening = null;
  }
  return await acquireDevice();
}

/** Holds the device of this process for an engine, until the function that it returns is called. */
export function holdDevice(): () => void {
  holders++;
  held ??= known?.deref() ?? null;
  let isHeld = true;
  return () => {
    if (isHeld && --holders === 0) held = null;
    isHeld = false;
  };
}

/** Destroys the device of this process, if there is one; its engines open another. */
export async function releaseDevice(): Promise<void> {
  const found = opening;
  known?.deref()?.device.destroy();
  known = held = null;
  (await found?.catch(() => null))?.device.destroy();
}

function keep(gpu: GpuDevice): GpuDevice {
  if (known?.deref() !== gpu) known = new WeakRef(gpu);
  if (holders > 0) held = gpu;
  return gpu;
}

/** Time limits in milliseconds, if they are not the usual ones. */
export interface Patience {
  readonly compileMs?: number;
  readonly checkMs?: number;
}

/**
 * Opens and prepares a new device.
 *
 * @throws {DeviceError} When there is none, its shaders do not compile, or it is unfit.
 */
export async function openDevice(
  { compileMs = MOST_COMPILE_MS, checkMs = MOST_CHECK_MS }: Patience = {},
): Promise<GpuDevice> {
  const adapter = await findAdapter();
  if (!adapter) throw new DeviceError("webgpu", "lost", "no adapter was found here");
  const requiredLimits: Record<string, number> = {};
  for (const name of WANTED) requiredLimits[name] = adapter.limits[name];
  const hasTimestamps = adapter.features.has("timestamp-query");
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      requiredLimits,
      requiredFeatures: hasTimestamps ? ["timestamp-query"] : [],
    });
  } catch (cause) {
    throw new DeviceError("webgpu", "lost", wordsOf(cause), { cause });
  }
  let lost: string | null = null;
  device.lost.then(({ message }) => lost = message);
  const pipelines = new Pipelines(device);
  let arithmetic: Arithmetic;
  try {
    arithmetic = await prepare(device, pipelines, { compileMs, checkMs }, taken.has(nameOf(adapter)));
    taken.add(nameOf(adapter));
  } catch (cause) {
    device.destroy();
    throw cause instanceof DeviceError
      ? cause
      : new DeviceError("webgpu", "internal", wordsOf(cause), { cause });
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

/**
 * Checks a device and compiles its kernels, the short steps first.
 *
 * @throws {DeviceError} When it is unfit.
 */
async function prepare(
  device: GPUDevice,
  pipelines: Pipelines,
  { compileMs, checkMs }: Required<Patience>,
  isKnown: boolean,
): Promise<Arithmetic> {
  try {
    const first = new Deadline(checkMs);
    await first.wait("compiling a small kernel", pipelines.add("selfTest"));
    const { isCompensated, mostRounds, complaint } = await checkNumbers(device, pipelines, first);
    if (complaint) throw unfit(complaint);
    if (!isKnown) await checkBlocking(device, { compileMs, checkMs });
    await pipelines.compile(new Deadline(compileMs));
    const rows = await checkRows(device, pipelines, new Deadline(checkMs));
    if (rows.complaint) throw unfit(rows.complaint);
    if (!isCompensated) await Promise.all([pipelines.add("plainBuild"), pipelines.add("plainPatch")]);
    return { isCompensated, mostRounds, repeatsWeights: rows.repeatsWeights };
  } catch (cause) {
    throw cause instanceof TimeoutError ? unfit(cause.message) : cause;
  }
}

/** Refuses a device that would block the caller too long while it compiles, without compiling the kernels. */
async function checkBlocking(device: GPUDevice, { compileMs, checkMs }: Required<Patience>): Promise<void> {
  const blocking = await foretellBlocking(device, compileMs, new Deadline(checkMs));
  if (blocking <= compileMs) return;
  const seconds = Math.round(blocking / 1000);
  throw unfit(
    `compiling the kernels would block for some ${seconds} s, expected at most ${compileMs / 1000} s`,
  );
}

function unfit(said: string): DeviceError {
  return new DeviceError("webgpu", "unfit", said);
}

function wordsOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
