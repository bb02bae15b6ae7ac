// Costs as lines over sizes, on logarithmic axes: counted work, measured times, break-evens.

import { axis, plotlyText } from "../../src/jupyter/figures/layout.ts";
import type { PlainObject } from "../../src/jupyter/figures/figure_data.ts";
import { type Figure, figure } from "../../src/jupyter/mod.ts";
import type { BenchRecord } from "./bench_record.ts";
import type { SweepResult } from "./counted_work.ts";
import { answerOf, breakEvensOf, engineOf, lineOf, peersOf, rebuildOf, type Size } from "./measured_times.ts";
import type { OwnTimes } from "./own_machine.ts";
import { foretoldBreakEven } from "./work_model.ts";

const OWN = "$green";
/** The colours of peers, the fastest first. */
const PEER_COLORS = ["$orange", "$blue", "$amber", "$mauve", "$indigo", "$grey"];
const PEER_SYMBOLS = ["square", "diamond", "triangle-up", "triangle-down", "x", "star"];
const SIZE_TITLES = { n: "keys n", m: "queries m", d: "numbers d", T: "edits T" } as const;
/** Between panels, as a share of the whole width. */
const GAP = 0.04;

/** Counted work, a panel for each size that grows; all panels share their axis of work. */
export function countedFigure(sweeps: readonly SweepResult[]): Figure {
  const works = sweeps.flatMap(({ rebuild, patch }) => [...rebuild.points, ...patch.points]).map(({ y }) =>
    y
  );
  const range = [Math.log10(Math.min(...works)) - 0.3, Math.log10(Math.max(...works)) + 0.3];
  const width = (1 - GAP * (sweeps.length - 1)) / sweeps.length;
  const axes = sweeps.map(({ name, rebuild: { points } }, at): PlainObject => {
    const suffix = at === 0 ? "" : String(at + 1), start = at * (width + GAP);
    const values = points.map(({ x }) => x);
    return {
      [`xaxis${suffix}`]: {
        ...logAxis(SIZE_TITLES[name], values),
        domain: [start, Math.min(1, start + width)],
        anchor: `y${suffix}`,
      },
      [`yaxis${suffix}`]: {
        ...axis(at === 0 ? "multiply-adds" : ""),
        type: "log",
        range,
        dtick: 1,
        exponentformat: "SI",
        anchor: `x${suffix}`,
        showticklabels: at === 0,
      },
    };
  });
  const data = sweeps.flatMap(({ rebuild, patch }, at) => {
    const place = at === 0 ? {} : { xaxis: `x${at + 1}`, yaxis: `y${at + 1}` };
    return [
      { ...line("rebuild", rebuild.points, "$blue", "square"), ...place, showlegend: at === 0 },
      { ...line("patch", patch.points, OWN, "circle"), ...place, showlegend: at === 0 },
    ];
  });
  const exponents = sweeps.map(({ name, rebuild, patch }) =>
    `${name} ${rebuild.law.exponent.toFixed(2)} and ${patch.law.exponent.toFixed(2)}`
  );
  return figure({
    data,
    layout: Object.assign({}, ...axes),
    description: `counted work; exponents of a rebuild and a patch: ${exponents.join(", ")}`,
  }, { title: "Counted work of a rebuild and of a patch, by what grows", height: 400 });
}

/** Milliseconds by the number of keys: everyone from scratch, and the engine after some edits. */
export function timesFigure(record: BenchRecord, edits: readonly number[]): Figure {
  const sizes = lineOf(record), engine = engineOf(record);
  const over = (of: (size: Size) => number | null) =>
    sizes.flatMap((size) => {
      const y = of(size);
      return y === null ? [] : [{ x: size.keyCount, y }];
    });
  const styles = ["solid", "dash", "dot", "dashdot"];
  const data = [
    ...peersOf(record).map((peer, at) => ({
      ...line(`${peer}, from scratch`, over((size) => rebuildOf(record, peer, size)), ...peerLook(at)),
    })),
    line(`${engine}, from scratch`, over((size) => rebuildOf(record, engine, size)), "$text", "circle-open"),
    ...edits.map((count, at) => ({
      ...line(
        `${engine}, ${count} ${count === 1 ? "edit" : "edits"} and all rows`,
        over((size) => answerOf(record, engine, size, count)),
        OWN,
        "circle",
        styles[at % styles.length],
      ),
    })),
  ];
  const [{ queryCount }] = sizes;
  return figure({
    data,
    layout: {
      xaxis: logAxis("keys", sizes.map(({ keyCount }) => keyCount)),
      yaxis: { ...axis("milliseconds"), type: "log", dtick: 1, exponentformat: "power" },
      hovermode: "closest",
    },
    description:
      `milliseconds of ${data.length} ways to answer ${queryCount} queries over ${sizes.length} numbers of keys`,
  }, { title: `Milliseconds for ${queryCount} queries, by keys`, height: 520 });
}

/** Edits between two answers from which a peer is faster: measured, and foretold from multiply-adds alone. */
export function breakEvenFigure(record: BenchRecord): Figure {
  const all = breakEvensOf(record), families = Map.groupBy(all, ({ peer }) => peer);
  const data = [...families].flatMap(([peer, found], at) => {
    const [color, symbol] = peerLook(peersOf(record).indexOf(peer));
    const measured = found.flatMap(({ size, edits }) =>
      edits === null ? [] : [{ x: size.keyCount, y: edits }]
    );
    if (measured.length === 0) return [];
    const foretold = found.map(({ size, faster }) => ({
      x: size.keyCount,
      y: foretoldBreakEven(size.keyCount, record.headDim, faster, "keys"),
    }));
    return [
      line(peer, measured, color, symbol),
      {
        ...line("foretold from multiply-adds", foretold, color, "circle", "dot"),
        mode: "lines",
        showlegend: at === 0,
      },
    ];
  });
  const never = [...families].filter(([, found]) => found.every(({ edits }) => edits === null)).map((
    [peer],
  ) => peer);
  const aside = never.length === 0 ? "" : `; ${never.join(", ")} was slower with as many edits as were tried`;
  return figure({
    data,
    layout: {
      xaxis: logAxis("keys", lineOf(record).map(({ keyCount }) => keyCount)),
      yaxis: { ...axis("edits between two answers"), type: "log", dtick: 1, exponentformat: "power" },
      hovermode: "closest",
    },
    description: `edits from which a peer that computes from scratch is faster, by keys${aside}`,
  }, { title: "Below a line the engine is faster, above it the peer" });
}

/** The reader's own machine. */
export function ownMachineFigure(times: readonly OwnTimes[]): Figure {
  const colors = ["$blue", "$green", "$orange", "$mauve"];
  const symbols = ["circle", "square", "diamond", "triangle-up"];
  const data = times.flatMap(({ sizes, rebuildMs, patched }, at) => {
    const edits = patched.map(({ edits }) => edits), color = colors[at % colors.length];
    return [
      line(
        `d = ${sizes.headDim}, patched`,
        patched.map(({ edits, ms }) => ({ x: edits, y: ms })),
        color,
        symbols[at % symbols.length],
      ),
      {
        ...line("from scratch", edits.map((x) => ({ x, y: rebuildMs })), color, "circle", "dot"),
        mode: "lines",
        showlegend: at === 0,
      },
    ];
  });
  return figure({
    data,
    layout: {
      xaxis: logAxis("edits between two answers", times[0].patched.map(({ edits }) => edits)),
      yaxis: { ...axis("milliseconds"), type: "log", dtick: 1, exponentformat: "power" },
      hovermode: "closest",
    },
    description: "milliseconds of an answer by edits, patched and from scratch, on this machine",
  }, { title: "This machine: an answer of all rows, by edits" });
}

function peerLook(at: number): [color: string, symbol: string] {
  return [PEER_COLORS[at % PEER_COLORS.length], PEER_SYMBOLS[at % PEER_SYMBOLS.length]];
}

function line(
  name: string,
  points: readonly { readonly x: number; readonly y: number }[],
  color: string,
  symbol: string,
  dash = "solid",
): PlainObject {
  return {
    type: "scatter",
    mode: "lines+markers",
    name: plotlyText(name),
    x: points.map(({ x }) => x),
    y: points.map(({ y }) => Number(y.toPrecision(4))),
    marker: { symbol, size: 8, color },
    line: { color, width: 2, dash },
    hovertemplate: `${plotlyText(name)}<br>%{x:,}: %{y:.3~s}<extra></extra>`,
  };
}

/** With a tick at each value, which are few. */
function logAxis(title: string, values: readonly number[]): PlainObject {
  const range = [Math.log10(Math.min(...values)) - 0.12, Math.log10(Math.max(...values)) + 0.12];
  return {
    ...axis(title),
    type: "log",
    range,
    tickvals: values.map((value) => value),
    ticktext: values.map((value) => value.toLocaleString("en")),
  };
}
