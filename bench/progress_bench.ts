// `deno task bench:progress`: how much a progress bar slows a loop, by how long an item takes. Loops with a
// bar and without run in turns; the fastest of each count, since whatever else the machine does only makes
// them slower. What it costs to draw is measured apart: it happens ten times a second at most.

import { ProgressLoop } from "../src/jupyter/progress.ts";
import { NotebookView, type ProgressView, TerminalView } from "../src/jupyter/progress_targets.ts";

const TURNS = 80, LOOP_MS = 12;
/** The work of an item, in steps of some nanoseconds; its time is measured. */
const STEPS = [4, 16, 40, 160, 400, 4000];

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
/** Draws nothing: the loop alone. */
const SILENT: ProgressView = { intervalMs: 100, draw: () => {}, end: () => {}, remove: () => {} };

type Loop = (items: Iterable<number>, steps: number) => number | Promise<number>;

const LOOPS: Readonly<Record<string, Loop>> = {
  "for": (items, steps) => {
    const start = performance.now();
    for (const _ of items) work(steps);
    return performance.now() - start;
  },
  "for await": async (items, steps) => {
    const start = performance.now();
    for await (const _ of items) work(steps);
    return performance.now() - start;
  },
};

const table: Record<string, string>[] = [];
for (const steps of STEPS) {
  for (const [name, loop] of Object.entries(LOOPS)) {
    let items: number[] = Array(Math.ceil(1e6 / steps)).fill(0);
    let itemMs = Infinity;
    for (let turn = 0; turn < 8; turn++) itemMs = Math.min(itemMs, await loop(items, steps) / items.length);
    items = Array(Math.max(1, Math.round(LOOP_MS / itemMs))).fill(0);
    let without = Infinity, withBar = Infinity;
    for (let turn = 0; turn < TURNS; turn++) {
      without = Math.min(without, await loop(items, steps));
      withBar = Math.min(withBar, await loop(new ProgressLoop(items, {}, () => SILENT), steps));
    }
    const itemNs = without / items.length * 1e6;
    table.push({
      loop: name,
      "an item": itemNs < 1000 ? `${itemNs.toFixed(0)} ns` : `${(itemNs / 1000).toFixed(1)} µs`,
      "longer by": `${((withBar - without) / items.length * 1e6).toFixed(1)} ns`,
      "slower by": `${((withBar / without - 1) * 100).toFixed(2)} %`,
    });
  }
}
console.table(table);

const draws: Record<string, string>[] = [];
for (const [view, open] of Object.entries(VIEWS)) {
  const drawn = open();
  const state = {
    label: "edits",
    unit: "edits",
    done: 420,
    total: 1000,
    elapsedMs: 4000,
    postfix: "",
    status: "running",
  };
  let fastest = Infinity;
  for (let turn = 0; turn < 2000; turn++) {
    const start = performance.now();
    drawn.draw({ ...state, status: "running" });
    fastest = Math.min(fastest, performance.now() - start);
  }
  draws.push({
    view,
    "a draw": `${(fastest * 1000).toFixed(0)} µs`,
    "of a tenth of a second": `${fastest.toFixed(3)} %`,
  });
}
console.table(draws);
