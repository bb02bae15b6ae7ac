// A peer: for every answer it computes the rows asked for, from inputs that are in place.

import { EditStream, type Inputs, RowStream, seededInputs } from "../data.ts";
import { checkOutput, rowsOf } from "../oracle_check.ts";
import type { Peer, PreparedAttention } from "../peers/peer.ts";
import { time, type TimeLimits } from "../stopwatch.ts";
import { rowCount, type Shape, type Workload } from "../workload.ts";
import { measureMemory, type MemoryUse, type Outcome, type Subject } from "./subject.ts";

type Answer = Extract<Workload, { kind: "answer" }>;

export class PeerSubject implements Subject {
  readonly #peer: Peer;

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  async measure(shape: Shape, workload: Workload, limits: TimeLimits): Promise<Outcome> {
    if (workload.kind === "patch") throw new Error("a peer has nothing to patch");
    const question = workload.kind === "rebuild" ? new Question(shape) : new Question(shape, workload);
    const prepared = await this.#peer.prepare(question.shape, question.inputs);
    try {
      // Before it is timed: what computes something else is not worth a time.
      const before = question.check(await prepared.run());
      const timing = await time(async () => {
        if (workload.kind === "answer") question.edit(workload, prepared);
        await prepared.run();
      }, limits);
      // And after: what it was told of must have arrived.
      return { timing, error: Math.max(before, question.check(await prepared.run())) };
    } finally {
      await prepared.dispose();
    }
  }

  async memory(shape: Shape): Promise<MemoryUse> {
    let prepared: PreparedAttention | null = null;
    const use = await measureMemory(async () => {
      prepared = await this.#peer.prepare(shape, seededInputs(shape));
      await prepared.run();
    });
    await (prepared as PreparedAttention | null)?.dispose();
    return use;
  }
}

/** Inputs of the rows that are asked for, written over as edits come. */
class Question {
  readonly shape: Shape;
  readonly inputs: Inputs;
  /** All queries, from which the rows asked for are gathered. */
  readonly #query: Float32Array<ArrayBuffer>;
  readonly #edits: EditStream;
  readonly #rows: RowStream | null;

  constructor(shape: Shape, workload: Answer | null = null) {
    const rows = workload?.rows ?? "all";
    const all = seededInputs(shape);
    this.shape = { ...shape, queryCount: rowCount(shape, rows) };
    this.#query = all.query;
    this.inputs = { ...all, query: all.query.slice(0, this.shape.queryCount * shape.headDim) };
    this.#edits = new EditStream(shape.keyCount, shape.headDim);
    this.#rows = rows === "all" ? null : new RowStream(shape.queryCount, this.shape.queryCount, rows);
  }

  /** A slide is two rows in a ring, an edit of an entry one number of a row. */
  edit({ edit, edits, rows }: Answer, prepared: PreparedAttention): void {
    const { headDim, valueDim } = this.shape;
    for (let count = 0; count < edits; count++) {
      const { key, row } = this.#edits.next();
      if (edit === "key" || edit === "slide") this.inputs.key.set(row, key * headDim);
      if (edit === "value" || edit === "slide") {
        this.inputs.value.set(row.subarray(0, valueDim), key * valueDim);
      }
      if (edit === "entry") this.inputs.key[key * headDim + key % headDim] = row[0];
    }
    const changed: (keyof Inputs)[] = edit === "value"
      ? ["value"]
      : edit === "slide"
      ? ["key", "value"]
      : ["key"];
    if (this.#rows && rows !== "same") {
      this.#rows.next().forEach((from, to) => {
        const start = from * headDim;
        this.inputs.query.set(this.#query.subarray(start, start + headDim), to * headDim);
      });
      changed.push("query");
    }
    prepared.update(changed);
  }

  check(output: ArrayLike<number>): number {
    const { headDim, valueDim } = this.shape;
    return checkOutput({
      query: rowsOf(this.inputs.query, headDim),
      key: rowsOf(this.inputs.key, headDim),
      value: rowsOf(this.inputs.value, valueDim),
      output,
      valueDim,
    });
  }
}
