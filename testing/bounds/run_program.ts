// Runs a program on an engine and beside it on a model, and holds every answer against what it promises: a stale one
// against its bound, an exact one against the accuracy of reads.

import { DynamicAttention, type FollowedAttention } from "../../mod.ts";
import type { ReferenceCase } from "../../src/numerics/reference.ts";
import { rowsOf } from "../accuracy.ts";
import { carefulAttention, judge } from "../careful_attention.ts";
import { float32Attention, roundStochastically } from "../float32_attention.ts";
import { MemoryModel, type ModelKey } from "../memory_model.ts";
import { Random } from "../random.ts";
import type { BoundProgram, Step } from "./program.ts";

/** An answer that broke what it promised. */
export interface Violation {
  /** The number of the step. */
  readonly step: number;
  readonly promise: "bound" | "error limit" | "accuracy";
  /** What it was, and what it may have been. */
  readonly found: number;
  readonly allowed: number;
}

/** How near a program came to breaking a promise. */
export interface Nearest {
  readonly bound: number;
  readonly slack: number;
  readonly accuracy: number;
}

/**
 * How a row was answered: beside edits that wait; with none waiting; the same of an engine with a limit of its error, which
 * bounds rounding by less work; as a row that is followed, which may be a little old.
 */
export const ANSWER_KINDS = ["pending", "settled", "limited", "followed"] as const;
export type AnswerKind = typeof ANSWER_KINDS[number];

/** What was seen of a program. */
export interface Sighting {
  readonly edits: number;
  /** Rows that were held against a bound. */
  readonly rows: number;
  /**
   * The largest distance over bound, the least that was left between them in roundings of the row, and the largest error
   * over what is allowed.
   */
  readonly nearest: Nearest;
  readonly violations: readonly Violation[];
  /** Bound over distance of rows that are off, by how they were answered. */
  readonly looseness: Readonly<Record<AnswerKind, readonly number[]>>;
}

/** Half the gap between 1 and the next float32, and the smallest float32. */
const ROUNDING = 2 ** -24, SMALLEST = 2 ** -149;
/** The option `tolerance` of engines that keep the promise of accuracy. */
const USUAL_TOLERANCE = 1e-8;
/** What sums in two float32 may keep of a value that has left, as a share of it. */
const RESIDUE = 2 ** -46;
/** How far apart two up-to-date answers of different backends may be, as a share of the largest value. */
const BACKENDS_APART = 2 ** -18;
/** Runs of float32 with stochastic rounding, where rounding to nearest may have been lucky. */
const RUNS = 64;
/** Below that a distance is rounding, of which nobody asks how loose its bound is. */
const NOTABLE = 1e-9;

/** Runs a program to its end. */
export async function runProgram(program: BoundProgram): Promise<Sighting> {
  await using run = await ProgramRun.start(program);
  for (const [at, step] of program.steps.entries()) await run.take(at, step);
  return run.sighting();
}

class ProgramRun {
  readonly #program: BoundProgram;
  readonly #model: MemoryModel;
  #live: DynamicAttention;
  /** Rows that are followed, until a query comes or goes. */
  #followed: FollowedAttention | null = null;
  #edits = 0;
  #rows = 0;
  /** The largest number of any value so far. */
  #largestValue: number;
  readonly #nearest = { bound: 0, slack: Infinity, accuracy: 0 };
  readonly #violations: Violation[] = [];
  readonly #looseness: Record<AnswerKind, number[]> = { pending: [], settled: [], limited: [], followed: [] };

  private constructor(program: BoundProgram, model: MemoryModel, live: DynamicAttention) {
    this.#program = program;
    this.#model = model;
    this.#live = live;
    this.#largestValue = largestOf(program.value.flat());
  }

  static async start(program: BoundProgram): Promise<ProgramRun> {
    const { rule, biases, backend, threads } = program;
    const model = new MemoryModel({ ...rule, maskOf: maskOf(biases) });
    program.query.forEach((row, i) => model.insertQuery(i, row));
    program.key.forEach((row, j) => model.insertKey(j, row, program.value[j]));
    const { headDim: _, valueDim: __, ...options } = rule;
    const live = await DynamicAttention.create({
      ...options,
      ...model.matrices(),
      ...maskOption(model),
      tolerance: program.tolerance,
      lazyThreshold: { edits: program.edits, error: program.error },
      onThreshold: program.onThreshold,
      backend,
      ...(backend === "wasm" ? { threads } : {}),
    });
    return new ProgramRun(program, model, live);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#live.dispose();
  }

  sighting(): Sighting {
    return {
      edits: this.#edits,
      rows: this.#rows,
      nearest: this.#nearest,
      violations: this.#violations,
      looseness: this.#looseness,
    };
  }

  async take(at: number, step: Step): Promise<void> {
    switch (step.kind) {
      case "peek":
        return await this.#peek(at, this.#slotsBy(step.rows));
      case "read":
        return await this.#read(at, this.#slotsBy(step.rows));
      case "refresh":
        return await this.#refresh(at);
      case "flush":
        return await this.#live.flush();
      case "rebuild":
        return await this.#live.rebuild();
      case "move":
        return await this.#live.moveTo(step.backend);
      case "reload": {
        const bytes = await this.#live.save();
        const { backend } = this.#live.stats();
        this.#unfollow();
        await this.#live.dispose();
        this.#live = await DynamicAttention.load(bytes, {
          backend: backend as BoundProgram["backend"],
          ...maskOption(this.#model),
        });
        return;
      }
      default:
        this.#edit(step);
    }
  }

  #edit(
    step: Exclude<Step, { kind: "peek" | "read" | "flush" | "rebuild" | "move" | "reload" | "refresh" }>,
  ): void {
    const live = this.#live, model = this.#model;
    this.#edits++;
    if (step.kind === "insert") {
      this.#noteValue(step.value);
      return model.insertKey(live.insert(step.key, step.value), step.key, step.value);
    }
    if (step.kind === "insertQuery" || step.kind === "deleteQuery") this.#unfollow();
    if (step.kind === "insertQuery") return model.insertQuery(live.insertQuery(step.row), step.row);
    const ofQueries = step.kind === "setQuery" || step.kind === "deleteQuery";
    const slots = ofQueries ? model.querySlots : model.keySlots;
    if (slots.length === 0) return;
    const slot = slots[step.at % slots.length];
    switch (step.kind) {
      case "setKey":
        live.setKey(slot, step.row);
        keyAt(model, slot).key = Float32Array.from(step.row);
        break;
      case "setValue":
        this.#noteValue(step.row);
        live.setValue(slot, step.row);
        keyAt(model, slot).value = Float32Array.from(step.row);
        break;
      case "setQuery":
        live.setQuery(slot, step.row);
        model.queries.get(slot)!.query = Float32Array.from(step.row);
        break;
      case "addToKey":
      case "addToValue": {
        const held = step.kind === "addToKey" ? keyAt(model, slot).key : keyAt(model, slot).value;
        const column = step.column % held.length;
        // Beyond float32 it would be refused.
        if (!Number.isFinite(Math.fround(held[column] + step.delta))) return;
        live[step.kind](slot, column, step.delta);
        held[column] += step.delta;
        if (step.kind === "addToValue") this.#noteValue([held[column]]);
        break;
      }
      case "delete":
        live.delete(slot);
        model.keys.delete(slot);
        break;
      case "deleteQuery":
        live.deleteQuery(slot);
        model.queries.delete(slot);
    }
  }

  #noteValue(value: readonly number[]): void {
    this.#largestValue = Math.max(this.#largestValue, largestOf(value));
  }

  #unfollow(): void {
    this.#followed?.dispose();
    this.#followed = null;
  }

  async #refresh(at: number): Promise<void> {
    const { followed: error } = this.#program, slots = this.#model.querySlots;
    const followed = this.#followed ??= this.#live.follow(undefined, { error });
    await followed.refresh();
    const { data, bounds } = followed;
    const columns = slots.length === 0 ? 0 : data.length / slots.length;
    const rows = slots.map((_, i) => data.slice(i * columns, (i + 1) * columns));
    this.#judgeRows(at, slots, rows, bounds, "followed");
    await this.#checkLimit(at, slots, rows, bounds, error);
  }

  async #peek(at: number, slots: readonly number[]): Promise<void> {
    const { output, bounds, pending } = await this.#live.peek(slots);
    const settled = this.#program.error < Infinity ? "limited" : "settled";
    this.#judgeRows(at, slots, rowsOf(output), bounds, pending > 0 ? "pending" : settled);
    await this.#checkLimit(at, slots, rowsOf(output), bounds, this.#program.error);
  }

  #judgeRows(
    at: number,
    slots: readonly number[],
    rows: readonly Float32Array[],
    bounds: Float64Array,
    kind: AnswerKind,
  ): void {
    const question = this.#model.standing(slots);
    const careful = carefulAttention(question);
    rows.forEach((row, i) => {
      const bound = bounds[i];
      const { distance, isWithin } = judge(question, careful, i, row, bound);
      this.#rows++;
      if (!isWithin) this.#violations.push({ step: at, promise: "bound", found: distance, allowed: bound });
      if (distance > 0) {
        this.#nearest.bound = Math.max(this.#nearest.bound, distance / bound);
        const slack = (bound - distance) / (ROUNDING * Math.hypot(...row) + SMALLEST);
        this.#nearest.slack = Math.min(this.#nearest.slack, slack);
      }
      if (distance > NOTABLE) {
        this.#looseness[kind].push(bound / distance);
      }
    });
  }

  /** A row whose bound is above the limit must be up to date: rounding alone may be more. */
  async #checkLimit(
    at: number,
    slots: readonly number[],
    rows: readonly Float32Array[],
    bounds: Float64Array,
    error: number,
  ): Promise<void> {
    const above = slots.filter((_, i) => !(bounds[i] <= error));
    if (above.length === 0) return;
    const exact = rowsOf(await this.#live.read(above));
    for (const [i, slot] of above.entries()) {
      const row = rows[slots.indexOf(slot)];
      const apart = Math.hypot(...row.map((o, c) => o - exact[i][c]));
      // What is followed stays as it is while its engine moves to a backend that rounds otherwise.
      if (apart <= BACKENDS_APART * this.#largestValue) continue;
      this.#violations.push({ step: at, promise: "error limit", found: apart, allowed: error });
    }
  }

  async #read(at: number, slots: readonly number[]): Promise<void> {
    const rows = rowsOf(await this.#live.read(slots));
    const question = this.#model.standing(slots);
    const { found, allowed: promised } = accuracyOf(rows, question);
    const allowed = promised + RESIDUE * this.#largestValue;
    // A larger tolerance asks for less.
    if (this.#program.tolerance > USUAL_TOLERANCE) return;
    if (found > 0) this.#nearest.accuracy = Math.max(this.#nearest.accuracy, found / allowed);
    if (!(found <= allowed)) this.#violations.push({ step: at, promise: "accuracy", found, allowed });
  }

  #slotsBy(bits: number): number[] {
    const slots = this.#model.querySlots;
    const some = slots.filter((_, i) => bits >> (i % 31) & 1);
    return some.length === 0 ? slots : some;
  }
}

/** The largest error of an answer, and twice that of float32 from scratch, a rounding and what is not known of the truth. */
function accuracyOf(
  rows: readonly Float32Array[],
  question: ReferenceCase,
): { found: number; allowed: number } {
  const { output, doubts } = carefulAttention(question);
  let found = 0, largest = 0;
  output.forEach((truth, i) =>
    truth.forEach((o, c) => {
      const apart = Math.abs(rows[i][c] - o);
      found = Number.isNaN(apart) ? Infinity : Math.max(found, apart);
      largest = Math.max(largest, Math.abs(o));
    })
  );
  const doubt = Math.max(0, ...doubts);
  const allowedBy = (error: number) => 2 * error + ROUNDING * largest + SMALLEST + 2 * doubt;
  const errorOf = (answer: readonly number[][]) => {
    let error = 0;
    answer.forEach((row, i) =>
      row.forEach((o, c) => {
        const apart = Math.abs(o - output[i][c]);
        error = Number.isNaN(apart) ? Infinity : Math.max(error, apart);
      })
    );
    return error;
  };
  let allowed = allowedBy(0);
  if (found <= allowed) return { found, allowed };
  allowed = allowedBy(errorOf(float32Attention(question)));
  const random = new Random(1);
  for (let run = 0; run < RUNS && found > allowed; run++) {
    const error = errorOf(float32Attention(question, (x) => roundStochastically(x, random)));
    allowed = Math.max(allowed, allowedBy(error));
  }
  return { found, allowed };
}

function largestOf(numbers: readonly number[]): number {
  return numbers.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
}

function keyAt(model: MemoryModel, slot: number): ModelKey {
  return model.keys.get(slot)!;
}

/** The mask by labels of a program. */
function maskOf(biases: readonly number[]): MemoryModel["rule"]["maskOf"] {
  if (biases.length === 0) return null;
  return (query, key, head) => biases[(3 * query + 5 * key + head) % biases.length];
}

function maskOption(model: MemoryModel): { mask?: (i: number, j: number, head: number) => number } {
  if (!model.rule.maskOf) return {};
  return { mask: (i, j, head) => Number(model.mask(i, j, head)) };
}
