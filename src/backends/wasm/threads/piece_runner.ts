/**
 * Runs the pieces of one backend on the caller's thread, or shares them among workers if that is faster.
 *
 * Invariant: there is one run at a time, so the caller's thread and the first worker can use the same lane.
 */

import type { Kernels } from "../load_kernels.ts";
import type { Arena } from "../arena.ts";
import type { WorkerPool } from "./worker_pool.ts";
import { LANE_BYTES, LAYOUT, type PieceRun, runPieces } from "./pieces.ts";

/** The workers that a backend may use. */
export interface Sharing {
  readonly pool: WorkerPool;
  /** The module of the kernels. */
  readonly module: WebAssembly.Module;
  /** The largest number of threads; with 1 nothing is shared. */
  readonly threads: number;
}

/** The threads of a backend. */
export class PieceRunner {
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #sharing: Sharing | null;
  /** Addresses of lanes, one for each thread used so far. */
  readonly #lanes: number[];
  #shareable = 0;
  #mayBeTouched = false;

  constructor(kernels: Kernels, arena: Arena, sharing: Sharing | null = null) {
    this.#kernels = kernels;
    this.#arena = arena;
    this.#sharing = sharing;
    this.#lanes = [arena.take(LANE_BYTES)];
  }

  /** The number of threads that pieces have been shared among so far. */
  get threads(): number {
    return this.#lanes.length;
  }

  /**
   * Does a run of `multiplyAdds` multiply-adds, at once and with null, or among workers. If it rejects, its rows may be
   * in any state.
   */
  run(run: PieceRun, multiplyAdds: number): Promise<void> | null {
    const { pool, threads } = this.#sharing ?? ALONE;
    if (
      pool && Math.min(threads, run.pieceCount) > 1 && multiplyAdds >= pool.worth.sharing && pool.canStart
    ) {
      this.#shareable += multiplyAdds;
      if (this.#shareable >= pool.worth.starting) return this.#share(this.#sharing as Sharing, run);
    }
    this.runHere(run);
    return null;
  }

  async #share({ pool, module, threads }: Sharing, run: PieceRun): Promise<void> {
    const source = { module, memory: this.#arena.memory };
    // This is reset when the run succeeds. A worker that failed was ended, but it is not certain that it has stopped.
    this.#mayBeTouched = true;
    const isShared = await pool.share(source, run, this.#lanesFor(Math.min(threads, run.pieceCount)));
    this.#mayBeTouched = false;
    if (!isShared) this.runHere(run);
  }

  /** Does a run on the caller's thread. */
  runHere(run: PieceRun): void {
    runPieces(this.#kernels, this.#arena.allWords, run, this.#lanes[0], LAYOUT);
  }

  /** Wipes the scratch of the lanes. */
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

const ALONE = { pool: null, threads: 1 } as const;
