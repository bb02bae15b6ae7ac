/**
 * Bounds of stale answers, and the limit that the caller may set on them: query slots whose bounds are above it are
 * brought up to date before they are answered.
 */

import type { Backend } from "../backends/backend.ts";
import { ErrorBalance } from "./error_balance.ts";
import type { Planner } from "./planner.ts";
import type { StandingQueries } from "./standing_queries.ts";
import type { Threshold } from "./threshold.ts";

/** The parts of an engine that bounds depend on. */
export interface StaleConfig {
  readonly backend: Pick<Backend, "work">;
  readonly queries: StandingQueries;
  readonly planner: Planner;
  readonly threshold: Threshold;
  /** Brings query slots up to date in the order of turns. */
  bringUp(slots: Uint32Array): Promise<void>;
}

/** Bounds of one engine's stale answers. */
export class StaleBounds {
  readonly #config: StaleConfig;
  readonly #balance = new ErrorBalance();
  /** Changed key slots stored since the last stale answer. */
  #changes = 0;

  constructor(config: StaleConfig) {
    this.#config = config;
  }

  /** Notes a stored batch of changed key slots. */
  noteStored(keyCount: number): void {
    this.#changes += keyCount;
  }

  /** Forgets what stale answers have cost so far. */
  reset(): void {
    this.#balance.reset();
    this.#changes = 0;
  }

  /** Bounds of query slots, within the limit if there is one; Infinity where no one asks for them. */
  async bounds(slots: Uint32Array, isWanted: boolean): Promise<Float64Array<ArrayBuffer>> {
    const { queries, threshold: { error, isAdaptive }, backend, planner, bringUp } = this.#config;
    if (!isWanted && error === Infinity) return new Float64Array(slots.length).fill(Infinity);
    const changes = this.#changes;
    this.#changes = 0;
    if (isAdaptive && !this.#balance.measures) {
      await bringUp(slots);
      this.#balance.applied(queries.costOf(slots.length, changes));
      return await queries.certify(slots);
    }
    const spentBefore = planner.costOf(backend.work);
    let bounds = await queries.certify(slots);
    const tooFar = slots.filter((_, at) => bounds[at] > error);
    if (tooFar.length > 0) {
      await bringUp(planner.policy === "auto" ? tooFar : queries.all());
      bounds = await queries.certify(slots);
    }
    if (isAdaptive) {
      const spent = planner.costOf(backend.work) - spentBefore;
      this.#balance.measured(spent, queries.costOf(slots.length, changes), queries.debtOf(slots));
    }
    return bounds;
  }
}
