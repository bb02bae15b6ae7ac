// Full suite: its digits are a package of 40 megabytes.

import { figure } from "../../../src/jupyter/mod.ts";
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "../../../testing/assert.ts";
import { animation, record } from "../../../studies/vision/animation.ts";
import {
  type Digits,
  gather,
  type Glyph,
  loadDigits,
  SIDE,
  toGlyphs,
} from "../../../studies/vision/digits.ts";
import { LOOKS, PatchGrid, toLooks, VALUE_WIDTH } from "../../../studies/vision/patches.ts";
import { bounced, Scene } from "../../../studies/vision/scene.ts";
import { compareWays, EVERY_FRAME, EXACT_FRAMES } from "../../../studies/vision/vision_run.ts";
import { nearestPatch, toQuestions, VisualAttention } from "../../../studies/vision/visual_attention.ts";

/** An upright and a lying bar: digits that cannot be confused. */
function bar(isUpright: boolean): Glyph {
  return Float32Array.from({ length: SIDE * SIDE }, (_, at) => {
    const along = isUpright ? at % SIDE : Math.floor(at / SIDE);
    return along >= 10 && along < 16 ? 1 : 0;
  });
}
const BARS: Digits = { known: [[bar(true)], [bar(false)]], unseen: [[bar(true)], [bar(false)]] };
const OPTIONS = { size: 60, movers: 1, clutter: 0, changeAfter: 5, seed: 4 };

Deno.test("digits: pixels are checked, and the files of the package are read", async () => {
  assertEquals(toGlyphs({ data: new Array(2 * SIDE * SIDE).fill(0.5) }, 2).length, 2);
  assertThrows(() => toGlyphs({ data: [0, 1] }, 1), Error, "2 pixels, expected at least 1 × 28 × 28");
  assertThrows(() => toGlyphs({ data: new Array(SIDE * SIDE).fill("1") }, 1), Error, "a pixel is 1");
  assertThrows(() => toGlyphs(null, 1), Error, "0 pixels");
  const { known, unseen } = await loadDigits(2, 1);
  assertEquals([known.length, known[3].length, unseen[9].length], [10, 2, 1]);
  assert(known[3][0].some((pixel) => pixel > 0.5));
});

Deno.test("digits: k-means finds the two places that rows gather around", () => {
  const rows = [0, 0.1, 0.2, 5, 5.1, 5.2].map((number) => Float32Array.of(number, -number));
  const centres = gather(rows, 2, 1).map(([x]) => x).sort((a, b) => a - b);
  assertAlmostEquals(centres[0], 0.1, 1e-6);
  assertAlmostEquals(centres[1], 5.1, 1e-6);
});

Deno.test("scene: what moves bounces and stays inside, becomes another, and is the same for a seed", () => {
  assertEquals([bounced(1, -3, 10), bounced(9, 3, 10), bounced(4, 2, 10)], [[2, 3], [8, -3], [6, 2]]);
  const one = new Scene(BARS.unseen, OPTIONS), two = new Scene(BARS.unseen, OPTIONS);
  const kinds = new Set<number>();
  for (let frame = 0; frame < 100; frame++) {
    one.step();
    two.step();
    const [{ x, y, digit }] = one.movers;
    kinds.add(digit);
    assert(x >= 0 && y >= 0 && x <= OPTIONS.size - SIDE && y <= OPTIONS.size - SIDE);
  }
  assertEquals([...kinds].sort(), [0, 1]);
  assertEquals(one.pixels(), two.pixels());
});

Deno.test("patches: exactly those in which a pixel changed differ, and none is forgotten", () => {
  const grid = new PatchGrid(140),
    scene = new Scene(BARS.unseen, { ...OPTIONS, size: 140, movers: 2, clutter: 3 });
  let before = scene.pixels();
  for (let frame = 0; frame < 10; frame++) {
    scene.step();
    const now = scene.pixels(), changed = new Set(grid.changed(before, now));
    for (let patch = 0; patch < grid.count; patch++) {
      if (changed.has(patch)) continue;
      assertEquals(grid.row(now, patch), grid.row(before, patch), `patch ${patch}`);
    }
    assert(changed.size > 0 && changed.size < grid.count);
    before = now;
  }
  assertEquals(grid.changed(before, before), []);
  assertThrows(() => new PatchGrid(61), Error, "the frame has a side of 61");
});

Deno.test("patches: looks have length 1 where there is contrast, and 0 where there is none", () => {
  const { looks, ink } = toLooks(bar(true));
  assertAlmostEquals(Math.hypot(...looks), 1, 1e-6);
  assertAlmostEquals(ink, 6 / 28, 1e-6);
  assertEquals([...toLooks(new Float32Array(SIDE * SIDE).fill(0.5)).looks], new Array(LOOKS).fill(0));
});

Deno.test("visual attention: finds what is there, as the nearest patch does, and regions see their ink", async () => {
  const questions = toQuestions(BARS, 1);
  const scene = new Scene(BARS.unseen, OPTIONS);
  await using attention = await VisualAttention.create(questions, 60, scene.pixels(), EXACT_FRAMES);
  for (let frame = 0; frame < 20; frame++) {
    scene.step();
    const pixels = scene.pixels();
    await attention.see(pixels);
    const { output, bounds } = await attention.read();
    assertEquals(bounds, null);
    const [{ digit, x, y }] = scene.movers;
    for (const found of [attention.find(output), nearestPatch(questions, attention.grid, pixels)]) {
      assertEquals(found.digit, digit);
      // Along a bar nothing tells where its middle is; across it the grid does.
      const off = digit === 0 ? found.x * 32 - x : found.y * 32 - y;
      assert(Math.abs(off) <= 4, `off by ${off} pixels`);
    }
    assertEquals(questions.digits[attention.believed(output)], digit);
    // A region by definition: a Gaussian window over the ink of all patches.
    let mass = 0, ink = 0;
    for (let patch = 0; patch < attention.grid.count; patch++) {
      const [px, py] = attention.grid.place(patch);
      const weight = Math.exp(-((px - 0.2) ** 2 + (py - 0.2) ** 2) / (2 * 0.2 ** 2));
      mass += weight;
      ink += weight * attention.grid.row(pixels, patch).value[2];
    }
    assertAlmostEquals(output[2 * VALUE_WIDTH + 2], ink / mass, 1e-4);
  }
});

Deno.test("ways: exact ways agree, waiting lags, budgets and certificates hold", async () => {
  const questions = toQuestions(BARS, 1);
  const { results, nearest, changedShare } = await compareWays(BARS, questions, OPTIONS, 20, [
    EVERY_FRAME,
    { family: "patch", threshold: 60, error: null },
    { family: "budgetPatch", threshold: null, error: 1 },
    EXACT_FRAMES,
  ], true);
  const [everyFrame, patch, budget, exact] = results;
  assert(everyFrame.relativeError < 1e-5 && exact.relativeError === 0);
  assert(exact.cost <= everyFrame.cost);
  assert(patch.relativeError > 0.1);
  assertEquals([patch.violation, budget.violation], [0, 0]);
  assertEquals([patch.bounds.length, exact.bounds.length], [20, 0]);
  assert(Math.max(...budget.bounds) <= 1 && Math.max(...budget.distances) <= 1);
  assertEquals([exact.score.accuracy, nearest.accuracy], [1, 1]);
  assert(changedShare > 0 && changedShare < 1);
});

Deno.test("animation: a step at a time is visible, and the slider reaches each", async () => {
  const steps = await record(BARS, toQuestions(BARS, 1), OPTIONS, {
    frames: 9,
    every: 3,
    stale: { family: "patch", threshold: 60, error: null },
  });
  assertEquals(steps.map(({ frame }) => frame), [3, 6, 9]);
  const { data, layout } = animation(steps);
  assertEquals(data.map(({ visible }) => visible), [0, 1, 2].flatMap((at) => new Array(4).fill(at === 1)));
  assert((await figure({ data, layout }).png()).length > 1000, "it has a still picture");
  const [{ steps: positions }] = layout.sliders as unknown as {
    steps: { args: [{ visible: boolean[] }] }[];
  }[];
  for (const [at, { args }] of positions.entries()) {
    assertEquals(
      args[0].visible.map((isVisible, trace) => isVisible ? trace : -1).filter((trace) => trace >= 0),
      [
        4 * at,
        4 * at + 1,
        4 * at + 2,
        4 * at + 3,
      ],
    );
  }
});
