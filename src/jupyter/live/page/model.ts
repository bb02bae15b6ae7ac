/**
 * What the figure computes, without a page: two engines that get the same edits. One is only looked at, and answers with
 * a certificate; the other is read, and answers exactly.
 *
 * Invariant: both have the same keys at every look. One call runs at a time.
 */

import { DynamicAttention } from "../../../engine/dynamic_attention.ts";
import { type FigureData, type PlainMatrix, unpackMatrix } from "../figure_data.ts";

/** What there is to see. */
export interface Look {
  readonly row: number;
  readonly head: number;
  /** A row a query, a column a key: the exact weights of the head. */
  readonly weights: readonly Float32Array[];
  /** The exact output of the row, all heads. */
  readonly exact: Float32Array;
  /** The least and the largest number of all exact outputs. */
  readonly range: readonly [least: number, largest: number];
  /** The output of the row as it was last brought up to date. */
  readonly stale: Float32Array;
  /** How far the stale output can be from the exact one, proven. */
  readonly bound: number;
  /** How far it is. */
  readonly distance: number;
  /** Changed keys that the stale output does not know. */
  readonly pending: number;
  readonly work: Work;
}

/** Products that were added to a sum. */
export interface Work {
  /** By the last change, and what answered it: looking at all rows, reading all rows, and computing all from scratch. */
  readonly last: readonly [stale: number, exact: number, scratch: number];
  /** By all changes. */
  readonly total: readonly [stale: number, exact: number, scratch: number];
}

/** The rule of scores, as far as sliders change it. */
export interface Rule {
  readonly scale: number;
  readonly softcap: number;
}

const NONE = [0, 0, 0] as const;

/** The engines of a figure. */
export class LiveModel {
  readonly data: FigureData;
  readonly query: PlainMatrix;
  readonly value: PlainMatrix;
  readonly headDim: number;
  readonly valueDim: number;
  /** How many changed keys a stale answer may miss. */
  threshold: number;
  readonly #original: PlainMatrix;
  /** The keys as they are. */
  #keys: PlainMatrix;
  /** The keys that the stale engine knew when it was last up to date. */
  #applied: PlainMatrix;
  #rule: Rule;
  #stale!: DynamicAttention;
  #exact!: DynamicAttention;
  #work: Work = { last: NONE, total: NONE };

  private constructor(data: FigureData) {
    this.data = data;
    this.query = unpackMatrix(data.query);
    this.value = unpackMatrix(data.value);
    this.#original = unpackMatrix(data.key);
    this.#keys = copy(this.#original);
    this.#applied = copy(this.#original);
    this.headDim = data.query.columns / data.heads;
    this.valueDim = data.value.columns / data.kvHeads;
    this.#rule = { scale: data.scale, softcap: data.softcap };
    this.threshold = data.lazyThreshold ?? Infinity;
  }

  /** Computes the first state. */
  static async create(data: FigureData): Promise<LiveModel> {
    const model = new LiveModel(data);
    await model.#start();
    return model;
  }

  /** The rule in force. */
  get rule(): Rule {
    return this.#rule;
  }

  /** A copy of a key. */
  keyOf(slot: number): Float32Array<ArrayBuffer> {
    const { data, shape: [, columns] } = this.#keys;
    return data.slice(slot * columns, (slot + 1) * columns);
  }

  /** Replaces a key, and brings the exact engine up to date. */
  async setKey(slot: number, row: Float32Array<ArrayBuffer>): Promise<void> {
    this.#keys.data.set(row, slot * row.length);
    await this.#count(() => {
      for (const engine of [this.#stale, this.#exact]) engine.setKey(slot, row);
    });
  }

  /** Exchanges the rule. Every row is computed anew; what the stale answers missed they miss still. */
  async setRule(rule: Rule): Promise<void> {
    this.#rule = rule;
    await this.#start();
  }

  /** Brings the stale answers up to date. */
  async catchUp(): Promise<void> {
    await this.#count(() => this.#stale.read());
    this.#applied = copy(this.#keys);
  }

  /** Goes back to the keys and the rule of the beginning. */
  async reset(): Promise<void> {
    this.#keys = copy(this.#original);
    this.#applied = copy(this.#original);
    this.#rule = { scale: this.data.scale, softcap: this.data.softcap };
    this.#work = { last: NONE, total: NONE };
    await this.#start();
  }

  /** What there is to see of a query and a head. */
  async look(row: number, head: number): Promise<Look> {
    const { output, bounds, pending } = await this.#stale.peek();
    if (pending === 0) this.#applied = copy(this.#keys);
    const columns = output.shape[1];
    const stale = output.data.slice(row * columns, (row + 1) * columns);
    const outputs = (await this.#exact.read()).data;
    const exact = outputs.slice(row * columns, (row + 1) * columns);
    const range = [
      outputs.reduce((a, b) => Math.min(a, b)),
      outputs.reduce((a, b) => Math.max(a, b)),
    ] as const;
    const weights: Float32Array[] = [];
    for (let i = 0; i < this.data.query.rows; i++) weights.push(await this.#exact.weights(i, { head }));
    const distance = Math.hypot(...exact.map((number, at) => number - stale[at]));
    return {
      row,
      head,
      weights,
      exact,
      range,
      stale,
      bound: bounds[row],
      distance,
      pending,
      work: this.#work,
    };
  }

  /** Ends both engines. */
  async dispose(): Promise<void> {
    await this.#stale?.dispose();
    await this.#exact?.dispose();
  }

  async #start(): Promise<void> {
    await this.dispose();
    this.#stale = await this.#engine(this.#applied);
    this.#exact = await this.#engine(this.#keys);
    const columns = this.data.key.columns;
    for (let slot = 0; slot < this.data.key.rows; slot++) {
      const row = this.keyOf(slot);
      const before = this.#applied.data.subarray(slot * columns, (slot + 1) * columns);
      if (row.some((number, at) => number !== before[at])) this.#stale.setKey(slot, row);
    }
  }

  #engine(key: PlainMatrix): Promise<DynamicAttention> {
    const { window: [before, after], heads, kvHeads, queryPositions, keyPositions, mask } = this.data;
    const masks = mask.map(unpackMatrix);
    return DynamicAttention.create({
      ...{ query: this.query, key, value: this.value, heads, kvHeads, queryPositions, keyPositions },
      ...this.#rule,
      window: [before ?? Infinity, after ?? Infinity],
      ...(masks.length === 0 ? {} : { mask: masks.length === 1 ? masks[0] : masks }),
      // A function, so that the slider need not start the engine anew.
      lazyThreshold: ({ edits }) => edits >= this.threshold,
      backend: "array",
    });
  }

  /** Counts what a change costs, and the answers to it. */
  async #count(change: () => unknown): Promise<void> {
    const engines = [this.#stale, this.#exact];
    const before = engines.map((engine) => engine.stats().multiplyAdds);
    await change();
    await this.#stale.peek();
    await this.#exact.read();
    const { query, key, heads } = this.data;
    const [stale, exact] = engines.map((engine, at) => engine.stats().multiplyAdds - before[at]);
    const last = [stale, exact, query.rows * key.rows * heads * (this.headDim + this.valueDim)] as const;
    const [a, b, c] = this.#work.total;
    this.#work = { last, total: [a + last[0], b + last[1], c + last[2]] };
  }
}

function copy({ data, shape }: PlainMatrix): PlainMatrix {
  return { data: data.slice(), shape };
}
