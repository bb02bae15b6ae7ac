// Memory that is refused: an answer fails when what it is of does not fit, and only then. What fails is told
// to the one who asked for it, nothing is lost, and as soon as enough was deleted everything answers again.

import { CapacityError, type DynamicAttention, type FlushPolicy } from "../../mod.ts";
import type { Backend, Changes } from "../../src/backends/backend.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { assert, assertEquals, assertInstanceOf, assertMatch } from "../../testing/assert.ts";
import { SlowBackend } from "../../testing/fake_backends.ts";
import { Random } from "../../testing/random.ts";

const MOST_KEYS = 10;

/** Refuses to hold more than so many keys, before it has changed anything. */
class SmallBackend extends SlowBackend {
  readonly #live = new Set<number>();

  override async store(changes: Changes, retained: Uint32Array, dropped: Uint32Array): Promise<void> {
    const after = new Set(this.#live);
    const { slots, live } = changes.keys;
    slots.forEach((slot, t) => live[t] === 1 ? after.add(slot) : after.delete(slot));
    if (after.size > MOST_KEYS) {
      throw new CapacityError("array", `${after.size} keys`, 8 * after.size, new RangeError("refused"));
    }
    await super.store(changes, retained, dropped);
    this.#live.clear();
    for (const slot of after) this.#live.add(slot);
  }
}

function make(lazyThreshold: number, onThreshold: FlushPolicy = "auto"): Promise<DynamicAttention> {
  const wrap = (inner: Backend) => new SmallBackend(inner);
  // All keys weigh the same: an answer is the mean of the values.
  const options = { query: [[0]], key: [[1]], value: [[1]], backend: "array" } as const;
  return createEngine({ ...options, lazyThreshold, onThreshold }, { wrap });
}

/** Lets what runs by itself go on for some turns of the event loop; by 3 what was asked at once has begun. */
async function turns(count = 3): Promise<void> {
  for (; count > 0; count--) await new Promise((resolve) => setTimeout(resolve, 0));
}

for (const lazyThreshold of [1, 4, Infinity]) {
  for (const waits of [false, true]) {
    const when = waits ? "after a while" : "at once";
    Deno.test(`refused memory: the surplus is deleted ${when}, threshold ${lazyThreshold}`, async () => {
      await using live = await make(lazyThreshold);
      const slots: number[] = [];
      for (let value = 2; value <= 20; value++) slots.push(live.insert([1], [value]));
      if (waits) await turns();
      const refusal = await live.read().catch((error) => error);
      assertInstanceOf(refusal, CapacityError);
      // Whichever call came upon it, it is told as one of the caller's.
      assertMatch(refusal.message, /^DynamicAttention\.\w+: \d+ keys would take/);
      assertInstanceOf(
        await live.read().catch((error) => error),
        CapacityError,
        "it fits no more than before",
      );
      for (const slot of slots.slice(9)) live.delete(slot);
      if (waits) await turns();
      assertEquals([...(await live.read()).data], [5.5]);
      assertEquals([...(await live.peek()).output.data], [5.5]);
      const { pending, applied, edits } = live.stats();
      assertEquals([pending, applied], [0, edits]);
      live.setValue(0, [1.5]);
      assert(live.stats().applied >= edits, "what was stored at last is all that was written by then");
    });
  }
}

Deno.test("refused memory: edits go on whenever an answer was refused, and none is lost", async () => {
  await using live = await make(Infinity);
  const values = [1];
  for (let value = 2; value <= 40; value++) {
    assertEquals(live.insert([1], [value]), value - 1);
    live.setValue(value - 2, [value + 50]);
    values[value - 2] = value + 50;
    values.push(value);
    if (values.length <= MOST_KEYS) continue;
    assertInstanceOf(await live.read().catch((error) => error), CapacityError);
    live.setValue(value - 2, [value + 60]);
    live.setValue(value - 2, [value + 50]);
    assertEquals(Array.from(live.keySlots(), (slot) => live.getValue(slot)[0]), values);
  }
  for (const slot of live.keySlots().slice(0, -4)) live.delete(slot);
  assertEquals([...(await live.read()).data], [(90 - 1 + 90 - 2 + 90 + 40) / 4]);
});

for (const onThreshold of ["auto", "patch", "rebuild"] as const) {
  Deno.test(`refused memory: a threshold that was reached holds once there is room, "${onThreshold}"`, async () => {
    // Flushes have not begun, run, or were refused.
    for (const before of [0, 1, 3, 5, 6, 7, 20]) {
      for (const after of [0, 1, 3, 20]) {
        await using live = await make(4, onThreshold);
        const slots: number[] = [];
        for (let value = 2; value <= 13; value++) slots.push(live.insert([1], [value]));
        await turns(before);
        for (const slot of slots.slice(9)) live.delete(slot);
        await turns(after);
        // Five changes or more wait, which no stale answer may miss; the peek itself is the first that is asked.
        const { output, pending } = await live.peek();
        assertEquals([...output.data, pending], [5.5, 0], `${before} turns, ${after} turns`);
      }
    }
  });
}

Deno.test("refused memory: whatever is in flight, an answer fails when what it is of does not fit, and only then", async () => {
  const random = new Random(15);
  let refused = 0, answered = 0;
  for (let turn = 0; turn < 30; turn++) {
    const policy = random.pick(["auto", "patch", "rebuild"] as const);
    await using live = await make(random.pick([1, 2, 5, Infinity]), policy);
    const values = new Map([[0, 1]]);
    const answers: Promise<void>[] = [];
    for (let step = 0; step < 40; step++) {
      const slots = [...values.keys()];
      const what = random.below(9) - 1;
      if (what < 3 || slots.length === 0) {
        const value = 1 + random.below(50);
        values.set(live.insert([1], [value]), value);
      } else if (what < 5) {
        const slot = random.pick(slots);
        values.delete(slot);
        live.delete(slot);
      } else if (what === 5) {
        const slot = random.pick(slots), value = 1 + random.below(50);
        live.setValue(slot, [value]);
        values.set(slot, value);
        for (const [slot, value] of values) {
          assertEquals([live.getKey(slot)[0], live.getValue(slot)[0]], [1, value]);
        }
        if (random.below(2) === 0) await turns();
      } else {
        const fits = values.size <= MOST_KEYS;
        const mean = [...values.values()].reduce((a, b) => a + b, 0) / Math.max(1, values.size);
        answers.push(
          live.read().then(({ data }) => {
            assert(fits, `an answer of ${values.size} keys`);
            assert(Math.abs(data[0] - mean) <= 1e-5 * mean, `${data[0]}, ${mean}`);
            answered++;
          }, (error) => {
            assertInstanceOf(error, CapacityError);
            assert(!fits, `${error.message}, but it was to be of what fits`);
            refused++;
          }),
        );
      }
    }
    await Promise.all(answers);
    for (const slot of [...values.keys()].slice(MOST_KEYS)) {
      live.delete(slot);
      values.delete(slot);
    }
    const mean = [...values.values()].reduce((a, b) => a + b, 0) / Math.max(1, values.size);
    const [last] = (await live.read()).data;
    assert(Math.abs(last - mean) <= 1e-5 * mean, `${last}, ${mean}`);
    assertEquals([...live.keySlots()], [...values.keys()].sort((a, b) => a - b));
    for (const [slot, value] of values) assertEquals(live.getValue(slot)[0], value);
    assertEquals(live.stats().applied, live.stats().edits);
  }
  assert(refused > 10 && answered > 50, `${refused} refused and ${answered} answered`);
});
