/**
 * The call `edit` of a durable engine: it resolves when its edits are on disk, and one that a client numbers counts once.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";
import { checkEdits } from "../write/edit_checks.ts";
import type { Edit } from "../write/edits.ts";
import type { RowId } from "../write/row_ids.ts";
import type { ClientAnswer, Clients } from "./clients.ts";
import { checkClient, type DurableEdit, type DurableEditOptions } from "./durable_options.ts";
import type { DurableParts } from "./durable_parts.ts";
import type { ClientCall } from "./frames.ts";

/** Performs edits in order, all or none, unless the call counted before; resolves when they are on disk. */
export async function editDurably<KeyId extends RowId, QueryId extends RowId>(
  operation: string,
  { core, journal, client }: DurableParts,
  edits: readonly Edit<KeyId, QueryId>[],
  options: DurableEditOptions,
): Promise<DurableEdit<KeyId | QueryId>> {
  const { call, checked } = core.given(operation, () => {
    const call = toCall(operation, options, client);
    return { call, checked: checkEdits(operation, edits, core.rules) };
  });
  const counted = call && countedAnswer(operation, journal.clients, call);
  if (counted) {
    await journal.kept();
    return { slots: [...counted.names] as (KeyId | QueryId)[], sequence: counted.sequence };
  }
  const slots = journal.asCall(call, () => core.editAll(operation, checked)) as (KeyId | QueryId)[];
  const { sequence } = journal;
  await journal.kept();
  return { slots, sequence };
}

/** The call that options name; null where they name none. `own` is the client of `openDurable`. */
function toCall(
  operation: string,
  options: DurableEditOptions,
  own: string | null,
): ClientCall | null {
  const { client, clientSequence: number } = takeOptions(operation, options, ["client", "clientSequence"]);
  if (number === undefined) {
    if (client === undefined) return null;
    throw new InputError(operation, "client is given alone", "with clientSequence");
  }
  if (!isCount(number) || number === 0) {
    throw new InputError(operation, `clientSequence is ${describe(number)}`, "an integer ≥ 1");
  }
  return { client: toClient(operation, client, own), number };
}

/** The client that is given, or else that of `openDurable`. */
export function toClient(operation: string, client: string | undefined, own: string | null): string {
  const name = client ?? own;
  if (name === null) throw new InputError(operation, "no client is given", "one here or in openDurable");
  return checkClient(operation, name);
}

/**
 * What a call was answered that counted before; null where it may be performed.
 *
 * @throws {InputError} When it may not: its answer is not kept any more, or it has not counted and its turn is over.
 */
function countedAnswer(operation: string, clients: Clients, call: ClientCall): ClientAnswer | null {
  const answer = clients.answerTo(call);
  if (answer === "new") return null;
  if (typeof answer === "object") return answer;
  const last = clients.lastOf(call.client);
  const given = `clientSequence ${call.number} of ${describe(call.client)} comes after ${last}`;
  const expected = answer === "late"
    ? `a larger one, since it has not counted and its turn is over`
    : `one of the last calls, since its answer is kept no more`;
  throw new InputError(operation, given, expected);
}
