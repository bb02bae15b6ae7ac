// Figures of data that users bring: each kind of value comes out as what plotly draws, or is refused by its path.

import { InputError } from "../../src/base/errors.ts";
import { paint } from "../../src/jupyter/figures/paint.ts";
import { PALETTES } from "../../src/jupyter/figures/palette.ts";
import { checkDrawable } from "../../src/jupyter/figures/picture/drawable.ts";
import { DISPLAY, figure, type FigureObject, type PlainObject, setRenderer } from "../../src/jupyter/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";
import { as } from "../../testing/bad_calls.ts";

class Series {
  readonly #values = [1, 2, 3];
  [Symbol.iterator]() {
    return this.#values[Symbol.iterator]();
  }
  toJSON() {
    return { name: "no list" };
  }
}

const BIG = new Float64Array([1, NaN, 3]);

/** A value as the `x` of a trace, and what it has to become. */
const KINDS: readonly (readonly [name: string, given: unknown, expected: unknown])[] = [
  ...[
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
  ].map((Kind) => [Kind.name, Kind.of(1, 2, 3), [1, 2, 3]] as const),
  ["BigInt64Array", BigInt64Array.of(1n, -2n), [1, -2]],
  ["BigUint64Array", BigUint64Array.of(1n, 2n), [1, 2]],
  ["float32 by the digits that tell it apart", Float32Array.of(0.1, 1 / 3), [0.1, 0.33333334]],
  ["a view of a part", new Float32Array(Float32Array.of(9, 1, 2, 9).buffer, 4, 2), [1, 2]],
  ["numbers that are not finite", [1, NaN, Infinity, -Infinity], [1, null, null, null]],
  ["the same in a typed array", BIG, [1, null, 3]],
  ["holes and undefined", [1, , undefined, 2], [1, null, null, 2]], // deno-lint-ignore no-sparse-arrays -- What is tested.
  ["bigints", [1n, 2n ** 60n], [1, 2 ** 60]],
  ["dates", [new Date(0), new Date(NaN)], ["1970-01-01T00:00:00.000Z", null]],
  [
    "a date of another realm's prototype",
    [Object.setPrototypeOf(new Date(0), Object.create(Date.prototype))],
    [
      "1970-01-01T00:00:00.000Z",
    ],
  ],
  ["plain dates", [Temporal.PlainDate.from("2026-02-03")], ["2026-02-03"]],
  ["instants", [Temporal.Instant.from("2026-02-03T04:05:06Z")], ["2026-02-03T04:05:06Z"]],
  ["times with a zone", [Temporal.ZonedDateTime.from("2026-02-03T04:05[Europe/Berlin]")], [
    "2026-02-03T04:05:00",
  ]],
  ["a set", new Set([1, 2]), [1, 2]],
  ["a generator", [1, 2][Symbol.iterator](), [1, 2]],
  ["a column of another library", new Series(), [1, 2, 3]],
  ["objects of numbers", [new Number(1)], [1]],
  ["plotly.py's arrays", { dtype: "f8", bdata: "AAAAAAAA8D8AAAAAAAAAQA==" }, [1, 2]],
  ["plotly.py's rows", { dtype: "u1", bdata: "AQIDBAUG", shape: "2, 3" }, [[1, 2, 3], [4, 5, 6]]],
  ["a matrix", { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [3, 2] }, [[1, 2], [3, 4], [5, 6]]],
  ["lists in lists", [[1, 2], Float32Array.of(3, 4)], [[1, 2], [3, 4]]],
];

Deno.test("a figure of typed arrays, dates, bigints and the like is the figure of plain numbers and texts", async (t) => {
  for (const [name, given, expected] of KINDS) {
    await t.step(name, () => {
      const { data } = figure(as({ data: [{ type: "scatter", x: given }] }));
      assertEquals(data[0].x, expected);
      assertEquals(JSON.parse(JSON.stringify(data[0])).x, expected, "nothing is lost as JSON");
    });
  }
});

Deno.test("the picture of typed arrays and dates is that of plain lists, to the byte", async () => {
  const days = [1, 2, 3].map((day) => new Date(Date.UTC(2026, 0, day)));
  const pairs: [FigureObject, FigureObject][] = [
    [{ y: Float32Array.of(1, 5, 2) }, { y: [1, 5, 2] }],
    [{ x: days, y: BigInt64Array.of(1n, 5n, 2n) }, { x: days.map((day) => day.toISOString()), y: [1, 5, 2] }],
    [{ type: "heatmap", z: { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] } }, {
      type: "heatmap",
      z: [[1, 2], [3, 4]],
    }],
    [{ type: "bar", x: new Set(["a", "b"]), y: Uint8Array.of(1, 2) }, {
      type: "bar",
      x: ["a", "b"],
      y: [1, 2],
    }],
  ];
  for (const [given, plain] of pairs) {
    const [ours, theirs] = await Promise.all([given, plain].map((trace) => figure({ data: [trace] }).png()));
    assertEquals(ours, theirs);
  }
  const [line, empty] = await Promise.all(
    [[1, 5, 2], []].map((y) => figure({ data: [{ y }] }).png()),
  );
  assert(line.length !== empty.length, "there is a line");
});

Deno.test("what has no form that plotly draws is refused by its path", async (t) => {
  const circle: Record<string, unknown> = {};
  circle.again = circle;
  const refused: Record<string, unknown> = {
    "figure: data[0].x is an object (Map)": { x: new Map([[1, 2]]) },
    "figure: data[0].x is an object (Promise)": { x: Promise.resolve([1]) },
    "figure: data[0].x is an object (ArrayBuffer)": { x: new ArrayBuffer(8) },
    "figure: data[0].x is an object (DataView)": { x: new DataView(new ArrayBuffer(8)) },
    "figure: data[0].x is a function": { x: () => [1] },
    "figure: data[0].y[1] is Symbol(a)": { y: [1, Symbol("a")] },
    "figure: data[0].z is an object (Object), expected a list": { z: { data: [1, 2], dims: [2] } },
    "figure: data[0].y is 3, expected a list": { y: 3 },
    "figure: data[0].z.data has 3 numbers, expected those of the shape 2,2": {
      z: { data: Float32Array.of(1, 2, 3), shape: [2, 2] },
    },
    'figure: data[0].x.dtype is "f2"': { x: { dtype: "f2", bdata: "AAA=" } },
    "figure: data[0].marker.formatter is a function": { marker: { formatter: () => "" } },
    "figure: data[0].meta.again": { meta: circle },
    "figure: reading the arguments threw RangeError: no": {
      get x() {
        throw new RangeError("no");
      },
    },
  };
  for (const [message, trace] of Object.entries(refused)) {
    await t.step(message, () => void assertThrows(() => figure(as({ data: [trace] })), InputError, message));
  }
});

Deno.test("a type that the page's plotly has not is refused, unless the front end draws by itself", async () => {
  for (const type of ["scatter3d", "surface", "scattergl", "candlestick", "sankey", "nothing", 7]) {
    const make = () => figure({ data: [{ y: [1] }, { type, y: [1] }] });
    assertThrows(
      make,
      InputError,
      `data[1].type is ${JSON.stringify(type)}, expected one of scatter, bar, box`,
    );
    const shown = figure({ data: [{ type, y: [1] }] }, { renderer: "json" });
    assertEquals(Object.keys(await shown[DISPLAY]()), ["text/plain", "application/vnd.plotly.v1+json"]);
    await assertRejects(() => shown.html(), InputError, `data[0].type is ${JSON.stringify(type)}`);
    const before = setRenderer("json");
    const other = make();
    setRenderer(before);
    await assertRejects(async () => await other[DISPLAY](), InputError, "data[1].type");
  }
  for (const type of ["box", "contour", "histogram", "histogram2d", "histogram2dcontour", "pie", "violin"]) {
    figure({ data: [{ type }] });
  }
});

Deno.test("a figure does not change when what it was made of does", () => {
  const y = Float32Array.of(1, 2),
    trace = { y, line: { color: "$blue" } },
    layout = { xaxis: { title: "n" } };
  const shown = figure({ data: [trace], layout });
  y[0] = 9;
  trace.line.color = "red";
  layout.xaxis.title = "m";
  assertEquals(shown.data[0], { y: [1, 2], line: { color: "$blue" } });
  assertEquals(shown.layout.xaxis, { title: { text: "n" } });
});

Deno.test("titles that are texts become what plotly reads, and have room above the plot, line by line", () => {
  const layoutOf = (layout: FigureObject) => figure({ data: [{ meta: { title: "mine" } }], layout }).layout;
  const marginOf = (layout: FigureObject) => (layoutOf(layout).margin as PlainObject).t;
  assertEquals((layoutOf({ title: "one" }).title as PlainObject).text, "one");
  assertEquals((layoutOf({ legend: { title: "keys" } }).legend as PlainObject).title, { text: "keys" });
  assertEquals(figure({ data: [{ meta: { title: "mine" } }] }).data[0].meta, { title: "mine" });
  assertEquals([marginOf({}), marginOf({ title: "one" }), marginOf({ title: { text: "a<br>b" } })], [
    16,
    52,
    72,
  ]);
  assertEquals(marginOf({ title: "one", margin: { t: 90 } }), 90, "the user's own");
  assertEquals((layoutOf({ title: { text: "one", x: 0.5 } }).title as PlainObject).x, 0.5);
  assertEquals(figure({ data: [], layout: { height: 700 } }).height, 700);
  assertEquals(figure({ data: [], layout: { height: 700 } }, { height: 300 }).height, 300);
});

Deno.test("a picture that would lack something of the figure is refused, and the figure is shown without", async (t) => {
  const bar = { type: "bar", y: [1, 2] }, heatmap = { type: "heatmap", z: [[1, 2], [3, 4]] };
  const lacking: readonly (readonly [path: string, trace: FigureObject, layout?: FigureObject])[] = [
    ["data[0].error_y", { y: [1, 2], error_y: { array: [1, 1] } }],
    ["data[0].stackgroup", { y: [1, 2], stackgroup: "one" }],
    ["data[0].fill", { y: [1, 2], fill: "tonexty" }],
    ["data[0].x0", { y: [1, 2], x0: 5 }],
    ["data[0].texttemplate", { y: [1, 2], texttemplate: "%{y}" }],
    ["data[0].line.shape", { y: [1, 2], line: { shape: "spline" } }],
    ["data[0].marker.color", { y: [1, 2], marker: { color: [1, 2] } }],
    ["data[0].marker.opacity", { y: [1, 2], marker: { opacity: 0.1 } }],
    ["data[0].base", { ...bar, base: [1, 1] }],
    ["data[0].width", { ...bar, width: 0.1 }],
    ["layout.barmode", bar, { barmode: "stack" }],
    ["data[0].zmid", { ...heatmap, zmid: 0 }],
    ["data[0].reversescale", { ...heatmap, reversescale: true }],
    ["data[0].colorscale", { ...heatmap, colorscale: "Greys" }],
    ["data[0].colorscale", { ...heatmap, colorscale: [[0, "#000000"], [0.1, "#ffffff"], [1, "#ff0000"]] }],
    ["data[0].texttemplate", { ...heatmap, texttemplate: "%{z}" }],
    ["the cells of a heatmap begin at x [0, 1, 5]", { type: "heatmap", x: [0, 1, 5], z: [[1, 2, 3]] }],
    ["the cells of a heatmap begin at x", { type: "heatmap", x: ["a", "b", "a"], z: [[1, 2, 3]] }],
    ["layout.images", { y: [1] }, { images: [{ source: "x" }] }],
    ["layout.shapes[0].type", { y: [1] }, { shapes: [{ type: "rect", x0: 0, x1: 1, y0: 0, y1: 1 }] }],
    ["layout.annotations[0].showarrow", { y: [1] }, { annotations: [{ x: 0, y: 1, text: "here" }] }],
    ["layout.yaxis2.overlaying", { y: [1], yaxis: "y2" }, { yaxis2: { overlaying: "y", side: "right" } }],
    ["layout.xaxis.rangebreaks", { y: [1] }, { xaxis: { rangebreaks: [{ bounds: ["sat", "mon"] }] } }],
    ["layout.xaxis.categoryorder", bar, { xaxis: { categoryorder: "total descending" } }],
    ["layout.yaxis.ticksuffix", { y: [1] }, { yaxis: { ticksuffix: " %" } }],
  ];
  for (const [path, trace, layout = {}] of lacking) {
    await t.step(path, async () => {
      const shown = figure({ data: [trace], layout });
      await assertRejects(() => shown.png(), InputError, path);
      const bundle = await shown[DISPLAY]();
      assert(!("image/png" in bundle) && "text/html" in bundle);
      assert(bundle["text/plain"].includes(`(no still picture: figure.png: ${path}`), bundle["text/plain"]);
    });
  }
});

Deno.test("what does not change a still picture keeps it", () => {
  const trace = {
    y: [1, 2],
    hovertemplate: "%{y}",
    customdata: [[1], [2]],
    legendgroup: "a",
    uid: "u",
    error_y: { visible: false },
    marker: { size: [3, 4], symbol: "square", line: { width: 1 } },
  };
  const { data, layout } = figure({ data: [trace], layout: { hovermode: "x", dragmode: "pan", shapes: [] } });
  const plain = { ...data[0] };
  delete (plain as { error_y?: unknown }).error_y;
  checkDrawable("test", [plain], { data, layout });
});

Deno.test("traces without colours have those of the series, in the page and in the picture", () => {
  const { layout } = figure({ data: [{ y: [1] }, { y: [2] }] });
  const colors = paint(layout, PALETTES.light).colorway as string[];
  assertEquals(colors.slice(0, 2), [PALETTES.light.blue, PALETTES.light.orange]);
});
