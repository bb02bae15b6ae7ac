/**
 * The questions of a client about states of queries, standing or passing: asked of all partitions in parts,
 * and merged.
 */

import type { AnswersOfAll, Asker } from "./asker.ts";
import type { PartitionPlace } from "./cluster_answers.ts";
import { stateColumns } from "./exact_sums.ts";
import type { GatheredAnswer } from "./gather.ts";
import type { CheckedRead, PassingRows } from "./memory_options.ts";
import { type Merged, mergePartitions } from "./merge.ts";
import { cutQuestion } from "./message_parts.ts";
import { decodeStates, type Question, textBytes } from "./messages.ts";

/** States of queries, merged. */
export interface MergedStates {
  readonly merged: Merged;
  /** Where the answers stand at the time `at`. */
  readonly places: readonly PartitionPlace[];
  readonly at: number;
  readonly missing: readonly number[];
  /** The version of each standing query. */
  readonly versions: readonly number[];
}

/** A question about `count` queries. */
export interface StatesQuestion {
  readonly count: number;
  /** The question about the queries from one to before another. */
  readonly ask: (from: number, to: number) => Question;
  /** Bytes of a query in a request, at most. */
  readonly requestBytes: (at: number) => number;
  /** Bytes beside the queries in each request, at most; 0 unless given. */
  readonly headBytes?: number;
  /** Ids of standing queries; none of passing ones. */
  readonly ids: readonly string[];
}

/** The question about standing queries. */
export function ofStanding(ids: readonly string[]): StatesQuestion {
  return {
    count: ids.length,
    ask: (from, to) => ({ kind: "read", ids: ids.slice(from, to) }),
    requestBytes: (at) => textBytes(ids[at]),
    ids,
  };
}

const NO_POSITIONS = new Float64Array(0);

/** The question about passing queries, rows of `columns` numbers, with their positions and mask where there are some. */
export function ofPassing({ rows, columns, positions, maskOf }: PassingRows): StatesQuestion {
  const isPlaced = positions !== null || maskOf !== null;
  return {
    count: rows.length / columns,
    ask: (from, to) => ({
      kind: "attend",
      rows: rows.subarray(from * columns, to * columns),
      ...(isPlaced
        ? { placed: { positions: positions?.subarray(from, to) ?? NO_POSITIONS, maskOf: maskOf ?? "" } }
        : {}),
    }),
    requestBytes: () => 4 * columns + 8,
    headBytes: textBytes(maskOf ?? ""),
    ids: [],
  };
}

/**
 * Asks for states and merges them.
 *
 * @param waits Whether they must include the records that the client knows of and those of the caller's
 * token.
 */
export async function askStates(
  asker: Asker,
  operation: string,
  { count, ask, requestBytes, headBytes = 0, ids }: StatesQuestion,
  checked: CheckedRead,
  waits: boolean,
): Promise<MergedStates> {
  const { config: { scoring, partitions }, session, clock } = asker.parts,
    { heads, valueDim } = scoring.layout;
  const until = clock.now() + checked.timeoutMs, columns = stateColumns(scoring.layout), stride = columns + 2;
  const { ranges, most } = cutQuestion(session.largestMessage - headBytes, partitions, {
    ...{ count, requestBytes, replyBytes: 8 * stride },
  });
  const merged: Merged = {
    output: new Float32Array(count * heads * valueDim),
    logSumExp: new Float64Array(count * heads),
    bounds: new Float64Array(count),
  };
  const all: GatheredAnswer[] = [], missing = new Set<number>(), versions: number[] = [];
  for (const [from, to] of ranges) {
    const rows = to - from;
    const versionsOf = (answer: Uint8Array<ArrayBuffer>) => {
      const states = decodeStates(answer, rows, columns);
      return Array.from({ length: rows }, (_, at) => states[at * stride]);
    };
    const found: AnswersOfAll = await asker.all(operation, ask(from, to), {
      ...{ checked, until, ids: ids.slice(from, to), versionsOf, waits, most },
    });
    const part = mergePartitions(
      scoring,
      rows,
      found.answers.map(({ partition, answer, keys, keyNorm, valueNorm }) => ({
        states: asker.decoded(operation, partition, () => decodeStates(answer, rows, columns)),
        ...{ keys, keyNorm, valueNorm },
      })),
    );
    versions.push(...versionsOf(found.answers[0].answer));
    merged.output.set(part.output, from * heads * valueDim);
    merged.logSumExp.set(part.logSumExp, from * heads);
    merged.bounds.set(part.bounds, from);
    for (const partition of found.missing) missing.add(partition);
    all.push(...found.answers);
  }
  const places = new Map<number, PartitionPlace>(), at = clock.now();
  for (const answer of all) addPlace(places, asker.placeOf(answer, at));
  return {
    ...{ merged, versions, at },
    places: [...places.values()].sort((a, b) => a.partition - b.partition),
    missing: [...missing].sort((a, b) => a - b),
  };
}

/** Joins a place of a partition to one before: what both include, and the greater age. */
export function addPlace(places: Map<number, PartitionPlace>, place: PartitionPlace): void {
  const { partition } = place, before = places.get(partition);
  places.set(partition, {
    ...place,
    sequence: Math.min(place.sequence, before?.sequence ?? Infinity),
    ageMs: Math.max(place.ageMs, before?.ageMs ?? 0),
  });
}
