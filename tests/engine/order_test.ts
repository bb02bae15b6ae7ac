// Answers while edits keep coming, and edits when a backend fails. The backends here take their time, so that
// calls overlap.

import { BackendError, DisposedError } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "../../testing/assert.ts";
import { FailingBackend, SlowBackend } from "../../testing/fake_backends.ts";

/** Two keys of equal weight: the output is the mean of the values. */
const OPTIONS = { query: [[0]], key: [[0], [0]], value: [[0], [0]] };

async function failingEngine(more: { lazyThreshold?: number } = {}) {
  let backend: FailingBackend | undefined;
  const engine = await createEngine({ ...OPTIONS, ...more }, {
    wrap: (inner) => backend = new FailingBackend(inner),
  });
  return { engine, backend: backend! };
}

const slow = (inner: Backend) => new SlowBackend(inner);

for (const lazyThreshold of [1, 2, Infinity]) {
  Deno.test(`order: answers see the edits before the call, threshold ${lazyThreshold}`, async () => {
    await using engine = await createEngine({ ...OPTIONS, lazyThreshold }, { wrap: slow });
    const answers: Promise<number>[] = [];
    for (let step = 1; step <= 10; step++) {
      engine.setValue(step % 2, [step]);
      answers.push(engine.readEntry(0, 0));
      if (step % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    const expected = Array.from({ length: 10 }, (_, at) => (at + 1 + at) / 2);
    assertEquals(await Promise.all(answers), expected);
  });
}

Deno.test("order: weights, attend and peek, too, keep to the edits before the call", async () => {
  await using engine = await createEngine({ ...OPTIONS, lazyThreshold: Infinity }, { wrap: slow });
  engine.setValue(0, [4]);
  const attended = engine.attend([[0]]);
  const weights = engine.weights(0);
  const peeked = engine.peek();
  engine.setValue(0, [100]);
  engine.delete(1);
  engine.insertQuery([0]);
  assertEquals([...(await attended).data], [2]);
  assertEquals([...await weights], [0.5, 0.5]);
  assertEquals((await peeked).output.data.length, 1);
  assertEquals([...(await engine.read()).data], [100, 100]);
});

Deno.test("order: edits while a flush runs are pending after it", async () => {
  await using engine = await createEngine({ ...OPTIONS, lazyThreshold: Infinity }, { wrap: slow });
  engine.setValue(0, [2]);
  const flushed = engine.flush();
  engine.setValue(0, [4]);
  engine.addToValue(1, 0, 6);
  assertEquals(engine.stats().pending, 3);
  await flushed;
  assertEquals([engine.stats().pending, engine.stats().applied], [2, 1]);
  assertEquals((await engine.peek()).output.data[0], 1);
  assertEquals(await engine.readEntry(0, 0), 5);
});

Deno.test("order: an edit back to what is on its way costs nothing, back to what was applied counts", async () => {
  await using engine = await createEngine({ ...OPTIONS, lazyThreshold: Infinity }, { wrap: slow });
  engine.setValue(0, [2]);
  const flushed = engine.flush();
  engine.setValue(0, [3]);
  engine.setValue(0, [2]);
  assertEquals(engine.stats().pending, 1);
  engine.setValue(0, [0]);
  assertEquals(engine.stats().pending, 2);
  await flushed;
  assertEquals(await engine.readEntry(0, 0), 0);
});

Deno.test("order: the threshold applies in the background, again and again", async () => {
  await using engine = await createEngine({ ...OPTIONS, lazyThreshold: 2, onThreshold: "patch" }, {
    wrap: slow,
  });
  for (let round = 1; round <= 3; round++) {
    engine.setValue(0, [round]);
    engine.setValue(1, [round]);
    assertEquals((await engine.peek()).output.data[0], round);
  }
  assertEquals([engine.stats().epoch, engine.stats().rowsPatched], [3, 3]);
});

Deno.test("order: one long synchronous run of edits is applied at most twice", async () => {
  await using engine = await createEngine({ ...OPTIONS, lazyThreshold: 2, onThreshold: "patch" }, {
    wrap: slow,
  });
  for (let step = 0; step < 1000; step++) engine.setValue(step % 2, [step]);
  assertEquals(await engine.readEntry(0, 0), 998.5);
  await engine.flush();
  assertEquals(engine.stats().rowsPatched, 2);
  assertEquals(engine.stats().coalesced, 996);
});

for (const onThreshold of ["auto", "patch", "rebuild"] as const) {
  Deno.test(`order: a stale answer behind a long run of edits misses no more than it may, "${onThreshold}"`, async () => {
    for (let turns = 0; turns < 6; turns++) {
      await using engine = await createEngine({ ...OPTIONS, lazyThreshold: 4, onThreshold }, { wrap: slow });
      for (let value = 1; value <= 12; value++) engine.insert([0], [value]);
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
      // The flush that began at the fourth edit knows of no later one.
      const { output, pending } = await engine.peek();
      assertEquals([output.data[0], pending], [Math.fround(78 / 14), 0], `after ${turns} turns`);
    }
  });
}

for (const turns of [1, 2, 3, 4, 5]) {
  Deno.test(`order: edits and a flush while a peek applies what is pending, after ${turns} turns`, async () => {
    const lazyThreshold = { error: 1e-6 };
    await using engine = await createEngine({ ...OPTIONS, lazyThreshold, onThreshold: "patch" }, {
      wrap: slow,
    });
    engine.setValue(0, [2]);
    const peeked = engine.peek();
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
    engine.setValue(0, [4]);
    const flushed = engine.flush();
    engine.setValue(0, [6]);
    const { output, pending } = await peeked;
    assertEquals([output.data[0], pending], [1, 0]);
    await flushed;
    assertEquals(engine.stats().pending, 1);
    assertEquals(await engine.readEntry(0, 0), 3);
  });
}

for (const turns of [0, 1, 2, 3, 4, 5]) {
  Deno.test(`order: edits that are undone while a peek applies them, after ${turns} turns`, async () => {
    const lazyThreshold = { error: 1e-6 };
    await using engine = await createEngine({ ...OPTIONS, lazyThreshold, onThreshold: "patch" }, {
      wrap: slow,
    });
    engine.setValue(0, [2]);
    engine.delete(1);
    const inserted = engine.insert([0], [4]);
    const third = engine.insert([0], [8]);
    assertEquals([inserted, third], [1, 2]);
    const peeked = engine.peek();
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
    engine.setValue(0, [0]);
    engine.delete(third);
    engine.setValue(inserted, [0]);
    assertEquals((await peeked).pending, 0);
    assertEquals(await engine.readEntry(0, 0), 0);
    assertEquals([...await engine.weights(0)], [0.5, 0.5, 0]);
    await engine.flush();
    const { keyCount, pending, edits, coalesced } = engine.stats();
    assertEquals([keyCount, pending, edits], [2, 0, 7]);
    assertEquals(coalesced >= 0, true);
  });
}

Deno.test("order: what is returned belongs to the caller", async () => {
  await using engine = await createEngine(OPTIONS);
  const first = await engine.read();
  const weights = await engine.weights(0);
  engine.setValue(0, [10]);
  engine.setKey(1, [3]);
  await engine.rebuild();
  assertEquals([first.data[0], ...weights], [0, 0.5, 0.5]);
  first.data.fill(7);
  assertEquals(await engine.readEntry(0, 0), 5);
});

Deno.test("failure: a failed flush rejects, keeps its edits and is tried again", async () => {
  const { engine, backend } = await failingEngine();
  engine.setValue(0, [2]);
  const slot = engine.insert([0], [4]);
  engine.setQuery(0, [1]);
  backend.fails = () => true;
  const error = await assertRejects(
    () => engine.flush(),
    BackendError,
    "DynamicAttention.flush: backend wasm failed",
  );
  assertEquals((error.cause as Error).message, "device lost");
  assertEquals([engine.stats().pending, engine.stats().applied, engine.stats().epoch], [3, 0, 0]);
  engine.setValue(slot, [7]);
  backend.fails = () => false;
  assertEquals(await engine.readEntry(0, 0), 3);
  assertEquals(engine.stats().applied, 4);
  await engine.dispose();
});

Deno.test("failure: answers that were queued behind a failed flush reject with its error", async () => {
  const { engine, backend } = await failingEngine();
  engine.setValue(0, [2]);
  backend.fails = () => true;
  const flushed = assertRejects(() => engine.flush(), BackendError);
  engine.setValue(0, [8]);
  const read = assertRejects(() => engine.read(), BackendError);
  const later = assertRejects(() => engine.weights(0), BackendError);
  assertStrictEquals(await read, await flushed);
  assertStrictEquals(await later, await flushed);
  backend.fails = () => false;
  assertEquals(await engine.readEntry(0, 0), 4);
  await engine.dispose();
});

Deno.test("failure: one that was not awaited rejects the next read, once", async () => {
  const { engine, backend } = await failingEngine({ lazyThreshold: 1 });
  backend.fails = () => true;
  engine.setValue(0, [2]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  backend.fails = () => false;
  await assertRejects(() => engine.read(), BackendError, "device lost");
  assertEquals(await engine.readEntry(0, 0), 1);
  await engine.dispose();
});

Deno.test("failure: an edit that undoes a failed one leaves nothing to apply", async () => {
  const { engine, backend } = await failingEngine();
  engine.setValue(0, [2]);
  backend.fails = () => true;
  const flushed = assertRejects(() => engine.flush(), BackendError);
  engine.setValue(0, [0]);
  await flushed;
  assertEquals(engine.stats().pending, 0);
  assertEquals(await engine.readEntry(0, 0), 0);
  await engine.dispose();
});

Deno.test("failure: a read that fails loses nothing", async () => {
  const { engine, backend } = await failingEngine();
  engine.setValue(0, [2]);
  backend.failsToRead = () => true;
  await assertRejects(
    () => engine.read(),
    BackendError,
    "DynamicAttention.read: backend wasm failed (device lost)",
  );
  backend.failsToRead = () => false;
  assertEquals(await engine.readEntry(0, 0), 1);
  await engine.dispose();
});

Deno.test("dispose: waits for what was asked, then refuses, twice without harm", async () => {
  const engine = await createEngine({ ...OPTIONS, lazyThreshold: 1 }, { wrap: slow });
  engine.setValue(0, [2]);
  const answer = engine.readEntry(0, 0);
  await Promise.all([engine.dispose(), engine.dispose()]);
  assertEquals(await answer, 1);
  assertThrows(
    () => engine.setValue(0, [3]),
    DisposedError,
    "DynamicAttention.setValue: the engine is disposed",
  );
  await assertRejects(() => engine.read(), DisposedError);
});
