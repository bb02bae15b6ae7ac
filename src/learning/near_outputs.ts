/**
 * Outputs of standing queries that may be stale within an error: copies that the drift ledger of the engine keeps, made
 * when a query is first asked for, and again when it may have left the error.
 *
 * Invariant: an output is copied out before its copy can be made again.
 */

import { outputColumns } from "../numerics/head_layout.ts";
import { EngineCore } from "../engine/engine_core.ts";
import type { AnyEngine } from "./any_engine.ts";

/** An output, a bound on its distance from exact, and the number of changed keys that it does not include. */
export interface NearOutput {
  readonly output: Float64Array<ArrayBuffer>;
  readonly bound: number;
  readonly pending: number;
}

type Followed = ReturnType<EngineCore["follow"]>;

/** The copies of one learner. */
export class NearOutputs {
  readonly #live: AnyEngine;
  readonly #error: number;
  #followed: Followed | null = null;
  /** By query slot. */
  #data = new Float32Array(0);

  constructor(live: AnyEngine, error: number) {
    this.#live = live;
    this.#error = error;
  }

  /** The output of a live query slot within the error, as of the call. */
  async output(operation: string, slot: number): Promise<NearOutput> {
    const core = EngineCore.of(operation, this.#live), width = outputColumns(core.rules.layout);
    this.#reserve(core.rules.querySlots.size * width);
    const followed = this.#followed ??= core.follow(true);
    const current = () => this.#data;
    const bounds = new Float64Array(1);
    const places = {
      // It may have grown when a row is written.
      get data() {
        return current();
      },
      width,
      rowOf: (slot: number) => slot,
      bounds,
      areBoundsWanted: () => true,
    };
    const asked = Uint32Array.of(slot);
    await followed.refresh(operation, asked, this.#error, places);
    const output = Float64Array.from(this.#data.subarray(slot * width, (slot + 1) * width));
    return { output, bound: bounds[0], pending: followed.pendingOf(asked) };
  }

  /** Lets go of all copies; the next question makes them anew. */
  release(): void {
    this.#followed?.release();
    this.#followed = null;
    this.#data.fill(0);
    this.#data = new Float32Array(0);
  }

  #reserve(count: number): void {
    if (count <= this.#data.length) return;
    const data = new Float32Array(Math.max(count, 2 * this.#data.length));
    data.set(this.#data);
    this.#data.fill(0);
    this.#data = data;
  }
}
