// Arguments of a cluster whose code throws at each of their reads: what is thrown is typed, and no half of a call is kept.

import { connect, host, memoryLog, natsLog } from "../../src/cluster/mod.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { failEachRead, refuseEachRead } from "../../testing/failing_reads.ts";
import { outcome } from "../../testing/hostile_values.ts";

const SHAPE = { dim: 2, valueDim: 1, partitions: 2, scale: 0.5 };

Deno.test("arguments of a cluster that cannot be read at some moment leave no half of a call", async () => {
  const log = memoryLog();
  await using _host = await host(log);
  await using memory = await connect(log, { create: SHAPE });
  const token = await memory.edit([{ kind: "set", id: "a", key: [1, 0], value: [3] }]);
  await memory.setQuery("q", [1, 1]);
  const methods: Readonly<Record<string, readonly unknown[]>> = {
    edit: [
      [{ kind: "set", id: "b", key: [1, 0], value: [3] }, { kind: "delete", id: "c" }],
      { timeoutMs: 1000 },
    ],
    setQuery: ["q", [2, 3], { timeoutMs: 1000 }],
    read: [["q"], { after: token, partial: false, timeoutMs: 1000 }],
    peek: [["q"], { timeoutMs: 1000 }],
    logSumExp: [["q"], { after: token }],
    attend: [[[1, 2]], { after: token }],
    topKeys: ["q", 1, { head: 0 }],
    getKeys: [["a"], { after: token }],
  };
  for (const [name, args] of Object.entries(methods)) {
    const method = Reflect.get(memory, name) as (...args: readonly unknown[]) => unknown;
    assertEquals(await outcome(() => Reflect.apply(method, memory, args)), null, name);
    let before = await memory.read(["q"]);
    const failures = await failEachRead(args, async (...given) => {
      const error = await outcome(() => Reflect.apply(method, memory, given));
      const after = await memory.read(["q"]);
      if (error === null) before = after;
      const check = () =>
        Promise.resolve(assertEquals(after.output, before.output, `${name} left a half behind`));
      return { error, check };
    });
    assert(failures > 0, name);
  }
});

Deno.test("options of a cluster that cannot be read at some moment are refused by type", async () => {
  const hosting = async (options: never) => {
    await using _ = await host(memoryLog(), options);
  };
  assert(await refuseEachRead(hosting, [{ partitions: [0, 1], name: "one", snapshotBytes: 1e6 }]) > 4);
  const connecting = async (options: never) => {
    await using _ = await connect(memoryLog(), options);
  };
  assert(await refuseEachRead(connecting, [{ create: SHAPE, timeoutMs: 1000, maxUnacked: 1e6 }]) > 6);
  const calls: readonly (readonly [run: (...args: never[]) => unknown, options: unknown])[] = [
    [natsLog, {
      servers: ["127.0.0.1:1"],
      name: "one",
      auth: { user: "a", password: "b" },
      durability: "disk",
    }],
    [natsLog, { servers: "127.0.0.1:1", name: "one", tls: { ca: "x" }, auth: { token: "t" } }],
  ];
  for (const [run, options] of calls) assert(await refuseEachRead(run, [options]) > 2);
});
