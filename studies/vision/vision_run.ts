// The same frames, followed in several ways: work, error, certificates, and whether the digit is found.

import { addReading, NO_DEVIATION, relativeError } from "../metrics.ts";
import { type Strategy, strategyName } from "../strategies.ts";
import { type Digits, SIDE } from "./digits.ts";
import { Scene, type SceneOptions } from "./scene.ts";
import { type Finding, nearestPatch, type Questions, VisualAttention } from "./visual_attention.ts";

/** Every frame from scratch. */
export const EVERY_FRAME: Strategy = { family: "everyAnswer", threshold: null, error: null };
export const EXACT_FRAMES: Strategy = { family: "exact", threshold: null, error: null };

/** The ways that are compared; thresholds count changed patches. */
export const VISION_POLICIES: readonly Strategy[] = [
  EVERY_FRAME,
  ...[120, 200, 400].map((threshold) => ({ family: "original", threshold, error: null }) as const),
  ...[120, 200, 400].map((threshold) => ({ family: "patch", threshold, error: null }) as const),
  ...[0.5, 1, 1.5].map((error) => ({ family: "budgetPatch", threshold: null, error }) as const),
  ...[0.5, 1, 1.5].map((error) => ({ family: "adaptive", threshold: null, error }) as const),
  EXACT_FRAMES,
];

/** The result of one way. */
export interface VisionResult {
  readonly name: string;
  readonly strategy: Strategy;
  /** Multiply-adds a frame. */
  readonly cost: number;
  readonly milliseconds: number;
  /** ‖read − exact‖ / ‖exact‖ over all frames. */
  readonly relativeError: number;
  /** By how much a row was further from exact than its bound at most: 0 when every certificate held. */
  readonly violation: number;
  /** The row of each frame that is worst by its bound: the bound, and how far off it was. */
  readonly bounds: readonly number[];
  readonly distances: readonly number[];
  readonly score: Score;
}

/** How often the digit was right, and how many pixels its place was off in the middle of all frames. */
export interface Score {
  readonly accuracy: number;
  readonly pixelsOff: number;
}

/** Share of patches that change from frame to frame, and the results of each way and of the nearest patch. */
export interface Comparison {
  readonly changedShare: number;
  readonly results: readonly VisionResult[];
  readonly nearest: Score;
}

/**
 * Follows `frames` frames of a scene in every way; with `certify`, stale answers of counts are certified,
 * too, which costs.
 */
export async function compareWays(
  digits: Digits,
  questions: Questions,
  options: SceneOptions,
  frames: number,
  strategies: readonly Strategy[] = VISION_POLICIES,
  certify = false,
): Promise<Comparison> {
  const scene = () => new Scene(digits.unseen, options);
  const exact = await follow(questions, scene(), frames, EXACT_FRAMES, certify);
  const results: VisionResult[] = [];
  for (const strategy of strategies) {
    const run = strategy === EXACT_FRAMES
      ? exact
      : await follow(questions, scene(), frames, strategy, certify);
    results.push({
      name: strategy === EVERY_FRAME ? "rebuild at every frame" : strategyName(strategy),
      strategy,
      cost: run.multiplyAdds / frames,
      milliseconds: run.milliseconds / frames,
      relativeError: relativeError(run.outputs.reduce(
        (sums, output, at) => addReading(sums, output, exact.outputs[at], 0),
        NO_DEVIATION,
      )),
      ...certified(run, exact),
      score: scoreOf(run.findings, run.truths, options.size),
    });
  }
  const replay = scene(), nearest: Finding[] = [];
  for (let frame = 0; frame < frames; frame++) {
    replay.step();
    nearest.push(nearestPatch(questions, exact.grid, replay.pixels()));
  }
  return { changedShare: exact.changedShare, results, nearest: scoreOf(nearest, exact.truths, options.size) };
}

/** One way over the frames of a scene. */
async function follow(
  questions: Questions,
  scene: Scene,
  frames: number,
  strategy: Strategy,
  certify: boolean,
) {
  await using attention = await VisualAttention.create(questions, scene.size, scene.pixels(), strategy);
  const before = attention.stats().multiplyAdds;
  const outputs: Float32Array[] = [], bounds: (Float64Array | null)[] = [];
  const findings: Finding[] = [], truths: Finding[] = [];
  let changed = 0, milliseconds = 0;
  for (let frame = 0; frame < frames; frame++) {
    scene.step();
    const pixels = scene.pixels();
    const start = performance.now();
    changed += await attention.see(pixels);
    const reading = await attention.read(certify);
    milliseconds += performance.now() - start;
    outputs.push(reading.output);
    bounds.push(reading.bounds);
    findings.push(attention.find(reading.output));
    const [{ digit, x, y }] = scene.movers;
    truths.push({ digit, x: x / (scene.size - SIDE), y: y / (scene.size - SIDE) });
  }
  const { multiplyAdds } = attention.stats();
  const { grid } = attention;
  const changedShare = changed / frames / grid.count;
  return {
    outputs,
    bounds,
    findings,
    truths,
    grid,
    changedShare,
    milliseconds,
    multiplyAdds: multiplyAdds - before,
  };
}

type Run = Awaited<ReturnType<typeof follow>>;

function certified(run: Run, exact: Run): Pick<VisionResult, "violation" | "bounds" | "distances"> {
  const worst: number[] = [], distances: number[] = [];
  let violation = 0;
  run.bounds.forEach((bounds, frame) => {
    if (bounds === null) return;
    const width = run.outputs[frame].length / bounds.length;
    const off = Array.from(bounds, (_, row) => {
      let squares = 0;
      for (let c = row * width; c < (row + 1) * width; c++) {
        squares += (run.outputs[frame][c] - exact.outputs[frame][c]) ** 2;
      }
      return Math.sqrt(squares);
    });
    // The exact answers are rounded, too.
    off.forEach((distance, row) => violation = Math.max(violation, distance - bounds[row] - 1e-5));
    const row = bounds.indexOf(Math.max(...bounds));
    worst.push(bounds[row]);
    distances.push(off[row]);
  });
  return { violation, bounds: worst, distances };
}

function scoreOf(findings: readonly Finding[], truths: readonly Finding[], size: number): Score {
  const right = findings.filter(({ digit }, at) => digit === truths[at].digit).length;
  const off = findings.map(({ x, y }, at) => Math.hypot(x - truths[at].x, y - truths[at].y) * (size - SIDE))
    .sort((a, b) => a - b);
  return { accuracy: right / findings.length, pixelsOff: off[Math.floor(off.length / 2)] };
}
