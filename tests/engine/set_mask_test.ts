// A mask that is edited: what an engine answers is what the oracle says of the mask as it is now.

import { DynamicAttention, InputError } from "../../mod.ts";
import { attentionGradients } from "../../src/learning/mod.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import {
  assert,
  assertEquals,
  assertLessOrEqual,
  assertRejects,
  assertThrows,
} from "../../testing/assert.ts";
import { as } from "../../testing/bad_calls.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { BACKENDS } from "../backends_here.ts";

const D = 2, HEADS = 2, WIDTH = D * HEADS, M = 4, N = 9;

interface Row {
  row: Float32Array;
  value: Float32Array;
}

/** Rows by slot and a mask by head, query slot and key slot. */
class MaskedModel {
  readonly keys = new Map<number, Row>();
  readonly queries = new Map<number, Float32Array>();
  readonly mask: number[][][];

  constructor(mask: number[][][]) {
    this.mask = mask;
  }

  truth(querySlots: readonly number[]) {
    const slots = [...this.keys.keys()], keys = [...this.keys.values()];
    return {
      query: querySlots.map((slot) => this.queries.get(slot)!),
      key: keys.map(({ row }) => row),
      value: keys.map(({ value }) => value),
      scale: 1 / Math.sqrt(D),
      valueDim: D,
      heads: HEADS,
      bias: (i: number, j: number, h: number) =>
        this.mask[this.mask.length === 1 ? 0 : h][querySlots[i]][slots[j]],
    };
  }
}

const entryOf = (random: Random) => random.pick([0, -Infinity, 1.5, -2, 0.25]);
const some = <T>(random: Random, items: readonly T[]) => items.filter(() => random.below(2) === 0);

for (const backend of BACKENDS) {
  for (const matrices of [1, HEADS]) {
    Deno.test(`setMask, ${backend}, ${matrices} matrices: answers follow, exact and stale`, async () => {
      for (let seed = 1; seed <= (IS_LONG ? 12 : 2); seed++) {
        await runStream(new Random(100 * matrices + seed), backend, matrices);
      }
    });
  }
}

async function runStream(random: Random, backend: typeof BACKENDS[number], matrices: number): Promise<void> {
  const list = <T>(count: number, make: () => T) => Array.from({ length: count }, make);
  const model = new MaskedModel(list(matrices, () => list(M, () => list(N, () => entryOf(random)))));
  for (let slot = 0; slot < N; slot++) {
    model.keys.set(slot, { row: random.row(WIDTH), value: random.row(WIDTH) });
  }
  for (let slot = 0; slot < M; slot++) model.queries.set(slot, random.row(WIDTH));
  const given = model.mask.map((matrix) => matrix.map((row) => [...row]));
  const live = await DynamicAttention.create({
    query: [...model.queries.values()],
    key: [...model.keys.values()].map(({ row }) => row),
    value: [...model.keys.values()].map(({ value }) => value),
    heads: HEADS,
    mask: matrices === 1 ? given[0] : given,
    editableMask: true,
    lazyThreshold: 1 + random.below(20),
    backend,
  });
  try {
    for (let turn = 0; turn < 60; turn++) {
      edit(live, model, random);
      if (random.below(3) > 0) continue;
      const slots = some(random, [...model.queries.keys()]);
      const stale = live.peek(slots), exact = live.read(slots), bytes = live.save();
      const expected = model.truth(slots), mask = model.mask.map((one) => one.map((row) => [...row]));
      // What is edited after the calls is not in their answers.
      const again = edit(live, model, random);
      const { output, bounds } = await stale, { data } = await exact;
      assertAccurate(await exact, { ...expected, bias: biasOf(mask, slots, [...again.keys]) });
      bounds.forEach((bound, i) => {
        const distance = Math.hypot(
          ...Array.from({ length: WIDTH }, (_, c) => data[i * WIDTH + c] - output.data[i * WIDTH + c]),
        );
        assertLessOrEqual(distance, bound * (1 + 1e-6) + 1e-6);
      });
      await using loaded = await DynamicAttention.load(await bytes);
      assertEquals(await loaded.read(slots), await exact);
      loaded.setMask(true, {});
      if (random.below(4) === 0) {
        const moved = random.pick(BACKENDS);
        await live.moveTo(moved);
      }
    }
    await live.rebuild();
    assertAccurate(await live.read(), model.truth([...live.querySlots()]));
  } finally {
    await live.dispose();
  }
}

const biasOf = (mask: number[][][], slots: readonly number[], keys: readonly number[]) => {
  return (i: number, j: number, h: number) => mask[mask.length === 1 ? 0 : h][slots[i]][keys[j]];
};

/** One edit of both; the key slots from before it. */
function edit(
  live: DynamicAttention,
  model: MaskedModel,
  random: Random,
): { readonly keys: readonly number[] } {
  const keys = [...model.keys.keys()], queries = [...model.queries.keys()];
  const kind = random.below(6), slot = random.pick(keys);
  if (kind < 3) {
    const rows = kind === 0 ? undefined : some(random, queries),
      columns = kind === 1 ? undefined : some(random, keys);
    const ofRows = rows ?? [...live.querySlots()], ofColumns = columns ?? [...live.keySlots()];
    const head = model.mask.length === HEADS && random.below(2) === 0 ? random.below(HEADS) : undefined;
    const block = ofRows.map(() => ofColumns.map(() => entryOf(random)));
    const entry = entryOf(random), isSame = random.below(2) === 0 || ofRows.length * ofColumns.length === 0;
    live.setMask(isSame ? entry : block, {
      ...(rows && { queries: rows }),
      ...(columns && { keys: columns }),
      ...(head !== undefined && { head }),
    });
    model.mask.forEach((matrix, h) => {
      if (head !== undefined && h !== head) return;
      ofRows.forEach((i, at) => ofColumns.forEach((j, t) => matrix[i][j] = isSame ? entry : block[at][t]));
    });
  } else if (kind === 3) {
    // Gone and there again, with the mask changed in between.
    const held = model.keys.get(slot)!;
    live.setMask(-1, { keys: [slot] });
    for (const matrix of model.mask) for (const i of queries) matrix[i][slot] = -1;
    live.delete(slot);
    assertEquals(live.insert(held.row, held.value), slot);
  } else {
    const row = random.row(WIDTH), value = random.row(WIDTH);
    live.set(slot, row, value);
    model.keys.set(slot, { row, value });
  }
  return { keys };
}

Deno.test("a change that is taken back is told, and a batch that is refused leaves it", async () => {
  await using live = await DynamicAttention.create({
    query: [[0]],
    key: [[0], [0]],
    value: [[2], [4]],
    mask: [[true, true]],
    editableMask: true,
    lazyThreshold: Infinity,
  });
  live.setMask(false, { keys: [0] });
  assertEquals((await live.read()).data[0], 4);
  live.setMask(true, { keys: [0] });
  assertThrows(
    () => live.edit([{ kind: "setValue", slot: 0, value: [9] }, { kind: "delete", slot: 7 }]),
    InputError,
  );
  const { keys, value } = await attentionGradients(live, [[1]]);
  assertEquals([keys, [...value.data]], [[0, 1], [0.5, 0.5]]);
  assertEquals((await live.read()).data[0], 3);
  assertEquals(live.sequence, 2);
});

Deno.test("a column costs its key, a row its query", async () => {
  const random = new Random(9), m = 32, n = 64;
  const mask = Array.from({ length: m }, () => new Array<number>(n).fill(0));
  const rows = { query: random.rows(m, D), key: random.rows(n, D), value: random.rows(n, D) };
  await using live = await DynamicAttention.create({ ...rows, mask, editableMask: true, backend: "array" });
  const workOf = async (change: () => void) => {
    const { multiplyAdds, rowsBuilt, rowsPatched } = live.stats();
    change();
    await live.read();
    const after = live.stats();
    return [after.rowsBuilt - rowsBuilt, after.rowsPatched - rowsPatched, after.multiplyAdds - multiplyAdds];
  };
  const [built, patched, adds] = await workOf(() => live.setMask(-1, { keys: [5] }));
  assertEquals([built, patched], [0, m]);
  assert(adds < m * 40, `${adds}`);
  assertEquals((await workOf(() => live.setMask(-2, { queries: [5] }))).slice(0, 2), [1, 0]);
});

Deno.test("what does not fit is refused, and nothing changes", async () => {
  const rows = { query: [[1]], key: [[1], [2]], value: [[1], [2]], mask: [[0, 1]] };
  await using live = await DynamicAttention.create({ ...rows, editableMask: true });
  const mistakes: readonly (readonly [() => void, string])[] = [
    [() => live.setMask([[0, 1, 2]]), "entries are 1 × 3, expected 1 × 2 (queries × keys)"],
    [() => live.setMask([[0], [1]], { keys: [0] }), "entries are 2 × 1, expected 1 × 1"],
    [
      () => live.setMask(NaN),
      "entries are NaN, expected a boolean, a finite number of float32 range or −Infinity",
    ],
    [() => live.setMask(as("no")), 'entries are "no"'],
    [() => live.setMask([[0, Infinity]]), "Infinity at index 1"],
    [() => live.setMask(0, { keys: [2] }), "key slot 2 is not live"],
    [() => live.setMask(0, { queries: [1] }), "query slot 1 is not live"],
    [() => live.setMask(0, { head: 1 }), "head is 1, expected an integer from 0 to 0"],
    [() => live.setMask(0, as({ rows: [0] })), 'option "rows" is unknown'],
  ];
  for (const [call, message] of mistakes) assertThrows(call, InputError, message);
  assertEquals([live.sequence, live.stats().pending], [0, 0]);
  await using fixed = await DynamicAttention.create(rows);
  assertThrows(() => fixed.setMask(0), InputError, "the mask is not editable, expected editableMask: true");
  const refused = (options: object) => () => DynamicAttention.create({ ...rows, ...options } as typeof rows);
  await assertRejects(refused({ editableMask: 1 }), InputError, "editableMask is 1, expected a boolean");
  await assertRejects(
    refused({ editableMask: true, mask: () => 0 }),
    InputError,
    "expected a mask of matrices beside it",
  );
});
