// Measures engines whose keys and values are float16 or int8 beside float32: bytes, times, and how far answers are from
// those of the rows as they were given. Run it with `deno task bench:storage`; --backend, and --quick for a
// tenth of the keys.
//
// Rows are normal numbers, and so scores have a spread of about 1. Times are medians of rounds in which all formats take
// turns, on one thread; they are of the processor, which other work on the machine does not change, and on webgpu of
// the clock.

import process from "node:process";
import { parseArgs } from "node:util";
import { median } from "simple-statistics";
import { type BackendName, DynamicAttention, type Matrix, type RowFormat } from "../mod.ts";
import { Random } from "../testing/random.ts";
import { describeMachine } from "./machine.ts";

const QUERIES = 64, DIM = 64, ROUNDS = 7, EDITS = 64;
const FORMATS: readonly RowFormat[] = ["float32", "float16", "int8"];
const { values: { quick, backend } } = parseArgs({
  options: { quick: { type: "boolean", default: false }, backend: { type: "string", default: "wasm" } },
});
const KEYS = quick ? 10_000 : 100_000;

const random = new Random(1);
const matrix = (rows: number): Matrix => ({ data: random.row(rows * DIM), shape: [rows, DIM] });
const query = matrix(QUERIES), key = matrix(KEYS), value = matrix(KEYS);

/** One format's engine, and the times of its rounds. */
interface Entry {
  readonly format: RowFormat;
  readonly live: DynamicAttention;
  readonly times: Record<string, number[]>;
  readonly output: Matrix;
}

/** The steps that are timed. */
const STEPS: Readonly<Record<string, (live: DynamicAttention) => Promise<unknown>>> = {
  "all anew": (live) => live.rebuild(),
  "one passing query": (live) => live.attend({ data: query.data.subarray(0, DIM), shape: [1, DIM] }),
  "64 edits, read all": async (live) => {
    for (let edit = 0; edit < EDITS; edit++) live.set(random.below(KEYS), random.row(DIM), random.row(DIM));
    await live.read();
  },
  "64 edits, peek with bounds": async (live) => {
    for (let edit = 0; edit < EDITS; edit++) live.set(random.below(KEYS), random.row(DIM), random.row(DIM));
    await live.peek();
  },
};

async function entryOf(format: RowFormat): Promise<Entry> {
  const live = await DynamicAttention.create({
    query,
    key,
    value,
    backend: backend as BackendName,
    storage: format,
    lazyThreshold: Infinity,
    ...(backend === "wasm" ? { threads: 1 } : {}),
  });
  const times = Object.fromEntries(Object.keys(STEPS).map((step) => [step, []]));
  return { format, live, times, output: await live.read() };
}

/** The largest distance of an output row from that of float32, as a share of the largest norm of a row. */
function errorOf(output: Matrix, exact: Matrix): number {
  let error = 0, size = 0;
  for (let i = 0; i < QUERIES; i++) {
    const row = exact.data.subarray(i * DIM, (i + 1) * DIM);
    error = Math.max(error, Math.hypot(...row.map((x, c) => x - output.data[i * DIM + c])));
    size = Math.max(size, Math.hypot(...row));
  }
  return error / size;
}

function milliseconds(): number {
  if (backend === "webgpu") return performance.now();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const entries: Entry[] = [];
for (const format of FORMATS) entries.push(await entryOf(format));
const bytes = entries.map(({ live }) => live.stats().bytes);
for (let round = 0; round <= ROUNDS; round++) {
  for (const { live, times } of entries) {
    for (const [step, take] of Object.entries(STEPS)) {
      await live.flush();
      const start = milliseconds();
      await take(live);
      // The first round warms up.
      if (round > 0) times[step].push(milliseconds() - start);
    }
  }
}

const { cpu, cores, deno } = await describeMachine();
console.log(
  `${KEYS} keys of d = dv = ${DIM}, ${QUERIES} queries, ${backend}; ${cpu}, ${cores} cores, Deno ${deno}\n`,
);
console.log(
  ["", "MB", "bytes a key", "error", ...Object.keys(STEPS).map((step) => `${step}, ms`)].join(" | "),
);
entries.forEach(({ format, times, output }, at) => {
  const cells = Object.values(times).map((taken) => median(taken).toPrecision(3));
  const error = errorOf(output, entries[0].output);
  const held = [
    (bytes[at] / 1e6).toFixed(1),
    Math.round(bytes[at] / KEYS),
    error === 0 ? "0" : error.toExponential(1),
  ];
  console.log([format, ...held, ...cells].join(" | "));
});
for (const { live } of entries) await live.dispose();
