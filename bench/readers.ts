// `deno task bench:readers`: a live board of 2,000 readers over 50,000 items whose vectors move with each
// click. What does it take to have every reader's answer current after some clicks, and what if it is
// computed again by the fastest library? The first run installs the peers, as `deno task bench` does.

import { describeMachine } from "./machine.ts";
import { answerAfter, REBUILD, type Step } from "./plan.ts";
import type { Measurement } from "./results.ts";
import { type RunLimits, Runner } from "./runner.ts";
import { short } from "./statistics.ts";
import { describeWorkload, shapeOf } from "./workload.ts";

const READERS = 2000, ITEMS = 50_000, CLICKS = [1, 16, 64, 256];
const LIMITS: RunLimits = {
  time: { budgetMs: 1500, warmUpMs: 1500, leastRuns: 5 },
  longestRunMs: 20_000,
  timeoutMs: 240_000,
};
/** The time of a frame at 30 frames a second. */
const FRAME_MS = 1000 / 30;

/** The steps: peers compute everything again after however many clicks, so they are asked for one count. */
const shape = shapeOf(READERS, ITEMS);
const steps: Step[] = [
  { shape, workload: REBUILD, ofPeers: false },
  ...CLICKS.map((clicks) => ({ shape, workload: answerAfter(clicks), ofPeers: clicks === CLICKS[0] })),
];

function tell(measurements: readonly Measurement[]): string {
  const rows = measurements.map(({ subject, threads, workload, ...result }) => {
    const name = `${describeWorkload(workload)}: ${subject}, ${
      threads === 1 ? "1 core" : `${threads} cores`
    }`;
    if (result.status !== "measured") return `| ${name} | ${result.status} | | |`;
    const { median, spread: [low, high] } = result.timing;
    const rate = median <= FRAME_MS ? "yes" : `no, ${short(1000 / median)} a second`;
    return `| ${name} | ${short(median)} | ${short(low)}–${short(high)} | ${rate} |`;
  });
  return ["| what | ms | quartiles | 30 frames a second? |", "| - | - | - | - |", ...rows].join("\n");
}

const { cpu, cores, system, deno } = await describeMachine();
const runner = new Runner(LIMITS, console.error);
try {
  await runner.start(cores, ["attune wasm", "onnxruntime", "jax"]);
  const measurements = await runner.measure(steps);
  console.log(
    `${READERS} readers over ${ITEMS} items, d = dv = 64, on ${cpu}, ${cores} cores, ${system}, Deno ${deno}\n`,
  );
  console.log(tell(measurements));
} finally {
  runner.end();
}
