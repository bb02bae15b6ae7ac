/**
 * The online learner: it predicts from attention, compares with the target, and writes steps of the rows
 * behind the prediction as lazy edits.
 *
 * Invariant: calls take effect one after another, in the order in which they were made. A call that fails has
 * changed neither rows nor states nor counters.
 */

import type { DynamicAttention } from "../engine/dynamic_attention.ts";
import { EngineCore } from "../engine/engine_core.ts";
import type { LoadOptions } from "../engine/engine_snapshot.ts";
import { CapacityError, describe, DisposedError, InputError } from "../base/errors.ts";
import { type Edit, type EditRules, findSlot } from "../write/edits.ts";
import type { RowId } from "../write/row_ids.ts";
import { checkArray } from "../base/matrix.ts";
import type { RankedKey } from "../engine/answers.ts";
import { reading, takeList, typedArrayKind } from "../base/lists.ts";
import { INSPECT, NODE_INSPECT } from "../base/inspect.ts";
import { toCount, toExcluded } from "../engine/question_options.ts";
import { takeOptions } from "../base/names.ts";
import {
  type BatchSample,
  type CheckedExample,
  type Example,
  namedBy,
  scoreCountOf,
  type Target,
  toBatch,
  toExample,
  toTargets,
  toWeight,
} from "./examples.ts";
import { type JudgedExample, judgeExample } from "./judged_example.ts";
import type { LearnerKeeper } from "./learner_keeper.ts";
import {
  LEARNER_OPTIONS,
  type LearnerConfig,
  type LearnerOptions,
  toLearnerConfig,
} from "./learner_options.ts";
import type { SavedLearner } from "./learner_snapshot.ts";
import type { LearnedBatch, LearnedStep, LearnerStats, StalePrediction } from "./learner_answers.ts";
import {
  type AllStates,
  type Moment,
  momentOf,
  type PlannedStep,
  planStep,
  type StepGradients,
  sumGradients,
} from "./learner_step.ts";
import { checkTargets, predictionOf } from "./loss_calls.ts";
import { NamedRows, NotedKeys } from "./named_rows.ts";
import { NearOutputs } from "./near_outputs.ts";
import { stateLengthOf } from "./optimizers.ts";
import { SeededRandom } from "./random.ts";
import { RowStates } from "./row_states.ts";
import { peekScores, readScores, staleScoresOf } from "./score_reads.ts";

/**
 * A learner whose states somebody keeps, which goes on with what was `saved`; set by the class, which alone
 * can.
 */
export let keepLearner: <KeyId extends RowId, QueryId extends RowId>(
  live: DynamicAttention<KeyId, QueryId>,
  options: LearnerOptions<KeyId, QueryId>,
  saved: SavedLearner | null,
  keeper: LearnerKeeper,
) => OnlineLearner<KeyId, QueryId>;

/** The options of {@link OnlineLearner.load}: those of the learner and those of its engine. */
export interface LearnerLoadOptions<KeyId extends RowId = number, QueryId extends RowId = number>
  extends LearnerOptions<KeyId, QueryId>, LoadOptions<KeyId, QueryId> {}

/**
 * Learns from a stream by test-then-learn: `predictOne(x)`, and once y is known `learnOne(x, y)`, as in
 * River.
 *
 * An example x names a query, standing or passing, and its scores: columns of the output, or products of the
 * output with the values of the keys `against`. The loss compares the scores with y. The learner fits the
 * rows of the engine: each step computes the exact derivatives by the query, the keys that it attends to and
 * their values, lets the optimizer turn them into steps of rows, and writes these as one batch of lazy edits,
 * all or none.
 *
 * - **Exactness.** `learnOne` uses the engine as of its turn, and so do predictions unless `reads` is
 *   "stale". With `error` both may be by outputs that are stale within it, and steps tell bounds.
 * - **Order.** Calls are queued; each includes the steps of those before it. Other edits of the engine are
 *   allowed at any time: a step is added to the newest row, and a row that was deleted meanwhile does not
 *   learn. A queued call is about the rows that it named at the call, and is refused if one of them has been
 *   deleted.
 * - **All or nothing.** A call that rejects has changed nothing: neither rows nor states nor counters.
 * - **Functions of the caller's**, such as those of a loss, may throw, which rejects the call. Edits that
 *   they make count as other edits, and calls of the learner that they make are queued behind the present
 *   one.
 * - **Touched rows.** Only rows whose derivative is not 0 are changed, and with `top` at most that many keys
 *   of each head.
 * - **Rounding.** Rows are float32: a step below half a unit in the last place of a number is lost.
 * - **States** of the optimizer belong to rows: they go when a row is deleted, and a row that takes its slot
 *   starts anew.
 *
 * A step costs what {@link attentionGradients} does, and O(d + dv) for each row that is stepped.
 *
 * @example Fitting a standing query to a target
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { adagrad, OnlineLearner } from "@attune/attention/learning";
 * import { assert } from "@std/assert";
 *
 * await using live = await DynamicAttention.create({
 *   query: [[0.1, 0]],
 *   key: [[1, 0], [0, 1]],
 *   value: [[0], [10]],
 * });
 * const learner = new OnlineLearner(live, { optimizer: adagrad(), rate: 0.3 });
 * for (let step = 0; step < 50; step++) await learner.learnOne({ query: 0 }, 8);
 * const [prediction] = await learner.predictOne({ query: 0 });
 * assert(Math.abs(prediction - 8) < 0.5);
 * ```
 */
export class OnlineLearner<KeyId extends RowId = number, QueryId extends RowId = number> {
  /** The engine, which the learner does not dispose. */
  readonly live: DynamicAttention<KeyId, QueryId>;
  /** A random generator for initial rows and negative samples; its state is part of a snapshot. */
  readonly random: SeededRandom;
  readonly #config: LearnerConfig;
  readonly #states: AllStates;
  #steps = 0;
  #exactReads = 0;
  #staleReads = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #keeper: LearnerKeeper | null = null;
  /** null where outputs are exact. */
  readonly #near: NearOutputs | null;

  /**
   * Makes a learner on an engine, which the caller disposes.
   *
   * @throws {InputError} When an option is unknown or out of range, or `live` is no engine.
   */
  constructor(live: DynamicAttention<KeyId, QueryId>, options: LearnerOptions<KeyId, QueryId> = {}) {
    const operation = "OnlineLearner";
    const { rules } = EngineCore.of(operation, live);
    this.live = live;
    this.#config = toLearnerConfig(operation, takeOptions(operation, options, LEARNER_OPTIONS));
    this.#states = statesFor(operation, this.#config, rules);
    const { error } = this.#config;
    this.#near = error > 0 ? new NearOutputs(live, error) : null;
    this.random = new SeededRandom(this.#config.seed);
  }

  /**
   * Makes a learner of the bytes that {@link OnlineLearner.save} returned. With the same options, its later
   * predictions and steps have the same bits as those of the saved learner, unless the time at which the
   * engine applies edits depends on a clock.
   *
   * @param options As for the constructor, and for `DynamicAttention.load`. Functions are not in the file.
   * @throws {FormatError} When the bytes are damaged or no snapshot of a learner.
   * @throws {InputError} When the loss or the optimizer is not the saved one.
   */
  static async load<KeyId extends RowId = number, QueryId extends RowId = number>(
    bytes: Uint8Array,
    options: LearnerLoadOptions<KeyId, QueryId> = {},
  ): Promise<OnlineLearner<KeyId, QueryId>> {
    const operation = "OnlineLearner.load";
    if (typedArrayKind(bytes) !== "Uint8Array") {
      throw new InputError(operation, `bytes are ${describe(bytes)}`, "a Uint8Array");
    }
    checkArray(operation, "bytes", bytes);
    const copy = new Uint8Array(bytes);
    const given = takeOptions(operation, options, [...LEARNER_OPTIONS, ...ENGINE_OPTIONS]);
    const forLearner = pick(given, LEARNER_OPTIONS), forEngine = pick(given, ENGINE_OPTIONS);
    const config = toLearnerConfig(operation, forLearner);
    const { loadLearner } = await import("./learner_snapshot.ts");
    const { live, saved } = await loadLearner(operation, copy, config, forEngine);
    try {
      const learner = new OnlineLearner(live, { ...forLearner, seed: saved.randomState });
      learner.#restore(saved);
      return learner;
    } catch (error) {
      await live.dispose();
      throw error;
    }
  }

  /**
   * The loss's prediction from the scores of x, K numbers for K scores.
   *
   * @param x `{ query }` predicts the output of a standing query, `{ query, columns }` some columns of it,
   * `{ query, against }` its products with the values of some keys; `{ row }` in place of `query` is a passing one.
   * @throws {InputError} When x does not fit the engine, or the loss throws.
   * @throws {SlotError} When a slot that x names is not live.
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { OnlineLearner } from "@attune/attention/learning";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({
   *   query: [[0]],
   *   key: [[0], [0]],
   *   value: [[1, 10], [3, 30]],
   * });
   * const learner = new OnlineLearner(live);
   * assertEquals([...await learner.predictOne({ query: 0 })], [2, 20]); // the output
   * assertEquals([...await learner.predictOne({ query: 0, columns: [1] })], [20]);
   * assertEquals([...await learner.predictOne({ query: 0, against: [0, 1] })], [202, 606]); // o·v
   * assertEquals([...await learner.predictOne({ row: [5] })], [2, 20]); // a question of this moment
   * ```
   */
  async predictOne(x: Example<KeyId, QueryId>): Promise<Float64Array<ArrayBuffer>> {
    const operation = "OnlineLearner.predictOne";
    return await this.#predict(operation, this.#toExample(operation, x));
  }

  async #predict(operation: string, asked: CheckedExample): Promise<Float64Array<ArrayBuffer>> {
    return await this.#inTurn(operation, asked, async (example) => {
      const isStale = this.#near !== null || this.#config.reads === "stale";
      if (isStale && example.rows.kind === "standing") {
        const { prediction } = await this.#peek(operation, example, example.rows.slots, false);
        return prediction;
      }
      return await this.#predictExactly(operation, example);
    });
  }

  /**
   * A prediction from the attention of a standing query as of its last update, with bounds on the distance of
   * its scores from exact, apart from roundings of float64. For passing queries it is exact.
   *
   * @throws {InputError} When x does not fit the engine, or the loss throws.
   * @throws {SlotError} When a slot that x names is not live.
   */
  async peekOne(x: Example<KeyId, QueryId>): Promise<StalePrediction> {
    const operation = "OnlineLearner.peekOne";
    return await this.#inTurn(operation, this.#toExample(operation, x), async (example) => {
      const { rows } = example;
      if (rows.kind === "standing") return await this.#peek(operation, example, rows.slots, true);
      const prediction = await this.#predictExactly(operation, example);
      return { prediction, bounds: new Float64Array(prediction.length), pending: 0 };
    });
  }

  /**
   * The `count` keys whose values match the output of x best, exact, as `DynamicAttention.recommend` answers
   * them: scores are products, to which neither `offset` nor the loss has been applied.
   *
   * @param x A query or a row; `against` and `columns` are refused, since all keys are scored.
   * @param options `exclude`, keys that are left out.
   * @throws {InputError} When x does not fit the engine.
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { OnlineLearner } from "@attune/attention/learning";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({
   *   query: [[2, 0]],
   *   queryIds: ["ann"],
   *   key: [[1, 0], [0, 1], [1, 1]],
   *   value: [[1, 0], [0, 1], [1, 1]],
   *   keyIds: ["Alien", "Brazil", "Casablanca"],
   * });
   * const learner = new OnlineLearner(live);
   * const page = await learner.recommendOne({ query: "ann" }, 2, { exclude: ["Casablanca"] }); // seen it
   * assertEquals(page.map(({ slot }) => slot), ["Alien", "Brazil"]);
   * ```
   */
  async recommendOne(
    x: Example<KeyId, QueryId>,
    count: number,
    options: { readonly exclude?: ArrayLike<KeyId> } = {},
  ): Promise<RankedKey<KeyId>[]> {
    const operation = "OnlineLearner.recommendOne";
    const { rules } = EngineCore.of(operation, this.live);
    const { exclude } = takeOptions(operation, options, ["exclude"]);
    const excluded = new NotedKeys(reading(operation, () => toExcluded(operation, exclude, rules)), rules);
    const wanted = toCount(operation, count), example = toExample(operation, x, rules, ["offset"]);
    return await this.#inTurn(operation, example, async ({ rows }) => {
      const { rankings, rules } = EngineCore.of(operation, this.live);
      const query = rows.kind === "standing" ? rows.slots[0] : rows.queries;
      const ranked = await rankings.recommend(operation, query, wanted, excluded.left(rules));
      this.#exactReads++;
      return ranked as RankedKey<KeyId>[];
    });
  }

  /**
   * One step on the loss of x and y, times `weight`, a number ≥ 0 that is 1 unless given. When it rejects, no
   * row, no state of the optimizer and no counter has changed.
   *
   * @throws {InputError} When x does not fit the engine or y the loss, when a derivative or an optimizer
   * state leaves the range of float64 or a row that of float32, or when one of the caller's functions throws.
   * @throws {SlotError} When a slot that x names is not live.
   * @throws {DisposedError} When the engine was disposed before the step was made.
   */
  async learnOne(
    x: Example<KeyId, QueryId>,
    y: Target,
    options: { readonly weight?: number } = {},
  ): Promise<LearnedStep> {
    const operation = "OnlineLearner.learnOne";
    const targets = toTargets(operation, y);
    const weight = toWeight(operation, takeOptions(operation, options, ["weight"]).weight);
    const example = this.#toExample(operation, x);
    checkTargets(operation, this.#config.loss, targets, scoreCountOf(example));
    return await this.#inTurn(operation, example, () => this.#learn(operation, example, targets, weight));
  }

  /**
   * One step on the weighted mean of the losses of several examples, Σ w L / Σ w: a mini-batch. All of them
   * see the engine as of the call's turn, and each row is stepped once. When it rejects, nothing has changed.
   * A batch of one example with the weight 1 is `learnOne`.
   *
   * @throws {InputError} As `learnOne`, and when there is no example, or no weight above 0.
   *
   * @example
   * ```ts
   * import { DynamicAttention } from "@attune/attention";
   * import { OnlineLearner } from "@attune/attention/learning";
   * import { assertEquals } from "@std/assert";
   *
   * await using live = await DynamicAttention.create({ query: [[0], [0]], key: [[1]], value: [[0]] });
   * const learner = new OnlineLearner(live, { rate: 1, rates: { keys: false, queries: false } });
   * await learner.learnMany([
   *   { x: { query: 0 }, y: 1 },
   *   { x: { query: 1 }, y: 5, weight: 3 },
   * ]);
   * assertEquals(live.getValue(0)[0], 4); // (1 + 3 · 5) / 4
   * ```
   */
  async learnMany(samples: readonly BatchSample<KeyId, QueryId>[]): Promise<LearnedBatch> {
    const operation = "OnlineLearner.learnMany";
    const { batch, sum } = toBatch(operation, samples);
    const { rules } = EngineCore.of(operation, this.live);
    const examples = batch.map(({ x }) => toExample(operation, x, rules));
    examples.forEach((example, at) => {
      checkTargets(operation, this.#config.loss, batch[at].targets, scoreCountOf(example));
    });
    const named = examples.map((example) => new NamedRows(operation, namedBy(example), rules));
    return await this.#queue(async () => {
      for (const rows of named) rows.check(operation, EngineCore.of(operation, this.live).rules);
      const moment = momentOf(rules);
      // All are asked for in one turn, so that they are of one moment.
      const judged = await Promise.all(examples.map((example, at) => {
        return this.#judge(operation, example, batch[at].targets, batch[at].weight / sum);
      }));
      const plan = await this.#step(
        operation,
        rules,
        moment,
        sumGradients(judged.map((one) => one.gradients)),
      );
      return {
        predictions: judged.map(({ prediction }) => prediction),
        loss: judged.reduce((mean, { value }, at) => mean + value * (batch[at].weight / sum), 0),
        rowsStepped: plan.rowCount,
        leftOut: judged.reduce((most, { leftOut }) => Math.max(most, leftOut), 0),
        queryGradients: judged.map(({ queryGradient }) => queryGradient),
        ...(this.#near ? { bounds: judged.map(({ bounds }) => bounds) } : {}),
      };
    });
  }

  /** The predictions for several x, as `predictOne` makes them one after the other. */
  async predictMany(examples: readonly Example<KeyId, QueryId>[]): Promise<Float64Array<ArrayBuffer>[]> {
    const operation = "OnlineLearner.predictMany";
    const taken = reading(operation, () => {
      const { length, entries } = takeList(operation, "examples", examples, "an array of x");
      return Array.from({ length }, (_, at) => {
        return this.#toExample(operation, entries[at] as Example<KeyId, QueryId>);
      });
    });
    return await Promise.all(taken.map((example) => this.#predict(operation, example)));
  }

  /**
   * Deletes a standing query and its optimizer state, whose numbers are overwritten at once. The engine
   * overwrites its own copy of the row when it stores the deletion, at the next read or `flush`. Keys and
   * values that learned from the query are not changed; docs/internals/learning.md says when no other trace
   * is left.
   *
   * @throws {SlotError} When the slot is not live.
   */
  async forgetQuery(slot: QueryId): Promise<void> {
    const operation = "OnlineLearner.forgetQuery";
    const { querySlots } = EngineCore.of(operation, this.live).rules;
    const queries = [findSlot(operation, "query", slot, querySlots)];
    return await this.#forget(operation, { queries }, () => this.live.deleteQuery(slot));
  }

  /**
   * Deletes a key with its value and their optimizer states, as `forgetQuery` does. Other rows that learned
   * from the same examples are not changed.
   *
   * @throws {SlotError} When the slot is not live.
   */
  async forgetKey(slot: KeyId): Promise<void> {
    const operation = "OnlineLearner.forgetKey";
    const { keySlots } = EngineCore.of(operation, this.live).rules;
    const keys = [findSlot(operation, "key", slot, keySlots)];
    return await this.#forget(operation, { keys }, () => this.live.delete(slot));
  }

  /**
   * Returns the engine, the optimizer states, the counters and the state of {@link OnlineLearner.random} as
   * one safetensors file with a checksum, all as of the turn of the call. The file contains the engine as the
   * bytes that `DynamicAttention.load` reads.
   */
  save(): Promise<Uint8Array<ArrayBuffer>> {
    const operation = "OnlineLearner.save";
    return this.#queue(async () => {
      EngineCore.of(operation, this.live);
      const { key, value, query } = this.#states;
      const { loss, optimizer } = this.#config;
      // Nothing is awaited between the two, so that they are of the same state.
      const engine = this.live.save();
      const saved = {
        steps: this.#steps,
        exactReads: this.#exactReads,
        staleReads: this.#staleReads,
        randomState: this.random.state,
        states: { key: key.save(), value: value.save(), query: query.save() },
      };
      const [bytes, { encodeLearner }] = await Promise.all([engine, import("./learner_snapshot.ts")]);
      return await encodeLearner(operation, bytes, saved, { loss, optimizer });
    });
  }

  /**
   * Lets go of what a learner with an `error` holds in the engine: copies of outputs, and that drift is followed for
   * them. A later call makes them anew. Disposing the engine does the same.
   */
  release(): void {
    this.#near?.release();
  }

  /** Counts so far. */
  stats(): LearnerStats {
    const { key, value, query } = this.#states;
    return {
      steps: this.#steps,
      exactReads: this.#exactReads,
      staleReads: this.#staleReads,
      keyStates: key.count,
      valueStates: value.count,
      queryStates: query.count,
    };
  }

  /** What `JSON.stringify` writes: counts, and what the engine is; `save` writes the learner. */
  toJSON(): { readonly [fact: string]: unknown } {
    return { type: "OnlineLearner", ...this.stats(), engine: this.live.toJSON() };
  }

  /** The text that `console.log` and `Deno.inspect` show. */
  [INSPECT](): string {
    const { loss, optimizer } = this.#config;
    return `OnlineLearner: steps ${this.#steps}, loss ${loss.name}, optimizer ${optimizer.name}`;
  }

  /** The same, in Node. */
  [NODE_INSPECT](): string {
    return this[INSPECT]();
  }

  static {
    keepLearner = (live, options, saved, keeper) => {
      const learner = new OnlineLearner(live, saved ? { ...options, seed: saved.randomState } : options);
      if (saved) learner.#restore(saved);
      learner.#keeper = keeper;
      return learner;
    };
  }

  #restore({ steps, exactReads, staleReads, states }: SavedLearner): void {
    this.#steps = steps;
    this.#exactReads = exactReads;
    this.#staleReads = staleReads;
    for (const kind of ["key", "value", "query"] as const) this.#states[kind].restore(states[kind]);
  }

  #toExample(operation: string, x: Example<KeyId, QueryId>): CheckedExample {
    return toExample(operation, x, EngineCore.of(operation, this.live).rules);
  }

  /** Checks an example of a call again in its turn, since rows that it names may have been deleted meanwhile. */
  async #inTurn<T>(
    operation: string,
    example: CheckedExample,
    run: (example: CheckedExample) => Promise<T>,
  ): Promise<T> {
    const { rules } = EngineCore.of(operation, this.live);
    const named = new NamedRows(operation, namedBy(example), rules);
    return await this.#queue(() => {
      named.check(operation, EngineCore.of(operation, this.live).rules);
      return run(example);
    });
  }

  async #forget(
    operation: string,
    slots: ConstructorParameters<typeof NamedRows>[1],
    forget: () => void,
  ): Promise<void> {
    const named = new NamedRows(operation, slots, EngineCore.of(operation, this.live).rules);
    await this.#queue(async () => {
      named.check(operation, EngineCore.of(operation, this.live).rules);
      // Copies of outputs are traces, too.
      this.#near?.release();
      forget();
      await this.#keeper?.kept();
    });
  }

  #plan(
    operation: string,
    rules: EditRules,
    moment: Moment,
    gradients: StepGradients,
  ): PlannedStep {
    try {
      const learner = { live: this.live, rules, config: this.#config, states: this.#states, moment };
      return planStep(operation, learner, gradients, this.#steps);
    } catch (error) {
      // One of the caller's functions may have disposed the engine.
      throw error instanceof DisposedError ? new DisposedError(operation) : error;
    }
  }

  #queue<T>(run: () => T | Promise<T>): Promise<T> {
    const result = this.#tail.then(run);
    this.#tail = result.catch(ignore);
    return result;
  }

  async #predictExactly(operation: string, example: CheckedExample): Promise<Float64Array<ArrayBuffer>> {
    const scores = await readScores(operation, this.live, example);
    const prediction = predictionOf(operation, this.#config.loss, scores);
    this.#exactReads++;
    return prediction;
  }

  async #peek(
    operation: string,
    example: CheckedExample,
    slots: Uint32Array,
    certified: boolean,
  ): Promise<StalePrediction> {
    const { scores, bounds, pending } = this.#near
      ? await this.#nearScores(operation, this.#near, example, slots[0])
      : await peekScores(operation, this.live, example, slots, certified);
    const prediction = predictionOf(operation, this.#config.loss, scores);
    this.#staleReads++;
    return { prediction, bounds, pending };
  }

  /** Scores by the copy of a standing query. */
  async #nearScores(operation: string, near: NearOutputs, example: CheckedExample, slot: number) {
    const answer = near.output(operation, slot), toScores = staleScoresOf(operation, this.live, example);
    const { output, bound, pending } = await answer;
    return { ...toScores(output, bound), pending };
  }

  async #learn(
    operation: string,
    example: CheckedExample,
    targets: Float64Array,
    weight: number,
  ): Promise<LearnedStep> {
    const { rules } = EngineCore.of(operation, this.live);
    const moment = momentOf(rules);
    const judged = await this.#judge(operation, example, targets, weight);
    const { prediction, value, leftOut, queryGradient, bounds } = judged;
    const plan = await this.#step(operation, rules, moment, judged.gradients);
    const told = { prediction, loss: value, rowsStepped: plan.rowCount, leftOut, queryGradient };
    return bounds ? { ...told, bounds } : told;
  }

  #judge(
    operation: string,
    example: CheckedExample,
    targets: Float64Array,
    weight: number,
  ): Promise<JudgedExample> {
    return judgeExample(operation, this.live, this.#config, { example, targets, weight }, this.#near);
  }

  /** Makes one step, all or nothing. */
  async #step(
    operation: string,
    rules: EditRules,
    moment: Moment,
    gradients: StepGradients,
  ): Promise<PlannedStep> {
    const plan = this.#plan(operation, rules, moment, gradients);
    // This is the last step that can fail, and it is all or nothing.
    try {
      if (plan.edits.length > 0) this.live.edit(plan.edits as Edit<KeyId, QueryId>[]);
    } catch (error) {
      throw CapacityError.ofCall(operation, error);
    }
    plan.keepStates();
    this.#steps++;
    this.#keeper?.stepped(plan.states, {
      steps: this.#steps,
      exactReads: this.#exactReads,
      staleReads: this.#staleReads,
      randomState: this.random.state,
    });
    await this.#keeper?.kept();
    return plan;
  }
}

const ENGINE_OPTIONS: readonly (keyof LoadOptions)[] = ["backend", "threads", "mask", "lazyThreshold"];

function statesFor(
  operation: string,
  { optimizer }: LearnerConfig,
  { layout, keySlots, querySlots }: EditRules,
): AllStates {
  const { heads, kvHeads, headDim, valueDim } = layout;
  const states = (width: number, slots: typeof keySlots) =>
    new RowStates(stateLengthOf(operation, optimizer, width), slots);
  return {
    key: states(kvHeads * headDim, keySlots),
    value: states(kvHeads * valueDim, keySlots),
    query: states(heads * headDim, querySlots),
  };
}

/** Copies the options of these names that are given, each read once. */
function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  const entries = names.map((name) => [name, from[name]] as const);
  return Object.fromEntries(entries.filter(([, option]) => option !== undefined)) as Pick<T, K>;
}

function ignore(): void {}
