// Streams of edits of which every answer has a bound: rules of scores, sizes of what is written, and kinds of
// edits.

import type { DynamicAttention } from "../mod.ts";
import type { MemoryModel, ModelKey, ModelRule } from "./memory_model.ts";
import type { Random } from "./random.ts";

/** How many keys a stream begins with; twice as many are the most. */
export const KEYS = 24;

export const PLAIN: ModelRule = {
  heads: 1,
  kvHeads: 1,
  headDim: 8,
  valueDim: 4,
  scale: 1 / Math.sqrt(8),
  softcap: 0,
  causal: false,
  window: [Infinity, Infinity],
  maskOf: null,
};

export const RULES: Record<string, ModelRule> = {
  "one head": PLAIN,
  "grouped heads, softcap": {
    ...PLAIN,
    heads: 4,
    kvHeads: 2,
    headDim: 3,
    valueDim: 2,
    scale: 0.8,
    softcap: 4,
  },
  "a window and a mask that differs by head": {
    ...PLAIN,
    heads: 2,
    kvHeads: 1,
    causal: { offset: 6 },
    window: [40, Infinity],
    maskOf: (query, key, head) => (query + 3 * key + head) % 5 > 0,
  },
  "sinks, slopes by distance and rotary positions": {
    ...PLAIN,
    rotary: { base: 100, dims: 6, interleaved: true },
    heads: 3,
    kvHeads: 1,
    sinks: [0.5, -Infinity, 4],
    alibi: [0.25, 0, 0.01],
  },
  "a table of distances before the softcap, and a window that keeps its first keys": {
    ...PLAIN,
    heads: 2,
    kvHeads: 2,
    softcap: 3,
    window: [12, Infinity],
    keepFirst: 3,
    sinks: [-2, 1],
    distances: {
      from: -20,
      values: [Array.from({ length: 30 }, (_, at) => at % 7 === 3 ? -Infinity : at / 9)],
    },
    biasBeforeSoftcap: true,
    blocks: {
      size: [4, 8],
      entries: [[[true, 1, -1, true, 0], [0.5, true, false, true, true], [1, 0, 0, 0, 0]]],
    },
  },
};

/** How an edit is drawn: sizes of what it writes, and how often it deletes or inserts. */
export interface Stream {
  readonly sizes: readonly number[];
  readonly valueSizes: readonly number[];
  readonly kinds: readonly ("entry" | "row" | "value" | "delete" | "insert")[];
  /** Whether single rows are read between peeks, so that each is of another moment. */
  readonly reads?: boolean;
}

export const STREAMS: Record<string, Stream> = {
  "entry edits": { sizes: [0.01, 0.1, 1], valueSizes: [1], kinds: ["entry"] },
  "row edits": { sizes: [0.01, 0.1, 1], valueSizes: [1], kinds: ["row"] },
  "value edits": { sizes: [1], valueSizes: [0.01, 1], kinds: ["value"] },
  "inserts and deletes": { sizes: [1], valueSizes: [1], kinds: ["insert", "delete"] },
  "all of it, hostile": {
    sizes: [1e-6, 0.1, 1, 1, 10, 60],
    valueSizes: [1e-6, 1, 1, 1e6],
    kinds: ["entry", "row", "value", "delete", "insert"],
  },
  "all of it, rows of different moments": {
    sizes: [0.01, 0.1, 1],
    valueSizes: [0.01, 1],
    kinds: ["entry", "row", "value", "delete", "insert"],
    reads: true,
  },
};

/** Edits a random key of engine and model. */
export function editOne(
  engine: DynamicAttention,
  model: MemoryModel,
  random: Random,
  { sizes, valueSizes, kinds }: Stream,
) {
  const { kvHeads, headDim, valueDim } = model.rule;
  const kind = random.pick(kinds), size = random.pick(sizes);
  if (kind === "insert" || model.keys.size === 0) {
    if (model.keys.size >= 2 * KEYS) return;
    const key = random.row(kvHeads * headDim, size),
      value = random.row(kvHeads * valueDim, random.pick(valueSizes));
    const slot = engine.insert(key, value);
    model.insertKey(slot, key, value);
    return;
  }
  // A few slots are edited again and again.
  const slots = model.keySlots;
  const slot = slots[Math.floor(slots.length * random.next() ** 2)];
  const held = model.keys.get(slot) as ModelKey;
  switch (kind) {
    case "entry": {
      const column = random.below(kvHeads * headDim), delta = size * random.normal();
      engine.addToKey(slot, column, delta);
      held.key[column] += delta;
      break;
    }
    case "row": {
      const before = held.key;
      held.key = random.row(kvHeads * headDim, size).map((x, c) => size < 1 ? before[c] + x : x);
      engine.setKey(slot, held.key);
      break;
    }
    case "value":
      held.value = random.row(kvHeads * valueDim, random.pick(valueSizes));
      engine.setValue(slot, held.value);
      break;
    case "delete":
      engine.delete(slot);
      model.keys.delete(slot);
  }
}
