// Two engines that must not be told apart: the same edits are performed on both, and every answer of one is
// compared with the other's to the last bit.

import { AttentionError, type DynamicAttention, type Edit, type Matrix } from "../mod.ts";
import { assertEquals } from "./assert.ts";
import type { MemoryModel } from "./memory_model.ts";
import { call, type EditMaker, takeSlot } from "./model_edits.ts";
import type { Random } from "./random.ts";

/** An engine that was saved, and one that was loaded. */
export interface Twins {
  readonly saved: DynamicAttention;
  readonly loaded: DynamicAttention;
  readonly model: MemoryModel;
  /** Batches that the saved engine had applied when it was saved; the loaded one counts from 0. */
  readonly epoch: number;
}

/** Performs an edit on the model and on some engines, which must give the same slot. */
export function editAll(make: EditMaker, model: MemoryModel, engines: readonly DynamicAttention[]): void {
  const edit: Edit | null = make(model);
  if (!edit) return;
  const slots = engines.map((engine) => call(engine, edit));
  assertEquals(slots, engines.map(() => slots[0]));
  takeSlot(model, edit, slots[0]);
}

/** The bytes of numbers, which also tell 0 from −0. */
export function bitsOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function assertSameMatrix(actual: Matrix, expected: Matrix, what: string): void {
  assertEquals(actual.shape, expected.shape, what);
  assertEquals(bitsOf(actual.data), bitsOf(expected.data), what);
}

/** Asks both at once, so that neither gets ahead of the other. */
function both<T>(
  twins: Pick<Twins, "saved" | "loaded">,
  ask: (engine: DynamicAttention) => Promise<T>,
): Promise<[T, T]> {
  return Promise.all([ask(twins.saved), ask(twins.loaded)]);
}

/** One question, and the comparison of what the twins answer. */
export async function askBoth(twins: Twins, random: Random): Promise<void> {
  const { model } = twins;
  const { heads, headDim, valueDim, maskOf } = model.rule;
  const slots = model.querySlots;
  const rows = random.below(2) === 0 ? undefined : slots.filter(() => random.below(2) === 0);
  const question = random.below(slots.length > 0 ? 8 : 5);
  if (question === 0) {
    const [expected, actual] = await both(twins, (engine) => engine.read(rows));
    assertSameMatrix(actual, expected, "read");
  } else if (question === 1) {
    const [expected, actual] = await both(twins, (engine) => engine.logSumExp(rows));
    assertSameMatrix(actual, expected, "logSumExp");
  } else if (question === 2) {
    const [expected, actual] = await both(twins, (engine) => engine.peek(rows));
    assertSameMatrix(actual.output, expected.output, "peek");
    assertEquals(bitsOf(actual.bounds), bitsOf(expected.bounds), "bounds");
    assertEquals([actual.pending, actual.epoch], [expected.pending, expected.epoch - twins.epoch], "peek");
  } else if (question === 3) {
    await both(twins, (engine) => engine.flush());
  } else if (question === 4) {
    if (maskOf) return;
    const queries = random.rows(2, heads * headDim);
    const [expected, actual] = await both(twins, (engine) => engine.attend(queries));
    assertSameMatrix(actual, expected, "attend");
  } else if (question === 5) {
    const slot = random.pick(slots), head = random.below(heads);
    const [expected, actual] = await both(twins, (engine) => engine.weights(slot, { head }));
    assertEquals(bitsOf(actual), bitsOf(expected), "weights");
  } else if (question === 6) {
    const slot = random.pick(slots), head = random.below(heads);
    const [expected, actual] = await both(twins, (engine) => engine.topKeys(slot, 3, { head }));
    assertEquals(actual, expected, "topKeys");
  } else {
    const slot = random.pick(slots), column = random.below(heads * valueDim);
    const [expected, actual] = await both(twins, (engine) => engine.readEntry(slot, column));
    assertEquals(bitsOf(Float64Array.of(actual)), bitsOf(Float64Array.of(expected)), "readEntry");
  }
}

/** Everything at once, and what both would save. */
export async function assertSame(twins: Pick<Twins, "saved" | "loaded">): Promise<void> {
  for (
    const ask of [
      (engine: DynamicAttention) => engine.read(),
      (engine: DynamicAttention) => engine.logSumExp(),
    ]
  ) {
    const [expected, actual] = await both(twins, ask);
    assertSameMatrix(actual, expected, "in the end");
  }
  const [expected, actual] = await both(twins, (engine) => engine.save());
  assertEquals(actual, expected, "the files of both");
}

/** Uses an engine of which nothing is known; what it throws must be an error of the library. */
export async function exercise(engine: DynamicAttention, random: Random): Promise<void> {
  const { heads, kvHeads, headDim, valueDim } = engine.stats();
  const tryTo = async (use: () => unknown) => {
    try {
      await use();
    } catch (error) {
      if (!(error instanceof AttentionError)) throw error;
    }
  };
  const key = random.row(kvHeads * headDim), value = random.row(kvHeads * valueDim);
  await tryTo(() => engine.read());
  await tryTo(() => engine.insert(key, value));
  for (let slot = 0; slot < 6; slot++) {
    await tryTo(() => engine.set(slot, key, value));
    await tryTo(() => engine.weights(slot));
    await tryTo(() => engine.peek());
    await tryTo(() => engine.delete(slot));
    await tryTo(() => engine.setQuery(slot, random.row(heads * headDim)));
    await tryTo(() => engine.logSumExp());
  }
  await tryTo(() => engine.insertQuery(random.row(heads * headDim)));
  await tryTo(() => engine.read());
  await tryTo(() => engine.rebuild());
  await tryTo(() => engine.save());
}
