// `deno task bench`: what the engine costs, what its peers cost on the same cores in the same run, and where
// it loses. Prints tables; writes bench/results.json and report/bench.html. The peers are installed on the
// first run.

import { PLOTLY_SOURCE } from "../src/jupyter/figures/plotly_source.ts";
import { breakEvens } from "./break_even.ts";
import { measureFreshStart } from "./fresh/fresh_start.ts";
import { describeMachine } from "./machine.ts";
import { type BenchOptions, parseOptions, USAGE } from "./options.ts";
import { MEMORY_SHAPES, planSteps, QUICK_MEMORY_SHAPES, SCALE_SHAPE } from "./plan.ts";
import { drawFigures } from "./display/draw.ts";
import { renderBenchPage } from "./display/page.ts";
import { allTables, formatTable } from "./display/tables.ts";
import type { BenchResults } from "./results.ts";
import { attempt, bestLimits, measureLimits, type RunLimits, Runner } from "./runner.ts";
import { judgeTargets } from "./targets.ts";

const FULL: RunLimits = {
  time: { budgetMs: 500, warmUpMs: 500, leastRuns: 5 },
  longestRunMs: 12_000,
  timeoutMs: 180_000,
};
const QUICK: RunLimits = {
  time: { budgetMs: 100, warmUpMs: 100, leastRuns: 3 },
  longestRunMs: 1000,
  timeoutMs: 30_000,
};
/** On a plain backend a million keys take several minutes to build. */
const SCALE_TIMEOUT_MS = 1_800_000;
const PAGE = new URL("../report/bench.html", import.meta.url);

async function run(options: BenchOptions): Promise<BenchResults> {
  const say = (line: string) => console.error(line);
  const limits = options.quick ? QUICK : FULL;
  const machine = await describeMachine();
  const runner = new Runner(limits, say);
  try {
    const firstLimits = await measureLimits(machine.cores);
    await runner.start(machine.cores, options.subjects);
    const measurements = await runner.measure(planSteps(options));
    const bestOfLimits = bestLimits([firstLimits, await measureLimits(machine.cores)]);
    const memory = await runner.measureMemory(options.quick ? QUICK_MEMORY_SHAPES : MEMORY_SHAPES);
    const scale = options.scale ? await runner.measureScale(SCALE_SHAPE, SCALE_TIMEOUT_MS) : [];
    const fresh = await attempt(() => measureFreshStart(options.quick ? 5 : 15));
    const { subjects } = runner;
    const measured = {
      date: new Date().toISOString().slice(0, 10),
      machine,
      quick: options.quick,
      subjects,
      limits: bestOfLimits,
      measurements,
      memory,
      scale,
      fresh,
    };
    return { ...measured, breakEven: breakEvens(subjects, measurements), targets: judgeTargets(measured) };
  } finally {
    runner.end();
  }
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(USAGE);
    return 0;
  }
  let options: BenchOptions;
  try {
    options = parseOptions(args);
  } catch (thrown) {
    console.error(thrown instanceof Error ? thrown.message : thrown);
    return 2;
  }
  const results = await run(options);
  await Deno.writeTextFile(options.output, JSON.stringify(results, null, 2) + "\n");
  await Deno.mkdir(new URL(".", PAGE), { recursive: true });
  await Deno.writeTextFile(PAGE, renderBenchPage(results, PLOTLY_SOURCE));
  if (options.figures) await drawFigures(results, PLOTLY_SOURCE);
  for (const table of allTables(results)) console.log(`\n${formatTable(table)}`);
  return 0;
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
