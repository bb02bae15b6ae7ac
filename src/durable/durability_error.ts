/**
 * The errors of a durable engine's folder.
 */

import { AttentionError } from "../base/errors.ts";

/**
 * What is wrong: "unknown" when the store failed and nobody can say whether the last edits are on disk, "damaged" when bytes
 * are not what was written, "locked" when another process owns the folder, "read-only" when it was opened to look at only.
 */
export type DurabilityFault = "unknown" | "damaged" | "locked" | "read-only";

/** What a {@link DurabilityError} knows beside its message. */
export interface DurabilityFacts {
  /** The folder. */
  readonly folder: string;
  /** The file that is wrong, by its name in the folder. */
  readonly file?: string | null;
  /** The sequence number of the record that is wrong, or of the first edit that is unknown. */
  readonly sequence?: number | null;
  /** Edits 1 to this one are on disk, as far as is known. */
  readonly committed?: number | null;
  /** What the store threw. */
  readonly cause?: unknown;
}

/**
 * The folder of a durable engine cannot be relied on, or not be had. After "unknown" the engine stops: every call throws this
 * error, and what is on disk is found by opening the folder again.
 */
export class DurabilityError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "DurabilityError";
  /** What is wrong. */
  readonly fault: DurabilityFault;
  /** The folder. */
  readonly folder: string;
  /** The file that is wrong, by its name in the folder; null where it is none in particular. */
  readonly file: string | null;
  /** The sequence number of the record that is wrong, or of the first edit that is unknown; null where there is none. */
  readonly sequence: number | null;
  /** Edits 1 to this one are on disk; null where that is not known. */
  readonly committed: number | null;

  /** The message reads `operation: detail`. */
  constructor(operation: string, fault: DurabilityFault, detail: string, facts: DurabilityFacts) {
    super(operation, detail, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.fault = fault;
    this.folder = facts.folder;
    this.file = facts.file ?? null;
    this.sequence = facts.sequence ?? null;
    this.committed = facts.committed ?? null;
  }
}

/** Something that is not as it was written: in which file, at which record, and what. */
export interface Problem {
  /** The name of the file in the folder. */
  readonly file: string;
  /** The sequence number of the record or snapshot; null where it is that of none. */
  readonly sequence: number | null;
  /** What was found and what was expected, in words. */
  readonly what: string;
}

/** A problem on its way to whoever knows the operation and the folder. */
export class Damage extends Error {
  readonly problem: Problem;

  constructor(file: string, sequence: number | null, what: string) {
    super(what);
    this.problem = { file, sequence, what };
  }

  /** As the error that a caller sees. */
  toError(operation: string, folder: string): DurabilityError {
    const { file, sequence, what } = this.problem;
    const place = sequence === null ? file : `${file}, sequence ${sequence}`;
    return new DurabilityError(operation, "damaged", `${place}: ${what}`, { folder, file, sequence });
  }
}
