// What the kernels charge the weights of changed keys with: at least what float32 may have done to them, by the proof
// in docs/internals/certificates.md.

import type { Changes, RowChanges } from "../../../src/backends/backend.ts";
import { NO_ROW } from "../../../src/backends/since.ts";
import * as field from "../../../src/backends/wasm/certificate_fields.ts";
import { assert, assertEquals, assertGreater, assertLess } from "../../../testing/assert.ts";
import { openWasm } from "../../../testing/open_wasm.ts";

const DIM = 32, ROUNDING = 2 ** -24;
/** A query, and a key that is orthogonal to it and long: products that rounding tells from 0. */
const QUERY = Array.from({ length: DIM }, () => 1);
const LONG = Array.from({ length: DIM }, (_, c) => c % 2 === 0 ? 100 : -100);

function rowsOf(
  slots: readonly number[],
  rows: readonly number[][],
  positions: readonly number[],
): RowChanges {
  return {
    slots: Uint32Array.from(slots),
    live: new Uint8Array(slots.length).fill(1),
    rows: Float32Array.from(rows.flat()),
    positions: Float64Array.from(positions),
    bias: null,
  };
}

const NO_ROWS = rowsOf([], [], []);

/** What a changed key has in the sums of a row, and the bound of the row. */
async function changeOf(
  from: { key: number[]; position: number } | null,
  to: { key: number[]; position: number },
) {
  const { backend, kernels, memory } = await openWasm({
    layout: { heads: 1, kvHeads: 1, headDim: DIM, valueDim: 1 },
    rule: { scale: 1, softcap: 0, before: 5, after: Infinity },
    maskHeads: 0,
    tolerance: 1e-8,
  });
  const first = [{ key: QUERY.map(() => 0), position: 0 }, ...(from ? [from] : [])];
  const changes: Changes = {
    keys: rowsOf(
      [...first.keys()],
      first.map(({ key }) => [...key, 1]),
      first.map(({ position }) => position),
    ),
    queries: rowsOf([0], [QUERY], [0]),
  };
  await backend.store(changes, new Uint32Array(first.length).fill(NO_ROW), new Uint32Array(0));
  await backend.update(Uint32Array.of(0), []);
  const retained = Uint32Array.of(from ? 0 : NO_ROW);
  const moved = { keys: rowsOf([1], [[...to.key, -1]], [to.position]), queries: NO_ROWS };
  await backend.store(moved, retained, new Uint32Array(0));
  let pair = 0;
  const add = kernels.addChanges;
  kernels.addChanges = (...call) => {
    pair = new Uint32Array(memory.buffer, call[7], 1)[0];
    return add(...call);
  };
  const [bound] = await backend.certify({
    queries: Uint32Array.of(0),
    since: { slots: Uint32Array.of(1), retained },
  });
  assertGreater(pair, 0);
  const numbers = new Float32Array(memory.buffer, pair, field.PAIR_BLOCK_BYTES / 4).slice();
  await backend.dispose();
  return { change: numbers[field.PAIR_CHANGE / 4], doubt: numbers[field.PAIR_DOUBT / 4], bound };
}

const normOf = (row: readonly number[]) => Math.hypot(...row);

for (const [name, length] of [["as long", 1], ["a little longer", 1.25]] as const) {
  Deno.test(`certificates: a key that comes into sight is charged for its own move, to one ${name}`, async () => {
    const key = LONG.map((x) => -length * x);
    const { change, doubt, bound } = await changeOf({ key: LONG, position: -100 }, { key, position: 0 });
    // The score is that of the key before, and what it moved by: chains of d multiply-adds, times the scale.
    const reach = normOf(QUERY), ofKey = (DIM + 2) * reach * Math.max(normOf(LONG), normOf(key));
    const ofMove = (DIM + 4) * reach * normOf(key.map((x, c) => x - LONG[c]));
    assertEquals(Math.fround(change), 1, "two keys with the score 0");
    assertGreater(doubt, ROUNDING * (ofKey + ofMove));
    assertLess(bound, 2, "it is charged, and not given up");
  });
}

Deno.test("certificates: a key that comes into sight where it was, and one that is new, are charged as before", async () => {
  const key = LONG.map((x) => -x);
  const fresh = await changeOf(null, { key, position: 0 });
  const seen = await changeOf({ key, position: -100 }, { key, position: 0 });
  assertEquals(seen.doubt, fresh.doubt);
  assertEquals(seen.change, fresh.change);
});

Deno.test("certificates: a key that goes out of sight is not charged for its move", async () => {
  const key = LONG.map((x) => -x);
  const moved = await changeOf({ key: LONG, position: 0 }, { key, position: -100 });
  const same = await changeOf({ key: LONG, position: 0 }, { key: LONG, position: -100 });
  assertEquals(moved.doubt, same.doubt);
  assert(moved.change < 0);
});
