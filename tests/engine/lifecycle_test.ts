// Once an engine is being disposed nothing of it runs that was not asked before: no flush of its own, no late
// batch, no worker. The memory that it gives back belongs to the next engine.

import { DisposedError, DynamicAttention, type DynamicAttentionOptions } from "../../mod.ts";
import type { Backend, Changes, Cohort } from "../../src/backends/backend.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { assertEquals, assertRejects } from "../../testing/assert.ts";
import { BACKENDS } from "../backends_here.ts";
import { Wrapped } from "../../testing/fake_backends.ts";

function rows(count: number, width: number): number[][] {
  return Array.from({ length: count }, (_, i) => Array.from({ length: width }, (_, c) => i + c / 10));
}

/** An engine that flushes by itself at each edit. */
function eagerOptions(onThreshold: "auto" | "patch" | "rebuild"): DynamicAttentionOptions {
  return {
    query: rows(4, 18),
    key: rows(5, 18),
    value: rows(5, 30),
    heads: 6,
    lazyThreshold: 1,
    onThreshold,
  };
}

/** Reaches the threshold twice: the second flush is due when the first one ends. */
function editTwice(live: DynamicAttention): void {
  live.setValue(0, Array(30).fill(1000));
  live.setQuery(0, Array(18).fill(7));
}

for (const backend of BACKENDS) {
  for (const onThreshold of ["auto", "patch", "rebuild"] as const) {
    Deno.test(`lifecycle: the next engine on ${backend} is untouched by one that flushed with "${onThreshold}"`, async () => {
      for (let round = 0; round < (backend === "webgpu" ? 2 : 20); round++) {
        const first = await DynamicAttention.create({ ...eagerOptions(onThreshold), backend });
        editTwice(first);
        await first.dispose();
        await using second = await DynamicAttention.create({
          query: [[0, 0, 0]],
          key: [[1, 0, 0], [0, 1, 0]],
          value: [Array(5).fill(10), Array(5).fill(30)],
          backend,
        });
        assertEquals([...(await second.read()).data], Array(5).fill(20));
      }
    });
  }
}

/** Notes what is asked of it, and when it was disposed. */
class Witness extends Wrapped {
  readonly calls: string[] = [];
  override async store(changes: Changes, retained: Uint32Array, dropped: Uint32Array): Promise<void> {
    this.calls.push("store");
    await super.store(changes, retained, dropped);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  override update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> | null {
    this.calls.push("update");
    return super.update(build, patch);
  }
  override dispose(): Promise<void> {
    this.calls.push("dispose");
    return super.dispose();
  }
}

for (const onThreshold of ["auto", "patch", "rebuild"] as const) {
  for (const waits of [0, 1, 5]) {
    Deno.test(`lifecycle: dispose ${waits} ticks after an edit is the last thing a backend hears, "${onThreshold}"`, async () => {
      let witness: Witness | undefined;
      const live = await createEngine(
        { ...eagerOptions(onThreshold), backend: "array" },
        { wrap: (inner: Backend) => witness = new Witness(inner) },
      );
      editTwice(live);
      for (let tick = 0; tick < waits; tick++) await Promise.resolve();
      await live.dispose();
      const heard = witness!.calls.length;
      assertEquals(witness!.calls.at(-1), "dispose");
      for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
      assertEquals(witness!.calls.length, heard);
    });
  }
}

Deno.test("lifecycle: a threshold is not asked any more once dispose was called", async () => {
  let asked = 0, isDisposed = false;
  const live = await DynamicAttention.create({
    ...eagerOptions("patch"),
    lazyThreshold: () => {
      if (isDisposed) asked++;
      return true;
    },
  });
  editTwice(live);
  isDisposed = true;
  await live.dispose();
  assertEquals(asked, 0);
});

Deno.test("lifecycle: what was asked before dispose is answered, what is asked after it is not", async () => {
  const live = await DynamicAttention.create(eagerOptions("patch"));
  editTwice(live);
  const before = live.read();
  const disposed = live.dispose();
  await assertRejects(() => live.read(), DisposedError);
  await disposed;
  assertEquals((await before).shape, [4, 30]);
});
