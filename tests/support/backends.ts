// The backends that every suite runs over, and stand-ins for troublesome ones.

import type {
  Backend,
  Changes,
  PassingQueries,
  Plan,
  Readout,
  RowChanges,
  SavedBackend,
} from "../../src/backends/backend.ts";
import type { SavedArrays } from "../../src/saved_array.ts";
import type { BackendName } from "../../mod.ts";

/** Names that `create` accepts and that run here. */
export const BACKENDS: readonly BackendName[] = ["array"];

/** Passes everything on; subclasses get in the way. */
export class Wrapped implements Backend {
  readonly name: string;
  readonly inner: Backend;

  constructor(inner: Backend) {
    this.inner = inner;
    this.name = inner.name;
  }

  get costs() {
    return this.inner.costs;
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
  bytes(): number {
    return this.inner.bytes();
  }
  apply(changes: Changes, plan: Plan): Promise<void> {
    return this.inner.apply(changes, plan);
  }
  read(rows: Uint32Array, pending: RowChanges | null): Promise<Readout> {
    return this.inner.read(rows, pending);
  }
  certify(rows: Uint32Array, pending: RowChanges): Promise<Float64Array<ArrayBuffer>> {
    return this.inner.certify(rows, pending);
  }
  attend(queries: PassingQueries, pending: RowChanges | null): Promise<Readout> {
    return this.inner.attend(queries, pending);
  }
  weights(
    row: number,
    head: number,
    slotCount: number,
    pending: RowChanges | null,
  ): Promise<Float32Array<ArrayBuffer>> {
    return this.inner.weights(row, head, slotCount, pending);
  }
  save(keySize: number, querySize: number): Promise<SavedBackend> {
    return this.inner.save(keySize, querySize);
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
  override async apply(changes: Changes, plan: Plan): Promise<void> {
    await turn();
    await super.apply(changes, plan);
    await turn();
  }
  override async read(rows: Uint32Array, pending: RowChanges | null): Promise<Readout> {
    await turn();
    const readout = await super.read(rows, pending);
    await turn();
    return readout;
  }
  override async attend(queries: PassingQueries, pending: RowChanges | null): Promise<Readout> {
    await turn();
    return await super.attend(queries, pending);
  }
}

/** Fails to apply when `fails` says so, before or after a pause; the engine's create must get through. */
export class FailingBackend extends SlowBackend {
  /** Asked before each batch. */
  fails: () => boolean = () => false;
  /** Asked before each read. */
  failsToRead: () => boolean = () => false;

  override async apply(changes: Changes, plan: Plan): Promise<void> {
    if (this.fails()) {
      await turn();
      throw new Error("device lost");
    }
    await super.apply(changes, plan);
  }
  override async read(rows: Uint32Array, pending: RowChanges | null): Promise<Readout> {
    if (this.failsToRead()) throw new Error("device lost");
    return await super.read(rows, pending);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
