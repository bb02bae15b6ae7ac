// `deno task bench:notebooks`: at the sizes of the notebooks, how long does the engine take from scratch, and how
// long the fastest library? Notebooks show what is kept current beside this engine's own rebuild, in one run of
// theirs; what is kept here is by how much the best alternative is faster than that rebuild.
//
// Invariant: both sides of a ratio are of one run. The first run installs the peers, as `deno task bench` does.

import { describeMachine } from "./machine.ts";
import { REBUILD } from "./plan.ts";
import type { Measurement } from "./results.ts";
import { type RunLimits, Runner } from "./runner.ts";
import { short } from "./statistics.ts";
import type { Shape } from "./workload.ts";

const FILE = new URL("../notebooks/data/rebuild_sizes.json", import.meta.url);
const LIMITS: RunLimits = {
  time: { budgetMs: 1000, warmUpMs: 1000, leastRuns: 5 },
  longestRunMs: 20_000,
  timeoutMs: 120_000,
};

/** The size of each notebook's engine; of 04 the one after its last speech. */
const SIZES: Record<string, Shape> = {
  "01_quickstart": { queryCount: 64, keyCount: 10_000, headDim: 100, valueDim: 100 },
  "02_cost_and_error": { queryCount: 56, keyCount: 2400, headDim: 12, valueDim: 1 },
  "04_adaptive_language": { queryCount: 10, keyCount: 13_276, headDim: 100, valueDim: 42 },
  "05_dynamic_vision": { queryCount: 60, keyCount: 841, headDim: 49, valueDim: 51 },
  "09_live_board": { queryCount: 2000, keyCount: 50_000, headDim: 16, valueDim: 8 },
};

/** The least median of the subjects of a kind, which a notebook's engine on one thread is compared with. */
function fastest(measurements: readonly Measurement[], isOf: (one: Measurement) => boolean) {
  const times = measurements.flatMap((one) =>
    isOf(one) && one.status === "measured"
      ? [{ subject: one.subject, threads: one.threads, ms: Number(one.timing.median.toPrecision(3)) }]
      : []
  );
  if (times.length === 0) throw new Error("bench:notebooks: a size has no time, expected one of each side");
  return times.reduce((best, time) => time.ms < best.ms ? time : best);
}

const { cpu, cores, system, deno } = await describeMachine();
const runner = new Runner(LIMITS, console.error);
try {
  await runner.start(cores, ["attune wasm", "onnxruntime-node"]);
  const sizes: Record<string, unknown> = {};
  for (const [name, shape] of Object.entries(SIZES)) {
    const measurements = await runner.measure([{ shape, workload: REBUILD, ofPeers: true }]);
    const isEngine = ({ subject }: Measurement) => subject.startsWith("attune");
    const engine = fastest(measurements, (one) => isEngine(one) && one.threads === 1);
    const library = fastest(measurements, (one) => !isEngine(one));
    const times = Number((engine.ms / library.ms).toPrecision(2));
    sizes[name] = { ...shape, engine: engine.ms, library: library.ms, threads: library.threads, times };
    console.log(`${name}: from scratch ${short(engine.ms)} ms, ${library.subject} ${short(library.ms)} ms`);
  }
  const date = new Date().toISOString().slice(0, 10);
  const version = runner.subjects.find(({ kind }) => kind === "peer")?.version ?? null;
  const kept = { date, machine: { cpu, cores, system, deno }, library: "onnxruntime-node", version, sizes };
  await Deno.writeTextFile(FILE, `${JSON.stringify(kept, null, 2)}\n`);
} finally {
  runner.end();
}
