// The ledger of drift when memory is refused to it: no bound is told that it cannot hold.

import type { RowChanges } from "../../../src/backends/backend.ts";
import { NO_ROW, NOTHING } from "../../../src/backends/since.ts";
import { assertEquals, assertGreaterOrEqual } from "../../../testing/assert.ts";
import { openWasm } from "../../../testing/open_wasm.ts";

const NO_SLOTS = new Uint32Array(0), ALL = Uint32Array.from({ length: 8 }, (_, slot) => slot);

function rowsOf(slots: readonly number[], rows: readonly number[][]): RowChanges {
  return {
    slots: Uint32Array.from(slots),
    live: new Uint8Array(slots.length).fill(1),
    rows: Float32Array.from(rows.flat()),
    positions: new Float64Array(slots.length),
    bias: null,
  };
}

const NO_ROWS = rowsOf([], []);

/** A backend of 8 queries, whose weights are all of key 0, and which follows drift. */
async function start() {
  const { backend, store } = await openWasm({
    layout: { heads: 1, kvHeads: 1, headDim: 1, valueDim: 1 },
    rule: { scale: 1, softcap: 0, before: Infinity, after: Infinity },
    maskHeads: 0,
    tolerance: 1e-8,
  });
  const keys = rowsOf([0, 1], [[0, 0], [1, 0]]), queries = rowsOf([...ALL], [...ALL].map(() => [-20]));
  await backend.store({ keys, queries }, Uint32Array.of(NO_ROW, NO_ROW), NO_SLOTS);
  await backend.update(ALL, []);
  assertEquals(await backend.watch(ALL), true);
  const setKey1 = async (value: number) => {
    const changes = { keys: rowsOf([1], [[1, value]]), queries: NO_ROWS };
    await backend.store(changes, Uint32Array.of(0), NO_SLOTS);
    return { slots: Uint32Array.of(1), retained: Uint32Array.of(0) };
  };
  return { backend, store, setKey1 };
}

Deno.test("drift ledger: a row whose weights could not be noted is not followed", async () => {
  const { backend, store, setKey1 } = await start();
  const since = await setKey1(1);
  await backend.update(NO_SLOTS, [{ queries: ALL, since }]);
  // From here on key 1 has all the weight in row 3.
  await backend.store({ keys: NO_ROWS, queries: rowsOf([3], [[20]]) }, NO_SLOTS, NO_SLOTS);
  const blockLogs = store.blockLogs;
  store.blockLogs = () => {
    throw new RangeError("refused");
  };
  const row = Uint32Array.of(3);
  const update = async () => await backend.update(row, []);
  await update().catch(update);
  store.blockLogs = blockLogs;
  await backend.update(row, []);
  const moved = await setKey1(11);
  const [bound] = await backend.drift({ queries: row, since: moved }, Infinity);
  assertGreaterOrEqual(bound, 9.99);
  const { output } = await backend.read({ queries: row, since: NOTHING }, { into: null, logs: false });
  assertGreaterOrEqual(output[0], 0.99);
  await backend.dispose();
});
