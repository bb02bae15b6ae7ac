// Rows in the memory of the kernels: what is written is what is copied out, and rows keep it while others
// come.

import { RowStates } from "../../../src/backends/host/row_states.ts";
import { EMPTY_SHIFT } from "../../../src/backends/wasm/job_fields.ts";
import { supportedBuild } from "../../../src/backends/wasm/load_kernels.ts";
import type { RowBlocks, RowNumbers } from "../../../src/backends/wasm/row_blocks.ts";
import type { RowRule } from "../../../src/backends/wasm/row_rule.ts";
import { assertEquals, assertThrows } from "../../../testing/assert.ts";
import { Random } from "../../../testing/random.ts";
import { freshKernels, WasmMemory } from "../../../testing/wasm_memory.ts";

const RULE: RowRule = {
  headDim: 3,
  valueDim: 2,
  scale: 1,
  softcap: 0,
  tolerance: 1e-5,
  before: Infinity,
  after: Infinity,
};

const build = supportedBuild();

async function makeMemory(count: number): Promise<WasmMemory> {
  const random = new Random(1);
  return new WasmMemory(await freshKernels(build!), RULE, random.rows(count, 3), 4);
}

async function makeRows(count: number): Promise<RowBlocks> {
  return (await makeMemory(count)).rows;
}

/** A state of a row with numbers of its own. */
function stateOf(rows: RowBlocks, row: number): RowNumbers {
  // Numbers of more than 24 bits.
  const sums = Float64Array.from({ length: rows.columns }, (_, c) => row + 1 + c / 8 + 2 ** -40);
  return {
    shift: row,
    ceiling: row + 2,
    massError: row + 0.25,
    sumError: row + 0.5,
    sums,
  };
}

function read(rows: RowBlocks, row: number): RowNumbers {
  return rows.readState(row, new Float64Array(rows.columns));
}

Deno.test("row blocks: the host's copy of a row has its sums, its shift and its errors", async () => {
  const rows = await makeRows(11);
  for (let row = 0; row < 11; row++) rows.writeState(row, stateOf(rows, row));
  const copy = new RowStates(RULE.valueDim + 2, 1);
  for (let row = 0; row < 11; row++) {
    const { shift, massError, sumError, sums } = stateOf(rows, row);
    rows.copySums(row, copy);
    assertEquals([copy.shift[0], copy.massError[0], copy.sumError[0]], [shift, massError, sumError]);
    assertEquals([...copy.high], Array.from(sums).slice(0, copy.width));
    assertEquals([...copy.low], new Array(copy.width).fill(0));
  }
  rows.clearState(4);
  rows.copySums(4, copy);
  assertEquals([copy.shift[0], copy.massError[0], copy.sumError[0]], [-Infinity, 0, 0]);
});

Deno.test("row blocks: rows keep their states while room is made, and new ones are of no keys", async () => {
  const rows = await makeRows(8);
  for (let row = 0; row < 8; row++) rows.writeState(row, stateOf(rows, row));
  for (const count of [17, 40, 41]) {
    const had = 8 * rows.blocks;
    rows.reserve(count);
    for (let row = 0; row < 8; row++) assertEquals(read(rows, row), stateOf(rows, row));
    for (let row = had; row < count; row++) {
      const { shift, ceiling } = read(rows, row);
      assertEquals([shift, ceiling], [EMPTY_SHIFT, EMPTY_SHIFT], `row ${row}`);
    }
  }
});

Deno.test("row blocks: where memory is refused nothing is taken, and rows stay as they are", async () => {
  const { arena, rows } = await makeMemory(8);
  for (let row = 0; row < 8; row++) rows.writeState(row, stateOf(rows, row));
  const { bytes } = arena;
  // The first tables would find room in the memory that is there.
  for (let tries = 0; tries < 3; tries++) assertThrows(() => rows.reserve(2 ** 25), RangeError);
  assertEquals([arena.bytes, rows.blocks], [bytes, 1]);
  for (let row = 0; row < 8; row++) assertEquals(read(rows, row), stateOf(rows, row));
});
