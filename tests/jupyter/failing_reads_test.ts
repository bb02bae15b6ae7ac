// Arguments of figures whose code throws in the middle of a call: the call throws what is typed, or it is not concerned.

import { DynamicAttention, InputError } from "../../mod.ts";
import {
  attentionChange,
  attentionHeatmap,
  costAgainstError,
  figure,
  forecast,
  heaviestKeys,
  keyWeight,
  liveAttention,
  progress,
  readAttention,
  setRenderer,
  staleness,
  table,
  timed,
} from "../../src/jupyter/mod.ts";
import { interact, liveFigure, select, slider } from "../../src/jupyter/widgets/mod.ts";
import { assertGreater, assertInstanceOf } from "../../testing/assert.ts";
import { failingAt } from "../../testing/failing_reads.ts";
import { outcome } from "../../testing/hostile_values.ts";

const live = await DynamicAttention.create({
  query: [[1, 0]],
  key: [[1, 0], [0, 1]],
  value: [[1], [2]],
});
const ATTENTION = await readAttention(live);
const OPTIONS = { title: "title", height: 300 };
const TIMES = [1, 2, 3];

const CALLS: Readonly<Record<string, readonly [call: (...args: never[]) => unknown, ...args: unknown[]]>> = {
  attentionHeatmap: [attentionHeatmap, ATTENTION, { ...OPTIONS, keyLabels: ["a", "b"] }],
  "attentionHeatmap of a matrix": [attentionHeatmap, [[0.5, 0.5]], OPTIONS],
  attentionChange: [attentionChange, ATTENTION, ATTENTION, { ...OPTIONS, queryLabels: ["a"] }],
  costAgainstError: [
    costAgainstError,
    [
      { name: "wait", family: "a", label: "4", cost: 2, error: 0.1 },
      { name: "exact", cost: 1, error: 0, isExact: true },
    ],
    { ...OPTIONS, costTitle: "ms" },
  ],
  staleness: [staleness, { times: TIMES, bounds: TIMES, distances: [0, 1, 2], limit: 2 }, OPTIONS],
  keyWeight: [keyWeight, TIMES, [{ name: "a", weights: [0.5, null, 1] }], OPTIONS],
  forecast: [forecast, TIMES, TIMES, [{ name: "a", values: TIMES }], OPTIONS],
  heaviestKeys: [heaviestKeys, [{ slot: 0, weight: 1 }], { ...OPTIONS, labels: ["a"] }],
  figure: [figure, { data: [{ type: "bar", x: [1], y: [2] }], layout: { title: "a" } }, OPTIONS],
  table: [table, ["a", "b"], [[1, "x"], [2, "y"]], { caption: "c" }],
  readAttention: [readAttention, live, { queries: [0], keys: [0, 1], heads: [0] }],
  progress: [progress, 3, { label: "a", leave: false }],
  "progress of a list": [progress, [1, 2], { label: "a", total: 2 }],
  slider: [slider, { min: 0, max: 2, step: 1, value: 1, label: "a" }],
  select: [select, ["a", "b"], { label: "x", value: "b" }],
  liveFigure: [liveFigure, live, { head: 0, column: 0 }],
  timed: [timed, () => 1, { runs: 2 }],
  interact: [interact, (_: unknown) => 1, { a: slider({ min: 0, max: 2 }) }],
  liveAttention: [liveAttention, { query: [[1]], key: [[1]], value: [[1]], labels: ["a"] }],
};

for (const [name, [call, ...args]] of Object.entries(CALLS)) {
  Deno.test(`${name}: an argument that cannot be read at some moment is refused by type`, async () => {
    const renderer = setRenderer("json");
    try {
      let failures = 0;
      for (let which = 0; which < args.length; which++) {
        if (args[which] === live) continue;
        for (let at = 0;; at++) {
          const failing = failingAt(args[which], at);
          const given = args.map((arg, position) => position === which ? failing.value : arg);
          const error = await outcome(() => call(...given as never[]));
          if (!failing.hasFailed()) break;
          failures++;
          if (error === null) continue;
          assertInstanceOf(error, InputError, `argument ${which}, read ${at}: ${error}`);
        }
      }
      assertGreater(failures, 0);
    } finally {
      setRenderer(renderer);
    }
  });
}
