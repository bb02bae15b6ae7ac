/**
 * The line in which calls of `edit` wait while too many bytes are not acknowledged.
 *
 * Invariant: calls are written in the order in which they came; a call leaves the line when its time is over,
 * and then nothing of it is written.
 */

import type { Changes } from "./changes.ts";
import type { Clock } from "./clock.ts";
import { ClusterError, type ClusterFault, detailOf, partitionsText } from "./cluster_error.ts";
import { waitUntil } from "./deadline.ts";

/** Faults of edits that are kept nowhere, the one that most is to be done about last. */
const KEPT_NOWHERE: readonly ClusterFault[] = ["unsent", "full", "refused"];

/** Calls in their order. */
export class EditLine {
  readonly #clock: Clock;
  readonly #acknowledged: Changes;
  readonly #hasRoom: () => boolean;
  #end: Promise<unknown> = Promise.resolve();
  #length = 0;

  /**
   * @param acknowledged Told when there may be more room.
   * @param hasRoom Whether a call may be written.
   */
  constructor(clock: Clock, acknowledged: Changes, hasRoom: () => boolean) {
    this.#clock = clock;
    this.#acknowledged = acknowledged;
    this.#hasRoom = hasRoom;
  }

  /** Waits until every call that is in the line now was written or has left it. */
  async isEmpty(): Promise<void> {
    await this.#end;
  }

  /**
   * Writes when there is room and all earlier calls have been written.
   *
   * @param wait Milliseconds that the call may take; `write` is told until when.
   * @returns The results of the writes, once all of them have ended.
   * @throws {ClusterError} "unsent" when the time is over before anything was written; or as the writes fail.
   */
  async write<T>(
    operation: string,
    wait: number,
    write: (until: number) => readonly Promise<T>[],
  ): Promise<T[]> {
    const clock = this.#clock, until = clock.now() + wait;
    if (this.#length === 0 && this.#hasRoom()) return await allWritten(operation, write(until));
    const left = new AbortController();
    const unsent = () =>
      new ClusterError(operation, "unsent", "the log is too slow; the edits were not sent");
    let isWritten = false;
    this.#length++;
    const turn = this.#end.then(async () => {
      await waitUntil(clock, this.#acknowledged, until - clock.now(), this.#hasRoom, left.signal);
      if (left.signal.aborted || !this.#hasRoom()) throw unsent();
      isWritten = true;
      return { writes: allWritten(operation, write(until)) };
    }).finally(() => this.#length--);
    this.#end = turn.catch(() => {});
    const late = clock.sleep(wait, left.signal).then(() => {
      if (isWritten) return turn;
      left.abort();
      throw unsent();
    });
    late.catch(() => {});
    try {
      const { writes } = await Promise.race([turn, late]);
      return await writes;
    } finally {
      left.abort();
    }
  }
}

/**
 * The results of all writes. Where some fail, the call fails after all have ended: "unsent", "full" or
 * "refused" if nothing was kept.
 */
async function allWritten<T>(operation: string, writes: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(writes), values: T[] = [], errors: ClusterError[] = [];
  for (const result of results) {
    if (result.status === "fulfilled") values.push(result.value);
    else if (result.reason instanceof ClusterError) errors.push(result.reason);
    else throw result.reason;
  }
  if (errors.length === 0) return values;
  const partitions = [...new Set(errors.flatMap((error) => error.partitions))].sort((a, b) => a - b);
  const isKeptNowhere = ({ fault }: ClusterError) => KEPT_NOWHERE.includes(fault);
  const gravest = errors.find((error) => !isKeptNowhere(error)) ??
    errors.toSorted((a, b) => KEPT_NOWHERE.indexOf(b.fault) - KEPT_NOWHERE.indexOf(a.fault))[0];
  if (!isKeptNowhere(gravest) || values.length === 0) {
    throw new ClusterError(operation, gravest.fault, detailOf(gravest), partitions, { cause: gravest.cause });
  }
  const why = gravest.fault === "full"
    ? "has no room"
    : gravest.fault === "refused"
    ? "refused"
    : "is too slow";
  const { cause } = gravest;
  const detail = `the log ${why}; the edits of ${partitionsText(partitions)} were not kept, others were`;
  throw new ClusterError(operation, "unknown", detail, partitions, { cause });
}
