// Figures out of committed notebooks, as SVG in the colours of light and of dark pages. Notebooks hold them
// painted for light ones, so each colour of that palette is exchanged for the one of the same name.

import type { FigureData, PlainObject, PlainValue } from "../../src/jupyter/figures/figure_data.ts";
import { PALETTES, type Theme } from "../../src/jupyter/figures/palette.ts";
import { drawPicture } from "../../src/jupyter/figures/picture/picture.ts";
import { objectOf, titleOf } from "../../src/jupyter/figures/picture/plain_reader.ts";
import { Rasterizer } from "../../src/jupyter/figures/picture/rasterizer.ts";
import { joined, type Notebook } from "../notebooks/document.ts";

/** A figure of a notebook. */
export interface NotebookFigure extends FigureData {
  /** The title above it; "" if there is none. */
  readonly title: string;
  /** A description of its content. */
  readonly description: string;
}

const KIND = "application/vnd.plotly.v1+json";
/** In CSS pixels, of pages wide and narrow. */
const WIDTHS = { wide: 720, narrow: 400 };
const LEAST_HEIGHT = 300, MOST_HEIGHT = 460, NARROW_HEIGHT = 420;
/** Fonts that are as wide as DejaVu Sans, which the pictures were measured with, then any. */
const FONTS = "DejaVu Sans, Bitstream Vera Sans, Verdana, system-ui, sans-serif";

/** All figures of a notebook, from its top. */
export function figuresOf({ cells }: Notebook): NotebookFigure[] {
  return cells.flatMap(({ outputs = [] }) => outputs).flatMap(({ data }) => {
    const carried = objectOf(data as PlainObject | undefined);
    if (!(KIND in carried)) return [];
    const { data: traces, layout } = carried[KIND] as unknown as FigureData;
    return [{
      data: traces,
      layout,
      title: titleOf(layout.title),
      description: joined(carried["text/plain"]),
    }];
  });
}

/** The figure as SVG, without its title, which the caller shows. */
export async function figurePicture(
  figure: NotebookFigure,
  theme: Theme,
  room: "wide" | "narrow",
): Promise<string> {
  const { metrics } = await Rasterizer.load();
  const { title: _, ...rest } = figure.layout;
  const layout = { ...rest, paper_bgcolor: "rgba(0,0,0,0)" };
  const shown = theme === "light" ? { data: figure.data, layout } : toDark({ data: figure.data, layout });
  const own = Math.min(MOST_HEIGHT, Math.max(LEAST_HEIGHT, Number(rest.height ?? LEAST_HEIGHT)));
  const height = room === "wide" ? own : Math.min(own, NARROW_HEIGHT);
  const svg = await drawPicture("site", shown, { width: WIDTHS[room], height }, metrics);
  // Browsers have given up the older word, and would blur the cells of a heatmap.
  return svg.replace('font-family="DejaVu Sans"', `font-family="${FONTS}"`)
    .replaceAll('image-rendering="optimizeSpeed"', 'style="image-rendering:pixelated"');
}

function toDark({ data, layout }: FigureData): FigureData {
  return {
    data: data.map((trace) => exchanged(trace, false) as PlainObject),
    layout: exchanged(layout, false) as PlainObject,
  };
}

/**
 * A copy in which colours of the light palette, under names that end in "color", are those of the dark one.
 */
function exchanged(value: PlainValue, isColor: boolean): PlainValue {
  if (typeof value === "string") return isColor ? darkOf(value) : value;
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((entry) => exchanged(entry, isColor));
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => [name, exchanged(entry, /color$/.test(name))]),
  );
}

function darkOf(color: string): string {
  const name = Object.entries(PALETTES.light).find(([, light]) => light === color.toLowerCase())?.[0];
  return name === undefined ? color : PALETTES.dark[name];
}
