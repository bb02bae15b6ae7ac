// Blocks of which few rows are asked are computed row by row: with the bits of a whole block, and rows that
// are not asked stay as they are, for both builds.

import { assert, assertEquals } from "../../../testing/assert.ts";
import { type KernelBuild, supportedBuild } from "../../../src/backends/wasm/load_kernels.ts";
import type { RowRule } from "../../../src/backends/wasm/row_rule.ts";
import { Random } from "../../../testing/random.ts";
import { type Entry, freshKernels, WasmMemory } from "../../../testing/wasm_memory.ts";

const BUILDS: readonly KernelBuild[] = supportedBuild() === "relaxed" ? ["simd128", "relaxed"] : ["simd128"];
const ROWS = 11;
/** The rows that are asked for: a few of a block, half of it, and one of another block. */
const ASKED = [[0], [6], [1, 2], [0, 4, 7], [3, 9], [10], [0, 1, 2, 3], [4, 5, 6, 7], [1, 2, 3, 5, 8]];

function ruleOf(headDim: number, valueDim: number, softcap: number): RowRule {
  // Small scores, so that no weight is a large part of its row: such a chunk is summed exactly for all rows
  // of its block.
  return { headDim, valueDim, scale: 0.02, softcap, tolerance: 1e-5, before: 3, after: 4 };
}

/** The same memory each time, with all rows active. */
async function memoryOf(build: KernelBuild, rule: RowRule, keyCount: number): Promise<WasmMemory> {
  const random = new Random(rule.headDim + 100 * rule.valueDim);
  const positions = Array.from({ length: ROWS }, (_, row) => row % 3);
  const queries = random.rows(ROWS, rule.headDim);
  const memory = new WasmMemory(await freshKernels(build), rule, queries, keyCount, positions, true);
  memory.apply(Array.from({ length: keyCount }, (_, slot) => [slot, entryOf(random, rule, slot)]), "build");
  return memory;
}

function entryOf(random: Random, { headDim, valueDim }: RowRule, slot: number): Entry {
  const bias = Array.from(
    { length: ROWS },
    (_, row) => (row + slot) % 5 === 0 ? -Infinity : random.next() / 8,
  );
  return { key: random.row(headDim), value: random.row(valueDim), bias, position: slot % 4 };
}

function statesOf({ rows }: WasmMemory): unknown[] {
  return Array.from({ length: ROWS }, (_, row) => {
    return rows.readState(row, new Float64Array(rows.columns));
  });
}

function ask(memory: WasmMemory, asked: readonly number[]): void {
  for (let row = 0; row < ROWS; row++) memory.rows.activate(row, asked.includes(row));
}

for (const build of BUILDS) {
  Deno.test(`a score has the bits of a whole block, whichever rows are asked (${build})`, async () => {
    for (const headDim of [1, 2, 3, 4, 7, 64, 66]) {
      for (const keyCount of [1, 5, 8, 9, 32, 33, 70]) {
        const memory = await memoryOf(build, ruleOf(headDim, 2, headDim % 2 ? 0 : 5), keyCount);
        const target = memory.arena.take(32 * keyCount);
        const scores = (block: number, rows: number) => {
          memory.kernels.score(memory.rows.job, block, rows, target);
          return memory.arena.floats(target, 8 * keyCount).slice();
        };
        memory.terms.set(memory.liveTerms());
        const whole = scores(0, 255);
        assert(whole.some((score) => score !== 0 && score !== -Infinity));
        for (const asked of [[0], [5], [2, 3], [0, 6, 7]]) {
          const found = scores(0, asked.reduce((bits, row) => bits | 1 << row, 0));
          const ofAsked = (_: number, at: number) => asked.includes(at % 8);
          assertEquals(found.filter(ofAsked), whole.filter(ofAsked), `d = ${headDim}, n = ${keyCount}`);
        }
      }
    }
  });

  Deno.test(`builds and patches of few rows leave the bits of a whole block, and other rows alone (${build})`, async () => {
    for (const valueDim of [1, 2, 3, 6, 30, 31, 64, 70]) {
      for (const changeCount of [3, 40]) {
        const rule = ruleOf(5, valueDim, 0);
        const keyCount = 90;
        const edit = (memory: WasmMemory) => {
          const random = new Random(changeCount);
          // The first half keeps its values.
          const changes = Array.from({ length: changeCount }, (_, slot) => {
            const entry = entryOf(random, rule, slot);
            const { value } = memory.entries[slot]!;
            return [slot, slot < changeCount / 2 ? { ...entry, value } : entry] as const;
          });
          return changes;
        };
        const whole = await memoryOf(build, rule, keyCount);
        const built = statesOf(whole);
        whole.apply(edit(whole));
        const patched = statesOf(whole);
        assertEquals(whole.refreshes, 0);
        for (const asked of ASKED) {
          const what = `dv = ${valueDim}, T = ${changeCount}, rows ${asked}`;
          const memory = await memoryOf(build, rule, keyCount);
          const expectOnly = (states: readonly unknown[], others: readonly unknown[]) =>
            assertEquals(
              statesOf(memory),
              states.map((state, row) => asked.includes(row) ? state : others[row]),
              what,
            );
          for (const row of asked) memory.rows.clearState(row);
          ask(memory, asked);
          memory.terms.set(memory.liveTerms());
          memory.build();
          expectOnly(built, built);
          memory.apply(edit(memory));
          expectOnly(patched, built);
        }
      }
    }
  });
}
