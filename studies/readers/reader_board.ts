// A live board of readers: each is a standing query over items whose vectors learn from every click, and sees the
// share of each topic among the items that suit them.
//
// Invariant: after `refresh`, `shares` is within the board's error of exact as of all clicks before the call, exact
// unless an error was given, and the slots that it returned are the readers whose row has changed.

import { DynamicAttention, type FollowedAttention } from "../../mod.ts";
import { SeededRandom } from "../../src/learning/mod.ts";

/** The size of a world. */
export interface ReaderWorld {
  readonly readers: number;
  readonly items: number;
  /** d: numbers that describe a taste. */
  readonly tastes: number;
  /** dv: topics, one of which each item is about. */
  readonly topics: number;
  /** How far an item moves towards the reader who clicks on it, as a share of the way. */
  readonly step: number;
  readonly seed: number;
}

export const LARGE_WORLD: ReaderWorld = {
  readers: 2000,
  items: 50_000,
  tastes: 16,
  topics: 8,
  step: 0.05,
  seed: 1,
};

const SCALE = 0.5;
/** The spread of an item around its topic, where topics are normal numbers. */
const SPREAD = 0.5;

/** The board. */
export class ReaderBoard {
  readonly live: DynamicAttention;
  readonly world: ReaderWorld;
  readonly #followed: FollowedAttention;
  readonly #again: Float32Array<ArrayBuffer>;
  readonly #random: SeededRandom;

  private constructor(live: DynamicAttention, world: ReaderWorld, random: SeededRandom, error: number) {
    this.live = live;
    this.world = world;
    this.#random = random;
    this.#followed = live.follow(undefined, { error });
    this.#again = new Float32Array(world.readers * world.topics);
  }

  static async create(world: ReaderWorld = LARGE_WORLD, error = 0): Promise<ReaderBoard> {
    const { readers, items, tastes, topics } = world;
    const random = new SeededRandom(world.seed);
    const normals = (count: number, scale = 1) =>
      Float32Array.from({ length: count }, () => scale * random.normal());
    const centres = Array.from({ length: topics }, () => normals(tastes));
    const key = normals(items * tastes, SPREAD), value = new Float32Array(items * topics);
    for (let item = 0; item < items; item++) {
      const topic = item % topics, centre = centres[topic];
      for (let c = 0; c < tastes; c++) key[item * tastes + c] += centre[c];
      value[item * topics + topic] = 1;
    }
    const live = await DynamicAttention.create({
      query: { data: normals(readers * tastes), shape: [readers, tastes] },
      key: { data: key, shape: [items, tastes] },
      value: { data: value, shape: [items, topics] },
      scale: SCALE,
      threads: 1,
      lazyThreshold: Infinity,
    });
    const board = new ReaderBoard(live, world, random, error);
    await board.refresh();
    return board;
  }

  /** One row per reader: the share of each topic; a row sums to 1. */
  get shares(): Float32Array {
    return this.#followed.data;
  }

  /** A random reader clicks on a random item, which moves towards them. O(d). */
  click(): void {
    const { readers, items, step } = this.world;
    const reader = this.#random.below(readers), item = this.#random.below(items);
    const taste = this.live.getQuery(reader);
    this.live.setKey(item, this.live.getKey(item).map((x, c) => x + step * (taste[c] - x)));
  }

  /** Brings readers up to date who may have left the error; returns those whose row has changed. */
  refresh(): Promise<Uint32Array> {
    return this.#followed.refresh();
  }

  /** All rows from scratch, which is what a program without memory does for each frame. */
  async again(): Promise<Float32Array> {
    await this.live.rebuild();
    return (await this.live.read(undefined, { into: this.#again })).data;
  }

  /** The topic with the largest share, one per reader. */
  favourites(): Uint8Array {
    const { readers, topics } = this.world, { shares } = this;
    return Uint8Array.from({ length: readers }, (_, reader) => {
      let best = 0;
      for (let topic = 1; topic < topics; topic++) {
        if (shares[reader * topics + topic] > shares[reader * topics + best]) best = topic;
      }
      return best;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#followed.dispose();
    await this.live.dispose();
  }
}
