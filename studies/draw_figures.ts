// `deno task figures`: the picture of the documentation, docs/cost-against-error.png, and the numbers behind
// it in docs/cost-against-error.json. The numbers follow from the sources alone: no times, and the plain
// backend, whose arithmetic is the same on every machine. `--check` compares the file with what the sources
// give now.

import { takeArguments } from "./command_line.ts";
import { loadBirths } from "./births.ts";
import { takePictures } from "./browser.ts";
import { budgetVerdicts } from "./budgets.ts";
import { availableDays, type ExperimentResult, runExperiment } from "./experiment.ts";
import { costAgainstError, costAgainstWorstError, type CostPoint } from "./figures.ts";
import { PLOTLY_SOURCE } from "../src/jupyter/figures/plotly_source.ts";
import { ProgressReporter } from "./progress.ts";
import { renderScripts } from "./figure_page.ts";
import { DEFAULT_ERRORS, DEFAULT_THRESHOLDS } from "./strategies.ts";
import { standardError } from "../src/jupyter/progress_targets.ts";

const FOLDER = new URL("../docs/", import.meta.url);
const NUMBERS = new URL("cost-against-error.json", FOLDER);
const PICTURE = new URL("cost-against-error.png", FOLDER);
const WIDTH = 960, HEIGHTS = [560, 460];

/** The numbers of a result that do not depend on the machine, to four digits. */
export function figureNumbers({ days, firstDate, lastDate, strategies }: ExperimentResult) {
  return {
    days,
    firstDate,
    lastDate,
    strategies: strategies.map((
      { name, family, threshold, error, multiplyAddsPerDay, relativeError, largestError, certificates },
    ): CostPoint => ({
      name,
      family,
      threshold,
      error,
      multiplyAddsPerDay: toFourDigits(multiplyAddsPerDay),
      relativeError: toFourDigits(relativeError),
      largestError: toFourDigits(largestError),
      ...(certificates && {
        certificates: {
          ...certificates,
          largestBound: toFourDigits(certificates.largestBound),
          medianRatio: certificates.medianRatio && toFourDigits(certificates.medianRatio),
        },
      }),
    })),
    verdicts: budgetVerdicts(strategies),
  };
}

function toFourDigits(number: number): number {
  return Number(number.toPrecision(4));
}

async function computeNumbers(): Promise<ReturnType<typeof figureNumbers>> {
  const progress = new ProgressReporter(standardError());
  const { result } = await runExperiment({
    thresholds: DEFAULT_THRESHOLDS,
    errors: DEFAULT_ERRORS,
    days: availableDays(await loadBirths()),
    backend: "array",
    seed: 1,
  }, (state) => progress.report(state)).finally(() => progress.end());
  return figureNumbers(result);
}

async function draw(points: readonly CostPoint[]): Promise<void> {
  const figures = { relative: costAgainstError(points), worst: costAgainstWorstError(points) };
  const [picture] = await takePictures([{
    body: `<div id="relative" style="height: ${HEIGHTS[0]}px"></div>
<div id="worst" style="height: ${HEIGHTS[1]}px"></div>
${renderScripts(figures, PLOTLY_SOURCE)}`,
    width: WIDTH,
    height: HEIGHTS[0] + HEIGHTS[1],
    drawn: "#worst .legend",
  }]);
  await Deno.writeFile(PICTURE, picture);
}

async function main(): Promise<number> {
  const { values: { check } } = takeArguments({
    task: "figures",
    about: "Draws the figure of the documentation.",
    options: { check: { type: "boolean", about: "only compare the numbers behind it" } },
  });
  const numbers = await computeNumbers();
  const text = JSON.stringify(numbers, null, 2) + "\n";
  if (check) {
    if (await Deno.readTextFile(NUMBERS) === text) return 0;
    console.error(
      "error: figures: docs/cost-against-error.json is not what the sources give, run deno task figures",
    );
    return 1;
  }
  await Deno.mkdir(FOLDER, { recursive: true });
  await Deno.writeTextFile(NUMBERS, text);
  await draw(numbers.strategies);
  return 0;
}

if (import.meta.main) Deno.exitCode = await main();
