/**
 * A learner over a cluster: it predicts from attention, compares with the target, and takes its steps as
 * edits.
 *
 * Invariant: calls of one learner take effect one after another, and the states of its optimizer change only
 * with steps that the log has acknowledged.
 */

import { describe, IdError, InputError } from "../base/errors.ts";
import { reading } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";
import { callGiven } from "../learning/callbacks.ts";
import {
  matchGradientOf,
  outputGradientOf,
  scoreCountOf,
  scoresOf,
  type Target,
  toTargets,
  toWeight,
} from "../learning/examples.ts";
import { checkTargets, judge, predictionOf } from "../learning/loss_calls.ts";
import type { Loss } from "../learning/losses.ts";
import { type Optimizer, stateLengthOf } from "../learning/optimizers.ts";
import { checkRate, type RateSchedule } from "../learning/rates.ts";
import type { RowKind } from "../write/newest_rows.ts";
import type { StoredKey } from "./cluster_answers.ts";
import { toConfig } from "./cluster_config.ts";
import { ClusterMemory } from "./cluster_memory.ts";
import { placesOf, type Scoring } from "./exact_sums.ts";
import { learnerGradients } from "./learner_gradients.ts";
import {
  type ClusterExample,
  type ClusterLearnerOptions,
  type LearnerQuestion,
  toLearnerConfig,
  toLearnerQuestion,
} from "./learner_questions.ts";
import type { ClusterEdit } from "./cluster_edits.ts";
import { type ClusterToken, joinTokens, NO_TOKEN } from "./token.ts";

/** A step that was made. */
export interface ClusterStep {
  /** The prediction before the step. */
  readonly prediction: Float64Array<ArrayBuffer>;
  /** L before the step. */
  readonly loss: number;
  /** The number of rows of keys, values and queries that the step has changed. */
  readonly rowsStepped: number;
  /** The largest weight that `top` left out, over the heads. */
  readonly leftOut: number;
  /** The token with which a read includes the step. */
  readonly token: ClusterToken;
}

/** A row after its step, with the state of its optimizer. */
interface SteppedRow {
  readonly name: string;
  readonly row: Float32Array<ArrayBuffer>;
  readonly state: Float64Array<ArrayBuffer>;
}

/**
 * Learns from a stream by test-then-learn, as `OnlineLearner` does on one engine: `predictOne(x)`, and once y
 * is known `learnOne(x, y)`. It computes the exact derivatives of the loss by the query, by its `top`
 * heaviest keys and by their values, lets the optimizer turn them into steps, and edits the cluster.
 *
 * - **Order.** Calls of one learner are queued; each includes the steps of those before it.
 * - **Other writers.** A step sets whole rows, read a moment before. Whoever sets the same row between loses;
 *   let one learner step a row, or let only queries learn where each reader has its own.
 * - **What is left out.** Keys that are not among the `top` heaviest do not learn and are missing in the
 *   derivative by the query; `leftOut` says how much weight they have.
 * - **All or nothing.** Where a call throws an `InputError` or an `IdError`, nothing has changed. Where the
 *   log failed ("unknown"), some rows may be stepped; the states of the optimizer are as before.
 *
 * A step costs a read, H lists of heavy keys, which are passes over all keys on the hosts, their rows, and an
 * edit of each row that is stepped.
 *
 * @example Fitting values to a target
 * ```ts
 * import { ClusterLearner, connect, host, memoryLog } from "@attune/attention/cluster";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const log = memoryLog();
 * await using _host = await host(log);
 * await using memory = await connect(log, { create: { dim: 1, valueDim: 1, partitions: 2 } });
 * await memory.edit([
 *   { kind: "set", id: "a", key: [0], value: [0] },
 *   { kind: "set", id: "b", key: [0], value: [2] },
 * ]);
 * await memory.setQuery("q", [1]);
 * const learner = new ClusterLearner(memory, { rate: 0.5, rates: { keys: false, queries: false } });
 * for (let step = 0; step < 60; step++) await learner.learnOne({ query: "q" }, 5);
 * const [prediction] = await learner.predictOne({ query: "q" });
 * assertAlmostEquals(prediction, 5, 1e-3);
 * ```
 */
export class ClusterLearner {
  /** The connection, which the learner does not dispose. */
  readonly memory: ClusterMemory;
  readonly #loss: Loss;
  readonly #optimizer: Optimizer;
  readonly #rates: Readonly<Record<RowKind, RateSchedule | null>>;
  readonly #top: number;
  readonly #scoring: Scoring;
  readonly #states = new Map<string, Float64Array<ArrayBuffer>>();
  #steps = 0;
  #tail: Promise<unknown> = Promise.resolve();

  /**
   * Makes a learner over a connection.
   *
   * @throws {InputError} When an option is unknown or out of range, or `memory` is no connection.
   */
  constructor(memory: ClusterMemory, options: ClusterLearnerOptions = {}) {
    const operation = "ClusterLearner";
    if (!reading(operation, () => memory instanceof ClusterMemory)) {
      throw new InputError(operation, `memory is ${describe(memory)}`, "a connection of connect()");
    }
    const { loss, optimizer, rates, top } = reading(operation, () => toLearnerConfig(operation, options));
    this.memory = memory;
    this.#scoring = scoringOf(memory);
    this.#loss = loss;
    this.#optimizer = optimizer;
    this.#rates = rates;
    this.#top = top;
  }

  /** Examples learned from. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * The loss's prediction from the scores of x, K numbers for K scores.
   *
   * @throws {InputError} When x does not fit the cluster, or the loss throws.
   * @throws {IdError} When there is no such query, or no such key that it is scored against.
   * @throws {ClusterError} As `ClusterMemory.read`.
   */
  async predictOne(x: ClusterExample): Promise<Float64Array<ArrayBuffer>> {
    const operation = "ClusterLearner.predictOne",
      question = toLearnerQuestion(operation, x, this.#scoring.layout);
    return await this.#inTurn(async () => {
      const { output, valueOf } = await this.#ask(operation, question);
      const scores = scoresOf(question.scores, output, valueOf, this.#scoring.layout);
      return predictionOf(operation, this.#loss, scores);
    });
  }

  /**
   * One step on the loss of x and y, times `weight`, a number ≥ 0 that is 1 unless given.
   *
   * @throws {InputError} When x does not fit the cluster or y the loss, when a row would leave the range of
   * float32, or when one of the caller's functions throws; nothing has changed.
   * @throws {IdError} When there is no such query, or no such key that it is scored against.
   * @throws {ClusterError} As `ClusterMemory.read` and `ClusterMemory.edit`.
   */
  async learnOne(
    x: ClusterExample,
    y: Target,
    options: { readonly weight?: number } = {},
  ): Promise<ClusterStep> {
    const operation = "ClusterLearner.learnOne",
      question = toLearnerQuestion(operation, x, this.#scoring.layout);
    const { targets, weight } = reading(operation, () => ({
      targets: toTargets(operation, y),
      weight: toWeight(operation, takeOptions(operation, options, ["weight"]).weight),
    }));
    checkTargets(operation, this.#loss, targets, scoreCountOf(question.scores));
    return await this.#inTurn(() => this.#learn(operation, question, targets, weight));
  }

  async #learn(
    operation: string,
    question: LearnerQuestion,
    targets: Float64Array,
    weight: number,
  ): Promise<ClusterStep> {
    const { id, against, scores: example } = question, { memory } = this;
    const scoring = this.#scoring, { layout } = scoring, needsSums = scoring.isMasked || scoring.rule?.sinks;
    const [{ output, valueOf, rows: scored }, [query], [position], logSumExp, heavy] = await Promise.all([
      this.#ask(operation, question),
      memory.getQueries([id]),
      this.#isPlaced ? memory.getQueryPositions([id]) : [0],
      needsSums ? memory.logSumExp([id]) : [],
      Promise.all(
        Array.from({ length: layout.heads }, (_, head) => memory.topKeys(id, this.#top, { head })),
      ),
    ]);
    if (query === null || position === null) throw new IdError(operation, "query", id, []);
    const heavyIds = [...new Set(heavy.flatMap((list) => list.map((key) => key.id)))];
    const stored = await memory.getKeys(heavyIds), rows = new Map<string, StoredKey>(scored);
    heavyIds.forEach((key, at) => {
      const row = stored[at];
      if (row) rows.set(key, row);
    });
    const scores = scoresOf(example, output, valueOf, layout);
    const { prediction, value, byScore } = judge(operation, this.#loss, scores, targets);
    for (let at = 0; at < byScore.length; at++) byScore[at] *= weight;
    const byOutput = outputGradientOf(example, byScore, valueOf, layout);
    const gradients = learnerGradients(
      scoring,
      { query, position, output, heavy, rows, logSumExp },
      byOutput,
    );
    const values = new Map([...gradients.keys].map(([key, own]) => [key, own.value]));
    against.forEach((key, at) => {
      const matched = matchGradientOf(byScore[at], output, layout), own = values.get(key);
      values.set(key, own ? own.map((number, c) => number + matched[c]) : matched);
    });
    const keys = new Map([...gradients.keys].map(([key, own]) => [key, own.key]));
    const { edits, queryRow, stepped } = this.#plan(operation, { id, query, rows }, {
      ...{ keys, values, query: gradients.query },
    });
    const placed = this.#isPlaced ? { position } : {};
    const [edited, set] = await Promise.all([
      edits.length > 0 ? memory.edit(edits) : NO_TOKEN,
      queryRow ? memory.setQuery(id, queryRow, placed) : NO_TOKEN,
    ]);
    for (const { name, state } of stepped) this.#states.set(name, state);
    this.#steps++;
    const token = joinTokens(edited, set);
    return { prediction, loss: value, rowsStepped: stepped.length, leftOut: gradients.leftOut, token };
  }

  /** The edits of a step; nothing is changed here. */
  #plan(
    operation: string,
    { id, query, rows }: {
      readonly id: string;
      readonly query: Float32Array;
      readonly rows: ReadonlyMap<string, StoredKey>;
    },
    by: {
      readonly keys: ReadonlyMap<string, Float64Array>;
      readonly values: ReadonlyMap<string, Float64Array>;
      readonly query: Float64Array;
    },
  ): {
    readonly edits: ClusterEdit[];
    readonly queryRow: Float32Array | null;
    readonly stepped: SteppedRow[];
  } {
    const edits: ClusterEdit[] = [], stepped: SteppedRow[] = [];
    const rate = { key: this.#rateOf(operation, "key"), value: this.#rateOf(operation, "value") };
    const step = (
      kind: RowKind,
      of: string,
      row: Float32Array,
      gradient: Float64Array | undefined,
      by: number,
    ) => {
      if (!gradient || by === 0 || gradient.every((g) => g === 0)) return null;
      const made = this.#step(operation, `${kind} ${of}`, row, gradient, by);
      stepped.push(made);
      return made.row;
    };
    for (const [key, row] of rows) {
      const newKey = step("key", key, row.key, by.keys.get(key), rate.key);
      const newValue = step("value", key, row.value, by.values.get(key), rate.value);
      if (!newKey && !newValue) continue;
      edits.push({ ...row, kind: "set", id: key, key: newKey ?? row.key, value: newValue ?? row.value });
    }
    return { edits, queryRow: step("query", id, query, by.query, this.#rateOf(operation, "query")), stepped };
  }

  #rateOf(operation: string, kind: RowKind): number {
    const schedule = this.#rates[kind], step = this.#steps;
    if (!schedule) return 0;
    const name = `the rate of step ${step}`;
    const rate = callGiven(operation, () => name, "a finite number ≥ 0", () => schedule(step));
    checkRate(operation, rate, name);
    return rate;
  }

  /** A row after its step; throws unless the row and its state are finite. */
  #step(
    operation: string,
    name: string,
    row: Float32Array,
    gradient: Float64Array,
    rate: number,
  ): SteppedRow {
    const length = stateLengthOf(operation, this.#optimizer, row.length),
      delta = new Float64Array(row.length);
    const state = this.#states.get(name)?.slice() ?? new Float64Array(length);
    callGiven(
      operation,
      () => `optimizer ${this.#optimizer.name}`,
      "a step of finite numbers",
      () => this.#optimizer.step(gradient.slice(), row.slice(), state, rate, delta),
    );
    const stepped = Float32Array.from(row, (number, c) => number + delta[c]);
    const bad = stepped.findIndex((number) => !Number.isFinite(number));
    if (bad >= 0 || !state.every(Number.isFinite)) {
      const found = bad >= 0
        ? `${name} from ${row[bad]} to ${stepped[bad]} in column ${bad}`
        : `the state of ${name} too far`;
      throw new InputError(
        operation,
        `the step takes ${found}`,
        "finite numbers; a lower rate or a clip may help",
      );
    }
    return { name, row: stepped, state };
  }

  /** The output of a query, and the values that it is scored against. */
  async #ask(operation: string, { id, against }: LearnerQuestion): Promise<{
    readonly output: Float32Array;
    readonly valueOf: (at: number) => Float32Array;
    readonly rows: readonly (readonly [string, StoredKey])[];
  }> {
    const [{ output }, stored] = await Promise.all([
      this.memory.read([id]),
      against.length > 0 ? this.memory.getKeys(against) : [],
    ]);
    const rows = against.map((key, at) => {
      const row = stored[at];
      if (row) return [key, row] as const;
      throw new IdError(operation, "key", key, []);
    });
    return { output: output.data, valueOf: (at) => rows[at][1].value, rows };
  }

  get #isPlaced(): boolean {
    return placesOf(this.#scoring) !== null;
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const made = this.#tail.then(act);
    this.#tail = made.catch(() => {});
    return made;
  }
}

function scoringOf({ shape }: ClusterMemory): Scoring {
  return toConfig("ClusterLearner", shape, "").scoring;
}
