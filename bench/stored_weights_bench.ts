// The gain of a patch from stored weights: subtracted keys would not be scored and weighed again, but each
// weight would be read and written where it lies. The kernels can be asked for just the first: a pair scores
// once what is taken out and what is added, and terms that are only added are a patch of keys whose values
// stay. The second is timed alone.

import {
  compileKernels,
  createMemory,
  instantiateKernels,
  supportedBuild,
} from "../src/backends/wasm/load_kernels.ts";
import { Arena } from "../src/backends/wasm/arena.ts";
import { RowBlocks } from "../src/backends/wasm/row_blocks.ts";
import { columnsOf } from "../src/backends/wasm/row_rule.ts";
import { PlacedTerms, type Term, writeValue } from "../testing/placed_terms.ts";
import { PieceRunner } from "../src/backends/wasm/threads/piece_runner.ts";
import { Random } from "../testing/random.ts";
import { short, time } from "./stopwatch.ts";

const ROWS = 4096, KEYS = 4096, DIM = 64, CHANGES = 64;

const memory = createMemory();
const kernels = await instantiateKernels(await compileKernels(supportedBuild() ?? "simd128"), memory);
const random = new Random(1);
const arena = new Arena(memory, kernels.heapBase());
const rule = { headDim: DIM, valueDim: DIM, scale: 1 / 8, softcap: 0, tolerance: 1e-5, before: 0, after: 0 };
const rows = new RowBlocks(arena, rule, ROWS);
const placed = new PlacedTerms(arena, rows.job);
for (let i = 0; i < ROWS; i++) rows.setQuery(i, random.row(DIM));
const columns = columnsOf(DIM);
const keys = arena.take(4 * DIM * KEYS * 2), values = arena.take(4 * columns * KEYS * 2);
arena.floats(keys, DIM * KEYS * 2).set(random.row(DIM * KEYS * 2));
const valueNumbers = arena.floats(values, columns * KEYS * 2);
for (let j = 0; j < 2 * KEYS; j++) writeValue(valueNumbers, j * columns, random.row(DIM));

const keyAt = (j: number) => keys + 4 * DIM * j, valueAt = (j: number) => values + 4 * columns * j;
const runner = new PieceRunner(kernels, arena);
const build = () => {
  placed.set(Array.from({ length: KEYS }, (_, j) => ({ key: keyAt(j), value: valueAt(j) })));
  runner.runHere(rows.toBuild());
};

type Terms = (slot: number, isBack: boolean) => readonly Term[];
const exchange = (changesKey: boolean, changesValue: boolean): Terms => (slot, isBack) => {
  const places = [slot, slot + KEYS].map((place) => ({
    key: keyAt(changesKey ? place : slot),
    value: valueAt(changesValue ? place : slot),
  }));
  const [before, after] = isBack ? places.reverse() : places;
  return [{ ...before, isTakenOut: true }, after];
};
const addOrTakeOut: Terms = (
  slot,
  isBack,
) => [{ key: keyAt(slot), value: valueAt(slot), isTakenOut: isBack }];

function patch(terms: Terms, pairs: number, sharedValuePairs: number): Promise<string> {
  build();
  let isBack = false;
  return report(() => {
    placed.set(
      Array.from({ length: CHANGES }, (_, slot) => terms(slot, isBack)).flat(),
      pairs,
      sharedValuePairs,
    );
    isBack = !isBack;
    runner.runHere(rows.toPatch());
  });
}

async function report(run: () => void): Promise<string> {
  const { median, spread } = await time(run, { warmUpMs: 800, budgetMs: 1500 });
  return `${short(median)} ms [${spread.map(short).join(" … ")}]`;
}

const stored = new Float32Array(ROWS * KEYS);
const changed = Array.from(
  { length: 256 },
  () => Uint32Array.from({ length: CHANGES }, () => random.below(KEYS)),
);
let turn = 0;
/** Eight rows of a block side by side, as the kernels would have them. */
function exchangeStored(): void {
  const slots = changed[turn++ % changed.length];
  for (let block = 0; block < ROWS / 8; block++) {
    for (let t = 0; t < CHANGES; t++) {
      const start = (block * KEYS + slots[t]) * 8;
      for (let lane = 0; lane < 8; lane++) stored[start + lane] = 1 - stored[start + lane];
    }
  }
}

console.log(`A patch of ${CHANGES} of ${KEYS} keys, ${ROWS} rows, d = dv = ${DIM}`);
console.log("keys and values change:           ", await patch(exchange(true, true), 0, 0));
console.log("… with what is taken out at hand: ", await patch(exchange(false, true), CHANGES, 0));
console.log("keys alone change:                ", await patch(exchange(true, false), 0, CHANGES));
console.log("… with what is taken out at hand: ", await patch(addOrTakeOut, 0, 0));
console.log("reading and writing the weights:  ", await report(exchangeStored));
