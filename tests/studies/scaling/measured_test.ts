// The conclusions from a kept run: the fastest subject, break-evens, losses and their figures. Also the
// reader's clock.

import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "../../../testing/assert.ts";
import type { BenchRecord, BenchTimes, Time } from "../../../studies/scaling/bench_record.ts";
import { countSweep } from "../../../studies/scaling/counted_work.ts";
import {
  breakEvenFigure,
  countedFigure,
  ownMachineFigure,
  timesFigure,
} from "../../../studies/scaling/lines_figures.ts";
import { formatMs, lossesOf } from "../../../studies/scaling/losses.ts";
import {
  formatFactor,
  gainFigure,
  gainOf,
  winnerFigure,
  winnerName,
} from "../../../studies/scaling/map_figures.ts";
import {
  answerOf,
  breakEvensOf,
  engineOf,
  fewRowsOf,
  lineOf,
  patchRates,
  peersOf,
  rebuildOf,
  sizesOf,
} from "../../../studies/scaling/measured_times.ts";
import { timeOwnMachine } from "../../../studies/scaling/own_machine.ts";
import type { PlaceResult } from "../../../studies/scaling/policy_map.ts";
import { foretoldBreakEven, patchFormula } from "../../../studies/scaling/work_model.ts";
import type { Figure } from "../../../src/jupyter/mod.ts";

const around = (median: number): Time => [median, median, median];

function times(subject: string, queryCount: number, keyCount: number, more: Partial<BenchTimes>): BenchTimes {
  const none = { same: null, drifting: null, random: null };
  return {
    subject,
    threads: 1,
    queryCount,
    keyCount,
    rebuild: null,
    patches: [],
    answers: [],
    fewRows: none,
    error: 1e-8,
    ...more,
  };
}

/**
 * The engine rebuilds in n/1000 ms and answers in T/100; the fast peer in two forms takes n/4000 or n/2000,
 * the slow one n/100.
 */
const engine = (queryCount: number, keyCount: number, edits: readonly number[]) =>
  times("attune wasm", queryCount, keyCount, {
    rebuild: around(keyCount / 1000),
    patches: [[1, around(0.01)], [64, around(0.5)]],
    answers: edits.map((count) => [count, around(count / 100)]),
    fewRows: { same: around(0.01), drifting: null, random: around(2) },
  });
const peer = (name: string, queryCount: number, keyCount: number, ms: number) =>
  times(name, queryCount, keyCount, {
    rebuild: around(ms),
    answers: [[1, around(ms)], [64, around(9 * ms)]],
    fewRows: { same: around(1), drifting: around(1), random: around(1) },
  });
const RECORD: BenchRecord = {
  date: "2026-01-31",
  machine: { cpu: "a cpu", cores: 2, system: "linux x86_64", deno: "2.9.6" },
  headDim: 64,
  fewRowCount: 16,
  limitGflops: 50,
  subjects: [
    { name: "attune array", kind: "attune", version: null },
    { name: "attune wasm", kind: "attune", version: null },
    { name: "slow", kind: "peer", version: "1.0.0" },
    { name: "fast one", kind: "peer", version: "2.0.0" },
    { name: "fast other", kind: "peer", version: "2.0.0" },
  ],
  times: [
    times("attune array", 8, 4000, { rebuild: around(100) }),
    ...[1000, 4000].flatMap((keys) => [
      engine(8, keys, [1, 16, 64, 1000]),
      peer("slow", 8, keys, keys / 100),
      peer("fast one", 8, keys, keys / 4000),
      peer("fast other", 8, keys, keys / 2000),
    ]),
    engine(1, 1000, [1, 64]),
    peer("fast one", 1, 1000, 0.005),
    engine(2000, 2000, [1]),
    peer("fast one", 2000, 2000, 1),
    { ...engine(8, 1000, [1]), threads: 2, rebuild: around(1e-6) },
  ],
};

Deno.test("measured: the fastest engine and the fastest form of a peer count, for each number of threads", () => {
  assertEquals(engineOf(RECORD), "attune wasm");
  assertEquals(peersOf(RECORD), ["fast", "slow"]);
  assertEquals(sizesOf(RECORD).map(({ queryCount, keyCount }) => [queryCount, keyCount]), [
    [1, 1000],
    [8, 1000],
    [8, 4000],
    [2000, 2000],
  ]);
  assertEquals(lineOf(RECORD).map(({ keyCount }) => keyCount), [1000, 4000]);
  const [small] = lineOf(RECORD);
  assertEquals(rebuildOf(RECORD, "attune wasm", small), 1);
  assertEquals(rebuildOf(RECORD, "fast", small), 0.25);
  assertEquals(rebuildOf(RECORD, "slow", { queryCount: 1, keyCount: 1000 }), null);
  assertEquals(
    [1, 64, 1000].map((edits) => answerOf(RECORD, "slow", small, edits)),
    [10, 10, 10],
    "recomputed",
  );
  assertEquals([1, 64, 5].map((edits) => answerOf(RECORD, "attune wasm", small, edits)), [0.01, 0.64, null]);
  assertEquals(fewRowsOf(RECORD, "attune wasm", small, "drifting"), null);
  assertThrows(() => engineOf({ ...RECORD, times: [] }), RangeError, "no rebuild of an engine");
});

Deno.test("measured: break-evens lie where the engine takes as long as the peer, or beyond what was tried", () => {
  const found = breakEvensOf(RECORD);
  assertEquals(found.map(({ peer, size, tried }) => [peer, size.keyCount, tried]), [
    ["fast", 1000, 1000],
    ["fast", 4000, 1000],
    ["slow", 1000, 1000],
    ["slow", 4000, 1000],
  ]);
  assertAlmostEquals(found[0].edits ?? NaN, 25, 1e-9);
  assertAlmostEquals(found[1].edits ?? NaN, 100, 1e-9);
  assertEquals(found[3].edits, null);
  assertEquals(found.map(({ faster }) => faster), [4, 4, 0.1, 0.1]);
});

Deno.test("measured: the rate of a patch is its multiply-adds twice, by its time", () => {
  const [one, many] = patchRates(RECORD, { queryCount: 8, keyCount: 1000 });
  assertAlmostEquals(one.gflops, 2 * patchFormula(8, 1, 64, "keys") / 0.01 / 1e6, 1e-12);
  assertAlmostEquals(many.shareOfLimit, many.gflops / 50, 1e-12);
  assert(one.bytesPerMultiplyAdd > 5 * many.bytesPerMultiplyAdd, "what a batch shares");
});

Deno.test("losses: each way of losing by its factor, and what was not measured is said", () => {
  const [scratch, batches, few, rows] = lossesOf(RECORD);
  assertEquals(
    scratch,
    "From scratch, 2,000 queries over 2,000 keys, attune wasm takes 2 ms:\n  fast takes 1 ms, Attune loses by a factor of 2.0",
  );
  assertStringIncludes(
    batches,
    "1,000 edits of 1,000 keys take 10 ms, fast 0.25 ms (Attune loses by a factor of 40)",
  );
  assertEquals(
    few,
    "Few queries:\n  1 query over 1,000 keys: one edit and an answer take 0.01 ms, fast 0.005 ms (Attune loses by a factor of 2.0), " +
      "after 64 edits 0.64 ms (Attune loses by a factor of 128)",
  );
  assertStringIncludes(
    rows,
    "same rows take 0.01 ms, computing them with fast 1 ms (Attune wins by a factor of 100)",
  );
  assertStringIncludes(
    rows,
    "random rows take 2 ms, computing them with fast 1 ms (Attune loses by a factor of 2.0)",
  );
  assert(!rows.includes("drifting"), "not measured");
  const bare: BenchRecord = { ...RECORD, times: [engine(8, 1000, [])] };
  assertEquals(
    lossesOf(bare).map((sentence) => sentence.endsWith("not measured.") || sentence.includes("has none")),
    [
      true,
      true,
      true,
      true,
    ],
  );
  assertEquals([formatMs(0.04661), formatMs(1234)], ["0.0466 ms", "1.23 s"]);
});

Deno.test("the reader's clock: what is timed are answers that know all edits, and the break-even is where lines cross", async () => {
  const sizes = { keyCount: 64, queryCount: 8, headDim: 8 };
  let runs = 0;
  const clock = async (run: () => Promise<void>) => {
    await run();
    return [5, 40, 4, 1][runs++]; // from scratch, then 16, 4 and 1 edits
  };
  const found = await timeOwnMachine(sizes, [1, 4, 16], clock);
  assertEquals(found.rebuildMs, 5);
  assertEquals(found.patched, [{ edits: 1, ms: 1 }, { edits: 4, ms: 4 }, { edits: 16, ms: 40 }]);
  assert(found.breakEven !== null && found.breakEven > 4 && found.breakEven < 16);
});

const place = (keyCount: number, edits: number, rows: number, costs: readonly number[]): PlaceResult => ({
  place: { keyCount, queryCount: 4, headDim: 8, edits, rows, choice: "same", pattern: "rows" },
  results: ["exact reads", "from scratch", "error budget"].map((name, at) => ({
    name,
    promises: true,
    cost: costs[at],
    relativeError: 0,
    largestError: 0,
  })),
});

/** Text of the picture too, which refuses what it cannot draw. */
async function drawn(figure: Figure): Promise<string> {
  for (const theme of ["light", "dark"] as const) {
    assert((await figure.png({ zoom: 0.5, theme })).length > 1000);
  }
  return JSON.stringify([figure.data, figure.layout]);
}

Deno.test("maps: the factor, and who wins; a winner without a gain is called that", async () => {
  const places = [
    place(256, 1, 1, [10, 100, 50]),
    place(256, 64, 1, [100, 100, 200]),
    place(1024, 1, 1, [10, 2000, 1]),
    place(1024, 64, 1, [100, 2000, 200]),
  ];
  assertEquals(places.map(gainOf), [10, 1, 2000, 20]);
  assertEquals(places.map(winnerName), [
    "exact reads",
    "no better than from scratch",
    "error budget",
    "exact reads",
  ]);
  const figure = winnerFigure(places, "a map");
  assertEquals(
    figure.description,
    "the cheapest way at 4 places: exact reads 2, no better than from scratch 1, error budget 1",
  );
  const text = await drawn(figure);
  for (const label of ["×10", "×1", "×2k", "×20", "256 keys", "1,024 keys"]) {
    assertStringIncludes(text, `"${label}"`);
  }
  const names = figure.data.filter(({ showlegend }) => showlegend === true).map(({ name }) => name);
  assertEquals(names, ["exact reads", "no better than from scratch", "error budget"], "each once");
  const hole = [...places.slice(0, 2), place(256, 1, 2, [1, 1, 1])];
  assertThrows(() => winnerFigure(hole, "a hole"), RangeError, "no place of 2 rows and 64 edits");
  assertEquals([0.041, 0.31, 27.4, 999.6].map(formatFactor), ["×0.04", "×0.31", "×27", "×1k"]);
});

Deno.test("maps: above 1 the engine is faster than the peer, below it is slower, and what was not measured is empty", async () => {
  const figure = gainFigure(RECORD, ["fast"]);
  const z = figure.data[0].z as readonly (readonly (number | null)[])[];
  assertAlmostEquals(z[0][0] ?? NaN, Math.log10(25), 1e-3);
  assertAlmostEquals(z[0][3] ?? NaN, Math.log10(1 / 40), 1e-3);
  assertEquals(figure.description, "the engine is slower in 3 of 8 cells");
  await drawn(figure);
  const partly = {
    ...RECORD,
    times: [...RECORD.times.slice(1, 5), engine(8, 4000, [1]), peer("fast one", 8, 4000, 1)],
  };
  assertEquals((gainFigure(partly, ["fast"]).data[0].z as (number | null)[][])[1].slice(1), [
    null,
    null,
    null,
  ]);
});

Deno.test("lines: every figure of a record, of counted work and of an own machine is drawn", async () => {
  const sweep = await countSweep({ keyCount: 64, queryCount: 4, headDim: 8, edits: 2 }, {
    name: "n",
    values: [32, 64],
  });
  assertStringIncludes(countedFigure([sweep, { ...sweep, name: "m" }]).description, "n 1.00 and 0.00");
  await drawn(countedFigure([sweep, { ...sweep, name: "m" }]));
  assertStringIncludes(await drawn(timesFigure(RECORD, [1, 64])), "attune wasm, 64 edits and all rows");
  const even = breakEvenFigure(RECORD);
  const [measured, foretold] = even.data;
  assertEquals([measured.x, measured.y], [[1000, 4000], [25, 100]]);
  assertAlmostEquals((foretold.y as number[])[0], foretoldBreakEven(1000, 64, 4, "keys"), 0.1);
  await drawn(even);
  const own = await timeOwnMachine({ keyCount: 64, queryCount: 8, headDim: 8 }, [1, 4], async (run) => {
    await run();
    return 1;
  });
  await drawn(ownMachineFigure([own]));
});
