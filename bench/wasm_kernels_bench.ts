// The speed of the WebAssembly kernels as a share of the multiply-add limit of one core, which is measured in
// the same run. A multiply-add counts as two operations; exp, upkeep and compensation count as none. Every
// changed key is a row that is taken out and a row that is added; a value that stays is multiplied once.

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
import { WorkerPool } from "../src/backends/wasm/threads/worker_pool.ts";
import { PieceRunner } from "../src/backends/wasm/threads/piece_runner.ts";
import { threadStarter } from "../src/backends/wasm/threads/thread.ts";
import { Random } from "../testing/random.ts";
import { short, time, type Timing } from "./stopwatch.ts";

const ROWS = 4096, KEYS = 4096, DIM = 64;
const TIMES = { warmUpMs: 1500, budgetMs: 1500 };

const build = supportedBuild();
if (!build) {
  console.log("No SIMD here.");
  Deno.exit(1);
}
const memory = createMemory();
const module = await compileKernels(build);
const kernels = await instantiateKernels(module, memory);
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
const placed = new PlacedTerms(arena, rows.job);
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

const pool = new WorkerPool(threadStarter(), { sharing: 0, starting: 0 });
const threads = navigator.hardwareConcurrency;
const alone = new PieceRunner(kernels, arena),
  together = new PieceRunner(kernels, arena, { pool, module, threads });
const counts = [["", alone], ...(threads > 1 ? [[`, ${threads} threads`, together] as const] : [])] as const;

const figures: Figure[] = [];
const limitRounds = 20_000;
const limit = await time(() => void kernels.multiplyAddLimit(limitRounds), TIMES);
figures.push({ name: "limit: multiply-adds in registers", operations: limitRounds * 32 * 8, timing: limit });

placed.set(Array.from({ length: KEYS }, (_, j) => term(j, false)));
for (const [note, runner] of counts) {
  const timing = await time(async () => void await runner.run(rows.toBuild(), 0), {
    ...TIMES,
    budgetMs: 4000,
  });
  figures.push({ name: `rebuild${note}`, operations: 4 * ROWS * KEYS * DIM, timing });
}

for (const changes of [1, 4, 16, 64, 256]) {
  for (const keepsValues of [false, true]) {
    // There and back again, so that the rows stay what they are.
    const [there, back] = [false, true].map((isBack) =>
      Array.from({ length: changes }, (_, t) => {
        const [before, after] = isBack ? [t + KEYS, t] : [t, t + KEYS];
        const added = term(after, false);
        return [term(before, true), keepsValues ? { ...added, value: term(before, false).value } : added];
      }).flat()
    );
    let isBack = false;
    for (const [note, runner] of counts) {
      const timing = await time(async () => {
        placed.set(isBack ? back : there, 0, keepsValues ? changes : 0);
        isBack = !isBack;
        await runner.run(rows.toPatch(), 0);
      }, TIMES);
      const name = `patch, T = ${changes}${keepsValues ? ", keys alone" : ""}${note}`;
      figures.push({ name, operations: (keepsValues ? 6 : 8) * ROWS * changes * DIM, timing });
    }
  }
}
await together.dispose();

const reached = ({ operations, timing }: Figure) => operations / timing.median / 1e6;
console.log(`${build}, one thread unless it says more, m = n = ${ROWS}, d = dv = ${DIM}`);
for (const figure of figures) {
  const { name, timing } = figure;
  const share = Math.round(100 * reached(figure) / reached(figures[0]));
  console.log(
    `${name.padEnd(34)} ${short(timing.median)} ms [${timing.spread.map(short).join(" … ")}]  ` +
      `${short(reached(figure))} GFLOP/s  ${share} %`,
  );
}
