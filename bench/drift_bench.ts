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
/** Each way takes turns of this many looks, so that other work of the machine slows all of them alike. */
const TURN = 32;

/** A way that is being measured. */
interface Course {
  readonly live: DynamicAttention;
  readonly look: Look;
  edit(): void;
  readonly times: number[];
}

async function begin(way: Way, of: Case): Promise<Course> {
  const { queries, keys, dim, step, error } = of;
  const random = new Random(7);
  const key = random.rows(keys, dim), value = random.rows(keys, dim);
  const live = await DynamicAttention.create({
    query: random.rows(queries, dim),
    key,
    value,
    backend,
    threads: 1,
    lazyThreshold: way.limit?.(error) ?? Infinity,
  });
  let edits = 0;
  const edit = () => {
    const slot = (edits >> 1) % keys, isKey = edits++ % 2 === 0;
    const row = (isKey ? key : value)[slot];
    for (let c = 0; c < dim; c++) row[c] += step * random.normal();
    if (isKey) live.setKey(slot, row);
    else live.setValue(slot, row);
  };
  const look = way.look(live, of);
  await look();
  return { live, look, edit, times: [] };
}

async function measure(of: Case): Promise<{ times: number[]; multiplyAdds: number }[]> {
  const courses = await Promise.all(WAYS.map((way) => begin(way, of)));
  const before = courses.map(({ live }) => live.stats().multiplyAdds);
  for (let turn = 0; turn < of.looks; turn += TURN) {
    for (const { look, edit, times } of courses) {
      for (let at = turn; at < Math.min(turn + TURN, of.looks); at++) {
        for (let count = 0; count < EDITS; count++) edit();
        const start = performance.now();
        await look();
        times.push(performance.now() - start);
      }
    }
  }
  const measured = courses.map(({ live, times }, at) => {
    return { times, multiplyAdds: live.stats().multiplyAdds - before[at] };
  });
  for (const { live } of courses) await live.dispose();
  return measured;
}

const { values } = parseArgs({
  args: Deno.args,
  options: {
    quick: { type: "boolean", default: false },
    backend: { type: "string", default: "wasm" },
    only: { type: "string" },
  },
});
const share = values.quick ? 0.1 : 1;
const backend = values.backend === "array" ? "array" : "wasm";
const { cpu, cores } = await describeMachine();
console.log(
  `${cpu}, ${cores} cores, Deno ${Deno.version.deno}; ${backend} on one thread, d = dv = 32; ms a look`,
);
const cases: Case[] = [];
for (const step of [1e-5, 1e-4, 1e-3, 1e-2]) {
  for (const error of [1e-3, 1e-2, 1e-1, 0.2]) {
    cases.push({ queries: 512, keys: 2048, dim: 32, step, error, looks: Math.ceil(1536 * share) });
  }
}
cases.push({ queries: 4096, keys: 4096, dim: 32, step: 1e-4, error: 0.2, looks: Math.ceil(2048 * share) });
if (values.only) {
  const [queries, keys, step, error, looks] = values.only.split(",").map(Number);
  cases.splice(0, cases.length, { queries, keys, dim: 32, step, error, looks });
}
for (const of of cases) {
  console.log(`\n${of.queries} × ${of.keys}, steps of ${of.step}, error ${of.error}, ${of.looks} looks`);
  const measured = await measure(of);
  const [exact] = measured;
  for (const [at, { times, multiplyAdds }] of measured.entries()) {
    const [low, high] = quantile(times, [0.25, 0.75]);
    console.log(
      `  ${WAYS[at].name.padEnd(22)} median ${median(times).toFixed(3)} (${low.toFixed(3)}–${
        high.toFixed(3)
      }), ` +
        `${(median(exact.times) / median(times)).toFixed(2)} × less; mean ${mean(times).toFixed(3)}, ` +
        `${(mean(exact.times) / mean(times)).toFixed(2)} ×; multiply-adds ${
          (exact.multiplyAdds / multiplyAdds).toFixed(2)
        } × fewer`,
    );
  }
}
