// A log that was backed up and restored, as the guide says it: `log.db` by SQLite's own backup, then `objects`. Folders
// of hosts that know more, or something else, than the restored log mislead nobody.

import { backup, DatabaseSync } from "node:sqlite";
import { assertAlmostEquals, assertEquals } from "../../testing/assert.ts";
import { connect, host, sqliteLog } from "../../src/cluster/mod.ts";

const SHAPE = { dim: 1, valueDim: 1, partitions: 1 };

/** A place for a log, its backup and the folder of a host. */
class Place implements AsyncDisposable {
  readonly #folder = Deno.makeTempDirSync();
  readonly log = `${this.#folder}/log`;
  readonly host = `${this.#folder}/host`;
  readonly #backup = `${this.#folder}/backup`;

  /** Sets keys whose weights are the same, by a client of their own. */
  async set(values: Readonly<Record<string, number>>): Promise<void> {
    await using memory = await connect(sqliteLog(this.log), { create: SHAPE });
    for (const [id, value] of Object.entries(values)) {
      await memory.edit([{ kind: "set", id, key: [0], value: [value] }]);
    }
    await memory.setQuery("q", [1]);
  }

  /** The answer of a host that begins with its folder, once it has one. */
  async answer(): Promise<number> {
    await using _host = await host(sqliteLog(this.log), { folder: this.host, snapshotBytes: 1 });
    await using memory = await connect(sqliteLog(this.log), { timeoutMs: 20_000 });
    return (await memory.read(["q"])).output.data[0];
  }

  async backUp(): Promise<void> {
    await Deno.mkdir(`${this.#backup}/objects`, { recursive: true });
    const database = new DatabaseSync(`${this.log}/log.db`);
    await backup(database, `${this.#backup}/log.db`);
    database.close();
    for await (const { name } of Deno.readDir(`${this.log}/objects`)) {
      await Deno.copyFile(`${this.log}/objects/${name}`, `${this.#backup}/objects/${name}`);
    }
  }

  async restore(): Promise<void> {
    await Deno.remove(this.log, { recursive: true });
    await Deno.rename(this.#backup, this.log);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

Deno.test("cluster: a log that was restored is answered, by hosts whose folders are older, too", async () => {
  await using place = new Place();
  await place.set({ a: 1, b: 3 });
  assertEquals(await place.answer(), 2);
  await place.set({ c: 8 });
  await place.backUp();
  await place.set({ lost: 100 });
  await place.restore();
  assertEquals(await place.answer(), 4);
});

Deno.test("cluster: a host's folder that knows more than a restored log is left aside", async () => {
  for (const later of [{}, { c: 5 }, { c: 5, d: 9 }, { c: 5, d: 9, e: 10 }]) {
    await using place = new Place();
    await place.set({ a: 1 });
    await place.backUp();
    await place.set({ lost: 100, gone: 1000 });
    assertAlmostEquals(await place.answer(), 367, 1e-3);
    await place.restore();
    await place.set(later);
    const values = [1, ...Object.values(later)],
      mean = values.reduce((sum, one) => sum + one, 0) / values.length;
    assertAlmostEquals(await place.answer(), mean, 1e-5, JSON.stringify(later));
  }
});
