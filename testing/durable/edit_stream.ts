// A stream of batches of edits that is the same whenever it is made anew, with a model of what an engine should hold after
// each of them. Two processes that know the seed agree on every bit.

import type { DynamicAttentionOptions, Edit, RowId } from "../../mod.ts";
import type { DurableAttention } from "../../src/durable/mod.ts";
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
  /** Whether rows are called by ids: keys by texts, queries by bigints. */
  readonly ids?: boolean;
  /** Whether ranges of rows move together before some batches. */
  readonly shifts?: boolean;
  /** Whether each batch also changes a block of an editable mask. */
  readonly maskEdits?: boolean;
}

/** An edit by slots or by ids. */
export type AnyEdit = Edit<RowId, RowId>;

/** A block of a mask, as `setMask` takes it. */
export interface MaskBlock {
  readonly entries: number[][];
  readonly queries: RowId[];
  readonly keys: RowId[];
}

/** The slots that an editable mask covers. */
const MASK_ROWS = 48, MASK_COLUMNS = 96;

export const SMALL: StreamSettings = {
  seed: 1,
  queries: 3,
  keys: 12,
  headDim: 4,
  valueDim: 3,
  masked: false,
  causal: false,
};

/** A move of all rows of a range, as `shiftPositions` takes it. */
export interface StreamShift {
  readonly by: number;
  readonly from: number;
  readonly to: number;
}

/** Changes the mask, and moves ranges of rows, as the next batch of a stream wants it, where it does. */
export function prepareNext(
  live: Pick<DurableAttention<RowId, RowId>, "setMask" | "shiftPositions">,
  stream: EditStream,
): void {
  const block = stream.nextMask(), shift = stream.nextShift();
  if (block) {
    const { entries, ...place } = block;
    live.setMask(entries, place);
  }
  if (shift) live.shiftPositions(shift.by, { from: shift.from, to: shift.to });
}

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
  /** The batch whose shift was made; −1 for none. */
  #shifted = -1;
  /** The slot of the row that was inserted last. */
  #taken = 0;
  /** The label of the row that was deleted last. */
  #goneLabel = 0;
  /** By slot of a query, then of a key; of those that were deleted, too. */
  readonly #mask = new Float32Array(MASK_ROWS * MASK_COLUMNS);
  /** The slots of rows by their labels. */
  readonly #slotOf = new Map<number, number>();

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
      maskOf: masked
        ? biasOf
        : settings.maskEdits
        ? (query, key) => this.#mask[this.#placeOf(this.#slotOf.get(query), this.#slotOf.get(key))]
        : null,
    };
    this.model = new MemoryModel(rule);
    if (settings.ids) this.model.names = { key: keyName, query: queryName };
    const random = new Random(seed);
    for (let slot = 0; slot < keys; slot++) {
      this.model.insertKey(slot, random.row(headDim), random.row(valueDim));
    }
    for (let slot = 0; slot < queries; slot++) this.model.insertQuery(slot, random.row(headDim));
    this.#keySlots = new Slots(keys);
    this.#querySlots = new Slots(queries);
    this.#noteSlots();
  }

  /** The options of an engine that the stream begins with. */
  options(): DynamicAttentionOptions<RowId, RowId> {
    const { rule } = this.model, { masked, ids, maskEdits } = this.#settings;
    const labels = (rows: ReadonlyMap<number, { readonly label: number }>) =>
      [...rows.values()].map(({ label }) => label);
    const asked = ids
      ? (i: RowId, j: RowId) => biasOf(Number(i), Number(String(j).slice(KEY_NAME.length)))
      : (i: RowId, j: RowId, head: number) => this.model.mask(i as number, j as number, head);
    return {
      ...this.model.matrices(),
      scale: rule.scale,
      causal: rule.causal,
      lazyThreshold: 16,
      backend: "array",
      ...(masked ? { mask: asked } : {}),
      ...(maskEdits
        ? {
          mask: { data: new Float32Array(this.#mask), shape: [MASK_ROWS, MASK_COLUMNS] },
          editableMask: true,
        }
        : {}),
      ...(ids
        ? {
          keyIds: labels(this.model.keys).map(keyName),
          queryIds: labels(this.model.queries).map(queryName),
        }
        : {}),
    };
  }

  /** The next batch, which the model has when this returns. */
  next(): AnyEdit[] {
    this.nextMask();
    this.nextShift();
    const random = new Random(this.#settings.seed * 1_000_003 + ++this.made);
    return Array.from({ length: 1 + random.below(4) }, () => {
      const edit = this.#settings.ids ? this.#named(random) : this.#edit(random);
      this.#noteSlots();
      return edit;
    });
  }

  /** The block of the mask that goes before the next batch; null where there is none. The model has it, too. */
  nextMask(): MaskBlock | null {
    if (!this.#settings.maskEdits) return null;
    const random = new Random(this.#settings.seed * 999_983 + this.made), { model } = this;
    const some = (slots: readonly number[]) => slots.filter(() => random.below(3) === 0);
    const queries = some(model.querySlots), keys = some(model.keySlots);
    const entries = queries.map((query) =>
      keys.map((key) => {
        const bias = random.below(5) === 0 ? -Infinity : Math.fround(random.normal());
        this.#mask[this.#placeOf(query, key)] = bias;
        return bias;
      })
    );
    return {
      entries,
      queries: queries.map((slot) => this.#queryName(slot)),
      keys: keys.map((slot) => this.#keyName(slot)),
    };
  }

  /** The shift that goes before the next batch, at the first call; null where there is none. The model has it, too. */
  nextShift(): StreamShift | null {
    if (!this.#settings.shifts || this.#shifted === this.made) return null;
    this.#shifted = this.made;
    const random = new Random(this.#settings.seed * 998_857 + this.made);
    if (random.below(3) > 0) return null;
    const by = random.pick([-2, -0.5, 1, 3]), from = random.pick([-Infinity, 0, 1.5, 4]);
    const shift = { by, from, to: random.pick([Infinity, 5, from + 2]) };
    this.model.shift(shift.by, shift.from, shift.to);
    return shift;
  }

  /** Makes batches up to this one. */
  advanceTo(batch: number): void {
    while (this.made < batch) this.next();
  }

  /** An edit by ids; some that write or insert a row are upserts. */
  #named(random: Random): AnyEdit {
    const { model } = this, isUpsert = random.below(2) === 0, edit = this.#edit(random);
    if (edit.kind === "upsert" || edit.kind === "upsertQuery") return edit;
    const isQuery = edit.kind.endsWith("Query") || edit.kind === "setQueryPosition";
    const rows: ReadonlyMap<number, { readonly label: number }> = isQuery ? model.queries : model.keys;
    const isInsert = edit.kind === "insert" || edit.kind === "insertQuery";
    const label = rows.get(isInsert ? this.#taken : edit.slot)?.label ?? this.#goneLabel;
    const id = isQuery ? queryName(label) : keyName(label);
    if (isInsert) {
      return { ...edit, id, ...(isUpsert ? { kind: isQuery ? "upsertQuery" : "upsert" } : {}) } as AnyEdit;
    }
    if (isUpsert && edit.kind === "set") return { kind: "upsert", id, key: edit.key, value: edit.value };
    if (isUpsert && edit.kind === "setQuery") return { kind: "upsertQuery", id, query: edit.query };
    return { ...edit, slot: id };
  }

  #keyName(slot: number): RowId {
    return this.#settings.ids ? keyName((this.model.keys.get(slot) as ModelKey).label) : slot;
  }

  #queryName(slot: number): RowId {
    return this.#settings.ids ? queryName((this.model.queries.get(slot) as ModelQuery).label) : slot;
  }

  #noteSlots(): void {
    if (!this.#settings.maskEdits) return;
    for (const rows of [this.model.keys, this.model.queries]) {
      for (const [slot, { label }] of rows) this.#slotOf.set(label, slot);
    }
  }

  #placeOf(query: number | undefined, key: number | undefined): number {
    if (query === undefined || key === undefined) {
      throw new Error("the mask is asked for a row that is not there");
    }
    if (query >= MASK_ROWS || key >= MASK_COLUMNS) {
      throw new Error(`the mask does not cover ${query}, ${key}`);
    }
    return query * MASK_COLUMNS + key;
  }

  #edit(random: Random): Edit {
    const { model } = this, { headDim, valueDim, keys } = this.#settings;
    const isFull = this.#settings.maskEdits === true &&
      (model.keys.size > MASK_COLUMNS - 8 || model.queries.size > MASK_ROWS - 8);
    const kind = isFull ? random.pick([2, 3, 5]) : random.below(12);
    const anyKey = () => random.pick(model.keySlots), anyQuery = () => random.pick(model.querySlots);
    const row = (length: number) => random.row(length);
    if (model.keys.size < keys / 2 || kind === 0 || kind === 1) {
      const key = row(headDim), value = row(valueDim);
      this.#taken = this.#keySlots.take();
      model.insertKey(this.#taken, key, value);
      return { kind: "insert", key, value };
    }
    if (kind === 2 || kind === 3) {
      const slot = anyKey();
      this.#goneLabel = (model.keys.get(slot) as ModelKey).label;
      model.keys.delete(slot);
      this.#keySlots.give(slot);
      return { kind: "delete", slot };
    }
    if (kind === 4) {
      const query = row(headDim);
      this.#taken = this.#querySlots.take();
      model.insertQuery(this.#taken, query);
      return { kind: "insertQuery", query };
    }
    if (kind === 5 && model.queries.size > 1) {
      const slot = anyQuery();
      this.#goneLabel = (model.queries.get(slot) as ModelQuery).label;
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
      model.reach("query", position);
      model.queries.set(slot, { ...model.queries.get(slot) as ModelQuery, position });
      return { kind: "setQueryPosition", slot, position };
    }
    const slot = random.pick(model.keySlots);
    model.reach("key", position);
    model.keys.set(slot, { ...model.keys.get(slot) as ModelKey, position });
    return { kind: "setPosition", slot, position };
  }
}

const KEY_NAME = "schlüssel ";

function keyName(label: number): string {
  return KEY_NAME + label;
}

function queryName(label: number): bigint {
  return BigInt(label);
}

/** A bias for every pair of labels, some of them forbidden. */
function biasOf(queryLabel: number, keyLabel: number): number | boolean {
  const mix = (7 * queryLabel + 5 * keyLabel) % 11;
  return mix < 2 ? false : mix < 6 ? true : mix / 4 - 2;
}
