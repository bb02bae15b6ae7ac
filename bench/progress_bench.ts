// `deno task bench:progress`: how much a progress bar slows a loop, by how long an item takes. Both loops run in turns,
// and each turn gives a ratio; the median of the ratios counts, with its quartiles.

import { ProgressLoop } from "../src/jupyter/progress.ts";
import { NotebookView, type ProgressView, TerminalView } from "../src/jupyter/progress_targets.ts";

const TURNS = 41, LOOP_MS = 60;
/** What an item does, in steps of some nanoseconds; the length of an item is measured. */
const STEPS = [4, 40, 400, 4000];

let sink = 0;
function work(steps: number): void {
  let value = sink;
  for (let step = 0; step < steps; step++) value = Math.sqrt(value + step);
  sink = value;
}

/** Nothing leaves, but everything is drawn. */
const VIEWS: Readonly<Record<string, () => ProgressView>> = {
  notebook: () =>
    new NotebookView({
      display: () => Promise.resolve(),
      format: () => Promise.resolve({ "text/plain": "" }),
      broadcast: () => Promise.resolve(),
    }),
  terminal: () => new TerminalView({ write: () => {}, isTerminal: true, columns: 100 }),
};

function plain(items: readonly number[], steps: number): number {
  const start = performance.now();
  for (const _ of items) work(steps);
  return performance.now() - start;
}

function wrapped(items: readonly number[], steps: number, open: () => ProgressView): number {
  const start = performance.now();
  for (const _ of new ProgressLoop(items, {}, open)) work(steps);
  return performance.now() - start;
}

async function plainAwaited(items: readonly number[], steps: number): Promise<number> {
  const start = performance.now();
  for await (const _ of items) work(steps);
  return performance.now() - start;
}

async function wrappedAwaited(
  items: readonly number[],
  steps: number,
  open: () => ProgressView,
): Promise<number> {
  const start = performance.now();
  for await (const _ of new ProgressLoop(items, {}, open)) work(steps);
  return performance.now() - start;
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.round((sorted.length - 1) * share)];
}

const percent = (ratio: number) => `${((ratio - 1) * 100).toFixed(2)} %`;
const table: Record<string, string>[] = [];
for (const steps of STEPS) {
  const sample = Array(Math.ceil(1e6 / steps)).fill(0);
  for (let turn = 0; turn < 5; turn++) plain(sample, steps);
  const itemNs = plain(sample, steps) / sample.length * 1e6;
  const items = Array(Math.max(1, Math.round(LOOP_MS * 1e6 / itemNs))).fill(0);
  for (const [name, open] of Object.entries(VIEWS)) {
    for (const loop of ["for", "for await"]) {
      const ratios: number[] = [];
      for (let turn = -3; turn < TURNS; turn++) {
        const [without, with_] = loop === "for"
          ? [plain(items, steps), wrapped(items, steps, open)]
          : [await plainAwaited(items, steps), await wrappedAwaited(items, steps, open)];
        if (turn >= 0) ratios.push(with_ / without);
      }
      ratios.sort((a, b) => a - b);
      table.push({
        "item": `${itemNs < 1000 ? `${itemNs.toFixed(0)} ns` : `${(itemNs / 1000).toFixed(1)} µs`}`,
        view: name,
        loop,
        slower: percent(quantile(ratios, 0.5)),
        quartiles: `${percent(quantile(ratios, 0.25))} … ${percent(quantile(ratios, 0.75))}`,
      });
    }
  }
}
console.table(table);
