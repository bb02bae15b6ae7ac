// Folders that each released version of the format has written are opened, with all that is in them. `tests/durable/folders` has
// one for each version; a new version adds its own and leaves the others as they are.

import { openDurable } from "../../src/durable/mod.ts";
import { FORMAT_VERSION } from "../../src/durable/journal_database.ts";
import { assertEquals } from "../../testing/assert.ts";
import { EditStream, SMALL } from "../../testing/durable/edit_stream.ts";
import { assertSameMemory } from "../../testing/durable/same_rows.ts";

const FOLDERS = new URL("folders/", import.meta.url);

/** What the folder of each version holds: so many batches of a stream. */
const VERSIONS: Readonly<Record<string, { readonly batches: number; readonly replayed: number }>> = {
  "1": { batches: 60, replayed: 20 },
};

Deno.test("there is a folder of every version up to the present one", async () => {
  const names = (await Array.fromAsync(Deno.readDir(FOLDERS))).map(({ name }) => name).sort();
  assertEquals(names, Object.keys(VERSIONS));
  assertEquals(names.at(-1), String(FORMAT_VERSION));
});

for (const [version, { batches, replayed }] of Object.entries(VERSIONS)) {
  Deno.test(`a folder of version ${version} opens, goes on and opens again`, async () => {
    const folder = await Deno.makeTempDir();
    for await (const { name } of Deno.readDir(new URL(`${version}/`, FOLDERS))) {
      await Deno.copyFile(new URL(`${version}/${name}`, FOLDERS), `${folder}/${name}`);
    }
    const stream = new EditStream({ ...SMALL, seed: 101, causal: true });
    stream.advanceTo(batches);
    {
      await using live = await openDurable(folder, { create: stream.options(), client: "writer" });
      assertEquals([live.lastClientSequence(), live.stats().durable.replayed], [batches, replayed]);
      await assertSameMemory(live, stream.model);
      assertEquals((await live.verify({ deep: true })).problems, []);
      await live.edit(stream.next(), { clientSequence: batches + 1 });
      await live.snapshot();
    }
    await using again = await openDurable(folder, { create: stream.options(), client: "writer" });
    await assertSameMemory(again, stream.model);
    await Deno.remove(folder, { recursive: true });
  });
}
