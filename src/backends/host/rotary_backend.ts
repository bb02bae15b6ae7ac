/**
 * A backend for rotary positions: it turns rows before another backend stores them, and keeps beside it what
 * callers wrote, which is what its sources answer. Everything else of the other backend works as it is:
 * scores are products of turned rows, and a row that moves is a row that changes.
 *
 * Invariant: a stored or retained row of the other backend is the row here, turned by its position.
 */

import { CapacityError } from "../../base/errors.ts";
import type { SavedArrays } from "../../base/saved_array.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../../numerics/head_layout.ts";
import { type Rotary, Turner } from "../../numerics/rotary.ts";
import type {
  AttentionOutput,
  Backend,
  BackendConfig,
  BackendFactory,
  Changes,
  PassingQueries,
  RowChanges,
  RowSource,
} from "../backend.ts";
import { ForwardingBackend } from "../forwarding_backend.ts";
import { NO_ROW } from "../since.ts";
import { equalRun, RowStore } from "./row_store.ts";

/** Makes a backend that turns the rows of another one. */
export async function createRotaryBackend(
  factory: BackendFactory,
  config: BackendConfig,
  rotary: Rotary,
): Promise<Backend> {
  const { rotary: _, ...rule } = config.rule;
  return new RotaryBackend(config.layout, rotary, await factory({ ...config, rule, hasPositions: true }));
}

/** A batch with its rows turned. */
export function turnChanges(rotary: Rotary, layout: HeadLayout, { keys, queries }: Changes): Changes {
  const turner = new Turner(rotary, layout);
  return {
    keys: turned(turner, keys, layout.kvHeads, keyColumns(layout) + valueColumns(layout)),
    queries: turned(turner, queries, layout.heads, queryColumns(layout)),
  };
}

function turned(turner: Turner, changes: RowChanges, heads: number, width: number): RowChanges {
  const rows = changes.rows.slice();
  for (let t = 0; t < changes.slots.length; t++) {
    if (changes.live[t] === 1) turner.turn(rows, t * width, heads, changes.positions[t]);
  }
  return { ...changes, rows };
}

/** The backend of an engine with rotary positions. */
class RotaryBackend extends ForwardingBackend {
  protected override readonly inner: Backend;
  readonly #layout: HeadLayout;
  readonly #rotary: Rotary;
  readonly #keys: RowStore;
  readonly #retained: RowStore;
  readonly #queries: RowStore;
  readonly #writtenKeys: RowSource;
  readonly #writtenRetained: RowSource;

  constructor(layout: HeadLayout, rotary: Rotary, inner: Backend) {
    super();
    this.#layout = layout;
    this.#rotary = rotary;
    this.inner = inner;
    this.#keys = new RowStore(keyColumns(layout));
    this.#retained = new RowStore(keyColumns(layout));
    this.#queries = new RowStore(queryColumns(layout));
    this.#writtenKeys = new WrittenKeys(this.#keys, inner.keys, valueColumns(layout));
    this.#writtenRetained = new WrittenKeys(this.#retained, inner.retained, valueColumns(layout));
  }

  override get keys(): RowSource {
    return this.#writtenKeys;
  }

  override get queries(): RowSource {
    return this.#queries;
  }

  override get retained(): RowSource {
    return this.#writtenRetained;
  }

  override bytes(): number {
    return this.inner.bytes() + this.#keys.bytes() + this.#retained.bytes() + this.#queries.bytes();
  }

  override async store(changes: Changes, retained: Uint32Array, dropped: Uint32Array): Promise<void> {
    this.#reserve(changes, retained);
    await this.inner.store(turnChanges(this.#rotary, this.#layout, changes), retained, dropped);
    this.#drop(dropped);
    const { keys, queries } = changes;
    for (let t = 0; t < keys.slots.length; t++) {
      if (retained[t] !== NO_ROW) this.#retain(keys.slots[t], retained[t]);
    }
    write(this.#keys, keys, keyColumns(this.#layout) + valueColumns(this.#layout));
    write(this.#queries, queries, this.#queries.width);
  }

  override forget(dropped: Uint32Array): Promise<void> {
    this.#drop(dropped);
    return this.inner.forget(dropped);
  }

  override attend(queries: PassingQueries): Promise<AttentionOutput> {
    const rows = queries.rows.slice(), turner = new Turner(this.#rotary, this.#layout);
    for (let at = 0; at < queries.count; at++) {
      turner.turn(rows, at * this.#queries.width, this.#layout.heads, queries.positions[at]);
    }
    return this.inner.attend({ ...queries, rows });
  }

  override async restore(operation: string, rows: Changes, states: SavedArrays | null): Promise<void> {
    this.#reserve(rows, new Uint32Array(0));
    await this.inner.restore(operation, turnChanges(this.#rotary, this.#layout, rows), states);
    write(this.#keys, rows.keys, keyColumns(this.#layout) + valueColumns(this.#layout));
    write(this.#queries, rows.queries, this.#queries.width);
  }

  /** Makes room; throws before anything changes. */
  #reserve({ keys, queries }: Changes, retained: Uint32Array): void {
    const ends = [endOf(keys.slots), endOf(retained), endOf(queries.slots)];
    const bytes = this.#keys.bytesOf(ends[0]) + this.#retained.bytesOf(ends[1]) +
      this.#queries.bytesOf(ends[2]);
    CapacityError.guard(
      this.name,
      `${ends[0]} keys and ${ends[2]} queries as they were written`,
      bytes,
      () => {
        this.#keys.reserve(ends[0]);
        this.#retained.reserve(ends[1]);
        this.#queries.reserve(ends[2]);
      },
    );
  }

  #drop(retainedIds: Uint32Array): void {
    for (const id of retainedIds) this.#retained.wipe(id);
  }

  #retain(slot: number, id: number): void {
    const { width } = this.#keys;
    this.#retained.rows.set(this.#keys.rows.subarray(slot * width, (slot + 1) * width), id * width);
    this.#retained.mark(id, 1, this.#keys.position(slot));
  }
}

/** Keys as they were written, with the values that lie beside their turned ones. */
class WrittenKeys implements RowSource {
  readonly #written: RowStore;
  readonly #turned: RowSource;
  readonly #valueWidth: number;

  constructor(written: RowStore, turned: RowSource, valueWidth: number) {
    this.#written = written;
    this.#turned = turned;
    this.#valueWidth = valueWidth;
  }

  isLive(slot: number): boolean {
    return this.#turned.isLive(slot);
  }

  position(slot: number): number {
    return this.#turned.position(slot);
  }

  element(slot: number, column: number): number {
    return (column < this.#written.width ? this.#written : this.#turned).element(slot, column);
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    this.#turned.copyRow(slot, target, offset);
    this.#written.copyRow(slot, target, offset);
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    const { width, rows: written } = this.#written;
    if (!equalRun(written, slot * width, rows, offset, width)) return false;
    for (let c = width; c < width + this.#valueWidth; c++) {
      if (this.#turned.element(slot, c) !== rows[offset + c]) return false;
    }
    return true;
  }
}

/** Writes the first numbers of rows that are `stride` numbers apart. */
function write(store: RowStore, { slots, live, rows, positions }: RowChanges, stride: number): void {
  const { width } = store;
  for (let t = 0; t < slots.length; t++) {
    if (live[t] === 0) {
      store.wipe(slots[t]);
      continue;
    }
    store.mark(slots[t], 1, positions[t]);
    store.rows.set(rows.subarray(t * stride, t * stride + width), slots[t] * width);
  }
}

/** One more than the largest slot or id. */
function endOf(slots: Uint32Array): number {
  let end = 0;
  for (const slot of slots) if (slot !== NO_ROW) end = Math.max(end, slot + 1);
  return end;
}
