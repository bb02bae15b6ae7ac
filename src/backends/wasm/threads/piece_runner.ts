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
  readonly #laneBytes: number;
  /** Addresses of lanes, one for each thread used so far. */
  readonly #lanes: number[];
  #shareable = 0;
  #mayBeTouched = false;

  /** With `tileBytes`, a lane has so many more for the rows of a tile. */
  constructor(kernels: Kernels, arena: Arena, sharing: Sharing | null = null, tileBytes = 0) {
    this.#kernels = kernels;
    this.#arena = arena;
    this.#sharing = sharing;
    this.#laneBytes = LANE_BYTES + tileBytes;
    this.#lanes = [arena.take(this.#laneBytes)];
  }

  /** The number of threads that pieces have been shared among so far. */
  get threads(): number {
    return this.#lanes.length;
  }

  /** The address of the lane of the caller's thread. */
  get firstLane(): number {
    return this.#lanes[0];
  }

  /**
   * Does a run of `multiplyAdds` multiply-adds, at once and with null, or among workers. If it rejects, its rows may be
   * in any state.
   */
  run(run: PieceRun, multiplyAdds: number): Promise<void> | null {
    if (!this.staysHere(multiplyAdds, run.pieceCount)) {
      const sharing = this.#sharing as Sharing;
      this.#shareable += multiplyAdds;
      if (this.#hasShared && sharing.pool.canStart) return this.#share(sharing, run);
    }
    this.runHere(run);
    return null;
  }

  /** Whether so many multiply-adds in so many pieces are not worth sharing, or cannot be. */
  staysHere(multiplyAdds: number, pieces: number): boolean {
    const { pool, threads } = this.#sharing ?? ALONE;
    if (pool === null || Math.min(threads, pieces) <= 1 || multiplyAdds < pool.worth.sharing) return true;
    return this.#hasShared && !pool.canStart;
  }

  /** Whether there has been enough to share. Whether workers can start is not asked before, which takes time. */
  get #hasShared(): boolean {
    return this.#shareable >= (this.#sharing?.pool.worth.starting ?? Infinity);
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
    for (const lane of this.#lanes) this.#arena.words(lane, this.#laneBytes / 4).fill(0);
  }

  /** Makes the workers forget this backend; returns whether its memory may serve another one from then on. */
  async dispose(): Promise<boolean> {
    await this.#sharing?.pool.release(this.#arena.memory);
    return !this.#mayBeTouched;
  }

  #lanesFor(count: number): number[] {
    while (this.#lanes.length < count) this.#lanes.push(this.#arena.take(this.#laneBytes));
    return this.#lanes.slice(0, count);
  }
}

const ALONE = { pool: null, threads: 1 } as const;
