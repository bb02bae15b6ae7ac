// What a day takes under each strategy, in time.
//
// Invariant: nothing else of the study runs meanwhile, the strategies take turns, and each day is run in every
// round with the same work, so that of its times the least is the one that other programs have disturbed least.

import type { BackendName } from "../src/backends/select.ts";
import type { BirthsDay } from "./births.ts";
import { Board } from "./board.ts";
import { BoardRows } from "./board_rows.ts";
import type { Strategy } from "./strategies.ts";

/** Days that are timed; enough for a threshold of 256 slots to be reached, by two slots a day. */
const TIMED_DAYS = 144;
const ROUNDS = 2;
/** Consecutive days of a turn. */
const TURN_DAYS = 12;

/** The days to time, and the strategies to time them under. */
export interface Timing {
  readonly strategies: readonly Strategy[];
  readonly births: readonly BirthsDay[];
  /** Days of the run; the first of them are timed. */
  readonly days: number;
  readonly backend: BackendName;
}

/** Mean milliseconds of a day, its edits and its reading, one number per strategy. */
export async function timeStrategies(timing: Timing): Promise<number[]> {
  const days = Math.min(timing.days, TIMED_DAYS);
  const least = timing.strategies.map(() => new Float64Array(days).fill(Infinity));
  const rows = new BoardRows(timing.births);
  for (let round = 0; round < ROUNDS; round++) await timeRound(timing, rows, least);
  return least.map((times) => times.reduce((sum, time) => sum + time, 0) / days);
}

/** One round over the days; writes each day's time where it is less than what stands there. */
async function timeRound(
  { strategies, backend }: Timing,
  rows: BoardRows,
  least: readonly Float64Array[],
): Promise<void> {
  const boards: Board[] = [];
  try {
    for (const strategy of strategies) {
      const board = await Board.create(rows, 0, strategy, backend);
      boards.push(board);
      await board.read();
    }
    for (let first = 0; first < least[0].length; first += TURN_DAYS) {
      for (const [at, board] of boards.entries()) await timeTurn(board, first, least[at]);
    }
  } finally {
    for (const board of boards) await board[Symbol.asyncDispose]();
  }
}

async function timeTurn(board: Board, first: number, least: Float64Array): Promise<void> {
  for (let day = first; day < Math.min(first + TURN_DAYS, least.length); day++) {
    const start = performance.now();
    await board.learn();
    await board.read();
    least[day] = Math.min(least[day], performance.now() - start);
  }
}
