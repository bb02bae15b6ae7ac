// What an opening that fails leaves behind: no engine, no lock, and the folder as it was.

import { type DurabilityError, openDurable } from "../../src/durable/mod.ts";
import { JournalDatabase } from "../../src/durable/journal_database.ts";
import { EngineCore } from "../../src/engine/engine_core.ts";
import { assert, assertEquals, assertRejects } from "../../testing/assert.ts";

const CREATE = { query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[10], [20]], backend: "array" } as const;

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(`${folder}/memory`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

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
