/**
 * Edits in layers. The top layer takes new edits. The layers below it are *sealed*: they no longer change,
 * and wait for the backend or are being stored. Under all of them lie the backend's stored rows.
 *
 * Invariant: the newest row of a slot is that of the topmost layer that has an entry for it, or else the
 * backend's.
 *
 * A changed key slot *waits* from its edit on until every state includes the change or will be computed anew
 * before it answers. Storing the change is not enough, so the stack also remembers the slots of layers that
 * were stored.
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

/** A layer that no longer changes. */
export interface SealedLayer extends Layer {
  /** The batch for the backend, once the mask has been asked; null before. */
  changes: Changes | null;
  /**
   * The number of edits that are stored once this layer is; null for a layer that has only some of the edits.
   */
  readonly written: number | null;
  /** The layer's number, in the order of sealing. */
  readonly number: number;
}

/** The parts of an engine that layers depend on. */
export interface LayerConfig {
  readonly layout: HeadLayout;
  readonly mask: Mask | null;
  /** Live keys and queries as of the newest edit. */
  readonly keySlots: SlotTable;
  readonly querySlots: SlotTable;
}

/** The stored rows of a backend. */
interface StoredRows {
  readonly keys: RowSource;
  readonly queries: RowSource;
}

/** The layers of one engine. */
export class LayerStack {
  readonly #config: LayerConfig;
  readonly #stored: StoredRows;
  /** Sealed layers, the lowest first. */
  #sealed: SealedLayer[] = [];
  #top: Layer;
  /** An empty layer for reuse. */
  #spare: Layer | null = null;
  #layersSealed = 0;
  #settled = 0;
  /**
   * Key slots whose edits were sealed and that still wait, with the number of the last layer that has an edit
   * of the slot.
   */
  readonly #waiting = new Map<number, number>();

  constructor(config: LayerConfig, stored: StoredRows) {
    this.#config = config;
    this.#stored = stored;
    this.#top = this.#layerOn(stored);
  }

  /** The layer that takes new edits. */
  get top(): Layer {
    return this.#top;
  }

  /** The number of changed slots that are not stored yet. */
  get unstored(): number {
    return this.#sealed.reduce((sum, layer) => sum + sizeOf(layer), sizeOf(this.#top));
  }

  /**
   * The number of changed slots that some state does not include yet, including those that a queued turn will
   * bring to it.
   */
  get pending(): number {
    const settled = this.#sealed.filter(({ number }) => number <= this.#settled);
    return settled.reduce((sum, { keys }) => sum + keys.size, this.waitingKeys + this.waitingQueries);
  }

  /** The number of changed key slots that wait. */
  get waitingKeys(): number {
    return this.#waiting.size + this.#top.keys.uncounted;
  }

  /** The number of changed query slots that wait. */
  get waitingQueries(): number {
    return this.#sealed.reduce((sum, { queries }) => sum + queries.size, this.#top.queries.size);
  }

  /** Runs edits on a layer of their own, which reaches the top one only if none of them throws. */
  atomically<T>(edits: (layer: Layer) => T): T {
    const draft = this.#layerOn(this.#top);
    const result = edits(draft);
    // This may throw for want of memory, so it comes before the first change.
    this.#top.keys.reserve(draft.keys.size);
    this.#top.queries.reserve(draft.queries.size);
    absorb(this.#top, draft);
    this.#setAside(draft);
    return result;
  }

  /**
   * Seals the edits made so far, `written` in number: those of all keys, and those of all queries or of the
   * query slots among `slots`. Returns null when there is nothing to seal.
   */
  seal(written: number, slots?: Uint32Array): SealedLayer | null {
    const { keys, queries } = this.#top;
    const changed = slots && queries.size > 0 ? new Set(slots.filter((slot) => queries.has(slot))) : NO_SLOTS;
    const takesAll = !slots || changed.size === queries.size;
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

  /**
   * Drops the lowest sealed layer after the backend has stored it: the layer above lies on the backend's rows
   * now. No one may read the dropped layer afterwards.
   */
  stored(): void {
    const layer = this.#sealed.shift();
    const above = this.#sealed[0] ?? this.#top;
    above.keys.rebase(this.#stored.keys);
    above.queries.rebase(this.#stored.queries);
    if (layer) this.#setAside(layer);
  }

  /**
   * Notes that the key slots of the layers up to this number no longer wait, since every state includes them
   * or a queued turn brings them to it.
   */
  settle(number = this.#layersSealed): void {
    this.#settled = Math.max(this.#settled, number);
    for (const [slot, last] of this.#waiting) if (last <= number) this.#waiting.delete(slot);
    this.#top.keys.recount();
  }

  /** The number of the layer that was sealed last. */
  get layersSealed(): number {
    return this.#layersSealed;
  }

  /** Joins the sealed layers up to a number to one, the lowest; null when they were stored. */
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

  /** Makes sealed edits wait again, after the turn that they were sealed for has failed. They stay sealed. */
  waitAgain(): void {
    if (this.#sealed.length === 0) return;
    for (const { keys, number } of this.#sealed) {
      for (const slot of keys.view().slots) this.#waiting.set(slot, number);
    }
    this.#settled = Math.min(this.#settled, this.#sealed[0].number - 1);
    this.#top.keys.recount();
  }

  /** Joins all layers to one again, after storing the sealed ones has failed. */
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
   * Asks the mask about sealed rows. It is asked late, so that a caller who learns a slot from `insert` can
   * prepare the mask function for it, but before a call for an answer returns, so that later edits of the
   * slot make no difference.
   */
  askMask(): void {
    if (!this.#config.mask) return;
    try {
      for (const layer of this.#sealed) this.changesOf(layer);
    } catch {
      // The mask is asked again when the layer is stored; an error then rejects the answer that is queued
      // behind.
    }
  }

  /** The batch of a sealed layer for the backend. */
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

  /**
   * The rows that a mask can be asked about. A row that a layer above replaces is not among them: the mask
   * would answer for the newer row.
   */
  #maskScope(above: readonly Layer[]): MaskScope {
    const { keySlots, querySlots } = this.#config;
    return {
      keySize: keySlots.size,
      querySize: querySlots.size,
      hasKey: (slot) => keySlots.isLive(slot) && !above.some(({ keys }) => keys.replaces(slot)),
      hasQuery: (slot) => querySlots.isLive(slot) && !above.some(({ queries }) => queries.replaces(slot)),
    };
  }

  /** Wipes a layer and keeps it for reuse. */
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

/** The number of changed slots of a layer. */
function sizeOf({ keys, queries }: Layer): number {
  return keys.size + queries.size;
}

function absorb(lower: Layer, upper: Layer): void {
  lower.keys.absorb(upper.keys);
  lower.queries.absorb(upper.queries);
}
