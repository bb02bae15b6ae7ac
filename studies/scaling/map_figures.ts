// Maps: who wins where, and by how much. A colour says how much, a number in the cell too, a marker who.

import { colorAt, DIVERGING, GREYS, inkOn, SEQUENTIAL } from "../../src/display/color_scales.ts";
import type { PlainObject } from "../../src/jupyter/figures/figure_data.ts";
import { plotlyText } from "../../src/jupyter/figures/layout.ts";
import { type Figure, figure } from "../../src/jupyter/mod.ts";
import { cellAxis, colorscale } from "../../src/jupyter/heatmap_parts.ts";
import type { BenchRecord } from "./bench_record.ts";
import { answerOf, answersOf, engineOf, lineOf } from "./measured_times.ts";
import { type PlaceResult, winnerOf } from "./policy_map.ts";

/** Less of a gain is none. */
const ALIKE = 0.02;
const NO_GAIN = "no better than from scratch";
const LOOKS: Readonly<Record<string, { readonly color: string; readonly symbol: string }>> = {
  "exact reads": { color: "$green", symbol: "circle" },
  [NO_GAIN]: { color: "$blue", symbol: "square" },
  "patch all rows": { color: "$amber", symbol: "triangle-down" },
  "error budget": { color: "$orange", symbol: "diamond" },
  "target error": { color: "$mauve", symbol: "triangle-up" },
};

/** Panels side by side, with a title each. */
interface Panel {
  readonly title: string;
  readonly columns: readonly number[];
  readonly rows: readonly number[];
  /** By row and column; null where nothing is known. */
  readonly factors: readonly (readonly (number | null)[])[];
  /** The winners by row and column; none if colours suffice. */
  readonly winners?: readonly (readonly string[])[];
}

/** How many times faster than a peer the engine is, by keys and edits: above 1 it wins. */
export function gainFigure(record: BenchRecord, peers: readonly string[]): Figure {
  const sizes = lineOf(record), engine = engineOf(record);
  const edits = [...new Set(sizes.flatMap((size) => answersOf(record, size).map(({ edits }) => edits)))]
    .sort((a, b) => a - b);
  const panels = peers.map((peer): Panel => ({
    title: `against ${peer}`,
    columns: edits,
    rows: sizes.map(({ keyCount }) => keyCount),
    factors: sizes.map((size) =>
      edits.map((count) => {
        const own = answerOf(record, engine, size, count), theirs = answerOf(record, peer, size, 1);
        return own === null || theirs === null ? null : theirs / own;
      })
    ),
  }));
  const cells = panels.flatMap(({ factors }) => factors.flat()).filter((factor) => factor !== null);
  const lost = cells.filter((factor) => factor < 1).length;
  const most = Math.max(...cells.map((factor) => Math.abs(Math.log10(factor))));
  return mapFigure(panels, {
    title: "How many times faster than recomputing (orange: slower)",
    columnTitle: "edits between two answers",
    rowTitle: "keys",
    scale: DIVERGING.toReversed(),
    range: [-most, most],
    description: `the engine is slower in ${lost} of ${cells.length} cells`,
  });
}

/** The cheapest way that keeps an error, by edits and rows of an answer, a panel for each number of keys. */
export function winnerFigure(places: readonly PlaceResult[], title: string): Figure {
  const panels = [...Map.groupBy(places, ({ place }) => place.keyCount)].map(([keys, members]): Panel => {
    const columns = [...new Set(members.map(({ place }) => place.edits))];
    const rows = [...new Set(members.map(({ place }) => place.rows))];
    const at = (row: number, column: number) => {
      const found = members.find(({ place }) => place.rows === row && place.edits === column);
      if (!found) throw new RangeError(`winnerFigure: there is no place of ${row} rows and ${column} edits`);
      return found;
    };
    return {
      title: `${keys.toLocaleString("en")} keys`,
      columns,
      rows,
      factors: rows.map((row) => columns.map((column) => gainOf(at(row, column)))),
      winners: rows.map((row) => columns.map((column) => winnerName(at(row, column)))),
    };
  });
  const wins = Map.groupBy(places.map(winnerName), (name) => name);
  const won = [...wins].map(([name, { length }]) => `${name} ${length}`).join(", ");
  const most = Math.max(...places.map((place) => Math.log10(gainOf(place))));
  return mapFigure(panels, {
    title,
    columnTitle: "edits between two answers",
    rowTitle: "rows of an answer",
    scale: SEQUENTIAL,
    range: [0, Math.max(1, most)],
    description: `the cheapest way at ${places.length} places: ${won}`,
  });
}

/** The winner; there is none if it does as much work as computing anew. */
export function winnerName(place: PlaceResult): string {
  return gainOf(place) < 1 + ALIKE ? NO_GAIN : winnerOf(place).name;
}

/** How many times less work the winner does than computing the rows asked for from scratch. */
export function gainOf(place: PlaceResult): number {
  const scratch = place.results.find(({ name }) => name === "from scratch");
  if (!scratch) throw new RangeError('gainOf: no way is "from scratch", expected one');
  return scratch.cost / winnerOf(place).cost;
}

/** `×27`, `×0.31`, `×0.04`, `×4.4k`. */
export function formatFactor(factor: number): string {
  if (factor >= 999.5) return `×${Number((factor / 1000).toPrecision(2))}k`;
  return `×${Number(factor.toPrecision(factor < 0.095 ? 1 : 2))}`;
}

/** The texts of a map beside its panels. */
interface MapOptions {
  readonly title: string;
  readonly columnTitle: string;
  readonly rowTitle: string;
  readonly scale: readonly string[];
  readonly range: readonly [number, number];
  readonly description: string;
}

/** Between panels, as a share of the figure. */
const GAP = 0.03;

function mapFigure(panels: readonly Panel[], options: MapOptions): Figure {
  const width = (1 - GAP * (panels.length - 1)) / panels.length;
  const legend = new Set<string>();
  const data = panels.flatMap((panel, at): PlainObject[] => {
    const place = at === 0 ? {} : { xaxis: `x${at + 1}`, yaxis: `y${at + 1}` };
    const heat = heatTrace(panel, options, at === panels.length - 1);
    const marks = cellTraces(panel, options.range, { scale: options.scale, legend });
    return [{ type: "heatmap", ...place, ...heat }, ...marks.map((trace) => ({ ...trace, ...place }))];
  });
  const annotations = panels.map((panel, at): PlainObject => ({
    text: plotlyText(panel.title),
    showarrow: false,
    xref: "paper",
    yref: "paper",
    x: at * (width + GAP) + width / 2,
    xanchor: "center",
    y: 1,
    yanchor: "bottom",
    font: { size: 13 },
  }));
  const hasLegend = panels.some(({ winners }) => winners !== undefined);
  return figure({
    data,
    layout: {
      ...Object.assign({}, ...panels.map((panel, at) => panelAxes(panel, options, at, width))),
      annotations,
      plot_bgcolor: "$masked",
      hovermode: "closest",
      showlegend: hasLegend,
      margin: { l: 70, r: 24, t: hasLegend ? 86 : 66, b: 56 },
    },
    description: options.description,
  }, { title: options.title, height: 380 });
}

/** The texts of a heatmap of factors, on a logarithmic scale. */
function heatTrace({ factors }: Panel, { scale, range }: MapOptions, showscale: boolean): PlainObject {
  return {
    z: factors.map((row) => row.map((factor) => factor === null ? null : log(factor))),
    zmin: range[0],
    zmax: range[1],
    colorscale: colorscale(scale),
    xgap: 2,
    ygap: 2,
    showscale,
    colorbar: {
      title: { text: "factor" },
      tickvals: powersIn(range),
      ticktext: powersIn(range).map((power) => formatFactor(10 ** power)),
      thickness: 12,
      outlinewidth: 0,
    },
    hoverinfo: "skip",
  };
}

/** The axes of the panel `at`, which takes `width` of the figure. */
function panelAxes(
  { columns, rows }: Panel,
  { columnTitle, rowTitle }: MapOptions,
  at: number,
  width: number,
): PlainObject {
  const suffix = at === 0 ? "" : String(at + 1), start = at * (width + GAP);
  const labels = (values: readonly number[]) => values.map((value) => value.toLocaleString("en"));
  return {
    [`xaxis${suffix}`]: {
      ...cellAxis(columnTitle, labels(columns)),
      domain: [start, Math.min(1, start + width)],
      anchor: `y${suffix}`,
    },
    [`yaxis${suffix}`]: {
      ...cellAxis(at === 0 ? rowTitle : "", labels(rows)),
      anchor: `x${suffix}`,
      showticklabels: at === 0,
    },
  };
}

/** Numbers in the cells, and markers of who wins; a trace for each winner and for dark and light cells. */
function cellTraces(
  { rows, columns, factors, winners }: Panel,
  range: readonly [number, number],
  { scale, legend }: { readonly scale: readonly string[]; readonly legend: Set<string> },
): PlainObject[] {
  const cells = rows.flatMap((_, y) =>
    columns.flatMap((_, x) => {
      const factor = factors[y][x];
      return factor === null ? [] : [{ x, y, factor, winner: winners?.[y][x] ?? "" }];
    })
  );
  return [...Map.groupBy(cells, ({ winner }) => winner)].map(([winner, members]) => {
    const look = LOOKS[winner], isFirst = look !== undefined && !legend.has(winner);
    if (isFirst) legend.add(winner);
    return {
      type: "scatter",
      mode: look ? "markers+text" : "text",
      name: winner,
      legendgroup: winner,
      showlegend: isFirst,
      x: members.map(({ x }) => x),
      y: members.map(({ y }) => y),
      text: members.map(({ factor }) => formatFactor(factor)),
      textposition: look ? "bottom center" : "middle center",
      textfont: { size: 12, color: members.map(({ factor }) => inkAt(log(factor), range, scale)) },
      marker: look
        ? { symbol: look.symbol, size: 11, color: look.color, line: { width: 1.5, color: GREYS[0] } }
        : {},
      hovertemplate: winner === "" ? "%{text}<extra></extra>" : `${winner}: %{text}<extra></extra>`,
    };
  });
}

/** The ink of a number on the nearest stop of the scale. */
function inkAt(value: number, [from, to]: readonly [number, number], scale: readonly string[]): string {
  const steps = scale.length - 1;
  return inkOn(
    colorAt(scale, Math.round(steps * Math.min(1, Math.max(0, (value - from) / (to - from)))) / steps),
  );
}

function powersIn([from, to]: readonly [number, number]): number[] {
  const powers = [];
  for (let power = Math.ceil(from); power <= to; power++) powers.push(power);
  return powers;
}

function log(factor: number): number {
  return Number(Math.log10(factor).toPrecision(4));
}
