/**
 * The workers of the process. All backends share them: a run has them to itself, one run after the other.
 *
 * Invariant: between runs no worker does anything. When one fails, all are ended before the run rejects, and the next run
 * starts new ones; none is left once the last memory was released.
 */

import { type PieceRun, TABLE_START } from "./pieces.ts";
import { type StartThread, type Thread, threadStarter } from "./thread.ts";
import type { KernelSource } from "./worker_program.ts";

/** What work has to be worth, in multiply-adds of rows with terms: rows · terms · (d + dv). */
export interface Worth {
  /** From so much on a run is shared: an answer of a worker takes 0.1 ms. */
  readonly sharing: number;
  /** So much a backend computes that could have been shared, before workers start for it: that takes 75 ms. */
  readonly starting: number;
}

const WORTH: Worth = { sharing: 2 ** 22, starting: 2 ** 30 };

/** A worker and the memories that it knows. */
interface Member {
  readonly thread: Thread;
  readonly known: Set<number>;
}

/** Workers that take pieces of runs. */
export class WorkerPool {
  readonly worth: Worth;
  readonly #start: StartThread | null;
  readonly #members: Member[] = [];
  /** Memories in use, by number. */
  readonly #numbers = new Map<WebAssembly.Memory, number>();
  #lastNumber = 0;
  #canStart: boolean;
  #lastTurn: Promise<unknown> = Promise.resolve();

  constructor(start: StartThread | null = threadStarter(), worth: Worth = WORTH) {
    this.#start = start;
    this.#canStart = start !== null;
    this.worth = worth;
  }

  /** Whether workers can be had, as far as is known. */
  get canStart(): boolean {
    return this.#canStart;
  }

  /** Workers there are. */
  get size(): number {
    return this.#members.length;
  }

  /**
   * Shares a run among as many workers as there are lanes; false, with nothing done, where none can start. When it
   * rejects, some pieces may be done, some half, and no worker touches the memory any more.
   */
  share(source: KernelSource, run: PieceRun, lanes: readonly number[]): Promise<boolean> {
    const { memory } = source;
    const id = this.#numbers.get(memory) ?? ++this.#lastNumber;
    this.#numbers.set(memory, id);
    return this.#inTurn(async () => {
      if (!await this.#reach(lanes.length)) return false;
      const asked = lanes.map(async (lane, at) => {
        const { thread, known } = this.#members[at];
        const request = { kind: "run", id, source: known.has(id) ? null : source, run, lane } as const;
        known.add(id);
        try {
          await thread.ask(request);
        } catch (error) {
          // The others need not go on.
          Atomics.store(new Uint32Array(memory.buffer, run.table, TABLE_START / 4), 0, run.pieceCount);
          throw error;
        }
      });
      await this.#orEnd(asked);
      return true;
    });
  }

  /** Lets workers forget a memory; with the last one they end. */
  async release(memory: WebAssembly.Memory): Promise<void> {
    const id = this.#numbers.get(memory);
    if (id === undefined) return;
    this.#numbers.delete(memory);
    await this.#inTurn(async () => {
      if (this.#numbers.size === 0) return await this.#end();
      const knowing = this.#members.filter(({ known }) => known.delete(id));
      // Whoever fails at this is found out in the next run.
      await Promise.allSettled(knowing.map(({ thread }) => thread.ask({ kind: "forget", id })));
    });
  }

  /** Makes it `count` workers or more; false where they do not start. */
  async #reach(count: number): Promise<boolean> {
    if (!this.#canStart) return false;
    try {
      const started: Promise<void>[] = [];
      while (this.#members.length < count) {
        const thread = this.#start!();
        this.#members.push({ thread, known: new Set() });
        started.push(thread.ask({ kind: "hello" }));
      }
      await this.#orEnd(started);
    } catch {
      // A page may forbid workers, and says so only when one starts.
      this.#canStart = false;
      await this.#end();
    }
    return this.#canStart;
  }

  /** Waits for all; when one fails, all workers end. */
  async #orEnd(asked: readonly Promise<void>[]): Promise<void> {
    const failed = (await Promise.allSettled(asked)).find(({ status }) => status === "rejected");
    if (!failed) return;
    await this.#end();
    throw (failed as PromiseRejectedResult).reason;
  }

  async #end(): Promise<void> {
    await Promise.all(this.#members.splice(0).map(({ thread }) => thread.end()));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(work);
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }
}

/** The one of this process. */
export const WORKER_POOL: WorkerPool = new WorkerPool();
