// What a caller may pass: everything else is refused, at every depth, with a typed error that names it, and
// nothing is sent.

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "../../testing/assert.ts";
import { VALUES } from "../../testing/hostile_values.ts";
import { AttentionError, DisposedError, InputError } from "../../mod.ts";
import { Partition } from "../../src/cluster/partition.ts";
import { metricsText } from "../../src/cluster/cluster_status.ts";
import {
  ClusterError,
  ClusterLearner,
  type ClusterLog,
  connect,
  host,
  memoryLog,
  natsLog,
  sqliteLog,
} from "../../src/cluster/mod.ts";

type Anything = Parameters<typeof connect>[1];

const SHAPE = { dim: 2, valueDim: 1, partitions: 2 };

Deno.test("cluster: shapes, options and logs that are none are refused", async () => {
  const log = memoryLog();
  const refused: readonly [unknown, RegExp][] = [
    [{ create: {} }, /create\.dim is undefined/],
    [{ create: { ...SHAPE, dim: 0 } }, /create\.dim is 0, expected a whole number/],
    [{ create: { ...SHAPE, dim: 1.5 } }, /create\.dim/],
    [{ create: { ...SHAPE, partitions: 1025 } }, /create\.partitions is 1025/],
    [{ create: { ...SHAPE, replicas: 9 } }, /create\.replicas/],
    [{ create: { ...SHAPE, heads: 4, kvHeads: 3 } }, /kvHeads is 3, expected a divisor of 4/],
    ...["scale", "softcap"].flatMap((name): [unknown, RegExp][] =>
      [NaN, Infinity, -Infinity, "1", "", null, true, 1n, [2], { valueOf: () => 1 }].map((value) => [
        { create: { ...SHAPE, [name]: value } },
        new RegExp(`create\\.${name} is .*expected a (finite )?number`),
      ])
    ),
    [{ create: { ...SHAPE, scale: 2 ** 128 } }, /create\.scale is/],
    [{ create: { ...SHAPE, softcap: -1 } }, /create\.softcap is -1/],
    [{ create: { ...SHAPE, partition: 3 } }, /did you mean "partitions"/],
    [{ create: { dim: 4, valueDim: 30_000, heads: 2 } }, /state of a query has|row has/],
    [{ timeoutMs: -1 }, /timeoutMs is -1/],
    [{ maxUnacked: 0 }, /maxUnacked is 0/],
    [
      { create: { ...SHAPE, storage: "int8" } },
      /create\.storage is given, expected none, since a cluster keeps/,
    ],
    [{ create: SHAPE, storage: "int8" }, /storage is given, expected none, since a cluster keeps/],
    [{ timeout: 1 }, /option "timeout" is unknown/],
    [null, /options are null/],
  ];
  for (const [options, message] of refused) {
    const error = await assertRejects(() => connect(log, options as Anything), AttentionError);
    assertMatch(error.message, message);
  }
  for (const none of [null, undefined, {}, "log"]) {
    await assertRejects(() => connect(none as unknown as ClusterLog, { create: SHAPE }), InputError);
    await assertRejects(() => host(none as unknown as ClusterLog), InputError);
  }
  for (
    const options of [
      { partitions: "all" },
      { partitions: [-1] },
      { name: "a.b" },
      { name: "" },
      { folder: 1 },
      { snapshotBytes: 0 },
      { hosts: 1 },
      { name: 3 },
      { folder: "/dev/null/folder" },
    ]
  ) {
    const error = await assertRejects(() => host(log, options as Parameters<typeof host>[1]), InputError);
    assertMatch(error.message, new RegExp(`^host: .*${Object.keys(options)[0]}.*, expected `));
  }
  assertThrows(() => sqliteLog(""), InputError);
  const error = await assertRejects(() => connect(log), ClusterError);
  assertEquals(error.fault, "mismatch");
});

Deno.test("cluster: a cluster of another shape is refused, and one of the same is joined", async () => {
  const log = memoryLog();
  await using one = await connect(log, { create: SHAPE });
  await using other = await connect(log, { create: { ...SHAPE, heads: 1 } });
  assertEquals(one.status().cluster, other.status().cluster);
  const error = await assertRejects(() => connect(log, { create: { ...SHAPE, dim: 3 } }), ClusterError);
  assertEquals(error.fault, "mismatch");
});

Deno.test("cluster: a config that is none is damaged, for a client and for a host, which says so and waits", async () => {
  const whole = {
    ...{ version: 1, cluster: "c", partitions: 2, replicas: 1 },
    ...{ heads: 1, kvHeads: 1, headDim: 2, valueDim: 1, scale: 1, softcap: 0 },
  };
  const altered: readonly object[] = [
    ...["scale", "softcap"].flatMap((name) => ["1", null, [1], -1e300].map((value) => ({ [name]: value }))),
    { partitions: 0 },
    { partitions: "2" },
    { headDim: 1.5 },
    { kvHeads: 2 },
    { replicas: -1 },
    { cluster: 7 },
    { cluster: "" },
  ];
  for (const [at, change] of altered.entries()) {
    const log = memoryLog(), session = await log.open("client");
    const put = (config: object) => session.put("config", new TextEncoder().encode(JSON.stringify(config)));
    await put({ ...whole, ...change });
    const error = await assertRejects(() => connect(log), ClusterError);
    assertEquals(error.fault, "damaged", JSON.stringify(change));
    if (at % 4 > 1) continue;
    await using one = await host(log);
    while (one.status().failure === "") await new Promise((resolve) => setTimeout(resolve, 5));
    assertMatch(one.status().failure, /config/);
    assertEquals(one.status().cluster, null);
    await put(whole);
    await using memory = await connect(log);
    await memory.setQuery("q", [1, 2]);
    assertEquals([...(await memory.read(["q"])).output.data], [0]);
  }
});

Deno.test("cluster: edits, ids, queries and tokens are checked in depth before anything is sent", async () => {
  const log = memoryLog();
  await using memory = await connect(log, { create: SHAPE });
  const set = { kind: "set", id: "a", key: [1, 2], value: [3] };
  const edits: readonly [unknown, RegExp][] = [
    [null, /edits is null/],
    ["set", /edits/],
    [[null], /edits\[0\] is null/],
    [[{ ...set, kind: "put" }], /edits\[0\]\.kind is "put"/],
    [[{ ...set, id: 7 }], /edits\[0\]\.id is 7/],
    [[{ ...set, id: "" }], /edits\[0\]\.id is ""/],
    [[{ ...set, id: "\ud800" }], /edits\[0\]\.id/],
    [[{ ...set, id: "x".repeat(513) }], /edits\[0\]\.id/],
    [[set, { ...set, key: [1] }], /edits\[1\]\.key has 1 numbers, expected 2/],
    [[{ ...set, key: [1, NaN] }], /edits\[0\]\.key has NaN at index 1/],
    [[{ ...set, value: [Infinity] }], /edits\[0\]\.value has Infinity/],
    [[{ ...set, value: "3" }], /edits\[0\]\.value/],
    [[{ ...set, weight: 1 }], /edits\[0\] field "weight" is unknown/],
    [[{ kind: "delete", id: "a", key: [1, 2] }], /edits\[0\] field "key" is unknown/],
  ];
  for (const [given, message] of edits) {
    const error = await assertRejects(() => memory.edit(given as never), InputError);
    assertMatch(error.message, message);
    assert(error.message.startsWith("ClusterMemory.edit: "));
  }
  const tokens: readonly unknown[] = [
    null,
    5,
    { partitions: 3 },
    { partitions: { 2: 1 } },
    { partitions: { x: 1 } },
    { partitions: { 0: -1 } },
    { query: 0.5 },
    { sequence: 1 },
  ];
  for (const after of tokens) {
    await assertRejects(() => memory.read(["q"], { after: after as never }), InputError);
  }
  await assertRejects(() => memory.setQuery("q", [1]), InputError);
  await assertRejects(() => memory.setQuery("", [1, 2]), InputError);
  await assertRejects(() => memory.read("q" as never), InputError);
  await assertRejects(() => memory.read([1] as never), InputError);
  await assertRejects(() => memory.read(new Uint8Array(2) as never), InputError);
  await assertRejects(() => memory.attend([[1]]), InputError);
  await assertRejects(() => memory.topKeys("q", -1), InputError);
  await assertRejects(() => memory.topKeys("q", 1, { head: 1 }), InputError);
  const throwing = {
    ...set,
    get key(): number[] {
      throw new Error("mine");
    },
  };
  const error = await assertRejects(() => memory.edit([throwing as never]), InputError);
  assertEquals((error.cause as Error).message, "mine");
  const { records } = await (await log.open("client")).facts();
  assertEquals(records, 0);
});

Deno.test("cluster: whatever is passed, a call gives its answer or a typed error", async () => {
  const log = memoryLog(), ruledLog = memoryLog();
  await using _host = await host(log);
  await using _ruledHost = await host(ruledLog);
  await using memory = await connect(log, { create: SHAPE, timeoutMs: 2000 });
  const create = { ...SHAPE, causal: true, editableMask: true };
  await using ruled = await connect(ruledLog, { create, timeoutMs: 2000 });
  await memory.setQuery("q", [1, 2]);
  const learner = new ClusterLearner(memory);
  const named = { queries: ["q"], keys: ["a"], entries: [[true]] }, block = { kind: "setMask", ...named };
  for (const [name, make] of VALUES) {
    const calls: ((value: unknown) => Promise<unknown>)[] = [
      (value) => memory.edit(value as never),
      (value) => memory.edit([value as never]),
      (value) => memory.edit([{ kind: "set", id: value, key: [1, 2], value: [1] } as never]),
      (value) => memory.edit([{ kind: "set", id: "a", key: value, value: [1] } as never]),
      (value) => memory.setQuery(value as never, [1, 2]),
      (value) => memory.setQuery("q", value as never),
      (value) => memory.deleteQuery(value as never),
      (value) => memory.read(value as never),
      (value) => memory.read(["q"], value as never),
      (value) => memory.read(["q"], { after: value as never }),
      (value) => memory.attend(value as never),
      (value) => memory.topKeys("q", value as never),
      (value) => memory.getKeys(value as never),
      (value) => memory.getQueries(value as never),
      (value) => memory.getQueries(["q"], value as never),
      (value) => ruled.edit([{ kind: "set", id: "a", key: [1, 2], value: [1], position: value } as never]),
      (value) => ruled.edit([{ kind: "setPosition", id: value, position: value } as never]),
      (value) => ruled.edit([{ kind: "setMask", entry: value, keys: ["a"] } as never]),
      (value) => ruled.edit([{ kind: "setMask", entry: true, keys: value, queries: value } as never]),
      (value) => ruled.setQuery("q", [1, 2], value as never),
      (value) => ruled.setQuery("q", [1, 2], { position: value as never }),
      (value) => ruled.setQueryPosition(value as never, value as never),
      (value) => ruled.attend([[1, 2]], value as never),
      (value) => ruled.attend([[1, 2]], { positions: value as never, maskOf: null }),
      (value) => ruled.attend([[1, 2]], { positions: [1], maskOf: value as never }),
      (value) => ruled.getQueryPositions(value as never),
      (value) => ruled.shiftPositions(value as never),
      (value) => ruled.shiftPositions(0, value as never),
      (value) => ruled.shiftPositions(0, { from: value as never, to: value as never, name: value as never }),
      (value) => ruled.edit([{ ...block, entries: value } as never]),
      (value) => ruled.edit([{ ...block, entries: () => value } as never]),
      (value) => ruled.edit([{ ...block, entries: [[value]] } as never]),
      (value) => ruled.edit([{ ...block, entries: { data: value, shape: value } } as never]),
      (value) => ruled.edit([{ ...block, keys: value } as never]),
      (value) => ruled.edit([{ ...block, head: value } as never]),
      (value) => connect(memoryLog(), { create: { ...SHAPE, mask: { ...named, queries: value } as never } }),
      (value) => connect(memoryLog(), { create: { ...SHAPE, mask: { ...named, entries: value } as never } }),
      (value) => connect(memoryLog(), value as never),
      (value) => connect(value as never, { create: SHAPE }),
      (value) => Promise.resolve().then(() => host(value as never)).then((one) => one.dispose()),
      (value) => host(memoryLog(), { partitions: value as never }).then((one) => one.dispose()),
      async (value) => {
        await using one = await host(memoryLog());
        const drained = one.drain(value as never);
        await one.dispose();
        return await drained;
      },
      (value) => Promise.resolve().then(() => natsLog(value as never)),
      (value) => Promise.resolve().then(() => natsLog({ servers: value as never, name: "a" })),
      (value) => Promise.resolve().then(() => new ClusterLearner(value as never)),
      ...["causal", "window", "alibi", "distanceBias", "rotary", "blockMask", "sinks", "editableMask", "mask"]
        .map(
          (name) => {
            return async (value: unknown) => {
              await using made = await connect(memoryLog(), { create: { ...SHAPE, [name]: value } as never });
              return made.shape;
            };
          },
        ),
      (value) => Promise.resolve().then(() => new ClusterLearner(memory, value as never)),
      (value) => Promise.resolve().then(() => new ClusterLearner(memory, { rates: value as never })),
      (value) => learner.predictOne(value as never),
      (value) => learner.predictOne({ query: value as never }),
      (value) => learner.learnOne({ query: "q", against: value as never }, 1),
      (value) => learner.learnOne({ query: "q", columns: value as never }, 1),
      (value) => learner.learnOne({ query: "q" }, value as never),
      (value) => learner.learnOne({ query: "q" }, 1, { weight: value as never }),
    ];
    for (const call of calls) {
      try {
        await call(make());
      } catch (error) {
        assert(error instanceof AttentionError, `${name}: ${call} threw ${error}`);
      }
    }
  }
});

Deno.test("cluster: a question that takes long is sent again, and answered once", async () => {
  const log = memoryLog();
  await using _host = await host(log);
  await using memory = await connect(log, { create: { ...SHAPE, partitions: 1 }, timeoutMs: 20_000 });
  await memory.edit([{ kind: "set", id: "a", key: [1, 2], value: [5] }]);
  const { pass } = Partition.prototype, rows = Array.from({ length: 40 }, () => [1, 1]);
  let passes = 0;
  Partition.prototype.pass = function (row) {
    passes++;
    for (const until = performance.now() + 30; performance.now() < until;);
    return pass.call(this, row);
  };
  try {
    const before = memory.status().requests;
    const [one, other] = await Promise.all([memory.attend(rows), memory.attend(rows.slice(1))]);
    assertEquals([new Set(one.output.data), other.output.data.length], [new Set([5]), 39]);
    assert(memory.status().requests > before + 2);
    assertEquals(passes, 79);
  } finally {
    Partition.prototype.pass = pass;
  }
});

Deno.test("cluster: metrics are in Prometheus' text form, each with its help and kind", () => {
  const partition = (partition: number, ready: string[]) => ({
    ...{ partition, ready, others: ["c"], sequence: 7, isCurrent: ready.length > 0, keys: 3, bytes: 90 },
  });
  const text = metricsText({
    ...{
      cluster: "c",
      log: "memory",
      hosts: ["a", "b"],
      partitions: [partition(0, ["a", "b"]), partition(1, [])],
    },
    ...{ unackedBytes: 5, edits: 6, reads: 4, requests: 11, hedges: 2, failures: 1 },
    readMs: Float64Array.from({ length: 200 }, (_, at) => at + 1),
  });
  const lines = text.split("\n");
  assertEquals(lines.pop(), "");
  const kinds = new Map<string, string>(), values = new Map<string, number>();
  for (const [at, line] of lines.entries()) {
    const [, word, name, rest] = /^# (HELP|TYPE) (attune_\w+) (.+)$/.exec(line) ?? [];
    if (word === "HELP") assertMatch(rest, /^[A-Z].*\.$/);
    else if (word === "TYPE") {
      assert(rest === "counter" || rest === "gauge", line);
      assert(lines[at - 1].startsWith(`# HELP ${name} `));
      kinds.set(name, rest);
    } else {
      const [, labelled, value] = /^(attune_\w+(?:\{\w+="[^"]+"\})?) (\S+)$/.exec(line) ?? [];
      assert(kinds.has(labelled.replace(/\{.*/, "")), line);
      values.set(labelled, Number(value));
    }
  }
  assertEquals([...kinds].filter(([, kind]) => kind === "counter").map(([name]) => name), [
    ...["attune_edits_total", "attune_reads_total", "attune_requests_total", "attune_hedges_total"],
    "attune_failures_total",
  ]);
  assertEquals(Object.fromEntries(values), {
    attune_hosts: 2,
    ...{
      'attune_partition_ready_replicas{partition="0"}': 2,
      'attune_partition_ready_replicas{partition="1"}': 0,
    },
    ...{ 'attune_partition_sequence{partition="0"}': 7, 'attune_partition_sequence{partition="1"}': 7 },
    ...{ 'attune_partition_keys{partition="0"}': 3, 'attune_partition_keys{partition="1"}': 3 },
    ...{ 'attune_partition_bytes{partition="0"}': 90, 'attune_partition_bytes{partition="1"}': 90 },
    ...{ 'attune_partition_current{partition="0"}': 1, 'attune_partition_current{partition="1"}': 0 },
    ...{ attune_unacked_bytes: 5, attune_edits_total: 6, attune_reads_total: 4, attune_requests_total: 11 },
    ...{ attune_hedges_total: 2, attune_failures_total: 1 },
    ...{ 'attune_read_milliseconds{quantile="0.5"}': 101, 'attune_read_milliseconds{quantile="0.99"}': 199 },
  });
});

Deno.test("cluster: a connection that has ended refuses calls, and ending it twice is one end", async () => {
  const memory = await connect(memoryLog(), { create: SHAPE });
  await memory.edit([{ kind: "set", id: "a", key: [1, 2], value: [1] }]);
  await Promise.all([memory.dispose(), memory.dispose()]);
  await assertRejects(() => memory.edit([]), DisposedError);
  await assertRejects(() => memory.read(["q"]), DisposedError);
  assertThrows(() => memory.status(), DisposedError);
});

Deno.test("cluster: partial answers say what is missing, and only where they were asked for", async () => {
  const log = memoryLog();
  await using _host = await host(log, { partitions: [0] });
  await using memory = await connect(log, { create: SHAPE, timeoutMs: 1500 });
  await memory.edit(
    Array.from({ length: 20 }, (_, at) => ({ kind: "set", id: `k${at}`, key: [0, 0], value: [at] })),
  );
  await memory.setQuery("q", [1, 2]);
  const error = await assertRejects(() => memory.read(["q"]), ClusterError);
  assertEquals([error.fault, error.partitions], ["missing", [1]]);
  const { missing, partitions } = await memory.read(["q"], { partial: true, timeoutMs: 500 });
  assertEquals([missing, partitions.map(({ partition }) => partition)], [[1], [0]]);
  // Any host knows the queries, whichever partitions it holds.
  const ids = Array.from({ length: 8 }, (_, at) => `q${at}`);
  for (const id of ids) {
    await memory.setQuery(id, [3, 4]);
    assertEquals((await memory.getQueries([id]))[0], Float32Array.of(3, 4));
  }
  // An answer that could not say what is missing takes no such option, whatever types allow.
  const partial = { partial: true, timeoutMs: 500 } as never;
  for (
    const call of [
      () => memory.logSumExp(["q"], partial),
      () => memory.getKeys(["k0"], partial),
      () => memory.getQueries(["q"], partial),
      () => memory.topKeys("q", 1, partial),
    ]
  ) await assertRejects(async () => await call(), InputError, '"partial" is unknown');
});

Deno.test("cluster: edits wait when too much is not acknowledged, and keep their order", async () => {
  const log = memoryLog();
  await using _host = await host(log);
  await using memory = await connect(log, { create: SHAPE, maxUnacked: 200 });
  const calls = Array.from(
    { length: 50 },
    (_, at) => memory.edit([{ kind: "set", id: "a", key: [1, 2], value: [at] }]),
  );
  assert(memory.status().unackedBytes < 500);
  await Promise.all(calls);
  assertEquals((await memory.getKeys(["a", "b"])).map((key) => key?.value[0]), [49, undefined]);
  assertEquals(memory.status().unackedBytes, 0);
});

Deno.test("cluster: a host keeps snapshots in its folder and begins with them", async () => {
  const folder = await Deno.makeTempDir(), log = memoryLog();
  await using memory = await connect(log, { create: SHAPE });
  await memory.setQuery("q", [1, 2]);
  {
    await using _host = await host(log, { folder });
    await memory.edit([{ kind: "set", id: "a", key: [1, 2], value: [4] }]);
    await memory.read(["q"]);
  }
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  assertEquals(files, ["log.0.snapshot", "log.1.snapshot", "query.snapshot"]);
  {
    await using _host = await host(log, { folder });
    assertEquals([...(await memory.read(["q"])).output.data], [4]);
  }
  // What is damaged in the folder is not used, and a folder that is gone does no harm.
  await Deno.writeFile(`${folder}/log.0.snapshot`, new Uint8Array(100));
  await using _other = await host(log, { folder });
  assertEquals([...(await memory.read(["q"])).output.data], [4]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("cluster: peek gives rows again while they are young, says how old they are, and asks for the others", async () => {
  const log = memoryLog();
  await using _host = await host(log);
  await using memory = await connect(log, { create: SHAPE });
  const before = await memory.edit([{ kind: "set", id: "a", key: [1, 2], value: [1] }]);
  await memory.setQuery("q", [1, 2]);
  await memory.setQuery("r", [0, 0]);
  assertEquals([...(await memory.read(["q"])).output.data], [1]);
  const after = await memory.edit([{ kind: "set", id: "a", key: [1, 2], value: [2] }]);
  const { requests } = memory.status();
  const kept = await memory.peek(["q", "q"], { maxAgeMs: 60_000 });
  assertEquals([...kept.output.data], [1, 1]);
  assertEquals(memory.status().requests, requests);
  const [[partition, sequence]] = Object.entries(after.partitions);
  const place = kept.partitions.find((one) => one.partition === Number(partition));
  assertEquals([place?.sequence, place?.newest], [before.partitions[Number(partition)], sequence]);
  assert((place?.ageMs ?? -1) >= 0 && (place?.ageMs ?? Infinity) < 60_000);

  // A row that is too old, one that was never given, and one whose query is another now are asked for.
  await memory.read(["q"]);
  const mixed = await memory.peek(["r", "q"], { maxAgeMs: 60_000 });
  assertEquals([...mixed.output.data], [2, 2]);
  await memory.edit([{ kind: "set", id: "a", key: [1, 2], value: [3] }]);
  await memory.read(["r"]);
  assertEquals([...(await memory.peek(["q"])).output.data], [3]);
  await memory.setQuery("q", [5, 5]);
  const again = memory.status().requests;
  await memory.peek(["q"], { maxAgeMs: 60_000 });
  assert(memory.status().requests > again);
  await assertRejects(() => memory.peek(["q"], { maxAgeMs: -1 }), InputError);
  await assertRejects(() => memory.peek(["q"], { after } as never), InputError);
});
