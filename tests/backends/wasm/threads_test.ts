// Threads of the wasm backend: the same bits however many there are, crashes that lose nothing, a thread that
// stays free, processes that end, and what the option refuses. A worker pool of a test shares everything,
// however small.

import { attention, BackendError, DynamicAttention, InputError, type ThreadCount } from "../../../mod.ts";
import type { Backend } from "../../../src/backends/backend.ts";
import { WORKER_POOL, WorkerPool } from "../../../src/backends/wasm/threads/worker_pool.ts";
import { type StartThread, type Thread, threadStarter } from "../../../src/backends/wasm/threads/thread.ts";
import type { Request } from "../../../src/backends/wasm/threads/worker_program.ts";
import { createWasmBackend } from "../../../src/backends/wasm/wasm_backend.ts";
import { createEngine } from "../../../src/engine/create_engine.ts";
import type { RowStorage } from "../../../src/numerics/row_format.ts";
import { assertEquals, assertGreater, assertGreaterOrEqual, assertRejects } from "../../../testing/assert.ts";
import { Random } from "../../../testing/random.ts";

const QUERIES = 150, KEYS = 1100, DIM = 6;
const EVERYTHING = { sharing: 0, starting: 0 };
const starter = threadStarter() as StartThread;

function poolOf(prelude = ""): WorkerPool {
  return new WorkerPool(() => starter(prelude), EVERYTHING);
}

/** A worker with this prelude throws when it takes its piece number `piece`. */
function crashAt(piece: number): string {
  return `{
    const add = Atomics.add;
    let left = ${piece};
    Atomics.add = (...all) => {
      if (left-- === 0) throw new Error("injected");
      return add(...all);
    };
  }`;
}

function optionsOf(random: Random) {
  const rows = (count: number) => Array.from({ length: count }, () => random.row(2 * DIM));
  return { query: rows(QUERIES), key: rows(KEYS), value: rows(KEYS), heads: 2, lazyThreshold: Infinity };
}

/** An engine over a wasm backend with a worker pool of its own. */
async function engineWith(pool: WorkerPool, threads: ThreadCount, storage?: RowStorage) {
  const inner = await createWasmBackend(
    {
      layout: { heads: 2, kvHeads: 2, headDim: DIM, valueDim: DIM, ...(storage ? { storage } : {}) },
      rule: { scale: 1 / Math.sqrt(DIM), softcap: 0, before: Infinity, after: Infinity },
      maskHeads: 0,
      tolerance: 1e-8,
    },
    threads,
    pool,
  );
  const options = { ...optionsOf(new Random(5)), ...(storage ? { storage } : {}) };
  return await createEngine(options, { wrap: () => inner as Backend });
}

/** Edits of all sizes; some keys are heavy for many rows, more of them than a row may have. */
function edit(engine: DynamicAttention, random: Random): void {
  for (let count = 0; count < 24; count++) {
    const size = random.pick([1, 1, 30]);
    engine.set(random.below(KEYS), random.row(2 * DIM, size), random.row(2 * DIM));
  }
}

const PACKED = { keys: "float16", values: "int8" } as const;
for (const [threads, storage] of [[2], [3], [5], [3, PACKED]] as const) {
  Deno.test(`wasm threads: ${threads} give the bits of one${storage ? ", of packed rows" : ""}`, async () => {
    const alone = poolOf(), pool = poolOf();
    const one = await engineWith(alone, 1, storage), many = await engineWith(pool, threads, storage);
    const [forOne, forMany] = [new Random(6), new Random(6)];
    for (let round = 0; round < 12; round++) {
      edit(one, forOne);
      edit(many, forMany);
      if (round % 4 === 3) await Promise.all([one.rebuild(), many.rebuild()]);
      assertEquals(await many.read(), await one.read());
      assertEquals(await many.save(), await one.save());
    }
    const queries = [forOne.row(2 * DIM), forOne.row(2 * DIM)];
    assertEquals(await many.attend(queries), await one.attend(queries));
    assertGreater(many.stats().rowsPatched, 0);
    assertGreater(many.stats().refreshes, 0);
    assertEquals([alone.size, pool.size], [0, threads]);
    assertEquals([one.stats().threads, many.stats().threads], [1, threads]);
    await one.dispose();
    await many.dispose();
    assertEquals(pool.size, 0);
  });
}

Deno.test("wasm threads: memory that grows between runs is seen", async () => {
  const pool = poolOf();
  const one = await engineWith(poolOf(), 1), many = await engineWith(pool, 2);
  const random = new Random(7);
  for (let round = 0; round < 4; round++) {
    for (let count = 0; count < 1500; count++) {
      const key = random.row(2 * DIM), value = random.row(2 * DIM);
      for (const engine of [one, many]) engine.insert(key, value);
    }
    assertEquals(await many.read(), await one.read());
  }
  await one.dispose();
  await many.dispose();
});

Deno.test("wasm threads: engines share a worker pool, which ends with the last of them", async () => {
  const pool = poolOf(), alone = poolOf();
  const engines = await Promise.all([2, 3].map((threads) => engineWith(pool, threads)));
  const reference = await engineWith(alone, 1);
  const random = new Random(8);
  const slot = random.below(KEYS), key = random.row(2 * DIM);
  for (const engine of [...engines, reference]) engine.setKey(slot, key);
  const expected = await reference.read();
  for (const output of await Promise.all(engines.map((engine) => engine.read()))) {
    assertEquals(output, expected);
  }
  assertEquals(pool.size, 3);
  await engines[0].dispose();
  assertEquals(pool.size, 3);
  assertEquals(await engines[1].read(), expected);
  await engines[1].dispose();
  assertEquals(pool.size, 0);
  await reference.dispose();
});

for (const piece of [0, 3]) {
  Deno.test(`wasm threads: a worker that throws at piece ${piece} loses nothing`, async () => {
    let prelude = crashAt(piece);
    const worth = { sharing: Infinity, starting: 0 };
    const pool = new WorkerPool(() => starter(prelude), worth);
    const one = await engineWith(poolOf(), 1), many = await engineWith(pool, 2);
    const other = await engineWith(pool, 2);
    const before = await other.read();
    worth.sharing = 0;
    for (const engine of [one, many]) edit(engine, new Random(9));
    const error = await assertRejects(() => many.read(), BackendError, "injected");
    assertEquals(error.operation, "DynamicAttention.read");
    assertEquals(pool.size, 0);
    prelude = "";
    // Rows that were half patched are computed from scratch.
    await one.rebuild();
    assertEquals(await many.read(), await one.read());
    assertEquals(await many.save(), await one.save());
    assertEquals(await other.read(), before);
    assertEquals(pool.size, 2);
    for (const engine of [one, many, other]) await engine.dispose();
    assertEquals(pool.size, 0);
  });
}

Deno.test("wasm threads: workers that are ended in the middle of a rebuild lose nothing", async () => {
  let prelude = "Atomics.add = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);";
  const running: Promise<Thread>[] = [];
  const start = () => {
    const thread = starter(prelude), asked = Promise.withResolvers<Thread>();
    running.push(asked.promise);
    const ask = (request: Request) => {
      if (request.kind === "run") asked.resolve(thread);
      return thread.ask(request);
    };
    return { ...thread, ask };
  };
  const worth = { sharing: Infinity, starting: 0 };
  const one = await engineWith(poolOf(), 1), many = await engineWith(new WorkerPool(start, worth), 2);
  worth.sharing = 0;
  for (const engine of [one, many]) edit(engine, new Random(10));
  const failed = assertRejects(() => many.rebuild(), BackendError, "a worker was ended");
  while (running.length < 2) await new Promise((resolve) => setTimeout(resolve, 0));
  for (const thread of await Promise.all(running)) await thread.end();
  await failed;
  prelude = "";
  await one.rebuild();
  assertEquals(await many.read(), await one.read());
  await one.dispose();
  await many.dispose();
});

Deno.test("wasm threads: where none start, the caller's thread does it all", async () => {
  const starters: (StartThread | null)[] = [null, () => starter("process.exit(1);"), () => {
    throw new Error("forbidden");
  }];
  const one = await engineWith(poolOf(), 1);
  for (const start of starters) {
    const pool = new WorkerPool(start, EVERYTHING);
    const engine = await engineWith(pool, 4);
    assertEquals(await engine.read(), await one.read());
    assertEquals([pool.size, pool.canStart], [0, false]);
    await engine.dispose();
  }
  await one.dispose();
});

Deno.test("wasm threads: two that wait for workers that do not start do it all themselves", async () => {
  const one = await engineWith(poolOf(), 1), pool = poolOf("process.exit(1);");
  const engines = await Promise.all([engineWith(pool, 2), engineWith(pool, 2)]);
  for (const engine of engines) {
    assertEquals(await engine.read(), await one.read());
    await engine.dispose();
  }
  assertEquals([pool.size, pool.canStart], [0, false]);
  await one.dispose();
});

Deno.test("wasm threads: the caller's thread is free meanwhile", async () => {
  // Workers that begin once the caller has had its turns. Had it worked in the thread of the caller, no more than promises
  // would have been between begin and end.
  let hold: Promise<void> = Promise.resolve(), turns = 0;
  const start = () => {
    const thread = starter("");
    return { ...thread, ask: (request: Request) => hold.then(() => thread.ask(request)) };
  };
  const engine = await engineWith(new WorkerPool(start, EVERYTHING), 2);
  const { promise, resolve } = Promise.withResolvers<void>();
  hold = promise;
  let isDone = false;
  const rebuilt = engine.rebuild().then(() => isDone = true);
  while (!isDone) {
    await new Promise((next) => setTimeout(next, 0));
    if (++turns === 3) resolve();
  }
  await rebuilt;
  assertGreaterOrEqual(turns, 3);
  await engine.dispose();
});

Deno.test("wasm threads: small engines and threads: 1 start none", async () => {
  const small = await DynamicAttention.create({ query: [[1]], key: [[1], [2]], value: [[1], [3]] });
  small.setKey(0, [3]);
  await small.read();
  const options = optionsOf(new Random(11));
  const alone = await DynamicAttention.create({ ...options, backend: "wasm", threads: 1 });
  assertEquals(WORKER_POOL.size, 0);
  await small.dispose();
  await alone.dispose();
});

Deno.test("wasm threads: a large engine starts them by itself, and its end ends them", async () => {
  const random = new Random(12);
  const matrix = () => ({ data: random.row(2048 * 128), shape: [2048, 128] as const });
  const options = { query: matrix(), key: matrix(), value: matrix(), backend: "wasm" } as const;
  const alone = await attention({ ...options, threads: 1 });
  const live = await DynamicAttention.create({ ...options, threads: 2 });
  await live.rebuild();
  assertEquals(WORKER_POOL.size, 2);
  assertEquals((await live.read()).data, alone.data);
  await live.dispose();
  assertEquals(WORKER_POOL.size, 0);
});

const AS_INPUT = { query: [[1]], key: [[1]], value: [[1]] };

for (const threads of [0, -1, 1.5, NaN, Infinity, 257, "many", "2", null, [2]]) {
  Deno.test(`wasm threads: ${JSON.stringify(threads)} (${String(threads)}) is refused everywhere`, async () => {
    const bad = { threads: threads as ThreadCount };
    const live = await DynamicAttention.create(AS_INPUT);
    const bytes = await live.save();
    const calls = [
      () => DynamicAttention.create({ ...AS_INPUT, ...bad }),
      () => attention({ ...AS_INPUT, ...bad }),
      () => DynamicAttention.load(bytes, bad),
    ];
    for (const call of calls) {
      const error = await assertRejects(call, InputError, "threads is ");
      assertEquals(error.expected, 'an integer from 1 to 256, or "auto"');
    }
    await live.dispose();
  });
}

Deno.test("wasm threads: the backend array has one", async () => {
  const threaded = () => attention({ ...AS_INPUT, backend: "array", threads: 2 });
  const error = await assertRejects(threaded, InputError, 'attention: threads is 2 with backend "array"');
  assertEquals(error.expected, '1 or "auto"');
  for (const threads of [1, "auto"] as const) {
    assertEquals([...(await attention({ ...AS_INPUT, backend: "array", threads })).data], [1]);
  }
  const live = await DynamicAttention.create({ ...AS_INPUT, backend: "array" });
  const loaded = await DynamicAttention.load(await live.save(), { threads: 2 });
  assertEquals(loaded.stats().backend, "array");
  await live.dispose();
  await loaded.dispose();
});

Deno.test("wasm threads: a program without permissions that forgets dispose ends", async () => {
  const module = new URL("../../../mod.ts", import.meta.url).href;
  const pool = new URL("../../../src/backends/wasm/threads/worker_pool.ts", import.meta.url).href;
  const program = `
    import { DynamicAttention } from ${JSON.stringify(module)};
    import { WORKER_POOL } from ${JSON.stringify(pool)};
    const data = Float32Array.from({ length: 2048 * 128 }, (_, at) => Math.sin(at));
    const matrix = { data, shape: [2048, 128] };
    const live = await DynamicAttention.create(
      { query: matrix, key: matrix, value: matrix, backend: "wasm", threads: 2 },
    );
    await live.rebuild();
    live.setKey(0, data.subarray(128, 256));
    console.log((await live.read([0])).shape, WORKER_POOL.size);
  `;
  const folder = await Deno.makeTempDir({ prefix: "attune-" });
  try {
    await Deno.writeTextFile(`${folder}/script.ts`, program);
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--quiet", "script.ts"],
      cwd: folder,
    });
    const { code, stdout, stderr } = await command.output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assertEquals([code, text(stdout), text(stderr)], [0, "[ 1, 128 ] 2\n", ""]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
