// An engine goes on with another backend: no edit is lost, what was stored keeps its bits, order is kept, and
// a move that fails changes nothing. Moves in any order with other calls are among the commands of the
// model-based test.

import { createEngine } from "../../src/engine/create_engine.ts";
import {
  BackendError,
  DisposedError,
  DynamicAttention,
  type DynamicAttentionOptions,
  InputError,
} from "../../mod.ts";
import { assert, assertEquals, assertRejects } from "../../testing/assert.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import { BACKENDS } from "../backends_here.ts";
import { FailingBackend } from "../../testing/fake_backends.ts";
import { MemoryModel } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";
import { bitsOf } from "../../testing/twins.ts";

const HEADS = 2, WIDTH = 6, KEYS = 40, QUERIES = 9;

/** A model, and the options of an engine that starts like it. */
function start(random: Random): { model: MemoryModel; options: DynamicAttentionOptions } {
  const model = new MemoryModel({
    heads: HEADS,
    kvHeads: HEADS,
    headDim: WIDTH / HEADS,
    valueDim: WIDTH / HEADS,
    scale: 0.7,
    softcap: 0,
    causal: false,
    window: [Infinity, Infinity],
    maskOf: null,
  });
  for (let i = 0; i < QUERIES; i++) model.insertQuery(i, random.row(WIDTH));
  for (let j = 0; j < KEYS; j++) model.insertKey(j, random.row(WIDTH), random.row(WIDTH));
  const options = { ...model.matrices(), heads: HEADS, scale: 0.7, lazyThreshold: Infinity };
  return { model, options };
}

/** Changes a key and its value in the model and in an engine. */
function edit(model: MemoryModel, live: DynamicAttention, random: Random): void {
  const slot = random.below(KEYS), key = random.row(WIDTH), value = random.row(WIDTH);
  live.set(slot, key, value);
  const row = model.keys.get(slot);
  assert(row);
  row.key = Float32Array.from(key);
  row.value = Float32Array.from(value);
}

for (const from of BACKENDS) {
  for (const to of BACKENDS) {
    Deno.test(`move: ${from} to ${to} takes pending edits and stored rows along`, async () => {
      const random = new Random(7);
      const { model, options } = start(random);
      await using live = await DynamicAttention.create({ ...options, backend: from });
      for (let t = 0; t < 5; t++) edit(model, live, random);
      await live.read([0]); // of the rows, one knows of five edits, the others of none
      for (let t = 0; t < 3; t++) edit(model, live, random);
      const before = live.stats();
      await live.moveTo(to);
      const after = live.stats();
      assertEquals(after.backend, to);
      assertEquals(after.edits, before.edits);
      assert(after.pending > 0 && after.pending <= before.pending, `${after.pending} are pending`);
      assertEquals([after.behind, after.retained], [0, 0]);
      assert(after.multiplyAdds > before.multiplyAdds, "work done before the move still counts");
      assertAccurate(await live.read(), model.standing());

      // Rows keep their bits in a move: an engine that never moved gives the same answers from scratch.
      await using settled = await DynamicAttention.create({ ...options, ...model.matrices(), backend: to });
      await live.rebuild();
      assertEquals(bitsOf((await live.read()).data), bitsOf((await settled.read()).data));
    });
  }
}

Deno.test("move: there and back, with edits, queries and answers in between that are not awaited", async () => {
  const random = new Random(11);
  const { model, options } = start(random);
  await using live = await DynamicAttention.create(options);
  const checks: Promise<unknown>[] = [];
  for (let round = 0; round < 24; round++) {
    for (let t = 0; t < 3; t++) edit(model, live, random);
    const query = random.row(WIDTH), slot = random.below(QUERIES);
    live.setQuery(slot, query);
    const row = model.queries.get(slot);
    assert(row);
    row.query = Float32Array.from(query);
    const truth = model.snapshot();
    const read = live.read();
    const moved = live.moveTo(BACKENDS[round % BACKENDS.length]);
    checks.push(read.then((output) => assertAccurate(output, truth.standing())), moved);
    if (round % 5 === 4) await moved;
  }
  await Promise.all(checks);
  assertAccurate(await live.read(), model.standing());
});

Deno.test("move: away from a backend that fails, no edit is lost and the old failure is not told again", async () => {
  const random = new Random(13);
  const { model, options } = start(random);
  const backends: FailingBackend[] = [];
  await using live = await createEngine(options, {
    wrap: (inner) => {
      backends.push(new FailingBackend(inner));
      return backends[backends.length - 1];
    },
  });
  backends[0].fails = backends[0].failsToRead = backends[0].failsToUpdate = () => true;
  edit(model, live, random);
  await assertRejects(() => live.read(), BackendError);
  edit(model, live, random);
  live.flush().catch(() => {}); // this failure reaches no caller
  await live.moveTo("array");
  assertAccurate(await live.read(), model.standing());
});

Deno.test("move: to a backend that fails changes nothing", async () => {
  const random = new Random(17);
  const { model, options } = start(random);
  const backends: FailingBackend[] = [];
  let disposed = 0;
  await using live = await createEngine({ ...options, backend: "array" }, {
    wrap: (inner) => {
      const backend = new FailingBackend(inner);
      backend.failsToRestore = () => backends.length === 2;
      const { dispose } = inner;
      inner.dispose = () => {
        disposed++;
        return dispose.call(inner);
      };
      backends.push(backend);
      return backend;
    },
  });
  edit(model, live, random);
  const before = await live.read();
  edit(model, live, random);
  const error = await assertRejects(() => live.moveTo("auto"), BackendError);
  assert(error.message.startsWith("DynamicAttention.moveTo: "), error.message);
  assertEquals(disposed, 1, "the backend that failed is given back");
  assertEquals(live.stats().backend, "array");
  assertEquals(bitsOf((await live.peek()).output.data), bitsOf(before.data));
  assertAccurate(await live.read(), model.standing());
  await live.moveTo("auto");
  assertEquals(disposed, 2);
  assertAccurate(await live.read(), model.standing());
});

Deno.test("move: a mask function is not asked again about pairs that are stored", async () => {
  const random = new Random(19);
  const { options } = start(random);
  let asked = 0;
  const mask = (i: number, j: number) => {
    asked++;
    return (i + j) % 3 === 0 ? -Infinity : 0.25 * (j % 4);
  };
  await using live = await DynamicAttention.create({ ...options, mask });
  const before = await live.read();
  const askedBefore = asked;
  await live.moveTo("array");
  assertEquals(asked, askedBefore);
  const after = await live.read();
  after.data.forEach((o, at) => assert(Math.abs(o - before.data[at]) < 1e-6));
  live.insert(random.row(WIDTH), random.row(WIDTH));
  await live.read();
  assertEquals(asked, askedBefore + QUERIES * HEADS);
});

Deno.test("move: bad input is refused before anything happens", async () => {
  const { options } = start(new Random(23));
  const live = await DynamicAttention.create({ ...options, backend: "array" });
  const error = await assertRejects(() => live.moveTo("gpu" as unknown as "auto"), InputError);
  assert(error.message.startsWith('DynamicAttention.moveTo: backend is "gpu", expected '), error.message);
  await assertRejects(
    () => live.moveTo("array", { thread: 2 } as unknown as { threads: number }),
    InputError,
    '"thread" is unknown',
  );
  await assertRejects(() => live.moveTo("array", { threads: 2 }), InputError, 'with backend "array"');
  assertEquals(live.stats().backend, "array");
  await live.dispose();
  await assertRejects(() => live.moveTo("auto"), DisposedError);
});
