/**
 * The mask with which a cluster is made: a matrix of standing queries and keys by their ids, for all heads or
 * one for each. It is part of the cluster's config.
 *
 * Invariant: a key has its entries whenever it comes, unless something else was said of the query since.
 */

import { describe, InputError } from "../base/errors.ts";
import { allocate } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";
import {
  callOf,
  ENTRY,
  type MaskFunction,
  type MaskMatrix,
  toBias,
  toMatrices,
} from "../write/mask_input.ts";
import { Damage } from "./cluster_error.ts";
import { type FirstMask, isBias } from "./pair_masks.ts";

/** A mask of pairs by ids: of queries × keys, as the option `mask` of one engine is of rows and columns. */
export interface NamedMask {
  /** Ids of standing queries, one for each row. */
  readonly queries: ArrayLike<string>;
  /** Ids of keys, one for each column. */
  readonly keys: ArrayLike<string>;
  /**
   * A matrix of booleans or numbers, a list of H of them, or a function of the id of a query, that of a key,
   * and the head, which is asked about each of these pairs once, by the call that is given it.
   */
  readonly entries: MaskMatrix | ArrayLike<MaskMatrix> | MaskFunction<string, string>;
}

/** Checked entries of a mask: for each of its matrices, queries × keys biases, row-major. */
export interface MaskBlock {
  readonly queries: readonly string[];
  readonly keys: readonly string[];
  readonly matrices: readonly Float32Array[];
}

/** A query with its biases for a key, one for each mask of a pair. */
interface InitialEntry {
  readonly query: string;
  readonly biases: readonly number[];
}

/** The matrices of entries that were given for pairs; `heads` is how many there may be beside one. */
export function toMaskMatrices(
  operation: string,
  name: string,
  entries: unknown,
  queries: readonly string[],
  keys: readonly string[],
  heads: number,
): Float32Array[] {
  if (typeof entries === "function") {
    const ask = entries as MaskFunction<string, string>;
    return Array.from({ length: heads }, (_, head) => askAll(operation, name, ask, queries, keys, head));
  }
  const matrices = toMatrices(operation, entries, heads, name);
  return matrices.map(({ data, rows, columns }, at) => {
    const isFit = rows === queries.length && (rows === 0 || columns === keys.length);
    if (isFit) return data;
    throw new InputError(
      operation,
      `${matrices.length > 1 ? `${name}[${at}] is` : `${name} are`} ${rows} × ${columns}`,
      `${queries.length} × ${keys.length} (queries × keys)`,
    );
  });
}

function askAll(
  operation: string,
  name: string,
  ask: MaskFunction<string, string>,
  queries: readonly string[],
  keys: readonly string[],
  head: number,
): Float32Array {
  const size = queries.length * keys.length,
    data = allocate(operation, name, size, () => new Float32Array(size));
  queries.forEach((query, row) =>
    keys.forEach((key, column) => {
      const entry: unknown = ask(query, key, head), bias = toBias(entry);
      if (Number.isNaN(bias)) {
        throw new InputError(
          operation,
          `${name}: ${callOf(query, key, head)} returned ${describe(entry)}`,
          ENTRY,
        );
      }
      data[row * keys.length + column] = bias;
    })
  );
  return data;
}

/** The mask with which a cluster is made. */
export class InitialMask implements FirstMask {
  readonly block: MaskBlock;
  readonly #heads: number;
  readonly #columns = new Map<string, number>();

  /** @param heads Masks of a pair in the cluster. */
  constructor(block: MaskBlock, heads: number) {
    this.block = block;
    this.#heads = heads;
    block.keys.forEach((key, column) => this.#columns.set(key, column));
  }

  /** The queries with their biases for a key that comes; undefined where the mask has none of it. */
  of(key: string): readonly InitialEntry[] | undefined {
    const column = this.#columns.get(key), { queries, keys, matrices } = this.block;
    if (column === undefined) return undefined;
    return queries.map((query, row) => {
      const biases = Array.from({ length: this.#heads }, (_, head) => {
        return matrices[matrices.length === 1 ? 0 : head][row * keys.length + column];
      });
      return { query, biases };
    });
  }
}

/** Reads the option `mask` of a cluster that is made. */
export function toInitialMask(
  operation: string,
  given: unknown,
  toIds: (operation: string, name: string, ids: unknown) => string[],
  heads: number,
): MaskBlock {
  const isNamed = typeof given === "object" && given !== null && Object.hasOwn(given, "entries");
  if (!isNamed) {
    const why = typeof given === "function"
      ? "{ queries, keys, entries } with that function as entries: it is asked once, about pairs that are named, as no " +
        'client knows of all rows; say of later ones what they may see by "setMask" edits'
      : "{ queries, keys, entries }: a cluster is made before its rows, so that the mask names them by their ids";
    throw new InputError(operation, `create.mask is ${describe(given)}`, why);
  }
  const mask = takeOptions(
    operation,
    given as NamedMask,
    ["queries", "keys", "entries"],
    "create.mask field",
  );
  const queries = toIds(operation, "create.mask.queries", mask.queries);
  const keys = toIds(operation, "create.mask.keys", mask.keys);
  for (const [name, ids] of [["queries", queries], ["keys", keys]] as const) {
    const seen = new Set<string>(), twice = ids.find((id) => seen.size === seen.add(id).size);
    if (twice === undefined) continue;
    throw new InputError(operation, `create.mask.${name} has ${describe(twice)} twice`, "each id once");
  }
  const matrices = toMaskMatrices(operation, "create.mask.entries", mask.entries, queries, keys, heads);
  return { queries, keys, matrices };
}

/** The mask as plain data; −∞ is null. */
export function writeInitialMask({ queries, keys, matrices }: MaskBlock) {
  return {
    queries,
    keys,
    matrices: matrices.map((matrix) => Array.from(matrix, (bias) => bias === -Infinity ? null : bias)),
  };
}

/**
 * Reads a mask that was written.
 *
 * @throws {Damage} When it is none.
 */
export function readInitialMask(data: unknown, heads: number): MaskBlock {
  const { queries, keys, matrices } = (data ?? {}) as Record<string, unknown>;
  const isIds = (ids: unknown): ids is string[] =>
    Array.isArray(ids) && ids.every((id) => typeof id === "string" && id !== "");
  if (!isIds(queries) || !isIds(keys) || !Array.isArray(matrices)) {
    throw new Damage("mask has no queries, keys or matrices");
  }
  if (matrices.length !== 1 && matrices.length !== heads) {
    throw new Damage(`mask has ${matrices.length} matrices, expected 1 or ${heads}`);
  }
  return {
    queries,
    keys,
    matrices: matrices.map((matrix: unknown) => {
      const isWhole = Array.isArray(matrix) && matrix.length === queries.length * keys.length;
      if (!isWhole) throw new Damage("mask has a matrix of another size than queries × keys");
      return Float32Array.from(matrix, (entry: unknown) => {
        const bias = entry === null ? -Infinity : entry;
        if (typeof bias === "number" && isBias(bias)) return bias;
        throw new Damage(`mask has the entry ${describe(entry)}`);
      });
    }),
  };
}

/** The mask as the option that gives it. */
export function shownMask({ queries, keys, matrices }: MaskBlock): NamedMask {
  const shape = [queries.length, keys.length] as const;
  const entries = matrices.map((data) => ({ data: data.slice(), shape }));
  return { queries: [...queries], keys: [...keys], entries: entries.length === 1 ? entries[0] : entries };
}
