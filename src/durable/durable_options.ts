/**
 * The options of a durable engine, and their check.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount, reading } from "../base/lists.ts";
import { takeOptions, takeWord } from "../base/names.ts";
import {
  type AnyEngineOptions,
  type AnyLoadOptions,
  type DynamicAttentionOptions,
  type EngineProblem,
  type LoadOptions,
  type LoadProblem,
  toEngineProblem,
  toLoadProblem,
} from "../engine/options.ts";
import type { RowId } from "../write/row_ids.ts";
import type { SyncMode } from "./journal_database.ts";

/** What {@link openDurable} is told; `KeyId` and `QueryId` are the types of ids. */
export interface DurableOptions<KeyId extends RowId = number, QueryId extends RowId = number> {
  /**
   * Of what an engine is made where the folder is empty. Where it is not, what is there is opened: `query`, `key` and `value`
   * then only say how wide rows are, and options that differ from those of the engine that is there are refused.
   */
  readonly create?: DynamicAttentionOptions<KeyId, QueryId>;
  /** As of `DynamicAttention.load`, for a folder that has an engine. Not beside `create`. */
  readonly load?: LoadOptions<KeyId, QueryId>;
  /** When snapshots are taken. */
  readonly snapshot?: {
    /** Bytes of journal after which one is taken; as many as the last one has, 16 MiB at least, unless given. */
    readonly journalBytes?: number;
  };
  /**
   * "full", the default, has an edit on disk before anybody is told of it. "normal" leaves it to the system when it is: a
   * killed process loses nothing, a power failure the edits since the last checkpoint, some 4 MiB of them; `stats().durable.lost` says
   * how many.
   */
  readonly sync?: SyncMode;
  /** Looks at the folder as of the call, also while somebody else owns it; edits are refused. */
  readonly readOnly?: boolean;
  /** Whose calls `edit` makes when it is given a `clientSequence` alone. */
  readonly client?: string;
}

/** Options of an engine whose rows may have ids of any type. */
export type AnyDurableOptions = Omit<DurableOptions, "create" | "load"> & {
  readonly create?: AnyEngineOptions;
  readonly load?: AnyLoadOptions;
};

/** What {@link DurableAttention.edit} is told beside the edits. */
export interface DurableEditOptions {
  /** Whose call it is, unless it is the client of `openDurable`. */
  readonly client?: string;
  /**
   * Which of the client's calls it is: 1 or more, and larger than those before. A call that is made again with its number
   * counts once, and is answered as the first time.
   */
  readonly clientSequence?: number;
}

/** What an edit is answered when it is on disk; `Id` is the type of ids. */
export interface DurableEdit<Id extends RowId = number> {
  /** The slot or id that each edit was of; for an insert, the one it took. */
  readonly slots: Id[];
  /** The number of the call: 1 for the first edit of the folder. */
  readonly sequence: number;
}

/** Checked options. */
export interface DurableProblem {
  readonly create: EngineProblem | null;
  readonly load: LoadProblem;
  readonly journalBytes: number | null;
  readonly sync: SyncMode;
  readonly readOnly: boolean;
  readonly client: string | null;
}

const OPTIONS: readonly (keyof AnyDurableOptions)[] = [
  "create",
  "load",
  "snapshot",
  "sync",
  "readOnly",
  "client",
];

/** Checks the options of `openDurable`. */
export function toDurableProblem(operation: string, options: AnyDurableOptions): DurableProblem {
  return reading(operation, () => {
    const { create, load, snapshot, sync, readOnly, client } = takeOptions(operation, options, OPTIONS);
    if (create !== undefined && load !== undefined) {
      throw new InputError(operation, "create and load are given", "one of them");
    }
    const problem = create === undefined ? null : toEngineProblem(operation, create);
    return {
      create: problem,
      load: problem && create ? ofCreate(operation, problem, create) : toLoadProblem(operation, load ?? {}),
      journalBytes: toJournalBytes(operation, snapshot),
      sync: sync === undefined ? "full" : takeWord(operation, "sync", sync, ["full", "normal"]),
      readOnly: toFlag(operation, readOnly),
      client: client === undefined ? null : checkClient(operation, client),
    };
  });
}

/** The name of a client, which must have one, in letters that come back from the disk. */
export function checkClient(operation: string, client: unknown): string {
  if (typeof client === "string" && client !== "" && client.length <= 256 && client.isWellFormed()) {
    return client;
  }
  const expected = "a text of 1 to 256 characters, none of them half a surrogate pair";
  throw new InputError(operation, `client is ${describe(client)}`, expected);
}

/** What is asked of an engine that is there, by those who would create it. */
function ofCreate(operation: string, problem: EngineProblem, create: AnyEngineOptions): LoadProblem {
  const { backend, threads, mask } = takeOptions(
    operation,
    create,
    Object.keys(create) as (keyof typeof create)[],
  );
  return {
    ...(backend === undefined ? {} : { backend }),
    ...(threads === undefined ? {} : { threads }),
    ...(typeof mask === "function" ? { mask } : {}),
    threshold: problem.threshold.limits ? null : problem.threshold,
  };
}

function toJournalBytes(operation: string, snapshot: DurableOptions["snapshot"]): number | null {
  if (snapshot === undefined) return null;
  const { journalBytes } = takeOptions(operation, snapshot, ["journalBytes"], "snapshot option");
  if (journalBytes === undefined) return null;
  if (journalBytes === Infinity || (isCount(journalBytes) && journalBytes >= 1)) return journalBytes;
  throw new InputError(operation, `journalBytes is ${describe(journalBytes)}`, "an integer ≥ 1, or Infinity");
}

function toFlag(operation: string, readOnly: unknown = false): boolean {
  if (typeof readOnly === "boolean") return readOnly;
  throw new InputError(operation, `readOnly is ${describe(readOnly)}`, "a boolean");
}
