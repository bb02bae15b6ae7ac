// Still pictures: axes and ticks, widths of text, what is drawn where, and text that stays text.

import { FormatError } from "../../../src/base/errors.ts";
import type { PlainObject, PlainValue } from "../../../src/jupyter/figures/figure_data.ts";
import { plotlyText } from "../../../src/jupyter/figures/layout.ts";
import { paint } from "../../../src/jupyter/figures/paint.ts";
import { PALETTES } from "../../../src/jupyter/figures/palette.ts";
import { Axis } from "../../../src/jupyter/figures/picture/axis.ts";
import { drawPicture } from "../../../src/jupyter/figures/picture/picture.ts";
import { Rasterizer } from "../../../src/jupyter/figures/picture/rasterizer.ts";
import { shownLines } from "../../../src/jupyter/figures/picture/svg.ts";
import { TextMetrics } from "../../../src/jupyter/figures/picture/text_metrics.ts";
import { dateTicks, formatTick, linearTicks, logTicks } from "../../../src/jupyter/figures/picture/ticks.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertFalse,
  assertThrows,
} from "../../../testing/assert.ts";
import { decodePng } from "../../../testing/png_reader.ts";

const SIZE = { width: 400, height: 300 };

async function svgOf(data: readonly PlainObject[], layout: PlainObject = {}): Promise<string> {
  const { metrics } = await Rasterizer.load();
  return await drawPicture("test", { data, layout }, SIZE, metrics);
}

Deno.test("ticks: round numbers, powers of ten, starts of months, in the format that is asked", () => {
  const labels = (ticks: readonly { label: string }[]) => ticks.map(({ label }) => label);
  assertEquals(labels(linearTicks(-0.05, 0.31, 5, "", 0)), ["0.0", "0.1", "0.2", "0.3"]);
  assertEquals(labels(linearTicks(-2, 2, 4, "", 0)), ["−2", "−1", "0", "1", "2"]);
  assertEquals(labels(linearTicks(0, 12_000, 3, ",.0f", 0)), ["0", "5,000", "10,000"]);
  assertEquals(labels(logTicks(-8.2, -5.9, "", "power")), ["10⁻⁸", "10⁻⁷", "10⁻⁶"]);
  assertEquals(labels(logTicks(4.9, 7.1, "", "SI")), ["100k", "1M", "10M"]);
  assertEquals(labels(logTicks(0.1, 0.8, "", "")), ["2", "5"]);
  const year = dateTicks(Date.UTC(2020, 0, 15), Date.UTC(2020, 11, 15), 4);
  assertEquals(labels(year), ["Apr 2020", "Jul 2020", "Oct 2020"]);
  assertEquals(labels(dateTicks(Date.UTC(2020, 1, 28), Date.UTC(2020, 2, 1), 3)).at(-1), "1 Mar 2020");
  assertEquals([formatTick(0.256, ".0%"), formatTick(-1234.5, ",.1f"), formatTick(1e-7, "")], [
    "26 %",
    "−1,234.5",
    "1e-7",
  ]);
});

Deno.test("axis: where values lie, whatever their kind", () => {
  const none = { isPadded: false, fromZero: false, hasCells: false };
  assertEquals(new Axis({}, [2, 4], none).placeOf(3), 0.5);
  assertEquals(new Axis({ type: "log" }, [1, 100], none).placeOf(10), 0.5);
  assertEquals(new Axis({ type: "log" }, [1, 100], none).placeOf(0), null);
  assertEquals(new Axis({ range: [1, -1] }, [], none).placeOf(1), 0, "reversed");
  assertEquals(new Axis({}, ["2020-01-01", "2020-01-03"], none).placeOf("2020-01-02"), 0.5);
  assertEquals(new Axis({}, ["a", "b"], none).placeOf("b"), 0.75, "in the middle of its half");
  assertEquals(new Axis({}, ["a", "b"], none).placeOf("c"), null);
  assertEquals(new Axis({}, [5, 10], { ...none, fromZero: true }).placeOf(5), 0.5);
  assertEquals(new Axis({}, [null, NaN], none).placeOf(0.5), 0.5, "nothing to go by");
});

Deno.test("axis: dates are read as plotly.js reads them, by the clock that they show", () => {
  const none = { isPadded: false, fromZero: false, hasCells: false };
  const at = (value: PlainValue) => {
    const time = new Axis({ type: "date" }, [], none).numberOf(value);
    return time === null ? null : new Date(time).toISOString().replace("T", " ").replace(/(\.000)?Z$/, "");
  };
  const cases: readonly (readonly [value: PlainValue, expected: string | null])[] = [
    ["2024-03-05", "2024-03-05 00:00:00"],
    ["2024", "2024-01-01 00:00:00"],
    [2024, "2024-01-01 00:00:00"],
    ["2024-3-5", "2024-03-05 00:00:00"],
    ["2024-03", "2024-03-01 00:00:00"],
    ["24-03-05", "2024-03-05 00:00:00"],
    ["68-01-01", "1968-01-01 00:00:00"],
    ["0024-03-05", "0024-03-05 00:00:00"],
    ["2024-03-05 12:30", "2024-03-05 12:30:00"],
    ["2024-03-05T12:30:15.25", "2024-03-05 12:30:15.250"],
    ["2024-03-05T12:30:15Z", "2024-03-05 12:30:15"],
    ["2024-03-05T12:30:15+05:30", "2024-03-05 12:30:15"],
    ["2024-03-05T23:59-0800", "2024-03-05 23:59:00"],
    [" 2024-03-05 ", "2024-03-05 00:00:00"],
    ["2024-02-30", null],
    ["2024-13-01", null],
    ["2024-03-05T24:00", null],
    ["March 5, 2024", null],
    ["3/5/2024", null],
    ["", null],
    [null, null],
  ];
  for (const [value, expected] of cases) assertEquals(at(value), expected, String(value));
  const moment = new Date(2024, 2, 5, 12, 30);
  assertEquals(at(moment.getTime()), "2024-03-05 12:30:00", "a moment, by the clock of this place");
});

Deno.test("axis: its kind is what plotly.js takes its values for", () => {
  const none = { isPadded: false, fromZero: false, hasCells: false };
  const cases: readonly (readonly [values: readonly PlainValue[], type: string])[] = [
    [[1, 2], "linear"],
    [["1", "2.5"], "linear"],
    [["1,234", "5 %", "$7"], "linear"],
    [["2019", "2020"], "linear"],
    [["2019-01", "2020-01"], "date"],
    [["2019-1-5 12:00", null, "2019-1-6"], "date"],
    [["2019-01-01", "unknown"], "date"],
    [["2019-02-30", "2019-02-31"], "category"],
    [["a", "b"], "category"],
    [["a", 1, 2], "linear"],
    [["a", "b", "c", 1], "category"],
    [[true, false], "category"],
    [[null], "linear"],
    [[], "linear"],
  ];
  for (const [values, type] of cases) assertEquals(new Axis({}, values, none).type, type, String(values));
  assertEquals(new Axis({}, ["1,000", "3,000"], none).placeOf("2,000"), 0.5);
  assertEquals(new Axis({}, ["a", null, "b"], none).placeOf("b"), 0.75, "a gap is no name");
  assertEquals(new Axis({}, ["a", null, "b"], none).placeOf(null), null);
  assertEquals(new Axis({ type: "log" }, ["1", "100"], none).placeOf("10"), 0.5);
  assertEquals(
    new Axis({ range: ["2024-01-01", "2024-01-03T00:00Z"] }, ["2024-01-02"], none).placeOf("2024-01-02"),
    0.5,
  );
});

Deno.test("ticks: within a day they tell times, and the day once", () => {
  const day = Date.UTC(2024, 2, 5), hour = 3_600_000;
  assertEquals(dateTicks(day + 9 * hour, day + 12 * hour, 3).map(({ label }) => label), [
    "5 Mar 2024, 09:00",
    "10:00",
    "11:00",
    "12:00",
  ]);
  assertEquals(dateTicks(day + 12 * hour, day + 48 * hour, 3).map(({ label }) => label), [
    "5 Mar 2024, 12:00",
    "6 Mar 2024, 00:00",
    "12:00",
    "7 Mar 2024, 00:00",
  ]);
  assertEquals(dateTicks(day, day + 2000, 4).map(({ label }) => label).slice(0, 2), [
    "5 Mar 2024, 00:00:00.000",
    "00:00:00.500",
  ]);
  assertEquals(dateTicks(day, day + 3, 3).length, 4);
});

Deno.test("text: widths are those of the font, characters it lacks included", async () => {
  const { metrics } = await Rasterizer.load();
  // Of DejaVu Sans: an em has 2,048 units, a digit 1,303 and a space 651 of them.
  assertAlmostEquals(metrics.widthOf("0123456789", 2048), 13_030, 1e-9);
  assertAlmostEquals(metrics.widthOf(" ", 2048), 651, 1e-9);
  assertEquals(metrics.widthOf("", 12), 0);
  assert(metrics.widthOf("日本語 𝔘", 12) > 0);
  assertThrows(() => new TextMetrics(new Uint8Array(40)), FormatError, "font has no table");
});

Deno.test("text: what plotly reads as markup is read alike, and what is escaped for it stays as it was", () => {
  assertEquals(shownLines("a<br>b<br/>c"), ["a", "b", "c"]);
  assertEquals(shownLines("<b>x</b> &lt; &#36; &amp;lt; <img onerror=1>"), ["x < $ &lt; <img onerror=1>"]);
  for (const text of ["<b>&lt;</b>", "a<br>b", "$x$", "&#60;", "&amp;amp;"]) {
    assertEquals(shownLines(plotlyText(text)), [text]);
  }
});

Deno.test("paint: names of colours become colours, and text that looks like one does not", () => {
  const data = {
    marker: { color: ["$blue", "red"] },
    text: "$blue",
    colorscale: [[0, "$text"]],
    bgcolor: "$nothing",
  };
  assertEquals(paint(data, { blue: "#00f", text: "#111" }), {
    marker: { color: ["#00f", "red"] },
    text: "$blue",
    colorscale: [[0, "#111"]],
    bgcolor: "$nothing",
  });
  assertEquals(Object.keys(PALETTES.light), Object.keys(PALETTES.dark));
});

Deno.test("picture: a point, a bar and a cell are where their axes say", async () => {
  const rasterizer = await Rasterizer.load();
  const look = async (data: readonly PlainObject[], layout: PlainObject) =>
    await decodePng(rasterizer.render(await svgOf(data, layout), 1).toBase64());
  const bare = { xaxis: { visible: false, range: [0, 4] }, yaxis: { visible: false, range: [0, 4] } };
  const near = (pixel: number[], color: number[]) =>
    pixel.every((channel, at) => Math.abs(channel - color[at]) < 8);

  const point = await look([{
    type: "scatter",
    mode: "markers",
    x: [2],
    y: [2],
    marker: { color: "#ff0000", size: 20 },
  }], bare);
  const reds: number[][] = [];
  for (let y = 0; y < 300; y++) {
    for (let x = 0; x < 400; x++) if (near(point.pixel(x, y), [255, 0, 0])) reds.push([x, y]);
  }
  const mean = [0, 1].map((at) => reds.reduce((sum, place) => sum + place[at], 0) / reds.length);
  assert(reds.length > 250 && reds.length < 350, `${reds.length} pixels of a disc of 314`);
  const bars = await look([{ type: "bar", x: [1, 3], y: [4, 2], marker: { color: "#00ff00" } }], bare);
  assert(near(bars.pixel(Math.round(mean[0] - 90), Math.round(mean[1] - 60)), [0, 255, 0]), "the long one");
  assert(
    near(bars.pixel(Math.round(mean[0] + 90), Math.round(mean[1] - 60)), [255, 255, 255]),
    "above the short one",
  );
  assert(near(bars.pixel(Math.round(mean[0] + 90), Math.round(mean[1] + 60)), [0, 255, 0]), "the short one");

  const scale = [[0, "#000000"], [1, "#0000ff"]];
  const cells = await look(
    [{ type: "heatmap", z: [[0, 1], [null, 0]], colorscale: scale, showscale: false }],
    { xaxis: { visible: false }, yaxis: { visible: false, autorange: "reversed" }, plot_bgcolor: "#ff0000" },
  );
  const corners = [[60, 60], [340, 60], [60, 240], [340, 240]].map(([x, y]) => cells.pixel(x, y));
  assertEquals(corners, [[0, 0, 0], [0, 0, 255], [255, 0, 0], [0, 0, 0]]);
});

Deno.test("picture: along the places of bars there is no grid, unless the layout asks for one", async () => {
  const lines = async (data: readonly PlainObject[], layout: PlainObject = {}) => {
    const found = [...(await svgOf(data, layout)).matchAll(/<line ([^>]*)\/?>/g)].map(([, attributes]) => {
      const { x1, x2 } = Object.fromEntries(
        [...attributes.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
      );
      return x1 === x2 ? "upright" : "lying";
    });
    return [...new Set(found)].sort();
  };
  const names = ["a", "b", "c"], lengths = [4, 2, 3];
  assertEquals(await lines([{ type: "bar", x: names, y: lengths }]), ["lying"]);
  assertEquals(await lines([{ type: "bar", x: lengths, y: names, orientation: "h" }]), ["upright"]);
  assertEquals(await lines([{ type: "bar", x: names, y: lengths }], { yaxis: { showgrid: false } }), []);
  assertEquals(
    await lines([{ type: "bar", x: names, y: lengths }], { xaxis: { showgrid: true } }),
    ["lying", "upright"],
  );
  const places = (svg: string) => svg.match(/<line /g)?.length ?? 0;
  const bars = places(await svgOf([{ type: "bar", x: names, y: lengths }]));
  const numbers = places(await svgOf([{ type: "bar", x: [1, 2, 3], y: lengths }]));
  assertEquals(bars, numbers, "names and numbers as places are alike");
  assertEquals(await lines([{ type: "scatter", x: names, y: lengths }]), ["lying", "upright"]);
});

Deno.test("picture: a colour bar says what its ticks are told to say", async () => {
  const cells = { type: "heatmap", z: [[0, 1], [2, 3]] };
  const svg = await svgOf([{
    ...cells,
    colorbar: { tickvals: [0, 2, 9], ticktext: ["one", "hundred", "far"] },
  }]);
  assert(svg.includes(">one<") && svg.includes(">hundred<"));
  assertFalse(svg.includes(">far<"), "beyond the end of the bar");
  assert((await svgOf([{ ...cells, colorbar: { tickvals: [2] } }])).includes(">2<"));
});

Deno.test("picture: gaps end lines, hidden traces are not there, names alone say nothing", async () => {
  const line = { type: "scatter", mode: "lines", name: "one", y: [1, 2, null, 4, 5] };
  const svg = await svgOf([line, { ...line, name: "hidden", visible: "legendonly" }]);
  assertEquals(svg.match(/d="(M[^"]*)"/)?.[1].split("M").length, 1 + 2);
  assertFalse(svg.includes("hidden"));
  assertFalse(svg.includes(">one<"), "a legend of one entry");
  assert((await svgOf([line, { ...line, name: "two" }])).includes(">two<"));
});

Deno.test("picture: no text becomes an element", async () => {
  const evil = "<image href='x'/> & \"quoted\"";
  const svg = await svgOf(
    [{ type: "scatter", mode: "text", x: [evil, "b"], y: [1, 2], text: [evil, evil], name: evil }, {
      type: "scatter",
      name: evil,
      x: ["b"],
      y: [1],
    }],
    {
      title: { text: evil },
      xaxis: { title: { text: evil } },
      annotations: [{ showarrow: false, text: evil, x: 0, y: 0, xref: "paper", yref: "paper" }],
    },
  );
  assertFalse(svg.includes("<image"));
  assert(svg.split("&lt;image").length > 6);
});
