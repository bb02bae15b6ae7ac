// What a caller puts in cannot make a snapshot that is not read again: metadata that look like the place of a checksum, metadata
// too long for a file, rows so narrow that an engine takes far more memory than its file.

import { CapacityError, InputError } from "../../mod.ts";
import { createFolder } from "../../src/durable/create_folder.ts";
import { Folder } from "../../src/durable/folder.ts";
import { openDurable } from "../../src/durable/mod.ts";
import { toEngineProblem } from "../../src/engine/options.ts";
import { toTableBias } from "../../src/numerics/distance_bias.ts";
import { assertEquals, assertRejects } from "../../testing/assert.ts";
import { inFolder } from "../../testing/durable/in_folder.ts";

const CREATE = { query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[10], [20]], backend: "array" } as const;

const SEAL = "0".repeat(64);

for (const metadata of [SEAL, { sha256: SEAL }, [`"sha256":"${SEAL}"`], `\\"sha256":"${SEAL}`]) {
  Deno.test(`a checksum is put in its own place beside the metadata ${JSON.stringify(metadata)}`, async () => {
    await inFolder(async (folder) => {
      {
        await using live = await openDurable(folder, { create: CREATE });
        await live.save({ metadata });
        // Two, so that no older snapshot is left to begin with.
        for (let taken = 1; taken <= 2; taken++) {
          await live.edit([{ kind: "setValue", slot: 0, value: [taken] }]);
          await live.snapshot();
        }
        assertEquals((await live.verify({ deep: true })).problems, []);
        await live.backup(`${folder}.copy`);
      }
      for (const path of [folder, `${folder}.copy`]) {
        await using again = await openDurable(path);
        assertEquals(again.stats().durable.damage, []);
        assertEquals([again.metadata, again.getValue(0)[0]], [metadata, 2]);
      }
    });
  });
}

Deno.test("metadata that no snapshot can hold are refused before anything changes", async () => {
  await inFolder(async (folder) => {
    const small = { of: "this version" };
    {
      await using live = await openDurable(folder, { create: CREATE });
      await live.save({ metadata: small });
      const { sequence } = live.stats().durable;
      await assertRejects(() => live.save({ metadata: "a".repeat(2 ** 23) }), InputError);
      // Each of them takes six letters of the file, and twelve of a text within a text.
      await assertRejects(() => live.save({ metadata: "\u0001".repeat(2 ** 21) }), InputError);
      assertEquals([live.metadata, live.stats().durable.sequence], [small, sequence]);
      for (let taken = 1; taken <= 2; taken++) {
        await live.edit([{ kind: "setValue", slot: 0, value: [taken] }]);
        await live.snapshot();
      }
    }
    await using again = await openDurable(folder);
    assertEquals([again.metadata, again.getValue(0)[0], again.stats().durable.damage], [small, 2, []]);
  });
});

Deno.test("narrow rows whose engine is far larger than their file come back", async () => {
  await inFolder(async (folder) => {
    const columns = 1024, queries = 2 ** 14;
    const create = {
      query: [[1]],
      key: [[1]],
      value: [new Float32Array(columns)],
      backend: "array",
    } as const;
    {
      await using live = await openDurable(folder, { create });
      live.edit(Array.from({ length: queries }, () => ({ kind: "insertQuery", query: [1] } as const)));
      await live.snapshot();
      await live.edit([{ kind: "setQuery", slot: 7, query: [3] }]);
      await live.snapshot();
      assertEquals((await live.verify({ deep: true })).problems, []);
    }
    await using again = await openDurable(folder);
    assertEquals([again.stats().queryCount, again.getQuery(7)[0]], [queries + 1, 3]);
  });
});

Deno.test("a damaged newest snapshot is written anew, although no edit was made since", async () => {
  await inFolder(async (folder) => {
    {
      await using live = await openDurable(folder, { create: CREATE });
      await live.edit([{ kind: "setValue", slot: 0, value: [3] }]);
      await live.snapshot();
    }
    const file = `${folder}/snapshot-1.safetensors`, bytes = await Deno.readFile(file);
    bytes[bytes.length - 1] ^= 1;
    await Deno.writeFile(file, bytes);
    {
      await using live = await openDurable(folder);
      assertEquals(live.stats().durable.damage.length, 1);
      await live.snapshot();
      assertEquals((await live.verify({ deep: true })).problems, []);
      await live.edit([{ kind: "setValue", slot: 0, value: [4] }]);
    }
    await using again = await openDurable(folder);
    assertEquals([again.getValue(0)[0], again.stats().durable.damage], [4, []]);
  });
});

Deno.test("a rule that is too long for a snapshot is refused when it is written, not when it is read", async () => {
  await inFolder(async (folder) => {
    const problem = toEngineProblem("test", CREATE), rows = 2 ** 20;
    const rule = { ...problem.rule, distanceBias: toTableBias(0, 4, new Float32Array(4 * rows)) };
    await Deno.mkdir(folder);
    await assertRejects(
      () => createFolder(new Folder(folder), { ...problem, rule }, "full"),
      CapacityError,
      "a header of",
    );
    await using live = await openDurable(folder, { create: CREATE });
    assertEquals(live.stats().keyCount, 2);
  });
});
