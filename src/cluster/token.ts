/**
 * Tokens: how far a reader must see.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";

/**
 * A place in the log. An edit returns one, and a read may ask for it: for each partition that was edited the
 * sequence of its record, and the sequence of the standing queries, 0 for none. It is plain data: another
 * reader that gets it sees at least as much.
 */
export interface ClusterToken {
  /** By number of the partition, the sequence of a record. */
  readonly partitions: Readonly<Record<number, number>>;
  /** The sequence of a record of standing queries; 0 for none. */
  readonly query: number;
}

/** Checks a token. */
export function toToken(operation: string, token: ClusterToken, partitions: number): ClusterToken {
  const given = takeOptions(operation, token, ["partitions", "query"], "after field");
  const { query = 0 } = given;
  if (!isCount(query)) {
    throw new InputError(operation, `after.query is ${describe(query)}`, "a sequence");
  }
  const sequences: Record<number, number> = {};
  const list: unknown = given.partitions ?? {};
  if (typeof list !== "object" || list === null) {
    throw new InputError(operation, `after.partitions is ${describe(list)}`, "an object");
  }
  for (const [name, sequence] of Object.entries(list)) {
    const partition = Number(name);
    if (!isCount(partition) || partition >= partitions) {
      throw new InputError(
        operation,
        `after.partitions has ${describe(name)}`,
        `partition numbers below ${partitions}`,
      );
    }
    if (!isCount(sequence)) {
      throw new InputError(
        operation,
        `after.partitions[${partition}] is ${describe(sequence)}`,
        "a sequence",
      );
    }
    sequences[partition] = sequence;
  }
  return { partitions: sequences, query };
}

/** The token that asks for as much as both. */
export function joinTokens(a: ClusterToken, b: ClusterToken): ClusterToken {
  const partitions: Record<number, number> = { ...a.partitions };
  for (const [partition, sequence] of Object.entries(b.partitions)) {
    partitions[Number(partition)] = Math.max(sequence, partitions[Number(partition)] ?? 0);
  }
  return { partitions, query: Math.max(a.query, b.query) };
}

/** The token that asks for nothing. */
export const NO_TOKEN: ClusterToken = { partitions: {}, query: 0 };
