/**
 * What the figure computes, without a page: a pair of engines over the matrices of a figure, whose keys and rule change.
 *
 * Invariant: what the stale answers have missed they miss still when the rule is another, until they catch up.
 */

import { type FigureData, type PlainMatrix, unpackMatrix } from "../figure_data.ts";
import { type Costs, EnginePair, NO_COSTS } from "./engine_pair.ts";

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
  readonly costs: Costs;
}

/** The rule of scores, as far as sliders change it. */
export interface Rule {
  readonly scale: number;
  readonly softcap: number;
}

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
  #pair!: EnginePair;

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
    model.#pair = await model.#start(model.#rule, NO_COSTS);
    return model;
  }

  /** The rule in force. */
  get rule(): Rule {
    return this.#rule;
  }

  /** A copy of a key. */
  keyOf(slot: number): Float32Array<ArrayBuffer> {
    return rowOf(this.#keys, slot).slice();
  }

  /** Replaces a key. */
  setKey(slot: number, row: Float32Array<ArrayBuffer>): void {
    rowOf(this.#keys, slot).set(row);
    this.#pair.edit([{ kind: "setKey", slot, key: row }]);
  }

  /** Exchanges the rule. Every row is computed anew. */
  async setRule(rule: Rule): Promise<void> {
    await this.#restart(rule, this.#pair.costs);
  }

  /** Brings the stale answers up to date. */
  async catchUp(): Promise<void> {
    await this.#pair.catchUp();
    this.#applied = copy(this.#keys);
  }

  /** Goes back to the keys and the rule of the beginning. */
  async reset(): Promise<void> {
    this.#keys = copy(this.#original);
    this.#applied = copy(this.#original);
    await this.#restart({ scale: this.data.scale, softcap: this.data.softcap }, NO_COSTS);
  }

  /** What there is to see of a query and a head. */
  async look(row: number, head: number): Promise<Look> {
    const { exact, stale, columns, bounds, distances, pending, weights, costs } = await this.#pair.look(head);
    if (pending === 0) this.#applied = copy(this.#keys);
    const ofRow = (outputs: Float32Array) => outputs.slice(row * columns, (row + 1) * columns);
    const range = [
      exact.reduce((a, b) => Math.min(a, b)),
      exact.reduce((a, b) => Math.max(a, b)),
    ] as const;
    return {
      ...{ row, head, weights, range, pending, costs },
      exact: ofRow(exact),
      stale: ofRow(stale),
      bound: bounds[row],
      distance: distances[row],
    };
  }

  /** Ends both engines. */
  async dispose(): Promise<void> {
    await this.#pair.dispose();
  }

  /** Makes the engines anew. */
  async #restart(rule: Rule, costs: Costs): Promise<void> {
    const before = this.#pair;
    this.#pair = await this.#start(rule, costs);
    this.#rule = rule;
    await before.dispose();
  }

  #start(rule: Rule, costs: Costs): Promise<EnginePair> {
    const { window: [before, after], heads, kvHeads, queryPositions, keyPositions, mask, key } = this.data;
    const masks = mask.map(unpackMatrix);
    const slots = Array.from({ length: key.rows }, (_, slot) => slot);
    const isMissed = (slot: number) => {
      const applied = rowOf(this.#applied, slot);
      return rowOf(this.#keys, slot).some((number, at) => number !== applied[at]);
    };
    return EnginePair.create({
      exact: {
        ...{ query: this.query, value: this.value, heads, kvHeads, queryPositions, keyPositions },
        ...rule,
        key: this.#keys,
        window: [before ?? Infinity, after ?? Infinity],
        ...(masks.length === 0 ? {} : { mask: masks.length === 1 ? masks[0] : masks }),
        backend: "array",
      },
      stale: {
        key: this.#applied,
        // It is a function, so that moving the slider does not need a new engine.
        lazyThreshold: ({ edits }) => edits >= this.threshold,
        // Answers stay as they were until then, also where exact ones would take less time than bounds.
        onThreshold: "patch",
      },
      missed: slots.filter(isMissed).map((slot) => ({ kind: "setKey", slot, key: this.keyOf(slot) })),
      productsPerPair: heads * (this.headDim + this.valueDim),
      costs,
    });
  }
}

function copy({ data, shape }: PlainMatrix): PlainMatrix {
  return { data: data.slice(), shape };
}

function rowOf({ data, shape: [, columns] }: PlainMatrix, row: number): Float32Array<ArrayBuffer> {
  return data.subarray(row * columns, (row + 1) * columns);
}
