// What an opening that fails leaves behind: no engine, no lock, and the folder as it was.

import { type DurabilityError, openDurable } from "../../src/durable/mod.ts";
import { JournalDatabase } from "../../src/durable/journal_database.ts";
import { EngineCore } from "../../src/engine/engine_core.ts";
import { InputError } from "../../mod.ts";
import { assert, assertEquals, assertGreaterOrEqual, assertRejects } from "../../testing/assert.ts";
import { SMALL } from "../../testing/durable/edit_stream.ts";
import { runWriter } from "../../testing/durable/run_writer.ts";
import { inFolder } from "../../testing/durable/in_folder.ts";

const CREATE = { query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[10], [20]], backend: "array" } as const;

/** An error of the system. */
function full(): never {
  throw Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
}

/** Runs something while a method of a class is another one. */
async function withMethod<T extends object>(
  prototype: T,
  name: keyof T,
  method: (this: T, original: T[keyof T]) => unknown,
  run: () => Promise<void>,
): Promise<void> {
  const original = prototype[name];
  prototype[name] = function (this: T) {
    return method.call(this, original);
  } as T[keyof T];
  try {
    await run();
  } finally {
    prototype[name] = original;
  }
}

Deno.test("an engine whose folder cannot be opened after all is disposed", async () => {
  await inFolder(async (folder) => {
    await (await openDurable(folder, { create: CREATE })).dispose();
    const disposed: EngineCore[] = [];
    await withMethod(EngineCore.prototype, "dispose", function (original) {
      disposed.push(this);
      return (original as () => Promise<void>).call(this);
    }, async () => {
      await withMethod(JournalDatabase.prototype, "upgrade", full, async () => {
        const { fault } = await assertRejects(
          () => openDurable(folder),
          Error,
          "No space left",
        ) as DurabilityError;
        assertEquals(fault, "unknown");
      });
      assertEquals(disposed.length, 1);
    });
    assert(disposed[0].isDisposed);
    await using live = await openDurable(folder);
    assertEquals(live.stats().keyCount, 2);
  });
});

for (const name of ["truncateSync", "writeSync"] as const) {
  Deno.test(`a lock is given back when its file cannot be written (${name})`, async () => {
    await inFolder(async (folder) => {
      await (await openDurable(folder, { create: CREATE })).dispose();
      await withMethod(Deno.FsFile.prototype, name, full, async () => {
        await assertRejects(() => openDurable(folder), Error, "No space left");
      });
      await using live = await openDurable(folder);
      assertEquals(live.stats().keyCount, 2);
    });
  });
}

/** Runs something; returns the paths of what is synced meanwhile, in order. */
async function syncedDuring(run: () => Promise<void>): Promise<string[]> {
  const paths = new Map<Deno.FsFile, string>(), synced: string[] = [];
  const { open, openSync } = Deno, { sync, syncSync } = Deno.FsFile.prototype;
  const noted = (file: Deno.FsFile, path: string | URL) => {
    paths.set(file, String(path));
    return file;
  };
  Deno.open = async (path, options) => noted(await open(path, options), path);
  Deno.openSync = (path, options) => noted(openSync(path, options), path);
  Deno.FsFile.prototype.sync = function () {
    synced.push(paths.get(this) ?? "");
    return sync.call(this);
  };
  Deno.FsFile.prototype.syncSync = function () {
    synced.push(paths.get(this) ?? "");
    return syncSync.call(this);
  };
  try {
    await run();
  } finally {
    Object.assign(Deno, { open, openSync });
    Object.assign(Deno.FsFile.prototype, { sync, syncSync });
  }
  return synced;
}

Deno.test("a folder that is made is on disk with the folders that it lies in", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/one/two/memory`;
  const synced = await syncedDuring(async () => {
    await (await openDurable(folder, { create: CREATE })).dispose();
  });
  assertEquals(synced.slice(0, 3), [`${base}/one/two`, `${base}/one`, base]);
  assert(synced.includes(folder));
  const again = await syncedDuring(async () => await (await openDurable(folder)).dispose());
  assert(!again.includes(base), "it is there");
  await Deno.remove(base, { recursive: true });
});

Deno.test("what a killed owner left is synced before anybody is told of it, also while somebody looks", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`;
  let acks = 0;
  const isTime = (line: string) => line.startsWith("ack ") && ++acks === 5;
  await runWriter(folder, { stream: SMALL, inFlight: 1 }, { isTime });
  // Somebody who looks as of a moment, for which SQLite keeps its log.
  const { DatabaseSync } = await import("node:sqlite");
  const other = new DatabaseSync(`${folder}/journal.db`);
  other.exec("BEGIN; SELECT count(*) FROM record");
  const synced = await syncedDuring(async () => {
    await using live = await openDurable(folder, { client: "writer" });
    assertGreaterOrEqual(live.lastClientSequence(), 5);
  });
  assert(synced.includes(`${folder}/journal.db-wal`), synced.join());
  other.close();
  await Deno.remove(base, { recursive: true });
});

Deno.test("a folder may be given as a URL, and one that names no file is refused", async () => {
  const base = await Deno.makeTempDir(), url = new URL(`file://${base}/a%20%C3%A9%23`);
  await (await openDurable(url, { create: CREATE })).dispose();
  assertEquals([...Deno.readDirSync(base)].map(({ name }) => name), ["a é#"]);
  for (const bad of ["file:///a%2fb", "file:///%ff", "file://host/a", "https://example.org/a"]) {
    await assertRejects(() => openDurable(new URL(bad), { create: CREATE }), InputError, "folder is");
  }
  await Deno.remove(base, { recursive: true });
});
