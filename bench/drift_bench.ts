// Times looks at all rows of a memory that drifts: exact reads, exact reads into a kept array, stale
// answers within an error, and followed rows, in one run on the same stream. Times first, counted multiply-adds
// second. Run it with `deno task bench:drift`; --quick looks a tenth as often.
//
// Eight small edits, keys and values in turn, come before each look; queries, keys and values begin as normal
// numbers, and a step adds normal numbers of the given size to a row.

import { parseArgs } from "node:util";
import { mean, median, quantile } from "simple-statistics";
import { DynamicAttention } from "../mod.ts";
import { Random } from "../testing/random.ts";
import { describeMachine } from "./machine.ts";

interface Case {
  readonly queries: number;
  readonly keys: number;
  readonly dim: number;
  readonly step: number;
  readonly error: number;
  readonly looks: number;
}

/** Looks at all rows once; made for one engine. */
type Look = () => Promise<unknown>;

interface Way {
  readonly name: string;
  readonly limit?: (error: number) => { readonly error: number };
  look(live: DynamicAttention, of: Case): Look;
}

const WAYS: readonly Way[] = [
  { name: "read", look: (live) => () => live.read() },
  {
    name: "read, into",
    look: (live, { queries, dim }) => {
      const into = new Float32Array(queries * dim);
      return () => live.read(undefined, { into });
    },
  },
  {
    name: "peek within the error",
    limit: (error) => ({ error }),
    look: (live, { queries, dim }) => {
      const into = new Float32Array(queries * dim);
      return () => live.peek(undefined, { into });
    },
  },
  {
    name: "follow",
    look: (live, { error }) => {
      const followed = live.follow(undefined, { error });
      return () => followed.refresh();
    },
  },
];
const EDITS = 8;

async function measure(way: Way, of: Case): Promise<{ times: number[]; multiplyAdds: number }> {
  const { queries, keys, dim, step, error, looks } = of;
  const random = new Random(7);
  const key = random.rows(keys, dim), value = random.rows(keys, dim);
  await using live = await DynamicAttention.create({
    query: random.rows(queries, dim),
    key,
    value,
    backend: "wasm",
    threads: 1,
    lazyThreshold: way.limit?.(error) ?? Infinity,
  });
  const look = way.look(live, of);
  await look();
  const before = live.stats().multiplyAdds, times: number[] = [];
  for (let turn = 0, edit = 0; turn < looks; turn++) {
    for (const end = edit + EDITS; edit < end; edit++) {
      const slot = (edit >> 1) % keys, isKey = edit % 2 === 0;
      const row = (isKey ? key : value)[slot];
      for (let c = 0; c < dim; c++) row[c] += step * random.normal();
      if (isKey) live.setKey(slot, row);
      else live.setValue(slot, row);
    }
    const start = performance.now();
    await look();
    times.push(performance.now() - start);
  }
  return { times, multiplyAdds: live.stats().multiplyAdds - before };
}

const { quick = false } = parseArgs({ args: Deno.args, options: { quick: { type: "boolean" } } }).values;
const share = quick ? 0.1 : 1;
const { cpu, cores } = await describeMachine();
console.log(`${cpu}, ${cores} cores, Deno ${Deno.version.deno}; wasm on one thread, d = dv = 32; ms a look`);
const cases: Case[] = [];
for (const step of [1e-5, 1e-4, 1e-3, 1e-2]) {
  for (const error of [1e-3, 1e-2, 1e-1, 0.2]) {
    cases.push({ queries: 512, keys: 2048, dim: 32, step, error, looks: Math.ceil(1536 * share) });
  }
}
cases.push({ queries: 4096, keys: 4096, dim: 32, step: 1e-4, error: 0.2, looks: Math.ceil(2048 * share) });
for (const of of cases) {
  console.log(`\n${of.queries} × ${of.keys}, steps of ${of.step}, error ${of.error}, ${of.looks} looks`);
  let exact: { time: number; average: number; multiplyAdds: number } | null = null;
  for (const way of WAYS) {
    const { times, multiplyAdds } = await measure(way, of);
    const time = median(times), average = mean(times);
    exact ??= { time, average, multiplyAdds };
    const [low, high] = quantile(times, [0.25, 0.75]);
    console.log(
      `  ${way.name.padEnd(22)} median ${time.toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)}), ` +
        `${(exact.time / time).toFixed(1)} × less; mean ${average.toFixed(3)}, ` +
        `${(exact.average / average).toFixed(1)} ×; multiply-adds ${
          (exact.multiplyAdds / multiplyAdds).toFixed(1)
        } × fewer`,
    );
  }
}
