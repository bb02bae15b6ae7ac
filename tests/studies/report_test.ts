import { assert, assertEquals, assertFalse, assertStringIncludes } from "../../testing/assert.ts";
import { costAgainstError, costAgainstWorstError, type CostPoint } from "../../studies/figures.ts";
import { formatMilliseconds } from "../../studies/table.ts";
import type { FigureData } from "../../src/jupyter/figures/figure_data.ts";
import { PALETTES } from "../../src/jupyter/figures/palette.ts";

/** A point of each family, near ones, and budgets of two families that lie together. */
const POINTS = ([
  ["everyAnswer", null, null, 9e6, 3e-8, 6e-8],
  ["original", 1, null, 3e6, 3e-8, 6e-8],
  ["original", 64, null, 100_000, 1e-3, 0.05],
  ["original", 256, null, 90_000, 1.1e-3, 0.05],
  ["budgetRebuild", null, 0.001, 2e6, 1e-5, 0.001],
  ["budgetRebuild", null, 0.02, 300_000, 9e-4, 0.02],
  ["budgetPatch", null, 0.001, 60_000, 1e-5, 0.001],
  ["budgetPatch", null, 0.02, 280_000, 9e-4, 0.02],
  ["adaptive", null, 0.001, 60_010, 3e-6, 0.0009],
  ["adaptive", null, 0.02, 59_000, 9e-4, 0.02],
  ["exact", null, null, 60_000, 0, 0],
] as const).map(([family, threshold, error, multiplyAddsPerDay, relativeError, largestError]): CostPoint => ({
  name: `${family} ${threshold ?? error}`,
  family,
  threshold,
  error,
  multiplyAddsPerDay,
  relativeError,
  largestError,
}));

function trace(figure: FigureData, name: string) {
  const found = figure.data.find((candidate) => candidate.name === name);
  assert(found, name);
  return found;
}

Deno.test("cost against error: points, one label for markers that lie together, no zero on a logarithmic axis", () => {
  const figure = costAgainstError(POINTS);
  const original = trace(figure, "original: wait, then rebuild");
  assertEquals(original.x, [3e6, 100_000, 90_000]);
  assertEquals(original.y, [1e-7, 1e-3, 1.1e-3], "rounding lies on a line of its own");
  assertEquals(original.text, ["\u20021\u2002", "\u200264, 256\u2002", ""]);
  assertEquals(trace(figure, "exact reads").y, [1e-7]);
  const { tickvals, ticktext } = figure.layout.yaxis as { tickvals: number[]; ticktext: string[] };
  assertEquals([tickvals[0], ticktext[0]], [1e-7, "rounding only"]);
  assertEquals(tickvals.slice(1), [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]);
  assertStringIncludes(JSON.stringify(figure.data), "150 × less work");
});

Deno.test("cost against error: budgets are dashed, in the colour of their plan, with markers of their own", () => {
  const figure = costAgainstError(POINTS);
  const names = [
    "original: wait, then rebuild",
    "error budget, then rebuild",
    "error budget, then patch",
  ];
  const [original, rebuild, patch] = names.map((name) =>
    trace(figure, name) as unknown as {
      text: string[];
      line: { dash: string; color: string };
      meta: { narrowText: string[] };
    }
  );
  assertEquals([original, rebuild, patch].map(({ line }) => line.dash), ["solid", "dash", "dash"]);
  assertEquals([original, rebuild, patch].map(({ line }) => line.color), [
    "$orange",
    "$orange",
    "$blue",
  ]);
  assertEquals(new Set(figure.data.map(({ marker }) => JSON.stringify(marker))).size, figure.data.length);
  assertEquals(rebuild.text, ["\u20020.001\u2002", "\u20020.02\u2002"]);
  assertEquals(original.meta.narrowText, ["\u20021\u2002", "", ""], "where there is room for it");
  assertEquals(rebuild.meta.narrowText, ["", ""]);
  assertEquals(patch.text, ["\u20020.001\u2002", ""], "0.02 is written beside the marker of the other plan");
});

Deno.test("cost against error: the adaptive family has a line, a colour and a marker that no other has", () => {
  const figure = costAgainstError(POINTS);
  type Drawn = {
    text: string[];
    x: number[];
    line: { dash: string };
    marker: { color: string; symbol: string };
  };
  const adaptive = trace(figure, "target error, adaptive") as unknown as Drawn;
  assertEquals(adaptive.x, [60_010, 59_000]);
  assertEquals(adaptive.text[0], "\u20020.001\u2002", "lower than the error budget of 0.001");
  const others = (figure.data as unknown as Drawn[]).filter((other) => other !== adaptive);
  assertFalse(others.some(({ marker }) => marker.color === adaptive.marker.color), "colour");
  assertFalse(others.some(({ marker }) => marker.symbol === adaptive.marker.symbol), "marker");
  assertFalse(others.some(({ line }) => line.dash === adaptive.line.dash), "line");
});

Deno.test("cost against worst error: the largest error of each, from 0 on, without families that are not there", () => {
  const figure = costAgainstWorstError(POINTS);
  assertEquals(trace(figure, "original: wait, then rebuild").y, [6e-8, 0.05, 0.05]);
  assertEquals(trace(figure, "exact reads").y, [0]);
  assertEquals(figure.data.length, 6);
  assertFalse(figure.data.some(({ name }) => name === "patch: wait, then exchange columns"));
});

Deno.test("cost against error: with times they are on the axis, and a switch puts work there", () => {
  const timed = POINTS.map((point, at) => ({ ...point, millisecondsPerDay: 2 ** -at }));
  for (const figure of [costAgainstError(timed), costAgainstWorstError(timed)]) {
    assertEquals(trace(figure, "original: wait, then rebuild").x, [1 / 2, 1 / 4, 1 / 8]);
    const [{ buttons }] = figure.layout.updatemenus as unknown as {
      buttons: { label: string; args: [{ x: number[][]; text: unknown[] }, Record<string, unknown>] }[];
    }[];
    assertEquals(buttons.map(({ label }) => label), ["time", "work"]);
    const names = figure.data.map(({ name }) => name);
    const at = names.indexOf("original: wait, then rebuild");
    for (
      const [{ args: [traces, axes] }, x] of [[buttons[0], [1 / 2, 1 / 4, 1 / 8]], [
        buttons[1],
        [3e6, 100_000, 90_000],
      ]] as const
    ) {
      assertEquals(traces.x[at], [...x]);
      assertEquals(traces.x.length, figure.data.length);
      assertEquals(traces.text.length, figure.data.length);
      assert("xaxis.range" in axes && "xaxis.title.text" in axes);
    }
  }
  assertStringIncludes(JSON.stringify(costAgainstError(timed).data), "1,024 × less time");
  assertFalse("updatemenus" in costAgainstError(POINTS).layout, "without times there is no switch");
});

Deno.test("cost against error: where exact reads cost more the figure says so", () => {
  const lost = POINTS.map((point) =>
    point.family === "exact" ? { ...point, multiplyAddsPerDay: 18e6 } : point
  );
  assertStringIncludes(JSON.stringify(costAgainstError(lost).data), "2 × more work");
});

Deno.test("times of a day have two digits or more, and no exponent where a machine is slow", () => {
  const times = [0.0123, 1.26, 42, 99.4, 99.7, 123.4, 12_345].map(formatMilliseconds);
  assertEquals(times, ["0.012", "1.3", "42", "99", "100", "123", "12,345"]);
});

Deno.test("cost against error: every colour that it names is in both palettes", () => {
  const figures = [costAgainstError(POINTS), costAgainstWorstError(POINTS)];
  const named = [...JSON.stringify(figures).matchAll(/"\$(\w+)"/g)].map(([, name]) => name);
  assert(named.length > 10);
  for (const name of named) assert(name in PALETTES.light && name in PALETTES.dark, name);
});
