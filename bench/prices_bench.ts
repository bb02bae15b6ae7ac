// Holds the constants by which the engine prices exact answers and answers by copies (`LookTimes` of each
// backend) against a clock. Each is the difference of two looks that differ in that part alone, of lower
// quartiles. Run it with `deno task bench:prices`; --backend names one. That of a graphics device is only measured
// when it is named, in fewer looks; on one in software, the times of arithmetic say nothing of others.

import { parseArgs } from "node:util";
import { quantile } from "simple-statistics";
import type { DynamicAttention } from "../mod.ts";
import type { Backend, Costs, LookTimes } from "../src/backends/backend.ts";
import { createEngine } from "../src/engine/create_engine.ts";
import { Random } from "../testing/random.ts";
import { describeMachine } from "./machine.ts";

type BackendName = "array" | "wasm" | "webgpu";
/** Exact reads; the same while one block of eight query slots is followed; refreshing copies; peeks by copies. */
type Way = "read" | "watched" | "follow" | "peek";

interface Case {
  readonly way: Way;
  readonly queries: number;
  readonly keys: number;
  readonly dim: number;
  readonly valueDim: number;
  /** Edits before each look. */
  readonly edits: number;
  /** Whether no key is edited twice. */
  readonly areNew?: boolean;
  /** The number of batches of `edits` before each look; another row is read after each but the last. 1 unless given. */
  readonly batches?: number;
  readonly looks?: number;
}

/** A case that is being measured. */
interface Course {
  readonly times: number[];
  readonly work: () => number;
  look(): Promise<void>;
  dispose(): Promise<void>;
}

async function begin(backend: BackendName, of: Case): Promise<Course> {
  const random = new Random(7), key = random.rows(of.keys, of.dim);
  let inner!: Backend;
  const live: DynamicAttention = await createEngine({
    query: random.rows(of.queries, of.dim),
    key,
    value: random.rows(of.keys, of.valueDim),
    backend,
    threads: 1,
    lazyThreshold: of.way === "peek" ? { error: 1e9 } : Infinity,
  }, { wrap: (made) => inner = made });
  const followed = of.way === "follow" ? live.follow(undefined, { error: 1e9 }) : null;
  const into = new Float32Array(of.queries * of.valueDim);
  await live.read(undefined, { into });
  await followed?.refresh();
  if (of.way === "watched") await inner.watch(Uint32Array.of(0));
  let slot = 0;
  const times: number[] = [];
  let timedWork = 0;
  const edit = (count: number) => {
    for (let at = 0; at < count; at++, slot++) {
      const edited = slot % (of.areNew ? of.keys : 16), row = key[edited];
      for (let c = 0; c < row.length; c++) row[c] += slot % 2 === 0 ? 1e-3 : -1e-3;
      live.setKey(edited, row);
    }
  };
  const look = async () => {
    if (followed) await followed.refresh();
    else if (of.way === "peek") await live.peek(undefined, { into });
    else if (of.batches !== undefined) await live.read([0]);
    else await live.read(undefined, { into });
  };
  for (let looks = 0; of.way === "peek" && !inner.watched?.isWhole; looks++) {
    if (looks > 2_000) throw new Error("following never seems to pay");
    edit(16);
    await look();
  }
  return {
    times,
    work: () => timedWork,
    look: async () => {
      for (let batch = 1; batch < (of.batches ?? 1); batch++) {
        edit(of.edits);
        await live.read([of.queries - 1]);
      }
      edit(of.edits);
      const start = performance.now(), before = workOf(inner);
      await look();
      times.push(1e6 * (performance.now() - start));
      timedWork += workOf(inner) - before;
    },
    dispose: () => live.dispose(),
  };
}

function workOf({ work, costs }: Backend): number {
  return work.multiplyAdds + costs.exponential * work.exponentials;
}

const TURN = 16;

/** Times and counted work a look of some cases, in turns. */
async function measure(
  backend: BackendName,
  cases: readonly Case[],
): Promise<{ time: number; work: number }[]> {
  const courses = await Promise.all(cases.map((of) => begin(backend, of)));
  const looks = cases[0].looks ?? (backend === "webgpu" ? 64 : 512), warm = looks / 4;
  const before = courses.map(() => 0);
  for (let turn = 0; turn < looks + warm; turn += TURN) {
    for (const [at, course] of courses.entries()) {
      if (turn === warm) {
        before[at] = course.work();
        course.times.length = 0;
      }
      for (let look = 0; look < TURN; look++) await course.look();
    }
  }
  for (const course of courses) await course.dispose();
  return courses.map((course, at) => {
    return { time: quantile(course.times, 0.25), work: (course.work() - before[at]) / course.times.length };
  });
}

/** The constants that are held against a clock; those of certificates are fitted to the times of `deno task bench:stale`. */
type ClockedTimes = Omit<
  LookTimes,
  "certified" | "taken" | "pair" | "pairFirst" | "pairAgain" | "measured" | "epoch"
>;

/** The constants by the clock. */
async function clocked(backend: BackendName): Promise<ClockedTimes> {
  const base = { keys: 4096, dim: 32, valueDim: 32 } as const;
  const few = { ...base, queries: 8 }, many = { ...base, queries: 1024 };
  const [read2, read16, read0, fewRead2, fewRead0, watched2] = await measure(backend, [
    { ...many, way: "read", edits: 2 },
    { ...many, way: "read", edits: 16 },
    { ...many, way: "read", edits: 0 },
    { ...few, way: "read", edits: 2 },
    { ...few, way: "read", edits: 0 },
    { ...many, way: "watched", edits: 2 },
  ]);
  const [fewFollow2, fewFollow8, fewFollow0, follow8, follow0, followNew8] = await measure(backend, [
    { ...few, way: "follow", edits: 2 },
    { ...few, way: "follow", edits: 8 },
    { ...few, way: "follow", edits: 0 },
    { ...many, way: "follow", edits: 8 },
    { ...many, way: "follow", edits: 0 },
    { ...many, way: "follow", edits: 8, areNew: true },
  ]);
  const [behind1, behind16] = await measure(backend, [
    { ...base, queries: 16, way: "read", edits: 16, areNew: true, batches: 1 },
    { ...base, queries: 16, way: "read", edits: 16, areNew: true, batches: 16 },
  ]);
  const [peek0, widePeek0, fewPeek0] = await measure(backend, [
    { ...many, way: "peek", edits: 0 },
    { ...many, way: "peek", edits: 0, valueDim: 256 },
    { ...base, queries: 128, way: "peek", edits: 0 },
  ]);
  const rows = many.queries - few.queries, blocks = rows / 8;
  const multiplyAdd = (read16.time - read2.time) / (read16.work - read2.work);
  const answered = (read0.time - fewRead0.time) / (rows * base.valueDim);
  const patched = read2.time - read0.time - fewRead2.time + fewRead0.time;
  const updated = (patched - (read2.work - fewRead2.work) * multiplyAdd) / (rows * base.valueDim);
  const step = (follow8.time - follow0.time - fewFollow8.time + fewFollow0.time) / (8 * blocks);
  const noted = (followNew8.time - follow8.time - (followNew8.work - follow8.work) * multiplyAdd) /
    (8 * many.queries / 8);
  const batch = watched2.time - read2.time - 2 * step - (watched2.work - read2.work) * multiplyAdd;
  const look = fewRead2.time - fewFollow2.time - fewRead2.work * multiplyAdd + batch + 2 * step;
  const common = fewFollow2.time - batch - 2 * step;
  const copied = (widePeek0.time - peek0.time) / (many.queries * (256 - base.valueDim));
  const copy = (peek0.time - fewPeek0.time) / (many.queries - 128) - base.valueDim * copied;
  const change = (behind16.time - behind1.time - (behind16.work - behind1.work) * multiplyAdd) / (15 * 16);
  const begun = await timeOfBeginning(backend);
  return { common, look, change, multiplyAdd, updated, answered, copy, copied, batch, step, noted, begun };
}

/** Measures how long beginning to follow takes for a row. */
async function timeOfBeginning(backend: BackendName): Promise<number> {
  const queries = 4096,
    dim = 32,
    random = new Random(7),
    all = Uint32Array.from({ length: queries }, (_, at) => at);
  let inner!: Backend;
  await using _live = await createEngine({
    query: random.rows(queries, dim),
    key: random.rows(256, dim),
    value: random.rows(256, dim),
    backend,
    threads: 1,
  }, { wrap: (made) => inner = made });
  const beginning: number[] = [];
  for (let look = 0; look < (backend === "webgpu" ? 4 : 64); look++) {
    const start = performance.now();
    await inner.watch(all);
    beginning.push(1e6 * (performance.now() - start));
  }
  return quantile(beginning, 0.25) / queries;
}

async function costsOf(backend: BackendName): Promise<Costs> {
  let inner!: Backend;
  await using _live = await createEngine({ query: [[0]], key: [[0]], value: [[0]], backend }, {
    wrap: (made) => inner = made,
  });
  return inner.costs;
}

const { values } = parseArgs({ args: Deno.args, options: { backend: { type: "string" } } });
const { cpu, cores } = await describeMachine();
console.log(`${cpu}, ${cores} cores, Deno ${Deno.version.deno}; one thread; nanoseconds`);
for (const backend of ["wasm", "array", "webgpu"] as const) {
  if (values.backend !== backend && (values.backend !== undefined || backend === "webgpu")) continue;
  console.log(`\n${backend.padEnd(12)} ${"source".padStart(10)} ${"clock".padStart(10)}`);
  const { times } = await costsOf(backend), clock = await clocked(backend);
  for (const [part, found] of Object.entries(clock)) {
    const time = times[part as keyof ClockedTimes];
    console.log(
      `${part.padEnd(12)} ${time.toPrecision(3).padStart(10)} ${found.toPrecision(3).padStart(10)}`,
    );
  }
}
