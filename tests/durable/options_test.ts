// Each option of an engine is either in the folder, so that another one is refused when the folder is opened anew, or it only says
// with what to begin, or where to compute. The names are the engine's own, so that a new option has to be put in one of the lists.

import { DynamicAttention, type DynamicAttentionOptions, InputError, type RowId } from "../../mod.ts";
import { openDurable } from "../../src/durable/mod.ts";
import { ENGINE_OPTIONS } from "../../src/engine/options.ts";
import { decodeSafetensors } from "../../src/store/mod.ts";
import { assertEquals, assertRejects, assertStringIncludes } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";
import { inFolder } from "../../testing/durable/in_folder.ts";

type Options = DynamicAttentionOptions<RowId, RowId>;

const random = new Random(3);
const BASE: Options = {
  query: random.rows(2, 4),
  key: random.rows(3, 4),
  value: random.rows(3, 4),
  heads: 2,
  softcap: 5,
  causal: { offset: 2 },
  backend: "array",
};

/** Options that say with what an engine begins, or where it computes: others are taken when it is there. */
const BEGINNING: Readonly<Record<string, Options[keyof Options]>> = {
  query: random.rows(2, 4),
  key: random.rows(3, 4),
  value: random.rows(3, 4),
  queryPositions: [7, 8],
  keyPositions: [1, 2, 4],
  backend: "wasm",
  threads: 1,
};

/** Of each option of which the folder has the value: what it is made with, and another one. */
const KEPT: Readonly<Record<string, readonly [Partial<Options>, Partial<Options>]>> = {
  heads: [{ heads: 2 }, { heads: 1 }],
  kvHeads: [{ kvHeads: 1, key: random.rows(3, 2), value: random.rows(3, 4) }, { value: random.rows(3, 2) }],
  scale: [{ scale: 0.25 }, { scale: 0.5 }],
  softcap: [{ softcap: 5 }, { softcap: 6 }],
  biasBeforeSoftcap: [{ biasBeforeSoftcap: true }, { biasBeforeSoftcap: false }],
  sinks: [{ sinks: [0.5, -1] }, { sinks: [0.5, 1] }],
  alibi: [{ alibi: [0.5, 0.25] }, { alibi: [0.5, 0.125] }],
  distanceBias: [
    { distanceBias: { from: -1, values: [1, 2, 3] } },
    { distanceBias: { from: -1, values: [1, 2, 4] } },
  ],
  blockMask: [
    { blockMask: { size: 4, entries: [[0, 1], [2, false]] } },
    { blockMask: { size: 4, entries: [[0, 1], [2, 3]] } },
  ],
  rotary: [{ rotary: { base: 100 } }, { rotary: { base: 200 } }],
  mask: [{ mask: [[0, 1, 2], [3, 4, 5]] }, { mask: [[0, 1, 2], [3, 4, 6]] }],
  causal: [{ causal: { offset: 2 } }, { causal: { offset: 3 } }],
  window: [{ window: { left: 2, keepFirst: 1 } }, { window: { left: 2, keepFirst: 2 } }],
  editableMask: [
    { mask: [[0, 1, 2], [3, 4, 5]], editableMask: true },
    { mask: [[0, 1, 2], [3, 4, 5]], editableMask: false },
  ],
  keyIds: [{ keyIds: ["a", "b", "c"] }, { keyIds: "auto" }],
  queryIds: [{ queryIds: "auto" }, {}],
  lazyThreshold: [{ lazyThreshold: { error: 0.1 } }, { lazyThreshold: { error: 0.2 } }],
  onThreshold: [{ onThreshold: "patch" }, { onThreshold: "rebuild" }],
  storage: [{ storage: { keys: "int8", values: "float16" } }, { storage: "int8" }],
  tolerance: [{ tolerance: 1e-7 }, { tolerance: 1e-6 }],
};

Deno.test("each option of an engine is one that a folder has, or one to begin with", () => {
  assertEquals([...Object.keys(KEPT), ...Object.keys(BEGINNING)].sort(), [...ENGINE_OPTIONS].sort());
});

/** Options that are one setting with another option, by whose name they are refused. */
const SHARED: readonly string[] = ["heads", "kvHeads", "causal"];

/** The settings of a snapshot, as text. */
async function settingsOf(live: Pick<DynamicAttention, "save">): Promise<Record<string, string>> {
  const { sha256: _, backend: _backend, sequence: _edits, ...settings } =
    decodeSafetensors(await live.save(), { names: [] }).metadata;
  return settings;
}

for (const [name, [made, other]] of Object.entries(KEPT)) {
  Deno.test(`${name} is in the folder, answers go by it, and another one is refused`, async () => {
    await inFolder(async (folder) => {
      const create = { ...BASE, ...made };
      await using plain = await DynamicAttention.create<RowId, RowId>(create);
      const settings = await settingsOf(plain), answer = await plain.read();
      // Made, then of the first snapshot and its records, then of a later snapshot.
      for (let opening = 0; opening < 3; opening++) {
        await using live = await openDurable<RowId, RowId>(folder, { create });
        assertEquals(await settingsOf(live), settings);
        assertEquals(await live.read(), answer);
        const [first] = live.keyIds();
        live.setValue(first, live.getValue(first));
        if (opening === 1) await live.snapshot();
      }
      const error = await assertRejects(
        () => openDurable<RowId, RowId>(folder, { create: { ...BASE, ...other } }),
        InputError,
        "as of the engine that is there",
      );
      if (!SHARED.includes(name)) assertStringIncludes(error.message, `openDurable: ${name}`);
      await using live = await openDurable<RowId, RowId>(folder, { load: { backend: "array" } });
      assertEquals(await settingsOf(live), settings);
      assertEquals(await live.read(), answer);
    });
  });
}

Deno.test("what an engine begins with is not compared with the one that is there", async () => {
  await inFolder(async (folder) => {
    await (await openDurable<RowId, RowId>(folder, { create: BASE })).dispose();
    for (const [name, other] of Object.entries(BEGINNING)) {
      await using live = await openDurable<RowId, RowId>(folder, { create: { ...BASE, [name]: other } });
      assertEquals([...live.getKey(0)], [...(BASE.key as Float32Array[])[0]]);
      assertEquals(live.getPosition(1), 1);
    }
  });
});
