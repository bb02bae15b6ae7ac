// Times of small work beside ever more standing queries: an edit and a read or a stale look at one row.
// Nothing in it may grow with m, neither in the median nor in the mean. Run it with `deno task bench:growth`.

import { type BackendName, DynamicAttention } from "../mod.ts";
import { Random } from "../testing/random.ts";
import { median } from "simple-statistics";

const DIM = 4, KEYS = 64, WARM_UP = 300, STEPS = 2000;

/** The operation of a step, which gets the numbers of the step and of queries. */
const WORK: Readonly<
  Record<string, (live: DynamicAttention, step: number, random: Random) => Promise<unknown>>
> = {
  "edit, read the same row": async (live, _step, random) => {
    live.setKey(random.below(KEYS), random.row(DIM));
    await live.read([5]);
  },
  "edit, read rows in turn": async (live, step, random) => {
    live.setKey(random.below(KEYS), random.row(DIM));
    await live.read([step % live.stats().queryCount]);
  },
  "edit, read a random row": async (live, _step, random) => {
    live.setKey(random.below(KEYS), random.row(DIM));
    await live.read([random.below(live.stats().queryCount)]);
  },
  "a query comes, is read and goes": async (live, _step, random) => {
    const slot = live.insertQuery(random.row(DIM));
    await live.read([slot]);
    live.deleteQuery(slot);
  },
  "edit, peek at one row with its bound": async (live, _step, random) => {
    live.setKey(random.below(KEYS), random.row(DIM));
    await live.peek([7]);
  },
};

async function measure(backend: BackendName, queryCount: number): Promise<void> {
  const random = new Random(1);
  const data = Float32Array.from({ length: queryCount * DIM }, () => random.normal());
  for (const [name, work] of Object.entries(WORK)) {
    await using live = await DynamicAttention.create({
      query: { data, shape: [queryCount, DIM] },
      key: random.rows(KEYS, DIM),
      value: random.rows(KEYS, DIM),
      backend,
      lazyThreshold: Infinity,
    });
    const times: number[] = [];
    for (let step = 0; step < WARM_UP + STEPS; step++) {
      const start = performance.now();
      await work(live, step, random);
      if (step >= WARM_UP) times.push(1000 * (performance.now() - start));
    }
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    const cells = [median(times), mean, Math.max(...times)].map((time) => time.toFixed(1).padStart(9));
    console.log(
      `${backend.padEnd(6)} m = ${String(queryCount).padEnd(8)} ${name.padEnd(38)}${cells.join("")}`,
    );
  }
}

console.log(`µs a step over ${KEYS} keys of ${DIM} numbers: median, mean, largest\n`);
for (const backend of ["array", "wasm"] as const) {
  for (const queryCount of [1e3, 1e4, 1e5, 1e6]) await measure(backend, queryCount);
}
