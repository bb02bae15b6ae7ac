// The learned forecast as tables and as a sentence, for the terminal, the report and the notebook alike.

import { LEARNED, type LearnedForecast, PLAIN } from "./learned_forecast.ts";
import { formatBirths, NONE, type Table } from "./table.ts";

/** Mean absolute errors, births a day, a row a model. */
export function errorTable({ models, horizons }: LearnedForecast): Table {
  return {
    header: ["forecast", ...horizons.map((horizon) => `MAE ${horizon}\u00a0d`)],
    rows: models.map(({ name, errors }) => [name, ...errors.map(formatBirths)]),
  };
}

/** By how much learning is better, with its interval, a row a rival. */
export function gainTable({ gains, horizons }: LearnedForecast): Table {
  return {
    header: ["births a day closer than", ...horizons.map((horizon) => `${horizon}\u00a0d`)],
    rows: gains.map(({ over, gains }) => [
      over,
      ...gains.map(({ mean, interval: { low, high } }) =>
        Number.isNaN(low) ? NONE : `${mean.toFixed(1)} [${low.toFixed(1)}, ${high.toFixed(1)}]`
      ),
    ]),
  };
}

/** The final readouts, one row per horizon. */
export function readoutTable({ readouts, horizons }: LearnedForecast): Table {
  return {
    header: ["readout in the end", "days like it", "errors of the last days", "errors of its weekday"],
    rows: horizons.map((
      horizon,
      at,
    ) => [`${horizon}\u00a0d`, ...readouts[at].map((weight) => weight.toFixed(3))]),
  };
}

/** The gain of learning, in numbers, at the horizons at which any day was scored. */
export function learnedVerdict({ models, horizons }: LearnedForecast): string {
  const errorsOf = (wanted: string) => models.find(({ name }) => name === wanted)?.errors ?? [];
  const learned = errorsOf(LEARNED), plain = errorsOf(PLAIN);
  const judged = [...horizons.keys()].filter((at) => !Number.isNaN(learned[at]));
  const list = (errors: readonly number[]) => judged.map((at) => errors[at].toFixed(1)).join(", ");
  return `With learning the board is off by ${list(learned)} births a day, without by ${list(plain)} ` +
    `(${judged.map((at) => horizons[at]).join(", ")} days ahead).`;
}
