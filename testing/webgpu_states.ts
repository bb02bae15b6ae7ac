// A program that says, as JSON, what an engine finds of graphics where it is started: with what drivers, its
// environment decides.

import { DynamicAttention } from "../mod.ts";
import { describeAdapter } from "../src/backends/webgpu/adapter.ts";
import { acquireDevice } from "../src/backends/webgpu/device.ts";

/** The state of a machine's graphics. */
export interface GraphicsState {
  readonly isFound: boolean;
  readonly description: string;
  /** Answers or errors of `backend: "webgpu"`, twice, and after how many milliseconds. */
  readonly attempts: readonly { readonly answer?: number; readonly error?: string; readonly ms: number }[];
  /** The backend and the reason of an engine that is loaded from the file that is named, if one is. */
  readonly loaded: { readonly backend: string; readonly reason: string } | null;
  /** Whether the device was there no more when all engines were disposed; undefined where there is none. */
  readonly isLetGo?: boolean;
}

const row = { query: [[1]], key: [[1]], value: [[2]] } as const;

async function attempt(): Promise<GraphicsState["attempts"][number]> {
  const start = performance.now();
  try {
    await using live = await DynamicAttention.create({ ...row, backend: "webgpu" });
    const { data: [answer] } = await live.read();
    return { answer, ms: performance.now() - start };
  } catch (error) {
    return { error: (error as Error).message, ms: performance.now() - start };
  }
}

async function load(path: string | undefined): Promise<GraphicsState["loaded"]> {
  if (path === undefined) return null;
  await using live = await DynamicAttention.load(await Deno.readFile(path));
  const { backend, backendReason } = live.stats();
  return { backend, reason: backendReason };
}

async function isLetGo(): Promise<boolean> {
  const last = new WeakRef(await acquireDevice());
  for (let turn = 0; turn < 1000 && last.deref(); turn++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    (globalThis as { gc?: () => void }).gc?.();
  }
  return last.deref() === undefined;
}

const { isFound, description } = await describeAdapter();
const attempts = [await attempt(), await attempt()];
const state: GraphicsState = {
  isFound,
  description,
  attempts,
  loaded: await load(Deno.args[0]),
  ...(attempts[0].answer === undefined ? {} : { isLetGo: await isLetGo() }),
};
console.log(JSON.stringify(state));
