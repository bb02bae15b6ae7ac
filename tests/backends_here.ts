// The backends that run on this machine, over which every suite runs.

import { type BackendName, DeviceError } from "../mod.ts";
import { describeAdapter } from "../src/backends/webgpu/adapter.ts";
import { acquireDevice, holdDevice, releaseDevice } from "../src/backends/webgpu/device.ts";
import { IS_LONG, requires } from "../testing/requirements.ts";

/** The name of this machine's device, or the reason why none is fit. */
const device = await findDevice();

/** Whether tests of the backend `webgpu` run here; a software device will do, but not one that is refused. */
export const GPU = requires(
  device.refused === null ? "a graphics device" : `a graphics device that is fit (${device.refused})`,
  device.name,
  "apt-get install mesa-vulkan-drivers libvulkan1",
);

if (!GPU.ignore) {
  console.info(`Tests of webgpu run on: ${device.name}`);
  // Engines come and go; the device stays.
  const letGo = holdDevice();
  await acquireDevice();
  // A software device whose threads still run when a test's worker ends can take the process with it.
  Deno.test.afterAll(async () => {
    letGo();
    await releaseDevice();
  });
}

async function findDevice(): Promise<{ readonly name?: string; readonly refused: string | null }> {
  const { isFound, description } = await describeAdapter();
  if (!isFound) return { refused: null };
  try {
    return { name: (await acquireDevice()).adapterName, refused: null };
  } catch (error) {
    // Anything else would be a fault of the kernels, which must not make their tests go away.
    if (!(error instanceof DeviceError) || error.reason !== "unfit") throw error;
    return { refused: `${description}; it is refused: ${error.message}` };
  }
}

/** Names that `create` accepts and that run here. */
export const BACKENDS: readonly BackendName[] = GPU.ignore ? ["array", "wasm"] : ["array", "wasm", "webgpu"];

/**
 * The backends that suites of many small engines run on: a device only at full length, where each costs a software
 * device some tenth of a second.
 */
export const QUICK_BACKENDS: readonly BackendName[] = IS_LONG
  ? BACKENDS
  : BACKENDS.filter((name) => name !== "webgpu");

/**
 * The number of random cases that a suite with `cases` cases runs on a backend. Reading anything from a
 * device takes Deno 10 ms, whatever it computes, and a software device computes slowly: `webgpu` gets a
 * twelfth.
 */
export function casesOn(backend: BackendName, cases: number): number {
  return backend === "webgpu" ? Math.ceil(cases / 12) : cases;
}
