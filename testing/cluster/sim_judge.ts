// The judge of a simulated run. The model is one engine: attention from scratch over the keys that the log's records leave,
// in float64.
//
// Invariant: records are kept as the log orders them, also when it has purged them.

import type { ClusterOutput, ClusterToken, NamedMask } from "../../src/cluster/mod.ts";
import { type BatchForms, decodeBatch, type RowEdit } from "../../src/cluster/batch.ts";
import { keySubject, QUERY_SUBJECT } from "../../src/cluster/cluster_config.ts";
import type { NamedShift } from "../../src/cluster/position_shift.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import type { ModelRule } from "../memory_model.ts";
import { PLAIN_RULE, ruledCase, type RuledRow, SaidMasks } from "./ruled_model.ts";
import type { SimWorld } from "./sim_world.ts";

const DIM = PLAIN_RULE.headDim, VALUE_DIM = PLAIN_RULE.valueDim;
/** Bounds of answers that are not stale are below this. */
export const MOST_BOUND = 1e-5;
/** The model turns rows by its own arithmetic, which float32 may round to a neighbour. */
export const TURN_ROUNDING = 1e-5;

/** A fault of the cluster that the model has found. */
export class Fault extends Error {}

/** Judges the answers of one run. */
export class SimJudge {
  readonly #world: SimWorld;
  readonly #partitions: number;
  readonly #rule: ModelRule;
  readonly #forms: BatchForms;
  readonly #firstMask: NamedMask | undefined;
  /** Records of each subject as they were appended, since the log may purge them. */
  readonly #records = new Map<
    string,
    { readonly sequence: number; readonly body: Uint8Array<ArrayBuffer>; readonly at: number }[]
  >();
  readonly #following = new AbortController();
  #answers = 0;

  constructor(
    world: SimWorld,
    partitions: number,
    rule: ModelRule,
    forms: BatchForms,
    firstMask: NamedMask | undefined,
  ) {
    this.#firstMask = firstMask;
    this.#world = world;
    this.#partitions = partitions;
    this.#rule = rule;
    this.#forms = forms;
  }

  get #columns(): number {
    return this.#rule.heads * VALUE_DIM;
  }

  /** The number of answers that were judged. */
  get answers(): number {
    return this.#answers;
  }

  /** Keeps all records, as the log orders them. */
  async follow(): Promise<void> {
    const session = await this.#world.kept.open("host"), { signal } = this.#following;
    const follow = async (subject: string) => {
      const kept = this.#records.get(subject) ?? [];
      this.#records.set(subject, kept);
      for await (const records of session.follow(subject, 0, { signal })) {
        kept.push(...records.map((record) => ({ ...record, at: this.#world.time.now })));
      }
    };
    follow(QUERY_SUBJECT);
    for (let partition = 0; partition < this.#partitions; partition++) follow(keySubject(partition));
  }

  /** Judges an answer of standing queries, which includes what `after` says, and whose bounds are below `most`. */
  judge(ids: readonly string[], answer: ClusterOutput, after: ClusterToken, most = MOST_BOUND): void {
    this.#answers++;
    this.checkPlaces(answer, after);
    const keys = this.keysAt(answer.partitions);
    ids.forEach((id, at) => {
      const found = answer.output.data.subarray(at * this.#columns, (at + 1) * this.#columns);
      const isRight = this.#queryRows(id, after.query).some((row) =>
        this.#isAnswer(keys, { ...row, id }, found, answer.bounds[at], most)
      );
      if (!isRight) {
        throw new Fault(`the answer of ${id} is ${[...found]}, which is that of no query it may be of`);
      }
    });
  }

  /** Judges an answer of passing queries. */
  judgeRows(rows: readonly RuledRow[], answer: ClusterOutput, after: ClusterToken): void {
    this.#answers++;
    this.checkPlaces(answer, after);
    const keys = this.keysAt(answer.partitions);
    rows.forEach((row, at) => {
      const found = answer.output.data.subarray(at * this.#columns, (at + 1) * this.#columns);
      if (!this.#isAnswer(keys, row, found, answer.bounds[at])) {
        throw new Fault(`the answer is ${[...found]}`);
      }
    });
  }

  /** Checks that an answer is over all partitions, at the places of `after` or behind, and as old as it says. */
  checkPlaces({ partitions, missing }: ClusterOutput, after: ClusterToken): void {
    if (partitions.length !== this.#partitions || missing.length > 0) {
      throw new Fault(`the answer is over ${partitions.length} partitions of ${this.#partitions}`);
    }
    for (const { partition, sequence, ageMs } of partitions) {
      const asked = after.partitions[partition] ?? 0;
      if (sequence < asked) {
        throw new Fault(`partition ${partition} is at ${sequence}, the token says ${asked}`);
      }
      const since = this.#world.time.now - ageMs;
      const missed = this.#records.get(keySubject(partition))?.find((one) => {
        return one.sequence > sequence && one.at < since;
      });
      if (missed) {
        throw new Fault(
          `partition ${partition} is at ${sequence} and says ${ageMs} ms, but ${missed.sequence} came before`,
        );
      }
    }
  }

  /** Keys as of a place of each partition, by the records alone: each batch of a client counts once. */
  keysAt(places: ClusterOutput["partitions"]): Map<string, RuledRow> {
    const keys = new Map<string, RuledRow>();
    for (const { partition, sequence: end } of places) {
      const masks = new SaidMasks(this.#firstMask), shifts = new Set<string>(), own = new Set<string>();
      const done = new Set<string>();
      for (const { sequence, body } of this.#records.get(keySubject(partition)) ?? []) {
        if (sequence > end) break;
        const { client, number, edits } = decodeBatch(body, "keys", DIM + VALUE_DIM, this.#forms);
        if (done.has(`${client} ${number}`)) continue;
        done.add(`${client} ${number}`);
        for (const { id, row, position, mask, shift } of edits) {
          if (shift) {
            if (shifts.has(shift.name)) continue;
            shifts.add(shift.name);
            for (const id of own) {
              const had = keys.get(id);
              if (had) keys.set(id, { ...had, position: shifted(shift, had.position) });
            }
            continue;
          }
          own.add(id);
          const had = keys.get(id), biasOf = (query: string, head: number) => masks.bias(query, id, head);
          if (mask) {
            masks.say(id, mask);
            continue;
          }
          if (row !== null && !had) masks.bear(id);
          if (row !== null) keys.set(id, { row, position: position ?? 0, biasOf });
          else if (position === undefined) keys.delete(id);
          else if (had) keys.set(id, { row: had.row, position, biasOf });
        }
      }
    }
    return keys;
  }

  /** All rows that a standing query has had from a sequence on: an answer may be of any of them. */
  #queryRows(id: string, from: number): RuledRow[] {
    const rows: RuledRow[] = [], done = new Set<string>(), shifts = new Set<string>();
    let newest: RuledRow | null = null;
    for (const { sequence, body } of this.#records.get(QUERY_SUBJECT) ?? []) {
      const { client, number, edits } = decodeBatch(body, "queries", DIM * this.#rule.heads, this.#forms);
      if (done.has(`${client} ${number}`)) continue;
      done.add(`${client} ${number}`);
      for (const edit of edits) {
        const { shift } = edit, isMade = shift !== undefined && shifts.has(shift.name);
        if (shift) shifts.add(shift.name);
        if (isMade || (shift ? newest === null : edit.id !== id)) continue;
        const place: number = (newest as RuledRow | null)?.position ?? 0;
        const { row, position }: Pick<RowEdit, "row" | "position"> = shift
          ? { row: null, position: shifted(shift, place) }
          : edit;
        // A move of what is not there does nothing.
        if (row === null && position !== undefined && newest === null) continue;
        newest = row === null && position === undefined
          ? null
          : { row: row ?? (newest as RuledRow).row, position: position ?? 0 };
        // What is replaced before the token's place must not be seen.
        if (sequence <= from) rows.length = 0;
        if (newest !== null) rows.push(newest);
      }
    }
    return rows;
  }

  /** Checks that every subject has a move that was acknowledged. */
  checkShift(name: string): void {
    const subjects = Array.from({ length: this.#partitions }, (_, partition) => keySubject(partition));
    for (const subject of [QUERY_SUBJECT, ...subjects]) {
      const isKeys = subject !== QUERY_SUBJECT, width = isKeys ? DIM + VALUE_DIM : DIM * this.#rule.heads;
      const has = this.#records.get(subject)?.some(({ body }) => {
        const { edits } = decodeBatch(body, isKeys ? "keys" : "queries", width, this.#forms);
        return edits.some(({ shift }) => shift?.name === name);
      });
      if (!has) throw new Fault(`${subject} lacks the move ${name}`);
    }
  }

  /** Whether an answer is that of one engine over the keys. */
  #isAnswer(
    keys: ReadonlyMap<string, RuledRow>,
    query: RuledRow,
    found: Float32Array,
    bound: number,
    most = MOST_BOUND,
  ): boolean {
    const { output: [expected] } = referenceAttention(ruledCase(this.#rule, keys.values(), [query]));
    const distance = Math.hypot(...expected.map((o, c) => o - found[c]));
    return distance <= bound + (this.#rule.rotary ? TURN_ROUNDING : 1e-12) && bound <= most;
  }

  /** Follows the log no more. */
  end(): void {
    this.#following.abort();
  }
}

/** The position of a row behind a move; in a simulation none is near the end of the numbers. */
function shifted({ by, from, to }: NamedShift, position: number): number {
  return from <= position && position < to ? position + by : position;
}
