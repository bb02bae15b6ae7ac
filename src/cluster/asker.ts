/**
 * Questions to partitions whose answers belong together.
 *
 * Invariant: answers include every acknowledged record of the client, every record of its earlier answers,
 * and those of the caller's token. Answers about standing queries are of one version of each query.
 */

import { IdError } from "../base/errors.ts";
import type { Clock } from "./clock.ts";
import type { PartitionPlace } from "./cluster_answers.ts";
import type { ClusterConfig } from "./cluster_config.ts";
import { ClusterError, Damage } from "./cluster_error.ts";
import { type GatherCounts, type Gathered, type GatheredAnswer, Gatherer, type Wanted } from "./gather.ts";
import type { LogSession } from "./log.ts";
import type { Members } from "./members.ts";
import type { CheckedRead } from "./memory_options.ts";
import type { PartitionAnswer, Question } from "./messages.ts";
import { type ClusterToken, joinTokens, NO_TOKEN } from "./token.ts";

const AGAIN_MS = 10;

/** The parts of a client that questions need. */
export interface AskerParts {
  readonly session: LogSession;
  readonly config: ClusterConfig;
  readonly clock: Clock;
  readonly members: Members;
  readonly signal: AbortSignal;
  /** Throws when the connection has ended. */
  readonly checkLive: (operation: string) => void;
}

/** A question to all partitions. */
export interface AskedOfAll {
  readonly checked: CheckedRead;
  /** When the call gives up, by the clock. */
  readonly until: number;
  /** The ids of the standing queries that it is about; none of passing queries. */
  readonly ids: readonly string[];
  /** The version of each of them in an answer, 0 for one that is not there. */
  readonly versionsOf: (answer: Uint8Array<ArrayBuffer>) => readonly number[];
  /** Whether answers must include the known records and those of the caller's token; true unless given. */
  readonly waits?: boolean;
  /** Partitions that one request may be about. */
  readonly most?: number;
}

/** Answers of partitions in ascending order, and the partitions without one. */
export interface AnswersOfAll {
  readonly answers: readonly GatheredAnswer[];
  readonly missing: readonly number[];
}

/** Asks for a client. */
export class Asker {
  readonly parts: AskerParts;
  readonly #gatherer: Gatherer;
  #known: ClusterToken = NO_TOKEN;

  constructor(parts: AskerParts) {
    this.parts = parts;
    this.#gatherer = new Gatherer(parts.session, parts.clock, parts.members);
  }

  /** The records of acknowledged edits and of earlier answers. */
  get known(): ClusterToken {
    return this.#known;
  }

  /** Requests to hosts. */
  get counts(): Readonly<GatherCounts> {
    return this.#gatherer.counts;
  }

  /** Notes what was acknowledged or seen. */
  note(token: ClusterToken): void {
    this.#known = joinTokens(this.#known, token);
  }

  /** The records that an answer must include. */
  tokenOf({ after }: CheckedRead): ClusterToken {
    return joinTokens(this.#known, after);
  }

  /** The newest record of a partition that is known of. */
  newestOf(partition: number): number {
    let newest = this.#known.partitions[partition] ?? 0;
    for (const { partitions } of this.parts.members.alive()) {
      newest = Math.max(newest, partitions.get(partition)?.sequence ?? 0);
    }
    return newest;
  }

  /** A partition that a host answers for: the one that is named, if one does. */
  answeredPartition(named: number): number {
    let other = named;
    for (const { partitions } of this.parts.members.alive()) {
      for (const [partition, { phase }] of partitions) {
        if (phase !== "ready") continue;
        if (partition === named) return named;
        if (other === named) other = partition;
      }
    }
    return other;
  }

  /** Where an answer stands at a time of the client's clock. */
  placeOf({ partition, sequence, currentAt }: GatheredAnswer, at: number): PartitionPlace {
    const newest = Math.max(this.newestOf(partition), sequence);
    return { partition, sequence, ageMs: at - currentAt, newest };
  }

  /** Asks some partitions once; those that did not answer in time are in what comes back. */
  async gather(
    operation: string,
    question: Question,
    wanted: readonly Wanted[],
    how: { readonly until: number; readonly waits?: boolean; readonly most?: number },
  ): Promise<Gathered> {
    const gathered = await this.#gatherer.ask(operation, question, wanted, {
      ...how,
      signal: this.parts.signal,
    });
    this.parts.checkLive(operation);
    return gathered;
  }

  /** Asks one partition; throws where it does not answer in time. */
  async one(operation: string, question: Question, wanted: Wanted, until: number): Promise<GatheredAnswer> {
    const gathered = await this.gather(operation, question, [wanted], { until });
    const answer = gathered.answers.get(wanted.partition);
    if (!answer) throw Gatherer.failure(operation, gathered);
    return answer;
  }

  /**
   * Asks all partitions until their answers are of the same version of each query.
   *
   * @throws {IdError} When a standing query is not there.
   * @throws {ClusterError} When partitions do not answer in time, unless the caller takes less.
   */
  async all(operation: string, question: Question, asked: AskedOfAll): Promise<AnswersOfAll> {
    const { config: { partitions }, clock, signal } = this.parts,
      { checked, until, ids, waits = true } = asked;
    const token = waits ? this.tokenOf(checked) : NO_TOKEN, isStanding = ids.length > 0;
    const found = new Map<number, GatheredAnswer>(), missing = new Set<number>();
    for (let querySequence = isStanding ? token.query : 0;;) {
      const wanted: Wanted[] = [];
      for (let partition = 0; partition < partitions; partition++) {
        if (found.has(partition)) continue;
        wanted.push({ partition, sequence: token.partitions[partition] ?? 0, querySequence });
      }
      const gathered = await this.gather(operation, question, wanted, asked);
      for (const [partition, answer] of gathered.answers) found.set(partition, answer);
      if (gathered.missing.size > 0) {
        if (!checked.partial || found.size === 0) throw Gatherer.failure(operation, gathered);
        for (const partition of gathered.missing.keys()) missing.add(partition);
      }
      const answers = [...found.values()].sort((a, b) => a.partition - b.partition);
      if (waits) this.#noteSeen(answers, isStanding);
      const behind = isStanding ? this.#differing(operation, answers, asked) : [];
      if (behind.length === 0) return { answers, missing: [...missing].sort((a, b) => a - b) };
      querySequence = Math.max(querySequence, ...answers.map((answer) => answer.querySequence));
      for (const { partition } of behind) found.delete(partition);
      if (clock.now() >= until) {
        throw new ClusterError(operation, "missing", "hosts do not agree on the standing queries in time");
      }
      await clock.sleep(AGAIN_MS, signal);
    }
  }

  /**
   * The answers that are to be asked for again, since they are not of the same versions of the queries; none
   * where all are.
   */
  #differing(
    operation: string,
    answers: readonly GatheredAnswer[],
    { ids, versionsOf }: AskedOfAll,
  ): readonly GatheredAnswer[] {
    const versions = answers.map(({ partition, answer }) =>
      this.decoded(operation, partition, () => versionsOf(answer))
    );
    if (ids.every((_, at) => versions.every((one) => one[at] === versions[0][at]))) {
      const absent = ids.findIndex((_, at) => versions[0][at] === 0);
      if (absent >= 0) throw new IdError(operation, "query", ids[absent], []);
      return [];
    }
    const newest = Math.max(...answers.map(({ querySequence }) => querySequence));
    const behind = answers.filter(({ querySequence }) => querySequence < newest);
    // Where all have come as far, a query was set while they answered.
    return behind.length > 0 ? behind : answers;
  }

  /** Whatever was seen once is in every later answer. */
  #noteSeen(answers: readonly PartitionAnswer[], isStanding: boolean): void {
    const partitions: Record<number, number> = {};
    let query = 0;
    for (const { partition, sequence, querySequence } of answers) {
      partitions[partition] = sequence;
      if (isStanding) query = Math.max(query, querySequence);
    }
    this.note({ partitions, query });
  }

  /** Decodes a partition's answer; "damaged" where that fails. */
  decoded<T>(operation: string, partition: number, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      throw new ClusterError(operation, "damaged", `partition ${partition}: ${error.message}`, [partition]);
    }
  }
}
