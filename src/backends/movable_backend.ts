/**
 * A backend that can be replaced by another without notice to its user: the sources of rows remain the same
 * objects, and counts of work continue.
 *
 * Invariant: a move happens completely or not at all. Before the successor answers anything, it holds all
 * stored rows, with the same bits, and an up-to-date state for every standing query.
 */

import type { Backend, Changes, RowChanges, RowSource } from "./backend.ts";
import { ForwardingBackend } from "./forwarding_backend.ts";
import { noWork, sumOfWork, type Work } from "./work.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";

/** Slot numbers below which all stored rows lie. */
export interface SlotCounts {
  readonly keys: number;
  readonly queries: number;
}

/** The current backend. */
export class MovableBackend extends ForwardingBackend {
  readonly #keys = new CurrentRows(() => this.#current.keys);
  readonly #queries = new CurrentRows(() => this.#current.queries);
  readonly #retained = new CurrentRows(() => this.#current.retained);
  readonly #layout: HeadLayout;
  #current: Backend;
  /** The work of earlier backends. */
  #workBefore: Readonly<Work> = noWork();
  #deviceMsBefore: number | null = null;

  constructor(layout: HeadLayout, first: Backend) {
    super();
    this.#layout = layout;
    this.#current = first;
  }

  protected override get inner(): Backend {
    return this.#current;
  }

  override get keys(): RowSource {
    return this.#keys;
  }

  override get queries(): RowSource {
    return this.#queries;
  }

  override get retained(): RowSource {
    return this.#retained;
  }

  override get deviceMs(): number | null {
    const { deviceMs } = this.#current;
    if (this.#deviceMsBefore === null) return deviceMs;
    return this.#deviceMsBefore + (deviceMs ?? 0);
  }

  override get work(): Readonly<Work> {
    return sumOfWork(this.#workBefore, this.#current.work);
  }

  /**
   * Fills an empty backend with all stored rows, computes its states and replaces the current backend by it.
   * If that fails, nothing changes and the successor is disposed.
   */
  async moveTo(successor: Backend, counts: SlotCounts): Promise<void> {
    const before = this.#current;
    try {
      await successor.restore("DynamicAttention.moveTo", this.#allRows(counts), null);
    } catch (error) {
      await successor.dispose();
      throw error;
    }
    this.#deviceMsBefore = this.deviceMs;
    this.#workBefore = sumOfWork(this.#workBefore, before.work);
    this.#current = successor;
    // The move has succeeded even if a broken device cannot free its memory.
    await before.dispose().catch(() => {});
  }

  #allRows({ keys, queries }: SlotCounts): Changes {
    const width = keyColumns(this.#layout) + valueColumns(this.#layout);
    return {
      keys: { ...liveRows(this.keys, keys, width), bias: this.#current.bias(keys, queries) },
      queries: { ...liveRows(this.queries, queries, queryColumns(this.#layout)), bias: null },
    };
  }
}

/** The rows of the current backend. */
class CurrentRows implements RowSource {
  readonly #source: () => RowSource;

  constructor(source: () => RowSource) {
    this.#source = source;
  }

  isLive(slot: number): boolean {
    return this.#source().isLive(slot);
  }

  element(slot: number, column: number): number {
    return this.#source().element(slot, column);
  }

  position(slot: number): number {
    return this.#source().position(slot);
  }

  copyRow(slot: number, target: Float32Array, offset: number): void {
    this.#source().copyRow(slot, target, offset);
  }

  equalsRow(slot: number, rows: Float32Array, offset: number): boolean {
    return this.#source().equalsRow(slot, rows, offset);
  }
}

/** All slots below `size`, live or not, as one batch. */
function liveRows(source: RowSource, size: number, width: number): Omit<RowChanges, "bias"> {
  const slots = Uint32Array.from({ length: size }, (_, slot) => slot);
  const live = new Uint8Array(size);
  const rows = new Float32Array(size * width);
  const positions = new Float64Array(size);
  for (let slot = 0; slot < size; slot++) {
    if (!source.isLive(slot)) continue;
    live[slot] = 1;
    source.copyRow(slot, rows, slot * width);
    positions[slot] = source.position(slot);
  }
  return { slots, live, rows, positions };
}
