// Times every kind of stale answer under every pattern of edits, over the time of an exact read of the same rows,
// in turns of one run on the same stream: no ratio may be above 1.1. Run it with `deno task bench:stale`; --quick
// looks a fifth as often, --backend and --size name one, --only a part of a pattern's name.
//
// A look alone is timed, not the edits before it. Beside ratios of medians are those of means, without the slowest
// fiftieth of looks, which other work of the machine makes.

import { parseArgs } from "node:util";
import { mean, median } from "simple-statistics";
import { DynamicAttention, type DynamicAttentionOptions } from "../mod.ts";
import { EDIT_PATTERNS, type EditPattern, type PatternSizes } from "../testing/edit_patterns.ts";
import { Random } from "../testing/random.ts";
import { describeMachine } from "./machine.ts";

interface Way {
  readonly name: string;
  readonly options?: Partial<DynamicAttentionOptions>;
  readonly bounds?: boolean;
}

const WAYS: readonly Way[] = [
  { name: "read" },
  { name: "∞, no bounds", options: { lazyThreshold: Infinity }, bounds: false },
  { name: "∞, bounds", options: { lazyThreshold: Infinity }, bounds: true },
  { name: "64, no bounds", options: { lazyThreshold: 64 }, bounds: false },
  { name: "64, bounds", options: { lazyThreshold: 64 }, bounds: true },
  { name: "error 0.05", options: { lazyThreshold: { error: 0.05 } }, bounds: true },
  { name: "error 0", options: { lazyThreshold: { error: 0 } }, bounds: true },
];
const MOST = 1.1;
const DIM = 64;

/** One way of looking, under way. */
interface Course {
  readonly way: Way;
  readonly live: DynamicAttention;
  readonly random: Random;
  readonly into: Float32Array<ArrayBuffer>;
  readonly times: number[];
}

async function begin(way: Way, pattern: EditPattern, sizes: PatternSizes): Promise<Course> {
  const random = new Random(7), { queries, keys, dim } = sizes;
  const live = await DynamicAttention.create({
    query: random.rows(queries, dim),
    key: random.rows(keys, dim),
    value: random.rows(keys, dim),
    backend,
    threads: 1,
    ...pattern.options?.(sizes),
    ...way.options,
  });
  await live.read();
  return { way, live, random, into: new Float32Array(queries * dim), times: [] };
}

async function look(
  { way, live, random, into, times }: Course,
  pattern: EditPattern,
  sizes: PatternSizes,
  number: number,
): Promise<void> {
  await pattern.edit(live, random, sizes, number);
  const slots = pattern.slots?.(random, sizes, number);
  const target = slots ? into.subarray(0, slots.length * sizes.dim) : into;
  const start = performance.now();
  if (way.bounds === undefined) await live.read(slots, { into: target });
  else await live.peek(slots, { into: target, bounds: way.bounds });
  times.push(performance.now() - start);
}

async function measure(pattern: EditPattern, sizes: PatternSizes): Promise<Course[]> {
  const courses = await Promise.all(WAYS.map((way) => begin(way, pattern, sizes)));
  let number = 0;
  const turn = async (looks: number) => {
    for (const course of courses) {
      for (let at = 0; at < looks; at++) await look(course, pattern, sizes, number + at);
    }
    number += looks;
  };
  const start = performance.now();
  await turn(8);
  // As many looks as fit the time, in turns of a sixteenth.
  const each = (performance.now() - start) / 8;
  const looks = Math.max(32, Math.min(1024, Math.floor(budgetMs / each))), inTurn = Math.ceil(looks / 16);
  await turn(Math.ceil(looks / 4));
  for (const { times } of courses) times.length = 0;
  for (let done = 0; done < looks; done += inTurn) await turn(inTurn);
  for (const { live } of courses) await live.dispose();
  return courses;
}

/** The mean without the slowest fiftieth. */
function trimmed(times: readonly number[]): number {
  return mean(times.toSorted((a, b) => a - b).slice(0, Math.ceil(0.98 * times.length)));
}

const { values } = parseArgs({
  args: Deno.args,
  options: {
    quick: { type: "boolean", default: false },
    backend: { type: "string", default: "wasm" },
    size: { type: "string", default: "" },
    only: { type: "string", default: "" },
  },
});
const budgetMs = values.quick ? 800 : 4000;
const backend = values.backend === "array" ? "array" : "wasm";
const { cpu, cores } = await describeMachine();
console.log(`${cpu}, ${cores} cores, Deno ${Deno.version.deno}; ${backend} on one thread, d = dv = ${DIM}`);
console.log("Time of a look over that of an exact read: medians, means in brackets; ! above 1.1");
const above: string[] = [];
for (const [queries, keys] of [[128, 4096], [512, 2048], [2048, 2048]]) {
  if (values.size !== "" && values.size !== `${queries}x${keys}`) continue;
  console.log(`\n${queries} × ${keys} | read, µs | ${WAYS.slice(1).map(({ name }) => name).join(" | ")}`);
  for (const pattern of EDIT_PATTERNS) {
    if (!pattern.name.includes(values.only)) continue;
    const [exact, ...stale] = await measure(pattern, { queries, keys, dim: DIM });
    const cells = stale.map(({ way, times }) => {
      const ratio = median(times) / median(exact.times), inMean = trimmed(times) / trimmed(exact.times);
      const isAbove = Math.max(ratio, inMean) > MOST;
      if (isAbove) above.push(`${queries} × ${keys}, ${pattern.name}: ${way.name}`);
      return `${ratio.toFixed(2)} (${inMean.toFixed(2)})${isAbove ? " !" : ""}`;
    });
    console.log([pattern.name, (1000 * median(exact.times)).toFixed(0), ...cells].join(" | "));
  }
}
console.log(`\n${above.length} above ${MOST}`);
