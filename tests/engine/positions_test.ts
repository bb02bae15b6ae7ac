// Positions that change: what an engine answers is what the oracle says of the rows where they lie now.

import { DynamicAttention, InputError, SlotError } from "../../mod.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import { assert, assertEquals, assertLessOrEqual, assertThrows } from "../../testing/assert.ts";
import { as } from "../../testing/bad_calls.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { BACKENDS } from "../backends_here.ts";

const D = 3;

interface Row {
  readonly row: Float32Array;
  readonly value: Float32Array;
  position: number;
}

/** What an engine should hold, by slot. */
class PlacedModel {
  readonly keys = new Map<number, Row>();
  readonly queries = new Map<number, Row>();

  truth() {
    const keys = [...this.keys.values()], queries = [...this.queries.values()];
    return {
      query: queries.map(({ row }) => row),
      key: keys.map(({ row }) => row),
      value: keys.map(({ value }) => value),
      scale: 1 / Math.sqrt(D),
      valueDim: D,
      bias: (i: number, j: number) => {
        const ahead = keys[j].position - queries[i].position;
        return ahead <= 0 && ahead >= -6 ? 0 : -Infinity;
      },
    };
  }
}

const make = (random: Random, position: number): Row => ({
  row: random.row(D),
  value: random.row(D),
  position,
});

for (const backend of BACKENDS) {
  Deno.test(`positions, ${backend}: rows that move are where they were moved to`, async () => {
    for (let seed = 1; seed <= (IS_LONG ? 12 : 3); seed++) {
      const random = new Random(seed), model = new PlacedModel();
      for (let slot = 0; slot < 12; slot++) model.keys.set(slot, make(random, slot));
      for (let slot = 0; slot < 4; slot++) model.queries.set(slot, make(random, 3 * slot));
      const rows = (of: Map<number, Row>, field: "row" | "value") =>
        [...of.values()].map((row) => row[field]);
      await using live = await DynamicAttention.create({
        query: rows(model.queries, "row"),
        key: rows(model.keys, "row"),
        value: rows(model.keys, "value"),
        queryPositions: [0, 3, 6, 9],
        causal: true,
        window: [6, 0],
        lazyThreshold: 1 + random.below(20),
        backend,
      });
      for (let turn = 0; turn < 60; turn++) {
        move(live, model, random);
        if (random.below(3) > 0) continue;
        const { output, bounds } = await live.peek(undefined, { bounds: true });
        const exact = await live.read();
        assertAccurate(exact, model.truth());
        bounds.forEach((bound, i) => {
          const distance = Math.hypot(
            ...Array.from({ length: D }, (_, c) => exact.data[i * D + c] - output.data[i * D + c]),
          );
          assertLessOrEqual(distance, bound * (1 + 1e-6) + 1e-6);
        });
      }
    }
  });
}

/** One move of both. */
function move(live: DynamicAttention, model: PlacedModel, random: Random): void {
  const slot = random.pick([...model.keys.keys()]), query = random.pick([...model.queries.keys()]);
  const position = random.below(16) - 2;
  const kind = random.below(6);
  if (kind === 0) {
    live.setPosition(slot, position);
    model.keys.get(slot)!.position = position;
  } else if (kind === 1) {
    live.setQueryPosition(query, position);
    model.queries.get(query)!.position = position;
  } else if (kind === 2) {
    const [by, from, to] = [random.below(7) - 3, random.below(10), random.below(10) + 5];
    const all = [...model.keys.values(), ...model.queries.values()];
    const moved = all.filter(({ position }) => from <= position && position < to);
    assertEquals(live.shiftPositions(by, { from, to }), moved.length);
    for (const row of moved) row.position += by;
  } else if (kind === 3) {
    // Together with another edit of the row, and taken back when the batch is refused.
    const { row, value } = make(random, position);
    assertThrows(() =>
      live.edit([
        { kind: "setPosition", slot, position: 99 },
        { kind: "setQueryPosition", slot: query, position: 99 },
        { kind: "delete", slot: 5000 },
      ]), SlotError);
    live.edit([{ kind: "set", slot, key: row, value }, { kind: "setPosition", slot, position }]);
    model.keys.set(slot, { row, value, position });
  } else if (kind === 4 && model.keys.size > 4) {
    live.delete(slot);
    model.keys.delete(slot);
    const row = make(random, position);
    const taken = live.insert(row.row, row.value, { position });
    // In the order of slots, as the engine's rows are.
    model.keys.set(taken, row);
  } else {
    live.setPosition(slot, position);
    live.setPosition(slot, model.keys.get(slot)!.position);
  }
  assertEquals(live.getPosition(slot), model.keys.get(slot)!.position);
  assertEquals(live.getQueryPosition(query), model.queries.get(query)!.position);
}

Deno.test("a shift of everything leaves the answers, and rows to come follow", async () => {
  const random = new Random(8);
  const options = {
    query: random.rows(2, D),
    queryPositions: [9, 9],
    key: random.rows(10, D),
    value: random.rows(10, D),
  };
  await using live = await DynamicAttention.create({ ...options, causal: true, window: [4, 0] });
  const before = await live.read();
  assertEquals(live.shiftPositions(-7), 12);
  assertEquals(await live.read(), before);
  const slot = live.insert(random.row(D), random.row(D)), query = live.insertQuery(random.row(D));
  assertEquals([live.getPosition(slot), live.getQueryPosition(query)], [3, 3]);
  await using again = await DynamicAttention.load(await live.save());
  assertEquals(again.insert(random.row(D), random.row(D)), 11);
  assertEquals(again.getPosition(11), 4);
  assertEquals(live.shiftPositions(5, { from: 100 }), 0);
});

Deno.test("a move costs what moves: no row is built that need not be", async () => {
  const random = new Random(9), n = 512;
  await using live = await DynamicAttention.create({
    query: random.rows(1, D),
    queryPositions: [n],
    key: random.rows(n, D),
    value: random.rows(n, D),
    causal: true,
    backend: "array",
  });
  const { multiplyAdds } = live.stats();
  live.setPosition(7, 3.5);
  live.setPosition(7, 7);
  assertEquals(live.stats().pending, 0);
  live.setPosition(7, n + 5);
  await live.read();
  const { multiplyAdds: after, rowsBuilt } = live.stats();
  assert(after - multiplyAdds < 20 * D, `${after - multiplyAdds}`);
  assertEquals(rowsBuilt, 1);
});

Deno.test("where nothing looks at positions, they are 0 and moves do nothing", async () => {
  await using live = await DynamicAttention.create({
    query: [[1]],
    key: [[1], [2]],
    value: [[1], [2]],
    keyIds: ["a", "b"],
  });
  live.setPosition("a", 7);
  live.setQueryPosition(0, 7);
  assertEquals([live.getPosition("a"), live.shiftPositions(3), live.stats().pending], [0, 0, 0]);
});

Deno.test("a shift is refused that leaves no position for rows to come", async () => {
  await using live = await DynamicAttention.create({ query: [[1]], key: [[1]], value: [[1]], causal: true });
  live.delete(live.insert([1], [1], { position: 1e308 }));
  assertThrows(
    () => live.shiftPositions(1e308),
    InputError,
    "the position of rows to come would become Infinity",
  );
  assertEquals([live.getPosition(0), live.getPosition(live.insert([1], [1]))], [0, 1e308]);
});

Deno.test("an engine whose rows have moved to between whole positions is saved and loaded", async () => {
  await using live = await DynamicAttention.create({
    query: [[1]],
    key: [[1], [2], [3]],
    value: [[1], [2], [3]],
    causal: true,
    backend: "array",
  });
  live.setPosition(1, 2.5);
  live.setQueryPosition(0, 0.25);
  await using again = await DynamicAttention.load(await live.save());
  for (const engine of [live, again]) {
    assertEquals(engine.getPosition(engine.insert([1], [1])), 3.5);
    assertEquals(engine.getQueryPosition(engine.insertQuery([1])), 1.25);
  }
});

Deno.test("bad positions and ranges are refused, and nothing changes", async () => {
  await using live = await DynamicAttention.create({
    query: [[1]],
    key: [[1], [2]],
    value: [[1], [2]],
    causal: true,
  });
  assertThrows(
    () => live.setPosition(0, NaN),
    InputError,
    "setPosition: position is NaN, expected a finite number",
  );
  assertThrows(
    () => live.setPosition(0, as(undefined)),
    InputError,
    "position is undefined, expected a finite number",
  );
  assertThrows(() => live.setPosition(2, 1), SlotError, "key slot 2 is not live");
  assertThrows(() => live.setQueryPosition(1, 1), SlotError, "query slot 1 is not live");
  assertThrows(() => live.getPosition(2), SlotError);
  assertThrows(() => live.shiftPositions(Infinity), InputError, "by is Infinity, expected a finite number");
  assertThrows(() => live.shiftPositions(1, { from: NaN }), InputError, "from is NaN, expected a number");
  assertThrows(() => live.shiftPositions(1, as({ first: 1 })), InputError, 'option "first" is unknown');
  live.setPosition(0, 1e308);
  assertThrows(() => live.shiftPositions(1e308), InputError, "position 1e+308 would become Infinity");
  assertEquals([live.getPosition(0), live.getPosition(1), live.sequence], [1e308, 1, 1]);
  // Rows to come go on behind one that was far away.
  live.setPosition(0, 0);
  assertThrows(
    () => live.shiftPositions(1.7e308),
    InputError,
    "the position of rows to come would become Infinity",
  );
  live.insert([1], [1], { position: 3 });
  await using again = await DynamicAttention.load(await live.save());
  assertEquals(again.getPosition(again.insert([1], [1])), 1e308);
});
