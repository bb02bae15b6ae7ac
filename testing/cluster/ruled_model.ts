// Rules of scores of clusters, and the model that judges their answers: attention from scratch, by the oracle, over
// rows with their positions.

import type { ClusterShape, NamedMask } from "../../src/cluster/mod.ts";
import type { MaskEdit } from "../../src/cluster/pair_masks.ts";
import type { ReferenceCase } from "../../src/numerics/reference.ts";
import { MemoryModel, type ModelRule } from "../memory_model.ts";
import type { Random } from "../random.ts";

/** A row with its position; a key's is [key | value]. */
export interface RuledRow {
  readonly row: Float32Array;
  readonly position: number;
  /** Of a key: what was said last of it and a standing query; 0 unless given. */
  readonly biasOf?: (query: string, head: number) => number;
  /** Of a standing query. */
  readonly id?: string;
}

/** No rule beside a scale. */
export const PLAIN_RULE: ModelRule = {
  ...{ heads: 1, kvHeads: 1, headDim: 3, valueDim: 2, scale: 1, softcap: 0 },
  ...{ causal: false, window: [Infinity, Infinity], maskOf: null },
};

const TABLE = Array.from({ length: 24 }, (_, at) => at % 7 === 3 ? -Infinity : Math.fround(at / 9 - 1));

/** The rules of one head; positions are whole numbers from 0 to 39. */
export const ONE_HEAD_RULES: Readonly<Record<string, ModelRule>> = {
  sink: { ...PLAIN_RULE, sinks: [0.75] },
  causal: { ...PLAIN_RULE, causal: true },
  "keys behind the query alone": { ...PLAIN_RULE, causal: { offset: -3 } },
  "a window with a sink": { ...PLAIN_RULE, causal: true, window: [9, Infinity], sinks: [-0.5] },
  "a window that keeps its first keys": { ...PLAIN_RULE, window: [4, 6], keepFirst: 3 },
  "slopes and a softcap": { ...PLAIN_RULE, softcap: 2, alibi: [0.3] },
  "a table before the softcap": {
    ...{ ...PLAIN_RULE, softcap: 3, biasBeforeSoftcap: true },
    distances: { from: -12, values: [TABLE] },
  },
  rotary: { ...PLAIN_RULE, rotary: { base: 50, dims: 2, interleaved: false } },
  "blocks and slopes": {
    ...{ ...PLAIN_RULE, alibi: [0.05] },
    blocks: { size: [10, 7], entries: [[[true, 0.5, false], [-1, true, true], [false, 2, 0.25]]] },
  },
};

/** A rule of one head for two query heads, which differ as far as the rule has them differ. */
export function twoHeads(rule: ModelRule): ModelRule {
  const { sinks, alibi, distances } = rule;
  return {
    ...{ ...rule, heads: 2 },
    ...(sinks ? { sinks: [...sinks, -1] } : {}),
    ...(alibi ? { alibi: [...alibi, 0.02] } : {}),
    ...(distances ? { distances: { ...distances, values: [...distances.values, TABLE.toReversed()] } } : {}),
  };
}

/** Rules of several heads, with all that there is. */
export const RULES: Readonly<Record<string, ModelRule>> = {
  ...ONE_HEAD_RULES,
  "heads that differ": {
    ...{ ...PLAIN_RULE, heads: 4, kvHeads: 2, headDim: 4, scale: 0.8, causal: true, window: [25, Infinity] },
    ...{ sinks: [0.5, -Infinity, 4, -2], alibi: [0.25, 0, 0.01, 0.5] },
    rotary: { base: 100, dims: 4, interleaved: true },
  },
  "heads with tables and blocks": {
    ...{ ...PLAIN_RULE, heads: 2, kvHeads: 1, softcap: 4, biasBeforeSoftcap: true, window: [30, 5] },
    distances: {
      from: -12,
      values: [TABLE, TABLE.map((bias) => -bias / 2).map((bias) => bias === Infinity ? 1 : bias)],
    },
    blocks: { size: [20, 20], entries: [[[true, false], [0.5, true]], [[true, true], [false, true]]] },
  },
};

/** Whether a rule looks at positions. */
export function looksAtPlaces({ causal, window, alibi, distances, rotary, blocks }: ModelRule): boolean {
  return causal !== false || window.some((reach) => reach < Infinity) || Boolean(alibi) ||
    Boolean(distances) || Boolean(rotary) || Boolean(blocks);
}

/** The options of `create` that give a rule. */
export function ruleOptions(
  rule: ModelRule,
): Omit<ClusterShape, "partitions" | "replicas" | "editableMask" | "mask"> {
  const { heads, kvHeads, headDim: dim, valueDim, scale, softcap, causal } = rule;
  const { storage: _, ...options } = new MemoryModel(rule).options();
  return { dim, valueDim, heads, kvHeads, scale, softcap, causal, ...options };
}

/** The question that the oracle is asked about queries over keys. */
export function ruledCase(
  rule: ModelRule,
  keys: Iterable<RuledRow>,
  queries: readonly RuledRow[],
): ReferenceCase {
  const all = [...keys], split = rule.kvHeads * rule.headDim;
  const maskOf = (query: number, key: number, head: number) => {
    const { id } = queries[query];
    return id === undefined ? 0 : all[key].biasOf?.(id, head) ?? 0;
  };
  const model = new MemoryModel({ ...rule, maskOf });
  for (const [slot, { row, position }] of all.entries()) {
    model.insertKey(slot, row.subarray(0, split), row.subarray(split), position);
  }
  return model.caseOf(queries.map(({ row, position }, label) => {
    return { query: Float32Array.from(row), position, label };
  }));
}

/** A position that suits every rule. */
export function randomPlace(random: Random): number {
  return random.below(40);
}

/** What records say of masks, by the records alone, in the order of a partition. */
export class SaidMasks {
  readonly #said: (MaskEdit & { readonly key: string })[] = [];
  readonly #born = new Map<string, number>();
  readonly #first: NamedMask | undefined;

  /** @param first The mask with which the cluster was made: a list of rows, or H of them. */
  constructor(first?: NamedMask) {
    this.#first = first;
  }

  /** A key that was not there comes. */
  bear(key: string): void {
    this.#born.set(key, this.#said.length);
  }

  /** Something is said: of a key, or of all keys where that is "", and of some queries or of all. */
  say(key: string, mask: MaskEdit): void {
    this.#said.push({ key, ...mask });
  }

  /** What was said last of a pair, since its key came. */
  bias(query: string, key: string, head: number): number {
    const born = this.#born.get(key) ?? 0;
    const last = this.#said.findLast((one, at) => {
      return (one.key === "" || (one.key === key && at >= born)) && (one.head ?? head) === head &&
        (one.queries.length === 0 || one.queries.includes(query));
    });
    if (last?.biases) return last.biases[last.queries.indexOf(query)];
    return last?.bias ?? this.#firstBias(query, key, head);
  }

  #firstBias(query: string, key: string, head: number): number {
    if (this.#first === undefined) return 0;
    const row = Array.from(this.#first.queries).indexOf(query),
      column = Array.from(this.#first.keys).indexOf(key);
    if (row < 0 || column < 0) return 0;
    const entries = this.#first.entries as unknown as readonly (readonly (readonly number[])[])[];
    return entries[head][row][column];
  }
}
