// A stream of batches of edits that is the same whenever it is made anew, with a model of what an engine should hold after
// each of them. Two processes that know the seed agree on every bit.

import type { DynamicAttentionOptions, Edit } from "../../mod.ts";
import { MemoryModel, type ModelKey, type ModelQuery, type ModelRule } from "../memory_model.ts";
import { Random } from "../random.ts";

/** What a stream is made of. */
export interface StreamSettings {
  readonly seed: number;
  readonly queries: number;
  readonly keys: number;
  readonly headDim: number;
  readonly valueDim: number;
  /** Whether keys are masked by a function. */
  readonly masked: boolean;
  readonly causal: boolean;
  /** Whether rows move to other positions. */
  readonly moves?: boolean;
}

export const SMALL: StreamSettings = {
  seed: 1,
  queries: 3,
  keys: 12,
  headDim: 4,
  valueDim: 3,
  masked: false,
  causal: false,
};

/** Slots of one kind as an engine gives them out. */
class Slots {
  readonly #free: number[] = [];
  #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  take(): number {
    return this.#free.pop() ?? this.#size++;
  }

  give(slot: number): void {
    this.#free.push(slot);
  }
}

/** Batches 1, 2, 3, … and the rows after the newest. */
export class EditStream {
  readonly model: MemoryModel;
  /** Batches made so far. */
  made = 0;
  readonly #settings: StreamSettings;
  readonly #keySlots: Slots;
  readonly #querySlots: Slots;

  constructor(settings: StreamSettings) {
    this.#settings = settings;
    const { seed, queries, keys, headDim, valueDim, masked, causal, moves = false } = settings;
    const rule: ModelRule = {
      heads: 1,
      kvHeads: 1,
      headDim,
      valueDim,
      scale: 0.5,
      softcap: 0,
      causal: causal ? { offset: moves ? 4 : 1000 } : false,
      window: [Infinity, Infinity],
      maskOf: masked ? biasOf : null,
    };
    this.model = new MemoryModel(rule);
    const random = new Random(seed);
    for (let slot = 0; slot < keys; slot++) {
      this.model.insertKey(slot, random.row(headDim), random.row(valueDim));
    }
    for (let slot = 0; slot < queries; slot++) this.model.insertQuery(slot, random.row(headDim));
    this.#keySlots = new Slots(keys);
    this.#querySlots = new Slots(queries);
  }

  /** The options of an engine that the stream begins with. */
  options(): DynamicAttentionOptions {
    const { rule } = this.model;
    return {
      ...this.model.matrices(),
      scale: rule.scale,
      causal: rule.causal,
      lazyThreshold: 16,
      backend: "array",
      ...(rule.maskOf ? { mask: (i: number, j: number, head: number) => this.model.mask(i, j, head) } : {}),
    };
  }

  /** The next batch, which the model has when this returns. */
  next(): Edit[] {
    const random = new Random(this.#settings.seed * 1_000_003 + ++this.made);
    return Array.from({ length: 1 + random.below(4) }, () => this.#edit(random));
  }

  /** Makes batches up to this one. */
  advanceTo(batch: number): void {
    while (this.made < batch) this.next();
  }

  #edit(random: Random): Edit {
    const { model } = this, { headDim, valueDim, keys } = this.#settings;
    const kind = random.below(12);
    const anyKey = () => random.pick(model.keySlots), anyQuery = () => random.pick(model.querySlots);
    const row = (length: number) => random.row(length);
    if (model.keys.size < keys / 2 || kind === 0 || kind === 1) {
      const key = row(headDim), value = row(valueDim);
      model.insertKey(this.#keySlots.take(), key, value);
      return { kind: "insert", key, value };
    }
    if (kind === 2 || kind === 3) {
      const slot = anyKey();
      model.keys.delete(slot);
      this.#keySlots.give(slot);
      return { kind: "delete", slot };
    }
    if (kind === 4) {
      const query = row(headDim);
      model.insertQuery(this.#querySlots.take(), query);
      return { kind: "insertQuery", query };
    }
    if (kind === 5 && model.queries.size > 1) {
      const slot = anyQuery();
      model.queries.delete(slot);
      this.#querySlots.give(slot);
      return { kind: "deleteQuery", slot };
    }
    if (kind === 6) {
      const slot = anyQuery(), query = row(headDim);
      (model.queries.get(slot) as ModelQuery).query = query;
      return { kind: "setQuery", slot, query };
    }
    if (this.#settings.moves && random.below(4) === 0) return this.#move(random);
    const slot = anyKey(), held = model.keys.get(slot) as ModelKey;
    if (kind === 7 || kind === 8) {
      const column = random.below(headDim), delta = random.normal();
      held.key[column] += delta;
      return { kind: "addToKey", slot, column, delta };
    }
    if (kind === 9) {
      const column = random.below(valueDim), delta = random.normal();
      held.value[column] += delta;
      return { kind: "addToValue", slot, column, delta };
    }
    if (kind === 10) {
      held.key = row(headDim);
      return { kind: "setKey", slot, key: held.key.slice() };
    }
    held.key = row(headDim);
    held.value = row(valueDim);
    return { kind: "set", slot, key: held.key.slice(), value: held.value.slice() };
  }

  /** A row moves among the positions that there have been. */
  #move(random: Random): Edit {
    const { model } = this, position = random.below(6) / 2;
    if (random.below(3) === 0) {
      const slot = random.pick(model.querySlots);
      model.queries.set(slot, { ...model.queries.get(slot) as ModelQuery, position });
      return { kind: "setQueryPosition", slot, position };
    }
    const slot = random.pick(model.keySlots);
    model.keys.set(slot, { ...model.keys.get(slot) as ModelKey, position });
    return { kind: "setPosition", slot, position };
  }
}

/** A bias for every pair of labels, some of them forbidden. */
function biasOf(queryLabel: number, keyLabel: number): number | boolean {
  const mix = (7 * queryLabel + 5 * keyLabel) % 11;
  return mix < 2 ? false : mix < 6 ? true : mix / 4 - 2;
}
