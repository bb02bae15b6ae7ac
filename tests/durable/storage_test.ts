// Durable engines whose keys and values are float16 or int8: a folder brings back the rows that were kept, to the bit, and
// how far they are from those that were given, by its journal, its snapshots and after a compaction.

import { compactFolder } from "../../src/durable/compact.ts";
import { Folder } from "../../src/durable/folder.ts";
import { openDurable } from "../../src/durable/mod.ts";
import { verifyFolder } from "../../src/durable/verify.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { contentOf } from "../../testing/durable/engine_content.ts";
import { inFolder } from "../../testing/durable/in_folder.ts";
import { Random } from "../../testing/random.ts";
import { STORAGES } from "../../testing/rounded_rows.ts";

for (const storage of STORAGES) {
  Deno.test(`durable: a folder of ${JSON.stringify(storage)} has the errors of its rows`, () =>
    inFolder(async (folder) => {
      const random = new Random(2);
      const create = {
        query: random.rows(2, 4),
        key: random.rows(5, 4),
        value: random.rows(5, 2),
        backend: "array",
        storage,
      } as const;
      let content: unknown;
      const edit = async (journalBytes?: number) => {
        const snapshot = journalBytes === undefined ? {} : { snapshot: { journalBytes } };
        await using live = await openDurable(folder, { create, ...snapshot });
        if (content) assertEquals(await contentOf(live), content);
        for (let step = 0; step < 20; step++) {
          live.addToKey(step % 4, step % 4, random.normal() / 1000);
          live.addToValue(step % 4, step % 2, random.normal() / 1000);
        }
        live.setKey(0, random.row(4));
        live.delete(4);
        live.insert(random.row(4), random.row(2));
        await live.flush();
        content = await contentOf(live);
      };
      await edit();
      await edit();
      await edit(300);
      assertEquals((await verifyFolder("test", new Folder(folder), { deep: true })).problems, []);
      await compactFolder("test", new Folder(folder), () => {});
      await using live = await openDurable(folder, { create });
      assertEquals(await contentOf(live), content);
      const { storageBounds } = await live.peek();
      assert(storageBounds!.every((bound) => bound > 0 && bound < Infinity));
    }));
}
