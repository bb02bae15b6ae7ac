// Backends that pass everything on, for tests of how an engine treats one that is slow or fails.

import type { AttentionOutput, Backend, Changes, Cohort, PassingQueries } from "../src/backends/backend.ts";
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
  read(cohort: Cohort): Promise<AttentionOutput> {
    return this.inner.read(cohort);
  }
  certify(cohort: Cohort): Promise<Float64Array<ArrayBuffer>> {
    return this.inner.certify(cohort);
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
  override async read(cohort: Cohort): Promise<AttentionOutput> {
    await turn();
    const attention = await super.read(cohort);
    await turn();
    return attention;
  }
  override async attend(queries: PassingQueries): Promise<AttentionOutput> {
    await turn();
    return await super.attend(queries);
  }
}

/** Fails when it is told to, before or after a pause; the engine's create must get through. */
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
  override async read(cohort: Cohort): Promise<AttentionOutput> {
    if (this.failsToRead()) throw new Error("device lost");
    return await super.read(cohort);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
