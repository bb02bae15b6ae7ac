// Full suite: it writes thousands of folders.
// Limit: 20 minutes.
//
// The store fails: a sync says EIO, a write says ENOSPC, the disk is full, it is read-only. The writer stops with a typed error
// and acknowledges nothing that is not on disk; opened again, every acknowledged batch is there once. ATTUNE_LONG=1 fails every
// single call of a run.

import type { RowId } from "../../mod.ts";
import { DurabilityError, openDurable } from "../../src/durable/mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLessOrEqual,
  assertRejects,
} from "../../testing/assert.ts";
import { EditStream, SMALL, type StreamSettings } from "../../testing/durable/edit_stream.ts";
import { runWriter } from "../../testing/durable/run_writer.ts";
import { assertSameMemory, assertSameRows } from "../../testing/durable/same_rows.ts";
import { findProgram, IS_LONG, requires } from "../../testing/requirements.ts";

const STREAM: StreamSettings = { ...SMALL, seed: 71, ids: true, keys: 6 };
const IN_FLIGHT = 2;
const STRACE = requires("strace", findProgram("strace"), "apt-get install strace");

interface Injection {
  readonly name: string;
  /** What strace is told of the nth such call. */
  readonly inject: (call: number) => string;
  /** The calls that are failed in the ordinary suite. */
  readonly calls: readonly number[];
  readonly most: number;
}

const INJECTIONS: readonly Injection[] = [
  {
    name: "EIO on a sync",
    inject: (call) => `fsync,fdatasync:error=EIO:when=${call}`,
    calls: [1, 6, 12, 17, 25],
    most: 60,
  },
  {
    name: "ENOSPC on a write of SQLite",
    inject: (call) => `pwrite64:error=ENOSPC:when=${call}`,
    calls: [3, 9, 14, 30],
    most: 90,
  },
  {
    name: "EIO on a write of SQLite",
    inject: (call) => `pwrite64:error=EIO:when=${call}`,
    calls: [11, 26],
    most: 60,
  },
];

for (const { name, inject, calls, most } of INJECTIONS) {
  Deno.test({
    name: `${name}: the writer stops, and nothing acknowledged is lost`,
    ...STRACE,
    async fn() {
      const base = await Deno.makeTempDir();
      const options = new EditStream(STREAM).options();
      let stopped = 0, runs = 0;
      for (
        const call of IS_LONG ? Array.from({ length: most }, (_, at) => at + 1) : calls
      ) {
        const folder = `${base}/memory${call}`;
        const settings = { stream: STREAM, inFlight: IN_FLIGHT, journalBytes: 2000, until: 40 };
        const command = [
          "strace",
          "-f",
          "-o",
          "/dev/null",
          "-e",
          `trace=${inject(call).split(":")[0]}`,
          "-e",
          `inject=${inject(call)}`,
        ];
        const run = await runWriter(folder, settings, {}, command);
        const last = run.lines.at(-1) as string;
        runs++;
        if (last.startsWith("error ")) {
          stopped++;
          assert(last.startsWith("error DurabilityError: "), last);
        } else assertEquals(last, "done", `call ${call}`);
        await using live = await openDurable<RowId, RowId>(folder, { create: options, client: "writer" });
        const counted = live.lastClientSequence(), stream = new EditStream(STREAM);
        assertGreaterOrEqual(counted, run.acknowledged, `call ${call}`);
        assertLessOrEqual(counted, run.acknowledged + IN_FLIGHT);
        stream.advanceTo(counted);
        await assertSameMemory(live, stream.model);
        assertEquals((await live.verify({ deep: true })).problems, []);
        await live.edit(stream.next(), { clientSequence: stream.made });
        assertSameRows(live, stream.model);
      }
      await Deno.remove(base, { recursive: true });
      assertGreater(stopped, runs / 3);
      console.log(`  ${runs} runs, ${stopped} stopped by it`);
    },
  });
}

Deno.test("after a failure of the store every call says the same, and what is on disk is found by opening anew", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`;
  const create = { query: [[1]], key: [[1]], value: [[1]] };
  const live = await openDurable<RowId, RowId>(folder, { create });
  await live.edit([{ kind: "setValue", slot: 0, value: [2] }]);
  // Somebody else has written what was to come: the number of the next record is taken.
  const { DatabaseSync } = await import("node:sqlite");
  const other = new DatabaseSync(`${folder}/journal.db`);
  other.exec("INSERT INTO record SELECT 3, body FROM record WHERE sequence = 1");
  live.setValue(0, [3]);
  const edit = live.edit([{ kind: "setValue", slot: 0, value: [4] }]);
  const error = await assertRejects(
    () => edit,
    DurabilityError,
    "edits 1 to 1 are on disk, edits 2 to 3 are unknown",
  );
  assertEquals([error.fault, error.committed, error.sequence, error.folder], ["unknown", 1, 2, folder]);
  assert(error.cause instanceof Error);
  const calls = [
    () => live.read(),
    () => live.peek(),
    () => live.edit([]),
    () => live.committed(),
    () => live.snapshot(),
    () => live.verify(),
    () => live.backup(`${base}/copy`),
    () => Promise.resolve().then(() => live.delete(0)),
  ];
  for (const call of calls) assertEquals(await assertRejects(call, DurabilityError), error);
  assertEquals(live.stats().durable.committed, 1);
  await live.dispose();
  other.exec("DELETE FROM record WHERE sequence = 3");
  other.close();
  await using again = await openDurable<RowId, RowId>(folder, { create });
  assertEquals(again.getValue(0), Float32Array.of(2));
  await Deno.remove(base, { recursive: true });
});

/** Whether file systems may be mounted here. */
async function canMount(): Promise<boolean> {
  if (Deno.build.os !== "linux" || findProgram("mount") === undefined) return false;
  const folder = await Deno.makeTempDir();
  const isMounted = await mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", folder);
  if (isMounted) await unmount(folder);
  await Deno.remove(folder);
  return isMounted;
}

async function mount(...args: string[]): Promise<boolean> {
  return (await new Deno.Command("mount", { args, stderr: "null" }).output()).success;
}

async function unmount(folder: string): Promise<void> {
  assert((await new Deno.Command("umount", { args: [folder] }).output()).success);
}

// Not strict: many a container may not mount, and what strace injects says nearly the same.
const MOUNT = requires("the right to mount", await canMount() ? "mount" : undefined, "sudo", false);

Deno.test({
  name: "a disk of 2 MB becomes full: the writer stops, and nothing acknowledged is lost",
  ...MOUNT,
  async fn() {
    const disk = await Deno.makeTempDir();
    const settings: StreamSettings = { ...STREAM, seed: 72, headDim: 64, valueDim: 64 };
    const options = new EditStream(settings).options();
    for (const journalBytes of [1e12, 100_000]) {
      assert(await mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", disk));
      try {
        const folder = `${disk}/memory`;
        const run = await runWriter(folder, {
          stream: settings,
          inFlight: IN_FLIGHT,
          journalBytes,
          until: 6000,
        });
        const last = run.lines.at(-1) as string;
        assert(last.startsWith("error DurabilityError: ") && last.includes("full"), last);
        assertGreater(run.acknowledged, 100);
        // A full disk can be looked at; the owner needs room, for one thing to be able to write the index of SQLite's log.
        const stream = new EditStream(settings);
        {
          await using look = await openDurable(folder, {
            load: { backend: "array" },
            readOnly: true,
            client: "writer",
          });
          const counted = look.lastClientSequence();
          assertGreaterOrEqual(counted, run.acknowledged);
          assertLessOrEqual(counted, run.acknowledged + IN_FLIGHT);
          stream.advanceTo(counted);
          await assertSameMemory(look, stream.model);
        }
        assert(await mount("-o", "remount,size=8m", disk));
        await using live = await openDurable<RowId, RowId>(folder, { create: options, client: "writer" });
        assertSameRows(live, stream.model);
        await live.snapshot();
        assertEquals((await live.verify({ deep: true })).problems, []);
      } finally {
        await unmount(disk);
      }
    }
    await Deno.remove(disk);
  },
});

Deno.test({
  name: "on a disk that is read-only a folder can be looked at, and not owned",
  ...MOUNT,
  async fn() {
    const disk = await Deno.makeTempDir(), base = await Deno.makeTempDir();
    let acks = 0;
    const isTime = (line: string) => line.startsWith("ack ") && ++acks === 30;
    // Killed, so that there is a write-ahead log without an index.
    await runWriter(`${base}/memory`, { stream: STREAM, inFlight: IN_FLIGHT }, { isTime });
    await Deno.remove(`${base}/memory/journal.db-shm`);
    assert(await mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", disk));
    try {
      await new Deno.Command("cp", { args: ["-r", `${base}/memory`, disk] }).output();
      assert(await mount("-o", "remount,ro", disk));
      const folder = `${disk}/memory`, stream = new EditStream(STREAM);
      {
        await using look = await openDurable(folder, { readOnly: true, client: "writer" });
        stream.advanceTo(look.lastClientSequence());
        assertGreaterOrEqual(stream.made, 30);
        await assertSameMemory(look, stream.model);
        assertEquals((await look.verify()).problems, []);
      }
      const error = await assertRejects(() => openDurable(folder), DurabilityError, "readOnly");
      assertEquals(error.fault, "read-only");
    } finally {
      await unmount(disk);
    }
    for (const folder of [disk, base]) await Deno.remove(folder, { recursive: true });
  },
});
