/**
 * The edits of one client on their way to one subject.
 *
 * Invariant: one batch is on its way at a time, and it is tried again, with the same bytes, until the log has
 * acknowledged it, or has said at once that it has no room for it or does not take it; so batches are in the
 * log in the order of their numbers, and no number is used for two batches of which both may be there. A call
 * ends when its time is over, whatever the log does.
 */

import {
  type Batch,
  type BatchKind,
  editBytes,
  encodeBatch,
  hashOf,
  NO_HASH,
  type RowEdit,
} from "./batch.ts";
import { Changes } from "./changes.ts";
import type { Clock } from "./clock.ts";
import { ClusterError, type ClusterFault } from "./cluster_error.ts";
import { pause } from "./deadline.ts";
import { LogError, type LogSession } from "./log.ts";

const BATCH_BYTES = 480 << 10, BATCH_EDITS = 4096;
const FIRST_RETRY_MS = 20, LONGEST_RETRY_MS = 1000;
/** The longest time of a timer. */
const LONGEST_SLEEP_MS = 2 ** 31 - 1;

/** The parts of a writer. */
export interface WriterParts {
  readonly session: LogSession;
  readonly clock: Clock;
  readonly client: string;
  readonly subject: string;
  readonly kind: BatchKind;
  /** The partition, for messages; null for queries. */
  readonly partition: number | null;
  /** Whether rows have positions; false unless given. */
  readonly isPlaced?: boolean;
  /** The newest sequence of the subject that hosts have told of. */
  readonly known: () => number;
}

/** Edits of one call, and how many of them are not yet in a batch that was acknowledged. */
interface Item {
  readonly edits: readonly RowEdit[];
  /** Edits that are in a batch. */
  taken: number;
  /** Whether some of them were acknowledged. */
  isPartlyKept: boolean;
  readonly operation: string;
  readonly until: number;
  readonly settle: PromiseWithResolvers<number>;
  isSettled: boolean;
}

/** Writes to one subject. */
export class SubjectWriter {
  /** Told when edits were acknowledged or given up. */
  readonly acknowledged = new Changes();
  readonly #parts: WriterParts;
  /** Calls of which edits are in no batch yet, in order. */
  readonly #items: Item[] = [];
  /** Calls whose last edits are in the batch on its way. */
  #taken: Item[] = [];
  readonly #wake = new Changes();
  /** Told when a call has come whose time is over sooner than that of all others. */
  readonly #hasty = new Changes();
  readonly #end = new AbortController();
  readonly #done: Promise<unknown>;
  /** No call's time is over before this. */
  #soonest = Infinity;
  #number = 0;
  #previous: Uint8Array<ArrayBuffer> = NO_HASH;
  #last = 0;
  #bytes = 0;
  #broken: ClusterError | null = null;

  constructor(parts: WriterParts) {
    this.#parts = parts;
    this.#done = Promise.all([this.#run(), this.#watchTime()]);
  }

  /** Bytes that were neither acknowledged nor given up before they were sent. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The sequence of the newest acknowledged batch. */
  get last(): number {
    return this.#last;
  }

  /**
   * Puts edits behind those before; resolves with the sequence of the last one.
   *
   * @throws {ClusterError} "unsent" when the time is over before any of them is sent, "unknown" when it is
   * over later, "full" when the log has no room, "refused" when it does not take them.
   */
  write(operation: string, edits: readonly RowEdit[], until: number): Promise<number> {
    const settle = Promise.withResolvers<number>();
    if (this.#broken) {
      settle.reject(this.#broken);
      return settle.promise;
    }
    if (this.#end.signal.aborted) {
      settle.reject(this.#failure(operation, "unsent", "the connection has ended"));
      return settle.promise;
    }
    this.#items.push({ edits, taken: 0, isPartlyKept: false, operation, until, settle, isSettled: false });
    for (const edit of edits) this.#bytes += editBytes(edit);
    if (until < this.#soonest) {
      this.#soonest = until;
      this.#hasty.tell();
    }
    this.#wake.tell();
    return settle.promise;
  }

  /** Waits until everything is acknowledged or given up; then ends. */
  async close(): Promise<void> {
    while (this.#calls.some(({ isSettled }) => !isSettled)) await this.acknowledged.next();
    this.#end.abort();
    await this.#done;
  }

  /** Calls that have edits which are not acknowledged. */
  get #calls(): readonly Item[] {
    return [...this.#taken, ...this.#items];
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      if (this.#items.length === 0) await this.#wake.next(signal);
      // Calls of the same turn go into one batch.
      await null;
      if (this.#items.length === 0) continue;
      const batch = this.#takeBatch(), sequence = await this.#append(batch);
      if (sequence === null) continue;
      for (const edit of batch.edits) this.#bytes -= editBytes(edit);
      for (const item of this.#taken) {
        if (!item.isSettled) item.settle.resolve(sequence);
        item.isSettled = true;
      }
      this.#taken = [];
      const [next] = this.#items;
      if (next && next.taken > 0) next.isPartlyKept = true;
      this.acknowledged.tell();
    }
  }

  /** Takes as many edits as fit into a batch; the calls that they finish are in `#taken` from then on. */
  #takeBatch(): Batch {
    const edits: RowEdit[] = [], finished: Item[] = [];
    let bytes = 0;
    for (const item of this.#items) {
      for (; item.taken < item.edits.length; item.taken++) {
        const edit = item.edits[item.taken];
        bytes += editBytes(edit);
        if (edits.length > 0 && (bytes > BATCH_BYTES || edits.length >= BATCH_EDITS)) break;
        edits.push(edit);
      }
      if (item.taken < item.edits.length) break;
      finished.push(item);
    }
    this.#items.splice(0, finished.length);
    this.#taken = finished;
    const { client, kind, known } = this.#parts, number = this.#number + 1;
    return { kind, client, number, known: Math.max(this.#last, known()), previous: this.#previous, edits };
  }

  /**
   * Appends a batch until it is acknowledged; null when the log has no room for it or refuses it, or the writer
   * has ended or is broken.
   */
  async #append(batch: Batch): Promise<number | null> {
    const { session, clock, subject, client, isPlaced } = this.#parts, { signal } = this.#end;
    const body = encodeBatch(batch, isPlaced), id = `${client}.${batch.number}`;
    let isFirst = true;
    for (let wait = FIRST_RETRY_MS; !signal.aborted; wait = Math.min(2 * wait, LONGEST_RETRY_MS)) {
      try {
        const sequence = await session.append(subject, body, { id, signal });
        if (sequence <= this.#last) {
          const detail = `the log gave number ${sequence} after ${this.#last}`;
          throw this.#failure("edit", "damaged", detail);
        }
        this.#number = batch.number;
        this.#previous = hashOf(body);
        this.#last = sequence;
        return sequence;
      } catch (error) {
        if (signal.aborted) return null;
        const reason = error instanceof LogError ? error.reason : null;
        if (isFirst && (reason === "full" || reason === "refused")) {
          this.#refuse(batch, error as LogError, reason);
          return null;
        }
        isFirst = false;
        if (!(error instanceof LogError) || !error.isPassing) {
          // An earlier try may be in the log, so that its number is used up: nothing can follow it.
          this.#break(error);
          return null;
        }
        await pause(clock, wait, [this.#wake], signal);
      }
    }
    return null;
  }

  /** Gives calls up when their time is over. */
  async #watchTime(): Promise<void> {
    const { clock } = this.#parts, { signal } = this.#end;
    while (!signal.aborted) {
      if (this.#soonest === Infinity) await this.#hasty.next(signal);
      else {
        const left = Math.min(LONGEST_SLEEP_MS, this.#soonest - clock.now());
        if (left > 0) await pause(clock, left, [this.#hasty], signal);
        if (!signal.aborted && clock.now() >= this.#soonest) this.#giveUpLate();
      }
    }
  }

  /**
   * Rejects the calls whose time is over. Edits in a batch stay on their way; a call without any edit in a
   * batch leaves the queue.
   */
  #giveUpLate(): void {
    const now = this.#parts.clock.now();
    this.#soonest = Infinity;
    for (const item of this.#calls) {
      if (item.isSettled) continue;
      if (now < item.until) {
        this.#soonest = Math.min(this.#soonest, item.until);
        continue;
      }
      item.isSettled = true;
      if (item.taken > 0) {
        const why = "the log did not acknowledge the edits in time";
        item.settle.reject(this.#failure(item.operation, "unknown", why));
        continue;
      }
      this.#items.splice(this.#items.indexOf(item), 1);
      for (const edit of item.edits) this.#bytes -= editBytes(edit);
      const why = "the log is too slow; the edits were not sent";
      item.settle.reject(this.#failure(item.operation, "unsent", why));
    }
    this.acknowledged.tell();
  }

  /** Rejects the calls of a batch that the log did not take; its number is free again. */
  #refuse(batch: Batch, cause: LogError, reason: "full" | "refused"): void {
    for (const edit of batch.edits) this.#bytes -= editBytes(edit);
    // A call of which a part is in the batch is given up as a whole.
    const [next] = this.#items, refused = [...this.#taken];
    if (next && next.taken > 0) {
      this.#items.shift();
      for (const edit of next.edits.slice(next.taken)) this.#bytes -= editBytes(edit);
      refused.push(next);
    }
    this.#taken = [];
    for (const item of refused) {
      if (item.isSettled) continue;
      item.isSettled = true;
      const fault = item.isPartlyKept ? "unknown" : reason;
      item.settle.reject(this.#failure(item.operation, fault, cause.message, cause));
    }
    this.acknowledged.tell();
  }

  #failure(operation: string, fault: ClusterFault, why: string, cause?: unknown): ClusterError {
    const { partition } = this.#parts, options = cause === undefined ? undefined : { cause };
    return new ClusterError(operation, fault, why, partition === null ? [] : [partition], options);
  }

  #break(cause: unknown): void {
    const words = cause instanceof Error ? cause.message : String(cause);
    const fault = cause instanceof ClusterError ? cause.fault : "unknown";
    this.#broken = this.#failure("edit", fault, `the log failed (${words}); connect again`, cause);
    for (const item of this.#calls) {
      if (!item.isSettled) item.settle.reject(this.#broken);
      item.isSettled = true;
    }
    this.#items.length = 0;
    this.#taken = [];
    this.#bytes = 0;
    this.#end.abort();
    this.acknowledged.tell();
  }
}
