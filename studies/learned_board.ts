// The forecast board with learning: attention over observed days in three heads, read out by weights that
// learn.
//
//     births of day t, h days ahead ≈ level × (w_h1 o1 + w_h2 o2 + w_h3 o3)
//
// Head 1 is the board without learning: the share of the level that days like t had. Heads 2 and 3 say how
// far that was off in the last days, and in the last weeks on t's weekday: their values are the errors that
// head 1 had one day ahead. The readout w_h is the value of a key that no query may see, so it learns as
// every value does.
//
// Invariant: a forecast from origin τ sees days up to τ alone, also when it is learned from h days later:
// keys have their day as position and standing queries their origin, under a causal rule.

import type { BackendName } from "../src/backends/select.ts";
import { DynamicAttention } from "../src/engine/dynamic_attention.ts";
import { huberLoss, type LearnerOptions, OnlineLearner, sgd } from "../src/learning/mod.ts";
import { type BoardRows, HORIZONS, KEY_COUNT } from "./board_rows.ts";
import { FEATURE_COUNT, forecast, weekday } from "./calendar_features.ts";

/** The constants, chosen on the first 2,500 days alone. */
export interface LearnedBoardSettings {
  /** Days after which an error counts half, among the last days and among those of one weekday. */
  readonly recentHalfLife: number;
  readonly weekdayHalfLife: number;
  /** Errors above it count as far as it, in units of the level. */
  readonly largestError: number;
  /** Learning rates of readouts, of observed days' values and of their keys; 0 for none. */
  readonly readoutRate: number;
  readonly valueRate: number;
  readonly keyRate: number;
  /** How many days a head may teach with one example. */
  readonly top: number;
}

export const SETTINGS: LearnedBoardSettings = {
  recentHalfLife: 1.5,
  weekdayHalfLife: 112,
  largestError: 0.01,
  readoutRate: 0.0005,
  valueRate: 0,
  keyRate: 0,
  top: 16,
};

export const HEADS = 3;
const RECENCY_COLUMN = FEATURE_COUNT - 1;
/** Score of a day of the same weekday above one of another: e⁻¹² is next to nothing. */
const WEEKDAY_MATCH = 12;
const DAYS_PER_YEAR = 365.25;
/** Position of a readout, beyond all days. */
const HIDDEN = 1e9;
/**
 * The unit of errors in the values of heads 2 and 3, relative to the level, so that one rate suits all
 * weights of a readout.
 */
const ERROR_UNIT = 1 / 200;

/** The state of a board after a day was observed. */
export interface LearnedDay {
  /** The error that head 1 had a day ahead, in units of the level. */
  readonly error: number;
  /** The weights of the heads' outputs, one list per horizon. */
  readonly readouts: readonly (readonly number[])[];
}

/** A standing query of a day that is to come. */
interface Question {
  readonly day: number;
  readonly slot: number;
}

/** A board that learns from each day it observes. */
export class LearnedBoard {
  readonly learner: OnlineLearner;
  readonly #rows: BoardRows;
  readonly #settings: LearnedBoardSettings;
  /** Key slots of the readouts, one per horizon. */
  readonly #readouts: readonly number[];
  /** Slots of the observed days, the oldest first. */
  readonly #days: number[];
  /** For each horizon, the questions that stand, the earliest day first. */
  readonly #questions: readonly Question[][] = HORIZONS.map(() => []);
  #last: number;
  #error = 0;

  private constructor(
    learner: OnlineLearner,
    rows: BoardRows,
    settings: LearnedBoardSettings,
    readouts: readonly number[],
    last: number,
  ) {
    this.learner = learner;
    this.#rows = rows;
    this.#settings = settings;
    this.#readouts = readouts;
    this.#days = Array.from({ length: Math.min(last, KEY_COUNT) }, (_, slot) => slot);
    this.#last = last;
    this.#ask();
  }

  /**
   * A board that has observed the days 1 to `last`, remembers `KEY_COUNT` of them and has learned nothing
   * yet: it forecasts as head 1 does.
   */
  static async create(
    rows: BoardRows,
    last: number,
    backend: BackendName,
    settings: LearnedBoardSettings = SETTINGS,
  ): Promise<LearnedBoard> {
    const count = Math.min(last, KEY_COUNT);
    const observed = Array.from({ length: count }, (_, at) => last - count + 1 + at);
    const live = await DynamicAttention.create({
      query: { data: [], shape: [0, HEADS * FEATURE_COUNT] },
      key: observed.map((t) => keyOf(rows, t)),
      // The errors of head 1 before the start are not known.
      value: observed.map((t) => valueOf(rows, t, 0)),
      heads: HEADS,
      keyPositions: observed,
      causal: true,
      scale: 1,
      backend,
      threads: 1,
    });
    const readouts = HORIZONS.map(() =>
      live.insert(new Float32Array(HEADS * FEATURE_COUNT), [1, 0, 0], { position: HIDDEN })
    );
    const learner = new OnlineLearner(live, learnerOptions(settings, new Set(readouts)));
    return new LearnedBoard(learner, rows, settings, readouts, last);
  }

  /** The last day observed. */
  get last(): number {
    return this.#last;
  }

  /** Births of the day `HORIZONS[at]` days after the last one observed. */
  async forecast(at: number): Promise<number> {
    const { slot } = this.#questions[at][this.#questions[at].length - 1];
    const prediction = await this.learner.predictOne({ query: slot, against: this.#readouts[at] });
    return forecast(prediction, this.#rows.levels[this.#last]);
  }

  /** Observes the next day: learns from it at each horizon, then takes it among the keys. */
  async observe(): Promise<void> {
    const rows = this.#rows, { learner } = this, { live } = learner;
    const t = this.#last + 1;
    const { births } = rows.days[t];
    const yesterdays = HORIZONS.indexOf(1);
    const [output] = await learner.predictOne({ query: this.#questions[yesterdays][0].slot, columns: 0 });
    const error = births / rows.levels[t - 1] - output;
    for (const [at, horizon] of HORIZONS.entries()) {
      const [question] = this.#questions[at];
      if (question.day > t) continue;
      this.#questions[at].shift();
      const x = { query: question.slot, against: this.#readouts[at] };
      await learner.learnOne(x, births / rows.levels[t - horizon]);
      live.deleteQuery(question.slot);
    }
    if (this.#days.length === KEY_COUNT) live.delete(this.#days.shift() as number);
    this.#days.push(live.insert(keyOf(rows, t), valueOf(rows, t, error), { position: t }));
    this.#last = t;
    this.#error = error;
    this.#ask();
  }

  /** The learned parameters up to the last day observed, for other displays of the same board. */
  lastLearned(): LearnedDay {
    return {
      error: this.#error,
      readouts: this.#readouts.map((slot) => [...this.learner.live.getValue(slot)]),
    };
  }

  /** The key row of a day. */
  static key(rows: BoardRows, t: number): Float32Array {
    return keyOf(rows, t);
  }

  /** The value row of a day, by the error that head 1 had a day ahead, in units of the level. */
  static value(rows: BoardRows, t: number, error: number): Float32Array {
    return valueOf(rows, t, error);
  }

  /** The query row of a day. */
  static query(rows: BoardRows, t: number, settings: LearnedBoardSettings = SETTINGS): Float32Array {
    return queryOf(rows, t, settings);
  }

  /** The weights of a forecast, one per head: 1, and shares of the errors. */
  readout(at: number): number[] {
    const [ratio, ...errors] = this.learner.live.getValue(this.#readouts[at]);
    return [ratio, ...errors.map((weight) => weight / ERROR_UNIT)];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.learner.live.dispose();
  }

  /** Puts the questions of the last day observed. */
  #ask(): void {
    for (const [at, horizon] of HORIZONS.entries()) {
      const day = this.#last + horizon;
      const slot = this.learner.live.insertQuery(queryOf(this.#rows, day, this.#settings), {
        position: this.#last,
      });
      this.#questions[at].push({ day, slot });
    }
  }
}

function learnerOptions(
  { readoutRate, valueRate, keyRate, largestError, top }: LearnedBoardSettings,
  readouts: ReadonlySet<number>,
): LearnerOptions {
  return {
    loss: huberLoss(largestError),
    optimizer: sgd(),
    rate: 1,
    rates: { queries: false, ...(keyRate > 0 ? {} : { keys: false }) },
    rowRate: (kind, slot) => kind === "key" ? keyRate : readouts.has(slot) ? readoutRate : valueRate,
    top,
  };
}

/** Every head describes a day alike. */
function keyOf(rows: BoardRows, t: number): Float32Array {
  const features = rows.key(t);
  const row = new Float32Array(HEADS * FEATURE_COUNT);
  for (let head = 0; head < HEADS; head++) row.set(features, head * FEATURE_COUNT);
  return row;
}

function valueOf(rows: BoardRows, t: number, error: number): Float32Array {
  return Float32Array.of(rows.value(t)[0], error / ERROR_UNIT, error / ERROR_UNIT);
}

function queryOf(
  rows: BoardRows,
  t: number,
  { recentHalfLife, weekdayHalfLife }: LearnedBoardSettings,
): Float32Array {
  const row = new Float32Array(HEADS * FEATURE_COUNT);
  row.set(rows.query(t));
  const perYear = (halfLife: number) => Math.LN2 * DAYS_PER_YEAR / halfLife;
  row[FEATURE_COUNT + RECENCY_COLUMN] = perYear(recentHalfLife);
  row[2 * FEATURE_COUNT + RECENCY_COLUMN] = perYear(weekdayHalfLife);
  row[2 * FEATURE_COUNT + weekday(rows.calendarDay(t)) - 1] = WEEKDAY_MATCH;
  return row;
}
