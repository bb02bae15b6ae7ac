/**
 * A move of all rows of a range of positions, by a number.
 *
 * Invariant: a subject moves its rows once for each name, so that a move which some subjects have and others
 * lack can be asked for again; where a row is afterwards is a function of its position and of the move alone.
 */

import { describe, InputError } from "../base/errors.ts";
import type { ByteReader, ByteWriter } from "../durable/byte_buffer.ts";
import { MOST_PLACE } from "../numerics/distance_bias.ts";
import type { ScoreRule } from "../numerics/score_rule.ts";
import { checkPlace } from "../write/places.ts";
import { Damage } from "./cluster_error.ts";

/** A move by `by` of the rows at positions p with from ≤ p < to. */
export interface NamedShift {
  readonly name: string;
  readonly by: number;
  readonly from: number;
  readonly to: number;
}

/** Names that a subject remembers; the oldest is forgotten first. */
const MOST_NAMES = 256;

/** Checks the numbers of a move as one engine does; they suit the rule. */
export function checkShift(
  operation: string,
  { by, from, to }: { readonly by: unknown; readonly from: unknown; readonly to: unknown },
  rule: ScoreRule,
): void {
  if (typeof by !== "number" || !Number.isFinite(by)) {
    throw new InputError(operation, `by is ${describe(by)}`, "a finite number");
  }
  checkPlace(operation, "by", by, rule);
  for (const [name, end] of [["from", from], ["to", to]] as const) {
    if (typeof end === "number" && !Number.isNaN(end)) continue;
    throw new InputError(operation, `${name} is ${describe(end)}`, "a number");
  }
}

/** Where a row is after a move; one that would leave the numbers that a rule takes stays at their end. */
export function placeAfter(
  { distanceBias }: ScoreRule,
  { by, from, to }: NamedShift,
  position: number,
): number {
  if (!(from <= position && position < to)) return position;
  const most = distanceBias === undefined ? Number.MAX_VALUE : MOST_PLACE;
  return Math.max(-most, Math.min(most, position + by)) + 0;
}

/** The names of the newest moves of a subject. */
export class ShiftNames {
  readonly #names = new Set<string>();

  /** Whether there is any. */
  get isEmpty(): boolean {
    return this.#names.size === 0;
  }

  /** Notes a name; false where it is there already. */
  isNew(name: string): boolean {
    if (this.#names.has(name)) return false;
    this.#names.add(name);
    for (const oldest of this.#names) {
      if (this.#names.size <= MOST_NAMES) break;
      this.#names.delete(oldest);
    }
    return true;
  }

  /** Writes them, the oldest first. */
  write(out: ByteWriter): void {
    out.u32(this.#names.size);
    for (const name of this.#names) out.text(name);
  }

  /**
   * Reads what was written.
   *
   * @throws {Damage} When a name is there twice, or there are too many.
   */
  read(reader: ByteReader): void {
    const count = reader.u32();
    if (count > MOST_NAMES) throw new Damage(`snapshot has ${count} moves, expected ${MOST_NAMES} at most`);
    for (let left = count; left > 0; left--) {
      const name = reader.text();
      if (name === "" || !this.isNew(name)) {
        throw new Damage("snapshot has a move twice, or one without a name");
      }
    }
  }
}
