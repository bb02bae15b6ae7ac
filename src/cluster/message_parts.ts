/**
 * Cuts questions into parts whose requests and replies fit into messages.
 *
 * Invariant: a part asks about one thing at least. One thing always fits, since ids, rows and states are
 * bounded.
 */

import { REPLY_BYTES } from "./messages.ts";

/** Bytes of a request beside what is asked about, and for each partition. */
const REQUEST_BYTES = 64, PLACE_BYTES = 16;

/** The things that a question asks about. */
export interface Asked {
  /** How many things: keys, queries. */
  readonly count: number;
  /** Bytes of one of them in a request, at most. */
  readonly requestBytes: (at: number) => number;
  /** Bytes of each of them in the reply of one partition, at most. */
  readonly replyBytes: number;
}

/** A question in parts. */
export interface Parts {
  /** For each part its first thing, and the first one behind it. */
  readonly ranges: readonly (readonly [from: number, to: number])[];
  /** Partitions that one request may be about. */
  readonly most: number;
}

/**
 * Cuts a question to `partitions` partitions, so that the replies of all of them fit into one message where
 * that is possible.
 */
export function cutQuestion(
  largest: number,
  partitions: number,
  { count, requestBytes, replyBytes }: Asked,
): Parts {
  const each = Math.floor(largest / partitions) - REPLY_BYTES;
  const longest = Math.max(1, Math.floor(each / Math.max(1, replyBytes)));
  const room = largest - REQUEST_BYTES - PLACE_BYTES * partitions, ranges: [number, number][] = [];
  for (let from = 0, to = 0; from < count; from = to) {
    for (let bytes = 0; to < count && to - from < longest; to++) {
      bytes += requestBytes(to);
      if (bytes > room && to > from) break;
    }
    ranges.push([from, to]);
  }
  const replyOfOne = Math.min(count, longest) * replyBytes + REPLY_BYTES;
  return { ranges, most: Math.max(1, Math.floor(largest / replyOfOne)) };
}
