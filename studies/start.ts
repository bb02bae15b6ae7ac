// `deno task start`: runs the experiment, prints its table and writes its report.

import { HELP, parseStartArguments, UsageError } from "./arguments.ts";
import { loadBirths } from "./births.ts";
import { budgetVerdicts } from "./budgets.ts";
import type { DurableBoardOptions, DurableBoardResult } from "./durable_board.ts";
import { availableDays, type Experiment, runExperiment } from "./experiment.ts";
import type { LearnedForecast } from "./learned_forecast.ts";
import { runLearned } from "./learned_run.ts";
import { errorTable, gainTable, learnedVerdict } from "./learned_tables.ts";
import { standardError, type TextTarget } from "../src/jupyter/progress_targets.ts";
import { ProgressReporter } from "./progress.ts";
import { headline, renderReport } from "./report.ts";
import { sweepStrategies } from "./strategies.ts";
import { budgetTable, forecastTable, formatTable, strategyTable } from "./table.ts";
import { timeStrategies } from "./timed_days.ts";

/** The outputs of a run: results go to `print`, everything else to `errors`. */
export interface Terminal {
  readonly print: (text: string) => void;
  readonly errors: TextTarget;
}

/** Runs the command; returns its exit code: 0, or 2 when the arguments are wrong. */
export async function start(args: readonly string[], { print, errors }: Terminal): Promise<number> {
  let options;
  try {
    options = await parseStartArguments(args, availableDays(await loadBirths()));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    errors.write(`error: ${error.message}\n`);
    return 2;
  }
  if (options.help) {
    print(HELP);
    return 0;
  }

  if (options.folder !== null) {
    const { folder, days, backend, json } = options;
    return await startDurable({ folder, days, backend }, json, { print, errors });
  }

  // A folder that cannot be written to is reported before the work, not after it.
  await Deno.mkdir(options.out, { recursive: true });
  const { days, backend, learnFrom: firstLearned } = options;
  const strategies = sweepStrategies(options.thresholds, options.errors);
  errors.write(`timing: ${strategies.length} strategies, before anything else runs\n`);
  const times = await timeStrategies({ strategies, births: await loadBirths(), days, backend });
  const progress = new ProgressReporter(errors);
  const [experiment, learned] = await together(
    (signal) => runLearned({ days, backend, firstLearned }, { signal }),
    () => runExperiment({ ...options, times }, (state) => progress.report(state)),
  ).finally(() => progress.end());
  const file = await writeReport(options.out, experiment, learned);
  const { result } = experiment;
  if (options.json) {
    print(JSON.stringify({ ...result, learned }, null, 2));
  } else {
    const seconds = (result.elapsedMilliseconds / 1000).toFixed(1);
    print(
      `Daily births in the USA, ${result.firstDate} to ${result.lastDate}: ${result.days} days in ${seconds} s\n`,
    );
    print(formatTable(strategyTable(result)) + "\n");
    print(formatTable(budgetTable(result)) + "\n");
    print(budgetVerdicts(result.strategies).join("\n") + "\n");
    print(formatTable(forecastTable(result)) + "\n");
    print(formatTable(errorTable(learned)) + "\n");
    print(formatTable(gainTable(learned)) + "\n");
    print(`${headline(result)}.\n${learnedVerdict(learned)}`);
  }
  errors.write(`report: ${file}\n`);
  return 0;
}

/** Keeps the board in a folder. */
async function startDurable(
  options: DurableBoardOptions,
  isJson: boolean,
  { print, errors }: Terminal,
): Promise<number> {
  const { runDurableBoard } = await import("./durable_board.ts");
  let next = performance.now() + DAYS_TOLD_MS;
  const result = await runDurableBoard(options, (learnt, days) => {
    if (performance.now() < next) return;
    next = performance.now() + DAYS_TOLD_MS;
    errors.write(`day ${learnt} of ${days}\n`);
  });
  if (isJson) print(JSON.stringify(result, null, 2));
  else print(durableText(result));
  return 0;
}

const DAYS_TOLD_MS = 2000;

function durableText(
  { folder, before, days, lastDate, meanAbsoluteError, coming }: DurableBoardResult,
): string {
  const learnt = before === 0
    ? `${days} days learnt`
    : `${days} days learnt, ${before} of them by runs before this one`;
  const error = meanAbsoluteError === null
    ? ""
    : `, a day ahead they are off by ${meanAbsoluteError.toFixed(0)} births on average`;
  const week = coming.slice(0, 7).map(({ date, births }) => `${date}  ${births.toFixed(0)}`);
  return [
    `${folder}: the board up to ${lastDate}, ${learnt}`,
    `Forecasts for the coming week${error}:`,
    ...week,
  ].join("\n");
}

/** Both at once; when one fails the other is stopped, or waited for. */
async function together(
  learn: (signal: AbortSignal) => Promise<LearnedForecast>,
  sweep: () => Promise<Experiment>,
): Promise<[Experiment, LearnedForecast]> {
  const stop = new AbortController();
  const learned = learn(stop.signal);
  try {
    return await Promise.all([sweep(), learned]);
  } finally {
    stop.abort(new Error("the sweep has failed"));
    await Promise.allSettled([learned]);
  }
}

async function writeReport(
  folder: string,
  experiment: Experiment,
  learned: LearnedForecast,
): Promise<string> {
  const { PLOTLY_SOURCE } = await import("../src/jupyter/figures/plotly_source.ts");
  const file = `${folder.replace(/\/+$/, "")}/index.html`;
  await Deno.writeTextFile(file, renderReport(experiment, learned, PLOTLY_SOURCE));
  return file;
}

if (import.meta.main) {
  try {
    Deno.exitCode = await start(Deno.args, { print: (text) => console.log(text), errors: standardError() });
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
    Deno.exitCode = 1;
  }
}
