// Times looks at all rows of a memory that drifts: exact reads, stale answers within an error under both of its
// names, and followed rows, in one run on the same stream, and prints them as the tables of docs/benchmarks.md.
// Run it with `deno task bench:drift`; --quick looks a tenth as often, --backend=array takes that backend, and
// --only=512,2048,1e-4,0.2,3072 one case: queries, keys, the size of a step, the error and the number of looks.
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
  readonly step: number;
  readonly error: number;
  readonly looks: number;
}

/** Looks at all rows once; made for one engine. */
type Look = () => Promise<unknown>;

interface Way {
  readonly name: string;
  readonly limit?: (error: number) => { readonly error: number } | { readonly targetError: number };
  look(live: DynamicAttention, of: Case): Look;
}

const DIM = 32;

function peeks(live: DynamicAttention, { queries }: Case): Look {
  const into = new Float32Array(queries * DIM);
  return () => live.peek(undefined, { into });
}

/** The first one is what the others are held against. */
const WAYS: readonly Way[] = [
  {
    name: "`read`",
    look: (live, { queries }) => {
      const into = new Float32Array(queries * DIM);
      return () => live.read(undefined, { into });
    },
  },
  { name: "`{ error }`", limit: (error) => ({ error }), look: peeks },
  { name: "`{ targetError }`", limit: (targetError) => ({ targetError }), look: peeks },
  {
    name: "`follow`",
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
  /** Milliseconds of each look. */
  readonly times: number[];
}

/**
 * The mean of all but the slowest hundredth: on a machine with other work these are the looks in which another
 * program ran, for some milliseconds each.
 */
function meanOfMost(times: readonly number[]): number {
  const sorted = [...times].sort((one, other) => one - other);
  return mean(sorted.slice(0, Math.ceil(0.99 * sorted.length)));
}

async function begin(way: Way, of: Case): Promise<Course> {
  const { queries, keys, step, error } = of;
  const random = new Random(7);
  const key = random.rows(keys, DIM), value = random.rows(keys, DIM);
  const live = await DynamicAttention.create({
    query: random.rows(queries, DIM),
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
    for (let c = 0; c < DIM; c++) row[c] += step * random.normal();
    if (isKey) live.setKey(slot, row);
    else live.setValue(slot, row);
  };
  const look = way.look(live, of);
  await look();
  return { live, look, edit, times: [] };
}

interface Measured {
  readonly times: readonly number[];
  readonly multiplyAdds: number;
}

async function measure(of: Case): Promise<Measured[]> {
  const courses = await Promise.all(WAYS.map((way) => begin(way, of)));
  const before = courses.map(({ live }) => live.stats().multiplyAdds);
  for (let turn = 0; turn < of.looks; turn += TURN) {
    for (const course of courses) {
      for (let at = turn; at < Math.min(turn + TURN, of.looks); at++) {
        for (let count = 0; count < EDITS; count++) course.edit();
        const start = performance.now();
        await course.look();
        course.times.push(performance.now() - start);
      }
    }
  }
  const measured = courses.map(({ live, times }, at) => {
    return { times, multiplyAdds: live.stats().multiplyAdds - before[at] };
  });
  for (const { live } of courses) await live.dispose();
  return measured;
}

/** Prints a case as a row of a table: µs of an exact read, and for each way the ratios of time and work. */
function print({ queries, keys, step, error, looks }: Case, measured: readonly Measured[]): void {
  const [exact] = measured;
  const micros = (time: number) => (1000 * time).toPrecision(3);
  const [low, high] = quantile([...exact.times], [0.25, 0.75]);
  const cells = measured.slice(1).flatMap(({ times, multiplyAdds }) => [
    (median([...times]) / median([...exact.times])).toFixed(2),
    (meanOfMost(times) / meanOfMost(exact.times)).toFixed(2),
    (multiplyAdds / exact.multiplyAdds).toFixed(2),
  ]);
  const read = `${micros(median([...exact.times]))} (${micros(low)}–${micros(high)})`;
  console.log(`| ${queries} × ${keys}, ${step}, ${error}, ${looks} | ${read} | ${cells.join(" | ")} |`);
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

function allCases(): Case[] {
  const looks = Math.ceil(1536 * share), cases: Case[] = [];
  for (const queries of [512, 128]) {
    for (const step of [1e-5, 1e-4, 1e-3, 1e-2]) {
      for (const error of [1e-3, 1e-2, 1e-1]) cases.push({ queries, keys: 2048, step, error, looks });
    }
  }
  // Six sweeps over all keys.
  cases.push({ queries: 512, keys: 2048, step: 1e-4, error: 0.2, looks: Math.ceil(3072 * share) });
  if (backend === "wasm") {
    cases.push({ queries: 4096, keys: 4096, step: 1e-4, error: 0.2, looks: Math.ceil(6144 * share) });
  }
  return cases;
}

function oneCase(text: string): Case {
  const [queries, keys, step, error, looks] = text.split(",").map(Number);
  return { queries, keys, step, error, looks };
}

const { cpu, cores } = await describeMachine();
console.log(
  `${cpu}, ${cores} cores, Deno ${Deno.version.deno}; ${backend} on one thread, d = dv = ${DIM}\n\n` +
    "µs of an exact read into an array, in the median with quartiles; for each way, over those of exact reads: the\n" +
    "median of its times, the mean of all but the slowest hundredth, and its multiply-adds\n",
);
const names = WAYS.slice(1).map(({ name }) => `${name}: median | mean | work`);
console.log(`| queries × keys, step, error, looks | \`read\` | ${names.join(" | ")} |`);
console.log(`| --- | --- | ${names.map(() => "--- | --- | ---").join(" | ")} |`);
for (const of of values.only ? [oneCase(values.only)] : allCases()) print(of, await measure(of));
