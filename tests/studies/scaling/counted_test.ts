// Counted work, held against the arithmetic that foretells it; fits; and the ways of keeping answers current.

import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "../../../testing/assert.ts";
import {
  answerWork,
  certificateWork,
  countSweep,
  rebuildWork,
} from "../../../studies/scaling/counted_work.ts";
import { DriftingKeys } from "../../../studies/scaling/drifting_keys.ts";
import {
  comparePlace,
  luckierThan,
  type Place,
  type PlaceResult,
  ROUNDING,
  rowLength,
  type WayResult,
  waysOf,
  winnerOf,
} from "../../../studies/scaling/policy_map.ts";
import { fitPowerLaw } from "../../../studies/scaling/power_law.ts";
import {
  foretoldBreakEven,
  patchBytes,
  patchFormula,
  rebuildFormula,
} from "../../../studies/scaling/work_model.ts";

const SIZES = { keyCount: 64, queryCount: 4, headDim: 8 };

Deno.test("power law: its exponent, its factor, and how far points are from it", () => {
  const cube = [1, 2, 4, 8].map((x) => ({ x, y: 5 * x ** 3 }));
  const { exponent, factor, deviation } = fitPowerLaw(cube);
  assertAlmostEquals(exponent, 3, 1e-12);
  assertAlmostEquals(factor, 5, 1e-12);
  assertAlmostEquals(deviation, 0, 1e-12);
  const bent = fitPowerLaw([{ x: 1, y: 1 }, { x: 2, y: 4 }, { x: 4, y: 4 }]);
  assertAlmostEquals(bent.exponent, 1, 1e-12);
  assertAlmostEquals(bent.deviation, Math.log(4) - 2 / 3 * Math.log(4), 1e-12);
  assertThrows(() => fitPowerLaw([{ x: 1, y: 0 }, { x: 2, y: 1 }]), RangeError, "(1, 0)");
  assertThrows(() => fitPowerLaw([{ x: 1, y: NaN }, { x: 2, y: 1 }]), RangeError, "expected numbers above 0");
  assertThrows(() => fitPowerLaw([{ x: 3, y: 1 }, { x: 3, y: 2 }]), RangeError, "all x are the same");
});

Deno.test("counted work is what the formulas say, on both backends of the processor", async () => {
  assertEquals(await rebuildWork(SIZES), rebuildFormula(4, 64, 8));
  for (const backend of ["array", "wasm"] as const) {
    const keeping = { lazyThreshold: Infinity, onThreshold: "patch", backend } as const;
    assertEquals(await answerWork(SIZES, 5, keeping), patchFormula(4, 5, 8), backend);
  }
  // A patch has no n in it, and "auto" never does more than a rebuild.
  assertEquals(await answerWork({ ...SIZES, keyCount: 256 }, 5), patchFormula(4, 5, 8));
  assertEquals(await answerWork(SIZES, 64, { lazyThreshold: Infinity }), rebuildFormula(4, 64, 8));
});

Deno.test("an edit of keys alone costs wasm what the formula of keys alone says", async () => {
  await using keys = await DriftingKeys.create(SIZES, {
    lazyThreshold: Infinity,
    onThreshold: "patch",
    backend: "wasm",
  });
  keys.edit(3, "hot numbers");
  const before = keys.live.stats().multiplyAdds;
  await keys.live.read();
  assertEquals(keys.live.stats().multiplyAdds - before, patchFormula(4, 3, 8, "keys"));
});

Deno.test("sweeps: a rebuild grows with n, m and d, a patch with m, d and T and not with n", async () => {
  const at = { ...SIZES, edits: 2 };
  const exponents = async (name: "n" | "m" | "d" | "T", values: readonly number[]) => {
    const { rebuild, patch } = await countSweep(at, { name, values });
    return [rebuild.law.exponent, patch.law.exponent];
  };
  const near = (found: readonly number[], expected: readonly number[], tolerance = 1e-9) =>
    found.forEach((one, place) => assertAlmostEquals(one, expected[place], tolerance));
  near(await exponents("n", [32, 64, 128]), [1, 0]);
  near(await exponents("m", [2, 4, 8]), [1, 1]);
  near(await exponents("d", [8, 16, 32]), [1, 1], 0.07); // beside d + dv there are two columns more
  near(await exponents("T", [1, 2, 4]), [0, 1]);
});

Deno.test("a certificate costs as much as a patch but for mass and magnitude, and nothing when it is looked at again", async () => {
  const work = await certificateWork(SIZES, 3);
  assertEquals(work, {
    uncertified: 0,
    first: patchFormula(4, 3, 8) - 2 * 2 * 4 * 3,
    again: 0,
    exact: patchFormula(4, 3, 8),
  });
});

Deno.test("foretold: half of the keys when values change too, two thirds of them when they stay, less by what a peer is faster", () => {
  assertEquals(foretoldBreakEven(4096, 64, 1, "keys and values"), 2048);
  assertAlmostEquals(foretoldBreakEven(3000, 1e6, 1, "keys"), 2000, 0.01);
  assertEquals(foretoldBreakEven(4096, 64, 8, "keys and values"), 256);
  // One edit moves a row's query, sums and terms: 4 (64 + 264 + 24).
  assertEquals(patchBytes(1, 64), 1408);
});

Deno.test("drifting keys: a seed decides, rows take turns, and hot numbers are the first of four keys", async () => {
  const rowsAfter = async (pattern: "rows" | "hot numbers", edits: number) => {
    await using keys = await DriftingKeys.create(SIZES, {}, 7);
    const rows = () =>
      Array.from(keys.live.keySlots(), (slot) => [...keys.live.getKey(slot), ...keys.live.getValue(slot)]);
    const before = rows();
    keys.edit(edits, pattern);
    const after = rows();
    return {
      after,
      moved: after.flatMap((row, slot) => row.join() === before[slot].join() ? [] : [slot]),
      before,
    };
  };
  const all = await rowsAfter("rows", 64);
  assertEquals(all.moved.length, 64, "each key once before any twice");
  assertEquals((await rowsAfter("rows", 64)).after, all.after);
  const hot = await rowsAfter("hot numbers", 9);
  assertEquals(hot.moved, [0, 1, 2, 3]);
  assertEquals(hot.after.map((row) => row.slice(1)), hot.before.map((row) => row.slice(1)));
});

const PLACE: Place = { ...SIZES, keyCount: 256, edits: 4, rows: 2, choice: "same", pattern: "rows" };

Deno.test("ways: what promises an error keeps it, what is exact is exact, and the cheapest of them wins", async () => {
  const error = 0.05 * await rowLength(PLACE);
  const ways = waysOf(16, error);
  for (const choice of ["same", "random"] as const) {
    const result = await comparePlace({ ...PLACE, choice }, ways, 12);
    const by = new Map(result.results.map((one) => [one.name, one]));
    for (const { name, promises, largestError } of result.results) {
      if (promises) assert(largestError <= error, `${name} is off by ${largestError}`);
    }
    for (const name of ["exact reads", "from scratch", "patch all rows"]) {
      assert(by.get(name)!.largestError < ROUNDING, name);
    }
    assert(by.get("wait, then rebuild")!.largestError > error, "waiting for 16 is seen");
    assertEquals(by.get("from scratch")!.cost, rebuildFormula(2, 256, 8));
    assertEquals(by.get("patch all rows")!.cost, patchFormula(4, 4, 8));
    // Rows that come up at random have missed nearly as much as all rows together.
    const winners = choice === "same" ? ["exact reads"] : ["exact reads", "patch all rows"];
    assert(winners.includes(winnerOf(result).name), winnerOf(result).name);
  }
});

Deno.test("ways: a budget is kept, and costs hardly more than exact reads where the same numbers move a little", async () => {
  const place: Place = { ...PLACE, queryCount: 64, rows: 64, pattern: "hot numbers", edits: 1 };
  const error = 0.2 * await rowLength(place);
  const { results } = await comparePlace(place, waysOf(16, error), 400);
  const by = new Map(results.map((one) => [one.name, one]));
  for (const name of ["error budget", "target error"]) {
    assert(by.get(name)!.largestError <= error, name);
    assert(by.get(name)!.cost <= 1.05 * by.get("exact reads")!.cost, name);
  }
});

Deno.test("winner: promises count, ties go to the earlier way, and lucky ways are listed separately", () => {
  const way = (name: string, cost: number, largestError: number, promises = true): WayResult => ({
    name,
    promises,
    cost,
    relativeError: largestError,
    largestError,
  });
  const result: PlaceResult = {
    place: PLACE,
    results: [
      way("a", 100, 0),
      way("b", 99.5, 0),
      way("c", 0, 0.1, false),
      way("d", 5, 0.5, false),
      way("e", 5, NaN, false),
    ],
  };
  assertEquals(winnerOf(result).name, "a");
  assertEquals(luckierThan(winnerOf(result), result, 0.2).map(({ name }) => name), ["c"]);
  assertEquals(winnerOf({ ...result, results: [...result.results, way("f", 98, 0)] }).name, "f");
});

Deno.test("a way that the engine refuses is refused", async () => {
  await assertRejects(() => comparePlace(PLACE, waysOf(16, -1), 1), Error, "lazyThreshold");
});
