/**
 * The questions of a client about rows by their ids, of keys and of standing queries, and about the heaviest
 * keys of a standing query.
 */

import { queryColumns } from "../numerics/head_layout.ts";
import { sinkOf } from "../numerics/score_rule.ts";
import type { Asker } from "./asker.ts";
import type { ClusterKey, StoredKey } from "./cluster_answers.ts";
import { partitionOf, rowColumns } from "./cluster_config.ts";
import { ClusterError } from "./cluster_error.ts";
import { placesOf } from "./exact_sums.ts";
import type { CheckedRead } from "./memory_options.ts";
import { mergeHeavy } from "./merge.ts";
import { cutQuestion } from "./message_parts.ts";
import {
  decodeHeavy,
  decodeRows,
  type HeavyAnswer,
  type PlacedRow,
  REPLY_BYTES,
  textBytes,
  type TopQuestion,
} from "./messages.ts";

/** A part of a list of heavy keys has room for one key at least. */
const LEAST_ROOM = 2048;

/** Rows of keys with their values, as they are stored; null where there is none. */
export async function storedKeys(
  asker: Asker,
  operation: string,
  wanted: readonly string[],
  checked: CheckedRead,
): Promise<(StoredKey | null)[]> {
  const { config, session, clock } = asker.parts, { layout } = config.scoring;
  const isPlaced = placesOf(config.scoring) !== null;
  const width = rowColumns(layout), keys = width - layout.kvHeads * layout.valueDim;
  const until = clock.now() + checked.timeoutMs, token = asker.tokenOf(checked);
  const rows = new Array<StoredKey | null>(wanted.length).fill(null), groups = new Map<number, number[]>();
  wanted.forEach((id, at) => {
    const partition = partitionOf(id, config.partitions), group = groups.get(partition);
    if (group) group.push(at);
    else groups.set(partition, [at]);
  });
  await Promise.all([...groups].map(async ([partition, places]) => {
    const one = { partition, sequence: token.partitions[partition] ?? 0, querySequence: 0 };
    const { ranges } = cutQuestion(session.largestMessage, 1, {
      count: places.length,
      requestBytes: (at) => textBytes(wanted[places[at]]),
      replyBytes: 4 * width + 16,
    });
    for (const [from, to] of ranges) {
      const part = places.slice(from, to), ids = part.map((at) => wanted[at]);
      const { answer } = await asker.one(operation, { kind: "rows", ids }, one, until);
      asker.decoded(operation, partition, () => decodeRows(answer, part.length, width, isPlaced)).forEach(
        (one, at) => {
          if (!one) return;
          const { row, position } = one, placed = position === undefined ? {} : { position };
          rows[part[at]] = { key: row.slice(0, keys), value: row.slice(keys), ...placed };
        },
      );
    }
  }));
  return rows;
}

/** Rows of standing queries with their positions; null where there is none. Any host knows them, so the hosts of one partition are asked. */
export async function standingRows(
  asker: Asker,
  operation: string,
  wanted: readonly string[],
  checked: CheckedRead,
): Promise<(PlacedRow | null)[]> {
  const { config: { scoring, partitions }, session, clock } = asker.parts, { layout } = scoring;
  const isPlaced = placesOf(scoring) !== null;
  const width = queryColumns(layout), until = clock.now() + checked.timeoutMs;
  const partition = asker.answeredPartition(wanted.length === 0 ? 0 : partitionOf(wanted[0], partitions));
  const one = { partition, sequence: 0, querySequence: asker.tokenOf(checked).query };
  const { ranges } = cutQuestion(session.largestMessage, 1, {
    count: wanted.length,
    requestBytes: (at) => textBytes(wanted[at]),
    replyBytes: 4 * width + 16,
  });
  const rows: (PlacedRow | null)[] = [];
  for (const [from, to] of ranges) {
    const ids = wanted.slice(from, to);
    const { answer } = await asker.one(operation, { kind: "queries", ids }, one, until);
    rows.push(...asker.decoded(operation, partition, () => decodeRows(answer, ids.length, width, isPlaced)));
  }
  return rows;
}

/** A question about the heaviest keys. */
export interface Heaviest {
  readonly id: string;
  readonly head: number;
  readonly count: number;
}

/**
 * The heaviest keys of a head of a standing query, over all partitions. Each partition gives the beginning of
 * its list; more of it is asked for as long as keys that follow there may be among the heaviest of all.
 */
export async function heaviestKeys(
  asker: Asker,
  operation: string,
  heaviest: Heaviest,
  checked: CheckedRead,
): Promise<ClusterKey[]> {
  const { config: { partitions, scoring }, session, clock } = asker.parts, { id, count } = heaviest;
  const sink = scoring.rule ? sinkOf(scoring.rule, heaviest.head) : -Infinity;
  const until = clock.now() + checked.timeoutMs, room = session.largestMessage;
  const first = Math.max(LEAST_ROOM, Math.floor(room / partitions) - REPLY_BYTES);
  const question: TopQuestion = { kind: "top", ...heaviest, skip: 0, sequence: 0, room: first };
  const decode = (partition: number, answer: Uint8Array<ArrayBuffer>) =>
    asker.decoded(operation, partition, () => decodeHeavy(answer));
  for (;;) {
    const { answers } = await asker.all(operation, question, {
      ...{ checked, until, ids: [id], most: Math.max(1, Math.floor(room / (first + REPLY_BYTES))) },
      versionsOf: (answer) => [decodeHeavy(answer).version],
    });
    const lists = new Map(answers.map(({ partition, answer }) => [partition, decode(partition, answer)]));
    const { version } = [...lists.values()][0];
    for (let isSame = true; isSame;) {
      const merged = mergeHeavy([...lists.values()], count, sink), open = stillOpen(lists, merged, count);
      if (open.length === 0) return merged;
      await Promise.all(open.map(async ([partition, list]) => {
        const { sequence, keys } = list;
        const more = { ...question, skip: keys.length, sequence, room: room - 2 * REPLY_BYTES };
        const wanted = { partition, sequence, querySequence: version };
        const next = decode(partition, (await asker.one(operation, more, wanted, until)).answer);
        // Where the query was set anew, nothing of what came before is of use.
        if (next.version !== version) isSame = false;
        const isNew = next.sequence !== sequence;
        if (next.before !== (isNew ? 0 : keys.length)) {
          const detail =
            `partition ${partition}: heavy keys begin at ${next.before}, expected ${keys.length}`;
          throw new ClusterError(operation, "damaged", detail, [partition]);
        }
        lists.set(partition, isNew ? next : { ...next, keys: [...keys, ...next.keys] });
      }));
    }
  }
}

/** The lists of which keys that follow may be among the heaviest of all. */
function stillOpen(
  lists: ReadonlyMap<number, HeavyAnswer>,
  merged: readonly ClusterKey[],
  count: number,
): [number, HeavyAnswer][] {
  const heaviest = new Set(merged.map(({ id }) => id));
  // A list whose last key is not among the heaviest has none behind it that is.
  return [...lists].filter(([, { behind, keys }]) =>
    behind > 0 && (merged.length < count || heaviest.has(keys[keys.length - 1].id))
  );
}
