/**
 * Says what of a figure the still picture would leave out or draw otherwise than plotly.js.
 *
 * Invariant: an attribute is either drawn, or of no consequence in a still picture, or refused: a picture that lacks
 * something would be believed.
 */

import { InputError } from "../../../base/errors.ts";
import { describe } from "../../../base/errors.ts";
import type { FigureData, PlainObject, PlainValue } from "../figure_data.ts";
import { listOf, objectOf, textOf, titleOf } from "./plain_reader.ts";

/** What a reader does with the mouse, names for programs, and how a legend is grouped. */
const SILENT =
  /^(hover.*|.*hoverformat|custom.*|ids|meta|uid|.*revision|legend.*|selected.*|unselected|.*src|cliponaxis|.*calendar|newshape|modebar|transition|dragmode|clickmode|editType|selectdirection|spike.*|showspikes|fixedrange|config)$/;

/** The attributes that are drawn, by type of trace; of those with a list of values, no other value is. */
const TRACES: Readonly<Record<string, Readonly<Record<string, readonly PlainValue[] | null>>>> = {
  scatter: {
    ...common(),
    mode: null,
    line: null,
    marker: null,
    fill: ["none", "tozeroy", null],
    fillcolor: null,
    text: null,
    textfont: null,
    textposition: null,
    opacity: null,
    connectgaps: null,
  },
  bar: {
    ...common(),
    orientation: ["v", "h", null],
    marker: null,
    text: null,
    textfont: null,
    textposition: ["none", "outside", "auto", null],
    textangle: [0],
    constraintext: null,
  },
  heatmap: {
    ...common(),
    z: null,
    zmin: null,
    zmax: null,
    zauto: null,
    colorscale: null,
    autocolorscale: [false],
    colorbar: null,
    showscale: null,
    text: null,
    xgap: null,
    ygap: null,
    zsmooth: [false],
    transpose: [false],
    reversescale: [false],
  },
};

const LINE = /^(color|width|dash|shape|smoothing|simplify)$/;
const MARKER = /^(color|symbol|size|line)$/;
const LAYOUT =
  /^(title|font|paper_bgcolor|plot_bgcolor|margin|showlegend|height|width|autosize|colorway|shapes|annotations|updatemenus|sliders|barmode|bargap|bargroupgap|template|separators|[xy]axis\d*)$/;
const AXIS =
  /^(title|titlefont|gridcolor|gridwidth|griddash|linecolor|linewidth|showline|mirror|zeroline.*|automargin|domain|visible|showticklabels|showgrid|type|tick(vals|text|format|font|color|len|width|s|mode|angle|labelposition)|nticks|exponentformat|showexponent|minexponent|range|dtick|autorange|rangemode|color|constrain.*|scale(anchor|ratio)|anchor|matches|layer|minor|separatethousands)$/;
const SHAPE = /^(type|xref|yref|x0|x1|y0|y1|line|layer|opacity|name|visible)$/;

function common(): Record<string, null> {
  return {
    type: null,
    name: null,
    visible: null,
    showlegend: null,
    x: null,
    y: null,
    xaxis: null,
    yaxis: null,
  };
}

/**
 * Refuses what cannot be drawn.
 *
 * @throws {InputError} With the path of the first attribute that the picture would lack.
 */
export function checkDrawable(
  operation: string,
  traces: readonly PlainObject[],
  { layout }: FigureData,
): void {
  traces.forEach((trace, at) => checkTrace(operation, `data[${at}]`, trace));
  checkLayout(operation, layout);
  const hasAnyBar = traces.some(({ type }) => type === "bar");
  const { barmode } = layout;
  if (hasAnyBar && barmode !== undefined && barmode !== "group" && barmode !== "overlay") {
    throw refused(operation, "layout.barmode", barmode, '"group" or "overlay"');
  }
}

function checkTrace(operation: string, path: string, trace: PlainObject): void {
  const type = textOf(trace.type, "scatter"), known = TRACES[type];
  if (!known) {
    const types = Object.keys(TRACES).join(", ");
    throw new InputError(operation, `a trace has the type ${describe(trace.type)}`, `one of ${types}`);
  }
  for (const [name, value] of Object.entries(trace)) {
    if (SILENT.test(name) || isNothing(value)) continue;
    const values = known[name];
    if (values === undefined) throw refused(operation, `${path}.${name}`, value);
    if (values !== null && !values.includes(value)) {
      throw refused(
        operation,
        `${path}.${name}`,
        value,
        values.filter((word) => word !== null).map(describe).join(", "),
      );
    }
  }
  if (type === "heatmap" && trace.colorscale !== undefined && !isEvenScale(trace.colorscale)) {
    throw refused(operation, `${path}.colorscale`, trace.colorscale, "colours #rrggbb at equal distances");
  }
  const line = objectOf(trace.line), marker = objectOf(trace.marker);
  checkNames(operation, `${path}.line`, line, LINE);
  if (line.shape !== undefined && line.shape !== "linear" && line.shape !== "hv") {
    throw refused(operation, `${path}.line.shape`, line.shape, '"linear" or "hv"');
  }
  checkNames(operation, `${path}.marker`, marker, type === "bar" ? /^(color|line)$/ : MARKER);
  const colors = Array.isArray(marker.color) ? listOf(marker.color) : [marker.color];
  const number = colors.find((color) => typeof color === "number");
  if (number !== undefined) throw refused(operation, `${path}.marker.color`, number, "names of colours");
}

/** Whether a scale is one of stops at equal distances, the only ones that the picture has. */
function isEvenScale(scale: PlainValue): boolean {
  const stops = listOf(scale).map(listOf);
  return stops.length > 1 &&
    stops.every(([at, color], index) =>
      typeof at === "number" && Math.abs(at - index / (stops.length - 1)) < 1e-6 &&
      /^#[\da-f]{6}$/i.test(textOf(color, ""))
    );
}

function checkLayout(operation: string, layout: PlainObject): void {
  checkNames(operation, "layout", layout, LAYOUT);
  for (const [name, value] of Object.entries(layout)) {
    if (!/^[xy]axis/.test(name)) continue;
    const axis = objectOf(value);
    checkNames(operation, `layout.${name}`, axis, AXIS);
    if (axis.type === "multicategory") throw refused(operation, `layout.${name}.type`, axis.type);
  }
  listOf(layout.shapes).map(objectOf).forEach((shape, at) => {
    const path = `layout.shapes[${at}]`;
    if (shape.type !== "line") throw refused(operation, `${path}.type`, shape.type, '"line"');
    checkNames(operation, path, shape, SHAPE);
  });
  listOf(layout.annotations).map(objectOf).forEach(({ showarrow }, at) => {
    if (showarrow !== false) {
      throw refused(operation, `layout.annotations[${at}].showarrow`, showarrow, "false");
    }
  });
  const subtitle = objectOf(objectOf(layout.title).subtitle);
  if (titleOf({ text: subtitle.text ?? "" }) !== "") {
    throw refused(operation, "layout.title.subtitle", subtitle.text);
  }
}

function checkNames(operation: string, path: string, values: PlainObject, known: RegExp): void {
  for (const [name, value] of Object.entries(values)) {
    if (known.test(name) || SILENT.test(name) || isNothing(value)) continue;
    throw refused(operation, `${path}.${name}`, value);
  }
}

/** What is as if it were not given. */
function isNothing(value: PlainValue): boolean {
  if (value === null || value === false || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function refused(
  operation: string,
  path: string,
  value: PlainValue | undefined,
  expected?: string,
): InputError {
  return new InputError(
    operation,
    `${path} is ${describe(value)}`,
    expected ?? "none: a still picture cannot show it",
  );
}
