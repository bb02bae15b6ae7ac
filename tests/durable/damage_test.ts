// Limit: 20 minutes.
//
// Bytes that are not as they were written: each byte of a small folder is flipped, each file cut off or removed, records
// exchanged. Every time the folder is either opened with all its rows, or refused with a name of what is wrong.
// ATTUNE_LONG=1 flips every byte; otherwise some of each file are.

import type { RowId } from "../../mod.ts";
import { DatabaseSync } from "node:sqlite";
import { type DurabilityError, openDurable } from "../../src/durable/mod.ts";
import { Damage } from "../../src/durable/durability_error.ts";
import { Folder } from "../../src/durable/folder.ts";
import { openToLook } from "../../src/durable/look.ts";
import { readFolder } from "../../src/durable/read_folder.ts";
import { AttentionError } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertRejects,
  assertStringIncludes,
} from "../../testing/assert.ts";
import { EditStream, SMALL, type StreamSettings } from "../../testing/durable/edit_stream.ts";
import { runWriter } from "../../testing/durable/run_writer.ts";
import { assertSameRows, bitsOf } from "../../testing/durable/same_rows.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";

/** At length, one byte in four is flipped, which reaches each kind of field. Every byte was flipped once. */
const STRIDE = 4;

const STREAM: StreamSettings = { ...SMALL, seed: 61, ids: true, keys: 5, queries: 2 };

type Files = ReadonlyMap<string, Uint8Array>;

async function readFiles(folder: string): Promise<Files> {
  const files = new Map<string, Uint8Array>();
  for await (const { name } of Deno.readDir(folder)) {
    files.set(name, await Deno.readFile(`${folder}/${name}`));
  }
  return files;
}

async function putFiles(folder: string, files: Files): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder);
  for (const [name, bytes] of files) await Deno.writeFile(`${folder}/${name}`, bytes);
}

/** A folder that was closed, or whose owner was killed, and the stream that it has. */
async function makeFiles(
  folder: string,
  ending: "closed" | "killed",
): Promise<{ files: Files; stream: EditStream }> {
  const settings = { stream: STREAM, inFlight: 2, journalBytes: 2500, until: ending === "closed" ? 30 : 1e9 };
  const copy = `${folder}.copy`;
  for (let run = 0; run < 20; run++) {
    let acks = 0;
    const isTime = (line: string) => ending === "killed" && line.startsWith("ack ") && ++acks === 8;
    await runWriter(`${folder}${run}`, settings, { isTime });
    const files = await readFiles(`${folder}${run}`);
    await putFiles(copy, files);
    await using live = await openDurable(copy, { client: "writer" });
    // What was killed between a commit and its note in HEAD has told nobody of it, and may lose it.
    if (live.stats().durable.unconfirmed > 0) continue;
    const stream = new EditStream(STREAM);
    stream.advanceTo(live.lastClientSequence());
    assertGreater(stream.made, 7);
    return { files, stream };
  }
  throw new Error("no run was killed with its newest commit noted in HEAD");
}

/** Whether a folder opens with all that it should have; false when it is refused with a reason. */
async function opensWhole(folder: string, stream: EditStream): Promise<boolean> {
  try {
    await using live = await openDurable<RowId, RowId>(folder, {
      create: stream.options(),
      client: "writer",
    });
    assertEquals(live.lastClientSequence(), stream.made, "batches that are there");
    assertSameRows(live, stream.model);
    return true;
  } catch (error) {
    if (!(error instanceof AttentionError)) throw error;
    assert(error.message.length > 20, error.message);
    return false;
  }
}

/** The same by what an opening reads, without an engine, which leaves the files as they are. */
async function readsWhole(folder: Folder, stream: EditStream): Promise<boolean> {
  try {
    const { image } = await openToLook(folder, (database) => readFolder("test", folder, database));
    assertEquals(image.clients.lastOf("writer"), stream.made, "batches that are there");
    assertEquals([...image.keys.slots.liveSlots()], stream.model.keySlots);
    assertEquals([...image.queries.slots.liveSlots()], stream.model.querySlots);
    const keys = image.keys.view(), queries = image.queries.view();
    const rowOf = ({ rows, slots }: typeof keys, slot: number) => {
      const width = rows.length / slots.size;
      return rows.subarray(slot * width, (slot + 1) * width);
    };
    for (const [slot, { key, value }] of stream.model.keys) {
      assertEquals(bitsOf(rowOf(keys, slot)), bitsOf(Float32Array.of(...key, ...value)), `key ${slot}`);
    }
    for (const [slot, { query }] of stream.model.queries) {
      assertEquals(bitsOf(rowOf(queries, slot)), bitsOf(query), `query ${slot}`);
    }
    return true;
  } catch (error) {
    if (!(error instanceof Damage) && !(error instanceof AttentionError)) throw error;
    assert(error.message.length > 10, error.message);
    return false;
  }
}

for (const ending of ["closed", "killed"] as const) {
  Deno.test(`a flip of any byte is noticed or harmless, in a folder that was ${ending}`, async () => {
    const base = await Deno.makeTempDir(), folder = new Folder(`${base}/damaged`);
    const { files, stream } = await makeFiles(`${base}/memory`, ending);
    const random = new Random(5);
    await putFiles(folder.path, files);
    for (const [name, bytes] of files) {
      const flips = IS_LONG ? Math.ceil(bytes.length / STRIDE) : Math.min(bytes.length, 60);
      let noticed = 0;
      for (let flip = 0; flip < flips; flip++) {
        const at = IS_LONG ? flip * STRIDE : random.below(bytes.length), damaged = bytes.slice();
        damaged[at] ^= 1 << random.below(8);
        await Deno.writeFile(folder.file(name), damaged);
        try {
          const isWhole = await readsWhole(folder, stream);
          if (!isWhole) noticed++;
          // An owner reads the same; now and then it is asked.
          if (flip % 64 === 0) {
            assertEquals(await opensWhole(folder.path, stream), isWhole);
            await putFiles(folder.path, files);
          }
        } catch (cause) {
          throw new Error(`byte ${at} of ${bytes.length} of ${name}`, { cause });
        }
        folder.remove("journal.db-shm");
        if (!files.has("journal.db-wal")) folder.remove("journal.db-wal");
        for (const each of ["journal.db-shm", name]) {
          const original = files.get(each);
          if (original) await Deno.writeFile(folder.file(each), original);
        }
      }
      console.log(`  ${name}: ${flips} flips, ${noticed} refused`);
    }
    await Deno.remove(base, { recursive: true });
  });
}

Deno.test("a file that is cut off or missing is noticed or harmless", async () => {
  const base = await Deno.makeTempDir();
  const { files, stream } = await makeFiles(`${base}/memory`, "killed");
  for (const [name, bytes] of files) {
    const lengths = [0, 1, bytes.length >> 1, bytes.length - 1];
    if (IS_LONG) { for (let at = 512; at < bytes.length; at += 512) lengths.push(at); }
    for (const length of [null, ...lengths]) {
      const damaged = new Map(files);
      if (length === null) damaged.delete(name);
      else damaged.set(name, bytes.slice(0, length));
      await putFiles(`${base}/damaged`, damaged);
      try {
        await opensWhole(`${base}/damaged`, stream);
      } catch (cause) {
        throw new Error(`${name} cut to ${length} of ${bytes.length} bytes`, { cause });
      }
    }
  }
  await Deno.remove(base, { recursive: true });
});

/** A closed folder with ten records, each of one edit. */
async function makeRecords(folder: string): Promise<void> {
  await using live = await openDurable<RowId, RowId>(folder, {
    create: { query: [[1]], key: [[1]], value: [[1]] },
  });
  for (let at = 1; at <= 10; at++) await live.edit([{ kind: "setValue", slot: 0, value: [at] }]);
}

function withFlippedBit(body: Uint8Array): Uint8Array {
  const flipped = body.slice();
  flipped[0] ^= 1;
  return flipped;
}

const TAMPERED: readonly [what: string, sql: string, message: string, sequence: number | null][] = [
  [
    "a record is missing",
    "DELETE FROM record WHERE sequence = 4",
    "record begins with edit 5, expected 4",
    5,
  ],
  [
    "the last records are missing",
    "DELETE FROM record WHERE sequence > 7",
    "HEAD knows that edit 10 was committed",
    8,
  ],
  ["all records are missing", "DELETE FROM record", "HEAD knows that edit 10 was committed", 1],
  [
    "a record has another number",
    "UPDATE record SET sequence = 44 WHERE sequence = 4",
    "record begins with edit 5",
    5,
  ],
  ["a record is text", "UPDATE record SET body = 'text' WHERE sequence = 4", "record has 0 bytes", 4],
  [
    "two records are exchanged",
    "UPDATE record SET body = (SELECT body FROM record WHERE sequence = 3) WHERE sequence = 4",
    "record ends with edit 3, expected 4",
    4,
  ],
  [
    "a record has a flipped bit",
    "UPDATE record SET body = flipped(body) WHERE sequence = 6",
    "record has the CRC",
    6,
  ],
  ["no snapshot is named", "DELETE FROM snapshot", "journal names no snapshot", null],
  [
    "the pointer is damaged",
    "UPDATE snapshot SET body = flipped(body)",
    "has the CRC",
    0,
  ],
  ["the version is one to come", "PRAGMA user_version = 4", "journal has version 4, expected 1 to 3", null],
  ["it is of another program", "PRAGMA application_id = 5", "file is no journal", null],
];

Deno.test("damage of the journal is named by file and sequence number", async () => {
  const base = await Deno.makeTempDir();
  await makeRecords(`${base}/memory`);
  const files = await readFiles(`${base}/memory`);
  for (const [what, sql, message, sequence] of TAMPERED) {
    await putFiles(`${base}/damaged`, files);
    const database = new DatabaseSync(`${base}/damaged/journal.db`);
    database.function("flipped", (body) => withFlippedBit(body as Uint8Array));
    database.exec(sql);
    database.close();
    for (const readOnly of [false, true]) {
      const { DurabilityError } = await import("../../src/durable/mod.ts");
      const error: DurabilityError = await assertRejects(
        () => openDurable(`${base}/damaged`, { readOnly }),
        DurabilityError,
      );
      assertStringIncludes(error.message, message, what);
      assertEquals([error.fault, error.file, error.sequence], ["damaged", "journal.db", sequence], what);
    }
  }
  await Deno.remove(base, { recursive: true });
});

Deno.test("records of another folder are noticed", async () => {
  const base = await Deno.makeTempDir();
  await makeRecords(`${base}/one`);
  await makeRecords(`${base}/other`);
  const one = await readFiles(`${base}/one`), other = await readFiles(`${base}/other`);
  const { DurabilityError } = await import("../../src/durable/mod.ts");
  await putFiles(`${base}/mixed`, new Map([...one, ["journal.db", other.get("journal.db") as Uint8Array]]));
  const error = await assertRejects(
    () => openDurable(`${base}/mixed`),
    DurabilityError,
    "another one than HEAD knows",
  );
  assertEquals(error.fault, "damaged");
  // One record alone, whose numbers and CRC are right.
  await putFiles(`${base}/mixed`, one);
  const database = new DatabaseSync(`${base}/mixed/journal.db`);
  const stranger = new DatabaseSync(`${base}/other/journal.db`, { readOnly: true });
  const { body } = stranger.prepare("SELECT body FROM record WHERE sequence = 4").get() as {
    body: Uint8Array;
  };
  database.prepare("UPDATE record SET body = ? WHERE sequence = 4").run(body);
  for (const each of [database, stranger]) each.close();
  const broken = await assertRejects(() => openDurable(`${base}/mixed`), DurabilityError, "record follows");
  assertEquals([broken.file, broken.sequence], ["journal.db", 4]);
  await putFiles(`${base}/mixed`, new Map([...one, ["HEAD", other.get("HEAD") as Uint8Array]]));
  await assertRejects(() => openDurable(`${base}/mixed`), DurabilityError, "another one than HEAD knows");
  await Deno.remove(base, { recursive: true });
});

Deno.test("a damaged newest snapshot is done without, and told; a second one is not", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`;
  const stream = new EditStream(STREAM);
  {
    await using live = await openDurable<RowId, RowId>(folder, {
      create: stream.options(),
      client: "writer",
    });
    for (let snapshot = 0; snapshot < 2; snapshot++) {
      for (let batch = 0; batch < 10; batch++) {
        await live.edit(stream.next(), { clientSequence: stream.made });
      }
      await live.snapshot();
    }
    await live.edit(stream.next(), { clientSequence: stream.made });
  }
  const flip = async (name: string) => {
    const bytes = await Deno.readFile(`${folder}/${name}`);
    bytes[bytes.length - 5] ^= 1;
    await Deno.writeFile(`${folder}/${name}`, bytes);
  };
  await flip("snapshot-20.safetensors");
  {
    await using live = await openDurable<RowId, RowId>(folder, {
      create: stream.options(),
      client: "writer",
    });
    assertSameRows(live, stream.model);
    const { damage, replayed } = live.stats().durable;
    assertEquals([damage.length, replayed], [1, 11]);
    assertStringIncludes(damage[0], "snapshot-20.safetensors, sequence 20: file is damaged");
    assertEquals((await live.verify({ deep: true })).problems.map(({ file }) => file), [
      "snapshot-20.safetensors",
    ]);
  }
  await flip("snapshot-10.safetensors");
  const { DurabilityError } = await import("../../src/durable/mod.ts");
  const error = await assertRejects(
    () => openDurable<RowId, RowId>(folder, { create: stream.options() }),
    DurabilityError,
  );
  assertEquals([error.file, error.sequence], ["snapshot-20.safetensors", 20]);
  await Deno.remove(base, { recursive: true });
});

Deno.test("a folder that is copied file by file while it is open is whole as of some edit, or refused", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`;
  const stream = new EditStream({ ...STREAM, seed: 62 }), random = new Random(62);
  const create = stream.options();
  let whole = 0, old = 0, refused = 0;
  {
    await using live = await openDurable(folder, {
      create,
      client: "writer",
      snapshot: { journalBytes: 1500 },
    });
    for (let copy = 0; copy < (IS_LONG ? 50 : 12); copy++) {
      const before = stream.made, to = `${base}/copy${copy}`;
      await Deno.mkdir(to);
      const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
      for (let at = names.length; at > 0; at--) {
        const [name] = names.splice(random.below(at), 1);
        // A process of its own, since closing the database file here would drop the owner's lock. A file may be gone by now.
        await new Deno.Command("cp", { args: [`${folder}/${name}`, to], stderr: "null" }).output();
        for (let edits = random.below(4) * random.below(12); edits > 0; edits--) {
          await live.edit(stream.next(), { clientSequence: stream.made });
        }
      }
      try {
        await using copied = await openDurable(to, { create, client: "writer" });
        const counted = copied.lastClientSequence() ?? 0;
        assert(counted <= stream.made, `${counted} of ${stream.made}`);
        const mirror = new EditStream({ ...STREAM, seed: 62 });
        mirror.advanceTo(counted);
        assertSameRows(copied, mirror.model);
        whole++;
        // The database may have been copied before a checkpoint and its log after it: then the copy is of the checkpoint before.
        if (counted < before) old++;
      } catch (error) {
        if (!(error instanceof AttentionError)) throw error;
        refused++;
      }
    }
    assertSameRows(live, stream.model);
    await live.verify({ deep: true });
  }
  await Deno.remove(base, { recursive: true });
  console.log(
    `  ${whole} copies were whole, ${old} of them as of an edit before the copying, ${refused} were refused`,
  );
});

Deno.test("clocks that jump change nothing", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`;
  const now = Date.now, performanceNow = performance.now;
  const random = new Random(3), stream = new EditStream(STREAM);
  Date.now = () => (random.next() - 0.5) * 1e15;
  performance.now = () => (random.next() - 0.5) * 1e12;
  try {
    for (let opening = 0; opening < 3; opening++) {
      await using live = await openDurable(folder, {
        create: stream.options(),
        client: "writer",
        snapshot: { journalBytes: 900 },
      });
      assertEquals(live.lastClientSequence(), stream.made);
      for (let batch = 0; batch < 20; batch++) {
        await live.edit(stream.next(), { clientSequence: stream.made });
      }
      assertSameRows(live, stream.model);
      assertEquals((await live.verify({ deep: true })).problems, []);
    }
  } finally {
    Date.now = now;
    performance.now = performanceNow;
    await Deno.remove(base, { recursive: true });
  }
});
