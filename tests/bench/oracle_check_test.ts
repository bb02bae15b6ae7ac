// A peer that computes something else must not get a time.

import { EditStream, RowStream, seededInputs } from "../../bench/data.ts";
import { checkOutput, rowsOf, TOLERANCE, WrongOutput } from "../../bench/oracle_check.ts";
import type { Peer } from "../../bench/peers/peer.ts";
import { PeerSubject } from "../../bench/subjects/peer_subject.ts";
import { answerAfter, patchOf, REBUILD } from "../../bench/plan.ts";
import { shapeOf } from "../../bench/workload.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";

const SHAPE = shapeOf(20, 32);
const LIMITS = { budgetMs: 1, warmUpMs: 1, leastRuns: 1 };

function rightAnswer(spoil: (output: Float32Array) => void = () => {}) {
  const { query, key, value } = seededInputs(SHAPE);
  const { headDim, valueDim } = SHAPE;
  const rows = { query: rowsOf(query, headDim), key: rowsOf(key, headDim), value: rowsOf(value, valueDim) };
  const { output } = referenceAttention({ ...rows, scale: 1 / Math.sqrt(headDim), valueDim });
  const rounded = Float32Array.from(output.flat());
  spoil(rounded);
  return { ...rows, output: rounded, valueDim };
}

/** Answers by the oracle itself; `fault` spoils what it reads or gives. */
function oraclePeer(fault: "none" | "scale" | "stale" | "transposed" | "short"): Peer {
  return {
    prepare({ headDim, valueDim }, inputs) {
      const seen = fault === "stale" ? { ...inputs, key: inputs.key.slice() } : inputs;
      return Promise.resolve({
        update: () => {},
        dispose: () => {},
        run() {
          const { output } = referenceAttention({
            query: rowsOf(seen.query, headDim),
            key: rowsOf(seen.key, headDim),
            value: rowsOf(seen.value, valueDim),
            scale: fault === "scale" ? 1 : 1 / Math.sqrt(headDim),
            valueDim,
          });
          const flat = fault === "transposed"
            ? output[0].flatMap((_, column) => output.map((row) => row[column]))
            : output.flat();
          return Promise.resolve(fault === "short" ? flat.slice(1) : flat);
        },
      });
    },
  };
}

Deno.test("attention passes with an error within rounding", () => {
  assert(checkOutput(rightAnswer()) < TOLERANCE / 10);
});

Deno.test("NaN, another length and a number that is off do not pass", () => {
  assertThrows(() => checkOutput(rightAnswer((output) => output[0] = NaN)), WrongOutput);
  assertThrows(() => checkOutput({ ...rightAnswer(), output: new Float32Array(3) }), WrongOutput);
  assertThrows(() => checkOutput(rightAnswer((output) => output[output.length - 1] += 1e-3)), WrongOutput);
});

Deno.test("a peer that is right is timed, whatever rows are asked for", async () => {
  const subject = new PeerSubject(oraclePeer("none"));
  for (
    const workload of [
      REBUILD,
      answerAfter(1, "key", "same"),
      answerAfter(3, "slide", "drifting"),
      answerAfter(2, "entry", "random"),
      answerAfter(2, "value"),
    ]
  ) {
    const { timing, error } = await subject.measure(SHAPE, workload, LIMITS);
    assert(timing.runs >= 1 && error <= TOLERANCE);
  }
});

Deno.test("a peer that is wrong is refused", async () => {
  for (const fault of ["scale", "transposed", "short"] as const) {
    await assertRejects(
      () => new PeerSubject(oraclePeer(fault)).measure(SHAPE, REBUILD, LIMITS),
      WrongOutput,
    );
  }
});

Deno.test("a peer that does not see edits is refused, though it was right before them", async () => {
  const subject = new PeerSubject(oraclePeer("stale"));
  await subject.measure(SHAPE, REBUILD, LIMITS);
  await assertRejects(() => subject.measure(SHAPE, answerAfter(4), LIMITS), WrongOutput);
});

Deno.test("a peer is not asked to patch", async () => {
  await assertRejects(
    () => new PeerSubject(oraclePeer("none")).measure(SHAPE, patchOf(1), LIMITS),
    Error,
    "patch",
  );
});

Deno.test("edits reach every key before one comes twice, and never give a key the row it has", () => {
  const stream = new EditStream(64, 4);
  const last = new Map<number, Float32Array>();
  for (let round = 0; round < 5; round++) {
    const keys = new Set<number>();
    for (let count = 0; count < 64; count++) {
      const { key, row } = stream.next();
      keys.add(key);
      assert(last.get(key) !== row);
      last.set(key, row);
    }
    assertEquals(keys.size, 64);
  }
});

Deno.test("rows stay, drift by one, or are drawn", () => {
  const same = new RowStream(10, 3, "same"), drifting = new RowStream(4, 3, "drifting");
  assertEquals([[...same.next()], [...same.next()]], [[0, 1, 2], [0, 1, 2]]);
  assertEquals([[...drifting.next()], [...drifting.next()], [...drifting.next()]], [[0, 1, 2], [1, 2, 3], [
    2,
    3,
    0,
  ]]);
  const random = new RowStream(10, 3, "random");
  for (let count = 0; count < 50; count++) assert(random.next().every((row) => row < 10));
});
