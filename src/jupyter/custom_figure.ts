/**
 * Figures of plotly data that users bring.
 *
 * Invariant: what the page, the picture or the front end would draw wrongly, or not at all, is refused.
 */

import { describe, InputError } from "../base/errors.ts";
import { reading } from "../base/lists.ts";
import { checkNames } from "../base/names.ts";
import { SEQUENTIAL } from "../display/color_scales.ts";
import { Figure, type FigureOptions, HEIGHT, takeFigureOptions, titled } from "./figure.ts";
import type { PlainObject, PlainValue } from "./figures/figure_data.ts";
import { base } from "./figures/layout.ts";
import { SERIES } from "./figures/palette.ts";
import { type FigureObject, plainCopy } from "./figures/plain_copy.ts";
import { colorscale } from "./heatmap_parts.ts";
import { checkTypes } from "./plotly_page.ts";
import { currentRenderer } from "./renderer.ts";

/**
 * Any other figure, of plotly data and layout. What is not given of the layout is as in the other figures, colours may
 * be named (`$blue`, `$orange`, `$green`, `$text`, …) to suit light and dark pages, and texts are plotly's: escape
 * those of others with {@link plotlyText}.
 *
 * Data are copied. Beside what JSON can hold they may be typed arrays, matrices of the library as `z`, dates, bigints
 * and iterables; numbers that are not finite are gaps. What has no such form is refused by its path.
 *
 * @param parts `data`, the traces; `layout`; and `description`, what is on it in words.
 * @throws {InputError} When data is no list of objects, a value in it cannot be drawn, a trace is of a type that the
 * page's plotly.js does not have (then `renderer: "json"` leaves it to the front end), or an option is out of range.
 *
 * @example
 * ```ts
 * import { figure } from "@attune/attention/jupyter";
 * import { assertEquals } from "@std/assert";
 *
 * const squares = figure({
 *   data: [{ type: "scatter", x: [1, 2, 3], y: Float32Array.of(1, 4, 9), line: { color: "$blue" } }],
 *   layout: { xaxis: { title: "n" }, yaxis: { title: "n²" } },
 *   description: "the first three squares",
 * });
 * assertEquals(Deno.inspect(squares), "Figure: the first three squares");
 * assertEquals(squares.data[0].y, [1, 4, 9]);
 * ```
 */
export function figure(
  parts: {
    /** The traces. */
    readonly data: readonly FigureObject[];
    /** The layout; the common one unless given. */
    readonly layout?: FigureObject;
    /** What is on it, in words; how many traces there are unless given. */
    readonly description?: string;
  },
  options: FigureOptions = {},
): Figure {
  const operation = "figure";
  const given = takeFigureOptions(operation, options);
  return reading(operation, () => {
    checkNames(operation, parts, ["data", "layout", "description"], "part");
    const { data, layout = {}, description } = parts;
    if (!isTraces(data)) throw new InputError(operation, `data is ${describe(data)}`, "an array of traces");
    if (typeof layout !== "object" || layout === null) {
      throw new InputError(operation, `layout is ${describe(layout)}`, "an object");
    }
    const words = description ?? `a figure of ${data.length} traces`;
    if (typeof words !== "string") {
      throw new InputError(operation, `description is ${describe(words)}`, "a text");
    }
    const traces = data.map((trace, at) => toTrace(operation, trace, at));
    if ((given.renderer ?? currentRenderer()) !== "json") checkTypes(operation, traces);
    const { height: ownHeight, ...own } = plainCopy(operation, "layout", layout);
    const height = given.height ?? (typeof ownHeight === "number" ? ownHeight : HEIGHT);
    const head = given.title === undefined ? titledAlike(own, height) : titled(given, height);
    return new Figure(
      operation,
      { data: traces, layout: { ...base(), colorway: SERIES, ...head, ...own, ...titleOf(head, own) } },
      words,
      { ...given, height },
    );
  });
}

/** Properties of which a trace of any type shows lists. */
const LISTS = "x y z a b c labels values parents ids open high low close lat lon locations u v w i j k".split(
  " ",
);
/** Types of which numbers become colours. */
const COLORED = /^(heatmap|histogram2d|contour|histogram2dcontour|surface)$/;

function toTrace(operation: string, given: object, at: number): PlainObject {
  const trace = plainCopy(operation, `data[${at}]`, given);
  for (const name of LISTS) {
    const list = trace[name];
    if (list === undefined || list === null || Array.isArray(list)) continue;
    throw new InputError(operation, `data[${at}].${name} is ${describe(Reflect.get(given, name))}`, "a list");
  }
  // Otherwise the page and the still picture would each choose a scale of their own.
  const isColored = COLORED.test(String(trace.type)) && trace.colorscale === undefined &&
    trace.coloraxis === undefined && trace.autocolorscale !== true;
  return isColored ? { ...trace, colorscale: colorscale(SEQUENTIAL) } : trace;
}

/** The place of a title and the room above, where the layout has a title of its own and no place for it. */
function titledAlike({ title, margin, legend }: PlainObject, height: number): PlainObject {
  const text = textOfTitle(title);
  if (text === "") return {};
  const head = titled({ title: "" }, height, text.split(/<br ?\/?>/i).length);
  return {
    ...(margin === undefined && { margin: head.margin }),
    ...(legend === undefined && { legend: head.legend }),
    ...(hasPlace(title) ? {} : { title: head.title }),
  };
}

/** The layout's own title, at the place that figures have for titles. */
function titleOf(head: PlainObject, { title }: PlainObject): PlainObject {
  if (head.title === undefined || textOfTitle(title) === "") return {};
  return { title: { ...head.title as PlainObject, ...title as PlainObject } };
}

function hasPlace(title: PlainValue | undefined): boolean {
  return typeof title === "object" && title !== null && ("y" in title || "yref" in title || "x" in title);
}

function textOfTitle(title: PlainValue | undefined): string {
  if (typeof title !== "object" || title === null || Array.isArray(title)) return "";
  const { text } = title as PlainObject;
  return typeof text === "string" ? text : "";
}

function isTraces(data: unknown): data is readonly FigureObject[] {
  if (!Array.isArray(data)) return false;
  // A loop is used, since `some` skips holes.
  for (let at = 0; at < data.length; at++) {
    if (typeof data[at] !== "object" || data[at] === null) return false;
  }
  return true;
}
