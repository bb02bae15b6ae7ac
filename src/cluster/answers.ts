/**
 * How a host answers requests about the partitions that it holds.
 *
 * Invariant: an answer is computed over the partition at one record and over the queries at one record, and
 * names both records; a handler never throws.
 */

import { queryColumns } from "../numerics/head_layout.ts";
import type { ScoreRule } from "../numerics/score_rule.ts";
import { checkPosition } from "./batch.ts";
import type { ClusterConfig } from "./cluster_config.ts";
import type { Clock } from "./clock.ts";
import { driftColumns } from "./drift.ts";
import { type ExactSums, placesOf, stateColumns } from "./exact_sums.ts";
import type { HeavyLists } from "./heavy_lists.ts";
import {
  decodeRequest,
  encodeHeavy,
  encodeReply,
  encodeRows,
  encodeStatePiece,
  type HostRequest,
  type PartitionReply,
  type PassingQuestion,
  type Question,
  type Refusal,
} from "./messages.ts";
import type { Partition } from "./partition.ts";
import type { QueryTable } from "./query_table.ts";
import type { Replica } from "./replica.ts";
import { encodeSnapshot } from "./snapshot.ts";
import type { StateCopies } from "./state_copies.ts";

/** Milliseconds of computing after which others get a turn. */
const SLICE_MS = 20;
const LONGEST_WAIT_MS = 60_000;
/** Questions about standing queries. */
const OF_STANDING: readonly Question["kind"][] = ["read", "top", "drift", "queries"];

/** The parts of a host that answers need. */
export interface AnswerParts {
  readonly clock: Clock;
  readonly config: ClusterConfig;
  readonly queries: Replica<QueryTable>;
  readonly replica: (partition: number) => Replica<Partition> | undefined;
  readonly heavyLists: HeavyLists;
  readonly stateCopies: StateCopies;
  readonly signal: AbortSignal;
}

/** A reply, and when it was made. */
type MadeReply = PartitionReply & { readonly madeAt?: number };

/** Answers a request. */
export async function answerRequest(
  parts: AnswerParts,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  let request: HostRequest;
  try {
    request = decodeRequest(bytes);
    checkRequest(parts.config, request);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuseAll(why);
  }
  const replies = await Promise.all(
    request.partitions.map(async ({ partition, sequence }): Promise<MadeReply> => {
      try {
        return await answerPartition(parts, request, partition, sequence);
      } catch (error) {
        return refuse(partition, "damaged", error instanceof Error ? error.message : String(error));
      }
    }),
  );
  // Replies wait for each other, and meanwhile the same question may have come again, later than they were made.
  const now = parts.clock.now();
  return encodeReply(
    replies.map(({ madeAt = now, ...reply }) =>
      reply.status === "ok" ? { ...reply, age: reply.age + now - madeAt } : reply
    ),
  );
}

/** The reply of a host that cannot answer anything of a request. */
export function refuseAll(why: string): Uint8Array<ArrayBuffer> {
  return encodeReply([{ status: "malformed", partition: 0, why }]);
}

function checkRequest({ partitions, scoring }: ClusterConfig, { question }: HostRequest): void {
  const { layout } = scoring, rule = placesOf(scoring);
  if (question.kind === "attend") {
    if (question.rows.length % queryColumns(layout) !== 0) {
      throw new Error(`rows have ${question.rows.length} numbers, expected rows of ${queryColumns(layout)}`);
    }
    if (!question.rows.every(Number.isFinite)) throw new Error("rows have a number that is not finite");
    const { placed } = question, count = question.rows.length / queryColumns(layout);
    const expected = rule ? count : 0, found = placed?.positions.length ?? 0;
    if (found !== expected) throw new Error(`${found} positions came, expected ${expected}`);
    for (const position of rule && placed ? placed.positions : []) checkPosition(rule as ScoreRule, position);
    // A client that does not know of masks must not see past them.
    if (scoring.isMasked && !placed) throw new Error("passing queries came without a mask");
  }
  if (question.kind === "drift" && question.since.length !== question.ids.length * partitions) {
    throw new Error(`${question.since.length} sequences came, expected ${partitions} for each query`);
  }
  if (question.kind === "top" && question.head >= layout.heads) {
    throw new Error(`head is ${question.head}, expected one below ${layout.heads}`);
  }
}

async function answerPartition(
  parts: AnswerParts,
  request: HostRequest,
  partition: number,
  sequence: number,
): Promise<MadeReply> {
  const { clock, queries, signal } = parts, replica = parts.replica(partition);
  if (!replica) return refuse(partition, "absent", "the host does not hold it");
  const waitMs = Math.min(LONGEST_WAIT_MS, Math.max(0, request.waitMs || 0)), until = clock.now() + waitMs;
  const late = (what: Replica<Partition | QueryTable>, wanted: number) =>
    what.phase === "damaged"
      ? refuse(partition, "damaged", what.failure)
      : refuse(partition, "late", `${what.subject} is at ${what.sequence}, expected ${wanted}`);
  if (!await replica.whenAt(sequence, waitMs, signal)) return late(replica, sequence);
  const { kind } = request.question, needsQueries = OF_STANDING.includes(kind);
  if (needsQueries && !await queries.whenAt(request.querySequence, until - clock.now(), signal)) {
    return late(queries, request.querySequence);
  }
  return await replica.exclusive(async () => {
    if (replica.phase !== "ready" || replica.sequence < sequence) return late(replica, sequence);
    // Others had turns since the queries were waited for.
    if (needsQueries && (queries.phase !== "ready" || queries.sequence < request.querySequence)) {
      return late(queries, request.querySequence);
    }
    const { state } = replica;
    // A partition that is full can still be given to another host.
    if (state.isFull && kind !== "state") return refuse(partition, "full", `it has ${state.keyCount} keys`);
    // The queries are read once, here: others may change them while the answer is computed.
    const querySequence = queries.sequence;
    const answer = await answerQuestion(parts, state, request.question, partition);
    const { ledger, keyCount, keyNorm, valueNorm } = state;
    return {
      ...{ status: "ok", partition, sequence: ledger.sequence, chain: ledger.chain, querySequence },
      ...{ age: Math.min(replica.age, 1e15), madeAt: clock.now() },
      ...{ keys: keyCount, keyNorm, valueNorm, answer },
    };
  });
}

async function answerQuestion(
  { clock, config, queries, heavyLists, stateCopies }: AnswerParts,
  state: Partition,
  question: Question,
  partition: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const { layout } = config.scoring, columns = stateColumns(layout) + 2;
  const isPlaced = placesOf(config.scoring) !== null;
  if (question.kind === "rows" || question.kind === "queries") {
    return encodeRows(question.ids.map((id) => {
      const found = question.kind === "rows" ? state.copyRow(id) : queries.state.get(id);
      if (!found) return null;
      return isPlaced ? { row: found.row, position: found.position } : { row: found.row };
    }));
  }
  if (question.kind === "state") {
    const make = () => encodeSnapshot({ config, kind: "keys", partition }, state);
    const { sequence } = state.ledger;
    return encodeStatePiece(stateCopies.piece(partition, question, clock.now(), { sequence, make }));
  }
  if (question.kind === "drift") {
    const columns = driftColumns(layout), numbers = new Float64Array(question.ids.length * columns);
    question.ids.forEach((id, at) => {
      const query = queries.state.get(id), since = question.since[at * config.partitions + partition];
      if (!query) return;
      numbers[at * columns] = query.version;
      numbers[at * columns + 1] = state.drift(id, query, since, numbers, at * columns + 2) ? 1 : 0;
    });
    return new Uint8Array(numbers.buffer);
  }
  if (question.kind === "top") {
    const query = queries.state.get(question.id), { sequence } = state.ledger;
    if (!query) {
      return encodeHeavy({ version: 0, sequence, shift: 0, mass: 0, before: 0, behind: 0, keys: [] });
    }
    return encodeHeavy(heavyLists.part(partition, question, () => {
      const heavy = state.heaviest(
        question.id,
        state.update(question.id, query),
        question.head,
        question.count,
      );
      return { version: query.version, sequence, ...heavy };
    }));
  }
  const width = queryColumns(layout);
  const isRead = question.kind === "read";
  const count = isRead ? question.ids.length : question.rows.length / width;
  // All queries are those of this moment.
  const found = isRead ? question.ids.map((id) => queries.state.get(id)) : [];
  const numbers = new Float64Array(count * columns);
  let since = clock.now();
  for (let at = 0; at < count; at++) {
    const query = found[at];
    if (isRead && !query) continue;
    const sums = isRead && query
      ? state.update(question.ids[at], query)
      : passing(state, question as PassingQuestion, at, width);
    numbers[at * columns] = query?.version ?? 1;
    numbers[at * columns + 1] = sums.norm;
    sums.write(numbers, at * columns + 2);
    if (clock.now() - since <= SLICE_MS) continue;
    await clock.sleep(0);
    since = clock.now();
  }
  return new Uint8Array(numbers.buffer);
}

/** The state of the passing query at a place of a question. */
function passing(
  state: Partition,
  { rows, placed }: PassingQuestion,
  at: number,
  width: number,
): ExactSums {
  return state.pass(rows.subarray(at * width, (at + 1) * width), placed?.positions[at], placed?.maskOf);
}

function refuse(partition: number, status: Refusal, why: string): PartitionReply {
  return { status, partition, why };
}
