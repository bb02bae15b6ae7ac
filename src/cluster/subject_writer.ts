/**
 * The edits of one client on their way to one subject.
 *
 * Invariant: one batch is on its way at a time, and it is tried again, with the same bytes, until the log has acknowledged it;
 * so batches are in the log in the order of their numbers, and no number is used for two batches of which both may be there.
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
import { ClusterError } from "./cluster_error.ts";
import { pause } from "./deadline.ts";
import { LogError, type LogSession } from "./log.ts";

const BATCH_BYTES = 480 << 10, BATCH_EDITS = 4096;
const FIRST_RETRY_MS = 20, LONGEST_RETRY_MS = 1000;

/** What a writer is made of. */
export interface WriterParts {
  readonly session: LogSession;
  readonly clock: Clock;
  readonly client: string;
  readonly subject: string;
  readonly kind: BatchKind;
  /** The partition, for messages; null for queries. */
  readonly partition: number | null;
  /** The newest sequence of the subject that hosts have told of. */
  readonly known: () => number;
}

/** Edits of one call, and how many of them are not yet in a batch that was acknowledged. */
interface Item {
  readonly edits: readonly RowEdit[];
  /** Edits that are in a batch. */
  taken: number;
  readonly operation: string;
  readonly until: number;
  readonly settle: PromiseWithResolvers<number>;
  isSettled: boolean;
}

/** Writes to one subject. */
export class SubjectWriter {
  /** Told when bytes were acknowledged. */
  readonly acknowledged = new Changes();
  readonly #parts: WriterParts;
  readonly #items: Item[] = [];
  readonly #wake = new Changes();
  readonly #end = new AbortController();
  readonly #done: Promise<void>;
  #number = 0;
  #previous: Uint8Array<ArrayBuffer> = NO_HASH;
  #last = 0;
  #bytes = 0;
  #broken: ClusterError | null = null;

  constructor(parts: WriterParts) {
    this.#parts = parts;
    this.#done = this.#run();
  }

  /** Bytes that were not acknowledged yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The sequence of the newest acknowledged batch. */
  get last(): number {
    return this.#last;
  }

  /** Puts edits behind those before; resolves with the sequence of the last one. */
  write(operation: string, edits: readonly RowEdit[], until: number): Promise<number> {
    const settle = Promise.withResolvers<number>();
    if (this.#broken) {
      settle.reject(this.#broken);
      return settle.promise;
    }
    this.#items.push({ edits, taken: 0, operation, until, settle, isSettled: false });
    for (const edit of edits) this.#bytes += editBytes(edit);
    this.#wake.tell();
    return settle.promise;
  }

  /** Waits until everything is acknowledged or given up; then ends. */
  async close(): Promise<void> {
    while (this.#items.some(({ isSettled }) => !isSettled)) await this.acknowledged.next();
    this.#end.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { clock } = this.#parts, { signal } = this.#end;
    while (!signal.aborted) {
      if (this.#items.length === 0) await this.#wake.next(signal);
      // Calls of the same turn go into one batch.
      await null;
      if (this.#items.length === 0) continue;
      const taken = this.#takeBatch();
      const sequence = await this.#append(taken.batch, clock);
      if (sequence === null) continue;
      for (const { id, row } of taken.batch.edits) this.#bytes -= editBytes({ id, row });
      for (const item of taken.finished) this.#settle(item, sequence);
      this.acknowledged.tell();
    }
  }

  /** Takes as many edits as fit into a batch, and the calls that they finish. */
  #takeBatch(): { readonly batch: Batch; readonly finished: Item[] } {
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
    const { client, kind, known } = this.#parts;
    const number = this.#number + 1;
    return {
      batch: { kind, client, number, known: Math.max(this.#last, known()), previous: this.#previous, edits },
      finished,
    };
  }

  /** Calls that the batch on its way finishes. */
  #taken: Item[] = [];

  /** Appends a batch until it is acknowledged; null when the writer has ended or is broken. */
  async #append(batch: Batch, clock: Clock): Promise<number | null> {
    const { session, subject, client, partition } = this.#parts, { signal } = this.#end;
    const body = encodeBatch(batch), id = `${client}.${batch.number}`;
    for (let wait = FIRST_RETRY_MS; !signal.aborted; wait = Math.min(2 * wait, LONGEST_RETRY_MS)) {
      try {
        const sequence = await session.append(subject, body, { id });
        if (sequence <= this.#last) {
          throw new ClusterError(
            "edit",
            "damaged",
            `the log gave number ${sequence} after ${this.#last}`,
            partition === null ? [] : [partition],
          );
        }
        this.#number = batch.number;
        this.#previous = hashOf(body);
        this.#last = sequence;
        return sequence;
      } catch (error) {
        if (!(error instanceof LogError) || !error.isPassing) {
          // An earlier try may be in the log, so that its number is used up: nothing can follow it.
          this.#break(error);
          return null;
        }
        this.#giveUpLate();
        await pause(clock, wait, [this.#wake], signal);
      }
    }
    return null;
  }

  /** Rejects the calls whose time is over; their edits stay on their way. */
  #giveUpLate(): void {
    const now = this.#parts.clock.now();
    for (const item of [...this.#taken, ...this.#items]) {
      if (!item.isSettled && now >= item.until) {
        item.settle.reject(this.#unknown(item.operation, "the log did not acknowledge the edits in time"));
        item.isSettled = true;
      }
    }
    this.acknowledged.tell();
  }

  #settle(item: Item, sequence: number): void {
    if (item.isSettled) return;
    item.isSettled = true;
    item.settle.resolve(sequence);
  }

  #unknown(operation: string, why: string, cause?: unknown): ClusterError {
    const { partition } = this.#parts;
    const options = cause === undefined ? undefined : { cause };
    const fault = cause instanceof ClusterError ? cause.fault : "unknown";
    return new ClusterError(operation, fault, why, partition === null ? [] : [partition], options);
  }

  #break(cause: unknown): void {
    const words = cause instanceof Error ? cause.message : String(cause);
    this.#broken = this.#unknown("edit", `the log failed (${words}); connect again`, cause);
    for (const item of [...this.#taken, ...this.#items]) {
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
