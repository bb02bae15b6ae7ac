// `deno task bench:peers`: one edit, and then all rows, by Attune, by the fastest library that computes them
// again, by NumPy and by PyTorch, in one run on the same cores. Beside it the speed of memory: the time to move
// the bytes that any way of keeping sums has to move. NumPy is put into a virtual environment in report/peers,
// PyTorch into one in report/torch. --quick; --no-libraries leaves out those that are installed from npm;
// --torch asks for PyTorch, which is 5 GB with the libraries for graphics cards that it does not load without.

import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { quantile } from "simple-statistics";
import { DynamicAttention } from "../../mod.ts";
import { Random } from "../../testing/random.ts";
import { preparePython, runProgram } from "../../studies/python_environment.ts";
import { describeMachine } from "../machine.ts";
import { answerAfter, type Step } from "../plan.ts";
import { type RunLimits, Runner } from "../runner.ts";
import { short } from "../statistics.ts";
import { time } from "../stopwatch.ts";
import { HEAD_DIM, shapeOf } from "../workload.ts";

const SHAPES = [[128, 1024], [128, 4096], [128, 16_384], [4096, 4096]] as const;
const SECONDS = 1.5, QUICK_SECONDS = 0.2;
/** Copies that are timed together, since a clock cannot see a short one. */
const COPIES = 50;
/** Bytes beyond all caches. */
const LARGE_BYTES = 2 ** 28;

/** The times of a way, whichever process told them. */
interface Told {
  readonly name: string;
  readonly shape: string;
  readonly threads: number;
  /** First quartile, median and third quartile, in milliseconds. */
  readonly quartiles: readonly number[];
}

/** A library of Python: its module here, and where it is installed. */
interface PythonLibrary {
  readonly module: "numpy_ways" | "torch_ways";
  readonly python: string;
}

interface PythonLine {
  readonly way: PythonWay;
  readonly shape: string;
  readonly threads: number;
  readonly times: readonly number[];
  readonly error: number;
  /** Its name and version. */
  readonly library: string;
}

/** The ways of peers.py, as the table calls them. */
const PYTHON_WAYS = {
  continual: "NumPy, continual",
  retroactive: "continual-inference",
  sdpa: "again, PyTorch",
  scratch: "again, NumPy",
} as const;
type PythonWay = keyof typeof PYTHON_WAYS;

async function prepare(module: PythonLibrary["module"], name: "peers" | "torch"): Promise<PythonLibrary> {
  const folder = new URL(`../../report/${name}/`, import.meta.url);
  return { module, python: await preparePython(folder, new URL(`${name}.txt`, import.meta.url)) };
}

/** The ways of a library at all shapes, with as many threads as are given. */
async function askPython(library: PythonLibrary, threads: number, seconds: number): Promise<PythonLine[]> {
  const script = fileURLToPath(new URL("peers.py", import.meta.url));
  const shapes = SHAPES.map(([queries, keys]) => `${queries}x${keys}`);
  const args = ["-B", script, library.module, String(threads), String(seconds), ...shapes];
  const text = await runProgram(library.python, args);
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

/** Milliseconds of one edit and a read of all rows into a kept array, on one thread, warmed up for as long again. */
async function timeAttune(queries: number, keys: number, milliseconds: number): Promise<number[]> {
  const random = new Random(1), rows = random.rows(512, HEAD_DIM);
  await using live = await DynamicAttention.create({
    query: random.rows(queries, HEAD_DIM),
    key: random.rows(keys, HEAD_DIM),
    value: random.rows(keys, HEAD_DIM),
    backend: "wasm",
    threads: 1,
    lazyThreshold: Infinity,
  });
  const into = new Float32Array(queries * HEAD_DIM), times: number[] = [];
  for (let round = 0, edit = 0; round < 2; round++) {
    times.length = 0;
    for (const end = performance.now() + milliseconds; performance.now() < end; edit++) {
      const start = performance.now();
      live.set(edit % keys, rows[edit % 512], rows[(edit + 1) % 512]);
      await live.read(undefined, { into });
      times.push(performance.now() - start);
    }
  }
  return times;
}

/** Milliseconds to copy `bytes` from one array to another, both as large. */
async function timeCopy(bytes: number, budgetMs: number): Promise<number> {
  const from = new Float32Array(bytes / 4).fill(1), to = new Float32Array(bytes / 4);
  const together = bytes > 2 ** 24 ? 1 : COPIES;
  const timing = await time(() => to.set(from), { budgetMs, together });
  return timing.median;
}

/**
 * Milliseconds to move what one edit has to move of m standing queries: m·d numbers of the queries are read, m·dv of
 * the sums read and written, m·dv of the answers written. Two copies of m·d numbers read and write as much.
 */
async function moveTime(queries: number, budgetMs: number): Promise<number> {
  return 2 * await timeCopy(4 * queries * HEAD_DIM, budgetMs);
}

function quartilesOf(times: readonly number[]): number[] {
  return quantile([...times], [0.25, 0.5, 0.75]);
}

function fastest(told: readonly Told[], name: string, shape: string): string {
  const found = told.filter((one) => one.name === name && one.shape === shape);
  if (found.length === 0) return "not there";
  const { quartiles: [low, middle, high], threads } = found.reduce((a, b) =>
    b.quartiles[1] < a.quartiles[1] ? b : a
  );
  return `${short(middle)} (${short(low)}–${short(high)})${threads > 1 ? `, ${threads} cores` : ""}`;
}

const { quick = false, "no-libraries": isAlone = false, torch: hasTorch = false } = parseArgs({
  args: Deno.args,
  options: {
    "quick": { type: "boolean" },
    "no-libraries": { type: "boolean" },
    "torch": { type: "boolean" },
  },
}).values;
const seconds = quick ? QUICK_SECONDS : SECONDS;
const limits: RunLimits = {
  time: { budgetMs: 1000 * seconds, warmUpMs: 1000 * seconds, leastRuns: 5 },
  longestRunMs: 20_000,
  timeoutMs: 240_000,
};
const libraries = [await prepare("numpy_ways", "peers")];
if (hasTorch) libraries.push(await prepare("torch_ways", "torch"));
const { cpu, cores, system, deno } = await describeMachine();
const threadCounts = cores === 1 ? [1] : [1, cores];
const runner = new Runner(limits, console.error);
const lines: PythonLine[] = [], told: Told[] = [];
const ownTimes: number[][] = SHAPES.map(() => []);
/** Attune and Python; before the libraries and after them, so that a slow moment of the machine is not one side's alone. */
const askBoth = async () => {
  for (const library of libraries) {
    for (const threads of threadCounts) lines.push(...await askPython(library, threads, seconds / 2));
  }
  for (const [at, [queries, keys]] of SHAPES.entries()) {
    for (const ms of await timeAttune(queries, keys, 500 * seconds)) ownTimes[at].push(ms);
  }
};
try {
  if (!isAlone) await runner.start(cores, ["onnxruntime-node"]);
  await askBoth();
  const steps = SHAPES.map(([queries, keys]): Step => ({
    shape: shapeOf(queries, keys),
    workload: answerAfter(1),
    ofPeers: true,
  }));
  for (const { threads, shape, ...result } of await runner.measure(steps)) {
    if (result.status !== "measured") continue;
    const { median, spread: [low, high] } = result.timing;
    const size = `${shape.queryCount}x${shape.keyCount}`;
    told.push({ name: "onnxruntime-node", shape: size, threads, quartiles: [low, median, high] });
  }
  await askBoth();
} finally {
  runner.end();
}
for (const [at, [queries, keys]] of SHAPES.entries()) {
  const quartiles = quartilesOf(ownTimes[at]);
  told.push({ name: "attune", shape: `${queries}x${keys}`, threads: 1, quartiles });
}
const ways = (Object.keys(PYTHON_WAYS) as PythonWay[]).filter((way) =>
  lines.some((line) => line.way === way)
);
for (const way of ways) {
  for (const threads of threadCounts) {
    for (const [queries, keys] of SHAPES) {
      const shape = `${queries}x${keys}`;
      const mine = lines.filter((line) =>
        line.way === way && line.threads === threads && line.shape === shape
      );
      told.push({ name: way, shape, threads, quartiles: quartilesOf(mine.flatMap(({ times }) => times)) });
    }
  }
}
const large = await timeCopy(LARGE_BYTES, 1000 * seconds);
const versions = [...new Set(lines.map(({ library }) => library))].join(", ");
console.log(
  `${cpu}, ${cores} cores, ${system}, Deno ${deno}, ${versions}; d = dv = ${HEAD_DIM}, ms\n` +
    `memory: a copy reads and writes ${short(2 * LARGE_BYTES / large / 1e6)} GB a second\n`,
);
const columns: ReadonlyMap<string, string> = new Map([
  ["attune", "Attune"],
  ["onnxruntime-node", "again, onnxruntime-node"],
  ...ways.map((way) => [way, PYTHON_WAYS[way]] as const),
]);
console.log(`| queries × keys | moving the bytes | ${[...columns.values()].join(" | ")} |`);
console.log(`| - | - |${" - |".repeat(columns.size)}`);
for (const [queries, keys] of SHAPES) {
  const shape = `${queries}x${keys}`;
  const cells = [...columns.keys()].map((name) => fastest(told, name, shape));
  const limit = short(await moveTime(queries, 1000 * seconds));
  console.log(
    `| ${queries.toLocaleString("en")} × ${keys.toLocaleString("en")} | ${limit} | ${cells.join(" | ")} |`,
  );
}
for (const way of ways) {
  const errors = lines.filter((line) => line.way === way).map(({ error }) => error);
  console.log(
    `${PYTHON_WAYS[way]}: off by at most ${Math.max(...errors).toExponential(1)} of the largest value`,
  );
}
