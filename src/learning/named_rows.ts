/**
 * The rows that a queued call names. When its turn comes, such a row may be deleted and its slot may hold
 * another row; the call is then refused, since it is about the row that was there at the call.
 */

import { InputError } from "../base/errors.ts";
import { checkSlot, type EditRules } from "../write/edits.ts";

/** Slots and the identities of their rows. */
export class NamedRows {
  readonly #keys: ReadonlyMap<number, number>;
  readonly #queries: ReadonlyMap<number, number>;

  /**
   * Notes the rows that are in these slots now.
   *
   * @throws {SlotError} When a slot is not live.
   */
  constructor(
    operation: string,
    { keys = [], queries = [] }: { readonly keys?: Iterable<number>; readonly queries?: Iterable<number> },
    { keySlots, querySlots }: EditRules,
  ) {
    const noted = (what: "key" | "query", slots: Iterable<number>, table: EditRules["keySlots"]) =>
      new Map(Array.from(slots, (slot) => [slot, table.identityOf(checkSlot(operation, what, slot, table))]));
    this.#keys = noted("key", keys, keySlots);
    this.#queries = noted("query", queries, querySlots);
  }

  /** Throws if one of the rows has been deleted. */
  check(operation: string, { keySlots, querySlots }: EditRules): void {
    for (
      const [what, noted, table] of [["key", this.#keys, keySlots], [
        "query",
        this.#queries,
        querySlots,
      ]] as const
    ) {
      for (const [slot, identity] of noted) {
        if (table.identityOf(checkSlot(operation, what, slot, table)) === identity) continue;
        throw new InputError(
          operation,
          `${what} slot ${slot} holds another row by now`,
          "the row of the call",
        );
      }
    }
  }
}

/** Keys that a queued call leaves out: those of them that are still there when its turn comes. */
export class NotedKeys {
  readonly #identities: ReadonlyMap<number, number>;

  constructor(slots: Iterable<number>, { keySlots }: Pick<EditRules, "keySlots">) {
    this.#identities = new Map(Array.from(slots, (slot) => [slot, keySlots.identityOf(slot)]));
  }

  /** The slots that hold the row that they held at the call. */
  left({ keySlots }: Pick<EditRules, "keySlots">): ReadonlySet<number> {
    const slots = new Set<number>();
    for (const [slot, identity] of this.#identities) {
      if (keySlots.isLive(slot) && keySlots.identityOf(slot) === identity) slots.add(slot);
    }
    return slots;
  }
}
