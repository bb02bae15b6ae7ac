// Backends that pass everything on, for tests of how an engine treats one that is slow or fails.

import type {
  AttentionOutput,
  Backend,
  Changes,
  Cohort,
  Copies,
  PassingQueries,
  Wanted,
} from "../src/backends/backend.ts";
import type { SavedArrays } from "../src/base/saved_array.ts";

/** Passes everything on; subclasses get in the way. */
export class Wrapped implements Backend {
  readonly name: string;
  readonly inner: Backend;

  constructor(inner: Backend) {
    this.inner = inner;
    this.name = inner.name;
  }

  get reason() {
    return this.inner.reason;
  }
  get costs() {
    return this.inner.costs;
  }
  get threads() {
    return this.inner.threads;
  }
  get deviceMs() {
    return this.inner.deviceMs;
  }
  get work() {
    return this.inner.work;
  }
  get keys() {
    return this.inner.keys;
  }
  get queries() {
    return this.inner.queries;
  }
  get retained() {
    return this.inner.retained;
  }
  bytes(): number {
    return this.inner.bytes();
  }
  store(changes: Changes, retained: Uint32Array, dropped: Uint32Array): Promise<void> {
    return this.inner.store(changes, retained, dropped);
  }
  forget(dropped: Uint32Array): Promise<void> {
    return this.inner.forget(dropped);
  }
  update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    return this.inner.update(build, patch);
  }
  read(cohort: Cohort, wanted: Wanted): Promise<AttentionOutput> {
    return this.inner.read(cohort, wanted);
  }
  certify(cohort: Cohort): Promise<Float64Array<ArrayBuffer>> {
    return this.inner.certify(cohort);
  }
  get watched() {
    return this.inner.watched;
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
  driftOfCopies(queries: Uint32Array, copies: Copies, bounds: Float64Array): void {
    this.inner.driftOfCopies(queries, copies, bounds);
  }
  copied(cohort: Cohort, copies: Copies, limit: number): Promise<void> {
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

/** Takes its time, as a device does: each call is answered some turns of the event loop later. */
export class SlowBackend extends Wrapped {
  override async store(changes: Changes, retained: Uint32Array, dropped: Uint32Array): Promise<void> {
    await turn();
    await super.store(changes, retained, dropped);
    await turn();
  }
  override async update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    await turn();
    await super.update(build, patch);
    await turn();
  }
  override async read(cohort: Cohort, wanted: Wanted): Promise<AttentionOutput> {
    await turn();
    const attention = await super.read(cohort, wanted);
    await turn();
    return attention;
  }
  override async attend(queries: PassingQueries): Promise<AttentionOutput> {
    await turn();
    return await super.attend(queries);
  }
}

/** A backend that fails on request, before or after a pause, but not while an engine is created. */
export class FailingBackend extends SlowBackend {
  /** Asked before each batch is stored. */
  fails: () => boolean = () => false;
  /** Asked before each update, of which it then does a part. */
  failsToUpdate: () => boolean = () => false;
  /** Asked before each read. */
  failsToRead: () => boolean = () => false;
  /** Asked when it has been filled with everything. */
  failsToRestore: () => boolean = () => false;

  override async store(changes: Changes, retained: Uint32Array, dropped: Uint32Array): Promise<void> {
    if (this.fails()) {
      await turn();
      throw new Error("device lost");
    }
    await super.store(changes, retained, dropped);
  }
  override async update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    if (this.failsToUpdate()) {
      await super.update(build.subarray(1), patch.slice(1));
      throw new Error("device lost");
    }
    await super.update(build, patch);
  }
  override async restore(operation: string, rows: Changes, states: SavedArrays | null): Promise<void> {
    await super.restore(operation, rows, states);
    if (this.failsToRestore()) throw new Error("device lost");
  }
  override async read(cohort: Cohort, wanted: Wanted): Promise<AttentionOutput> {
    if (this.failsToRead()) throw new Error("device lost");
    return await super.read(cohort, wanted);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
