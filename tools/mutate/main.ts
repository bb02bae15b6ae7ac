// `deno task mutate`: changes one thing at a time in the sources, in a copy of the tree, and tells which changes no test
// notices. A survivor is a test that is missing, code that does nothing, or a change of cost alone.

import { findTestFiles, type TestFile } from "../test/test_files.ts";
import { type Arguments, HELP, parseArguments } from "./arguments.ts";
import { type Baseline, Baselines } from "./baseline.ts";
import { ImportGraph } from "./reach.ts";
import { mutantText, summary, verdictLine } from "./report.ts";
import { drawMutants, findMutants, type Mutant } from "./sources.ts";
import { listTree, TreeCopy } from "./tree_copy.ts";
import { Trials, type Verdict } from "./trial.ts";

/** Mutants that are tried unless told otherwise. */
const USUAL_COUNT = 50;
/** Tests that judge what a graphics device computes; others that load its sources only pass by. */
const WITH_DEVICE = /^tests\/(backends|engine)\//;
/** Seconds after which a test is too slow to be of use. */
const BASELINE_LIMIT = 150;
const ROOT = new URL("../../", import.meta.url);

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args, ROOT));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.error(error.message);
    Deno.exit(2);
  }
}

/** Tries mutants of the sources below `root`; returns the exit code, 1 where one survived. */
export async function main(args: readonly string[], root: URL): Promise<number> {
  const { count, seed, places, exceptions, list, help, ...trying } = parseArguments(args);
  if (help) {
    console.log(HELP);
    return 0;
  }
  const paths = await listTree(root);
  const sources = paths.filter((path) => !exceptions.some((beginning) => path.startsWith(beginning)));
  const all = await findMutants(root, sources, places);
  const mutants = drawMutants(all, count ?? (places.length > 0 ? all.length : USUAL_COUNT), seed);
  console.log(`${mutants.length} of ${all.length} mutants, seed ${seed}`);
  if (list) {
    for (const mutant of mutants) console.log(mutantText({ mutant }));
    return 0;
  }
  const verdicts = await tryAll(mutants, root, paths, trying);
  console.log(`\n${summary(verdicts)}`);
  return verdicts.every(({ killer }) => killer !== null) ? 0 : 1;
}

async function tryAll(
  mutants: readonly Mutant[],
  root: URL,
  paths: readonly string[],
  { jobs, limitSeconds, tests: beginnings }: Pick<Arguments, "jobs" | "limitSeconds" | "tests">,
): Promise<Verdict[]> {
  const isMeant = ({ name, fullSuite }: TestFile) =>
    fullSuite === null && name.endsWith("_test.ts") &&
    (beginnings.length === 0 || beginnings.some((beginning) => name.startsWith(beginning)));
  const tests = (await findTestFiles(root)).filter(isMeant);
  const graph = await ImportGraph.of(root, tests.map(({ name }) => name));
  await using copies = new AsyncDisposableStack();
  const copyTree = async () => copies.use(await TreeCopy.of(root, paths));
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  Deno.addSignalListener("SIGINT", interrupt);
  copies.defer(() => Deno.removeSignalListener("SIGINT", interrupt));
  const { signal } = interruption;
  const file = new URL("report/mutate-baseline.json", root);
  const baselines = await Baselines.open(await copyTree(), graph, file, BASELINE_LIMIT, signal);
  const measured = new Map<boolean, Promise<Baseline[]>>();
  const measure = (device: boolean) => {
    const wanted = device ? tests.filter(({ name }) => WITH_DEVICE.test(name)) : tests;
    const reaching = testsThatReach(mutants, wanted, graph);
    console.log(`${reaching.length} tests reach them${device ? " with a device" : ""}`);
    return baselines.measure(reaching, device, jobs);
  };
  const baselineOf = (device: boolean) => {
    if (!measured.has(device)) measured.set(device, measure(device));
    return measured.get(device)!;
  };
  const trials = new Trials(baselineOf, graph, limitSeconds, signal);
  const verdicts: Verdict[] = [];
  const waiting = mutants.values();
  await Promise.all(Array.from({ length: jobs }, async () => {
    const copy = await copyTree();
    for (const mutant of waiting) {
      if (signal.aborted) return;
      const verdict = await trials.try(mutant, copy);
      if (signal.aborted) return;
      console.log(verdictLine(verdict));
      verdicts.push(verdict);
    }
  }));
  return verdicts;
}

function testsThatReach(
  mutants: readonly Mutant[],
  tests: readonly TestFile[],
  graph: ImportGraph,
): TestFile[] {
  const distances = [...new Set(mutants.map(({ path }) => path))].map((path) => graph.distancesTo(path));
  return tests.filter(({ name }) => distances.some((to) => to.has(name)));
}
