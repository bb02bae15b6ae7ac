/**
 * The workers of the process, which all backends share: one run uses them at a time.
 *
 * Invariant: between runs all workers are idle. If one fails, all are ended before the run rejects, and the
 * next run starts new ones. When the last memory is released, all workers end.
 */

import { type PieceRun, TABLE_START } from "./pieces.ts";
import { type StartThread, type Thread, threadStarter } from "./thread.ts";
import type { KernelSource } from "./worker_program.ts";

/** The least work for which workers are used, in multiply-adds: rows · terms · (d + dv). */
export interface Worth {
  /** The least work of a run that is shared; a message to a worker and back takes 0.1 ms. */
  readonly sharing: number;
  /** The work in such runs after which workers are started for a backend, which takes 75 ms. */
  readonly starting: number;
}

const WORTH: Worth = { sharing: 2 ** 22, starting: 2 ** 30 };

/** A worker and the memories that it knows. */
interface Member {
  readonly thread: Thread;
  readonly known: Set<number>;
}

/** A pool of workers that take pieces of runs. */
export class WorkerPool {
  readonly worth: Worth;
  /**
   * The function that starts workers; undefined until it is needed, since loading it takes time on Deno and
   * Node.
   */
  #start: StartThread | null | undefined;
  readonly #members: Member[] = [];
  /** The ids of memories in use. */
  readonly #numbers = new Map<WebAssembly.Memory, number>();
  #lastNumber = 0;
  #hasFailed = false;
  #lastTurn: Promise<unknown> = Promise.resolve();

  /** Without `start`, the pool finds the way to start workers here on first use. */
  constructor(start?: StartThread | null, worth: Worth = WORTH) {
    this.#start = start;
    this.worth = worth;
  }

  /** Whether workers can start, as far as is known. */
  get canStart(): boolean {
    if (this.#start === undefined) this.#start = threadStarter();
    return this.#start !== null && !this.#hasFailed;
  }

  /** The number of workers. */
  get size(): number {
    return this.#members.length;
  }

  /**
   * Shares a run among as many workers as there are lanes; returns false, with nothing done, if workers
   * cannot start. If it rejects, pieces may be done, half done or not begun, and no worker uses the memory
   * any more.
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
          // The other workers need not take further pieces.
          Atomics.store(new Uint32Array(memory.buffer, run.table, TABLE_START / 4), 0, run.pieceCount);
          throw error;
        }
      });
      await this.#orEnd(asked);
      return true;
    });
  }

  /** Makes the workers forget a memory; with the last memory the workers end. */
  async release(memory: WebAssembly.Memory): Promise<void> {
    const id = this.#numbers.get(memory);
    if (id === undefined) return;
    this.#numbers.delete(memory);
    await this.#inTurn(async () => {
      if (this.#numbers.size === 0) return await this.#end();
      const knowing = this.#members.filter(({ known }) => known.delete(id));
      // A worker that fails here is noticed in the next run.
      await Promise.allSettled(knowing.map(({ thread }) => thread.ask({ kind: "forget", id })));
    });
  }

  /** Starts workers until there are `count` or more; false if they do not start. */
  async #reach(count: number): Promise<boolean> {
    if (!this.canStart) return false;
    try {
      const started: Promise<void>[] = [];
      while (this.#members.length < count) {
        const thread = this.#start!();
        this.#members.push({ thread, known: new Set() });
        started.push(thread.ask({ kind: "hello" }));
      }
      await this.#orEnd(started);
    } catch {
      // A page may forbid workers, which is known only once one starts.
      this.#hasFailed = true;
      await this.#end();
    }
    return !this.#hasFailed;
  }

  /** Waits for all answers; if one fails, all workers end. */
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

/** The pool of this process. */
export const WORKER_POOL: WorkerPool = new WorkerPool();
