// The way of keeping answers current that takes the least work, over sizes: edits between two answers, rows
// of an answer, keys.
//
// All ways see the same edits and are asked for the same rows. Work is counted, errors are distances from
// exact answers.

import { SeededRandom } from "../../src/learning/mod.ts";
import { addReading, type Deviation, NO_DEVIATION, relativeError } from "../metrics.ts";
import { DriftingKeys, type EditPattern, type Keeping, type Sizes } from "./drifting_keys.ts";

/** How rows are asked for: the same ones each time, or drawn anew. */
export type RowChoice = "same" | "random";

/** A place on the map. */
export interface Place extends Sizes {
  /** Edits between two answers. */
  readonly edits: number;
  /** Rows of an answer. */
  readonly rows: number;
  readonly choice: RowChoice;
  readonly pattern: EditPattern;
}

/** A way of answering. */
export interface Way {
  readonly name: string;
  readonly keeping: Keeping;
  /** How it answers: exactly, exactly after all rows have caught up, stale, or stale with a certificate. */
  readonly answers: "read" | "flush and read" | "peek" | "certified peek";
  /** Whether it promises an error, rather than happening to have it. */
  readonly promises: boolean;
  /** Every answer costs the same, so that two of them tell it all; false unless given. */
  readonly isSteady?: boolean;
}

/** The cost and the error of a way in one setting. */
export interface WayResult {
  readonly name: string;
  readonly promises: boolean;
  /** Multiply-adds an answer. */
  readonly cost: number;
  readonly relativeError: number;
  /** The largest Euclidean distance of a row from the exact one. */
  readonly largestError: number;
}

/** The results of one setting. */
export interface PlaceResult {
  readonly place: Place;
  readonly results: readonly WayResult[];
}

/** A row that is off by less than that is exact but for rounding. */
export const ROUNDING = 1e-6;
/** Two ways whose work differs by less are as good as each other. */
const ALIKE = 0.01;

/** Seven ways; `threshold` counts changed keys, `error` is a Euclidean distance of a row. */
export function waysOf(threshold: number, error: number): Way[] {
  const count = { lazyThreshold: threshold }, never = { lazyThreshold: Infinity };
  const exact = { answers: "read", promises: true } as const;
  const stale = { answers: "peek", promises: false } as const;
  const certified = { answers: "certified peek", promises: true } as const;
  return [
    { name: "exact reads", keeping: { ...never, onThreshold: "auto" }, ...exact },
    { name: "from scratch", keeping: { ...never, onThreshold: "rebuild" }, ...exact, isSteady: true },
    {
      name: "patch all rows",
      keeping: { ...never, onThreshold: "patch" },
      ...exact,
      answers: "flush and read",
    },
    { name: "wait, then rebuild", keeping: { ...count, onThreshold: "rebuild" }, ...stale },
    { name: "wait, then patch", keeping: { ...count, onThreshold: "patch" }, ...stale },
    { name: "error budget", keeping: { lazyThreshold: { error }, onThreshold: "auto" }, ...certified },
    { name: "target error", keeping: { lazyThreshold: { targetError: error } }, ...certified },
  ];
}

/**
 * Answers at a place in every way; the first of `ways` has to be exact, for the others are held against it.
 */
export async function comparePlace(
  place: Place,
  ways: readonly Way[],
  answers: number,
): Promise<PlaceResult> {
  const runs = [];
  for (const way of ways) runs.push(await runWay(place, way, way.isSteady ? Math.min(2, answers) : answers));
  const [exact] = runs;
  return {
    place,
    results: runs.map(({ outputs, cost }, at) => ({
      name: ways[at].name,
      promises: ways[at].promises,
      cost,
      relativeError: relativeError(outputs.reduce<Deviation>(
        (sums, output, answer) => addReading(sums, output, exact.outputs[answer], 0),
        NO_DEVIATION,
      )),
      largestError: Math.max(
        ...outputs.map((output, answer) => largestRowDistance(output, exact.outputs[answer], place.headDim)),
      ),
    })),
  };
}

/** The settings of a map. */
export interface MapOptions {
  readonly keyCounts: readonly number[];
  readonly edits: readonly number[];
  readonly rows: readonly number[];
  readonly queryCount: number;
  readonly headDim: number;
  /** The count that a way waits for. */
  readonly threshold: number;
  /** The error that budgets guarantee, as a share of the mean length of a row. */
  readonly errorShare: number;
}

/** Answers that every way gives at least. */
const LEAST_ANSWERS = 8;
/** How often a row that is drawn at random is asked for, about. */
const TURNS = 4;

/**
 * All places of a map; each is followed until a count has been reached twice and a row has been asked for a
 * few times.
 */
export async function comparePlaces(
  { keyCounts, edits, rows, threshold, errorShare, ...sizes }: MapOptions,
  { choice, pattern }: Pick<Place, "choice" | "pattern">,
): Promise<PlaceResult[]> {
  const places: PlaceResult[] = [];
  for (const keyCount of keyCounts) {
    const ways = waysOf(threshold, errorShare * await rowLength({ ...sizes, keyCount }));
    for (const rowCount of rows) {
      for (const count of edits) {
        const place = { ...sizes, keyCount, edits: count, rows: rowCount, choice, pattern };
        const turns = Math.ceil(TURNS * sizes.queryCount / rowCount);
        const answers = Math.max(
          LEAST_ANSWERS,
          Math.ceil(2 * threshold / count),
          choice === "random" ? turns : 0,
        );
        places.push(await comparePlace(place, ways, answers));
      }
    }
  }
  return places;
}

/** The cheapest of the ways that promise an error; the earlier one where two are alike. */
export function winnerOf({ results }: PlaceResult): WayResult {
  const [first, ...others] = results.filter(({ promises }) => promises);
  return others.reduce((best, one) => one.cost < best.cost * (1 - ALIKE) ? one : best, first);
}

/**
 * Ways that promise nothing, cost less than the winner, and were never further off than `error` all the same.
 */
export function luckierThan(winner: WayResult, { results }: PlaceResult, error: number): WayResult[] {
  return results.filter(({ promises, cost, largestError }) =>
    !promises && cost < winner.cost * (1 - ALIKE) && largestError <= error
  );
}

/** The mean Euclidean length of a row of the answers at the start: what an error is held against. */
export async function rowLength(sizes: Sizes): Promise<number> {
  await using keys = await DriftingKeys.create(sizes, {});
  const { data } = await keys.live.read();
  return largestOrMean(data, sizes.headDim, "mean");
}

/**
 * Outputs of all answers, and the cost of an answer of the second half, when ways that wait have had to catch
 * up before.
 */
async function runWay(
  place: Place,
  { keeping, answers: how }: Way,
  answers: number,
): Promise<{ outputs: Float32Array[]; cost: number }> {
  await using keys = await DriftingKeys.create(place, keeping);
  const { live } = keys, random = new SeededRandom(2), slots = live.querySlots();
  const half = Math.floor(answers / 2), outputs: Float32Array[] = [];
  let before = 0;
  for (let answer = 0; answer < answers; answer++) {
    if (answer === half) before = live.stats().multiplyAdds;
    keys.edit(place.edits, place.pattern);
    const rows = place.choice === "same" ? slots.slice(0, place.rows) : random.sample(slots, place.rows);
    if (how === "flush and read") await live.flush();
    const output = how === "peek" || how === "certified peek"
      ? (await live.peek(rows, { bounds: how === "certified peek" })).output
      : await live.read(rows);
    outputs.push(output.data);
  }
  return { outputs, cost: (live.stats().multiplyAdds - before) / (answers - half) };
}

function largestRowDistance(a: Float32Array, b: Float32Array, columns: number): number {
  return largestOrMean(a.map((number, at) => number - b[at]), columns, "largest");
}

/** The largest or the mean Euclidean length of rows. */
function largestOrMean(data: Float32Array, columns: number, what: "largest" | "mean"): number {
  const lengths = Array.from(
    { length: data.length / columns },
    (_, row) => Math.hypot(...data.subarray(row * columns, (row + 1) * columns)),
  );
  // Math.max keeps a NaN, a comparison would drop it.
  return what === "largest"
    ? Math.max(...lengths)
    : lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
}
