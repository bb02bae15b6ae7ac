/**
 * A backend that can be replaced by another without notice to its user: the sources of rows remain the same
 * objects, and counts of work continue.
 *
 * Invariant: a move happens completely or not at all. Before the successor answers anything, it holds all
 * stored rows, with the same bits, and an up-to-date state for every standing query.
 */

import type {
  AttentionOutput,
  Backend,
  Changes,
  Cohort,
  Copies,
  Costs,
  PassingQueries,
  RowChanges,
  RowSource,
  Wanted,
  Watched,
} from "./backend.ts";
import { noWork, sumOfWork, type Work } from "./work.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import type { SavedArrays } from "../base/saved_array.ts";

/** Slot numbers below which all stored rows lie. */
export interface SlotCounts {
  readonly keys: number;
  readonly queries: number;
}

/** The current backend. */
export class MovableBackend implements Backend {
  readonly keys: RowSource = new CurrentRows(() => this.#current.keys);
  readonly queries: RowSource = new CurrentRows(() => this.#current.queries);
  readonly retained: RowSource = new CurrentRows(() => this.#current.retained);
  readonly #layout: HeadLayout;
  #current: Backend;
  /** The work of earlier backends. */
  #workBefore: Readonly<Work> = noWork();
  #deviceMsBefore: number | null = null;

  constructor(layout: HeadLayout, first: Backend) {
    this.#layout = layout;
    this.#current = first;
  }

  get name(): string {
    return this.#current.name;
  }

  get reason(): string {
    return this.#current.reason;
  }

  get costs(): Costs {
    return this.#current.costs;
  }

  get threads(): number {
    return this.#current.threads;
  }

  get deviceMs(): number | null {
    const { deviceMs } = this.#current;
    if (this.#deviceMsBefore === null) return deviceMs;
    return this.#deviceMsBefore + (deviceMs ?? 0);
  }

  get work(): Readonly<Work> {
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

  bytes(): number {
    return this.#current.bytes();
  }

  store(changes: Changes, retained: Uint32Array, dropped: Uint32Array): Promise<void> {
    return this.#current.store(changes, retained, dropped);
  }

  forget(dropped: Uint32Array): Promise<void> {
    return this.#current.forget(dropped);
  }

  update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    return this.#current.update(build, patch);
  }

  read(cohort: Cohort, wanted: Wanted): Promise<AttentionOutput> {
    return this.#current.read(cohort, wanted);
  }

  certify(cohort: Cohort): Promise<Float64Array<ArrayBuffer>> {
    return this.#current.certify(cohort);
  }

  get watched(): Watched | null {
    return this.#current.watched;
  }

  watch(queries: Uint32Array): Promise<boolean> {
    return this.#current.watch(queries);
  }

  unwatch(): void {
    this.#current.unwatch();
  }

  drift(cohort: Cohort, limit: number): Promise<Float64Array<ArrayBuffer>> {
    return this.#current.drift(cohort, limit);
  }

  driftOfCopies(queries: Uint32Array, copies: Copies, bounds: Float64Array): void {
    this.#current.driftOfCopies(queries, copies, bounds);
  }

  copied(cohort: Cohort, copies: Copies, limit: number): Promise<void> {
    return this.#current.copied(cohort, copies, limit);
  }

  attend(queries: PassingQueries): Promise<AttentionOutput> {
    return this.#current.attend(queries);
  }

  weights(slot: number, head: number, slotCount: number): Promise<Float32Array<ArrayBuffer>> {
    return this.#current.weights(slot, head, slotCount);
  }

  bias(keySize: number, querySize: number): Float32Array | null {
    return this.#current.bias(keySize, querySize);
  }

  save(querySize: number): Promise<SavedArrays> {
    return this.#current.save(querySize);
  }

  restore(operation: string, rows: Changes, states: SavedArrays | null): Promise<void> {
    return this.#current.restore(operation, rows, states);
  }

  dispose(): Promise<void> {
    return this.#current.dispose();
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
