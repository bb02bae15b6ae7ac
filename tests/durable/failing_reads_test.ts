// Arguments of durable engines and of their folders whose code throws at each of their reads: what is thrown is typed, nothing has
// changed, and the folder opens.

import type { RowId } from "../../mod.ts";
import { type DurableAttention, openDurable } from "../../src/durable/mod.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { inFolder } from "../../testing/durable/in_folder.ts";
import { failEachRead, refuseEachRead } from "../../testing/failing_reads.ts";
import { outcome } from "../../testing/hostile_values.ts";

const MASK = Array.from({ length: 2 }, () => [0, 0, 0, 0]);
const CREATE = {
  ...{ query: [[1, 0], [0, 1]], key: [[1, 1], [0, 2], [2, 0]], value: [[1], [2], [3]] },
  ...{ queryIds: ["x", "y"], keyIds: ["a", "b", "c"], backend: "array" as const },
};

/** Methods and arguments that they take, again and again. */
const METHODS: Readonly<Record<string, readonly unknown[]>> = {
  edit: [
    [
      { kind: "set", slot: "a", key: [3, 4], value: [5] },
      { kind: "upsert", id: "a", key: [1, 2], value: [3] },
    ],
    { client: "c", clientSequence: 1 },
  ],
  set: ["a", [1, 2], [3]],
  upsert: ["b", [1, 2], [3], { position: 2 }],
  setMask: [-1, { queries: ["x"], keys: ["b"] }],
  shiftPositions: [1, { from: 1, to: 3 }],
  read: [["x"], { into: new Float32Array(1) }],
  verify: [{ deep: true, onProgress: () => {} }],
  save: [{ metadata: { a: [1] } }],
};

/** All rows of an engine, and its answers. */
async function rowsOf(live: DurableAttention<RowId, RowId>): Promise<unknown> {
  const keys = live.keyIds(), queries = live.queryIds();
  return {
    keys: keys.map((id) => [id, live.getKey(id), live.getValue(id), live.getPosition(id)]),
    queries: queries.map((id) => [id, live.getQuery(id)]),
    answers: (await live.read()).data,
  };
}

Deno.test("arguments of a durable engine that cannot be read at some moment leave no half of a call", async () => {
  await inFolder(async (folder) => {
    const live = await openDurable(
      folder,
      { create: { ...CREATE, editableMask: true, mask: MASK } } as never,
    );
    for (const [name, args] of Object.entries(METHODS)) {
      const method = Reflect.get(live, name) as (...args: readonly unknown[]) => unknown;
      assertEquals(await outcome(() => Reflect.apply(method, live, args)), null, name);
      let before = await live.save();
      const failures = await failEachRead(args, async (...given) => {
        const error = await outcome(() => Reflect.apply(method, live, given));
        const after = await live.save();
        if (error === null) before = after;
        return {
          error,
          check: () => Promise.resolve(assertEquals(after, before, `${name} left a half behind`)),
        };
      });
      assert(failures > 0, name);
    }
    const expected = await rowsOf(live);
    await live.dispose();
    await using again: DurableAttention<RowId, RowId> = await openDurable(folder);
    assertEquals(await rowsOf(again), expected);
  });
});

Deno.test("options of a folder that cannot be read at some moment are refused by type, and the folder opens", async () => {
  await inFolder(async (folder) => {
    const open = async (options: never) => {
      await using _ = await openDurable(folder, options);
    };
    assert(
      await refuseEachRead(open, [{ create: CREATE, snapshot: { journalBytes: 100 }, client: "c" }]) > 10,
    );
    assert(await refuseEachRead(open, [{ load: { backend: "array" }, sync: "normal" }]) > 2);
    await using live = await openDurable(folder);
    assertEquals(live.keyIds(), ["a", "b", "c"] as never);
  });
});
