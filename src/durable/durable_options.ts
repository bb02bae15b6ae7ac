/**
 * The options of a durable engine, and their check.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount, reading } from "../base/lists.ts";
import { takeOptions, takeWord } from "../base/names.ts";
import {
  type DynamicAttentionOptions,
  type EngineProblem,
  type LoadOptions,
  type LoadProblem,
  toEngineProblem,
  toLoadProblem,
} from "../engine/options.ts";
import { RULE_NAME, writeRule } from "../store/saved_rule.ts";
import type { SavedMask, SavedSettings } from "../store/snapshot.ts";
import type { SyncMode } from "./journal_database.ts";

/** What {@link openDurable} is told. */
export interface DurableOptions {
  /**
   * Of what an engine is made where the folder is empty. Where it is not, what is there is opened: `query`, `key` and `value`
   * then only say how wide rows are, and options that differ from those of the engine that is there are refused.
   */
  readonly create?: DynamicAttentionOptions;
  /** As of `DynamicAttention.load`, for a folder that has an engine. Not beside `create`. */
  readonly load?: LoadOptions;
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

/** Checked options. */
export interface DurableProblem {
  readonly create: EngineProblem | null;
  readonly load: LoadProblem;
  readonly journalBytes: number | null;
  readonly sync: SyncMode;
  readonly readOnly: boolean;
  readonly client: string | null;
}

const OPTIONS: readonly (keyof DurableOptions)[] = [
  "create",
  "load",
  "snapshot",
  "sync",
  "readOnly",
  "client",
];

/** Checks the options of `openDurable`. */
export function toDurableProblem(operation: string, options: DurableOptions): DurableProblem {
  return reading(operation, () => {
    const { create, load, snapshot, sync, readOnly, client } = takeOptions(operation, options, OPTIONS);
    if (create !== undefined && load !== undefined) {
      throw new InputError(operation, "create and load are given", "one of them");
    }
    const problem = create === undefined ? null : toEngineProblem(operation, create);
    if (problem && (problem.keyIds || problem.queryIds)) {
      const found = `create.${problem.keyIds ? "keyIds" : "queryIds"} is given`;
      throw new InputError(operation, found, "none: the journal names rows by their slots");
    }
    if (create?.editableMask) {
      const expected = "false: what a mask of matrices says is not in the journal";
      throw new InputError(operation, "create.editableMask is true", expected);
    }
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

/** The name of a client, which must have one. */
export function checkClient(operation: string, client: unknown): string {
  if (typeof client === "string" && client !== "" && client.length <= 256) return client;
  throw new InputError(operation, `client is ${describe(client)}`, "a text of 1 to 256 characters");
}

/** What is asked of an engine that is there, by those who would create it. */
function ofCreate(operation: string, problem: EngineProblem, create: DynamicAttentionOptions): LoadProblem {
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

/** Refuses options that differ from those of the engine that is there. */
export function checkSame(
  operation: string,
  { layout, rule, tolerance, policy, threshold, mask }: EngineProblem,
  there: SavedSettings & { readonly mask: SavedMask | null },
): void {
  const differ = (name: string, asked: unknown, found: unknown): never => {
    const expected = `${found}, as of the engine that is there`;
    throw new InputError(operation, `${name} is ${asked}`, expected);
  };
  const compare = (asked: object, found: object) => {
    const others = new Map(Object.entries(found));
    for (const [name, value] of Object.entries(asked)) {
      if (!Object.is(value, others.get(name))) differ(name, value, others.get(name));
    }
  };
  compare(layout, there.layout);
  const { sinks: _sinks, distanceBias: _bias, rotary: _rotary, ...plain } = rule;
  compare(plain, there.rule);
  compare({ rule: writeRule(rule)[RULE_NAME] }, { rule: writeRule(there.rule)[RULE_NAME] });
  compare({ tolerance, onThreshold: policy }, { tolerance: there.tolerance, onThreshold: there.policy });
  if (!threshold.limits !== !there.limits) {
    differ(
      "lazyThreshold",
      threshold.limits ? "no function" : "a function",
      there.limits ? "none" : "a function",
    );
  }
  if (threshold.limits && there.limits) compare(threshold.limits, there.limits);
  const kindOf = (isFunction: boolean | undefined) =>
    isFunction === undefined ? "none" : isFunction ? "a function" : "a matrix";
  const asked = kindOf(mask?.isFunction),
    found = kindOf(there.mask ? there.mask.kind === "function" : undefined);
  if (asked !== found) differ("mask", asked, found);
  if (!mask || there.mask?.kind !== "matrix") return;
  const { matrices } = there.mask;
  const isSame = mask.matrices.length === matrices.length &&
    mask.matrices.every(({ rows, columns, data }, at) => {
      const other = matrices[at];
      return rows === other.rows && columns === other.columns &&
        data.every((entry, c) => entry === other.data[c]);
    });
  if (!isSame) differ("mask", "another matrix", "the one");
}
