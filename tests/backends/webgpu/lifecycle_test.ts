// Full suite: a software device takes its time.
//
// Engines on `webgpu` come to their ends: what was asked is answered, nothing is asked of the device
// afterwards, and all is given back. And whatever fails at whichever step, a device that goes or memory that
// is not there, no answer is wrong.

import { BackendError, CapacityError, DisposedError } from "../../../mod.ts";
import { acquireDevice, type GpuDevice, openDevice } from "../../../src/backends/webgpu/device.ts";
import { NOTHING } from "../../../src/backends/since.ts";
import { WHOLE } from "../../../src/backends/wanted.ts";
import { assert, assertEquals, assertGreater, assertRejects } from "../../../testing/assert.ts";
import { assertAccurate } from "../../../testing/accuracy.ts";
import { GPU } from "../../backends_here.ts";
import { edit, RULE, saying, start } from "../../../testing/webgpu_engine.ts";

const SMALL = { queries: 3, keys: 20 };
/** With a mask records grow with the queries. */
const MASKED = {
  ...RULE,
  maskOf: (query: number, key: number, head: number) => (query + key + head) % 5 / 4,
};
const IS_LONG = Deno.env.get("ATTUNE_LONG") === "1";

/** A device whose calls are counted: before each call, `step` gets its name and number. */
function stepped(gpu: GpuDevice, step: (name: string, count: number) => void): GpuDevice {
  let count = 0;
  const through = <T extends object>(target: T, names: readonly string[]): T =>
    new Proxy(target, {
      get(inner, name) {
        const member = Reflect.get(inner, name, inner);
        if (name === "queue") return through(member as unknown as GPUQueue, ["submit", "writeBuffer"]);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => {
          if (names.includes(String(name))) step(String(name), count++);
          return member.apply(inner, args);
        };
      },
    });
  const names = ["createBuffer", "createCommandEncoder", "createBindGroup", "popErrorScope"];
  return saying(gpu, { device: through(gpu.device, names) });
}

Deno.test({
  name: "webgpu: what was asked before an engine is disposed is answered, and then nothing is left or asked",
  ...GPU,
  async fn() {
    const names: string[] = [];
    const gpu = stepped(await acquireDevice(), (name) => names.push(name));
    const { live, backend, model, random } = await start(RULE, () => Promise.resolve(gpu), {
      lazyThreshold: 3,
    });
    for (let round = 0; round < 3; round++) {
      edit(live, model, random, 2);
      await live.peek();
    }
    edit(live, model, random, 4);
    const truth = model.standing(), read = live.read(), weights = live.weights(1);
    const disposed = live.dispose();
    assertAccurate(await read, truth);
    assertEquals((await weights).length, model.keySlots.length);
    await disposed;
    assertEquals([backend.traffic.buffers, backend.traffic.bufferBytes], [0, 0]);
    const asked = names.length;
    // Direct calls of the backend are refused, too, and ask nothing of the device.
    const none = new Uint32Array(0), rows = Uint32Array.of(0);
    const cohort = { queries: rows, since: NOTHING };
    for (
      const call of [
        () => backend.update(rows, []),
        () => backend.attend({ count: 1, rows: random.row(72), positions: new Float64Array(1), bias: null }),
        () => backend.weights(0, 0, 5),
        () => backend.save(3),
        () => backend.update(none, [cohort]),
      ]
    ) await assertRejects(async () => await call(), DisposedError);
    await backend.forget(none);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assertEquals([names.length, backend.traffic.buffers], [asked, 0]);
    await backend.dispose();
  },
});

Deno.test({
  name:
    "webgpu: a backend that is disposed while it works comes to its end first, also while it looks for a device",
  ...GPU,
  async fn() {
    const rows = Uint32Array.of(0, 1, 2), cohort = { queries: rows, since: NOTHING };
    for (const isLost of [false, true]) {
      for (const what of ["update", "read", "weights"] as const) {
        const shared = await acquireDevice();
        let lost: string | null = null;
        const gone = Object.create(shared, { lost: { get: () => lost } });
        const open = async () => {
          if (lost === null) return gone;
          await new Promise((resolve) => setTimeout(resolve, 20));
          return shared;
        };
        const { backend } = await start(RULE, open, {}, SMALL);
        assertGreater(backend.traffic.buffers, 0);
        if (isLost) lost = "gone";
        let isDone = false;
        const asks = {
          update: async () => await backend.update(rows, []),
          read: () => backend.read(cohort, WHOLE),
          weights: () => backend.weights(0, 0, 20),
        };
        const asked = asks[what]().then(() => isDone = true);
        await backend.dispose();
        assert(isDone, `${what}: dispose waits for what runs`);
        await asked;
        assertEquals(backend.traffic.buffers, 0);
      }
    }
  },
});

Deno.test({
  name: "webgpu: several engines on one device, of which one goes while the others work",
  ...GPU,
  async fn() {
    const engines = await Promise.all([1, 2, 3, 4].map(() => start(RULE, acquireDevice, {}, SMALL)));
    for (let round = 0; round < 3; round++) {
      const open = engines.slice(round);
      for (const { live, model, random } of open) edit(live, model, random, 3);
      const truths = open.map(({ model }) => model.standing());
      const reads = open.map(({ live }) => live.read());
      const gone = engines[round].live.dispose();
      for (const [at, read] of reads.entries()) assertAccurate(await read, truths[at], `round ${round}`);
      await gone;
      assertEquals(engines[round].backend.traffic.buffers, 0);
    }
    await engines[3].live.dispose();
  },
});

/** Edits of every kind and questions of every kind, so that tables grow and records move. */
async function live(
  engine: Awaited<ReturnType<typeof start>>,
  ask: (run: () => Promise<unknown>) => Promise<unknown>,
) {
  const { live, model, random } = engine;
  const { heads, kvHeads, headDim, valueDim } = model.rule;
  for (let round = 0; round < 3; round++) {
    edit(live, model, random, 3, round === 1 ? 20 : 1);
    for (let more = 0; more < 9; more++) {
      const key = random.row(kvHeads * headDim), value = random.row(kvHeads * valueDim);
      model.insertKey(live.insert(key, value), key, value);
    }
    const query = random.row(heads * headDim);
    model.insertQuery(live.insertQuery(query), query);
    const slot = model.keySlots[round];
    live.delete(slot);
    model.keys.delete(slot);
    await ask(async () => assertAccurate(await live.read([0]), model.standing([0]), "one row"));
    await ask(async () => {
      const { bounds } = await live.peek();
      assert(bounds.every((bound) => bound < 1e3));
    });
    await ask(async () => {
      const weights = await live.weights(1, { head: 1 });
      assert(Math.abs(weights.reduce((sum, weight) => sum + weight) - 1) < 1e-5);
    });
    await ask(() => live.flush());
    await ask(async () => assertAccurate(await live.read(), model.standing(), "all rows"));
  }
}

Deno.test({
  name: "webgpu: a device that is lost at any step loses no edit, and no answer is wrong",
  ...GPU,
  async fn() {
    let at = 0, told = 0;
    // Steps of one life; later ones repeat the first.
    for (at = 3; at < 220; at += IS_LONG ? 2 : 70) {
      let opened: GpuDevice | null = null;
      let isLost = false;
      const open = async () => {
        if (opened?.lost === null) return opened;
        if (isLost) return await acquireDevice();
        const real = await openDevice();
        opened = stepped(real, (_, count) => {
          if (count !== at) return;
          isLost = true;
          real.device.destroy();
        });
        return opened;
      };
      let engine: Awaited<ReturnType<typeof start>>;
      try {
        engine = await start(MASKED, open, { onThreshold: "patch", lazyThreshold: Infinity }, SMALL);
      } catch (error) {
        // There was none yet to keep what was given.
        assert(error instanceof Error && error.message.includes("lost"), String(error));
        continue;
      }
      await live(engine, async (run) => {
        for (let attempt = 0;; attempt++) {
          try {
            return await run();
          } catch (error) {
            if (!(error instanceof BackendError) || attempt === 2) throw error;
            told++;
          }
        }
      });
      await engine.live.dispose();
      assertEquals(engine.backend.traffic.buffers, 0, `lost at step ${at}`);
      (opened as GpuDevice | null)?.device.destroy();
    }
    assertGreater(told, 0);
  },
});

Deno.test({
  name: "webgpu: memory that is not there at any step loses no edit, and no answer is wrong",
  ...GPU,
  async fn() {
    const gpu = await acquireDevice(), { device } = gpu;
    let told = 0;
    for (let at = 1; at < 40; at += IS_LONG ? 2 : 4) {
      let allocations = 0, scopes = 0, wasMade = false, isFailing = false;
      const methods = {
        createBuffer: (descriptor: GPUBufferDescriptor) => {
          wasMade = true;
          return device.createBuffer(descriptor);
        },
        pushErrorScope: (filter: GPUErrorFilter) => {
          if (scopes++ === 0) wasMade = false;
          device.pushErrorScope(filter);
        },
        popErrorScope: async () => {
          // The innermost of three comes off first; the second is that of memory.
          if (--scopes === 2 && wasMade) isFailing = allocations++ === at;
          const fails = scopes === 1 && isFailing;
          if (fails) isFailing = false;
          const said = await device.popErrorScope();
          return fails ? new GPUOutOfMemoryError("no room") : said;
        },
      };
      const double = new Proxy(device, {
        get(target, name) {
          const member = Reflect.get(name in methods ? methods : target, name);
          return typeof member === "function" && !(name in methods) ? member.bind(target) : member;
        },
      });
      let engine: Awaited<ReturnType<typeof start>>;
      try {
        const open = () => Promise.resolve(saying(gpu, { device: double }));
        engine = await start(MASKED, open, { onThreshold: "patch", lazyThreshold: Infinity }, SMALL);
      } catch (error) {
        assert(error instanceof CapacityError, String(error));
        continue;
      }
      await live(engine, async (run) => {
        for (let attempt = 0;; attempt++) {
          try {
            return await run();
          } catch (error) {
            if (!(error instanceof CapacityError) || attempt === 1) throw error;
            told++;
          }
        }
      });
      await engine.live.dispose();
      assertEquals(engine.backend.traffic.buffers, 0, `no room at allocation ${at}`);
    }
    assertGreater(told, 0);
  },
});
