// The report: one page of HTML that needs nothing else, neither a network nor a file beside it.

import { budgetVerdicts } from "./budgets.ts";
import type { Experiment, ExperimentResult, StrategyResult } from "./experiment.ts";
import {
  costAgainstError,
  costAgainstWorstError,
  errorPerHorizon,
  forecastAgainstBirths,
} from "./figures.ts";
import type { LearnedForecast } from "./learned_forecast.ts";
import { errorTable, gainTable, learnedVerdict } from "./learned_tables.ts";
import {
  budgetTable,
  forecastTable,
  formatError,
  formatMilliseconds,
  formatSaving,
  strategyTable,
} from "./table.ts";
import { formatCount } from "../src/display/format.ts";
import { escapeHtml } from "../src/display/escape.ts";
import { renderPage, renderTable } from "./figure_page.ts";

/** The page; `plotly` is the source of plotly.js. */
export function renderReport(
  { result, series }: Experiment,
  learned: LearnedForecast,
  plotly: string,
): string {
  const figures = {
    "cost-against-error": costAgainstError(result.strategies),
    "cost-against-worst-error": costAgainstWorstError(result.strategies),
    "forecast": forecastAgainstBirths(series, result.horizons),
    "error-per-horizon": errorPerHorizon(result),
  };
  return renderPage({
    title: "Attune: a forecast board that stays current",
    body: renderBody(result, learned),
    figures,
    plotly,
  });
}

/** One sentence with the result in numbers: time first, and against one rebuild for each answer. */
export function headline(result: ExperimentResult): string {
  const exact = ofFamily(result, "exact"), rebuilt = ofFamily(result, "everyAnswer");
  const [own, again] = [exact.millisecondsPerDay, rebuilt.millisecondsPerDay];
  return `An exact board takes ${formatMilliseconds(own)} ms a day, computing it again for each answer ` +
    `${formatMilliseconds(again)} ms: ${formatSaving(own, again)} time, and ` +
    `${formatSaving(exact.multiplyAddsPerDay, rebuilt.multiplyAddsPerDay)} arithmetic`;
}

function renderBody(result: ExperimentResult, learned: LearnedForecast): string {
  const { days, firstDate, lastDate, queryCount, keyCount } = result;
  return `<header>
<p class="kicker">Attune · daily births in the USA, ${renderDate(firstDate)} to ${renderDate(lastDate)}</p>
<h1>${escapeHtml(headline(result))}</h1>
<p>A forecast board asks for the next ${queryCount} days and remembers the last ${
    formatCount(keyCount)
  }. Every day one
observation comes, the oldest goes, one question is replaced, and the board is read: ${
    formatCount(days)
  } days, each
forecast before it was learnt.</p>
${renderNumbers(result)}
</header>
<main>
<h2>What it costs to be right</h2>
<p>The time of a day, or by the switch its work, against the error of what was read; further down and further left is
better. Times are those of this machine; work is the same on every one. The numbers at the markers
are thresholds, how many slots may change before the change is applied, error budgets or target errors. On the line at
the bottom there is only float32 rounding. Nearly all that exact reads cost is the answer to the day's new question; the edits
themselves are so cheap that waiting saves next to nothing, once it is columns that are exchanged. A program without memory
rebuilds the board once for each answer, whatever the number of edits before it; here it does so with this library's own
kernels.</p>
<div class="figure" id="cost-against-error"></div>
<h2>What it costs never to be far off</h2>
<p>The same against the worst single reading, where 1 is the level of births. A count does not know which days
matter: once it lets any wait, it lets the worst one wait. An error budget, the number at its markers, applies what waits
as soon as a certificate says that a reading could be further off. To certify once that a change can wait takes about as
much arithmetic as to exchange its column, so with patches a budget has next to nothing to save, and exact reads are the
better way. An adaptive threshold finds that out by itself: it keeps its target error by certificates while they pay, and
otherwise by bringing the rows up to date that are read.</p>
${budgetVerdicts(result.strategies).map((sentence) => `<p>${escapeHtml(sentence)}</p>`).join("\n")}
<div class="figure" id="cost-against-worst-error"></div>
<h2>What was forecast, and what happened</h2>
<p>The last days of the run. Drag the strip below to see others; touch the legend for other horizons.</p>
<div class="figure" id="forecast"></div>
<h2>How far the forecast is off</h2>
<p>Mean absolute error against what needs no model at all. On average ${
    formatCount(result.meanBirths)
  } children were born a day.</p>
<div class="figure" id="error-per-horizon"></div>
<h2>What learning adds</h2>
<p>${
    escapeHtml(learnedVerdict(learned))
  } Two more heads attend to the errors of the last days and of the same weekday, and weights
that learn from each day say how much of them to count. Mean absolute errors in births a day, then by how much learning
is closer, with 95 % intervals by means of long batches of days.</p>
<div class="scroll">${renderTable(errorTable(learned))}</div>
<p></p>
<div class="scroll">${renderTable(gainTable(learned))}</div>
<h2>All numbers</h2>
<div class="scroll">${renderTable(strategyTable(result))}</div>
<p></p>
<div class="scroll">${renderTable(budgetTable(result))}</div>
<p></p>
<div class="scroll">${renderTable(forecastTable(result))}</div>
${renderMethod(result)}
</main>`;
}

function renderDate(date: string): string {
  return `<time>${escapeHtml(date)}</time>`;
}

function renderNumbers(result: ExperimentResult): string {
  const exact = ofFamily(result, "exact"), rebuilt = ofFamily(result, "everyAnswer");
  const [error] = exact.meanAbsoluteErrors;
  const cost = ({ millisecondsPerDay, multiplyAddsPerDay }: StrategyResult) =>
    [
      `${formatMilliseconds(millisecondsPerDay)} ms`,
      `${formatCount(multiplyAddsPerDay)} multiply-adds`,
    ] as const;
  const [ownTime, ownWork] = cost(exact), [againTime, againWork] = cost(rebuilt);
  const shown = [
    [ownTime, `a day for three edits and an exact board, ${ownWork}`],
    [againTime, `a day to compute the board again for its answer, ${againWork}`],
    [formatError(exact.relativeError), "relative error of exact reads, which is float32 rounding"],
    [
      `${(error / result.meanBirths * 100).toFixed(1)} %`,
      `mean error of tomorrow's forecast: ${error.toFixed(0)} births`,
    ],
  ];
  const items = shown.map(([number, text]) =>
    `<li><strong>${escapeHtml(number)}</strong>${escapeHtml(text)}</li>`
  );
  return `<ul class="numbers">\n${items.join("\n")}\n</ul>`;
}

function renderMethod(result: ExperimentResult): string {
  const { audit, backend, horizons, elapsedMilliseconds } = result;
  const everyAnswerDays = ofFamily(result, "everyAnswer").days;
  const rows = [
    ["a day", "delete the oldest key, insert the newest, replace one query, read the whole board"],
    [
      "rebuild for each answer",
      "every row from scratch once a day, after its three edits; each day takes the same work and leaves only " +
      `rounding, so this was run over ${formatCount(everyAnswerDays)} days in stretches`,
    ],
    [
      "original, patch",
      "the day's edits wait as one batch until as many slots as the threshold says have changed; reads do not see " +
      "what waits, only a replaced query is always computed",
    ],
    [
      "error budgets",
      "as the two before, but the edits wait until a reading would be certified with a larger bound on its error than " +
      "the budget; the work of the certificates is counted",
    ],
    [
      "target errors",
      "as error budgets, but the engine chooses for each reading between certificates and rows that are brought up to " +
      "date without asking, by what has cost less lately, and for each row between patch and rebuild",
    ],
    [
      "certificates",
      "a violation is a row further from exact than its bound; bound/distance is the median over the rows that are " +
      "further from exact than rounding takes them",
    ],
    ["exact reads", "every read knows every edit made before it"],
    [
      "work",
      "multiply-adds and exponentials are counted by the engine where they are done; the first board is not counted",
    ],
    [
      "error",
      "against attention in float64 of the same rows, over all readings; the largest is of one output, where 1 is the " +
      "level of births",
    ],
    [
      "audit",
      `an independent float64 oracle on ${audit.dates.length} days drawn by seed ${audit.seed}: exact reads differ by ` +
      `at most ${formatError(audit.readings)}, the exact board by ${formatError(audit.exactBoard)}`,
    ],
    [
      "forecast",
      `made ${
        horizons.join(", ")
      } days ahead from what was observed until then (MAE: mean absolute error, births a ` +
      "day)",
    ],
    [
      "times",
      `backend ${backend}; ms a day are for edits and reading, measured with nothing else of this run at work, all ` +
      "strategies in turn over the first days, in two rounds of which each day's lesser time counts; the " +
      `sweep took ${(elapsedMilliseconds / 1000).toFixed(0)} s`,
    ],
  ];
  const items = rows.map(([term, text]) => `<dt>${escapeHtml(term)}</dt><dd>${escapeHtml(text)}</dd>`);
  return `<h2>How it was measured</h2>\n<dl>\n${items.join("\n")}\n</dl>`;
}

function ofFamily({ strategies }: ExperimentResult, family: "exact" | "everyAnswer"): StrategyResult {
  const found = strategies.find((strategy) => strategy.family === family);
  if (!found) throw new Error(`report: there is no strategy of the family ${family}, expected one`);
  return found;
}
