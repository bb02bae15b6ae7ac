/**
 * Runs the pieces of one backend: on the thread of the caller, or shared among workers where that gains.
 *
 * Invariant: one run at a time, so that the first lane serves the caller's thread and the first worker in turn.
 */

import type { Kernels } from "../load_kernels.ts";
import type { Arena } from "../row_blocks.ts";
import type { WorkerPool } from "./worker_pool.ts";
import { LANE_BYTES, LAYOUT, type PieceRun, runPieces } from "./pieces.ts";

/** Which workers to share with, and how many. */
export interface Sharing {
  readonly pool: WorkerPool;
  /** What the kernels were made of. */
  readonly module: WebAssembly.Module;
  /** At most so many threads; with 1 nothing is shared. */
  readonly threads: number;
}

/** The threads of a backend. */
export class PieceRunner {
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #sharing: Sharing | null;
  /** Addresses, one for each thread that was used so far. */
  readonly #lanes: number[];
  #shareable = 0;
  #mayBeTouched = false;

  constructor(kernels: Kernels, arena: Arena, sharing: Sharing | null = null) {
    this.#kernels = kernels;
    this.#arena = arena;
    this.#sharing = sharing;
    this.#lanes = [arena.take(LANE_BYTES)];
  }

  /** Threads that pieces have been shared among so far. */
  get threads(): number {
    return this.#lanes.length;
  }

  /** Does a run that takes so many multiply-adds. When it rejects, some of its rows may be in any state. */
  async run(run: PieceRun, multiplyAdds: number): Promise<void> {
    const { pool, module, threads } = this.#sharing ?? ALONE;
    const count = Math.min(threads, run.pieceCount);
    if (pool?.canStart && count > 1 && multiplyAdds >= pool.worth.sharing) {
      this.#shareable += multiplyAdds;
      if (this.#shareable >= pool.worth.starting) {
        const source = { module, memory: this.#arena.memory };
        // Reset once the run ends well: a worker that failed was ended, but nothing proves that it has stopped.
        this.#mayBeTouched = true;
        const isShared = await pool.share(source, run, this.#lanesFor(count));
        this.#mayBeTouched = false;
        if (isShared) return;
      }
    }
    this.runHere(run);
  }

  /** Does a run on the thread of the caller. */
  runHere(run: PieceRun): void {
    runPieces(this.#kernels, this.#arena.memory, run, this.#lanes[0], LAYOUT);
  }

  /** Wipes what the lanes computed last. */
  forget(): void {
    for (const lane of this.#lanes) this.#arena.words(lane, LANE_BYTES / 4).fill(0);
  }

  /** Makes the workers forget this backend; returns whether its memory may serve another one from then on. */
  async dispose(): Promise<boolean> {
    await this.#sharing?.pool.release(this.#arena.memory);
    return !this.#mayBeTouched;
  }

  #lanesFor(count: number): number[] {
    while (this.#lanes.length < count) this.#lanes.push(this.#arena.take(LANE_BYTES));
    return this.#lanes.slice(0, count);
  }
}

const ALONE = { pool: null, module: null, threads: 1 } as const;
