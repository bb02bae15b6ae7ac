// Folders that each released version of the format has written are opened, with all that is in them. `tests/durable/folders` has
// one for each version; a new version adds its own (`testing/durable/version_folder.ts` makes it) and leaves the others as they
// are. What a version to come has written is refused, and left as it is.

import type { RowId } from "../../mod.ts";
import { DurabilityError, openDurable } from "../../src/durable/mod.ts";
import { main } from "../../src/durable/cli.ts";
import { FORMAT_VERSION, JournalDatabase } from "../../src/durable/journal_database.ts";
import { assertEquals, assertGreater, assertRejects } from "../../testing/assert.ts";
import { EditStream, prepareNext } from "../../testing/durable/edit_stream.ts";
import { assertSameMemory } from "../../testing/durable/same_rows.ts";
import { learnerOf, METADATA, VERSION_FOLDERS } from "../../testing/durable/version_folder.ts";

const FOLDERS = new URL("folders/", import.meta.url);

Deno.test("there is a folder of every version up to the present one", async () => {
  const names = (await Array.fromAsync(Deno.readDir(FOLDERS))).map(({ name }) => name).sort();
  assertEquals(names, Object.keys(VERSION_FOLDERS));
  assertEquals(names.at(-1), String(FORMAT_VERSION));
});

/** Runs a test on a copy of a version's folder. */
async function inCopy(version: string, run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for await (const { name } of Deno.readDir(new URL(`${version}/`, FOLDERS))) {
      await Deno.copyFile(new URL(`${version}/${name}`, FOLDERS), `${folder}/${name}`);
    }
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function versionOf(folder: string): number {
  const database = new JournalDatabase(`${folder}/journal.db`, { readOnly: true });
  try {
    return database.identify().version;
  } finally {
    database.close();
  }
}

for (const [version, folder] of Object.entries(VERSION_FOLDERS)) {
  const { stream: settings, batches, replayed, hasMore, otherClients = [] } = folder;

  Deno.test(`a folder of version ${version} opens, goes on and opens again`, async () => {
    await inCopy(version, async (folder) => {
      const stream = new EditStream(settings);
      stream.advanceTo(batches);
      const create = stream.options();
      {
        await using look = await openDurable<RowId, RowId>(folder, { create, readOnly: true });
        await assertSameMemory(look, stream.model);
      }
      assertEquals(String(versionOf(folder)), version, "a look leaves it as it is");
      {
        await using live = await openDurable<RowId, RowId>(folder, { create, client: "writer" });
        assertEquals([live.lastClientSequence(), live.stats().durable.replayed], [batches, replayed]);
        await assertSameMemory(live, stream.model);
        assertEquals((await live.verify({ deep: true })).problems, []);
        const learner = await learnerOf(live);
        assertEquals(live.metadata, hasMore ? METADATA : undefined);
        assertEquals(learner.stats().steps > 0, hasMore);
        assertEquals(learner.stats().keyStates > 0, hasMore);
        prepareNext(live, stream);
        await live.edit(stream.next(), { clientSequence: batches + 1 });
        await live.snapshot();
        assertEquals((await live.verify({ deep: true })).problems, []);
      }
      assertEquals(versionOf(folder), FORMAT_VERSION, "an owner writes the present one");
      await using again = await openDurable<RowId, RowId>(folder, { create, client: "writer" });
      await assertSameMemory(again, stream.model);
      assertGreater(again.sequence, batches);
      assertEquals(again.stats().durable.clients, 1 + otherClients.length);
      assertEquals(
        otherClients.map((client) => again.lastClientSequence(client)),
        otherClients.map(() => 50),
      );
    });
  });

  Deno.test(`a folder of version ${version} is copied and made small`, async () => {
    await inCopy(version, async (folder) => {
      const copy = `${folder}/copy`, stream = new EditStream(settings);
      stream.advanceTo(batches);
      assertEquals(await main(["backup", folder, copy, "--json"]), 0);
      assertEquals(String(versionOf(copy)), version);
      assertEquals(await main(["verify", copy, "--json"]), 0);
      assertEquals(await main(["compact", copy, "--json"]), 0);
      assertEquals(await main(["verify", copy, "--json"]), 0);
      await using live = await openDurable<RowId, RowId>(copy, {
        create: stream.options(),
        client: "writer",
      });
      await assertSameMemory(live, stream.model);
      assertEquals([live.lastClientSequence(), live.stats().durable.replayed], [batches, 0]);
      assertEquals((await learnerOf(live)).stats().keyStates > 0, hasMore);
    });
  });
}

Deno.test("a folder of a version to come is refused by its number, and left as it is", async () => {
  await inCopy(String(FORMAT_VERSION), async (folder) => {
    const database = new JournalDatabase(`${folder}/journal.db`, { readOnly: false });
    database.transact(() => void database.setVersion(FORMAT_VERSION + 1));
    database.checkpoint();
    database.close();
    const before = await Deno.readFile(`${folder}/journal.db`);
    for (const readOnly of [false, true]) {
      const error = await assertRejects(
        () => openDurable(folder, { readOnly }),
        DurabilityError,
        `journal has version ${FORMAT_VERSION + 1}, expected 1 to ${FORMAT_VERSION}`,
      );
      assertEquals(error.fault, "damaged");
    }
    assertEquals(await Deno.readFile(`${folder}/journal.db`), before);
  });
});
