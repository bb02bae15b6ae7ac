// `deno task test` and `deno task test:full`: every file of tests in a process of its own, a few at a time,
// each with a limit after which it is ended and fails by its name.

import { HELP, parseArguments } from "./arguments.ts";
import { fileLine, outputOf, summary } from "./report.ts";
import { type Outcome, runFile } from "./run_file.ts";
import { findTestFiles, selectTestFiles, type TestFile } from "./test_files.ts";

/** Seconds that a file may take; in the full suite it may say so itself. */
const LIMIT = 180, FULL_LIMIT = 600;

const ROOT = new URL("../../", import.meta.url);

if (import.meta.main) Deno.exit(await main(Deno.args, ROOT));

/** Runs the suite below `root`; returns the exit code. */
export async function main(args: readonly string[], root: URL): Promise<number> {
  const { paths, full, jobs, limitSeconds, verbose, help, flags } = parseArguments(args);
  if (help) {
    console.log(HELP);
    return 0;
  }
  const all = await findTestFiles(root);
  const { selected, unknown } = await selectTestFiles(root, all, paths);
  if (unknown.length > 0) {
    console.error(`no test file is called ${unknown.join(" or ")}`);
    return 2;
  }
  const wanted = paths.length > 0 ? selected : all;
  const files = wanted.filter(({ fullSuite }) => full || fullSuite === null);
  const left = wanted.length - files.length;
  if (files.length === 0) {
    console.error(`of the full suite alone: deno task test:full ${paths.join(" ")}`);
    return 2;
  }
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  const options = {
    root,
    flags: ["--allow-all", ...flags],
    env: full ? { ATTUNE_LONG: "1" } : {},
    signal: interruption.signal,
  };
  const start = performance.now();
  Deno.addSignalListener("SIGINT", interrupt);
  const outcomes = await runAll(files, jobs ?? defaultJobs(), async (file) => {
    const outcome = await runFile(file, {
      ...options,
      limitSeconds: limitSeconds ?? limitOf(file, full),
    });
    console.log(fileLine(outcome));
    if (outcome.failure !== null || verbose || files.length === 1) console.log(outputOf(outcome));
    return outcome;
  }, interruption.signal).finally(() => Deno.removeSignalListener("SIGINT", interrupt));
  console.log(`\n${summary(outcomes, left, (performance.now() - start) / 1000)}`);
  if (interruption.signal.aborted) return 130;
  return outcomes.every(({ failure }) => failure === null) ? 0 : 1;
}

function limitOf(file: TestFile, full: boolean): number {
  return full ? file.limitSeconds ?? FULL_LIMIT : LIMIT;
}

/** One process more than there are cores: some tests wait, for a device or for a browser. */
function defaultJobs(): number {
  return navigator.hardwareConcurrency + 1;
}

/** Runs the files in their order, several at a time. */
async function runAll(
  files: readonly TestFile[],
  jobs: number,
  run: (file: TestFile) => Promise<Outcome>,
  signal: AbortSignal,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const waiting = files.values();
  await Promise.all(Array.from({ length: jobs }, async () => {
    for (const file of waiting) {
      if (signal.aborted) return;
      outcomes.push(await run(file));
    }
  }));
  return outcomes;
}
