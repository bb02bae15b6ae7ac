// The durable engine, and the engine alone, which keeps nothing.

import { DynamicAttention, type DynamicAttentionOptions } from "../../mod.ts";
import { type DurableOptions, openDurable } from "../../src/durable/mod.ts";
import { DIM, type Way } from "./memory_workload.ts";

function optionsOf(rows: Float32Array[]): DynamicAttentionOptions {
  const key = rows.map((row) => row.subarray(0, DIM)), value = rows.map((row) => row.subarray(DIM));
  return { query: [new Float32Array(DIM)], key, value, lazyThreshold: Infinity };
}

export function durableWay(name: string, promise: string, options: DurableOptions): Way {
  return {
    name,
    promise,
    async open(folder, rows) {
      const live = await openDurable(folder, { ...options, ...(rows ? { create: optionsOf(rows) } : {}) });
      return {
        async replace(slots, fresh) {
          await live.edit(slots.map((slot, at) => {
            return { kind: "set", slot, key: fresh[at].subarray(0, DIM), value: fresh[at].subarray(DIM) };
          }));
        },
        row: (slot) => Promise.resolve([...live.getKey(slot), ...live.getValue(slot)]),
        close: () => live.dispose(),
      };
    },
  };
}

/** Opened anew it has nothing, so what it held is saved in between, untimed by anybody. */
export const ENGINE_ALONE: Way = {
  name: "engine alone",
  promise: "in memory",
  async open(folder, rows) {
    const file = `${folder}/engine.safetensors`;
    Deno.mkdirSync(folder, { recursive: true });
    const live = rows
      ? await DynamicAttention.create(optionsOf(rows))
      : await DynamicAttention.load(await Deno.readFile(file));
    return {
      replace(slots, fresh) {
        live.edit(slots.map((slot, at) => {
          return { kind: "set", slot, key: fresh[at].subarray(0, DIM), value: fresh[at].subarray(DIM) };
        }));
        return Promise.resolve();
      },
      row: (slot) => Promise.resolve([...live.getKey(slot), ...live.getValue(slot)]),
      async close() {
        await Deno.writeFile(file, await live.save());
        await live.dispose();
      },
    };
  },
};
