/**
 * Followed attention: answers in an array, for a page, a widget or a service, of which only the rows that
 * have left their error are written again.
 */

import { outputColumns } from "../numerics/head_layout.ts";
import type { Followed } from "../schedule/edit_pipeline.ts";
import type { MirrorPlaces } from "../schedule/mirror.ts";
import { describe, DisposedError, InputError } from "../base/errors.ts";
import { lengthOf } from "../base/lists.ts";
import { countOf } from "../display/format.ts";
import { INSPECT, NODE_INSPECT } from "../base/inspect.ts";
import { type EditRules, findSlot } from "../write/edits.ts";
import type { RowId } from "../write/row_ids.ts";

/** The options of `DynamicAttention.follow`. */
export interface FollowOptions {
  /**
   * The largest Euclidean distance of a row from the exact one, which `read` answers; 0, for exact rows, unless
   * given.
   */
  readonly error?: number;
  /** The array for the rows, with slots · H·dv numbers; a new one unless given. */
  readonly into?: Float32Array<ArrayBuffer>;
}

/** The engine whose rows are followed. */
export interface FollowedEngine {
  readonly rules: Pick<EditRules, "layout" | "querySlots">;
  follow(): Followed;
  checkCall(operation: string): void;
}

/** Rows of attention that `refresh` keeps within an error of exact; see `DynamicAttention.follow`. */
export class FollowedAttention {
  /**
   * One row per query slot, H·dv numbers, row-major, as of the last `refresh`. Before the first it has zeros,
   * or the content of the caller's array.
   */
  readonly data: Float32Array<ArrayBuffer>;
  /** The query slot of each row. */
  readonly slots: Uint32Array<ArrayBuffer>;
  /** The largest distance of a row from the exact one. */
  readonly error: number;
  readonly #core: FollowedEngine;
  /** As `slots`, which the caller may change. */
  readonly #slots: Uint32Array<ArrayBuffer>;
  readonly #followed: Followed;
  readonly #bounds: Float64Array<ArrayBuffer>;
  /** Whether somebody has asked for bounds, and so has the array. */
  #areBoundsAsked = false;
  readonly #places: MirrorPlaces;
  /** What tells the followed rows from later ones in their slots, and what they were called. */
  readonly #identities: readonly number[];
  readonly #names: readonly RowId[];
  #isDisposed = false;
  /** The state of the engine's query slots when the followed ones were last checked. */
  #checked = { count: -1, newestIdentity: -1 };

  /** @internal */
  constructor(
    core: FollowedEngine,
    slots: Uint32Array<ArrayBuffer>,
    error: number,
    into: Float32Array<ArrayBuffer>,
  ) {
    this.data = into;
    this.slots = slots.slice();
    this.#slots = slots;
    this.error = error;
    this.#bounds = new Float64Array(slots.length).fill(Infinity);
    this.#core = core;
    this.#followed = core.follow();
    this.#places = {
      data: into,
      width: outputColumns(core.rules.layout),
      rowOf: null,
      bounds: this.#bounds,
      areBoundsWanted: () => this.#areBoundsAsked,
    };
    const { querySlots } = core.rules;
    this.#identities = Array.from(slots, (slot) => querySlots.identityOf(slot));
    this.#names = Array.from(slots, (slot) => querySlots.nameOf(slot));
  }

  /**
   * For each row, a bound on its Euclidean distance from exact attention as of the last `refresh`, rounding
   * included; Infinity before the first. With the option `storage` of the engine it is the distance from exact
   * attention of the rows as they were given, and so may be above `error`.
   *
   * It is always the same array. From the first time that it is asked for on, each `refresh` writes it, which takes
   * some nanoseconds for each row.
   */
  get bounds(): Float64Array<ArrayBuffer> {
    this.#areBoundsAsked = true;
    this.#followed.settle();
    return this.#bounds;
  }

  /**
   * Brings `data` and `bounds` up to date, as of the edits made before the call: rows that may be further
   * than `error` from exact are computed and written, the others do not change. Without edits since the last
   * call it does nothing.
   *
   * It takes a few operations for each changed key and eight queries, and the cost of a read for each row that
   * is written.
   *
   * @returns The query slots of the rows in which a number has changed, in the order of `slots`.
   * @throws {InputError} When a followed query was deleted, a {@link SlotError} or {@link IdError} unless another row
   * has its slot or id by now; nothing is written.
   * @throws {InputError} When `data` or `bounds` has been detached or cut short.
   * @throws {DisposedError} After `dispose`, and after the engine was disposed.
   */
  async refresh(): Promise<Uint32Array<ArrayBuffer>> {
    const operation = "FollowedAttention.refresh", core = this.#core;
    core.checkCall(operation);
    if (this.#isDisposed) throw new DisposedError(operation, "followed rows");
    this.#checkSlots(operation);
    this.#checkRoom(operation);
    const changed = await this.#followed.refresh(operation, this.#slots, this.error, this.#places);
    // All that was written is lost with the array.
    this.#checkRoom(operation);
    return changed;
  }

  /**
   * Throws if a followed query was deleted. It checks them only if a query was deleted or inserted since the
   * last check.
   */
  #checkSlots(operation: string): void {
    const { querySlots } = this.#core.rules, { count, newestIdentity } = querySlots;
    if (this.#checked.count === count && this.#checked.newestIdentity === newestIdentity) return;
    const gone = this.#slots.findIndex((slot, row) => {
      return !querySlots.isLive(slot) || querySlots.identityOf(slot) !== this.#identities[row];
    });
    if (gone >= 0) this.#refuse(operation, gone);
    this.#checked = { count, newestIdentity };
  }

  /** Throws, since the query of a row was deleted. */
  #refuse(operation: string, row: number): never {
    const { querySlots } = this.#core.rules, name = this.#names[row];
    // This throws where no row has that name.
    findSlot(operation, "query", name, querySlots);
    const found = querySlots.ids
      ? `query ${describe(name)} is another row by now`
      : `query slot ${name} holds another row by now`;
    throw new InputError(operation, found, "the row that was followed");
  }

  /** Throws when one of the arrays, which are the caller's too, has no room any more. */
  #checkRoom(operation: string): void {
    const count = this.#slots.length, needed = count * outputColumns(this.#core.rules.layout);
    this.#checkLength(operation, "data", lengthOf(this.data), needed);
    // Nobody else has the array unless it was asked for.
    if (this.#areBoundsAsked) this.#checkLength(operation, "bounds", lengthOf(this.#bounds), count);
  }

  #checkLength(operation: string, name: string, now: number, length: number): void {
    if (now === length) return;
    throw new InputError(operation, `${name} has ${now} numbers by now`, `${length}, as at first`);
  }

  /** The text that `console.log` and `Deno.inspect` show. */
  [INSPECT](): string {
    const rows = countOf(this.#slots.length, "row");
    return `FollowedAttention${this.#isDisposed ? " (disposed)" : ""}: ${rows} within ${this.error}`;
  }

  /** The same, in Node. */
  [NODE_INSPECT](): string {
    return this[INSPECT]();
  }

  /** Stops following; `data` and `bounds` do not change any more. A second call does nothing. */
  dispose(): void {
    this.#isDisposed = true;
    this.#followed.release();
  }

  /** Calls `dispose` at the end of a `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
