// What the WebAssembly kernels reach of the multiply-add limit of one core, which is measured in the same run. A
// multiply-add counts as two operations; exp, upkeep and compensation count as none. Every changed key is a row that
// is taken out and a row that is added.

import {
  compileKernels,
  createMemory,
  instantiateKernels,
  type Kernels,
  supportedBuild,
} from "../src/backends/wasm/load_kernels.ts";
import { Arena, columnsOf, RowBlocks, type Term, writeValue } from "../src/backends/wasm/row_blocks.ts";
import { Random } from "../tests/support/random.ts";
import { short, time, type Timing } from "./stopwatch.ts";

const ROWS = 4096, KEYS = 4096, DIM = 64;
const TIMES = { warmUpMs: 1500, budgetMs: 1500 };

const build = supportedBuild();
if (!build) {
  console.log("No SIMD here.");
  Deno.exit(1);
}
const memory = createMemory();
const kernels: Kernels = await instantiateKernels(await compileKernels(build), memory);
const random = new Random(1);
const arena = new Arena(memory, kernels.heapBase());
const rule = {
  headDim: DIM,
  valueDim: DIM,
  scale: 1 / 8,
  softcap: 0,
  tolerance: 1e-5,
  before: Infinity,
  after: Infinity,
};
const rows = new RowBlocks(arena, rule, ROWS);
for (let i = 0; i < ROWS; i++) rows.setQuery(i, random.row(DIM));
const columns = columnsOf(DIM);
const keyAt = arena.take(4 * DIM * KEYS * 2), valueAt = arena.take(4 * columns * KEYS * 2);
arena.floats(keyAt, DIM * KEYS * 2).set(random.row(DIM * KEYS * 2));
const values = arena.floats(valueAt, columns * KEYS * 2);
for (let j = 0; j < 2 * KEYS; j++) writeValue(values, j * columns, random.row(DIM));
const term = (j: number, isTakenOut: boolean): Term => ({
  key: keyAt + 4 * DIM * j,
  value: valueAt + 4 * columns * j,
  isTakenOut,
});

interface Figure {
  readonly name: string;
  readonly operations: number;
  readonly timing: Timing;
}

const figures: Figure[] = [];
const limitRounds = 20_000;
const limit = await time(() => void kernels.multiplyAddLimit(limitRounds), TIMES);
figures.push({ name: "limit: multiply-adds in registers", operations: limitRounds * 32 * 8, timing: limit });

rows.setTerms(Array.from({ length: KEYS }, (_, j) => term(j, false)));
const rebuild = await time(() => rows.build(kernels), { ...TIMES, budgetMs: 4000 });
figures.push({ name: "rebuild", operations: 4 * ROWS * KEYS * DIM, timing: rebuild });

for (const changes of [1, 4, 16, 64, 256]) {
  // There and back again, so that the rows stay what they are.
  const [there, back] = [false, true].map((isBack) =>
    Array.from(
      { length: changes },
      (_, t) => [term(t + (isBack ? KEYS : 0), true), term(t + (isBack ? 0 : KEYS), false)],
    ).flat()
  );
  let isBack = false;
  const timing = await time(() => {
    rows.setTerms(isBack ? back : there);
    isBack = !isBack;
    rows.patch(kernels);
  }, TIMES);
  figures.push({ name: `patch, T = ${changes}`, operations: 8 * ROWS * changes * DIM, timing });
}

const reached = ({ operations, timing }: Figure) => operations / timing.median / 1e6;
console.log(`${build}, one thread, m = n = ${ROWS}, d = dv = ${DIM}`);
for (const figure of figures) {
  const { name, timing } = figure;
  const share = Math.round(100 * reached(figure) / reached(figures[0]));
  console.log(
    `${name.padEnd(34)} ${short(timing.median)} ms [${timing.spread.map(short).join(" … ")}]  ` +
      `${short(reached(figure))} GFLOP/s  ${share} %`,
  );
}
