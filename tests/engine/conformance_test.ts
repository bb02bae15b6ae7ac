// Every vector of the ONNX operator `Attention`, two ways: once through `attention`, and through an engine
// that was made with other keys, values and queries and edited into the case. The slots of its rows end up in
// any order, so that what the case says of a row must follow the row: by its position, or by a mask function
// that knows which slot holds which row.

import { attention, type Matrix } from "../../mod.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { rowsOf } from "../../testing/accuracy.ts";
import { QUICK_BACKENDS } from "../backends_here.ts";
import { editInto, type Scene, sceneOptions } from "../../testing/edited_into.ts";
import { type OnnxProblem, toMatrices, toProblems } from "../../testing/onnx_case.ts";
import { Random } from "../../testing/random.ts";

const FOLDER = new URL("./conformance/onnx-attention/", import.meta.url);
const TOLERANCE = 1e-5;

/**
 * The gap between 1 and the next float16: a rounding to the other side is at most this share of the number.
 */
const HALF_ROUNDING = 2 ** -10;

const files = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).filter((name) => name.endsWith(".json"));
const problems = files.toSorted().flatMap((file) => toProblems(Deno.readTextFileSync(new URL(file, FOLDER))));

/** The largest difference from Y; fails where one is beyond the tolerance, NaN included. */
function assertConforms(actual: Matrix, { name, expected, isHalf, heads, valueDim }: OnnxProblem): number {
  assertEquals(actual.shape, [expected.length, heads * valueDim], name);
  let largest = 0;
  rowsOf(actual).forEach((row, i) => {
    row.forEach((number, column) => {
      const truth = expected[i][column];
      const difference = Math.abs((isHalf ? Math.f16round(number) : number) - truth);
      const allowed = isHalf ? HALF_ROUNDING * Math.abs(truth) : TOLERANCE;
      assert(difference <= allowed, `${name}: row ${i}, column ${column} is ${number}, expected ${truth}`);
      largest = Math.max(largest, difference);
    });
  });
  return largest;
}

/** How what a case says of its rows reaches the engine. */
type Carrier = "positions" | "mask";

/** A case by rows: causality is a matter of positions, which begin at `origin`, or of the mask. */
function toScene(problem: OnnxProblem, carrier: Carrier, origin: number): Scene {
  const { heads, kvHeads, headDim, valueDim, query, key, value, scale, softcap, causalOffset } = problem;
  const byPosition = causalOffset !== null && carrier === "positions";
  const ask = problem.mask ?? (() => true);
  const causalMask = (i: number, j: number, head: number) => j <= i + causalOffset! && ask(i, j, head);
  return {
    layout: { heads, kvHeads, headDim, valueDim },
    query,
    key,
    value,
    queryPositions: query.map((_, i) => origin + i),
    keyPositions: key.map((_, j) => origin + j),
    rules: {
      softcap,
      ...(scale === undefined ? {} : { scale }),
      ...(byPosition ? { causal: { offset: causalOffset } } : {}),
    },
    mask: causalOffset !== null && !byPosition ? causalMask : problem.mask,
  };
}

Deno.test("all vectors are here, and the sorts of them that this test means to see", () => {
  assertEquals(files.length, 38);
  const count = (is: (problem: OnnxProblem) => boolean) => problems.filter(is).length;
  assertEquals(problems.length, 38 + count(({ name }) => name.endsWith("[1]")));
  assert(count(({ heads, kvHeads }) => heads > kvHeads) >= 8);
  assert(count(({ headDim, valueDim }) => headDim !== valueDim) >= 8);
  assert(count(({ causalOffset }) => causalOffset === 0) >= 4);
  assert(count(({ causalOffset }) => causalOffset !== null && causalOffset > 0) >= 6);
  assert(count(({ softcap }) => softcap > 0) >= 4);
  assert(count(({ scale }) => scale !== undefined) >= 4);
  assert(count(({ mask }) => mask !== null) >= 20);
  assert(count(({ mask }) => typeof mask?.(0, 0, 0) === "boolean") >= 4);
  assert(count((problem) => Array.isArray(toMatrices(problem))) >= 2, "masks that differ by head");
  assert(count(({ isHalf }) => isHalf) >= 1);
});

for (const backend of QUICK_BACKENDS) {
  Deno.test(`conformance on ${backend}: every vector, once`, async (t) => {
    let largest = 0;
    for (const problem of problems) {
      await t.step(problem.name, async () => {
        const { mask } = problem;
        const options = { ...sceneOptions(toScene(problem, "positions", 0)), backend };
        const matrices = toMatrices(problem);
        const answer = await attention({ ...options, ...(matrices ? { mask: matrices } : {}) });
        const error = assertConforms(answer, problem);
        if (!problem.isHalf) largest = Math.max(largest, error);
        if (mask) assertEquals(await attention({ ...options, mask }), answer, "as a function");
      });
    }
    console.log(`conformance on ${backend}, once: largest float32 error ${largest.toExponential(2)}`);
  });
}

for (const backend of QUICK_BACKENDS) {
  // Reading from a device takes its time: one threshold is enough there.
  for (const lazyThreshold of backend === "webgpu" ? [3] : [1, 3, Infinity]) {
    for (const onThreshold of ["patch", "auto"] as const) {
      const title = `threshold ${lazyThreshold}, ${onThreshold}`;
      Deno.test(`conformance on ${backend}: every vector, edited into, ${title}`, async (t) => {
        let largest = 0, permuted = 0;
        const random = new Random(lazyThreshold === Infinity ? 99 : lazyThreshold);
        for (const problem of problems) {
          const carriers: readonly Carrier[] = problem.causalOffset === null
            ? ["mask"]
            : ["positions", "mask"];
          for (const carrier of carriers) {
            await t.step(`${problem.name}, ${carrier}`, async () => {
              const scene = toScene(problem, carrier, random.below(2001) - 1000);
              const { engine, keySlots, querySlots } = await editInto(
                scene,
                { lazyThreshold, onThreshold, backend },
                random,
              );
              if (keySlots.some((slot, row) => slot !== row)) permuted++;
              const error = assertConforms(await engine.read(querySlots), problem);
              if (!problem.isHalf) largest = Math.max(largest, error);
              await engine.flush();
              assertConforms(await engine.read(querySlots), problem);
              await engine.rebuild();
              assertConforms(await engine.read(querySlots), problem);
              await engine.dispose();
            });
          }
        }
        assert(permuted > 40, `only ${permuted} engines held the rows of their case in other slots`);
        console.log(
          `conformance on ${backend}, edited into, ${title}: largest float32 error ${
            largest.toExponential(2)
          }`,
        );
      });
    }
  }
}
