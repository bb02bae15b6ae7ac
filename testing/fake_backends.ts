// Backends that pass everything on, for tests of how an engine treats one that is slow or fails.

import type {
  AttentionOutput,
  Backend,
  Changes,
  Cohort,
  PassingQueries,
  Wanted,
} from "../src/backends/backend.ts";
import { ForwardingBackend } from "../src/backends/forwarding_backend.ts";
import type { SavedArrays } from "../src/base/saved_array.ts";

/** Passes everything on; subclasses get in the way. */
export class Wrapped extends ForwardingBackend {
  override readonly inner: Backend;

  constructor(inner: Backend) {
    super();
    this.inner = inner;
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
  override async read(
    cohort: Cohort,
    wanted: Wanted,
    parts?: readonly Cohort[],
  ): Promise<AttentionOutput> {
    await turn();
    const attention = await super.read(cohort, wanted, parts);
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
  override async read(
    cohort: Cohort,
    wanted: Wanted,
    parts?: readonly Cohort[],
  ): Promise<AttentionOutput> {
    if (this.failsToRead()) throw new Error("device lost");
    return await super.read(cohort, wanted, parts);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
