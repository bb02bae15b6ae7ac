/**
 * The questions of a client: they are asked of all partitions, in messages that are not too large, and their answers are merged.
 *
 * Invariant: an answer includes every record that the client has had acknowledged or seen in an earlier answer, and those of the
 * caller's token; it is of one version of each query, and over all partitions unless the caller takes less.
 */

import { IdError } from "../base/errors.ts";
import type { Matrix } from "../base/matrix.ts";
import { shownMatrix } from "../display/shown_matrix.ts";
import { outputColumns } from "../numerics/head_layout.ts";
import type { Clock } from "./clock.ts";
import type { ClusterKey, ClusterOutput, PartitionPlace, StoredKey } from "./cluster_answers.ts";
import { type ClusterConfig, partitionOf, rowColumns } from "./cluster_config.ts";
import { ClusterError, Damage } from "./cluster_error.ts";
import { driftBound, driftColumns } from "./drift.ts";
import { stateColumns } from "./exact_sums.ts";
import { type GatherCounts, Gatherer, type Wanted } from "./gather.ts";
import { joinRows, type KeptRow, KeptRows } from "./kept_rows.ts";
import type { LogSession } from "./log.ts";
import type { Members } from "./members.ts";
import type { CheckedRead } from "./memory_options.ts";
import { type Merged, mergeHeavy, mergePartitions } from "./merge.ts";
import {
  decodeHeavy,
  decodeNumbers,
  decodeRows,
  decodeStates,
  type PartitionAnswer,
  type Question,
  REPLY_BYTES,
} from "./messages.ts";
import { type ClusterToken, joinTokens, NO_TOKEN } from "./token.ts";

/** Reads whose times are kept. */
const TIMED_READS = 1024;
const AGAIN_MS = 10;

/** What a reader is made of. */
export interface ReaderParts {
  readonly session: LogSession;
  readonly config: ClusterConfig;
  readonly clock: Clock;
  readonly members: Members;
  readonly signal: AbortSignal;
  /** Throws when the connection has ended. */
  readonly checkLive: (operation: string) => void;
}

/** States of queries, merged. */
interface MergedStates {
  readonly merged: Merged;
  readonly places: readonly PartitionPlace[];
  readonly missing: readonly number[];
  /** The version of each standing query. */
  readonly versions: readonly number[];
}

/** A question about so many queries, in parts. */
interface StatesQuestion {
  readonly count: number;
  /** The question about the queries from one to before another. */
  readonly ask: (from: number, to: number) => Question;
  /** Bytes of a query in a request, at most. */
  readonly bytesEach: number;
  /** Ids of standing queries; none of passing ones. */
  readonly ids: readonly string[];
}

/** Asks for a client. */
export class ClusterReader {
  readonly #parts: ReaderParts;
  readonly #gatherer: Gatherer;
  readonly #kept = new KeptRows();
  readonly #readMs: number[] = [];
  /** What the client has had acknowledged, and what it has been answered with. */
  #known: ClusterToken = NO_TOKEN;
  #reads = 0;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.#gatherer = new Gatherer(parts.session, parts.clock, parts.members);
  }

  /** Calls that were answered. */
  get reads(): number {
    return this.#reads;
  }

  /** Requests to hosts. */
  get counts(): Readonly<GatherCounts> {
    return this.#gatherer.counts;
  }

  /** Milliseconds of the last reads, sorted. */
  get readMs(): Float64Array<ArrayBuffer> {
    return Float64Array.from(this.#readMs).sort();
  }

  /** What every answer includes. */
  get known(): ClusterToken {
    return this.#known;
  }

  /** Notes what was acknowledged; queries that were set anew are not given again. */
  note(token: ClusterToken, queries: readonly string[] = []): void {
    this.#known = joinTokens(this.#known, token);
    for (const id of queries) this.#kept.drop(id);
  }

  /** Attention of standing queries. */
  async read(operation: string, ids: readonly string[], checked: CheckedRead): Promise<ClusterOutput> {
    return this.#toOutput(await this.#askStates(operation, standing(ids), checked, true), ids);
  }

  /** Natural log-sum-exps of standing queries. */
  async logSumExp(
    operation: string,
    ids: readonly string[],
    checked: CheckedRead,
  ): Promise<Float64Array<ArrayBuffer>> {
    return (await this.#askStates(operation, standing(ids), checked, true)).merged.logSumExp;
  }

  /** Attention of passing queries. */
  async attend(
    operation: string,
    { data, shape: [count, columns] }: Matrix,
    checked: CheckedRead,
  ): Promise<ClusterOutput> {
    const ask = (from: number, to: number): Question => ({
      kind: "attend",
      rows: data.subarray(from * columns, to * columns),
    });
    const question = { count, ask, bytesEach: 4 * columns, ids: [] };
    return this.#toOutput(await this.#askStates(operation, question, checked, true));
  }

  /** Rows that were given before and are young or near enough, and others as of what hosts have now. */
  async peek(
    operation: string,
    ids: readonly string[],
    { maxAge, maxError }: { readonly maxAge: number; readonly maxError: number | null },
    checked: CheckedRead,
  ): Promise<ClusterOutput> {
    const now = this.#parts.clock.now();
    const rows = new Map<string, KeptRow>();
    for (const id of ids) {
      const row = this.#kept.get(id, now, maxAge);
      if (row) rows.set(id, row);
    }
    const old = [...new Set(ids)].filter((id) => !rows.has(id) && this.#kept.any(id) !== null);
    if (maxError !== null && old.length > 0) {
      for (const [id, row] of await this.#certify(operation, old, maxError, checked)) rows.set(id, row);
    }
    const asked = [...new Set(ids.filter((id) => !rows.has(id)))];
    const fresh = asked.length > 0 || ids.length === 0
      ? this.#toOutput(await this.#askStates(operation, standing(asked), checked, false), asked)
      : null;
    return joinRows(ids, rows, asked, fresh, {
      columns: outputColumns(this.#parts.config.scoring.layout),
      now: this.#parts.clock.now(),
      newestOf: (partition) => this.#newestOf(partition),
    });
  }

  /** Rows that were given before and are within an error of exact as of now, with their bounds and places of now. */
  async #certify(
    operation: string,
    ids: readonly string[],
    maxError: number,
    checked: CheckedRead,
  ): Promise<Map<string, KeptRow>> {
    const { config: { partitions, scoring: { layout } }, session, clock, signal, checkLive } = this.#parts;
    const certified = new Map<string, KeptRow>(), until = clock.now() + checked.timeoutMs;
    const columns = driftColumns(layout), bytesEach = Math.max(8 * columns, 8 * partitions + 1600);
    const step = Math.max(
      1,
      Math.floor((session.largestMessage - REPLY_BYTES * partitions) / (bytesEach * partitions)),
    );
    const wanted: Wanted[] = Array.from({ length: partitions }, (_, partition) => {
      return { partition, sequence: 0, querySequence: 0 };
    });
    for (let from = 0; from < ids.length; from += step) {
      const part = ids.slice(from, from + step), rows = part.map((id) => this.#kept.any(id));
      const since = new Float64Array(part.length * partitions);
      rows.forEach((row, at) => {
        for (const { partition, sequence } of row?.places ?? []) {
          since[at * partitions + partition] = sequence;
        }
      });
      const question: Question = { kind: "drift", ids: part, since };
      const { answers } = await this.#gatherer.ask(operation, question, wanted, until, signal, {
        waits: false,
      });
      checkLive(operation);
      // Whoever does not answer here is asked for the rows.
      if (answers.size < partitions) continue;
      const all = [...answers.values()].sort((a, b) => a.partition - b.partition);
      const drifts = all.map(({ partition, answer, valueNorm }) => ({
        numbers: this.#decoded(operation, partition, () => decodeNumbers(answer, part.length * columns)),
        valueNorm,
      }));
      const places = all.map((answer) => this.#placeOf(answer)), at = clock.now();
      part.forEach((id, query) => {
        const row = rows[query];
        // A replica that has less than the row says nothing of it.
        const isBehind = row?.places.some(({ partition, sequence }) => places[partition].sequence < sequence);
        if (!row || isBehind || row.places.length < partitions) return;
        const bound = row.bound + driftBound(layout, drifts, query, row.version, row.data);
        if (bound <= maxError) certified.set(id, { ...row, bound, places, at });
      });
    }
    return certified;
  }

  #placeOf({ partition, sequence, age }: PartitionAnswer): PartitionPlace {
    return { partition, sequence, ageMs: age, newest: Math.max(this.#newestOf(partition), sequence) };
  }

  /** The heaviest keys of a head of a standing query. */
  async heaviest(
    operation: string,
    id: string,
    head: number,
    count: number,
    checked: CheckedRead,
  ): Promise<ClusterKey[]> {
    const question: Question = { kind: "top", id, head, count };
    const until = this.#parts.clock.now() + checked.timeoutMs;
    const answers = await this.#askSame(
      operation,
      question,
      checked,
      until,
      (answer) => [decodeHeavy(answer).version],
      [id],
    );
    return mergeHeavy(answers.map(({ answer }) => decodeHeavy(answer)), count);
  }

  /** Keys with their values. */
  async storedKeys(
    operation: string,
    wanted: readonly string[],
    checked: CheckedRead,
  ): Promise<(StoredKey | null)[]> {
    const { config, session, clock, signal, checkLive } = this.#parts;
    const { layout } = config.scoring,
      width = rowColumns(layout),
      keys = width - layout.kvHeads * layout.valueDim;
    const until = clock.now() + checked.timeoutMs,
      rows = new Array<StoredKey | null>(wanted.length).fill(null);
    const groups = new Map<number, number[]>();
    wanted.forEach((id, at) => {
      const partition = partitionOf(id, config.partitions), group = groups.get(partition);
      if (group) group.push(at);
      else groups.set(partition, [at]);
    });
    const most = Math.max(1, Math.floor((session.largestMessage - REPLY_BYTES) / (4 * width + 8)) - 1);
    const token = this.#tokenOf(checked, true);
    await Promise.all([...groups].map(async ([partition, places]) => {
      for (let from = 0; from < places.length; from += most) {
        const part = places.slice(from, from + most), ids = part.map((at) => wanted[at]);
        const one = { partition, sequence: token.partitions[partition] ?? 0, querySequence: 0 };
        const gathered = await this.#gatherer.ask(
          operation,
          { kind: "rows", ids },
          [one],
          until,
          signal,
        );
        checkLive(operation);
        const answer = gathered.answers.get(partition);
        if (!answer) throw Gatherer.failure(operation, gathered);
        this.#decoded(operation, partition, () => decodeRows(answer.answer, part.length, width)).forEach(
          (row, at) => {
            if (row) rows[part[at]] = { key: row.slice(0, keys), value: row.slice(keys) };
          },
        );
      }
    }));
    return rows;
  }

  /** What was seen once is in every later answer. */
  #noteSeen(answers: readonly PartitionAnswer[], isStanding: boolean): void {
    const partitions: Record<number, number> = {};
    let query = 0;
    for (const { partition, sequence, querySequence } of answers) {
      partitions[partition] = sequence;
      if (isStanding) query = Math.max(query, querySequence);
    }
    this.#known = joinTokens(this.#known, { partitions, query });
  }

  #tokenOf({ after }: CheckedRead, isExact: boolean): ClusterToken {
    return isExact ? joinTokens(this.#known, after) : { partitions: {}, query: 0 };
  }

  /** Asks for states in parts whose messages are not too large, and merges them. */
  async #askStates(
    operation: string,
    { count, ask, bytesEach, ids }: StatesQuestion,
    checked: CheckedRead,
    isExact: boolean,
  ): Promise<MergedStates> {
    const { config: { scoring, partitions }, session, clock } = this.#parts;
    const startedAt = clock.now(), until = startedAt + checked.timeoutMs;
    const columns = stateColumns(scoring.layout), stateBytes = 8 * (columns + 2);
    const room = session.largestMessage - REPLY_BYTES;
    const perRequest = Math.floor((room - 16 * partitions - 64) / Math.max(1, bytesEach));
    const step = Math.max(
      1,
      Math.min(perRequest, Math.floor((room / partitions - REPLY_BYTES) / stateBytes)),
    );
    const most = Math.max(1, Math.floor(room / (step * stateBytes + REPLY_BYTES)));
    const { heads, valueDim } = scoring.layout;
    const merged: Merged = {
      output: new Float32Array(count * heads * valueDim),
      logSumExp: new Float64Array(count * heads),
      bounds: new Float64Array(count),
    };
    const places = new Map<number, PartitionPlace>(), missing = new Set<number>(), all: number[] = [];
    for (let from = 0; from < count; from += step) {
      const to = Math.min(count, from + step), rows = to - from;
      const decode = (answer: Uint8Array<ArrayBuffer>) => decodeStates(answer, rows, columns);
      const versions = (answer: Uint8Array<ArrayBuffer>) => {
        const states = decode(answer);
        return Array.from({ length: rows }, (_, at) => states[at * (columns + 2)]);
      };
      const answers = await this.#askSame(
        operation,
        ask(from, to),
        checked,
        until,
        versions,
        ids.slice(from, to),
        { waits: isExact, most },
        missing,
      );
      const part = mergePartitions(
        scoring,
        rows,
        answers.map(({ partition, answer, keys, keyNorm, valueNorm }) => ({
          states: this.#decoded(operation, partition, () => decode(answer)),
          keys,
          keyNorm,
          valueNorm,
        })),
      );
      if (answers.length > 0) all.push(...versions(answers[0].answer));
      merged.output.set(part.output, from * heads * valueDim);
      merged.logSumExp.set(part.logSumExp, from * heads);
      merged.bounds.set(part.bounds, from);
      for (const { partition, sequence, age } of answers) {
        const before = places.get(partition);
        places.set(partition, {
          partition,
          sequence: Math.min(sequence, before?.sequence ?? Infinity),
          ageMs: Math.max(age, before?.ageMs ?? 0),
          newest: Math.max(this.#newestOf(partition), sequence),
        });
      }
    }
    this.#noteRead(clock.now() - startedAt);
    return {
      merged,
      versions: all,
      places: [...places.values()].sort((a, b) => a.partition - b.partition),
      missing: [...missing].sort((a, b) => a - b),
    };
  }

  /**
   * Asks all partitions until their answers are of the same version of each query; they come back in ascending order. Those
   * that are missing are put into `missing`, or throw.
   */
  async #askSame(
    operation: string,
    question: Question,
    checked: CheckedRead,
    until: number,
    versionsOf: (answer: Uint8Array<ArrayBuffer>) => number[],
    ids: readonly string[],
    how: { readonly waits: boolean; readonly most?: number } = { waits: true },
    missing = new Set<number>(),
  ): Promise<PartitionAnswer[]> {
    const { config: { partitions }, clock, signal, checkLive } = this.#parts;
    const token = this.#tokenOf(checked, how.waits);
    const found = new Map<number, PartitionAnswer>(), isStanding = ids.length > 0;
    let querySequence = isStanding ? token.query : 0;
    for (;;) {
      const wanted: Wanted[] = [];
      for (let partition = 0; partition < partitions; partition++) {
        if (found.has(partition)) continue;
        wanted.push({ partition, sequence: token.partitions[partition] ?? 0, querySequence });
      }
      const gathered = await this.#gatherer.ask(
        operation,
        question,
        wanted,
        until,
        signal,
        how,
      );
      checkLive(operation);
      for (const [partition, answer] of gathered.answers) found.set(partition, answer);
      if (gathered.missing.size > 0) {
        if (!checked.partial || found.size === 0) throw Gatherer.failure(operation, gathered);
        for (const partition of gathered.missing.keys()) missing.add(partition);
      }
      const answers = [...found.values()].sort((a, b) => a.partition - b.partition);
      if (how.waits) this.#noteSeen(answers, isStanding);
      if (!isStanding) return answers;
      const versions = answers.map(({ partition, answer }) =>
        this.#decoded(operation, partition, () => versionsOf(answer))
      );
      const differing = ids.some((_, at) => versions.some((one) => one[at] !== versions[0][at]));
      if (!differing) {
        const absent = ids.findIndex((_, at) => versions[0][at] === 0);
        if (absent >= 0) throw new IdError(operation, "query", ids[absent], []);
        return answers;
      }
      // Those that are behind are asked again; where all have come as far, a query was set while they answered.
      querySequence = Math.max(querySequence, ...answers.map((answer) => answer.querySequence));
      const isBehind = answers.filter((answer) => answer.querySequence < querySequence);
      for (const { partition } of isBehind.length > 0 ? isBehind : answers) found.delete(partition);
      if (clock.now() >= until) {
        throw new ClusterError(operation, "missing", "hosts do not agree on the standing queries in time");
      }
      await clock.sleep(AGAIN_MS, signal);
    }
  }

  #decoded<T>(operation: string, partition: number, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      throw new ClusterError(operation, "damaged", `partition ${partition}: ${error.message}`, [partition]);
    }
  }

  #noteRead(ms: number): void {
    this.#reads++;
    this.#readMs.push(ms);
    if (this.#readMs.length > TIMED_READS) this.#readMs.shift();
  }

  /** The answer to a caller; the rows of `ids` are kept for `peek`. */
  #toOutput(
    { merged: { output, bounds }, places, missing, versions }: MergedStates,
    ids: readonly string[] = [],
  ): ClusterOutput {
    const columns = outputColumns(this.#parts.config.scoring.layout);
    if (missing.length === 0) {
      const at = this.#parts.clock.now();
      ids.forEach((id, row) => {
        const data = output.slice(row * columns, (row + 1) * columns);
        this.#kept.set(id, { data, bound: bounds[row], version: versions[row], places, at });
      });
    }
    return { output: shownMatrix(output, [bounds.length, columns]), bounds, partitions: places, missing };
  }

  /** The newest record of a partition that is known of. */
  #newestOf(partition: number): number {
    let newest = this.#known.partitions[partition] ?? 0;
    for (const { partitions } of this.#parts.members.alive()) {
      newest = Math.max(newest, partitions.get(partition)?.sequence ?? 0);
    }
    return newest;
  }
}

/** The question about standing queries. */
function standing(ids: readonly string[]): StatesQuestion {
  return {
    count: ids.length,
    ask: (from, to) => ({ kind: "read", ids: ids.slice(from, to) }),
    bytesEach: ids.reduce((most, id) => Math.max(most, 3 * id.length + 8), 0),
    ids,
  };
}
