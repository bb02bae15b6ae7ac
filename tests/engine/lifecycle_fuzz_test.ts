// Many engines at once, made, edited, read in flight, saved, loaded, moved, failing and disposed at random.
// Every answer is held against the oracle as of its call; at the end no worker is left. ATTUNE_LONG=1 runs a
// hundred thousand steps a backend.

import { BackendError, type BackendName, type DynamicAttention, type LazyThreshold } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { createWasmBackend } from "../../src/backends/wasm/wasm_backend.ts";
import { WORKER_POOL, WorkerPool } from "../../src/backends/wasm/threads/worker_pool.ts";
import { type StartThread, threadStarter } from "../../src/backends/wasm/threads/thread.ts";
import { createEngine, loadEngine } from "../../src/engine/create_engine.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { assertAccurate, rowsOf } from "../../testing/accuracy.ts";
import { BACKENDS, casesOn } from "../backends_here.ts";
import { FailingBackend } from "../../testing/fake_backends.ts";
import { MemoryModel, type ModelRule } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";

const LONG = Deno.env.get("ATTUNE_LONG") === "1";
const STEPS = LONG ? 100_000 : 1_500;
/**
 * Steps after which all engines are disposed and a new seed begins, so that a failure has a short history.
 */
const RUN_STEPS = 250;
const MOST_ENGINES = 4;

/** One engine beside the model of what it holds. */
interface Pair {
  readonly live: DynamicAttention;
  readonly model: MemoryModel;
  readonly threshold: LazyThreshold;
}

/** Everything that one run of the fuzz knows. */
class Lifecycles {
  readonly pairs: Pair[] = [];
  /** Checks that are not awaited yet; they resolve to null or to the fault. */
  readonly open: Promise<Error | null>[] = [];
  readonly #random: Random;
  readonly #backend: BackendName;
  readonly #pool: WorkerPool | null;

  constructor(random: Random, backend: BackendName, pool: WorkerPool | null) {
    this.#random = random;
    this.#backend = backend;
    this.#pool = pool;
  }

  async step(): Promise<void> {
    const random = this.#random, dice = random.below(100);
    if (this.pairs.length === 0 || (dice < 4 && this.pairs.length < MOST_ENGINES)) {
      return await this.#create();
    }
    const pair = random.pick(this.pairs);
    if (dice < 44) this.#edit(pair);
    else if (dice < 58) this.#read(pair);
    else if (dice < 68) this.#peek(pair);
    else if (dice < 72) this.#attend(pair);
    else if (dice < 76) this.#expect(random.below(2) === 0 ? pair.live.flush() : pair.live.rebuild());
    else if (dice < 80) this.#move(pair);
    else if (dice < 84) await this.#saveAndLoad(pair);
    else if (dice < 90) await this.#replace(pair);
    else if (dice < 94) await new Promise((resolve) => setTimeout(resolve, 0));
    else for (let tick = random.below(12); tick > 0; tick--) await Promise.resolve();
  }

  /** Disposes of what is left and waits for every check. */
  async end(): Promise<void> {
    while (this.pairs.length > 0) this.#dispose(this.pairs[0]);
    for (const problem of await Promise.all(this.open)) if (problem) throw problem;
  }

  async #create(): Promise<void> {
    const random = this.#random;
    const kvHeads = random.pick([1, 1, 2]), heads = kvHeads * random.pick([1, 1, 3]);
    const hasMask = random.below(4) === 0;
    const rule: ModelRule = {
      heads,
      kvHeads,
      headDim: 1 + random.below(5),
      valueDim: 1 + random.below(6),
      scale: random.pick([0.3, 1, 2]),
      softcap: random.pick([0, 0, 2]),
      causal: random.pick([false, false, true]),
      window: [Infinity, Infinity],
      maskOf: hasMask ? (query, key, head) => [false, true, 0.5, -1][(3 * query + 5 * key + head) % 4] : null,
    };
    const model = new MemoryModel(rule);
    const queryCount = random.below(5), keyCount = random.below(9);
    for (let i = 0; i < queryCount; i++) model.insertQuery(i, this.#row(heads * rule.headDim));
    for (let j = 0; j < keyCount; j++) {
      model.insertKey(j, this.#row(kvHeads * rule.headDim), this.#row(kvHeads * rule.valueDim));
    }
    const threshold = random.pick<LazyThreshold>([
      1,
      1,
      2,
      5,
      Infinity,
      { error: 0.2 },
      { ageMs: 0 },
      ({ edits }) => edits > 2,
    ]);
    const { maskOf: _, headDim: __, valueDim: ___, ...options } = rule;
    const live = await createEngine({
      ...options,
      ...model.matrices(),
      ...(hasMask ? { mask: (i: number, j: number, head: number) => model.mask(i, j, head) } : {}),
      lazyThreshold: threshold,
      onThreshold: random.pick(["auto", "patch", "rebuild"]),
      backend: this.#backend,
    }, { wrap: await this.#wrapperFor(rule, hasMask) });
    this.pairs.push({ live, model, threshold });
  }

  /** Puts a backend of the worker pool under test, or one that fails now and then, in front of the engine. */
  async #wrapperFor(rule: ModelRule, hasMask: boolean): Promise<(inner: Backend) => Backend> {
    const random = this.#random;
    const shared = this.#pool && await createWasmBackend(
      {
        layout: rule,
        rule: {
          scale: rule.scale,
          softcap: rule.softcap,
          before: Infinity,
          after: rule.causal === true ? 0 : Infinity,
        },
        maskHeads: hasMask ? rule.heads : 0,
        tolerance: 1e-8,
      },
      2,
      this.#pool,
    );
    const fails = random.below(4) === 0;
    let isFirst = true;
    return (inner) => {
      // A move wraps its successor, too, which is of the backend that was asked for.
      const backend = isFirst && shared ? shared : inner;
      if (backend !== inner) this.open.push(inner.dispose().then(() => null));
      isFirst = false;
      if (!fails) return backend;
      const failing = new FailingBackend(backend);
      // Numbers of its own: when it is asked depends on the event loop.
      const dice = new Random(random.below(2 ** 31));
      let calls = 0;
      failing.fails = () => calls++ > 0 && dice.next() < 0.2;
      failing.failsToUpdate = () => calls > 1 && dice.next() < 0.1;
      failing.failsToRead = () => dice.next() < 0.05;
      return failing;
    };
  }

  #edit({ live, model }: Pair): void {
    const random = this.#random;
    const { kvHeads, headDim, valueDim, heads } = model.rule;
    for (let count = random.pick([1, 1, 1, 4]); count > 0; count--) {
      const keys = model.keySlots, queries = model.querySlots, dice = random.below(10);
      const key = this.#row(kvHeads * headDim), value = this.#row(kvHeads * valueDim);
      const query = this.#row(heads * headDim);
      if (dice < 2) model.insertKey(live.insert(key, value), key, value);
      else if (dice === 2) model.insertQuery(live.insertQuery(query), query);
      else if (dice < 5 && queries.length > 0) {
        const slot = random.pick(queries);
        if (dice === 3) {
          model.queries.get(slot)!.query = query;
          live.setQuery(slot, query);
        } else {
          model.queries.delete(slot);
          live.deleteQuery(slot);
        }
      } else if (keys.length > 0) {
        const slot = random.pick(keys), held = model.keys.get(slot)!;
        if (dice < 7) {
          held.key = key;
          live.setKey(slot, key);
        } else if (dice < 9) {
          held.value = value;
          live.setValue(slot, value);
        } else {
          model.keys.delete(slot);
          live.delete(slot);
        }
      }
    }
  }

  #read({ live, model }: Pair): void {
    const slots = model.querySlots;
    const rows = this.#random.below(2) === 0 ? slots : slots.filter(() => this.#random.below(2) === 0);
    const truth = model.standing(rows);
    this.#expect(live.read(rows).then((output) => void assertAccurate(output, truth)));
  }

  #peek({ live, model, threshold }: Pair): void {
    const exact = model.answer().output;
    const limit = typeof threshold === "object" ? threshold.error ?? Infinity : Infinity;
    this.#expect(
      live.peek().then(({ output, bounds }) => {
        rowsOf(output).forEach((row, i) => {
          const distance = Math.hypot(...exact[i].map((o, c) => o - row[c]));
          assert(distance <= bounds[i], `row ${i} is off by ${distance}, its bound is ${bounds[i]}`);
          assert(distance <= limit, `row ${i} is off by ${distance}, promised was ${limit}`);
        });
      }),
    );
  }

  #attend({ live, model }: Pair): void {
    if (model.rule.maskOf) return;
    const rows = [this.#row(model.rule.heads * model.rule.headDim)];
    const truth = model.passing(rows);
    this.#expect(live.attend(rows).then((output) => void assertAccurate(output, truth)));
  }

  /** To any backend that runs here; to a slow one seldom. */
  #move({ live }: Pair): void {
    const seldom = this.#backend !== "webgpu" && this.#random.below(8) > 0;
    const backend = this.#random.pick(seldom ? BACKENDS.filter((name) => name !== "webgpu") : BACKENDS);
    this.#expect(live.moveTo(backend));
  }

  /** A loaded engine lives beside the saved one, or in its place. */
  async #saveAndLoad(pair: Pair): Promise<void> {
    const saved = pair.live.save(), model = pair.model.snapshot();
    if (this.#random.below(3) === 0) this.#dispose(pair);
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = await saved;
    } catch (error) {
      assert(error instanceof BackendError, String(error));
      return;
    }
    if (this.pairs.length >= MOST_ENGINES) return;
    const { threshold } = pair;
    const live = await loadEngine(bytes, {
      ...(model.rule.maskOf ? { mask: (i: number, j: number, head: number) => model.mask(i, j, head) } : {}),
      ...(typeof threshold === "function" ? { lazyThreshold: threshold } : {}),
    });
    this.pairs.push({ live, model, threshold });
  }

  /** An engine that is busy goes, and the next one takes what it gives back. */
  async #replace(pair: Pair): Promise<void> {
    this.#edit(pair);
    this.#edit(pair);
    const gone = this.#dispose(pair);
    if (this.#random.below(2) === 0) return;
    await gone;
    await this.#create();
    this.#read(this.pairs[this.pairs.length - 1]);
  }

  /** Nobody need wait for it. */
  #dispose(pair: Pair): Promise<unknown> {
    this.pairs.splice(this.pairs.indexOf(pair), 1);
    const gone = pair.live.dispose().then(() => null, (error: Error) => error);
    this.open.push(gone);
    return gone;
  }

  /** Notes what comes of a call; a backend may fail, and then says so. */
  #expect(call: Promise<void>): void {
    this.open.push(call.then(() => null, (error: Error) => error instanceof BackendError ? null : error));
  }

  #row(length: number): Float32Array<ArrayBuffer> {
    return this.#random.row(length, this.#random.pick([1, 1, 1, 6]));
  }
}

/** Runs steps until all are done; an error names the seed that shows it. */
async function fuzz(backend: BackendName, steps: number, pool: WorkerPool | null): Promise<void> {
  for (let seed = 1; steps > 0; seed++, steps -= RUN_STEPS) {
    const lives = new Lifecycles(new Random(seed), backend, pool);
    try {
      for (let step = 0; step < Math.min(steps, RUN_STEPS); step++) await lives.step();
      await lives.end();
      assertEquals([WORKER_POOL.size, pool?.size ?? 0], [0, 0], "workers left");
    } catch (error) {
      throw new Error(`seed ${seed} on ${backend}: ${(error as Error).message}`, { cause: error });
    }
  }
}

for (const backend of BACKENDS) {
  Deno.test(`lifecycle fuzz: engines come and go on ${backend}`, async () => {
    await fuzz(backend, casesOn(backend, STEPS), null);
  });
}

Deno.test("lifecycle fuzz: engines come and go on wasm with threads", async () => {
  const pool = new WorkerPool(() => (threadStarter() as StartThread)(), { sharing: 0, starting: 0 });
  await fuzz("wasm", STEPS / 4, pool);
});
