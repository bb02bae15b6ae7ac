// `deno task learn`: runs the learned forecast and prints its tables; with --choose the errors of other
// settings, on the days that they are chosen on.

import { takeArguments } from "./command_line.ts";
import { availableDays } from "./experiment.ts";
import { loadBirths } from "./births.ts";
import { HORIZONS } from "./board_rows.ts";
import { type LearnedBoardSettings, SETTINGS } from "./learned_board.ts";
import { errorsToChooseBy, LEARNED, learnedForecast } from "./learned_forecast.ts";
import { errorTable, gainTable, readoutTable } from "./learned_tables.ts";
import { formatTable } from "./table.ts";
import { standardError } from "../src/jupyter/progress_targets.ts";

/** The settings that were tried beside the chosen ones. */
const OTHERS: Readonly<Record<string, Partial<LearnedBoardSettings>>> = {
  "readouts alone": {},
  "values too, rate 0.1": { valueRate: 0.1 },
  "values too, rate 0.5": { valueRate: 0.5 },
  "keys too, rate 0.3": { keyRate: 0.3 },
  "keys too, rate 2": { keyRate: 2 },
};

async function printChoices(): Promise<void> {
  const rows: string[][] = [];
  for (const [name, change] of Object.entries(OTHERS)) {
    const errors = await errorsToChooseBy("auto", { ...SETTINGS, ...change });
    rows.push([name, ...errors.map((error) => error.toFixed(1))]);
  }
  const header = ["what learns", ...HORIZONS.map((horizon) => `MAE ${horizon}\u00a0d`)];
  console.log(formatTable({ header, rows }));
}

async function printForecast(): Promise<void> {
  const terminal = standardError();
  const days = availableDays(await loadBirths());
  const result = await learnedForecast({ days, backend: "auto" }, (done, total) => {
    if (done % 500 === 0) terminal.write(`${done} of ${total} days\n`);
  });
  const seconds = (result.elapsedMilliseconds / 1000).toFixed(1);
  console.log(
    `Daily births in the USA, ${result.firstDate} to ${result.lastDate}: ${days} days in ${seconds} s.\n` +
      `${LEARNED[0].toUpperCase()}${
        LEARNED.slice(1)
      }: each forecast is made before its day is learned from.\n`,
  );
  for (const table of [errorTable(result), gainTable(result), readoutTable(result)]) {
    console.log(formatTable(table) + "\n");
  }
  console.log(
    "In brackets: 95 % intervals of the mean difference, from the means of 20 to 39 batches of days.",
  );
}

if (import.meta.main) {
  const { values: { choose } } = takeArguments({
    task: "learn",
    about: "Learning on the forecast board: its errors beside those without learning and of other models.",
    options: { choose: { type: "boolean", about: "try the constants on the days that they were chosen on" } },
  });
  await (choose ? printChoices() : printForecast());
}
