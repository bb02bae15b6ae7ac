/**
 * What the system or SQLite throws, as an error of the library.
 */

import { AttentionError } from "../base/errors.ts";
import { Damage, DurabilityError } from "./durability_error.ts";
import { sqliteFault } from "./journal_database.ts";

/**
 * The error that a caller sees of a folder that could not be read or written; what has nothing to do with its files stays what
 * it is, the refusal of a permission among them.
 */
export function toDurabilityError(operation: string, folder: string, error: unknown): unknown {
  if (error instanceof AttentionError) return error;
  if (error instanceof Damage) return error.toError(operation, folder);
  const fault = sqliteFault(error);
  const words = fault ? `${fault.words}, SQLite ${fault.code}` : ofSystem(error);
  if (words === null) return error;
  return new DurabilityError(operation, "unknown", `${folder} could not be read or written (${words})`, {
    folder,
    cause: error,
  });
}

/** What the operating system says, which has a code; null for another error. */
function ofSystem(error: unknown): string | null {
  const isSystem = error instanceof Error && "code" in error && typeof error.code === "string" &&
    /^E[A-Z0-9]+$/.test(error.code);
  return isSystem ? error.message : null;
}
