// Engines on the backend `webgpu` with access to their device and counts, and models of their content.

import type { DynamicAttention, DynamicAttentionOptions } from "../mod.ts";
import { acquireDevice, type GpuDevice } from "../src/backends/webgpu/device.ts";
import type { Traffic } from "../src/backends/webgpu/traffic.ts";
import { WebgpuBackend } from "../src/backends/webgpu/webgpu_backend.ts";
import { createEngine } from "../src/engine/create_engine.ts";
import { MemoryModel, type ModelKey, type ModelRule } from "./memory_model.ts";
import { Random } from "./random.ts";

/** The default options of engines of these tests. */
export const RULE: ModelRule = {
  heads: 4,
  kvHeads: 2,
  headDim: 18,
  valueDim: 5,
  scale: 0.3,
  softcap: 0,
  causal: false,
  window: [Infinity, Infinity],
  maskOf: null,
};

/** The same device with something else said of it. */
export function saying(gpu: GpuDevice, more: Partial<GpuDevice>): GpuDevice {
  const changes = Object.entries(more).map(([name, value]) => [name, { value }] as const);
  return Object.create(gpu, Object.fromEntries(changes));
}

/** An engine on a device, its backend, and the model of what it holds. */
export async function start(
  rule: ModelRule,
  open: () => Promise<GpuDevice> = acquireDevice,
  more: Partial<DynamicAttentionOptions> = {},
  { queries, keys } = { queries: 37, keys: 70 },
) {
  const random = new Random(5);
  const model = new MemoryModel(rule);
  for (let i = 0; i < queries; i++) model.insertQuery(i, random.row(rule.heads * rule.headDim));
  for (let j = 0; j < keys; j++) {
    model.insertKey(j, random.row(rule.kvHeads * rule.headDim), random.row(rule.kvHeads * rule.valueDim));
  }
  const { heads, kvHeads, scale, softcap, causal, window, maskOf } = rule;
  const mask = (i: number, j: number, head: number) => model.mask(i, j, head);
  const after = causal === false ? Infinity : causal === true ? 0 : causal.offset;
  const backend = new WebgpuBackend({
    layout: rule,
    rule: { scale, softcap, before: window[0], after: Math.min(window[1], after) },
    maskHeads: maskOf ? heads : 0,
    tolerance: 1e-8,
  }, open);
  const options = { heads, kvHeads, scale, softcap, causal, window, ...(maskOf ? { mask } : {}) };
  const live = await createEngine(
    { ...options, ...model.matrices(), backend: "array", ...more },
    { wrap: () => backend },
  );
  return { live, backend, model, random };
}

/** Changes some keys in an engine and its model. */
export function edit(
  live: DynamicAttention,
  model: MemoryModel,
  random: Random,
  count: number,
  size = 1,
): void {
  const { kvHeads, headDim, valueDim } = model.rule;
  for (let t = 0; t < count; t++) {
    const slot = random.pick(model.keySlots), held = model.keys.get(slot) as ModelKey;
    held.key = random.row(kvHeads * headDim, size);
    held.value = random.row(kvHeads * valueDim);
    live.set(slot, held.key, held.value);
  }
}

/** The counts that `run` adds. */
export async function trafficOf(backend: WebgpuBackend, run: () => unknown): Promise<Traffic> {
  const before = { ...backend.traffic };
  await run();
  const added = { ...backend.traffic };
  for (const name of Object.keys(added) as (keyof Traffic)[]) added[name] -= before[name];
  return added;
}
