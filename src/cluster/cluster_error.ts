/**
 * The errors of hosts and clients of a cluster.
 */

import { AttentionError } from "../base/errors.ts";

/**
 * Why a cluster could not do what was asked.
 *
 * - "missing": partitions have no host that answers, or none had come as far as the token in time. No answer
 *   is given.
 * - "unknown": the log did not acknowledge edits in time, or failed. They may be kept or not, and may be kept
 *   later.
 * - "unsent": the time was over before the edits were given to the log. None of them is kept, or will be.
 * - "damaged": what the log or a host holds is not what was written.
 * - "mismatch": the log holds a cluster of another shape, or none.
 * - "refused": the log does not take these edits, since the connection may not write there or a message is too
 *   large. None of them is kept; asking again gives the same until the log permits more.
 * - "full": a partition has more keys than can be summed exactly; or the log has no room for edits, of which
 * none is kept.
 */
export type ClusterFault = "missing" | "unknown" | "unsent" | "damaged" | "mismatch" | "refused" | "full";

/** A cluster could not do what was asked; `fault` says why, and `partitions` where. */
export class ClusterError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "ClusterError";
  /** The kind of failure. */
  readonly fault: ClusterFault;
  /** The partitions that are concerned, in ascending order; none where it is not about partitions. */
  readonly partitions: readonly number[];

  /** The message reads `operation: detail (fault)`. */
  constructor(
    operation: string,
    fault: ClusterFault,
    detail: string,
    partitions: readonly number[] = [],
    options?: ErrorOptions,
  ) {
    super(operation, `${detail} (${fault})`, options);
    this.fault = fault;
    this.partitions = partitions;
  }
}

/** The message of an error without its operation and its fault. */
export function detailOf({ operation, message, fault }: ClusterError): string {
  return message.slice(`${operation}: `.length, -` (${fault})`.length);
}

/**
 * Says what is wrong with a record, a snapshot or a reply; a caller that knows the operation makes a
 * `ClusterError` of it.
 */
export class Damage extends Error {}

/** "partition 3" or "partitions 1, 4 and 12 more". */
export function partitionsText(partitions: readonly number[]): string {
  const MOST = 8, shown = partitions.slice(0, MOST).join(", "), more = partitions.length - MOST;
  return `partition${partitions.length === 1 ? "" : "s"} ${shown}${more > 0 ? ` and ${more} more` : ""}`;
}
