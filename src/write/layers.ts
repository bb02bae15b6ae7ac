/**
 * Edits in layers. The top layer takes new edits; a layer below it is *sealed*, waits for the backend or is being
 * stored, and changes no more; under all of them lie the backend's stored rows.
 *
 * Invariant: the newest row of a slot is that of the topmost layer that has an entry of it, or else the backend's.
 *
 * A key *waits* from its edit on until every state knows of it or is computed anew before it answers. Storing it is not
 * enough, so the stack remembers the slots of layers that were stored, too.
 */

import type { Changes, RowSource } from "../backends/backend.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import { EditLog } from "./edit_log.ts";
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
  /** How many edits are stored once this layer is; null for a layer that took only some of them along. */
  readonly written: number | null;
  /** Layers are numbered as they are sealed. */
  readonly number: number;
}

/** What layers need to know of their engine. */
export interface LayerConfig {
  readonly layout: HeadLayout;
  readonly mask: Mask | null;
  /** Live keys and queries as of the newest edit. */
  readonly keySlots: SlotTable;
  readonly querySlots: SlotTable;
}

/** Stored rows. */
interface StoredRows {
  readonly keys: RowSource;
  readonly queries: RowSource;
}

/** The layers of one engine. */
export class LayerStack {
  readonly #config: LayerConfig;
  readonly #stored: StoredRows;
  /** The lowest first. */
  #sealed: SealedLayer[] = [];
  #top: Layer;
  /** A layer that is done with. */
  #spare: Layer | null = null;
  #layersSealed = 0;
  #settled = 0;
  /** Key slots that wait though their edits were sealed, and the last layer that had one. */
  readonly #waiting = new Map<number, number>();

  constructor(config: LayerConfig, stored: StoredRows) {
    this.#config = config;
    this.#stored = stored;
    this.#top = this.#layerOn(stored);
  }

  /** Where edits are written. */
  get top(): Layer {
    return this.#top;
  }

  /** Changed slots that are not stored yet. */
  get unstored(): number {
    return this.#sealed.reduce((sum, layer) => sum + sizeOf(layer), sizeOf(this.#top));
  }

  /** Changed slots that are not known to every row yet, those on their way to be so included. */
  get pending(): number {
    const settled = this.#sealed.filter(({ number }) => number <= this.#settled);
    return settled.reduce((sum, { keys }) => sum + keys.size, this.waitingKeys + this.waitingQueries);
  }

  /** Changed key slots that wait. */
  get waitingKeys(): number {
    return this.#waiting.size + this.#top.keys.uncounted;
  }

  /** Changed query slots that wait. */
  get waitingQueries(): number {
    return this.#sealed.reduce((sum, { queries }) => sum + queries.size, this.#top.queries.size);
  }

  /** Runs edits on a layer of their own, which reaches the top one only if none of them throws. */
  atomically<T>(edits: (layer: Layer) => T): T {
    const draft = this.#layerOn(this.#top);
    const result = edits(draft);
    // Memory may be refused here, before the first change.
    this.#top.keys.reserve(draft.keys.size);
    this.#top.queries.reserve(draft.queries.size);
    absorb(this.#top, draft);
    this.#setAside(draft);
    return result;
  }

  /**
   * Seals what is written, `written` edits so far: all keys, and all queries or those among `rows`. null when there is
   * nothing.
   */
  seal(written: number, rows?: Uint32Array): SealedLayer | null {
    const { keys, queries } = this.#top;
    const changed = rows && queries.size > 0 ? new Set(rows.filter((row) => queries.has(row))) : NO_SLOTS;
    const takesAll = !rows || changed.size === queries.size;
    if (keys.size + (takesAll ? queries.size : changed.size) === 0) return null;
    const number = ++this.#layersSealed;
    const layer = takesAll
      ? { keys, queries, changes: null, written, number }
      : { keys, queries: queries.take(changed), changes: null, written: null, number };
    for (const slot of keys.view().slots) this.#waiting.set(slot, number);
    const above = this.#layerOn(layer);
    this.#top = takesAll ? above : { keys: above.keys, queries };
    this.#sealed.push(layer);
    return layer;
  }

  /** The lowest sealed layer was stored: the one above lies on the backend's rows now. Nobody may look at it any more. */
  stored(): void {
    const layer = this.#sealed.shift();
    const above = this.#sealed[0] ?? this.#top;
    above.keys.rebase(this.#stored.keys);
    above.queries.rebase(this.#stored.queries);
    if (layer) this.#setAside(layer);
  }

  /** The keys of layers up to this number wait no more: they are known to every row, or on their way to be. */
  settle(number = this.#layersSealed): void {
    this.#settled = Math.max(this.#settled, number);
    for (const [slot, last] of this.#waiting) if (last <= number) this.#waiting.delete(slot);
    this.#top.keys.recount();
  }

  /** The number of the layer that was sealed last. */
  get layersSealed(): number {
    return this.#layersSealed;
  }

  /** Sealed layers up to a number as one, which is the lowest then; null when they were stored. */
  sealedUpTo(number: number): SealedLayer | null {
    const count = this.#sealed.filter((layer) => layer.number <= number).length;
    if (count <= 1) return count === 0 ? null : this.#sealed[0];
    const [lowest, ...others] = this.#sealed.splice(0, count);
    for (const layer of others) {
      absorb(lowest, layer);
      this.#setAside(layer);
    }
    const written = others.reduce((written, layer) => layer.written ?? written, lowest.written);
    const merged = { ...lowest, changes: null, written, number: others[others.length - 1].number };
    const above = this.#sealed[0] ?? this.#top;
    above.keys.rebase(merged.keys);
    above.queries.rebase(merged.queries);
    this.#sealed.unshift(merged);
    return merged;
  }

  /** What is sealed stays sealed and waits again, since what it was sealed for has not come about. */
  waitAgain(): void {
    if (this.#sealed.length === 0) return;
    for (const { keys, number } of this.#sealed) {
      for (const slot of keys.view().slots) this.#waiting.set(slot, number);
    }
    this.#settled = Math.min(this.#settled, this.#sealed[0].number - 1);
    this.#top.keys.recount();
  }

  /** What is sealed will not be stored: all layers become one again. */
  putBack(): void {
    if (this.#sealed.length === 0) return;
    const [lowest, ...others] = this.#sealed;
    for (const layer of [...others, this.#top]) {
      absorb(lowest, layer);
      this.#setAside(layer);
    }
    this.#top = { keys: lowest.keys, queries: lowest.queries };
    this.#sealed = [];
    for (const [slot, last] of this.#waiting) if (last >= lowest.number) this.#waiting.delete(slot);
    this.#top.keys.recount();
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
      // It is asked again when the layer is stored, and what fails then rejects the answer that is queued behind.
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

  /** Wipes a layer that is done with, and keeps it for later. */
  #setAside({ keys, queries }: Layer): void {
    keys.clear();
    queries.clear();
    this.#spare = { keys, queries };
  }

  #layerOn(base: StoredRows): Layer {
    if (this.#spare) {
      const { keys, queries } = this.#spare;
      this.#spare = null;
      keys.rebase(base.keys);
      queries.rebase(base.queries);
      return { keys, queries };
    }
    const { layout, mask } = this.#config;
    const keepsInserts = mask?.isFunction === true;
    return {
      keys: new EditLog(keyColumns(layout) + valueColumns(layout), base.keys, keepsInserts, this.#waiting),
      queries: new EditLog(queryColumns(layout), base.queries, keepsInserts),
    };
  }
}

const NO_SLOTS: ReadonlySet<number> = new Set();

/** Changed slots of a layer. */
function sizeOf({ keys, queries }: Layer): number {
  return keys.size + queries.size;
}

function absorb(lower: Layer, upper: Layer): void {
  lower.keys.absorb(upper.keys);
  lower.queries.absorb(upper.queries);
}
