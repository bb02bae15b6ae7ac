// What natsLog refuses before it connects, and what it demands of servers and streams.

import { InputError } from "../../../src/base/errors.ts";
import { LogError } from "../../../src/cluster/log.ts";
import {
  isNewEnough,
  readServerFacts,
  type StreamKind,
  weaknessesOfServers,
  weaknessesOfStream,
} from "../../../src/cluster/nats/demands.ts";
import { natsLog } from "../../../src/cluster/nats/nats_log.ts";
import type { NatsDurability, NatsLogOptions } from "../../../src/cluster/nats/nats_options.ts";
import { natsPermissions, type NatsUserRole } from "../../../src/cluster/nats/permissions.ts";
import type { JetStream } from "../../../src/cluster/nats/packages.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../../testing/assert.ts";

const SECRET = "a-secret-word";

/** Options that are none, as anything may come; each with a word of the message. */
const BAD: readonly (readonly [unknown, string])[] = [
  [null, "options"],
  [[], "options"],
  ["127.0.0.1", "options"],
  [{ name: "m" }, "servers"],
  [{ servers: [], name: "m" }, "servers"],
  [{ servers: 4222, name: "m" }, "servers"],
  [{ servers: [4222], name: "m" }, "servers[0]"],
  [{ servers: ["a", ""], name: "m" }, "servers[1]"],
  [{ servers: "host:0", name: "m" }, "servers[0]"],
  [{ servers: "host:65536", name: "m" }, "servers[0]"],
  [{ servers: "ws://host:1", name: "m" }, "servers[0]"],
  [{ servers: "http://host:1", name: "m" }, "servers[0]"],
  [{ servers: `nats://user:${SECRET}@host:1`, name: "m" }, "servers[0]"],
  [{ servers: "a b", name: "m" }, "servers[0]"],
  [{ servers: "a" }, "name"],
  [{ servers: "a", name: "" }, "name"],
  [{ servers: "a", name: "a.b" }, "name"],
  [{ servers: "a", name: "a b" }, "name"],
  [{ servers: "a", name: ">" }, "name"],
  [{ servers: "a", name: "x".repeat(65) }, "name"],
  [{ servers: "a", name: 3 }, "name"],
  [{ servers: "a", name: "m", auth: SECRET }, "auth"],
  [{ servers: "a", name: "m", auth: null }, "auth"],
  [{ servers: "a", name: "m", auth: [SECRET] }, "auth"],
  [{ servers: "a", name: "m", auth: {} }, "auth"],
  [{ servers: "a", name: "m", auth: { user: "u" } }, "auth"],
  [{ servers: "a", name: "m", auth: { user: "u", password: "" } }, "auth.password"],
  [{ servers: "a", name: "m", auth: { user: "u", password: 3 } }, "auth.password"],
  [{ servers: "a", name: "m", auth: { user: "u", password: SECRET, token: SECRET } }, "auth"],
  [{ servers: "a", name: "m", system: { pass: SECRET } }, "system"],
  [{ servers: "a", name: "m", durability: "synced" }, "durability"],
  [{ servers: "a", name: "m", durability: "Disk" }, 'did you mean "disk"'],
  [{ servers: "a", name: "m", tls: "yes" }, "tls"],
  [{ servers: "a", name: "m", tls: null }, "tls"],
  [{ servers: "a", name: "m", tls: { ca: "file.pem" } }, "tls.ca"],
  [{ servers: "a", name: "m", tls: { cert: "-----BEGIN" } }, "cert and key"],
  [{ servers: "a", name: "m", tls: { cert: "-----BEGIN", key: "-----BEGIN" } }, "handshakeFirst"],
  [{ servers: "a", name: "m", tls: { handshakeFirst: 1 } }, "handshakeFirst"],
  [{ servers: "a", name: "m", tls: { verify: false } }, "verify"],
  [{ servers: "tls://a", name: "m", tls: false }, "tls"],
  [{ servers: "a", name: "m", server: "b" }, 'did you mean "servers"'],
];

Deno.test("options that are none are refused by their name, before anything is opened", () => {
  for (const [options, word] of BAD) {
    const error = assertThrows(() => natsLog(options as NatsLogOptions), InputError);
    assertStringIncludes(error.message, word);
    assert(!error.message.includes(SECRET), error.message);
  }
});

Deno.test("a description names the servers and the memory, and no secret", () => {
  const log = natsLog({
    servers: ["nats://a:1", "b", "[::1]:2"],
    name: "m-1_x",
    auth: { user: "someone", password: SECRET },
    durability: "replicated",
  });
  assertEquals(log.description, "nats a:1,b:4222,[::1]:2 m-1_x");
});

Deno.test("a server that is not there is unreachable", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const error = await assertRejects(
    () => natsLog({ servers: `127.0.0.1:${port}`, name: "m" }).open("host"),
    LogError,
  );
  assertEquals(error.reason, "unreachable");
});

Deno.test("versions from 2.12 on are new enough", () => {
  for (const version of ["2.12.0", "2.15.1", "2.100.0", "3.0.0", "v2.12.3", "2.13.0-preview"]) {
    assert(isNewEnough(version), version);
  }
  for (const version of ["", "2", "2.9.10", "2.11.99", "1.99.9", "0.0.0", "latest", "2.x.1"]) {
    assert(!isNewEnough(version), version);
  }
});

Deno.test("servers are believed to sync when they say so, and only then", () => {
  const server = { name: "n1", version: "2.15.1", hasJetStream: true };
  assertEquals(weaknessesOfServers([{ ...server, isSynced: true }], "disk"), []);
  assertEquals(weaknessesOfServers([{ ...server, isSynced: false }], "memory"), []);
  assertEquals(weaknessesOfServers([{ ...server, isSynced: false }], "replicated"), []);
  assertEquals(weaknessesOfServers([{ ...server, isSynced: null, hasJetStream: false }], "disk"), []);
  assertStringIncludes(
    weaknessesOfServers([{ ...server, isSynced: false }], "disk").join(),
    "sync_interval: always",
  );
  assertStringIncludes(weaknessesOfServers([{ ...server, isSynced: null }], "disk").join(), "does not say");
  assertEquals(weaknessesOfServers([], "disk").length, 1);
  const mixed = [{ ...server, isSynced: true }, { ...server, name: "n2", isSynced: false }];
  assertStringIncludes(weaknessesOfServers(mixed, "disk").join(), "n2");
  assertStringIncludes(
    weaknessesOfServers([{ ...server, version: "2.9.10", isSynced: true }], "memory").join(),
    "2.9.10",
  );
});

Deno.test("what a server says of itself is read, and anything else is nothing", () => {
  const said = (config: unknown, more = {}) =>
    readServerFacts(JSON.stringify({ server: { name: "n1", ver: "2.15.1" }, data: { config, ...more } }));
  assertEquals(said({ sync_always: true })?.isSynced, true);
  assertEquals(said({ sync_always: false })?.isSynced, false);
  assertEquals(said({ sync_interval: 1 })?.isSynced, false);
  assertEquals(said({ sync_always: "true" })?.isSynced, false);
  assertEquals(said(undefined)?.isSynced, null);
  assertEquals(said(undefined, { disabled: true })?.hasJetStream, false);
  for (
    const text of ["", "{", "null", "[]", "3", "{}", '{"server":null}', '{"server":{"name":1,"ver":"2"}}']
  ) {
    assertEquals(readServerFacts(text), null);
  }
});

const STREAM = {
  name: "attune_m",
  subjects: ["attune.m.log.>"],
  storage: "file",
  num_replicas: 3,
  retention: "limits",
  discard: "new",
  max_age: 0,
  max_msgs: -1,
  max_bytes: -1,
  max_msgs_per_subject: -1,
  allow_direct: false,
  sealed: false,
  deny_purge: false,
} as unknown as JetStream.StreamConfig;

Deno.test("each weakness of a stream is named where it matters, and a strong one has none", () => {
  const find = (change: object, durability: NatsDurability = "replicated", kind: StreamKind = "records") =>
    weaknessesOfStream({ ...STREAM, ...change }, kind, durability, ["attune.m.log.>"]);
  for (const durability of ["memory", "disk", "replicated"] as const) assertEquals(find({}, durability), []);
  const cases: readonly (readonly [object, string, NatsDurability, StreamKind])[] = [
    [{ storage: "memory" }, "storage", "disk", "records"],
    [{ storage: "memory" }, "storage", "replicated", "objects"],
    [{ persist_mode: "async" }, "persist_mode", "disk", "values"],
    [{ num_replicas: 1 }, "1 replica,", "replicated", "records"],
    [{ num_replicas: 2 }, "2 replicas", "replicated", "volatile"],
    [{ no_ack: true }, "acknowledges", "memory", "records"],
    [{ retention: "workqueue" }, "retention", "memory", "records"],
    [{ max_age: 1 }, "old", "memory", "objects"],
    [{ max_msgs: 10, discard: "old" }, "oldest", "memory", "records"],
    [{ max_bytes: 10, discard: "old" }, "oldest", "disk", "records"],
    [{ max_msgs_per_subject: 1 }, "oldest of a subject", "disk", "records"],
    [{ allow_direct: true }, "any replica", "disk", "values"],
    [{ sealed: true }, "sealed", "memory", "records"],
    [{ deny_purge: true }, "purges", "memory", "records"],
    [{ mirror: { name: "x" } }, "another stream", "memory", "records"],
    [{ sources: [{ name: "x" }] }, "another stream", "memory", "records"],
    [{ subject_transform: { dest: "x" } }, "renames", "memory", "records"],
    [{ subjects: ["other"] }, "other", "memory", "records"],
  ];
  for (const [change, word, durability, kind] of cases) {
    const found = find(change, durability, kind);
    assertEquals(found.length, 1, JSON.stringify(change));
    assertStringIncludes(found[0], word);
  }
  assertEquals(find({ storage: "memory" }, "memory"), []);
  assertEquals(find({ storage: "memory" }, "disk", "volatile"), []);
  assertEquals(find({ num_replicas: 1 }, "disk"), []);
  assertEquals(find({ max_bytes: 10, discard: "new" }), []);
  assertEquals(find({ max_msgs_per_subject: 1 }, "disk", "values"), []);
  assertEquals(find({ allow_direct: true }, "disk", "objects"), []);
});

Deno.test("permissions grow from reader to admin, and a host appends nothing", () => {
  const of = (role: NatsUserRole) => natsPermissions("m", role);
  for (const subject of of("reader").publish) assert(of("writer").publish.includes(subject), subject);
  for (const subject of of("writer").publish) assert(of("admin").publish.includes(subject), subject);
  for (const role of ["reader", "host"] as const) {
    assert(!of(role).publish.some((subject) => subject.startsWith("attune.m.log")), role);
  }
  assert(!of("reader").publish.some((subject) => /\$KV|\$O|PURGE|STREAM\.CREATE/.test(subject)));
  for (const role of ["reader", "writer", "admin", "host"] as const) {
    const { publish, subscribe } = of(role);
    for (const subject of [...publish, ...subscribe]) {
      assert(/[._]m\b|[._]m_/.test(subject) || subject === "$SYS.REQ.SERVER.PING.JSZ", subject);
    }
  }
  assertThrows(() => natsPermissions("a.b", "reader"), InputError);
  assertThrows(() => natsPermissions("m", "root" as NatsUserRole), InputError);
});
