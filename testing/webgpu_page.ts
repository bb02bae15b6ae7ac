// The program of a page, bundled, that tests the backend `webgpu`: engines of several rules, edited, read and
// moved, each answer held against the oracle; and a device that goes away.

import { BackendError } from "../src/base/errors.ts";
import { DynamicAttention } from "../src/engine/dynamic_attention.ts";
import { acquireDevice, releaseDevice } from "../src/backends/webgpu/device.ts";
import { assertAccurate } from "./accuracy.ts";
import { MemoryModel, type ModelKey, type ModelRule } from "./memory_model.ts";
import { Random } from "./random.ts";

const PLAIN: ModelRule = {
  heads: 1,
  kvHeads: 1,
  headDim: 33,
  valueDim: 7,
  scale: 0.4,
  softcap: 0,
  causal: false,
  window: [Infinity, Infinity],
  maskOf: null,
};

const FEW_KEYS = 70;

const RULES: Readonly<Record<string, { readonly rule: ModelRule; readonly keys: number }>> = {
  "one head": { rule: PLAIN, keys: FEW_KEYS },
  "grouped heads, softcap": {
    rule: { ...PLAIN, heads: 4, kvHeads: 2, headDim: 18, softcap: 6 },
    keys: FEW_KEYS,
  },
  "a window and a mask that differs by head": {
    rule: {
      ...PLAIN,
      heads: 2,
      kvHeads: 2,
      window: [50, 40],
      maskOf: (query, key, head) => (query + 2 * key + head) % 7 !== 0,
    },
    keys: FEW_KEYS,
  },
  "keys that are summed in parts": { rule: { ...PLAIN, heads: 2 }, keys: 600 },
};

/** The observations. */
export interface WebgpuSeen {
  readonly adapter: string;
  readonly arithmetic: unknown;
  /** By rule, how many rows were patched and refreshed, and how many answers were compared. */
  readonly rules: Readonly<
    Record<string, { readonly patched: number; readonly refreshed: number; readonly compared: number }>
  >;
  /** Whether a lost device rejected one answer with a BackendError, and the next one was right. */
  readonly recovers: boolean;
}

/** Computes all of it; rejects where an answer is not as accurate as promised. */
export async function seeWebgpu(): Promise<WebgpuSeen> {
  const { adapterName, arithmetic } = await acquireDevice();
  const rules: Record<string, WebgpuSeen["rules"][string]> = {};
  for (const [name, { rule, keys }] of Object.entries(RULES)) {
    const { live, model, random } = await start(rule, keys);
    let compared = 0;
    const compare = async (what: string) => {
      assertAccurate(await live.read(), model.standing(), `${name}, ${what}`);
      compared++;
    };
    for (let round = 0; round < 25; round++) {
      edit(live, model, random, 1 + round % 9, round % 8 === 7 ? 20 : 1);
      await compare(`round ${round}`);
    }
    await live.moveTo("wasm");
    edit(live, model, random, 3);
    await compare("moved to wasm");
    await live.moveTo("webgpu");
    edit(live, model, random, 3);
    await compare("moved back");
    const { rowsPatched, refreshes } = live.stats();
    rules[name] = { patched: rowsPatched, refreshed: refreshes, compared };
    await live.dispose();
  }
  const recovers = await recover();
  await releaseDevice();
  return { adapter: adapterName, arithmetic, rules, recovers };
}

async function start(rule: ModelRule, keys: number) {
  const random = new Random(5), model = new MemoryModel(rule);
  for (let i = 0; i < 37; i++) model.insertQuery(i, random.row(rule.heads * rule.headDim));
  for (let j = 0; j < keys; j++) {
    model.insertKey(j, random.row(rule.kvHeads * rule.headDim), random.row(rule.kvHeads * rule.valueDim));
  }
  const live = await DynamicAttention.create({
    ...model.engineOptions(),
    backend: "webgpu",
    onThreshold: "patch",
  });
  return { live, model, random };
}

function edit(
  live: DynamicAttention,
  model: MemoryModel,
  random: Random,
  count: number,
  size: number = 1,
): void {
  const { kvHeads, headDim, valueDim } = model.rule;
  const row = () => [random.row(kvHeads * headDim, size), random.row(kvHeads * valueDim)] as const;
  for (let t = 0; t < count; t++) {
    const slot = random.pick(model.keySlots), held = model.keys.get(slot) as ModelKey;
    const [key, value] = row();
    if (random.below(5) === 0) {
      live.delete(slot);
      model.keys.delete(slot);
      model.insertKey(live.insert(key, value), key, value);
    } else {
      live.set(slot, key, value);
      Object.assign(held, { key, value });
    }
  }
}

async function recover(): Promise<boolean> {
  const { live, model, random } = await start(PLAIN, FEW_KEYS);
  await live.read();
  (await acquireDevice()).device.destroy();
  edit(live, model, random, 2);
  const said = await live.read([3]).then(() => null, (error) => error);
  edit(live, model, random, 2);
  assertAccurate(await live.read(), model.standing(), "after the loss");
  await live.dispose();
  return said instanceof BackendError;
}

Reflect.set(globalThis, "seeWebgpu", seeWebgpu);
