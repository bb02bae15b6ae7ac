// What a durable engine promises while nothing goes wrong: edits come back as they were, by whatever method they were made;
// a turn's edits are one transaction; calls made again count once; one owner, others may look.

import { fileURLToPath } from "node:url";
import { openDurable } from "../../src/durable/mod.ts";
import { DurabilityError, type DurableAttention, type DurableOptions } from "../../src/durable/mod.ts";
import { DisposedError, DynamicAttention, InputError, type RowId, SlotError } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertThrows,
} from "../../testing/assert.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import { EditStream, prepareNext, SMALL, type StreamSettings } from "../../testing/durable/edit_stream.ts";
import { assertSameMemory, assertSameRows, bitsOf } from "../../testing/durable/same_rows.ts";
import { inFolder } from "../../testing/durable/in_folder.ts";

/** A test in a folder of its own. */
function testInFolder(name: string, run: (folder: string) => Promise<void>): void {
  Deno.test(name, () => inFolder(run));
}

const CREATE = {
  query: [[1, 0], [0, 1]],
  key: [[1, 0], [0, 1], [1, 1]],
  value: [[10], [20], [30]],
  backend: "array",
} as const;

const COUNTS = { keys: 200, queries: 6 };
const STREAMS: readonly [name: string, StreamSettings, Pick<DurableOptions, "snapshot" | "sync">][] = [
  ["plain", SMALL, {}],
  ["with positions", { ...SMALL, causal: true }, {}],
  ["with rows that move", { ...SMALL, seed: 6, causal: true, moves: true }, {
    snapshot: { journalBytes: 700 },
  }],
  ["with ranges that move", { ...SMALL, seed: 11, causal: true, moves: true, shifts: true }, {
    snapshot: { journalBytes: 900 },
  }],
  ["with ids and ranges that move", { ...SMALL, seed: 12, causal: true, ids: true, shifts: true }, {}],
  ["with a mask function", { ...SMALL, masked: true }, {}],
  ["with many snapshots", { ...SMALL, ...COUNTS, seed: 4 }, { snapshot: { journalBytes: 600 } }],
  [
    "with all of it",
    { ...SMALL, seed: 5, masked: true, causal: true },
    { snapshot: { journalBytes: 900 }, sync: "normal" },
  ],
  ["with ids", { ...SMALL, seed: 7, ids: true, causal: true, moves: true }, {
    snapshot: { journalBytes: 900 },
  }],
  ["with ids that a mask function is asked by", { ...SMALL, seed: 8, ids: true, masked: true }, {
    snapshot: { journalBytes: 900 },
  }],
  ["with a mask that changes", { ...SMALL, seed: 9, maskEdits: true }, { snapshot: { journalBytes: 3000 } }],
  ["with ids and a mask that changes", { ...SMALL, seed: 10, ids: true, maskEdits: true }, {}],
];

for (const [name, settings, options] of STREAMS) {
  testInFolder(`a stream of edits comes back to the bit, ${name}`, async (folder) => {
    const stream = new EditStream(settings);
    const create = stream.options();
    for (let opening = 0; opening < 5; opening++) {
      await using live = await openDurable(folder, { create, ...options });
      assertEquals(live.stats().durable.sequence >= stream.made, true);
      await assertSameMemory(live, stream.model);
      for (let batch = 0; batch < 40; batch++) {
        prepareNext(live, stream);
        const done = live.edit(stream.next());
        if (batch % 3 === 0) await done;
        if (batch % 7 === 0) assertAccurate(await live.read(), stream.model.standing());
      }
      await live.committed();
      await assertSameMemory(live, stream.model);
      assertEquals((await live.verify({ deep: true })).problems, []);
    }
  });
}

testInFolder("every method of an edit is in the journal, and a refused one is not", async (folder) => {
  const rows = (live: DurableAttention) =>
    [...live.keySlots()].map((slot) => [slot, bitsOf(live.getKey(slot)), bitsOf(live.getValue(slot))]).concat(
      [...live.querySlots()].map((slot) => [slot, bitsOf(live.getQuery(slot))]),
    );
  let before: unknown;
  {
    await using live = await openDurable(folder, { create: CREATE });
    live.setKey(0, [0.1, -0]);
    live.setValue(1, [7]);
    live.set(2, [3, 3], [4]);
    live.addToKey(0, 1, 0.3);
    live.addToValue(1, 0, 1e-9);
    assertEquals(live.insert([5, 6], [7]), 3);
    live.delete(1);
    live.setQuery(0, [2, 2]);
    assertEquals(live.insertQuery([9, 9]), 2);
    live.deleteQuery(1);
    assertThrows(() => live.setKey(1, [1, 1]), SlotError);
    assertThrows(() => live.setKey(0, [1]), InputError, "DurableAttention.setKey: key has 1 numbers");
    const half = [{ kind: "delete", slot: 0 }, { kind: "delete", slot: 0 }] as const;
    await assertRejects(() => live.edit(half), SlotError);
    assertEquals(await live.committed(), 10);
    before = rows(live);
  }
  await using live = await openDurable(folder, { create: CREATE });
  assertEquals(rows(live), before);
  assertEquals(live.insert([0, 0], [0]), 1);
});

testInFolder("the edits of a turn are one transaction, and one that is read is on disk", async (folder) => {
  await using live = await openDurable(folder, { create: CREATE });
  const answers = Array.from(
    { length: 100 },
    (_, at) => live.edit([{ kind: "setValue", slot: 0, value: [at] }]),
  );
  assertEquals((await Promise.all(answers)).map(({ sequence }) => sequence), answers.map((_, at) => at + 1));
  assertEquals(live.stats().durable.syncs, 1);
  live.setValue(0, [5]);
  assertEquals(live.stats().durable.committed, 100);
  await live.read();
  assertEquals(live.stats().durable.committed, 101);
  live.setValue(0, [6]);
  await live.peek();
  assertEquals(live.stats().durable.committed, 102);
  const { durable: { sequence, commitP50Ms, commitP99Ms } } = live.stats();
  assertEquals(sequence, 102);
  assert(commitP50Ms > 0 && commitP99Ms >= commitP50Ms);
});

testInFolder("an edit too large to be held back is on disk before the turn ends", async (folder) => {
  const width = 1024;
  const create = { query: [new Float32Array(width)], key: [new Float32Array(width)], value: [[1]] };
  await using live = await openDurable(folder, { create });
  for (let at = 0; at < 3000; at++) live.insert(new Float32Array(width).fill(at), [at]);
  assertLess(0, live.stats().durable.committed);
  assertEquals(await live.committed(), 3000);
  await live.dispose();
  await using again = await openDurable(folder, { create });
  assertEquals(again.stats().keyCount, 3001);
  assertEquals(again.getKey(3000)[7], 2999);
});

testInFolder(
  "a call that is made again counts once, also after the folder was opened anew",
  async (folder) => {
    const options = { create: CREATE, client: "sensor" };
    const insert = [{ kind: "insert", key: [1, 2], value: [3] }] as const;
    const first = { slots: [3], sequence: 1 };
    {
      await using live = await openDurable(folder, options);
      assertEquals(live.lastClientSequence(), 0);
      const both = [live.edit(insert, { clientSequence: 1 }), live.edit(insert, { clientSequence: 1 })];
      assertEquals(await Promise.all(both), [first, first]);
      assertEquals(await live.edit(insert, { clientSequence: 5 }), { slots: [4], sequence: 2 });
      await assertRejects(() => live.edit(insert, { clientSequence: 3 }), InputError, "it has not counted");
      assertEquals(await live.edit(insert, { client: "other", clientSequence: 1 }), {
        slots: [5],
        sequence: 3,
      });
      await assertRejects(() => live.edit([{ kind: "delete", slot: 99 }], { clientSequence: 6 }), SlotError);
      assertEquals(await live.edit(insert, { clientSequence: 6 }), { slots: [6], sequence: 4 });
      await live.snapshot();
    }
    await using live = await openDurable(folder, options);
    assertEquals(live.stats().durable.replayed, 0);
    assertEquals(await live.edit(insert, { clientSequence: 1 }), first);
    assertEquals(live.lastClientSequence(), 6);
    assertEquals(live.lastClientSequence("other"), 1);
    assertEquals(live.stats().keyCount, 7);
    for (let number = 7; number < 300; number++) {
      live.edit([{ kind: "setValue", slot: 0, value: [number] }], { clientSequence: number });
    }
    await live.committed();
    await assertRejects(() => live.edit(insert, { clientSequence: 1 }), InputError, "kept no more");
    assertEquals(live.stats().keyCount, 7);
  },
);

testInFolder("client calls are checked", async (folder) => {
  await using live = await openDurable(folder, { create: CREATE });
  await assertRejects(() => live.edit([], { clientSequence: 1 }), InputError, "no client is given");
  await assertRejects(() => live.edit([], { client: "a" }), InputError, "client is given alone");
  await assertRejects(() => live.edit([], { client: "", clientSequence: 1 }), InputError, "client is");
  for (const clientSequence of [0, -1, 1.5, NaN]) {
    await assertRejects(
      () => live.edit([], { client: "a", clientSequence }),
      InputError,
      "clientSequence is",
    );
  }
  assertEquals(live.stats().durable.sequence, 0);
});

testInFolder("one owner, and others may look", async (folder) => {
  await using live = await openDurable(folder, { create: CREATE });
  const error = await assertRejects(
    () => openDurable(folder),
    DurabilityError,
    "is open for writing by process",
  );
  assertEquals([error.fault, error.folder], ["locked", folder]);
  live.setValue(0, [11]);
  await live.committed();
  await using look = await openDurable(folder, { readOnly: true });
  assertEquals(look.getValue(0), Float32Array.of(11));
  const refused = assertThrows(() => look.delete(0), DurabilityError, "to look at only");
  assertEquals(refused.fault, "read-only");
  await assertRejects(() => look.edit([{ kind: "delete", slot: 0 }]), DurabilityError);
  await assertRejects(() => look.snapshot(), DurabilityError);
  assertEquals(look.stats().durable.readOnly, true);
  live.setValue(0, [12]);
  await live.committed();
  assertEquals((await look.read()).data.length, 2);
  assertEquals(look.getValue(0), Float32Array.of(11), "it is as of the call");
  await live.dispose();
  await using next = await openDurable(folder);
  assertEquals(next.getValue(0), Float32Array.of(12));
});

testInFolder("another process is refused at once", async (folder) => {
  await using _live = await openDurable(folder, { create: CREATE });
  const { runWriter } = await import("../../testing/durable/run_writer.ts");
  const { lines } = await runWriter(folder, { stream: SMALL, inFlight: 1 });
  assertEquals(lines.length, 2);
  assert(lines[1].startsWith("error DurabilityError: openDurable: "), lines[1]);
  assert(lines[1].includes(`by process ${Deno.pid}`), lines[1]);
});

testInFolder("a folder that is there is opened, and options that differ are refused", async (folder) => {
  await assertRejects(() => openDurable(folder), InputError, "holds no engine");
  await assertRejects(
    () => openDurable(folder, { readOnly: true, create: CREATE }),
    InputError,
    "holds no engine",
  );
  await (await openDurable(folder, { create: { ...CREATE, mask: [[1, 2, 3], [4, 5, 6]] } })).dispose();
  await (await openDurable(folder)).dispose();
  await (await openDurable(folder, { load: { backend: "wasm" } })).dispose();
  const mask = [[1, 2, 3], [4, 5, 6]];
  const differ: readonly [object, string][] = [
    [{ scale: 2 }, "scale is 2, expected 0.70"],
    [{ mask: undefined }, "mask is none, expected a matrix"],
    [{ mask: [[1, 2, 3], [4, 5, 7]] }, "mask is another matrix"],
    [{ mask: () => 0 }, "mask is a function, expected a matrix"],
    [{ lazyThreshold: 5 }, "lazyThreshold.edits is 5, expected 64"],
    [{ lazyThreshold: () => true }, "lazyThreshold is a function"],
    [{ onThreshold: "patch" }, "onThreshold is patch, expected auto"],
    [{ causal: true }, "after is 0, expected Infinity"],
    [{ value: [[1, 2], [3, 4], [5, 6]] }, "valueDim is 2, expected 1"],
  ];
  for (const [changed, message] of differ) {
    await assertRejects(
      () => openDurable(folder, { create: { ...CREATE, mask, ...changed } }),
      InputError,
      message,
    );
  }
  // Rows only say how wide they are.
  const narrow = { ...CREATE, mask, key: [[5, 5], [6, 6]], value: [[5], [6]] };
  await using live = await openDurable(folder, { create: narrow });
  assertEquals([live.stats().keyCount, ...live.getKey(0)], [3, 1, 0]);
});

testInFolder("options are checked before anything is made", async (folder) => {
  const bad: readonly [object, string][] = [
    [{ create: CREATE, load: {} }, "create and load are given"],
    [{ create: CREATE, sync: "often" }, "sync is"],
    [{ create: CREATE, readOnly: 1 }, "readOnly is 1"],
    [{ create: CREATE, client: "" }, "client is"],
    [{ create: CREATE, snapshot: { journalBytes: 0 } }, "journalBytes is 0"],
    [{ create: CREATE, snapshot: { bytes: 1 } }, "snapshot option"],
    [{ create: { ...CREATE, scale: NaN } }, "scale is NaN"],
    [{ creat: CREATE }, "did you mean"],
  ];
  for (const [options, message] of bad) {
    await assertRejects(() => openDurable(folder, options as DurableOptions), InputError, message);
  }
  for (const path of ["", 7, new URL("https://example.org/")]) {
    await assertRejects(() => openDurable(path as string, { create: CREATE }), InputError, "folder is");
  }
  await assertRejects(() => Deno.stat(folder), Deno.errors.NotFound);
});

testInFolder("a snapshot is a file that an engine loads, and the journal before it goes", async (folder) => {
  const stream = new EditStream({ ...SMALL, seed: 9 });
  await using live = await openDurable(folder, { create: stream.options() });
  for (let taken = 1; taken <= 3; taken++) {
    for (let batch = 0; batch < 20; batch++) await live.edit(stream.next());
    await live.snapshot();
  }
  const { snapshot, journalBytes } = live.stats().durable;
  assertEquals([snapshot.sequence, journalBytes], [60, 0]);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) =>
    name.startsWith("snap")
  ).sort();
  assertEquals(names, ["snapshot-40.safetensors", "snapshot-60.safetensors"]);
  assertEquals((await live.verify({ deep: true })).records, 20, "those behind the older snapshot");
  await using loaded = await DynamicAttention.load(await Deno.readFile(`${folder}/${names[1]}`), {
    backend: "array",
  });
  assertEquals(await loaded.read(), await live.read());
});

testInFolder(
  "snapshots that are asked for and those that the journal wants do not get in each other's way",
  async (folder) => {
    await using live = await openDurable(folder, { create: CREATE, snapshot: { journalBytes: 50 } });
    for (let edit = 1; edit <= 20; edit++) {
      live.setValue(0, [edit]);
      const taken = [live.snapshot(), live.snapshot()];
      if (edit % 3 === 0) live.setValue(1, [edit]);
      await Promise.all(taken);
      const { journalBytes, snapshotFailure, snapshot, committed } = live.stats().durable;
      assertEquals(snapshotFailure, null);
      assertGreaterOrEqual(journalBytes, 0);
      assertGreaterOrEqual(snapshot.sequence, committed - 1);
      assertEquals((await live.verify({ deep: true })).problems, []);
    }
  },
);

const DURING: readonly [name: string, StreamSettings][] = [
  ["rows", { ...SMALL, seed: 21, keys: 3000, headDim: 32, valueDim: 32 }],
  ["rows with ids, and the mask", { ...SMALL, seed: 22, keys: 60, headDim: 900, ids: true, maskEdits: true }],
];

/** Runs something while each piece of a file is written a turn of the loop later, so that a snapshot takes several turns. */
async function withSlowWrites(run: () => Promise<void>): Promise<void> {
  const { write } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.write = async function (bytes) {
    await new Promise((resolve) => setTimeout(resolve));
    return await write.call(this, bytes);
  };
  try {
    await run();
  } finally {
    Deno.FsFile.prototype.write = write;
  }
}

for (const [what, settings] of DURING) {
  testInFolder(`a snapshot holds ${what} of its moment while edits go on`, async (folder) => {
    const stream = new EditStream(settings);
    await using live = await openDurable<RowId, RowId>(folder, { create: stream.options() });
    for (let round = 0; round < 4; round++) {
      let during = 0;
      await withSlowWrites(async () => {
        const taken = live.snapshot();
        do {
          for (let edit = 0; edit < 8; edit++, during++) {
            prepareNext(live, stream);
            live.edit(stream.next());
          }
          await new Promise((resolve) => setTimeout(resolve));
        } while (live.stats().durable.isSnapshotting && during < 2000);
        await taken;
      });
      assertGreater(during, 8, "edits while it was written");
      await live.committed();
      // The check compares each snapshot with the records before it.
      const { problems, snapshots } = await live.verify({ deep: true });
      assertEquals(problems, []);
      assertEquals(snapshots.length, 2);
    }
    assertSameRows(live, stream.model);
  });
}

testInFolder("a disposed engine touches nothing any more, and its last edits are on disk", async (folder) => {
  const live = await openDurable(folder, { create: CREATE });
  live.setValue(0, [99]);
  const edit = live.edit([{ kind: "setValue", slot: 1, value: [98] }]);
  await live.dispose();
  assertEquals((await edit).sequence, 2);
  await live.dispose();
  assertThrows(() => live.delete(0), DisposedError);
  for (
    const call of [
      () => live.read(),
      () => live.edit([]),
      () => live.committed(),
      () => live.verify(),
      () => live.snapshot(),
    ]
  ) {
    await assertRejects(call, DisposedError);
  }
  await using again = await openDurable(folder);
  assertEquals([...again.getValue(0), ...again.getValue(1)], [99, 98]);
});

testInFolder(
  "a mask function is not asked by a replay, and one that is missing is refused",
  async (folder) => {
    const mask = (i: number, j: number) => i + j / 4;
    let answer: unknown;
    {
      await using live = await openDurable(folder, { create: { ...CREATE, mask } });
      live.insert([0, 2], [50]);
      live.insertQuery([1, -1]);
      live.setKey(0, [2, 2]);
      answer = await live.read();
    }
    await assertRejects(() => openDurable(folder), InputError, "mask is undefined");
    const asked: number[][] = [];
    const other = (i: number, j: number) => {
      asked.push([i, j]);
      return -9;
    };
    await using live = await openDurable(folder, { create: { ...CREATE, mask: other } });
    assertEquals(asked, []);
    assertEquals(await live.read(), answer as never);
    live.insert([1, 1], [1]);
    await live.read();
    assertEquals(asked.sort(), [[0, 4], [1, 4], [2, 4]]);
  },
);

testInFolder(
  "pairs of which a mask function could not answer are asked about when the folder is opened",
  async (folder) => {
    let isBroken = false;
    const mask = (_: number, j: number) => {
      if (isBroken) throw new Error("out of order");
      return j;
    };
    {
      await using live = await openDurable(folder, { create: { ...CREATE, mask } });
      isBroken = true;
      const { slots } = await live.edit([{ kind: "insert", key: [1, 1], value: [1] }]);
      assertEquals(slots, [3]);
      await assertRejects(() => live.read(), InputError, "out of order");
      await assertRejects(() => live.snapshot(), DurabilityError, "has not answered");
    }
    await assertRejects(
      () => openDurable(folder, { create: { ...CREATE, mask } }),
      InputError,
      "out of order",
    );
    isBroken = false;
    let expected: unknown;
    {
      await using live = await openDurable(folder, { create: { ...CREATE, mask } });
      expected = await live.read();
    }
    isBroken = true;
    await using live = await openDurable(folder, { create: { ...CREATE, mask } });
    assertEquals(await live.read(), expected as never);
    assertInstanceOf(live, Object as never);
  },
);

testInFolder("it needs no permission but for the folder", async (folder) => {
  await Deno.mkdir(folder);
  const program = `
    import { openDurable } from ${JSON.stringify(new URL("../../src/durable/mod.ts", import.meta.url).href)};
    const folder = ${JSON.stringify(folder)}, create = { query: [[1]], key: [[1]], value: [[2]] };
    {
      await using live = await openDurable(folder, { create });
      await live.edit([{ kind: "insert", key: [1], value: [4] }]);
      await live.snapshot();
      await (await live.learner()).learnOne({ query: 0 }, 3);
      await live.verify({ deep: true });
      await live.backup(folder + "/copy");
    }
    await Deno.remove(folder + "/copy", { recursive: true });
    await using again = await openDurable(folder, { create });
    console.log((await again.read()).data.length, again.stats().durable.sequence > 1);
  `;
  const file = `${folder}.ts`;
  await Deno.writeTextFile(file, program);
  const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-check", "--no-lock", "--no-prompt", "--config", config],
      ...[`--allow-read=${folder}`, `--allow-write=${folder}`, file],
    ],
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  assertEquals(new TextDecoder().decode(stdout).trim(), "1 true");
});

testInFolder("moved rows, and where rows to come begin, are in the journal", async (folder) => {
  const create = { ...CREATE, causal: true, queryPositions: [5, 6] } as const;
  const positions = (live: DurableAttention) => [
    ...[...live.keySlots()].map((slot) => live.getPosition(slot)),
    ...[...live.querySlots()].map((slot) => live.getQueryPosition(slot)),
  ];
  let before: unknown, answer: unknown;
  {
    await using live = await openDurable(folder, { create });
    live.setPosition(0, 9);
    await live.edit([{ kind: "setQueryPosition", slot: 1, position: 30 }, {
      kind: "setPosition",
      slot: 2,
      position: 2.5,
    }]);
    await live.snapshot();
    live.setPosition(2, 7);
    assertEquals(live.shiftPositions(-4, { from: 5 }), 4);
    live.insert([1, 2], [3]);
    live.insertQuery([1, 1]);
    before = positions(live);
    answer = await live.read();
    assertEquals((await live.verify({ deep: true })).problems, []);
  }
  await using live = await openDurable(folder, { create });
  assertEquals(positions(live), before as never);
  assertEquals(await live.read(), answer as never);
});
