// The figures of a run: time against the number of keys, and edits before a read from which recomputing wins.

import type { FigureData, PlainObject } from "../../src/jupyter/figures/figure_data.ts";
import { axis, base } from "../../src/jupyter/figures/layout.ts";
import { answerAfter, hasFixedQueries, REBUILD } from "../plan.ts";
import type { BenchResults } from "../results.ts";
import { describeWorkload, type Workload } from "../workload.ts";

/** Colours by what a name begins with. */
const COLORS: readonly (readonly [start: string, color: string])[] = [
  ["attune", "$green"],
  ["onnxruntime-node", "$orange"],
  ["onnxruntime-web", "$blue"],
  ["jax-js", "$amber"],
  ["tfjs", "$mauve"],
];
const DASHES = ["dot", "solid", "dash"];
const SYMBOLS = ["circle", "square-open", "diamond", "triangle-up-open"];

/** Figures by name; `docs/bench-NAME.png` is their picture. */
export function benchFigures(results: BenchResults): Record<string, FigureData> {
  return {
    "rebuild": timeAgainstKeys(results, REBUILD, "ms to compute all rows"),
    "keep-current": timeAgainstKeys(results, answerAfter(1), "ms for one edit and all rows"),
    "break-even": breakEvenFigure(results),
  };
}

/** One line a subject on one thread, for the shapes with a fixed number of queries. */
function timeAgainstKeys(
  { subjects, measurements }: BenchResults,
  workload: Workload,
  title: string,
): FigureData {
  const wanted = describeWorkload(workload);
  const data = subjects.filter(({ threads }) => threads === 1).map(({ name }) => {
    const points = measurements.flatMap((one) =>
      one.status === "measured" && one.subject === name && one.threads === 1 && hasFixedQueries(one.shape) &&
        describeWorkload(one.workload) === wanted
        ? [{ x: one.shape.keyCount, y: one.timing.median, spread: one.timing.spread }]
        : []
    );
    return {
      ...trace(name, subjects.map((subject) => subject.name)),
      x: points.map(({ x }) => x),
      y: points.map(({ y }) => y),
      error_y: {
        type: "data",
        symmetric: false,
        array: points.map(({ y, spread }) => spread[1] - y),
        arrayminus: points.map(({ y, spread }) => y - spread[0]),
      },
      hovertemplate: `${name}<br>%{x:,} keys: %{y:.3g} ms<extra></extra>`,
    };
  });
  return figure(data, title);
}

function breakEvenFigure({ subjects, breakEven }: BenchResults): FigureData {
  const ofOneThread = breakEven.filter(({ threads, edits }) => threads === 1 && edits !== null);
  const pairs = new Map(ofOneThread.map((one) => [`${one.subject} against ${one.peer}`, one]));
  const engines = [...new Set(ofOneThread.map(({ subject }) => subject))];
  const data = [...pairs].map(([name, { subject, peer }]) => {
    const points = ofOneThread.filter((one) => one.subject === subject && one.peer === peer);
    const look = trace(peer, subjects.map((one) => one.name));
    return {
      ...look,
      // Peers differ in colour and marker, engines in how the line is drawn.
      line: { ...look.line, dash: DASHES[engines.indexOf(subject) % DASHES.length] },
      name,
      x: points.map(({ shape }) => shape.keyCount),
      y: points.map(({ edits }) => edits),
      hovertemplate: `${name}<br>%{x:,} keys: %{y:.3g} edits a read<extra></extra>`,
    };
  });
  return figure(data, "edits a read from which it loses");
}

function trace(name: string, names: readonly string[]): PlainObject & { readonly line: PlainObject } {
  const [start, color] = COLORS.find(([start]) => name.startsWith(start)) ?? [name, "$text"];
  const alike = [...new Set(names.filter((other) => other.startsWith(start)))];
  const symbol = SYMBOLS[Math.max(0, alike.indexOf(name)) % SYMBOLS.length];
  return {
    type: "scatter",
    mode: "lines+markers",
    name,
    marker: { symbol, size: 9, color },
    line: { color, width: 2 },
  };
}

function figure(data: readonly PlainObject[], title: string): FigureData {
  const logarithmic = { type: "log", dtick: 1, exponentformat: "power" };
  return {
    data,
    layout: {
      ...base(),
      xaxis: { ...axis("keys"), type: "log", tickvals: [256, 1024, 4096, 16_384, 65_536], tickformat: "," },
      yaxis: { ...axis(title), ...logarithmic },
      hovermode: "closest",
    },
  };
}
