// Backups, and the program: what it prints, its exit codes, and that it changes nothing but where it should.

import { adagrad } from "../../src/learning/mod.ts";
import { DurabilityError, openDurable } from "../../src/durable/mod.ts";
import { DynamicAttention, type Edit, InputError } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "../../testing/assert.ts";
import { EditStream, SMALL } from "../../testing/durable/edit_stream.ts";
import { programArguments } from "../../testing/durable/run_writer.ts";
import { assertSameMemory } from "../../testing/durable/same_rows.ts";

async function runProgram(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: programArguments(...args),
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, out: text(stdout), err: text(stderr) };
}

/** A folder with a stream's first batches, made by `batches` edits and a snapshot in their middle. */
async function makeFolder(folder: string, batches: number): Promise<EditStream> {
  const stream = new EditStream({ ...SMALL, seed: 31, causal: true });
  await using live = await openDurable(folder, { create: stream.options(), client: "writer" });
  while (stream.made < batches) {
    const edits = stream.next();
    live.edit(edits, { clientSequence: stream.made });
    if (stream.made % 5 === 0) await live.committed();
    if (stream.made === batches >> 1) await live.snapshot();
  }
  return stream;
}

Deno.test("a backup is a folder like the one that was copied, while edits go on", async () => {
  const base = await Deno.makeTempDir();
  const stream = new EditStream({ ...SMALL, seed: 41, keys: 500, headDim: 16, valueDim: 16 });
  const mirror = new EditStream({ ...SMALL, seed: 41, keys: 500, headDim: 16, valueDim: 16 });
  const create = stream.options();
  {
    await using live = await openDurable(`${base}/memory`, { create, snapshot: { journalBytes: 20_000 } });
    for (let copy = 0; copy < 4; copy++) {
      for (let batch = 0; batch < 150; batch++) {
        live.edit(stream.next());
        if (batch % 10 === 0) await live.committed();
      }
      let isDone = false;
      const backup = live.backup(`${base}/copy${copy}`).finally(() => isDone = true);
      const begun = stream.made;
      while (!isDone) {
        await live.edit(stream.next());
      }
      const { sequence } = await backup;
      assert(sequence >= begun, `${sequence} edits are in the copy, ${begun} were made before`);
      await using copied = await openDurable(`${base}/copy${copy}`, { create });
      mirror.advanceTo(sequence);
      await assertSameMemory(copied, mirror.model);
      assertEquals((await copied.verify({ deep: true })).problems, []);
      await copied.edit([{ kind: "insert", key: new Float32Array(16), value: new Float32Array(16) }]);
    }
    await assertRejects(() => live.backup(`${base}/copy0`), InputError, "expected an empty folder, or none");
    await assertRejects(() => live.backup(`${base}/memory`), InputError);
    await assertSameMemory(live, stream.model);
  }
  await Deno.remove(base, { recursive: true });
});

Deno.test("the program looks, checks, copies and makes small", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`;
  const stream = await makeFolder(folder, 200);
  const inspected = await runProgram("inspect", folder);
  assertEquals(inspected.code, 0);
  assertStringIncludes(inspected.out, "edits        1 to 200");
  assertStringIncludes(inspected.out, `${stream.model.keys.size} keys, ${stream.model.queries.size} queries`);
  assertStringIncludes(inspected.out, "open         by nobody");
  const json = JSON.parse((await runProgram("inspect", folder, "--json")).out);
  assertEquals([json.sequence, json.records, json.clients, json.mask], [200, 100, 1, "none"]);
  assertEquals([json.keyIds, json.queryIds, json.metadata, json.beside.count], ["slots", "slots", null, 0]);

  const verified = await runProgram("verify", folder);
  assertEquals([verified.code, verified.out.split("\n").at(-1)], [0, "all is as it was written"]);
  const copied = await runProgram("backup", folder, `${base}/copy`, "--json");
  assertEquals(JSON.parse(copied.out).sequence, 200);
  const compacted = JSON.parse((await runProgram("compact", folder, "--json")).out);
  assertEquals(compacted.sequence, 200);
  assertLess(compacted.bytesAfter, compacted.bytesBefore);
  assertEquals([...Deno.readDirSync(folder)].filter(({ name }) => name.startsWith("snapshot")).length, 1);
  for (const each of [folder, `${base}/copy`]) {
    await using live = await openDurable(each, { create: stream.options(), client: "writer" });
    assertEquals(live.lastClientSequence(), 200);
    assertEquals(live.stats().durable.replayed, each === folder ? 0 : 100);
    await assertSameMemory(live, stream.model);
    assertEquals((await live.verify({ deep: true })).problems, []);
    const locked = await runProgram("compact", each);
    assertEquals(locked.code, 1);
    assertStringIncludes(locked.err, "is open for writing");
    assertStringIncludes((await runProgram("inspect", each)).out, "open         by an owner");
    assertEquals((await runProgram("verify", each)).code, 0);
  }
  await Deno.remove(base, { recursive: true });
});

Deno.test("the program names what is wrong, and a command line that means nothing is refused", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`;
  await makeFolder(folder, 40);
  const file = `${folder}/snapshot-20.safetensors`, bytes = await Deno.readFile(file);
  bytes[bytes.length - 3] ^= 16;
  await Deno.writeFile(file, bytes);
  const { code, out } = await runProgram("verify", folder, "--json");
  assertEquals(code, 1);
  const { problems } = JSON.parse(out);
  assertEquals(
    problems.map((problem: { file: string; sequence: number }) => [problem.file, problem.sequence]),
    [
      ["snapshot-20.safetensors", 20],
    ],
  );
  assertStringIncludes((await runProgram("verify", folder)).out, "snapshot-20.safetensors, sequence 20: ");
  assertEquals((await runProgram("compact", folder)).code, 1, "the one before it is still needed");
  assertEquals((await runProgram("inspect", `${base}/nothing`)).code, 1);
  for (
    const args of [[], ["look", folder], ["inspect"], ["backup", folder], ["verify", folder, "x"], [
      "verify",
      folder,
      "--fast",
    ]]
  ) {
    const refused = await runProgram(...args);
    assertEquals([args, refused.code], [args, 2]);
    assertGreater((refused.err + refused.out).length, 10);
  }
  assertEquals((await runProgram("--help")).code, 0);
  await Deno.remove(base, { recursive: true });
});

Deno.test("the program tells of ids, a mask that changes, metadata and what is kept beside rows", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`;
  {
    await using live = await openDurable<string>(folder, {
      create: {
        query: [[1]],
        key: [[1], [2]],
        value: [[1], [3]],
        keyIds: ["a", "b"],
        mask: [[0, 1]],
        editableMask: true,
      },
    });
    await live.save({ metadata: { of: "a test" } });
    await (await live.learner({ optimizer: adagrad() })).learnOne({ query: 0 }, 2);
  }
  const { out } = await runProgram("inspect", folder);
  for (
    const line of [
      "ids          keys given, queries slots",
      "mask         editable matrix",
      'metadata     {"of":"a test"}',
      "beside rows  6 contents",
    ]
  ) {
    assertStringIncludes(out, line);
  }
  await Deno.remove(base, { recursive: true });
});

const UNSAID: readonly [what: string, edits: readonly Edit[]][] = [
  ["in the place of another one", [{ kind: "delete", slot: 1 }, { kind: "insert", key: [1, 1], value: [5] }]],
  ["behind all others", [{ kind: "insert", key: [1, 1], value: [5] }]],
  ["of the queries", [{ kind: "insertQuery", query: [1, 1] }]],
];

for (const [where, edits] of UNSAID) {
  Deno.test(`a folder is not made small before its mask function has answered for a row ${where}`, async () => {
    const base = await Deno.makeTempDir(), folder = `${base}/memory`;
    let version = 0;
    const mask = (i: number, j: number) => {
      if (version === 0) throw new Error("out of order");
      return i + j / 4 + version;
    };
    const create = {
      query: [[1, 0]],
      key: [[1, 0], [0, 1]],
      value: [[10], [20]],
      mask,
      backend: "array",
    } as const;
    version = 1;
    {
      await using live = await openDurable(folder, { create });
      version = 0;
      await live.edit(edits);
    }
    const refused = await runProgram("compact", folder);
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.err, "its mask function has not answered for");
    assertEquals((await runProgram("verify", folder)).code, 0);
    version = 7;
    let expected: Float32Array;
    {
      // What was said before the edits, and what is said now of the row that they have inserted.
      let said = 1;
      const plain = await DynamicAttention.create({ ...create, mask: (i, j) => i + j / 4 + said });
      said = version;
      plain.edit(edits);
      expected = (await plain.read()).data;
      await plain.dispose();
    }
    for (const isCompact of [false, true]) {
      if (isCompact) assertEquals((await runProgram("compact", folder)).code, 0);
      await using live = await openDurable(folder, { create });
      assertEquals((await live.read()).data, expected);
      // Asked again it would say something else.
      version = 9;
    }
    await Deno.remove(base, { recursive: true });
  });
}

Deno.test("a backup that ended before its time is refused or whole, and not taken for an empty folder", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`;
  const stream = new EditStream({ ...SMALL, seed: 43, headDim: 64 }), create = stream.options();
  await using live = await openDurable(folder, { create, snapshot: { journalBytes: Infinity } });
  for (let batch = 0; batch < 50; batch++) await live.edit(stream.next());
  for (let step = 1;; step++) {
    let steps = 0;
    const copy = `${base}/copy${step}`;
    const onProgress = () => {
      if (++steps === step) throw new Error("ended");
    };
    const error = await live.backup(copy, { onProgress }).catch((error: Error) => error);
    if (steps < step) {
      assertGreater(step, 2);
      break;
    }
    assertEquals((error as Error).message, "ended");
    for (const readOnly of [true, false]) {
      try {
        await using copied = await openDurable(copy, { create, readOnly });
        await assertSameMemory(copied, stream.model);
        assertGreater(step, 1);
      } catch (refused) {
        assert(refused instanceof DurabilityError, `ended at step ${step}: ${refused}`);
        assertEquals(refused.fault, "damaged");
      }
    }
  }
  await Deno.remove(base, { recursive: true });
});
