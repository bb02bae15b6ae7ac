// Who may do what on real servers, and which servers and streams are refused: nothing is believed that can be
// asked.

import { connect } from "../../../src/cluster/connect.ts";
import { partitionOf } from "../../../src/cluster/cluster_config.ts";
import { ClusterError } from "../../../src/cluster/cluster_error.ts";
import { LogError, type LogSession } from "../../../src/cluster/log.ts";
import { natsLog } from "../../../src/cluster/nats/nats_log.ts";
import type { NatsAuth, NatsDurability } from "../../../src/cluster/nats/nats_options.ts";
import { loadNats } from "../../../src/cluster/nats/packages.ts";
import { natsPermissions, type NatsUserRole } from "../../../src/cluster/nats/permissions.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "../../../testing/assert.ts";
import { openWithin } from "../../../testing/cluster/log_writers.ts";
import {
  findNatsServer,
  findOldNatsServer,
  NATS_REMEDY,
  NatsServers,
  OLD_NATS_REMEDY,
  versionOfServer,
} from "../../../testing/cluster/nats_server.ts";
import { IS_LONG, requires } from "../../../testing/requirements.ts";

const program = findNatsServer(), oldProgram = findOldNatsServer();
const server = requires("nats-server", program, NATS_REMEDY);
const oldServer = requires("an old nats-server", oldProgram, OLD_NATS_REMEDY);
const app = { user: "app", password: "app" }, system = { user: "sys", password: "sys" };
const body = new Uint8Array([1, 2, 3]);

async function refusal(
  servers: NatsServers,
  durability: NatsDurability,
  more: { readonly auth?: NatsAuth; readonly system?: NatsAuth; readonly name?: string } = {},
): Promise<string> {
  const log = natsLog({ servers: servers.addresses, name: "m", auth: app, durability, ...more });
  const error = await assertRejects(() => log.open("client"), LogError);
  assertEquals([error.reason, error.operation], ["refused", "open"], error.message);
  return error.message;
}

async function opens(
  servers: NatsServers,
  durability: NatsDurability,
  more: { readonly auth?: NatsAuth; readonly system?: NatsAuth } = {},
): Promise<void> {
  await using session = await natsLog({
    servers: servers.addresses,
    name: "m",
    auth: app,
    durability,
    ...more,
  })
    .open("client");
  assert(await session.append("a", body) >= 1);
}

Deno.test({
  name: "a server that does not sync each write is refused for disk, and taken for memory",
  ...server,
  fn: async () => {
    await using servers = await NatsServers.start({ program: program ?? "", isSynced: false });
    assertStringIncludes(await refusal(servers, "disk"), "sync_interval: always");
    await opens(servers, "memory");
    assertStringIncludes(await refusal(servers, "replicated"), "replica");
  },
});

Deno.test({
  name:
    "a server that may not be asked whether it syncs is refused for disk, unless the system account may ask",
  ...server,
  fn: async () => {
    await using servers = await NatsServers.start({ program: program ?? "", mayAsk: false });
    assertStringIncludes(await refusal(servers, "disk"), "cannot be asked");
    assertStringIncludes(await refusal(servers, "disk", { system: app }), "cannot be asked");
    await refusal(servers, "disk", { system: { user: "sys", password: "wrong" } });
    await opens(servers, "disk", { system });
  },
});

Deno.test({
  name: "an old server is refused whatever is asked for, with its version",
  ...oldServer,
  fn: async () => {
    await using servers = await NatsServers.start({ program: oldProgram ?? "", isSynced: false });
    for (const durability of ["memory", "disk", "replicated"] as const) {
      const said = await refusal(servers, durability);
      assertStringIncludes(said, versionOfServer(oldProgram ?? ""));
      assertStringIncludes(said, "2.12");
    }
  },
});

Deno.test({
  name: "an nkey opens a session, another one does not",
  ...server,
  fn: async () => {
    const { core } = await loadNats();
    const known = core.nkeys.createUser(), other = core.nkeys.createUser();
    const seedOf = (key: typeof known) => ({ nkey: new TextDecoder().decode(key.getSeed()) });
    await using servers = await NatsServers.start({ program: program ?? "", nkeys: [known.getPublicKey()] });
    await opens(servers, "disk", { auth: seedOf(known) });
    await refusal(servers, "disk", { auth: seedOf(other) });
  },
});

Deno.test({
  name: "a stream that promises less than asked for is refused by name, each kind of it",
  ...server,
  fn: async () => {
    await using servers = await NatsServers.start({ program: program ?? "" });
    const { core, jetstream } = await loadNats();
    const nc = await core.NatsConnectionImpl.connect({
      servers: servers.addresses,
      user: "app",
      pass: "app",
    });
    const jsm = await jetstream.jetstreamManager(nc);
    const weak = [
      { name: "w1", change: { storage: "memory" }, word: "storage" },
      { name: "w2", change: { max_age: 1e9 * 3600 }, word: "old" },
      { name: "w3", change: { max_msgs: 5, discard: "old" }, word: "oldest" },
      { name: "w4", change: { no_ack: true }, word: "acknowledges" },
      { name: "w5", change: { persist_mode: "async" }, word: "persist_mode" },
      { name: "w6", change: { retention: "interest" }, word: "retention" },
      { name: "w7", change: { max_msgs_per_subject: 3 }, word: "oldest of a subject" },
    ] as const;
    for (const { name, change, word } of weak) {
      await jsm.streams.add({
        name: `attune_${name}`,
        subjects: [`attune.${name}.log.>`],
        storage: "file",
        ...change,
      });
      const said = await refusal(servers, "disk", { name });
      assertStringIncludes(said, `attune_${name}`);
      assertStringIncludes(said, word);
    }
    await nc.close();
  },
});

Deno.test({
  name: "many sessions that are opened at once, where nothing is there yet, all have the same streams",
  ...server,
  fn: async () => {
    for (const count of IS_LONG ? [1, 3] : [1]) {
      await using servers = await NatsServers.start({ program: program ?? "", count });
      const log = natsLog({
        servers: servers.addresses,
        name: "m",
        auth: app,
        durability: count === 1 ? "disk" : "replicated",
      });
      const sessions = await Promise.all(Array.from({ length: 12 }, () => openWithin(log, 30_000)));
      const numbers = await Promise.all(
        sessions.map((session) => session.append("a", body, { timeoutMs: 10_000 })),
      );
      assertEquals(numbers.toSorted((a, b) => a - b), Array.from({ length: 12 }, (_, at) => at + 1));
      await sessions[0].put("v", body, { isVolatile: true });
      for (const session of sessions) assertEquals((await session.get("v"))?.value, body);
      for (const session of sessions) await session.close();
    }
  },
});

Deno.test({
  name: "a server that is started again without syncing is refused by the sessions that were open",
  ...server,
  fn: async () => {
    await using servers = await NatsServers.start({ program: program ?? "" });
    const [first] = servers.servers, log = natsLog({ servers: servers.addresses, name: "m", auth: app });
    const late = { timeoutMs: 10_000 };
    // Whatever a session writes first is what it is refused.
    const writes: readonly ((session: LogSession) => Promise<unknown>)[] = [
      (session) => session.append("a", body, late),
      (session) => session.put("key", body, late),
      (session) => session.put("key", body, { ...late, isVolatile: true }),
      (session) => session.remove("there", late),
      (session) => session.putObject("object", body, late),
      (session) => session.removeObject("kept", late),
      (session) => session.purge("a", 2, late),
    ];
    await using sessions = new AsyncDisposableStack();
    const opened = await Promise.all(
      writes.map(async (_, at) => sessions.use(await log.open(at === 0 ? "client" : "host"))),
    );
    for (let at = 0; at < 3; at++) await opened[0].append("a", body);
    await opened[1].put("there", body);
    await opened[1].putObject("kept", body);
    await first.end();
    const path = `${first.folder}/server.conf`, configuration = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, configuration.replace(", sync_interval: always", ""));
    await first.start();
    const errors = await Promise.all(
      writes.map((write, at) => assertRejects(() => write(opened[at]), LogError)),
    );
    for (const error of errors) {
      assertEquals(error.reason, "refused", error.message);
      assertStringIncludes(error.message, "sync_interval: always");
    }
  },
});

Deno.test({
  name: "a session knows its server and what it keeps",
  ...server,
  fn: async () => {
    await using servers = await NatsServers.start({ program: program ?? "" });
    await using session = await natsLog({ servers: servers.addresses, name: "m", auth: app }).open("host");
    for (let at = 0; at < 3; at++) await session.append("a", body);
    await session.purge("a", 2);
    const { bytes, ...facts } = await session.facts();
    assertEquals(facts, {
      server: versionOfServer(program ?? ""),
      cluster: "",
      servers: "n1",
      durability: "disk",
      records: 2,
      first: 2,
      last: 3,
      reconnects: 0,
    });
    assert(Number(bytes) > 2 * body.length);
    await servers.servers[0].end("SIGKILL");
    await servers.servers[0].start();
    await session.append("a", body, { timeoutMs: 10_000 });
    assertEquals((await session.facts()).reconnects, 1);
  },
});

Deno.test({
  name: "messages that are too small for a record are refused when a session is opened",
  ...server,
  fn: async () => {
    await using servers = await NatsServers.start({ program: program ?? "", more: "max_payload: 400000" });
    assertStringIncludes(await refusal(servers, "disk"), "max_payload");
  },
});

Deno.test({
  name: "a disk that is full by the account's limit: full, and what was acknowledged is there",
  ...server,
  fn: async () => {
    await using servers = await NatsServers.start({ program: program ?? "", mostBytes: 3_000_000 });
    await using session = await natsLog({ servers: servers.addresses, name: "m", auth: app }).open("host");
    let last = 0;
    const error = await assertRejects(async () => {
      for (let at = 0; at < 20; at++) last = await session.append("a", new Uint8Array(500_000));
    }, LogError);
    assertEquals(error.reason, "full", error.message);
    assert(last >= 2);
    assertEquals(await session.lastSequence("a"), last);
    await session.purge("a", last);
    assert(await session.append("a", new Uint8Array(500_000)) > last);
  },
});

Deno.test({
  name: "each role can do what it is for, and is refused the rest",
  ...server,
  fn: async () => {
    const roles = ["admin", "writer", "reader", "host"] as const;
    const users = roles.map((role) => ({ user: role, password: role, ...natsPermissions("m", role) }));
    await using servers = await NatsServers.start({ program: program ?? "", users });
    const open = (role: NatsUserRole) =>
      natsLog({ servers: servers.addresses, name: "m", auth: { user: role, password: role } })
        .open(role === "host" ? "host" : "client");
    // Nobody but an admin makes the streams.
    assertEquals((await assertRejects(() => open("writer"), LogError)).reason, "refused");
    await using admin = await open("admin");
    await using writer = await open("writer");
    await using reader = await open("reader");
    await using host = await open("host");
    const refused = async (act: () => Promise<unknown>) => {
      const error = await assertRejects(act, LogError);
      assertEquals(error.reason, "refused", error.message);
    };
    for (const session of [admin, writer]) assert(await session.append("p", body, { timeoutMs: 3000 }) >= 1);
    for (const session of [reader, host]) await refused(() => session.append("p", body));
    await admin.put("config", body);
    await refused(() => reader.put("config", body));
    await host.put("members.1", body, { isVolatile: true });
    await refused(() => reader.put("members.1", body, { isVolatile: true }));
    await refused(() => writer.put("members.1", body, { isVolatile: true }));
    await host.putObject("snapshot", new Uint8Array(300_000));
    await refused(() => reader.putObject("other", body));
    await refused(() => writer.putObject("other", body));
    for (const session of [admin, writer, reader, host]) {
      assertEquals((await session.get("config"))?.value, body);
      assertEquals((await session.list("members.")).length, 1);
      assertEquals((await session.getObject("snapshot"))?.length, 300_000);
      assertEquals(await session.listObjects(""), ["snapshot"]);
      assertEquals(await session.lastSequence("p"), 2);
      for await (const value of session.watch("members.")) {
        assertEquals(value.key, "members.1");
        break;
      }
    }
    assertEquals(await firstSequence(host, "p"), 1);
    await refused(() => firstSequence(reader, "p"));
    for (const session of [admin, writer, reader]) {
      await refused(() => session.serve("host.1", () => body));
      await refused(() => session.purge("p", 2));
    }
    await using _served = await host.serve("host.1", (asked) => asked);
    for (const session of [admin, writer, reader, host]) {
      assertEquals(await session.request("host.1", body), body);
    }
    await host.purge("p", 2);
    assertEquals(await firstSequence(host, "p"), 2);
    await host.removeObject("snapshot");
    await host.remove("members.1", { isVolatile: true });
    await refused(() => writer.removeObject("snapshot").then(() => writer.putObject("snapshot", body)));
  },
});

Deno.test({
  name: "an edit without its permission is refused, kept nowhere, and the connection goes on elsewhere",
  ...server,
  fn: async () => {
    const { publish, ...others } = natsPermissions("m", "writer");
    const users = [
      { user: "admin", password: "admin", ...natsPermissions("m", "admin") },
      // May write to one partition of two, and to no query.
      {
        ...{ user: "half", password: "half", ...others },
        publish: publish.map((subject) => subject === "attune.m.log.>" ? "attune.m.log.log.0" : subject),
      },
      // May write, and not hear whether it was written.
      { user: "deaf", password: "deaf", ...others, publish, subscribe: ["none"] },
    ];
    await using servers = await NatsServers.start({ program: program ?? "", users });
    const as = (user: string) =>
      natsLog({ servers: servers.addresses, name: "m", auth: { user, password: user } });
    await using admin = await connect(as("admin"), { create: { dim: 1, valueDim: 1, partitions: 2 } });
    await using half = await connect(as("half"));
    const [open, closed] = [0, 1].map((partition) => {
      const id = Array.from({ length: 50 }, (_, at) => `k${at}`).find((id) =>
        partitionOf(id, 2) === partition
      );
      return { kind: "set", id: id ?? "", key: [1], value: [1] } as const;
    });
    for (let round = 0; round < 2; round++) {
      const alone = await assertRejects(() => half.edit([closed]), ClusterError);
      assertEquals([alone.fault, alone.partitions], ["refused", [1]], alone.message);
      assert(alone.cause instanceof LogError);
      const query = await assertRejects(() => half.setQuery("q", [1]), ClusterError);
      assertEquals([query.fault, query.partitions], ["refused", []], query.message);
      const both = await assertRejects(() => half.edit([open, closed]), ClusterError, "others were");
      assertEquals([both.fault, both.partitions], ["unknown", [1]], both.message);
      assertEquals(Object.keys((await half.edit([open])).partitions), ["0"]);
    }
    await using reader = await as("admin").open("client");
    assertEquals(await reader.lastSequence("log.1"), 0);
    assert(await reader.lastSequence("log.0") > 0);
    await admin.edit([closed]);
    assert(await reader.lastSequence("log.1") > 0);
    // Nobody knows of a write whose answer may not come: it is not called refused.
    const error = await assertRejects(() => as("deaf").open("client"), LogError);
    assert(["refused", "timeout"].includes(error.reason), error.message);
  },
});

async function firstSequence(session: LogSession, subject: string): Promise<number> {
  for await (const records of session.follow(subject, 0)) return records[0].sequence;
  return 0;
}
