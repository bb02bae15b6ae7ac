// Limit: 20 minutes.
//
// The power fails at every point of a run: all that a writer did to its files is recorded by strace, and the disk is rebuilt as
// of each moment, four ways. Each image is opened: every batch that was acknowledged by then is there, rows to the bit.
// ATTUNE_LONG=1 opens thousands of images; with sync "normal" it is measured what is lost, and that it is told.

import type { RowId } from "../../mod.ts";
import { openDurable } from "../../src/durable/mod.ts";
import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "../../testing/assert.ts";
import { type DiskImage, LOSSES, SimulatedDisk } from "../../testing/durable/disk_images.ts";
import { EditStream, SMALL, type StreamSettings } from "../../testing/durable/edit_stream.ts";
import { programArguments, runWriter } from "../../testing/durable/run_writer.ts";
import { assertSameMemory, assertSameRows } from "../../testing/durable/same_rows.ts";
import { readStraceLog, straceCommand } from "../../testing/durable/strace_log.ts";
import type { MemoryModel } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";
import { findProgram, IS_LONG, requires } from "../../testing/requirements.ts";

const IN_FLIGHT = 2, RANDOM_SEED = 7;
const STREAM: StreamSettings = { ...SMALL, seed: 51, ids: true, keys: 6 };
const STRACE = requires("strace", findProgram("strace"), "apt-get install strace");

/** The model after each batch. */
function modelsOf(batches: number): MemoryModel[] {
  const stream = new EditStream(STREAM), models = [stream.model.snapshot()];
  while (stream.made < batches) {
    stream.next();
    models.push(stream.model.snapshot());
  }
  return models;
}

async function putImage(folder: string, image: DiskImage): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder);
  for (const [name, bytes] of image) await Deno.writeFile(`${folder}/${name}`, bytes);
}

/** Runs a writer and looks at images of its disk. */
async function failEverywhere(
  sync: "full" | "normal",
  batches: number,
  everyEvent: number,
  look: (folder: string, acknowledged: number, isMade: boolean) => Promise<void>,
): Promise<number> {
  const base = await Deno.makeTempDir();
  const log = `${base}/trace.txt`, folder = `${base}/memory`;
  const settings = { stream: STREAM, inFlight: IN_FLIGHT, journalBytes: 2500, sync, until: batches };
  const { lines } = await runWriter(folder, settings, {}, straceCommand(log));
  assertEquals(lines.at(-1), "done");
  const events = readStraceLog(await Deno.readTextFile(log), folder);
  const writes = events.filter(({ kind }) => kind === "write").length;
  assertGreaterOrEqual(writes, batches / IN_FLIGHT, "the log has what the writer did");
  const disk = new SimulatedDisk(), random = new Random(RANDOM_SEED);
  let images = 0, acknowledged = 0, isMade = false;
  for (const [at, event] of events.entries()) {
    disk.do(event);
    if (event.kind === "said") {
      if (event.line.startsWith("ack ")) acknowledged = Math.max(acknowledged, Number(event.line.slice(4)));
      isMade ||= event.line.startsWith("open ");
    }
    if (at % everyEvent !== 0) continue;
    for (const loss of LOSSES) {
      await putImage(`${base}/image`, disk.image(loss, random));
      try {
        await look(`${base}/image`, acknowledged, isMade);
      } catch (error) {
        throw new Error(`event ${at} (${event.kind}), lost: ${loss}, acknowledged: ${acknowledged}`, {
          cause: error,
        });
      }
      images++;
    }
  }
  await Deno.remove(base, { recursive: true });
  return images;
}

Deno.test("power failures: a number that one thread closes while another opens it is that of what was opened", () => {
  const said = (text: string) => `"${Array.from(new TextEncoder().encode(text), hexOf).join("")}"`;
  const hexOf = (byte: number) => `\\x${byte.toString(16).padStart(2, "0")}`;
  const log = [
    `10 openat(AT_FDCWD, ${said("/m/a")}, O_RDWR|O_CREAT, 0666) = 7`,
    `10 openat(AT_FDCWD, ${said("/m/b")}, O_RDWR|O_CREAT, 0666) = 8`,
    `11 close(8 <unfinished ...>`,
    `12 fcntl(7, F_DUPFD_CLOEXEC, 3)  = 8`,
    `12 write(8, ${said("one")}, 3 <unfinished ...>`,
    `11 <... close resumed>)              = 0`,
    `12 <... write resumed>)              = 3`,
    `12 write(8, ${said("two")}, 3)          = 3`,
    `11 close(8)                          = 0`,
    `12 write(7, ${said("!")}, 1)            = 1`,
  ];
  const writes = readStraceLog(log.join("\n"), "/m").flatMap((event) =>
    event.kind === "write" ? [[event.file, event.offset, new TextDecoder().decode(event.bytes)]] : []
  );
  assertEquals(writes, [[0, 0, "one"], [0, 3, "two"], [0, 6, "!"]]);
});

Deno.test({
  name: "power failures: nothing acknowledged is lost, whatever of the rest is on disk",
  ...STRACE,
  async fn() {
    const batches = IS_LONG ? 220 : 40, models = modelsOf(batches);
    const create = new EditStream(STREAM).options();
    let looks = 0, unacknowledged = 0;
    const images = await failEverywhere(
      "full",
      batches,
      IS_LONG ? 1 : 23,
      async (folder, acknowledged, isMade) => {
        const live = await openDurable<RowId, RowId>(folder, { create, client: "writer" });
        const counted = live.lastClientSequence();
        assertGreaterOrEqual(counted, acknowledged);
        assertLessOrEqual(counted, Math.min(batches, acknowledged + IN_FLIGHT));
        assertEquals(live.stats().durable.lost, 0);
        assert(isMade || counted === 0);
        if (counted > acknowledged) unacknowledged++;
        // Answers are the oracle's, and it goes on from there, now and then.
        if (looks++ % 16 === 0) {
          await assertSameMemory(live, models[counted]);
          await live.edit([{ kind: "setValue", slot: live.keyIds()[0], value: [1, 2, 3] }]);
          await live.dispose();
          await using again = await openDurable<RowId, RowId>(folder, { create });
          assertEquals(again.getValue(again.keyIds()[0]), Float32Array.of(1, 2, 3));
          assertEquals((await again.verify({ deep: true })).problems, []);
        } else {
          assertSameRows(live, models[counted]);
          await live.dispose();
        }
      },
    );
    // Each batch is written, noted and told.
    if (IS_LONG) assertGreaterOrEqual(images, 10 * batches);
    console.log(`  ${images} images; in ${unacknowledged} a batch was there that nobody had heard of`);
  },
});

Deno.test({
  name: 'power failures with sync "normal": what is lost is the end, and it is told',
  ...STRACE,
  async fn() {
    const batches = IS_LONG ? 120 : 30, models = modelsOf(batches);
    const create = new EditStream(STREAM).options();
    let lossy = 0, most = 0;
    const images = await failEverywhere("normal", batches, IS_LONG ? 2 : 29, async (folder, acknowledged) => {
      await using live = await openDurable<RowId, RowId>(folder, {
        create,
        client: "writer",
        sync: "normal",
      });
      const counted = live.lastClientSequence();
      assertSameRows(live, models[counted]);
      if (counted >= acknowledged) return;
      lossy++;
      most = Math.max(most, acknowledged - counted);
      // Where the witness is on disk, it knows.
      assertLessOrEqual(live.stats().durable.lost, acknowledged + IN_FLIGHT - counted);
    });
    console.log(`  ${images} images; ${lossy} lost something, ${most} batches at most`);
  },
});

Deno.test({
  name: "power failures and kills while a folder is made small: all of it is there, small or not",
  ...STRACE,
  async fn() {
    const base = await Deno.makeTempDir(), folder = `${base}/memory`, log = `${base}/trace.txt`;
    const batches = 30, models = modelsOf(batches), create = new EditStream(STREAM).options();
    const settings = { stream: STREAM, inFlight: IN_FLIGHT, journalBytes: 2500, until: batches };
    assertEquals((await runWriter(folder, settings)).lines.at(-1), "done");
    const disk = new SimulatedDisk(), random = new Random(RANDOM_SEED), existing: string[] = [];
    for await (const { name } of Deno.readDir(folder)) {
      const file = existing.push(name) - 1;
      disk.do({ kind: "create", name, file });
      disk.do({ kind: "write", file, offset: 0, bytes: await Deno.readFile(`${folder}/${name}`) });
      disk.do({ kind: "sync", file });
    }
    disk.do({ kind: "syncFolder" });
    const [program, ...args] = [
      ...straceCommand(log),
      Deno.execPath(),
      ...programArguments("compact", folder),
    ];
    assert((await new Deno.Command(program, { args, stdout: "null" }).output()).success);
    const events = readStraceLog(await Deno.readTextFile(log), folder, existing);
    let images = 0, small = 0;
    for (const [at, event] of events.entries()) {
      disk.do(event);
      if (!IS_LONG && at % 5 !== 0) continue;
      for (const loss of LOSSES) {
        await putImage(`${base}/image`, disk.image(loss, random));
        try {
          await using live = await openDurable<RowId, RowId>(`${base}/image`, { create, client: "writer" });
          assertEquals([live.lastClientSequence(), live.stats().durable.lost], [batches, 0]);
          assertSameRows(live, models[batches]);
          if (live.stats().durable.replayed === 0) small++;
          assertEquals((await live.verify({ deep: true })).problems, []);
        } catch (error) {
          throw new Error(`event ${at} (${event.kind}), lost: ${loss}`, { cause: error });
        }
        images++;
      }
    }
    await Deno.remove(base, { recursive: true });
    assert(small > 0 && small < images, `${small} of ${images} were small`);
    console.log(`  ${images} images, of which ${small} were small already`);
  },
});
