// After a row was deleted, no number of it, of its state of the optimizer, or derived from these alone is
// left: not in what `save` writes, and not in any array that the learner still holds.

import { type BackendName, DynamicAttention } from "../../mod.ts";
import { adagrad, adam, OnlineLearner, type Optimizer } from "../../src/learning/mod.ts";
import { RowStates } from "../../src/learning/row_states.ts";
import { SlotTable } from "../../src/write/slot_table.ts";
import { decodeTensors } from "../../src/store/safetensors.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { arraysHeldAfter } from "../../testing/held_arrays.ts";
import { Random } from "../../testing/random.ts";

/** Backends whose own states keep nothing of a row that was deleted. */
const BACKENDS_THAT_FORGET: readonly BackendName[] = ["array", "wasm"];

/** How a number might be left: itself, its half, its square and its root, in both precisions. */
function tracesOf(number: number): Uint8Array[] {
  const forms = [number, -number, number / 2, number * 2, number ** 2, Math.sqrt(Math.abs(number))];
  return forms.flatMap((form) => [
    new Uint8Array(Float64Array.of(form).buffer),
    new Uint8Array(Float32Array.of(form).buffer),
  ]);
}

/** Whether bytes hold one of some traces, at any offset. */
function holds(bytes: Uint8Array, traces: readonly Uint8Array[]): boolean {
  const byFirst = new Map<number, Uint8Array[]>();
  for (const trace of traces) {
    // A trace of zeros, of a number that underflows, is everywhere.
    if (trace.every((byte) => byte === 0)) continue;
    const word = new DataView(trace.buffer).getUint32(0, true);
    byFirst.set(word, [...byFirst.get(word) ?? [], trace]);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 4 <= bytes.length; at++) {
    for (const trace of byFirst.get(view.getUint32(at, true)) ?? []) {
      if (trace.every((byte, i) => bytes[at + i] === byte)) return true;
    }
  }
  return false;
}

const OPTIMIZERS: readonly Optimizer[] = [adagrad(), adam(), adam({ clip: 0.5, weightDecay: 0.01 })];
const LEFT = 1;

for (const backend of BACKENDS_THAT_FORGET) {
  for (const optimizer of OPTIMIZERS) {
    for (const way of ["forget", "delete"] as const) {
      Deno.test(`a file says nothing of a deleted row: ${backend}, ${optimizer.name}, ${way}`, async () => {
        const random = new Random(17);
        // The row to go has the largest numbers, which maxima would remember.
        const rows = (count: number, width: number) =>
          random.rows(count, width).map((row, slot) => slot === LEFT ? row.map((x) => 9 * x) : row);
        await using live = await DynamicAttention.create({
          query: rows(3, 4),
          key: rows(5, 4),
          value: rows(5, 3),
          backend,
        });
        const learner = new OnlineLearner(live, { optimizer, rate: 0.1 });
        for (let at = 0; at < 6; at++) await learner.learnOne({ query: at % 3 }, [...random.row(3)]);
        const before = await learner.save();
        const { tensors } = decodeTensors("test", before);
        const stateOf = (kind: string, slot: number) => {
          const { data, shape: [, length] } = tensors[`${kind}.states`];
          const at = tensors[`${kind}.slots`].data.indexOf(slot);
          return data.subarray(at * length, (at + 1) * length) as Float64Array;
        };
        const numbers = [
          ...live.getQuery(LEFT),
          ...live.getKey(LEFT),
          ...live.getValue(LEFT),
          ...stateOf("query", LEFT),
          ...stateOf("key", LEFT),
          ...stateOf("value", LEFT),
          // A count of steps belongs to no row.
        ].filter((number) => !Number.isInteger(number));
        const traces = numbers.flatMap(tracesOf);
        assert(holds(before, traces), "the search finds what is there");
        if (way === "forget") {
          await learner.forgetQuery(LEFT);
          await learner.forgetKey(LEFT);
        } else {
          live.deleteQuery(LEFT);
          live.delete(LEFT);
        }
        await live.flush();
        assertEquals(holds(await learner.save(), traces), false);
      });
    }
  }
}

Deno.test("states of rows that an edit deletes are gone, those of a refused batch are not", async () => {
  await using live = await DynamicAttention.create({
    query: [[1], [2]],
    key: [[1], [2], [3]],
    value: [[1], [2], [3]],
  });
  const learner = new OnlineLearner(live, { optimizer: adagrad() });
  await learner.learnOne({ query: 0 }, 5);
  const counts = () => {
    const { keyStates, valueStates, queryStates } = learner.stats();
    return [keyStates, valueStates, queryStates];
  };
  assertEquals(counts(), [3, 3, 1]);
  const before = await learner.save();
  try {
    live.edit([{ kind: "delete", slot: 0 }, { kind: "deleteQuery", slot: 0 }, {
      kind: "setKey",
      slot: 0,
      key: [1],
    }]);
  } catch {
    assertEquals(await learner.save(), before);
  }
  assertEquals(counts(), [3, 3, 1]);
  live.edit([{ kind: "delete", slot: 0 }, { kind: "insert", key: [1], value: [1] }]);
  assertEquals(counts(), [2, 2, 1]);
  live.deleteQuery(0);
  assertEquals(counts(), [2, 2, 0]);
});

Deno.test("the arrays of states are overwritten, even if something else refers to them", () => {
  const held: Float64Array[] = [];
  const { set } = Map.prototype;
  const slots = new SlotTable(new Float64Array(3));
  const states = new RowStates(2, slots);
  try {
    Map.prototype.set = function (key: unknown, value: unknown) {
      if (value instanceof Float64Array) held.push(value);
      return set.call(this, key, value);
    };
    states.put(0, Float64Array.of(1.25, 2.5));
    states.put(1, Float64Array.of(3.75, 4.5));
    states.put(1, Float64Array.of(5.5, 6.5));
  } finally {
    Map.prototype.set = set;
  }
  assertEquals(
    held.map((array) => [...array]),
    [[1.25, 2.5], [5.5, 6.5]],
    "in place, so that no older one is left",
  );
  slots.release(1);
  assertEquals(held.map((array) => [...array]), [[1.25, 2.5], [0, 0]]);
  assertEquals([states.count, ...states.copyOf(1)], [1, 0, 0]);
});

Deno.test("no array that a learner still holds has a number of a deleted row or of its state", async () => {
  for (const optimizer of OPTIMIZERS) {
    const random = new Random(23);
    const traces: Uint8Array[] = [];
    const use = async (forgets: boolean) => {
      const live = await DynamicAttention.create({
        query: random.rows(3, 4),
        key: random.rows(5, 4),
        value: random.rows(5, 3),
        backend: "array",
      });
      const learner = new OnlineLearner(live, { optimizer, rate: 0.1 });
      for (let at = 0; at < 6; at++) await learner.learnOne({ query: at % 3 }, [...random.row(3)]);
      const { tensors } = decodeTensors("test", await learner.save());
      const { data, shape: [, length] } = tensors["query.states"];
      const numbers = [...live.getQuery(LEFT), ...data.subarray(LEFT * length, (LEFT + 1) * length)];
      traces.push(...numbers.filter((number) => !Number.isInteger(number)).flatMap(tracesOf));
      if (forgets) await learner.forgetQuery(LEFT);
      await live.flush();
      return { live, learner };
    };
    for (const forgets of [false, true]) {
      const { kept, held } = await arraysHeldAfter(
        () => use(forgets),
        (path) => path.includes("/src/learning/"),
      );
      const found = held.filter(({ buffer, byteOffset, byteLength }) => {
        return holds(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength), traces);
      });
      assertEquals(found.length, forgets ? 0 : 1, `${optimizer.name}: ${held.length} arrays are held`);
      assert(held.length > 10, "the states of the others");
      await kept.live.dispose();
      traces.length = 0;
    }
  }
});
