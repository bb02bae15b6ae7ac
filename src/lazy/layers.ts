/**
 * Edits in layers. The top layer takes new edits; a layer below it is *sealed*, waits for the backend or is being
 * applied, and changes no more; under all of them lie the backend's applied rows.
 *
 * Invariant: the newest row of a slot is that of the topmost layer that has an entry of it, or else the backend's.
 */

import type { Changes, RowChanges, RowSource } from "../backends/backend.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../core/head_layout.ts";
import { EditLog, type Snapshot } from "./edit_log.ts";
import { type Mask, maskKeys, maskQueries, type MaskScope } from "./mask.ts";
import type { SlotTable } from "./slot_table.ts";

/** Rows `[key | value]` and queries that differ from the layer below. */
export interface Layer {
  readonly keys: EditLog;
  readonly queries: EditLog;
}

/** A layer that changes no more. */
export interface SealedLayer extends Layer {
  /** What the backend is told, once the mask has been asked. */
  changes: Changes | null;
  /** How many edits are applied once this layer is; null for a layer that took only some of them along. */
  readonly written: number | null;
}

/** What layers need to know of their engine. */
export interface LayerConfig {
  readonly layout: HeadLayout;
  readonly mask: Mask | null;
  /** Live keys and queries as of the newest edit. */
  readonly keySlots: SlotTable;
  readonly querySlots: SlotTable;
}

/** Applied rows. */
interface AppliedRows {
  readonly keys: RowSource;
  readonly queries: RowSource;
}

/** Pending keys as they were when they were asked for. */
export interface PendingKeys {
  readonly changes: RowChanges;
  readonly snapshot: Snapshot;
  /** The layer that they were of. */
  readonly layer: Layer;
}

/** The layers of one engine. */
export class LayerStack {
  readonly #config: LayerConfig;
  readonly #applied: AppliedRows;
  /** The lowest first. */
  #sealed: SealedLayer[] = [];
  #top: Layer;

  constructor(config: LayerConfig, applied: AppliedRows) {
    this.#config = config;
    this.#applied = applied;
    this.#top = this.#layerOn(applied);
  }

  /** Where edits are written. */
  get top(): Layer {
    return this.#top;
  }

  /** Changed slots that wait, those that are sealed included. */
  get pending(): number {
    return this.#sealed.reduce((sum, layer) => sum + sizeOf(layer), sizeOf(this.#top));
  }

  /** Runs edits on a layer of their own, which reaches the top one only if none of them throws. */
  atomically<T>(edits: (layer: Layer) => T): T {
    const draft = this.#layerOn(this.#top);
    const result = edits(draft);
    absorb(this.#top, draft);
    return result;
  }

  /** Seals the top layer, with all edits up to the `written`-th. */
  seal(written: number): SealedLayer {
    const layer = { ...this.#top, changes: null, written };
    this.#top = this.#layerOn(layer);
    this.#sealed.push(layer);
    return layer;
  }

  /** Seals those of the top layer's queries that are among `rows`; null when there are none. */
  sealQueries(rows: Uint32Array): SealedLayer | null {
    const { keys, queries } = this.#top;
    const changed = queries.size === 0 ? [] : rows.filter((row) => queries.has(row));
    if (changed.length === 0) return null;
    const layer = { keys: keys.take([]), queries: queries.take(changed), changes: null, written: null };
    this.#sealed.push(layer);
    return layer;
  }

  /** The lowest sealed layer was applied: the one above lies on the backend's rows now. */
  applied(): void {
    this.#sealed.shift();
    const above = this.#sealed[0] ?? this.#top;
    above.keys.rebase(this.#applied.keys);
    above.queries.rebase(this.#applied.queries);
  }

  /** The lowest sealed layer could not be applied: all layers become one again. */
  putBack(): void {
    const [lowest, ...others] = this.#sealed;
    for (const layer of others) absorb(lowest, layer);
    absorb(lowest, this.#top);
    this.#top = lowest;
    this.#sealed = [];
  }

  /** Copies the top layer's keys. */
  pendingKeys(): PendingKeys {
    const snapshot = this.#top.keys.snapshot();
    return {
      changes: maskKeys(this.#config.mask, snapshot, this.#maskScope([])),
      snapshot,
      layer: this.#top,
    };
  }

  /**
   * Seals pending keys that were copied from the top layer, below all that is sealed, to be applied at once; null when
   * that layer was sealed itself since, and is about to be applied anyway.
   */
  sealEarly({ changes, snapshot, layer }: PendingKeys): SealedLayer | null {
    if (layer !== this.#top) return null;
    const early = {
      ...this.#layerOn(this.#applied),
      changes: { keys: changes, queries: NO_CHANGES },
      written: null,
    };
    early.keys.restore(snapshot);
    const above = this.#sealed[0] ?? this.#top;
    above.keys.rebase(early.keys);
    above.queries.rebase(early.queries);
    this.#sealed.unshift(early);
    this.#top.keys.settle(snapshot, this.#applied.keys);
    return early;
  }

  /**
   * Asks the mask about what is sealed. It is asked late, so that a caller who learns a slot from an insert can tell
   * the mask of it, but before a call returns that wants an answer, so that what later becomes of a slot changes
   * nothing.
   */
  askMask(): void {
    if (!this.#config.mask) return;
    try {
      for (const layer of this.#sealed) this.changesOf(layer);
    } catch {
      // It is asked again when the layer is applied, and what fails then rejects the answer that is queued behind.
    }
  }

  /** What the backend is told of a sealed layer. */
  changesOf(layer: SealedLayer): Changes {
    if (layer.changes) return layer.changes;
    const { mask } = this.#config;
    const scope = this.#maskScope([...this.#sealed.slice(this.#sealed.indexOf(layer) + 1), this.#top]);
    layer.changes = {
      keys: maskKeys(mask, layer.keys.view(), scope),
      queries: maskQueries(mask, layer.queries.view(), scope),
    };
    return layer.changes;
  }

  /** A row that a layer above replaces is no longer the one that the mask would speak of. */
  #maskScope(above: readonly Layer[]): MaskScope {
    const { keySlots, querySlots } = this.#config;
    return {
      keySize: keySlots.size,
      querySize: querySlots.size,
      hasKey: (slot) => keySlots.isLive(slot) && !above.some(({ keys }) => keys.replaces(slot)),
      hasQuery: (slot) => querySlots.isLive(slot) && !above.some(({ queries }) => queries.replaces(slot)),
    };
  }

  #layerOn(base: AppliedRows): Layer {
    const { layout, mask } = this.#config;
    const keepsInserts = mask?.isFunction === true;
    return {
      keys: new EditLog(keyColumns(layout) + valueColumns(layout), base.keys, keepsInserts),
      queries: new EditLog(queryColumns(layout), base.queries, keepsInserts),
    };
  }
}

/** A batch of no rows. */
export const NO_CHANGES: RowChanges = {
  slots: new Uint32Array(0),
  live: new Uint8Array(0),
  rows: new Float32Array(0),
  positions: new Float64Array(0),
  bias: null,
};

/** Changed slots of a layer. */
export function sizeOf({ keys, queries }: Layer): number {
  return keys.size + queries.size;
}

function absorb(lower: Layer, upper: Layer): void {
  lower.keys.absorb(upper.keys);
  lower.queries.absorb(upper.queries);
}
