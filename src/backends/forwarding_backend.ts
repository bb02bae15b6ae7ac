/**
 * A backend that passes everything on to another one; subclasses change what they have to.
 */

import type {
  Ahead,
  AttentionOutput,
  Backend,
  Changes,
  Cohort,
  Copies,
  Costs,
  PassingQueries,
  RowSource,
  Wanted,
  Watched,
} from "./backend.ts";
import type { Work } from "./work.ts";
import type { SavedArrays } from "../base/saved_array.ts";
import type { Extents } from "../numerics/storage_bound.ts";

/** Passes everything on. */
export abstract class ForwardingBackend implements Backend {
  /** The backend that everything is passed on to. */
  protected abstract readonly inner: Backend;

  get name(): string {
    return this.inner.name;
  }

  get reason(): string {
    return this.inner.reason;
  }

  get costs(): Costs {
    return this.inner.costs;
  }

  get threads(): number {
    return this.inner.threads;
  }

  get deviceMs(): number | null {
    return this.inner.deviceMs;
  }

  get work(): Readonly<Work> {
    return this.inner.work;
  }

  get keys(): RowSource {
    return this.inner.keys;
  }

  get queries(): RowSource {
    return this.inner.queries;
  }

  get retained(): RowSource {
    return this.inner.retained;
  }

  get watched(): Watched | null {
    return this.inner.watched;
  }

  bytes(): number {
    return this.inner.bytes();
  }

  store(changes: Changes, retained: Uint32Array, dropped: Uint32Array): Promise<void> | null {
    return this.inner.store(changes, retained, dropped);
  }

  forget(dropped: Uint32Array): Promise<void> {
    return this.inner.forget(dropped);
  }

  update(build: Uint32Array, patch: readonly Cohort[], ahead: Ahead | null = null): Promise<void> | null {
    return this.inner.update(build, patch, ahead);
  }

  read(cohort: Cohort, wanted: Wanted, parts?: readonly Cohort[]): Promise<AttentionOutput> {
    return this.inner.read(cohort, wanted, parts);
  }

  certify(cohort: Cohort): Promise<Float64Array<ArrayBuffer>> {
    return this.inner.certify(cohort);
  }

  certifyTime(cohort: Cohort): number {
    return this.inner.certifyTime(cohort);
  }

  extents(queries: Uint32Array): Extents {
    return this.inner.extents(queries);
  }

  watch(queries: Uint32Array): Promise<boolean> {
    return this.inner.watch(queries);
  }

  unwatch(): void {
    this.inner.unwatch();
  }

  drift(cohort: Cohort, limit: number): Promise<Float64Array<ArrayBuffer>> {
    return this.inner.drift(cohort, limit);
  }

  copied(cohort: Cohort, copies: Copies, limit: number): Promise<void> | null {
    return this.inner.copied(cohort, copies, limit);
  }

  attend(queries: PassingQueries): Promise<AttentionOutput> {
    return this.inner.attend(queries);
  }

  weights(slot: number, head: number, slotCount: number): Promise<Float32Array<ArrayBuffer>> {
    return this.inner.weights(slot, head, slotCount);
  }

  bias(keySize: number, querySize: number): Float32Array | null {
    return this.inner.bias(keySize, querySize);
  }

  save(querySize: number): Promise<SavedArrays> {
    return this.inner.save(querySize);
  }

  restore(operation: string, rows: Changes, states: SavedArrays | null): Promise<void> {
    return this.inner.restore(operation, rows, states);
  }

  dispose(): Promise<void> {
    return this.inner.dispose();
  }
}
