// Figures, progress and widgets, given anything at all: refused by type, and shown where it can be. A misspelt option is named.

import { AttentionError, DynamicAttention, InputError } from "../../mod.ts";
import {
  attentionChange,
  attentionHeatmap,
  costAgainstError,
  display,
  figure,
  forecast,
  heaviestKeys,
  interruptible,
  keyWeight,
  liveAttention,
  progress,
  readAttention,
  setRenderer,
  staleness,
  table,
} from "../../src/jupyter/mod.ts";
import { interact, liveFigure, select, slider } from "../../src/jupyter/widgets/mod.ts";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "../../testing/assert.ts";
import { as } from "../../testing/bad_calls.ts";
import { MORE_VALUES, outcome } from "../../testing/hostile_values.ts";
import { IS_LONG } from "../../testing/requirements.ts";

async function makeEngine(): Promise<DynamicAttention> {
  return await DynamicAttention.create({ query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[1], [2]] });
}

const live = await makeEngine();
const ATTENTION = await readAttention(live);
const POINT = { name: "one", cost: 1, error: 0.5 };
const TIMES = [1, 2, 3], VALUES_OVER_TIME = [1, 2, 3];

const CALLS: Readonly<Record<string, (bad: never) => unknown>> = {
  "attentionHeatmap's attention": (bad) => attentionHeatmap(bad),
  "its options": (bad) => attentionHeatmap(ATTENTION, bad),
  "its title": (bad) => attentionHeatmap(ATTENTION, { title: bad }),
  "its height": (bad) => attentionHeatmap(ATTENTION, { height: bad }),
  "its renderer": (bad) => attentionHeatmap(ATTENTION, { renderer: bad }),
  "its labels": (bad) => attentionHeatmap(ATTENTION, { keyLabels: bad }),
  "a label": (bad) => attentionHeatmap(ATTENTION, { keyLabels: ["a", bad] }),
  "weights": (bad) => attentionHeatmap({ ...ATTENTION, weights: bad }),
  "a matrix of weights": (bad) => attentionHeatmap({ ...ATTENTION, weights: [bad] }),
  "slots": (bad) => attentionHeatmap({ ...ATTENTION, keys: bad }),
  "logarithms": (bad) => attentionHeatmap({ ...ATTENTION, logSumExp: bad }),
  "attentionChange's before": (bad) => attentionChange(bad, ATTENTION),
  "attentionChange's after": (bad) => attentionChange(ATTENTION, bad),
  "attentionChange's options": (bad) => attentionChange(ATTENTION, ATTENTION, bad),
  "costAgainstError's points": (bad) => costAgainstError(bad),
  "a point": (bad) => costAgainstError([POINT, bad]),
  "a cost": (bad) => costAgainstError([{ ...POINT, cost: bad }]),
  "an error": (bad) => costAgainstError([{ ...POINT, error: bad }]),
  "a family": (bad) => costAgainstError([{ ...POINT, family: bad }]),
  "isExact": (bad) => costAgainstError([{ ...POINT, isExact: bad }]),
  "costAgainstError's options": (bad) => costAgainstError([POINT], bad),
  "costTitle": (bad) => costAgainstError([POINT], { costTitle: bad }),
  "staleness's record": (bad) => staleness(bad),
  "times": (bad) => staleness({ times: bad, bounds: VALUES_OVER_TIME }),
  "bounds": (bad) => staleness({ times: TIMES, bounds: bad }),
  "distances": (bad) => staleness({ times: TIMES, bounds: VALUES_OVER_TIME, distances: bad }),
  "a limit": (bad) => staleness({ times: TIMES, bounds: VALUES_OVER_TIME, limit: bad }),
  "staleness's options": (bad) => staleness({ times: TIMES, bounds: VALUES_OVER_TIME }, bad),
  "keyWeight's keys": (bad) => keyWeight(TIMES, bad),
  "a series": (bad) => keyWeight(TIMES, [bad]),
  "a series' weights": (bad) => keyWeight(TIMES, [{ name: "a", weights: bad }]),
  "forecast's truth": (bad) => forecast(TIMES, bad, []),
  "forecasts": (bad) => forecast(TIMES, VALUES_OVER_TIME, bad),
  "a forecast's values": (bad) => forecast(TIMES, VALUES_OVER_TIME, [{ name: "a", values: bad }]),
  "a forecast's name": (bad) => forecast(TIMES, VALUES_OVER_TIME, [{ name: bad, values: VALUES_OVER_TIME }]),
  "heaviestKeys' keys": (bad) => heaviestKeys(bad),
  "a heavy key": (bad) => heaviestKeys([bad]),
  "heaviestKeys' options": (bad) => heaviestKeys([{ slot: 0, weight: 1 }], bad),
  "heaviestKeys' labels": (bad) => heaviestKeys([{ slot: 0, weight: 1 }], { labels: bad }),
  "figure's parts": (bad) => figure(bad),
  "figure's data": (bad) => figure({ data: bad }),
  "figure's layout": (bad) => figure({ data: [], layout: bad }),
  "figure's description": (bad) => figure({ data: [], description: bad }),
  "figure's options": (bad) => figure({ data: [] }, bad),
  "png's options": (bad) => figure({ data: [] }).png(bad),
  "png's theme": (bad) => figure({ data: [] }).png({ theme: bad }),
  "readAttention's engine": (bad) => readAttention(bad),
  "readAttention's selection": (bad) => readAttention(live, bad),
  "its queries": (bad) => readAttention(live, { queries: bad }),
  "its keys": (bad) => readAttention(live, { keys: bad }),
  "its heads": (bad) => readAttention(live, { heads: bad }),
  "liveAttention's options": (bad) => liveAttention(bad),
  "a live figure's labels": (bad) => liveAttention({ query: [[1]], key: [[1]], value: [[1]], labels: bad }),
  "a live figure's threshold": (bad) =>
    liveAttention({ query: [[1]], key: [[1]], value: [[1]], lazyThreshold: bad }),
  "progress's options": (bad) => progress(3, bad),
  "progress's total": (bad) => progress([1], { total: bad }),
  "progress's label": (bad) => progress([1], { label: bad }),
  "setRenderer's name": (bad) => setRenderer(bad),
  "interruptible's run": (bad) =>
    interruptible(() => interruptible(bad)).catch((error) => {
      // What a function itself throws is its caller's own.
      if (typeof bad !== "function") throw error;
    }),
  "display's matrix": (bad) => display(bad),
  "interact's controls": (bad) => interact(() => 1, bad),
  "one of interact's controls": (bad) => interact(() => 1, { a: bad }),
  "table's columns": (bad) => table(bad, []),
  "table's rows": (bad) => table(["a"], bad),
  "table's options": (bad) => table(["a"], [["x"]], bad),
  "slider's options": (bad) => slider(bad),
  "slider's max": (bad) => slider({ max: bad }),
  "select's options": (bad) => select(bad),
  "select's settings": (bad) => select(["a"], bad),
  "liveFigure's options": (bad) => liveFigure(live, bad),
  "liveFigure's head": (bad) => liveFigure(live, { head: bad }),
};

/** Every value at length, otherwise every eighth, another eighth for each call. */
function valuesFor(at: number): typeof MORE_VALUES {
  return MORE_VALUES.filter((_, number) => IS_LONG || (number + at) % 8 === 0);
}

for (const [at, [name, call]] of Object.entries(CALLS).entries()) {
  Deno.test(`hostile options: ${name}`, async () => {
    const renderer = setRenderer("png");
    try {
      let refused = 0;
      for (const [what, make] of valuesFor(at)) {
        const error = await outcome(() => call(as(make())));
        setRenderer("png");
        if (error === null) continue;
        refused++;
        assertInstanceOf(error, AttentionError, `${name}: ${what}: ${error instanceof Error && error.stack}`);
        assert(error.message.length < 700, `${name}: ${what}: ${error.message.length} characters`);
      }
      assert(refused > (IS_LONG ? 10 : 2), `${refused} refused`);
    } finally {
      setRenderer(renderer);
    }
  });
}

Deno.test("a misspelt option of a figure, a loop or a widget is named", async () => {
  const misspelt: readonly (readonly [call: () => unknown, message: string])[] = [
    [() => attentionHeatmap(ATTENTION, as({ tilte: "a" })), 'attentionHeatmap: option "tilte" is unknown'],
    [() => attentionHeatmap(ATTENTION, as({ keylabels: ["a", "b"] })), 'did you mean "keyLabels"?'],
    [() => attentionHeatmap(as({ ...ATTENTION, query: [0] })), 'attention field "query" is unknown'],
    [() => attentionChange(ATTENTION, ATTENTION, as({ queryLabel: ["a"] })), 'did you mean "queryLabels"?'],
    [() => costAgainstError([as({ ...POINT, exact: true })]), 'points[0] field "exact" is unknown'],
    [() => costAgainstError([POINT], as({ costtitle: "a" })), 'did you mean "costTitle"?'],
    [() => staleness(as({ times: TIMES, bounds: TIMES, distance: TIMES })), 'did you mean "distances"?'],
    [() => keyWeight(TIMES, [as({ name: "a", weight: TIMES })]), 'did you mean "weights"?'],
    [() => forecast(TIMES, TIMES, [as({ name: "a", value: TIMES })]), 'did you mean "values"?'],
    [() => heaviestKeys([], as({ label: ["a"] })), 'did you mean "labels"?'],
    [() => figure(as({ data: [], lay: {} })), 'part "lay" is unknown'],
    [() => figure({ data: [] }, as({ render: "png" })), 'option "render" is unknown'],
    [() => setRenderer(as("pgn")), 'did you mean "png"?'],
    [
      () => liveAttention(as({ query: [[1]], key: [[1]], value: [[1]], label: ["a"] })),
      'did you mean "labels"?',
    ],
    [() => progress(3, as({ lable: "a" })), 'did you mean "label"?'],
    [() => slider(as({ stpe: 1 })), 'did you mean "step"?'],
    [() => select(["a"], as({ lable: "x" })), 'did you mean "label"?'],
  ];
  for (const [call, message] of misspelt) assertThrows(call, InputError, message);
  await assertRejects(
    () => figure({ data: [] }).png(as({ witdh: 300 })),
    InputError,
    'did you mean "width"?',
  );
  await assertRejects(() => readAttention(live, as({ querys: [0] })), InputError, 'did you mean "queries"?');
  await assertRejects(() => liveFigure(live, as({ colum: 0 })), InputError, 'did you mean "column"?');
  assertEquals((await readAttention(live, as({ queries: { length: 1, 0: 0 } }))).queries, [0]);
});
