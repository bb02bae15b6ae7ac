/**
 * Lists of heavy keys that are given in parts, since their ids may be long.
 *
 * Invariant: parts that name the same record are of one list, whatever was edited between them.
 */

import { type HeavyAnswer, heavyKeyBytes, type TopQuestion } from "./messages.ts";
import type { HeavyKey } from "./partition.ts";

/** Lists that are remembered; the one that was made first goes first. */
const MOST_LISTS = 32;

/** A whole list. */
export interface HeavyList extends Omit<HeavyAnswer, "before" | "behind"> {
  readonly keys: readonly HeavyKey[];
}

/** The lists that a host has given a part of. */
export class HeavyLists {
  readonly #lists = new Map<string, HeavyList>();

  /**
   * The part of a list that is asked for. A list that is no longer remembered is made anew, and begins at its
   * first key where that one is of another record.
   *
   * @param partition The partition whose keys they are.
   * @param make Makes the whole list of this moment.
   */
  part(partition: number, question: TopQuestion, make: () => HeavyList): HeavyAnswer {
    const nameAt = (sequence: number) =>
      `${partition} ${sequence} ${question.head} ${question.count} ${question.id}`;
    const known = question.skip > 0 ? this.#lists.get(nameAt(question.sequence)) : undefined,
      list = known ?? make();
    const before = list.sequence === question.sequence ? Math.min(question.skip, list.keys.length) : 0;
    let end = before;
    for (let bytes = 0; end < list.keys.length; end++) {
      bytes += heavyKeyBytes(list.keys[end]);
      if (bytes > question.room && end > before) break;
    }
    const behind = list.keys.length - end, name = nameAt(list.sequence);
    this.#lists.delete(name);
    if (behind > 0) this.#remember(name, list);
    return { ...list, before, behind, keys: list.keys.slice(before, end) };
  }

  #remember(name: string, list: HeavyList): void {
    this.#lists.set(name, list);
    if (this.#lists.size <= MOST_LISTS) return;
    for (const oldest of this.#lists.keys()) {
      this.#lists.delete(oldest);
      break;
    }
  }
}
