// Figures of every kind, with labels that would do harm if they were taken for more than text.

import { DynamicAttention } from "../../mod.ts";
import {
  attentionChange,
  attentionHeatmap,
  costAgainstError,
  type Figure,
  figure,
  forecast,
  heaviestKeys,
  keyWeight,
  readAttention,
  staleness,
} from "../../src/jupyter/mod.ts";
import { Random } from "../../testing/random.ts";

/** Each of them sets `globalThis.harmed` if a page runs it. */
export const EVIL: readonly string[] = [
  "<img src=x onerror=harmed=1>",
  "</script><script>harmed=2</script>",
  "<!--<script>harmed=3",
  '"><svg onload=harmed=4>',
  "<b>bold</b> &lt;i&gt; $\\alpha$ %{x}",
];

/** Figures by the names of the functions that made them. */
export async function allFigures(): Promise<Record<string, Figure>> {
  const random = new Random(7);
  const size = EVIL.length;
  await using live = await DynamicAttention.create({
    query: random.rows(size, 8),
    key: random.rows(size, 8),
    value: random.rows(size, 4),
    heads: 2,
    causal: true,
  });
  const before = await readAttention(live);
  live.delete(1);
  const after = await readAttention(live);
  const labels = { queryLabels: EVIL, keyLabels: EVIL, title: EVIL[0] };
  const times = EVIL.map((_, at) => `2026-01-0${at + 1}`);
  const values = EVIL.map((_, at) => at + 1);
  const titles = { title: EVIL[1], timeTitle: EVIL[2], valueTitle: EVIL[3] };
  return {
    attentionHeatmap: attentionHeatmap(before, labels),
    attentionChange: attentionChange(before, after, labels),
    costAgainstError: costAgainstError([
      ...EVIL.map((name, at) => ({
        name,
        family: at < 3 ? EVIL[4] : name,
        label: name,
        cost: 10 ** at,
        error: 0.1 ** at,
      })),
      { name: EVIL[0], cost: 1e5, error: 0, isExact: true },
    ], { costTitle: EVIL[1], errorTitle: EVIL[2] }),
    staleness: staleness({
      times: values,
      bounds: values,
      distances: values.map((value) => value / 2),
      limit: 4,
    }, titles),
    keyWeight: keyWeight(
      times,
      EVIL.map((name) => ({ name, weights: values.map((value) => value / 9) })),
      titles,
    ),
    forecast: forecast(times, values, [{ name: EVIL[0], values: [null, ...values.slice(1)] }], titles),
    heaviestKeys: heaviestKeys(await live.topKeys(4, 4), { labels: EVIL.slice(0, 4), title: EVIL[4] }),
    figure: figure({
      data: [{
        type: "scatter",
        x: [1, 2],
        y: [2, 1],
        text: [...EVIL],
        mode: "lines+markers+text",
        name: EVIL[1],
      }],
      layout: { title: { text: EVIL[2] } },
      description: EVIL[3],
    }),
  };
}
