// Full suite: it kills hosts, writers and servers of a cluster with SIGKILL, and freezes them.
// Limit: 20 minutes.
//
// A memory whose hosts are processes, on servers of NATS. After each fault every read that includes the last
// acknowledged edit is the oracle's answer within 1e-7, or a typed error; never an older one, and never one
// over fewer keys. ATTUNE_LONG=1 repeats each fault four times.

import { ClusterError, type ClusterMemory, connect, LogError, natsLog } from "../../../src/cluster/mod.ts";
import type { ClusterToken, NatsDurability } from "../../../src/cluster/mod.ts";
import { assert, assertEquals, assertGreater } from "../../../testing/assert.ts";
import { openWithin } from "../../../testing/cluster/log_writers.ts";
import {
  assertAnswers,
  editsOf,
  errorOf,
  MemoryModel,
  QUERIES,
  QUERY_IDS,
  SHAPE,
} from "../../../testing/cluster/memory_stream.ts";
import { startCutProxy } from "../../../testing/cluster/cut_proxy.ts";
import { connectAdmin, leaderOf } from "../../../testing/cluster/nats_admin.ts";
import { findNatsServer, NATS_REMEDY, NatsServers } from "../../../testing/cluster/nats_server.ts";
import { type Running, runProcess } from "../../../testing/cluster/run_process.ts";
import { Random } from "../../../testing/random.ts";
import { IS_LONG, requires } from "../../../testing/requirements.ts";

const program = findNatsServer();
const availability = requires("nats-server", program, NATS_REMEDY);
const TIMES = IS_LONG ? 4 : 2;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A memory with hosts in processes of their own, and the oracle beside it. */
class Scene implements AsyncDisposable {
  readonly servers: NatsServers;
  readonly memory: ClusterMemory;
  readonly hosts: Running[] = [];
  readonly model = new MemoryModel();
  readonly #durability: NatsDurability;
  #token: ClusterToken | null = null;
  reads = 0;
  refused = 0;
  worstError = 0;

  private constructor(servers: NatsServers, memory: ClusterMemory, durability: NatsDurability) {
    this.servers = servers;
    this.memory = memory;
    this.#durability = durability;
  }

  static async start(count: number, durability: NatsDurability, hosts: number): Promise<Scene> {
    const servers = await NatsServers.start({ program: program ?? "", count });
    const log = natsLog({
      servers: servers.addresses,
      name: "scene",
      auth: { user: "app", password: "app" },
      durability,
    });
    // Three servers choose a leader first.
    await (await openWithin(log, 30_000)).close();
    const scene = new Scene(servers, await connect(log, { create: SHAPE }), durability);
    for (let at = 0; at < hosts; at++) await scene.startHost();
    for (const [at, row] of QUERIES.entries()) await scene.memory.setQuery(QUERY_IDS[at], row);
    return scene;
  }

  /** Starts a process of `memory_process.ts`. */
  run(task: "host" | "write", from = 0, addresses: readonly string[] = this.servers.addresses): Running {
    return runProcess("memory_process.ts", [task, addresses.join(","), "scene", this.#durability, `${from}`]);
  }

  async startHost(addresses?: readonly string[]): Promise<void> {
    const one = this.run("host", 0, addresses);
    this.hosts.push(one);
    await one.expect("ready");
  }

  /** Makes one batch, again until it is acknowledged; the model follows. */
  async edit(): Promise<void> {
    const edits = editsOf(this.model.batches);
    this.#token = await this.#insist(() => this.memory.edit(edits, { timeoutMs: 3000 }));
    this.model.advance(this.model.batches + 1);
  }

  /** Reads, again until there is an answer, which must be the oracle's. */
  async read(): Promise<void> {
    const after = this.#token, options = { timeoutMs: 3000, ...after && { after } };
    const { output, missing } = await this.#insist(() => this.memory.read([...QUERY_IDS], options));
    assertEquals(missing, []);
    const expected = this.model.answers();
    assertAnswers(output.data, expected, `after batch ${this.model.batches}`);
    this.worstError = Math.max(this.worstError, errorOf(output.data, expected));
    this.reads++;
  }

  /** A read that may be refused for good, and must be right where it is not. */
  async readOrRefuse(): Promise<string> {
    const after = this.#token;
    try {
      const { output } = await this.memory.read([...QUERY_IDS], { timeoutMs: 4000, ...after && { after } });
      assertAnswers(output.data, this.model.answers(), "a read of a damaged log");
      return "right";
    } catch (error) {
      if (error instanceof ClusterError) return error.fault;
      if (error instanceof LogError) return error.reason;
      throw error;
    }
  }

  async #insist<T>(act: () => Promise<T>): Promise<T> {
    for (const until = performance.now() + 60_000;;) {
      try {
        return await act();
      } catch (error) {
        const isTyped = error instanceof ClusterError
          ? ["missing", "unknown", "unsent"].includes(error.fault)
          : error instanceof LogError && error.isPassing;
        if (!isTyped || performance.now() > until) throw error;
        this.refused++;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.hosts.map((one) => one.kill()));
    await this.memory[Symbol.asyncDispose]();
    await this.servers[Symbol.asyncDispose]();
  }
}

/** Edits and reads go on while `fault` happens `TIMES` times. */
async function surviveFaults(
  scene: Scene,
  fault: (scene: Scene, random: Random, at: number) => Promise<void>,
): Promise<void> {
  const random = new Random(81);
  for (let batch = 0; batch < 10; batch++) await scene.edit();
  await scene.read();
  const waits: number[] = [];
  for (let at = 0; at < TIMES; at++) {
    for (let turn = random.below(5); turn >= 0; turn--) {
      await scene.edit();
      await scene.read();
    }
    const started = performance.now();
    const happening = fault(scene, random, at);
    await scene.edit();
    await scene.read();
    waits.push(performance.now() - started);
    for (let isOver = false; !isOver;) {
      isOver = await Promise.race([happening.then(() => true), sleep(1).then(() => false)]);
      await scene.edit();
      await scene.read();
    }
  }
  waits.sort((a, b) => a - b);
  console.log(
    `  ${scene.model.batches} batches, ${scene.reads} reads, ${scene.refused} calls made again, worst error ${
      scene.worstError.toExponential(1)
    }, an edit and a read after the fault in ${waits[waits.length >> 1].toFixed(0)} ms, at most ${
      waits[waits.length - 1].toFixed(0)
    } ms`,
  );
  assertGreater(scene.reads, TIMES);
}

Deno.test({
  name: "memory: one of three hosts is killed, and another one starts",
  ...availability,
  fn: async () => {
    await using scene = await Scene.start(1, "disk", 3);
    await surviveFaults(scene, async ({ hosts }, random) => {
      const [gone] = hosts.splice(random.below(hosts.length), 1);
      await gone.kill();
      await sleep(random.below(1000));
      await scene.startHost();
    });
  },
});

Deno.test({
  name: "memory: all hosts are killed, and others build it anew from the log",
  ...availability,
  fn: async () => {
    await using scene = await Scene.start(1, "disk", 2);
    await surviveFaults(scene, async ({ hosts }) => {
      await Promise.all(hosts.splice(0).map((one) => one.kill()));
      await scene.startHost();
      await scene.startHost();
    });
  },
});

Deno.test({
  name: "memory: a host is frozen and goes on",
  ...availability,
  fn: async () => {
    await using scene = await Scene.start(1, "disk", 2);
    await surviveFaults(scene, async ({ hosts }, random) => {
      const one = hosts[random.below(hosts.length)];
      one.signal("SIGSTOP");
      await sleep(1000 + random.below(5000));
      one.signal("SIGCONT");
    });
  },
});

Deno.test({
  name: "memory: the network of a host swallows everything, and comes back",
  ...availability,
  fn: async () => {
    await using scene = await Scene.start(1, "disk", 1);
    await using proxy = startCutProxy(scene.servers.servers[0].port);
    await scene.startHost([proxy.address]);
    await surviveFaults(scene, async (_, random, at) => {
      proxy.swallow(at % 2 ? "answers" : "both");
      await sleep(500 + random.below(7000));
      proxy.heal();
    });
  },
});

Deno.test({
  name: "memory: a flipped byte in the store: an answer is right, or there is none",
  ...availability,
  fn: async () => {
    const random = new Random(83), outcomes = new Map<string, number>();
    for (let at = 0; at < TIMES; at++) {
      await using scene = await Scene.start(1, "disk", 1);
      for (let batch = 0; batch < 20 + random.below(20); batch++) await scene.edit();
      await scene.read();
      const [server] = scene.servers.servers;
      await server.end("SIGKILL");
      await flipByte(`${server.folder}/store`, random);
      await server.start();
      // Of the host that was there, then of one that knows nothing.
      const before = await scene.readOrRefuse();
      await Promise.all(scene.hosts.splice(0).map((one) => one.kill()));
      scene.hosts.push(scene.run("host"));
      const after = await scene.readOrRefuse();
      const outcome = `${before}, then ${after}`;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    console.log(`  ${[...outcomes].map(([outcome, times]) => `${outcome}: ${times}`).join("; ")}`);
  },
});

Deno.test({
  name: "memory: the stream is purged under it: hosts that had it answer on, others answer nothing",
  ...availability,
  fn: async () => {
    await using scene = await Scene.start(1, "disk", 1);
    for (let batch = 0; batch < 30; batch++) await scene.edit();
    await scene.read();
    await using admin = await connectAdmin(scene.servers);
    await admin.streams.purge("attune_scene");
    assertEquals(await scene.readOrRefuse(), "right");
    await scene.edit();
    await scene.read();
    await Promise.all(scene.hosts.splice(0).map((one) => one.kill()));
    await scene.startHost();
    const outcome = await scene.readOrRefuse();
    assert(outcome === "missing" || outcome === "damaged", outcome);
    await scene.startHost();
    assertEquals(await scene.readOrRefuse(), outcome);
  },
});

Deno.test({
  name: "memory: the server is killed and starts again",
  ...availability,
  fn: async () => {
    await using scene = await Scene.start(1, "disk", 2);
    await surviveFaults(scene, async ({ servers: { servers: [server] } }, random) => {
      await server.end("SIGKILL");
      await sleep(random.below(500));
      await server.start();
    });
  },
});

Deno.test({
  name: "memory: of three servers the leader is killed, and starts again",
  ...availability,
  fn: async () => {
    await using scene = await Scene.start(3, "replicated", 2);
    await surviveFaults(scene, async ({ servers }) => {
      const leader = await leaderOf(servers, "attune_scene");
      await leader.end("SIGKILL");
      await sleep(1000);
      await leader.start();
    });
  },
});

Deno.test({
  name: "memory: all servers and hosts are killed at once, and start again",
  ...availability,
  fn: async () => {
    await using scene = await Scene.start(3, "replicated", 2);
    await surviveFaults(scene, async ({ servers: { servers }, hosts }) => {
      await Promise.all([
        ...servers.map((server) => server.end("SIGKILL")),
        ...hosts.splice(0).map((one) => one.kill()),
      ]);
      await Promise.all(servers.map((server) => server.start()));
      const again = scene.run("host");
      hosts.push(again);
    });
  },
});

Deno.test({
  name: "memory: a writer is killed; what it was told of is there, and of what it was not all or nothing",
  ...availability,
  fn: async () => {
    await using scene = await Scene.start(1, "disk", 2);
    const random = new Random(82);
    let inFlight = 0;
    for (let kill = 0; kill < TIMES; kill++) {
      await using writer = scene.run("write", scene.model.batches);
      const lines: string[] = [];
      for (let left = 1 + random.below(40); left > 0; left--) {
        const line = await writer.next();
        assert(line !== null, "the writer ended by itself");
        lines.push(line);
      }
      lines.push(...await writer.kill());
      const last = lines.filter((line) => line.startsWith("ack ")).at(-1);
      scene.model.advance(Number(last?.slice(4)) + 1);
      const acknowledged = scene.model.answers();
      // The edits of one call go to several partitions: each of them is there or not.
      const { output } = await scene.memory.read([...QUERY_IDS], { timeoutMs: 20_000 });
      if (errorOf(output.data, acknowledged) > 1e-7) inFlight++;
      // The next call of the same edits settles it.
      await scene.edit();
      await scene.read();
    }
    console.log(
      `  ${scene.model.batches} batches, ${inFlight} of ${TIMES} kills left a batch that was not acknowledged`,
    );
  },
});

/** Flips a bit of a file of the stream of records. */
async function flipByte(folder: string, random: Random): Promise<void> {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(`${folder}/jetstream/APP/streams/attune_scene/msgs`)) {
    if (name.endsWith(".blk")) files.push(name);
  }
  const path = `${folder}/jetstream/APP/streams/attune_scene/msgs/${
    files.sort()[random.below(files.length)]
  }`;
  const bytes = await Deno.readFile(path);
  bytes[random.below(bytes.length)] ^= 1 << random.below(8);
  await Deno.writeFile(path, bytes);
}
