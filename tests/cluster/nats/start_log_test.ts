// The servers that `deno task cluster` starts.

import { assert, assertEquals, assertRejects, assertStringIncludes } from "../../../testing/assert.ts";
import { bodyOf, openWithin } from "../../../testing/cluster/log_writers.ts";
import {
  findNatsServer,
  findOldNatsServer,
  NATS_REMEDY,
  OLD_NATS_REMEDY,
  versionOfServer,
} from "../../../testing/cluster/nats_server.ts";
import { requires } from "../../../testing/requirements.ts";
import { startLog } from "../../../tools/cluster/start_log.ts";

const program = findNatsServer(), oldProgram = findOldNatsServer();

for (const count of [1, 3] as const) {
  Deno.test({
    name: `${count} of servers start, keep a record, and are gone afterwards`,
    ...requires("nats-server", program, NATS_REMEDY),
    fn: async () => {
      const pids: number[] = [];
      {
        await using started = await startLog({ count });
        assertStringIncludes(started.word, "nats-server 2.");
        pids.push(...(started.servers?.servers ?? []).map(({ pid }) => pid));
        await using session = await openWithin(started.log, 20_000);
        assert(await session.append("a", bodyOf("one", 10), { timeoutMs: 20_000 }) >= 1);
      }
      assertEquals(pids.length, count);
      for (const pid of pids) await assertRejects(() => Deno.stat(`/proc/${pid}`), Deno.errors.NotFound);
    },
  });
}

Deno.test({
  name: "a program that ends without a word takes its servers with it",
  ...requires("nats-server", program, NATS_REMEDY),
  fn: async () => {
    const path = new URL("../../../tools/cluster/start_log.ts", import.meta.url).href;
    const code = `
      import { startLog } from ${JSON.stringify(path)};
      const { servers } = await startLog();
      console.log(servers.servers[0].pid, servers.folder);
      Deno.exit(3);
    `;
    const args = ["eval", "--no-check", "--ext=ts", code];
    const { code: status, stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
    assertEquals(status, 3);
    const [pid, folder] = new TextDecoder().decode(stdout).trim().split(" ");
    assert(Number(pid) > 0);
    for (let isThere = true; isThere;) {
      isThere = await Deno.stat(`/proc/${pid}`).then(() => true, () => false);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "a folder that is given stays, and what is in it is there again",
  ...requires("nats-server", program, NATS_REMEDY),
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      let sequence = 0;
      {
        await using started = await startLog({ folder });
        await using session = await started.log.open("host");
        sequence = await session.append("a", bodyOf("one", 10));
      }
      await using started = await startLog({ folder });
      await using session = await started.log.open("host");
      assertEquals(await session.lastSequence("a"), sequence);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("a program that is no server is refused", async () => {
  for (const server of ["/nonexistent", Deno.execPath(), "/"]) {
    const error = await assertRejects(() => startLog({ server }), Error);
    assertStringIncludes(error.message, server);
  }
});

Deno.test({
  name: "an old server is refused with its version",
  ...requires("an old nats-server", oldProgram, OLD_NATS_REMEDY),
  fn: async () => {
    const error = await assertRejects(() => startLog({ server: oldProgram ?? "" }), Error);
    assertStringIncludes(error.message, versionOfServer(oldProgram ?? ""));
  },
});

Deno.test("without a server the log is in memory, and the word says how to get one", async () => {
  const names = ["PATH", "NATS_SERVER", "XDG_CACHE_HOME", "HOME"],
    before = names.map((name) => Deno.env.get(name));
  const folder = await Deno.makeTempDir();
  try {
    for (const name of names) Deno.env.set(name, folder);
    const isInstalled = findNatsServer() !== undefined;
    await using started = await startLog();
    if (isInstalled) return assertStringIncludes(started.word, "nats-server");
    assertEquals(started.log.description, "memory");
    assertStringIncludes(started.word, NATS_REMEDY);
    await using session = await started.log.open("client");
    assertEquals(await session.append("a", bodyOf("one", 10)), 1);
  } finally {
    names.forEach((name, at) => {
      const value = before[at];
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    });
    await Deno.remove(folder, { recursive: true });
  }
});
