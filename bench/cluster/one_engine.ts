// One engine with the same keys and queries as a cluster: each call is made of both, one after the other, and
// timed; answers are compared.

import { DynamicAttention } from "../../mod.ts";
import type { ClusterMemory, ClusterOutput } from "../../src/cluster/mod.ts";
import { summary } from "./measures.ts";

/** Rows at random. */
export interface RowSource {
  row(length: number): Float32Array<ArrayBuffer>;
  below(count: number): number;
}

/** The distance from each other that answers of a cluster and of one engine may have. */
const MOST_APART = 1e-7;
/** Calls before those that are counted. */
const WARM_UP = 10;

/** Milliseconds of calls that were made of both. */
export interface BothTimes {
  readonly cluster: readonly number[];
  readonly engine: readonly number[];
}

/** The times of both, as a table shows them. */
export function bothSummary({ cluster, engine }: BothTimes): string {
  return `${summary(cluster)} / ${summary(engine)}`;
}

/** An engine beside a cluster. */
export class EngineBeside implements AsyncDisposable {
  readonly engine: DynamicAttention;
  readonly keys: number;
  readonly ids: readonly string[];
  readonly #dim: number;
  readonly #random: RowSource;
  /** Answers that were compared, and the largest distance of two numbers. */
  compared = 0;
  furthest = 0;

  private constructor(
    engine: DynamicAttention,
    keys: number,
    queries: number,
    dim: number,
    random: RowSource,
  ) {
    this.engine = engine;
    this.keys = keys;
    this.ids = Array.from({ length: queries }, (_, at) => `q${at}`);
    this.#dim = dim;
    this.#random = random;
  }

  /** An engine of random rows of `dim` numbers, with values of as many. */
  static async create(keys: number, queries: number, dim: number, random: RowSource): Promise<EngineBeside> {
    const engine = await DynamicAttention.create({
      query: Array.from({ length: queries }, () => random.row(dim)),
      key: { data: random.row(keys * dim), shape: [keys, dim] },
      value: { data: random.row(keys * dim), shape: [keys, dim] },
    });
    return new EngineBeside(engine, keys, queries, dim, random);
  }

  /** The backend that it computes on. */
  get backend(): string {
    return this.engine.stats().backend;
  }

  /** Puts the engine's keys into a cluster, some thousand in each call. */
  async load(memory: ClusterMemory, batch = 4000): Promise<void> {
    for (let from = 0; from < this.keys; from += batch) {
      const count = Math.min(batch, this.keys - from);
      await memory.edit(Array.from({ length: count }, (_, at) => {
        const slot = from + at;
        return {
          kind: "set" as const,
          id: `k${slot}`,
          key: this.engine.getKey(slot),
          value: this.engine.getValue(slot),
        };
      }));
    }
  }

  /** Sets queries anew, the same in both, and times the first answers. */
  async firstAnswers(memory: ClusterMemory): Promise<BothTimes> {
    const rows = this.ids.map(() => this.#random.row(this.#dim));
    for (const [at, row] of rows.entries()) {
      await memory.setQuery(this.ids[at], row);
      this.engine.setQuery(at, row);
    }
    return await this.#both(1, 0, () => memory.read(this.ids), () => this.engine.read());
  }

  /** Reads of all queries where nothing has changed. */
  reads(memory: ClusterMemory, rounds: number): Promise<BothTimes> {
    return this.#both(rounds, WARM_UP, () => memory.read(this.ids), () => this.engine.read());
  }

  /** An edit of a key with its value, and a read of all queries that includes it. */
  editsAndReads(memory: ClusterMemory, rounds: number): Promise<BothTimes> {
    let slot = 0, key = new Float32Array(0), value = new Float32Array(0);
    return this.#both(rounds, WARM_UP, async () => {
      [slot, key, value] = [
        this.#random.below(this.keys),
        this.#random.row(this.#dim),
        this.#random.row(this.#dim),
      ];
      const after = await memory.edit([{ kind: "set", id: `k${slot}`, key, value }]);
      return await memory.read(this.ids, { after });
    }, () => {
      this.engine.set(slot, key, value);
      return this.engine.read();
    });
  }

  /** A passing query. */
  attends(memory: ClusterMemory, rounds: number): Promise<BothTimes> {
    let row = new Float32Array(0);
    return this.#both(rounds, 2, () => {
      row = this.#random.row(this.#dim);
      return memory.attend([row]);
    }, () => this.engine.attend([row]));
  }

  /**
   * Throws where an answer was further from the engine's than rounding.
   *
   * @returns What was compared, in words.
   */
  verdict(): string {
    const words = `${this.compared} answers of both were at most ${this.furthest.toExponential(1)} apart`;
    if (!(this.furthest <= MOST_APART)) throw new Error(`${words}, expected ${MOST_APART}`);
    return words;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.engine.dispose();
  }

  async #both(
    rounds: number,
    warmUp: number,
    ofCluster: () => Promise<ClusterOutput>,
    ofEngine: () => Promise<{ readonly data: ArrayLike<number> }>,
  ): Promise<BothTimes> {
    const cluster: number[] = [], engine: number[] = [];
    for (let round = 0; round < rounds + warmUp; round++) {
      const begun = performance.now(), { output } = await ofCluster();
      const between = performance.now(), { data } = await ofEngine();
      const ended = performance.now();
      if (round >= warmUp) {
        cluster.push(between - begun);
        engine.push(ended - between);
      }
      this.compared++;
      for (let at = 0; at < output.data.length; at++) {
        const apart = Math.abs(output.data[at] - data[at]);
        // A number that is none is as far away as can be.
        this.furthest = Math.max(this.furthest, Number.isNaN(apart) ? Infinity : apart);
      }
    }
    return { cluster, engine };
  }
}
