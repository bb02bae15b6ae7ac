/**
 * The options of a host, and their check.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount, reading, takeList } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";
import { refuseStorage } from "./cluster_config.ts";
import { toTimeout } from "./memory_options.ts";

/** The options of `host`. */
export interface HostOptions {
  /**
   * A folder where the host keeps snapshots of its partitions, so that it starts quickly. Losing it does no
   * harm. Two hosts must not share one.
   */
  readonly folder?: string;
  /**
   * The partitions that it holds. With "any", the default, the common plan of all hosts assigns them; a list
   * names them, and the plan does not count.
   */
  readonly partitions?: "any" | readonly number[];
  /** A name that no other living host has: letters, digits, `_` and `-`. A random one unless given. */
  readonly name?: string;
  /** Bytes of records after which a snapshot is written; 64 MiB unless given. */
  readonly snapshotBytes?: number;
}

/** Checked options. */
export interface CheckedHostOptions {
  readonly folder: string | null;
  readonly partitions: "any" | readonly number[];
  readonly name: string | null;
  readonly snapshotBytes: number;
}

const NAMES: readonly (keyof HostOptions)[] = ["folder", "partitions", "name", "snapshotBytes"];
const SNAPSHOT_BYTES = 64 << 20, DRAIN_MS = 30_000, NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Checks the options of a host. */
export function toHostOptions(operation: string, options: HostOptions): CheckedHostOptions {
  return reading(operation, () => {
    refuseStorage(operation, options, "storage");
    const { folder, partitions = "any", name, snapshotBytes = SNAPSHOT_BYTES } = takeOptions(
      operation,
      options,
      NAMES,
    );
    if (folder !== undefined && (typeof folder !== "string" || folder === "")) {
      throw new InputError(operation, `folder is ${describe(folder)}`, "the path of a folder");
    }
    if (!isCount(snapshotBytes) || snapshotBytes === 0) {
      throw new InputError(
        operation,
        `snapshotBytes is ${describe(snapshotBytes)}`,
        "a whole number above 0",
      );
    }
    if (name !== undefined) {
      if (typeof name !== "string" || !NAME.test(name)) {
        throw new InputError(operation, `name is ${describe(name)}`, '1 to 64 letters, digits, "_" and "-"');
      }
    }
    return {
      folder: folder ?? null,
      name: name ?? null,
      snapshotBytes,
      partitions: partitions === "any" ? partitions : toPartitions(operation, partitions),
    };
  });
}

/** Checks the options of `drain`; the milliseconds that it may take. */
export function toDrainTime(operation: string, options: { readonly timeoutMs?: number }): number {
  return reading(operation, () => {
    const { timeoutMs } = takeOptions(operation, options, ["timeoutMs"]);
    return toTimeout(operation, timeoutMs, DRAIN_MS);
  });
}

function toPartitions(operation: string, given: unknown): number[] {
  const expected = `"any" or a list of partition numbers`;
  if (typeof given === "string") {
    throw new InputError(operation, `partitions is ${describe(given)}`, expected);
  }
  const { length, entries } = takeList(operation, "partitions", given, expected);
  return Array.from({ length }, (_, at) => {
    const entry = entries[at];
    if (isCount(entry)) return entry;
    throw new InputError(operation, `partitions has ${describe(entry)} at index ${at}`, "partition numbers");
  });
}
