/**
 * The plain backend: works wherever JavaScript does, and is what the others are compared with. Weights are not
 * stored but recomputed, bit for bit, when a key's contribution is taken out.
 *
 * Invariant between calls: the state of every live query is that of the applied keys and is trusted.
 */

import type {
  Backend,
  BackendConfig,
  Changes,
  Costs,
  Plan,
  Readout,
  RowChanges,
  RowSource,
  Work,
} from "../backend.ts";
import { Kernels, type KeyBlock, type KeyPatch } from "./kernels.ts";
import { KeyValueSource } from "./key_value_source.ts";
import { RowStates } from "./row_states.ts";
import { equalRun, RowStore } from "./row_store.ts";

const COSTS: Costs = { exponential: 8, compensatedAdd: 3 };

/** `keys` as if `patch` were applied: the applied keys that stay, and the patch beside them. */
interface Overlay {
  readonly patch: KeyPatch;
  readonly kept: KeyBlock;
}

/** Attention over typed arrays in the thread of the caller. */
export class ArrayBackend implements Backend {
  readonly name = "array";
  readonly costs = COSTS;
  readonly keys: RowSource;
  readonly queries: RowSource;
  readonly #config: BackendConfig;
  readonly #kernels: Kernels;
  readonly #keyRows: RowStore;
  readonly #valueRows: RowStore;
  readonly #queryRows: RowStore;
  readonly #states: RowStates;
  readonly #overlayState: RowStates;

  constructor(config: BackendConfig) {
    const { headDim, valueDim, scale } = config;
    this.#config = config;
    this.#kernels = new Kernels(headDim, valueDim, scale);
    this.#keyRows = new RowStore(headDim);
    this.#valueRows = new RowStore(valueDim + 2);
    this.#queryRows = new RowStore(headDim);
    this.#states = new RowStates(valueDim + 2);
    this.#overlayState = new RowStates(valueDim + 2, 1);
    this.keys = new KeyValueSource(this.#keyRows, this.#valueRows, valueDim);
    this.queries = this.#queryRows;
  }

  get work(): Readonly<Work> {
    return this.#kernels.work;
  }

  bytes(): number {
    return this.#keyRows.bytes() + this.#valueRows.bytes() + this.#queryRows.bytes() + this.#states.bytes();
  }

  apply(changes: Changes, plan: Plan): Promise<void> {
    return Promise.try(() => {
      const { keys, queries } = changes;
      // Everything that can fail for want of memory comes before the first change.
      const patch = this.#toPatch(keys);
      this.#keyRows.reserve(endOf(keys));
      this.#valueRows.reserve(endOf(keys));
      this.#queryRows.reserve(endOf(queries));
      this.#states.reserve(endOf(queries));
      this.#kernels.reserve(Math.max(this.#keyRows.size, endOf(keys)), keys.slots.length);
      const toBuild = new Uint8Array(Math.max(this.#queryRows.size, endOf(queries)));

      this.#storeQueries(queries, toBuild);
      if (plan === "rebuild") toBuild.set(this.#queryRows.live.subarray(0, toBuild.length));
      else if (keys.slots.length > 0) this.#patchRows(patch, toBuild);
      this.#storeKeys(patch);
      this.#buildRows(toBuild);
    });
  }

  read(rows: Uint32Array, pending: RowChanges | null): Promise<Readout> {
    return Promise.try(() => {
      const overlay = this.#toOverlay(pending);
      const readout = this.#emptyReadout(rows.length);
      for (let at = 0; at < rows.length; at++) {
        if (overlay) this.#overlayRow(rows[at], overlay);
        this.#write(readout, at, overlay ? this.#overlayState : this.#states, overlay ? 0 : rows[at]);
      }
      return readout;
    });
  }

  attend(queries: Float32Array, count: number, pending: RowChanges | null): Promise<Readout> {
    return Promise.try(() => {
      const overlay = this.#toOverlay(pending);
      const kept = overlay?.kept ?? this.#applied(), patch = overlay?.patch ?? null;
      const readout = this.#emptyReadout(count);
      for (let at = 0; at < count; at++) {
        this.#kernels.buildRow(this.#overlayState, 0, queries, at * this.#config.headDim, kept, patch);
        this.#write(readout, at, this.#overlayState, 0);
      }
      return readout;
    });
  }

  weights(row: number, slotCount: number, pending: RowChanges | null): Promise<Float32Array<ArrayBuffer>> {
    return Promise.try(() => {
      const overlay = this.#toOverlay(pending);
      this.#kernels.reserve(slotCount, 0);
      const target = new Float32Array(slotCount);
      this.#kernels.weights(
        this.#queryRows.rows,
        row * this.#config.headDim,
        overlay?.kept ?? this.#applied(),
        overlay?.patch ?? null,
        target,
      );
      return target;
    });
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }

  #applied(): KeyBlock {
    return {
      count: this.#keyRows.size,
      live: this.#keyRows.live,
      keys: this.#keyRows.rows,
      values: this.#valueRows.rows,
    };
  }

  /** Splits rows `[key | value]`, gives each value its two columns of upkeep, and compares keys once for all rows. */
  #toPatch({ slots, live, rows }: RowChanges): KeyPatch {
    const { headDim, valueDim } = this.#config;
    const count = slots.length, width = valueDim + 2;
    const keys = new Float32Array(count * headDim);
    const values = new Float32Array(count * width);
    const keyChanged = new Uint8Array(count);
    for (let t = 0; t < count; t++) {
      const start = t * (headDim + valueDim);
      keys.set(rows.subarray(start, start + headDim), t * headDim);
      let largest = 0;
      for (let c = 0; c < valueDim; c++) {
        const v = rows[start + headDim + c];
        values[t * width + c] = v;
        largest = Math.max(largest, Math.abs(v));
      }
      values[t * width + valueDim] = 1;
      values[t * width + valueDim + 1] = largest;
      const unchanged = this.#keyRows.isLive(slots[t]) &&
        equalRun(this.#keyRows.rows, slots[t] * headDim, keys, t * headDim, headDim);
      keyChanged[t] = unchanged ? 0 : 1;
    }
    return { count, live, keys, values, slots, keyChanged };
  }

  #toOverlay(pending: RowChanges | null): Overlay | null {
    const size = this.#keyRows.size;
    if (!pending) {
      this.#kernels.reserve(size, 0);
      return null;
    }
    this.#kernels.reserve(Math.max(size, endOf(pending)), pending.slots.length);
    const live = this.#keyRows.live.slice(0, size);
    for (const slot of pending.slots) if (slot < size) live[slot] = 0;
    return { patch: this.#toPatch(pending), kept: { ...this.#applied(), live } };
  }

  /** Computes the state of a standing query under an overlay. */
  #overlayRow(row: number, { patch, kept }: Overlay): void {
    const state = this.#overlayState;
    const query = this.#queryRows.rows, offset = row * this.#config.headDim;
    state.copyFrom(this.#states, row);
    this.#kernels.patchRow(state, 0, query, offset, this.#applied(), patch);
    if (state.isTrusted(0, this.#config.tolerance)) return;
    this.#kernels.work.refreshes++;
    this.#kernels.buildRow(state, 0, query, offset, kept, patch);
  }

  #emptyReadout(count: number): Readout {
    return {
      output: new Float32Array(count * this.#config.valueDim),
      logSumExp: new Float32Array(count),
    };
  }

  #write({ output, logSumExp }: Readout, at: number, states: RowStates, row: number): void {
    states.writeOutput(row, output, at * this.#config.valueDim);
    logSumExp[at] = states.logSumExp(row);
  }

  #storeQueries({ slots, live, rows }: RowChanges, toBuild: Uint8Array): void {
    const { headDim } = this.#config;
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t];
      this.#queryRows.mark(slot, live[t]);
      toBuild[slot] = live[t];
      if (live[t] === 1) {
        this.#queryRows.rows.set(rows.subarray(t * headDim, (t + 1) * headDim), slot * headDim);
      } else this.#states.clear(slot);
    }
  }

  /** Patches every live row that is not to be built anyway, and marks those that lose their trust. */
  #patchRows(patch: KeyPatch, toBuild: Uint8Array): void {
    const { headDim, tolerance } = this.#config;
    const { rows, live } = this.#queryRows;
    const applied = this.#applied();
    for (let row = 0; row < toBuild.length; row++) {
      if (live[row] === 0 || toBuild[row] === 1) continue;
      this.#kernels.patchRow(this.#states, row, rows, row * headDim, applied, patch);
      if (!this.#states.isTrusted(row, tolerance)) {
        this.#kernels.work.refreshes++;
        toBuild[row] = 1;
      }
    }
  }

  #storeKeys({ count, slots, live, keys, values }: KeyPatch): void {
    const { headDim, valueDim } = this.#config;
    const width = valueDim + 2;
    for (let t = 0; t < count; t++) {
      this.#keyRows.mark(slots[t], live[t]);
      if (live[t] === 0) continue;
      this.#keyRows.rows.set(keys.subarray(t * headDim, (t + 1) * headDim), slots[t] * headDim);
      this.#valueRows.rows.set(values.subarray(t * width, (t + 1) * width), slots[t] * width);
    }
  }

  #buildRows(toBuild: Uint8Array): void {
    const { headDim } = this.#config;
    const applied = this.#applied();
    for (let row = 0; row < toBuild.length; row++) {
      if (toBuild[row] === 0) continue;
      this.#kernels.buildRow(this.#states, row, this.#queryRows.rows, row * headDim, applied, null);
    }
  }
}

/** One more than the largest slot of a batch. */
function endOf({ slots }: RowChanges): number {
  let end = 0;
  for (const slot of slots) end = Math.max(end, slot + 1);
  return end;
}
