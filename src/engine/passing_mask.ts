/**
 * The mask of passing queries. An engine's mask speaks of its standing queries, so passing ones bring their
 * own: a row of a matrix, or a function's answers, for each of them.
 */

import type { PassingBias } from "../backends/backend.ts";
import { CapacityError, describe, InputError } from "../base/errors.ts";
import type { EditRules } from "../write/edits.ts";
import { type BiasMatrix, callOf, ENTRY, type MaskInput, toBias, toMatrices } from "../write/mask_input.ts";
import type { RowId } from "../write/row_ids.ts";

/**
 * The mask of passing queries: a matrix of a row per query and a column per key slot, a matrix for each head,
 * or a function of the number of the query in the question, the key and the head.
 */
export type PassingMask<KeyId extends RowId = number> = MaskInput<number, KeyId>;

/** A mask of passing queries that has been read: copied matrices, or a function. */
export type PassingEntries = readonly BiasMatrix[] | PassingFunction;

type PassingFunction = (query: number, key: RowId, head: number) => unknown;

/** Copies the mask of passing queries; null without one. */
export function takePassingMask(
  operation: string,
  mask: unknown,
  { layout: { heads }, mask: own }: EditRules,
): PassingEntries | null {
  if (typeof mask === "function") return mask as PassingFunction;
  if (mask !== undefined) return toMatrices(operation, mask, heads);
  if (!own) return null;
  throw new InputError(
    operation,
    "the engine has a mask",
    "none, or one for the passing queries, too ({ mask })",
  );
}

/** The biases of `count` passing queries with all live keys. */
export function toPassingBias(
  operation: string,
  mask: PassingEntries,
  count: number,
  rules: EditRules,
): PassingBias {
  const { size: keySize } = rules.keySlots, isFunction = typeof mask === "function";
  for (const { rows, columns } of isFunction ? [] : mask) {
    if (rows === count && (count === 0 || columns >= keySize)) continue;
    const found = `mask is ${rows} × ${columns}`;
    throw new InputError(operation, found, `${count} × ${keySize} (queries × key slots)`);
  }
  const maskHeads = isFunction ? rules.layout.heads : mask.length;
  const what = `a bias for each of ${count} × ${keySize} pairs and ${maskHeads} heads`;
  const numbers = CapacityError.guard(
    operation,
    what,
    4 * count * keySize * maskHeads,
    () => new Float32Array(count * keySize * maskHeads).fill(-Infinity),
  );
  const ask = isFunction ? asking(mask, rules) : reading(mask);
  for (const slot of rules.keySlots.liveSlots()) {
    for (let query = 0; query < count; query++) {
      const at = (query * keySize + slot) * maskHeads;
      for (let head = 0; head < maskHeads; head++) numbers[at + head] = ask(query, slot, head);
    }
  }
  return { heads: maskHeads, keySize, numbers };
}

function reading(matrices: readonly BiasMatrix[]): (query: number, slot: number, head: number) => number {
  return (query, slot, head) => matrices[head].data[query * matrices[head].columns + slot];
}

function asking(
  mask: PassingFunction,
  { keySlots }: EditRules,
): (query: number, slot: number, head: number) => number {
  return (query, slot, head) => {
    const key = keySlots.nameOf(slot), call = callOf(query, key, head);
    let answer: unknown;
    try {
      answer = mask(query, key, head);
    } catch (cause) {
      throw new InputError(call, `the function threw ${describe(cause)}`, ENTRY, { cause });
    }
    const bias = toBias(answer);
    if (Number.isNaN(bias)) throw new InputError(call, `answer is ${describe(answer)}`, ENTRY);
    return bias;
  };
}
