// Frames beside the attention of the question that found the digit, with a slider: one pair of pictures a
// step, of which the middle one is visible until the slider moves.

import { GREYS, SEQUENTIAL } from "../../src/display/color_scales.ts";
import type { FigureData, PlainObject } from "../../src/jupyter/figures/figure_data.ts";
import type { Strategy } from "../strategies.ts";
import { type Digits, SIDE } from "./digits.ts";
import { STRIDE } from "./patches.ts";
import { Scene, type SceneOptions } from "./scene.ts";
import { type Finding, type Questions, VisualAttention } from "./visual_attention.ts";
import { EXACT_FRAMES } from "./vision_run.ts";

/** One step of the animation. */
export interface Step {
  readonly frame: number;
  /** Pixels of the frame, and of a side. */
  readonly pixels: Float32Array;
  readonly size: number;
  /** Weight of each patch, and patches of a side. */
  readonly weights: Float32Array;
  readonly side: number;
  readonly exact: Finding;
  readonly stale: Finding;
  readonly truth: number;
}

/** Pixels of the frame that are one of the picture: a page is not to become too large. */
const COARSE = 2;

/** Follows a scene exactly and in a stale way, and keeps every `every`th frame. */
export async function record(
  digits: Digits,
  questions: Questions,
  options: SceneOptions,
  { frames, every, stale: strategy }: {
    readonly frames: number;
    readonly every: number;
    readonly stale: Strategy;
  },
): Promise<Step[]> {
  const scene = new Scene(digits.unseen, options);
  await using exact = await VisualAttention.create(questions, scene.size, scene.pixels(), EXACT_FRAMES);
  await using stale = await VisualAttention.create(questions, scene.size, scene.pixels(), strategy);
  const steps: Step[] = [];
  for (let frame = 1; frame <= frames; frame++) {
    scene.step();
    const pixels = scene.pixels();
    await Promise.all([exact.see(pixels), stale.see(pixels)]);
    const [{ output }, old] = await Promise.all([exact.read(), stale.read()]);
    if (frame % every !== 0) continue;
    steps.push({
      frame,
      pixels,
      size: scene.size,
      weights: await exact.live.weights(exact.believed(output)),
      side: exact.grid.side,
      exact: exact.find(output),
      stale: stale.find(old.output),
      truth: scene.movers[0].digit,
    });
  }
  return steps;
}

/** The animation as plotly data. */
export function animation(steps: readonly Step[]): FigureData {
  const tracesOf = steps.map(toTraces);
  const first = Math.floor(steps.length / 2);
  const each = tracesOf[0]?.length ?? 0;
  const data = tracesOf.flatMap((traces, at) => traces.map((trace) => ({ ...trace, visible: at === first })));
  const slider = {
    active: first,
    currentvalue: { prefix: "frame " },
    pad: { t: 44, b: 4 },
    steps: steps.map(({ frame }, shown) => ({
      label: String(frame),
      method: "restyle",
      args: [{ visible: data.map((_, at) => Math.floor(at / each) === shown) }],
    })),
  };
  return { data, layout: { ...axesOf(steps[0]), showlegend: true, sliders: [slider] } };
}

function toTraces({ pixels, size, weights, side, exact, stale, truth }: Step): PlainObject[] {
  const cells = size / COARSE;
  const picture: PlainObject = {
    type: "heatmap",
    z: grid(cells, (row, column) => round(mean(pixels, size, row, column))),
    x: places(cells, COARSE, 0),
    y: places(cells, COARSE, 0),
    zmin: 0,
    zmax: 1,
    colorscale: scaleOf(GREYS),
    showscale: false,
    hoverinfo: "skip",
  };
  const found = (name: string, { digit, x, y }: Finding, color: string, dash: string): PlainObject => {
    const [left, top] = [x * (size - SIDE), y * (size - SIDE)];
    return {
      type: "scatter",
      mode: "lines",
      name: `${name}: ${digit}`,
      x: [0, SIDE, SIDE, 0, 0].map((step) => round(left + step)),
      y: [0, 0, SIDE, SIDE, 0].map((step) => round(top + step)),
      line: { color, width: 3, dash },
      hoverinfo: "skip",
    };
  };
  const most = weights.reduce((most, weight) => Math.max(most, weight), 0);
  return [
    picture,
    found(`${truth} is shown; read exactly`, exact, "$orange", "solid"),
    found("read stale", stale, "$blue", "dash"),
    {
      type: "heatmap",
      xaxis: "x2",
      yaxis: "y2",
      z: grid(side, (row, column) => round(Math.sqrt(weights[row * side + column] / (most || 1)))),
      x: places(side, STRIDE, SIDE / 2),
      y: places(side, STRIDE, SIDE / 2),
      zmin: 0,
      zmax: 1,
      colorscale: scaleOf(SEQUENTIAL),
      showscale: false,
      hoverinfo: "skip",
    },
  ];
}

function axesOf(step: Step | undefined): PlainObject {
  const size = step?.size ?? SIDE;
  const axis = (domain: readonly number[], title: string): PlainObject => ({
    domain,
    title: { text: title },
    range: [0, size],
    showticklabels: false,
    showgrid: false,
    zeroline: false,
    ticks: "",
  });
  return {
    xaxis: axis([0, 0.48], "the frame"),
    yaxis: { ...axis([0, 1], ""), range: [size, 0], anchor: "x" },
    xaxis2: { ...axis([0.52, 1], "√ weight of the question that found it"), anchor: "y2" },
    yaxis2: { ...axis([0, 1], ""), range: [size, 0], anchor: "x2" },
  };
}

function grid(side: number, of: (row: number, column: number) => number): number[][] {
  return Array.from(
    { length: side },
    (_, row) => Array.from({ length: side }, (_, column) => of(row, column)),
  );
}

function places(count: number, step: number, from: number): number[] {
  return Array.from({ length: count }, (_, at) => from + at * step);
}

function mean(pixels: Float32Array, size: number, row: number, column: number): number {
  let sum = 0;
  for (let y = row * COARSE; y < (row + 1) * COARSE; y++) {
    for (let x = column * COARSE; x < (column + 1) * COARSE; x++) sum += pixels[y * size + x];
  }
  return sum / COARSE ** 2;
}

function round(number: number): number {
  return Math.round(number * 100) / 100;
}

function scaleOf(colors: readonly string[]): [number, string][] {
  return colors.map((color, at) => [at / (colors.length - 1), color]);
}
