/**
 * Answers that are kept in an array of the caller's, or of the library's: what a page, a widget or a service shows. Only rows
 * that have left their error are written again.
 */

import { outputColumns } from "../numerics/head_layout.ts";
import type { Followed } from "../schedule/edit_pipeline.ts";
import type { EngineCore } from "./engine_core.ts";
import { DisposedError, SlotError } from "../base/errors.ts";

/** What `DynamicAttention.follow` takes. */
export interface FollowOptions {
  /** How far a row may be from exact, in Euclidean distance; 0, for exact rows, unless given. */
  readonly error?: number;
  /** The array that is kept, m · H·dv numbers; a new one unless given. */
  readonly into?: Float32Array<ArrayBuffer>;
}

/** Rows of attention that `refresh` keeps within an error of exact; see `DynamicAttention.follow`. */
export class FollowedAttention {
  /** A row a query slot, H·dv numbers, row-major: as of the last `refresh`, and zeros, or what the caller's array held, before. */
  readonly data: Float32Array<ArrayBuffer>;
  /**
   * For each row, a bound on its Euclidean distance from exact attention as of the last `refresh`, rounding included; Infinity
   * before the first.
   */
  readonly bounds: Float64Array<ArrayBuffer>;
  /** The query slot of each row. */
  readonly slots: Uint32Array<ArrayBuffer>;
  /** How far a row may be from exact. */
  readonly error: number;
  readonly #core: EngineCore;
  readonly #followed: Followed;
  readonly #rows: Map<number, number>;
  #isDisposed = false;
  /** What told the query slots of the engine apart when the followed ones were looked at last. */
  #checked = { count: -1, newestIdentity: -1 };

  /** @internal */
  constructor(
    core: EngineCore,
    slots: Uint32Array<ArrayBuffer>,
    error: number,
    into: Float32Array<ArrayBuffer>,
  ) {
    this.data = into;
    this.slots = slots;
    this.error = error;
    this.bounds = new Float64Array(slots.length).fill(Infinity);
    this.#core = core;
    this.#followed = core.follow();
    this.#rows = new Map(Array.from(slots, (slot, row) => [slot, row]));
  }

  /**
   * Brings `data` and `bounds` up to date, as of the edits made before the call: rows that may be further than `error` from
   * exact are computed and written, the others stay as they are. Without edits since the last call it does nothing.
   *
   * A few operations for each changed key and eight queries, one for each row, and what reading costs for each row that is
   * written.
   *
   * @returns The query slots of the rows in which a number is another one now, ascending as in `slots`.
   * @throws {SlotError} When a followed query was deleted; nothing is written.
   * @throws {DisposedError} After `dispose`, and after that of the engine.
   */
  async refresh(): Promise<Uint32Array<ArrayBuffer>> {
    const operation = "FollowedAttention.refresh", core = this.#core;
    core.checkCall(operation);
    if (this.#isDisposed) throw new DisposedError(operation);
    this.#checkSlots(operation);
    const rows = this.#rows;
    const places = {
      data: this.data,
      width: outputColumns(core.rules.layout),
      rowOf: (slot: number) => rows.get(slot) as number,
    };
    const { changed, bounds } = await this.#followed.refresh(operation, this.slots, this.error, places);
    this.bounds.set(bounds);
    return changed;
  }

  /** Refuses queries that were deleted; looks at them where any was deleted or inserted since the last time. */
  #checkSlots(operation: string): void {
    const { querySlots } = this.#core.rules, { count, newestIdentity } = querySlots;
    if (this.#checked.count === count && this.#checked.newestIdentity === newestIdentity) return;
    const deleted = this.slots.find((slot) => !querySlots.isLive(slot));
    if (deleted !== undefined) throw new SlotError(operation, "query", deleted);
    this.#checked = { count, newestIdentity };
  }

  /** Follows no more; `data` and `bounds` stay as they are. A second call does nothing. */
  dispose(): void {
    this.#isDisposed = true;
    this.#followed.release();
  }

  /** As `dispose`, at the end of a `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
