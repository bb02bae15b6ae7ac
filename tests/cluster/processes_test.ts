// Several processes over a log of SQLite: hosts and writers are killed, and what was acknowledged is there.

import { assert, assertEquals, assertGreater, assertLessOrEqual } from "../../testing/assert.ts";
import { LineProcess } from "../../testing/cluster/processes.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { DynamicAttention } from "../../mod.ts";
import { type ClusterMemory, connect, sqliteLog } from "../../src/cluster/mod.ts";

const KILLS = IS_LONG ? 20 : 2;
const SHAPE = { dim: 2, valueDim: 1, partitions: 4, replicas: 2 };
const KEYS = 20, EACH = 5;

const startHost = async (folder: string, name: string) => {
  const process = LineProcess.start("testing/cluster/host_process.ts", [folder, name]);
  await process.atLeast(1);
  return process;
};

/** Numbers of calls that a writer was told of. */
function acknowledged(writer: LineProcess): number {
  return writer.lines.length === 0 ? 0 : Number(writer.lines[writer.lines.length - 1]);
}

/** The keys of a writer are those of an acknowledged call or of the one that was on its way. */
async function checkKeys(memory: ClusterMemory, prefix: string, calls: number): Promise<void> {
  const rows = await memory.getKeys(Array.from({ length: KEYS }, (_, at) => `${prefix} ${at}`), {
    timeoutMs: 30_000,
  });
  rows.forEach((row, at) => {
    const group = Math.floor(at / EACH), each = KEYS / EACH;
    // The last call that has set this key among the first `count`.
    const lastOf = (count: number) => count - (((count - 1 - group) % each) + each) % each;
    const may = [lastOf(calls), lastOf(calls + 1)].map((call) => call <= 0 ? null : call);
    assert(
      may.includes(row?.value[0] ?? null),
      `${prefix} ${at} is ${row?.value[0]}, expected one of ${may}`,
    );
  });
}

Deno.test("cluster: hosts and writers are killed, and nothing that was acknowledged is lost", async () => {
  const folder = await Deno.makeTempDir(), log = sqliteLog(folder);
  await using memory = await connect(log, { create: SHAPE, timeoutMs: 60_000 });
  await memory.setQuery("q", [1, 0.5]);
  const hosts = [await startHost(folder, "a"), await startHost(folder, "b"), await startHost(folder, "c")];
  const writers: [string, number][] = [];
  let slowest = 0;
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      await using writer = LineProcess.start("testing/cluster/writer_process.ts", [folder, `w${kill}`]);
      await writer.atLeast(10 + 7 * kill);
      const victim = kill % hosts.length;
      await hosts[victim].kill();
      const startedAt = performance.now();
      await memory.read(["q"]);
      slowest = Math.max(slowest, performance.now() - startedAt);
      const before = acknowledged(writer);
      await writer.atLeast(before + 10);
      await writer.kill();
      writers.push([`w${kill}`, acknowledged(writer)]);
      hosts[victim] = await startHost(folder, ["a", "b", "c"][victim]);
    }
    for (const [prefix, calls] of writers) {
      assertGreater(calls, 15);
      await checkKeys(memory, prefix, calls);
    }
    console.log(`slowest answer after a kill: ${slowest.toFixed(0)} ms`);
    assertEquals(memory.status().partitions.length, SHAPE.partitions);

    // All of them at once; then one that begins anew, from its folder and the log.
    const before = await memory.read(["q"]);
    for (const host of hosts.splice(0)) await host.kill();
    hosts.push(await startHost(folder, "d"));
    const after = await memory.read(["q"]);
    assertEquals(after.output.data, before.output.data);
    const ids = writers.flatMap(([prefix]) => Array.from({ length: KEYS }, (_, at) => `${prefix} ${at}`));
    const rows = (await memory.getKeys(ids)).filter((row) => row !== null);
    await using engine = await DynamicAttention.create({
      query: [[1, 0.5]],
      key: rows.map(({ key }) => key),
      value: rows.map(({ value }) => value),
      backend: "array",
    });
    assertLessOrEqual(
      Math.abs((await engine.read()).data[0] - after.output.data[0]),
      1e-7 * after.output.data[0],
    );
  } finally {
    for (const host of hosts) await host.kill();
  }
  await memory.dispose();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("cluster: a host that is stopped for a while is answered for by another", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const folder = await Deno.makeTempDir();
  {
    await using memory = await connect(sqliteLog(folder), {
      create: { ...SHAPE, partitions: 2 },
      timeoutMs: 60_000,
    });
    await memory.setQuery("q", [1, 0]);
    await using one = await startHost(folder, "a");
    await using other = await startHost(folder, "b");
    await memory.edit([{ kind: "set", id: "k", key: [0, 1], value: [3] }]);
    await memory.read(["q"]);
    let number = 0;
    // Whichever of them is asked first, it is stopped once.
    for (const stopped of [one, other]) {
      while (memory.status().partitions.some(({ ready }) => ready.length < 2)) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      stopped.signal("SIGSTOP");
      for (let round = 0; round < 6; round++) {
        await memory.edit([{ kind: "set", id: "k", key: [0, 1], value: [++number] }]);
        assertEquals([...(await memory.read(["q"])).output.data], [number]);
      }
      stopped.signal("SIGCONT");
      await memory.edit([{ kind: "set", id: "k", key: [0, 1], value: [++number] }]);
      assertEquals([...(await memory.read(["q"])).output.data], [number]);
    }
    assertGreater(memory.status().hedges, 0);
  }
  await Deno.remove(folder, { recursive: true });
});
