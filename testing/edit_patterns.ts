// Patterns of edits between two looks: what changes, and which query slots are asked for. Tests count the work
// of answers under each, and `deno task bench:stale` times them.
//
// Engines that are made with one seed and edited with one seed see the same stream.

import type { DynamicAttention, DynamicAttentionOptions } from "../mod.ts";
import type { Random } from "./random.ts";

/** The sizes of an engine that patterns edit. */
export interface PatternSizes {
  readonly queries: number;
  readonly keys: number;
  /** d = dv. */
  readonly dim: number;
}

/** Edits before each look. */
export interface EditPattern {
  readonly name: string;
  /** Options that the engine needs. */
  readonly options?: (sizes: PatternSizes) => Partial<DynamicAttentionOptions>;
  /** Makes the edits before look number `look`. */
  edit(live: DynamicAttention, random: Random, sizes: PatternSizes, look: number): void | Promise<unknown>;
  /** The query slots that are asked for; all unless given. */
  slots?(random: Random, sizes: PatternSizes, look: number): Uint32Array;
}

/** Rows of a look at some of many. */
const SOME = 16;
/** Edits of a burst. */
const BURST = 32;

const anyKey = (random: Random, { keys }: PatternSizes) => random.below(keys);
const anyQuery = (random: Random, { queries }: PatternSizes) => random.below(queries);

function rewriteKey(live: DynamicAttention, random: Random, sizes: PatternSizes, slot: number): void {
  live.set(slot, random.row(sizes.dim), random.row(sizes.dim));
}

function nudgeKey(live: DynamicAttention, random: Random, { dim }: PatternSizes, slot: number): void {
  live.addToKey(slot, random.below(dim), 1e-3 * random.normal());
}

function rewriteQuery(live: DynamicAttention, random: Random, sizes: PatternSizes, slot: number): void {
  live.setQuery(slot, random.row(sizes.dim));
}

/** Different query slots, in any order. */
function someQueries(random: Random, { queries }: PatternSizes): Uint32Array {
  const found = new Set<number>();
  while (found.size < Math.min(SOME, queries)) found.add(random.below(queries));
  return Uint32Array.from(found);
}

const causal = ({ keys, queries }: PatternSizes) => ({
  causal: true,
  keyPositions: Array.from({ length: keys }, (_, at) => at),
  queryPositions: Array.from({ length: queries }, (_, at) => keys / 2 + at),
});

/** A mask that forbids nothing, and can be edited. */
const open = ({ keys, queries }: PatternSizes) => {
  return { mask: Array.from({ length: queries }, () => Array<boolean>(keys).fill(true)), editableMask: true };
};

/** Every pattern. */
export const EDIT_PATTERNS: readonly EditPattern[] = [
  {
    name: "an entry of a key",
    edit: (live, random, sizes) => nudgeKey(live, random, sizes, anyKey(random, sizes)),
  },
  { name: "a key", edit: (live, random, sizes) => rewriteKey(live, random, sizes, anyKey(random, sizes)) },
  {
    name: "one of 16 keys",
    edit: (live, random, sizes) => rewriteKey(live, random, sizes, random.below(16)),
  },
  { name: "the same key", edit: (live, random, sizes) => rewriteKey(live, random, sizes, 3) },
  { name: "nothing", edit: () => {} },
  {
    name: "a query",
    edit: (live, random, sizes) => rewriteQuery(live, random, sizes, anyQuery(random, sizes)),
  },
  {
    name: "a key and a query",
    edit: (live, random, sizes) => {
      rewriteKey(live, random, sizes, anyKey(random, sizes));
      rewriteQuery(live, random, sizes, anyQuery(random, sizes));
    },
  },
  {
    name: "a key and a query, of 16 each",
    edit: (live, random, sizes) => {
      rewriteKey(live, random, sizes, random.below(16));
      rewriteQuery(live, random, sizes, random.below(16));
    },
  },
  {
    name: "an entry of a key, and a query",
    edit: (live, random, sizes) => {
      nudgeKey(live, random, sizes, anyKey(random, sizes));
      rewriteQuery(live, random, sizes, anyQuery(random, sizes));
    },
  },
  {
    name: "a key and the same query",
    edit: (live, random, sizes) => {
      rewriteKey(live, random, sizes, anyKey(random, sizes));
      rewriteQuery(live, random, sizes, 5);
    },
  },
  {
    name: "a key leaves, another comes",
    edit: (live, random, sizes) => {
      live.delete(anyKey(random, sizes));
      live.insert(random.row(sizes.dim), random.row(sizes.dim));
    },
  },
  {
    name: "a query leaves, another comes",
    edit: (live, random, sizes) => {
      live.deleteQuery(anyQuery(random, sizes));
      live.insertQuery(random.row(sizes.dim));
    },
  },
  {
    name: "a key and a query leave, others come",
    edit: (live, random, sizes) => {
      live.delete(anyKey(random, sizes));
      live.insert(random.row(sizes.dim), random.row(sizes.dim));
      live.deleteQuery(anyQuery(random, sizes));
      live.insertQuery(random.row(sizes.dim));
    },
  },
  {
    name: "a burst of keys",
    edit: (live, random, sizes) => {
      for (let count = 0; count < BURST; count++) rewriteKey(live, random, sizes, anyKey(random, sizes));
    },
  },
  {
    name: "a burst of keys and queries",
    edit: (live, random, sizes) => {
      for (let count = 0; count < BURST; count++) rewriteKey(live, random, sizes, anyKey(random, sizes));
      for (let count = 0; count < BURST / 8; count++) {
        rewriteQuery(live, random, sizes, anyQuery(random, sizes));
      }
    },
  },
  {
    name: "all keys",
    edit: (live, random, sizes) => {
      for (let slot = 0; slot < sizes.keys; slot++) nudgeKey(live, random, sizes, slot);
    },
  },
  {
    name: "an entry of the mask",
    options: open,
    edit: (live, random, sizes) => {
      const queries = [anyQuery(random, sizes)], keys = [anyKey(random, sizes)];
      live.setMask(random.next() < 0.5, { queries, keys });
    },
  },
  {
    name: "a column of the mask",
    options: open,
    edit: (live, random, sizes) => live.setMask(random.next() < 0.5, { keys: [anyKey(random, sizes)] }),
  },
  {
    name: "a key's position",
    options: causal,
    edit: (live, random, sizes) => live.setPosition(anyKey(random, sizes), random.below(2 * sizes.keys)),
  },
  {
    name: "a key's and a query's position",
    options: causal,
    edit: (live, random, sizes) => {
      live.setPosition(anyKey(random, sizes), random.below(2 * sizes.keys));
      live.setQueryPosition(anyQuery(random, sizes), random.below(2 * sizes.keys));
    },
  },
  {
    name: "a key; 16 rows asked for",
    edit: (live, random, sizes) => rewriteKey(live, random, sizes, anyKey(random, sizes)),
    slots: someQueries,
  },
  {
    name: "a key and a query; 16 rows asked for",
    edit: (live, random, sizes) => {
      rewriteKey(live, random, sizes, anyKey(random, sizes));
      rewriteQuery(live, random, sizes, anyQuery(random, sizes));
    },
    slots: someQueries,
  },
  {
    name: "a key, and 16 rows are read first",
    edit: (live, random, sizes) => {
      rewriteKey(live, random, sizes, anyKey(random, sizes));
      return live.read(someQueries(random, sizes));
    },
  },
  {
    name: "a key, and all rows are read in turn first",
    edit: (live, random, sizes, look) => {
      rewriteKey(live, random, sizes, anyKey(random, sizes));
      return live.read([look % sizes.queries]);
    },
  },
];
