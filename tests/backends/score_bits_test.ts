// The property on which patching rests: the weight a of a pair has the same bits whether its row was built or
// its key patched in, alone or with others, and after its row's shift has moved; whatever the head, the
// softcap and the mask. Values are unit vectors, so that column j of the weighted sum is a_ij itself.

import type { RowChanges } from "../../src/backends/backend.ts";
import { NO_ROW, NOTHING } from "../../src/backends/since.ts";
import { WHOLE } from "../../src/backends/wanted.ts";
import { noWork } from "../../src/backends/work.ts";
import { powerOfTwo } from "../../src/numerics/power_shift.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../../src/numerics/head_layout.ts";
import type { ScoreRule } from "../../src/numerics/score_rule.ts";
import type { BiasBlock, KeyBlock, KeyExchange } from "../../src/backends/host/key_block.ts";
import { Kernels } from "../../src/backends/host/kernels.ts";
import { KeysAt } from "../../src/backends/host/keys_at.ts";
import { HEAVY_KEYS, RowStates } from "../../src/backends/host/row_states.ts";
import { RowTotals } from "../../src/backends/host/row_totals.ts";
import { createArrayBackend } from "../../src/backends/array/array_backend.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

const NONE = new Uint32Array(0);
const KEYS = 37;
const WIDTH = KEYS + 2;
const EVERYWHERE = { before: Infinity, after: Infinity };

/**
 * Keys with unit vectors for values in each head, positions 0, 1, 2, … and, with a mask, a bias per query
 * head.
 */
function blockOf(random: Random, layout: HeadLayout, size: number, masked: boolean): KeyBlock {
  const stride = layout.kvHeads * WIDTH;
  const values = new Float32Array(KEYS * stride);
  for (let j = 0; j < KEYS; j++) {
    for (let head = 0; head < layout.kvHeads; head++) {
      const start = j * stride + head * WIDTH;
      values[start + j] = values[start + KEYS] = values[start + KEYS + 1] = 1;
    }
  }
  return {
    count: KEYS,
    live: new Uint8Array(KEYS).fill(1),
    keys: random.row(KEYS * keyColumns(layout), size),
    keyStart: 0,
    keyStride: keyColumns(layout),
    keyWords: layout.headDim,
    packedKeys: null,
    values,
    valueStart: 0,
    valueStride: stride,
    valueWords: WIDTH,
    packedValues: null,
    positions: Float64Array.from({ length: KEYS }, (_, j) => j),
    bias: masked ? biasOf(random.row(KEYS * layout.heads, 3), layout.heads) : null,
  };
}

/** Biases of one query with each key, by key and head. */
function biasOf(numbers: Float32Array, heads: number): BiasBlock {
  return { numbers, start: 0, keyStride: heads, queryStride: 0, headStride: 1, heads };
}

/** The keys of a block are those of a moment at which nothing was pending. */
function at(block: KeyBlock): KeysAt {
  return new KeysAt(block, block, NOTHING);
}

/** The keys at `slots` of a block come where there were none. */
function coming(block: KeyBlock, slots: number[]): KeyExchange {
  return {
    slots: Uint32Array.from(slots),
    retained: new Uint32Array(slots.length).fill(NO_ROW),
    before: block,
    after: block,
    scoreChanged: new Uint8Array(slots.length).fill(1),
  };
}

/** All keys of a block go. */
function going(block: KeyBlock): KeyExchange {
  const slots = Uint32Array.from({ length: KEYS }, (_, j) => j);
  const after = { ...block, live: new Uint8Array(KEYS) };
  return { slots, retained: slots, before: block, after, scoreChanged: new Uint8Array(KEYS).fill(1) };
}

/** The weights that a row holds, heavy keys included, moved to shift 0: each column has one term. */
function weightsIn(layout: HeadLayout, head: number, states: RowStates, block: KeyBlock): number[] {
  const totals = new RowTotals(layout, noWork()), { sums } = totals;
  totals.take(states, 0, at(block), head);
  return Array.from({ length: KEYS }, (_, j) => {
    assertEquals(states.low[j], 0);
    return sums[j] * powerOfTwo(totals.shift);
  });
}

interface Variant {
  readonly heads: number;
  readonly kvHeads: number;
  readonly softcap: number;
  readonly masked: boolean;
}

const VARIANTS: readonly Variant[] = [
  { heads: 1, kvHeads: 1, softcap: 0, masked: false },
  { heads: 3, kvHeads: 3, softcap: 0, masked: false },
  { heads: 4, kvHeads: 2, softcap: 0, masked: true },
  { heads: 2, kvHeads: 1, softcap: 5, masked: false },
  { heads: 4, kvHeads: 2, softcap: 1.5, masked: true },
];

for (const headDim of [1, 3, 4, 7, 64]) {
  for (const size of [0.3, 4]) {
    for (const { heads, kvHeads, softcap, masked } of VARIANTS) {
      const what = `d = ${headDim}, size ${size}, ${heads} heads of ${kvHeads}` +
        `${softcap > 0 ? `, softcap ${softcap}` : ""}${masked ? ", a mask" : ""}`;
      Deno.test(`bits: built, patched alone, in batches and beside lighter keys, ${what}`, () => {
        const random = new Random(headDim);
        const layout = { heads, kvHeads, headDim, valueDim: KEYS };
        const block = blockOf(random, layout, size, masked);
        const query = random.row(queryColumns(layout), size / Math.sqrt(headDim));
        const kernels = new Kernels(layout, { scale: 1, softcap, ...EVERYWHERE }, noWork());
        kernels.reserve(KEYS, KEYS);
        const fresh = () => new RowStates(WIDTH, 1);
        const all = Array.from({ length: KEYS }, (_, j) => j);
        const seen = new Set<string>();
        let compared = 0;

        for (let head = 0; head < heads; head++) {
          kernels.select({ rows: query, offset: 0, head, position: 0, slot: 0 });
          const built = fresh();
          kernels.buildRow(built, 0, at(block));
          const expected = weightsIn(layout, head, built, block);
          assert(expected.every((a) => a > 0));
          seen.add(expected.join());
          const agree = (states: RowStates) => {
            // A row that has no room for a heavy key says so, and is never read.
            if (states.heavyCount[0] === HEAVY_KEYS && states.massError[0] === Infinity) return;
            assertEquals(weightsIn(layout, head, states, block), expected);
            compared++;
          };

          const together = fresh();
          kernels.patchRow(together, 0, coming(block, all.toReversed()));
          assertEquals(weightsIn(layout, head, together, block), expected);

          const alone = fresh();
          for (const j of all) kernels.patchRow(alone, 0, coming(block, [j]));
          agree(alone);

          const completed = fresh();
          const twoThirds = { ...block, live: block.live.map((_, j) => j % 3 === 0 ? 0 : 1) };
          kernels.buildRow(completed, 0, at(twoThirds));
          kernels.patchRow(completed, 0, coming(block, all.filter((j) => j % 3 === 0)));
          agree(completed);

          // Sums of the lightest keys alone, beside which others are heavy.
          const lightest = all.toSorted((i, j) => expected[i] - expected[j]);
          const climbing = fresh();
          for (const j of lightest) kernels.patchRow(climbing, 0, coming(block, [j]));
          agree(climbing);

          const cleared = fresh();
          kernels.buildRow(cleared, 0, at(block));
          kernels.patchRow(cleared, 0, going(block));
          assertEquals(weightsIn(layout, head, cleared, block), all.map(() => 0));
        }
        assert(compared > 0, "every row had too many heavy keys");
        assertEquals(seen.size, heads, "two heads have the same weights: the test is blind to heads");
      });
    }
  }
}

Deno.test("bits: a key out of reach, or masked, has no weight and the others keep theirs", () => {
  const random = new Random(3);
  const layout = { heads: 2, kvHeads: 1, headDim: 5, valueDim: KEYS };
  const everyKey = blockOf(random, layout, 1, true);
  const numbers = Float32Array.from(everyKey.bias!.numbers);
  // Head 1 must not see key 20.
  numbers[20 * 2 + 1] = -Infinity;
  const block = { ...everyKey, bias: biasOf(numbers, 2) };
  const query = random.row(queryColumns(layout));
  const weightsUnder = (rule: ScoreRule, keys: KeyBlock, head: number, patched: boolean) => {
    const kernels = new Kernels(layout, rule, noWork());
    kernels.reserve(KEYS, KEYS);
    kernels.select({ rows: query, offset: 0, head, position: 18, slot: 0 });
    const states = new RowStates(WIDTH, 1);
    if (patched) kernels.patchRow(states, 0, coming(keys, [...Array(KEYS).keys()]));
    else kernels.buildRow(states, 0, at(keys));
    return weightsIn(layout, head, states, block);
  };
  const rule = { scale: 0.5, softcap: 2, before: 6, after: 4 };
  for (const head of [0, 1]) {
    const free = weightsUnder({ ...rule, ...EVERYWHERE }, everyKey, head, false);
    const expected = free.map((a, j) => j < 12 || j > 22 || (head === 1 && j === 20) ? 0 : a);
    for (const patched of [false, true]) assertEquals(weightsUnder(rule, block, head, patched), expected);
  }
});

const BACKEND_VARIANTS: readonly Variant[] = [
  { heads: 1, kvHeads: 1, softcap: 0, masked: false },
  { heads: 6, kvHeads: 2, softcap: 0, masked: true },
  { heads: 2, kvHeads: 2, softcap: 50, masked: true },
];

for (const { heads, kvHeads, softcap, masked } of BACKEND_VARIANTS) {
  const what = `${heads} heads of ${kvHeads}, softcap ${softcap}${masked ? ", a mask" : ""}`;
  Deno.test(`bits: what a patch adds, the opposite patch takes away to the last bit, ${what}`, async () => {
    const random = new Random(11);
    const layout = { heads, kvHeads, headDim: 5, valueDim: 4 };
    const keys = 30, rows = 6, keySlots = 42;
    const width = keyColumns(layout) + valueColumns(layout);
    const backend = createArrayBackend({
      layout,
      rule: { scale: 2, softcap, ...EVERYWHERE },
      maskHeads: masked ? heads : 0,
      tolerance: 1e-8,
    });
    const biasesOf = (count: number, others: number) =>
      masked ? random.row(count * others * heads, 3).map((bias) => bias > 4 ? -Infinity : bias) : null;
    const rowsOf = (slots: number[], width: number, size: number, others: number): RowChanges => ({
      slots: Uint32Array.from(slots),
      live: new Uint8Array(slots.length).fill(1),
      rows: random.row(slots.length * width, size),
      positions: new Float64Array(slots.length),
      bias: biasesOf(slots.length, others),
    });
    const upTo = (count: number) => Array.from({ length: count }, (_, j) => j);
    const none = rowsOf([], 1, 1, 0);
    const first = rowsOf(upTo(keys), width, 1, rows);
    const queries = rowsOf(upTo(rows), queryColumns(layout), 1, 0);
    // The keys' bias counts, which is stored after the queries' empty one.
    const everyRow = Uint32Array.from(upTo(rows));
    const read = () => backend.read({ queries: everyRow, since: NOTHING }, WHOLE);
    await backend.store({ keys: first, queries }, new Uint32Array(keys).fill(NO_ROW), NONE);
    await backend.update(everyRow, []);
    const before = await read();

    // Scores up to about 40, so that the added keys hold nearly all of the weight while they are there.
    const slots = [3, 40, keySlots - 1, 17];
    const old: RowChanges = {
      slots: Uint32Array.from(slots),
      live: Uint8Array.of(1, 0, 0, 1),
      rows: new Float32Array(slots.length * width),
      positions: new Float64Array(slots.length),
      bias: first.bias && new Float32Array(slots.length * rows * heads),
    };
    slots.forEach((slot, t) => {
      if (old.live[t] === 0) return;
      backend.keys.copyRow(slot, old.rows as Float32Array, t * width);
      const stride = rows * heads;
      if (first.bias) old.bias?.set(first.bias.subarray(slot * stride, (slot + 1) * stride), t * stride);
    });
    const exchange = async (keys: RowChanges) => {
      const retained = Uint32Array.from(slots, (slot, t) => backend.keys.isLive(slot) ? t : NO_ROW);
      await backend.store({ keys, queries: none }, retained, NONE);
      await backend.update(new Uint32Array(0), [{
        queries: everyRow,
        since: { slots: keys.slots, retained },
      }]);
    };
    for (let round = 0; round < 1000; round++) {
      await exchange(rowsOf(slots, width, 4, rows));
      await exchange(old);
    }
    assertEquals(await read(), before);
    assert(before.output.every((number) => number !== 0));
  });
}
