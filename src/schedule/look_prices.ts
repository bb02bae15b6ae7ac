/**
 * Prices of the parts of a look, in counted work and in time by a backend's constants.
 */

import type { Backend } from "../backends/backend.ts";
import { type HeadLayout, outputColumns } from "../numerics/head_layout.ts";
import type { Price } from "./drift_trial.ts";
import type { Planner } from "./planner.ts";
import type { Refreshed } from "./mirror.ts";
import type { StandingQueries } from "./standing_queries.ts";

/** The parts of an engine that prices depend on. */
export interface PriceConfig {
  readonly backend: Pick<Backend, "work" | "watched" | "costs">;
  readonly layout: HeadLayout;
  readonly queries: StandingQueries;
  readonly planner: Planner;
}

/** The prices of one engine. */
export class LookPrices {
  readonly #config: PriceConfig;
  readonly #width: number;
  /** What `following` has told so far, of the drift with this generation. */
  #generation = NaN;
  #upkeep = 0;
  #batches = 0;
  #steps = 0;
  #notes = 0;
  #measured = 0;

  constructor(config: PriceConfig) {
    this.#config = config;
    this.#width = outputColumns(config.layout);
  }

  /** The counted work of the backend so far. */
  get workSoFar(): number {
    return this.#config.planner.costOf(this.#config.backend.work);
  }

  /** This much counted work in rows. */
  ofWork(work: number): Price {
    return { work, time: work * this.#config.backend.costs.times.multiplyAdd };
  }

  /** Exact answers of query slots, for whose sake so much work was done. */
  ofExact(work: number, slots: number): Price {
    return { work, time: this.#timeOf(work, slots) };
  }

  #timeOf(work: number, slots: number): number {
    const { multiplyAdd, updated, answered } = this.#config.backend.costs.times;
    return work * multiplyAdd + slots * this.#width * (answered + (work > 0 ? updated : 0));
  }

  /** The time of a whole exact look at query slots, for whose sake so much work was done. */
  timeOfExact(work: number, slots: number): number {
    const { common, look } = this.#config.backend.costs.times;
    return common + look + this.#timeOf(work, slots);
  }

  /** Answering by copies of query slots. */
  ofCopies(slots: number): Price {
    const { copy, copied } = this.#config.backend.costs.times;
    return { work: 0, time: slots * (this.#config.layout.heads * copy + this.#width * copied) };
  }

  /** Bringing rows of one epoch up to date at all, which lack so many changed keys. */
  ofLook(changes: number): Price {
    const { look, change } = this.#config.backend.costs.times;
    return { work: 0, time: look + change * changes };
  }

  /**
   * What copies have cost beside answering with them: following drift since this was last asked, and making some
   * anew, for whose sake so much work was done; `look` is the price of bringing rows up to date at all.
   */
  ofCatchingUp(work: number, { made, epochs }: Refreshed, look: Price): Price {
    const { each, batches } = this.ofFollowing(), { epoch, change } = this.#config.backend.costs.times;
    const following = plus(each, batches);
    if (made === 0) return following;
    const changes = work / made / Math.max(1, this.#config.queries.costOf(1, 1));
    const ofEpochs = { work: 0, time: epochs * (epoch + change * changes) };
    return plus(plus(following, look), plus(this.ofExact(work, made), ofEpochs));
  }

  /** The price of bringing query slots up to date now. */
  ofDebt(slots: Uint32Array): Price {
    const work = this.#config.queries.owed(slots);
    return work === 0 ? FREE : this.ofExact(work, slots.length);
  }

  /** Computing a query slot from scratch. */
  ofBuild(): Price {
    const { queries } = this.#config;
    return this.ofWork(queries.buildCost / Math.max(1, queries.all().length));
  }

  /** Beginning to follow query slots, for whose sake so much work was done. */
  ofBeginning(work: number, slots: number): Price {
    const { multiplyAdd, begun } = this.#config.backend.costs.times;
    return { work, time: work * multiplyAdd + slots * this.#config.layout.heads * begun };
  }

  /** The least that following blocks of `blockSlots` query slots costs: a few batches of one key each. */
  ofFew(keys: number, blocks: number, blockSlots: number): Price {
    const { queries, layout: { heads }, backend: { costs: { times } } } = this.#config;
    const slots = blocks * blockSlots, all = Math.max(1, queries.all().length);
    const work = queries.scoringCost(keys) * slots / all, begun = this.ofBeginning(work, slots);
    const notes = keys * heads * blocks * times.noted + keys * times.batch;
    return { work, time: begun.time + notes };
  }

  /**
   * Following drift since this was last asked: for each block that is followed, and for batches, however
   * many blocks are followed.
   */
  ofFollowing(): { readonly each: Price; readonly batches: Price } {
    const { watched, costs: { times } } = this.#config.backend;
    if (!watched) return { each: FREE, batches: FREE };
    const upkeep = watched.upkeep(), { batches, steps, notes, measured } = watched.followed;
    if (watched.generation !== this.#generation) {
      this.#generation = watched.generation;
      this.#upkeep =
        this.#batches =
        this.#steps =
        this.#notes =
        this.#measured =
          0;
    }
    const work = upkeep - this.#upkeep;
    const time = (steps - this.#steps) * times.step + (notes - this.#notes) * times.noted +
      (measured - this.#measured) * times.measured + work * times.multiplyAdd;
    const ofBatches = { work: 0, time: (batches - this.#batches) * times.batch };
    this.#upkeep = upkeep;
    this.#batches = batches;
    this.#steps = steps;
    this.#notes = notes;
    this.#measured = measured;
    return { each: { work, time }, batches: ofBatches };
  }
}

/** No cost. */
export const FREE: Price = { work: 0, time: 0 };

/** One price less another. */
export function less(from: Price, price: Price): Price {
  return { work: from.work - price.work, time: from.time - price.time };
}

/** Two prices together. */
export function plus(one: Price, other: Price): Price {
  return { work: one.work + other.work, time: one.time + other.time };
}
