// The effect of waiting on a board that learns. The learned board is run once and records what it learned
// each day: the error in a day's value, and its readouts. Then the coming QUERY_COUNT days stand on a board
// of the same three heads, and each way of keeping it current gets the same edits and is read every day.
//
// Invariant: all ways see the same edits, so they differ in work and staleness alone.

import type { BackendName } from "../src/backends/select.ts";
import { DynamicAttention } from "../src/engine/dynamic_attention.ts";
import type { BirthsDay } from "./births.ts";
import { BoardRows, HORIZONS, KEY_COUNT, lastDayOf, LEARNT_DAYS, QUERY_COUNT } from "./board_rows.ts";
import { HEADS, LearnedBoard, type LearnedDay } from "./learned_board.ts";
import { engineOptions, type Family, type Strategy, strategyName } from "./strategies.ts";

/** The learned board's parameters at the end of each day. */
export interface Lesson {
  readonly rows: BoardRows;
  /** The state of the first day. */
  readonly days: readonly LearnedDay[];
}

/** The cost of a way of keeping the board current, and its forecasts. */
export interface PolicyResult {
  readonly name: string;
  readonly family: Family;
  readonly label: string;
  readonly multiplyAddsPerDay: number;
  /** Mean and largest |shown − exact|, births a day, over the forecasts at the horizons. */
  readonly meanStaleness: number;
  readonly largestStaleness: number;
  /** Mean absolute errors of its forecasts, in births per day, one per horizon. */
  readonly errors: readonly number[];
}

/** The ways that are compared. */
export const POLICIES: readonly Strategy[] = [
  { family: "everyAnswer", threshold: null, error: null },
  ...[1, 4, 16].map((threshold) => ({ family: "original" as const, threshold, error: null })),
  ...[4, 16].map((threshold) => ({ family: "patch" as const, threshold, error: null })),
  ...[0.1, 0.3, 1].map((error) => ({ family: "budgetRebuild" as const, threshold: null, error })),
  ...[0.1, 0.3, 1].map((error) => ({ family: "budgetPatch" as const, threshold: null, error })),
  { family: "adaptive", threshold: null, error: 0.3 },
  { family: "exact", threshold: null, error: null },
];

/** Runs the learned board up to the last of `days` judged days and keeps what it learned on each of them. */
export async function learnLesson(
  file: readonly BirthsDay[],
  { days, firstLearned, backend }: {
    readonly days: number;
    readonly firstLearned: number;
    readonly backend: BackendName;
  },
  onProgress: (done: number, total: number) => void = () => {},
): Promise<Lesson> {
  const rows = new BoardRows(file.slice(0, LEARNT_DAYS + days + QUERY_COUNT));
  await using board = await LearnedBoard.create(rows, firstLearned, backend);
  const learned: LearnedDay[] = [board.lastLearned()];
  const last = lastDayOf(days), total = last - firstLearned;
  while (board.last < last) {
    await board.observe();
    learned[board.last] = board.lastLearned();
    onProgress(board.last - firstLearned, total);
  }
  return { rows, days: learned };
}

/** Keeps the lesson's board current in one way, over `days` days. */
export async function runPolicy(
  { rows, days: lesson }: Lesson,
  strategy: Strategy,
  days: number,
  backend: BackendName,
): Promise<PolicyResult> {
  await using shown = await LessonBoard.create(rows, lesson, strategy, backend);
  await using exact = await LessonBoard.create(rows, lesson, EXACT, backend);
  const before = shown.multiplyAdds;
  const errors = HORIZONS.map(() => 0);
  let staleness = 0, largestStaleness = 0;
  for (let day = 0; day < days; day++) {
    await Promise.all([shown.learn(), exact.learn()]);
    const [read, truth] = await Promise.all([shown.read(), exact.read()]);
    for (const [at, horizon] of HORIZONS.entries()) {
      errors[at] += Math.abs(read[at] - rows.days[shown.last + horizon].births);
      const distance = Math.abs(read[at] - truth[at]);
      staleness += distance;
      largestStaleness = Math.max(largestStaleness, distance);
    }
  }
  return {
    name: strategyName(strategy),
    family: strategy.family,
    label: String(strategy.threshold ?? strategy.error ?? ""),
    multiplyAddsPerDay: (shown.multiplyAdds - before) / days,
    meanStaleness: staleness / days / HORIZONS.length,
    largestStaleness,
    errors: errors.map((sum) => sum / days),
  };
}

const EXACT: Strategy = { family: "exact", threshold: null, error: null };

/** The coming days on a board of three heads, kept current in the way of a strategy. */
class LessonBoard {
  readonly #live: DynamicAttention;
  readonly #rows: BoardRows;
  readonly #lesson: readonly LearnedDay[];
  readonly #strategy: Strategy;
  readonly #keySlots = Array.from({ length: KEY_COUNT }, (_, slot) => slot);
  readonly #querySlots = Array.from({ length: QUERY_COUNT }, (_, slot) => slot);
  #last = lastDayOf(0);

  private constructor(
    live: DynamicAttention,
    rows: BoardRows,
    lesson: readonly LearnedDay[],
    strategy: Strategy,
  ) {
    this.#live = live;
    this.#rows = rows;
    this.#lesson = lesson;
    this.#strategy = strategy;
  }

  static async create(
    rows: BoardRows,
    lesson: readonly LearnedDay[],
    strategy: Strategy,
    backend: BackendName,
  ): Promise<LessonBoard> {
    const last = lastDayOf(0);
    const observed = Array.from({ length: KEY_COUNT }, (_, at) => last - KEY_COUNT + 1 + at);
    const live = await DynamicAttention.create({
      query: Array.from({ length: QUERY_COUNT }, (_, at) => LearnedBoard.query(rows, last + 1 + at)),
      key: observed.map((t) => LearnedBoard.key(rows, t)),
      value: observed.map((t) => LearnedBoard.value(rows, t, lesson[t]?.error ?? 0)),
      heads: HEADS,
      scale: 1,
      backend,
      threads: 1,
      ...engineOptions(strategy),
    });
    return new LessonBoard(live, rows, lesson, strategy);
  }

  get last(): number {
    return this.#last;
  }

  get multiplyAdds(): number {
    return this.#live.stats().multiplyAdds;
  }

  /** The next day comes, the oldest goes, and the query of the day that has come makes way for one more. */
  async learn(): Promise<void> {
    const live = this.#live, rows = this.#rows, day = ++this.#last;
    const oldest = this.#keySlots.shift() as number, passed = this.#querySlots.shift() as number;
    const edits = [
      { kind: "delete", slot: oldest } as const,
      {
        kind: "insert",
        key: LearnedBoard.key(rows, day),
        value: LearnedBoard.value(rows, day, this.#lesson[day].error),
      } as const,
      { kind: "setQuery", slot: passed, query: LearnedBoard.query(rows, day + QUERY_COUNT) } as const,
    ];
    this.#querySlots.push(passed);
    this.#keySlots.push(live.edit(edits)[1]);
    if (this.#strategy.family === "everyAnswer") await live.rebuild();
  }

  /** Births forecast at each horizon: what stands on the board, counted as the readouts of the day say. */
  async read(): Promise<number[]> {
    const { family } = this.#strategy, live = this.#live;
    const output = family === "exact" || family === "everyAnswer"
      ? await live.read(this.#querySlots)
      : (await live.peek(this.#querySlots, { bounds: family !== "original" && family !== "patch" })).output;
    const { readouts } = this.#lesson[this.#last], level = this.#rows.levels[this.#last];
    return HORIZONS.map((horizon, at) =>
      level *
      readouts[at].reduce((sum, weight, head) => sum + weight * output.data[(horizon - 1) * HEADS + head], 0)
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#live.dispose();
  }
}
