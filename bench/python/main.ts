// `deno task bench:peers`: one edit, and then all rows, by Attune, by the fastest library that computes them
// again, and by NumPy, in one run on the same cores. Beside it the speed of memory: the time to move the bytes
// that any way of keeping sums has to move. NumPy is put into a virtual environment in report/peers.

import { parseArgs } from "node:util";
import { quantile } from "simple-statistics";
import { preparePython, runProgram } from "../../tools/python_environment.ts";
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
  readonly error: number;
}

interface PythonLine {
  readonly way: "scratch" | "continual";
  readonly shape: string;
  readonly threads: number;
  readonly times: readonly number[];
  readonly error: number;
  readonly numpy: string;
}

/** Both ways of NumPy at all shapes, with as many threads as are given. */
async function askPython(python: string, threads: number, seconds: number): Promise<PythonLine[]> {
  const script = new URL("peers.py", import.meta.url).pathname;
  const shapes = SHAPES.map(([queries, keys]) => `${queries}x${keys}`);
  const text = await runProgram(python, [script, String(threads), String(seconds), ...shapes]);
  return text.trim().split("\n").map((line) => JSON.parse(line));
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

function fastest(told: readonly Told[], name: string, shape: string): string {
  const found = told.filter((one) => one.name === name && one.shape === shape);
  if (found.length === 0) return "not there";
  const { quartiles: [low, middle, high], threads } = found.reduce((a, b) =>
    b.quartiles[1] < a.quartiles[1] ? b : a
  );
  return `${short(middle)} (${short(low)}–${short(high)})${threads > 1 ? `, ${threads} cores` : ""}`;
}

const { quick = false } = parseArgs({ args: Deno.args, options: { quick: { type: "boolean" } } }).values;
const seconds = quick ? QUICK_SECONDS : SECONDS;
const limits: RunLimits = {
  time: { budgetMs: 1000 * seconds, warmUpMs: 1000 * seconds, leastRuns: 5 },
  longestRunMs: 20_000,
  timeoutMs: 240_000,
};
const python = await preparePython(
  new URL("../../report/peers/", import.meta.url),
  new URL("requirements.txt", import.meta.url),
);
const { cpu, cores, system, deno } = await describeMachine();
const threadCounts = cores === 1 ? [1] : [1, cores];
const runner = new Runner(limits, console.error);
const lines: PythonLine[] = [], told: Told[] = [];
const askAll = async () => {
  for (const threads of threadCounts) lines.push(...await askPython(python, threads, seconds / 2));
};
try {
  await runner.start(cores, ["attune wasm", "onnxruntime-node"]);
  // NumPy before and after the others, so that a slow moment of the machine is not one side's alone.
  await askAll();
  const steps = SHAPES.map(([queries, keys]): Step => ({
    shape: shapeOf(queries, keys),
    workload: answerAfter(1),
    ofPeers: true,
  }));
  for (const { subject, threads, shape, ...result } of await runner.measure(steps)) {
    if (result.status !== "measured") continue;
    const { timing: { median: middle, spread: [low, high] }, error } = result;
    const name = subject.startsWith("attune") ? "attune" : "onnxruntime-node";
    const size = `${shape.queryCount}x${shape.keyCount}`;
    told.push({ name, shape: size, threads, quartiles: [low, middle, high], error });
  }
  await askAll();
} finally {
  runner.end();
}
for (const way of ["scratch", "continual"] as const) {
  for (const threads of threadCounts) {
    for (const [queries, keys] of SHAPES) {
      const shape = `${queries}x${keys}`;
      const mine = lines.filter((line) =>
        line.way === way && line.threads === threads && line.shape === shape
      );
      const quartiles = quantile(mine.flatMap(({ times }) => times), [0.25, 0.5, 0.75]);
      told.push({ name: way, shape, threads, quartiles, error: Math.max(...mine.map(({ error }) => error)) });
    }
  }
}
const large = await timeCopy(LARGE_BYTES, 1000 * seconds);
console.log(
  `${cpu}, ${cores} cores, ${system}, Deno ${deno}, NumPy ${lines[0].numpy}; d = dv = ${HEAD_DIM}, ms\n` +
    `memory: a copy reads and writes ${short(2 * LARGE_BYTES / large / 1e6)} GB a second\n`,
);
console.log(
  "| queries × keys | moving the bytes | Attune | NumPy, continual | again, onnxruntime-node | again, NumPy |",
);
console.log("| - | - | - | - | - | - |");
for (const [queries, keys] of SHAPES) {
  const shape = `${queries}x${keys}`;
  const cells = ["attune", "continual", "onnxruntime-node", "scratch"].map((name) =>
    fastest(told, name, shape)
  );
  const limit = short(await moveTime(queries, 1000 * seconds));
  console.log(
    `| ${queries.toLocaleString("en")} × ${keys.toLocaleString("en")} | ${limit} | ${cells.join(" | ")} |`,
  );
}
for (const name of ["attune", "continual", "onnxruntime-node", "scratch"]) {
  const errors = told.filter((one) => one.name === name).map(({ error }) => error);
  if (errors.length > 0) {
    console.log(`${name}: off by at most ${Math.max(...errors).toExponential(1)} of the largest value`);
  }
}
