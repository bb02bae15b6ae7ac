/**
 * The plain backend: works wherever JavaScript does, and is what the others are compared with. Weights are not
 * stored but recomputed, bit for bit, when a key's contribution is taken out.
 *
 * Invariant between calls: the states of every live query, one a head at `slot · heads + head`, are those of the
 * applied keys and are trusted.
 */

import type {
  Backend,
  BackendConfig,
  Changes,
  Costs,
  PassingQueries,
  Plan,
  Readout,
  RowChanges,
  RowSource,
  SavedBackend,
  Work,
} from "../backend.ts";
import type { SavedArrays } from "../../saved_array.ts";
import { keyColumns, outputColumns, queryColumns, valueColumns } from "../../core/head_layout.ts";
import { CapacityError } from "../../errors.ts";
import { BiasTable } from "./bias_table.ts";
import { Certifier } from "./certifier.ts";
import { KeyValueSource } from "./key_value_source.ts";
import type { KeyBlock, KeyPatch } from "./key_block.ts";
import { Kernels } from "./kernels.ts";
import { RowStates } from "./row_states.ts";
import type { RowTotals } from "./row_totals.ts";
import { equalRun, RowStore } from "./row_store.ts";
import { restoreStates, saveStates } from "./saved_states.ts";
import { ValueSpread } from "./value_spread.ts";

const COSTS: Costs = { exponential: 15, compensatedAdd: 1.6 };

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
  readonly #bias: BiasTable;
  readonly #states: RowStates;
  readonly #overlayState: RowStates;
  readonly #spread: ValueSpread;
  readonly #certifier: Certifier;

  constructor(config: BackendConfig) {
    const { layout, rule, maskHeads } = config;
    this.#config = config;
    this.#kernels = new Kernels(layout, rule);
    this.#keyRows = new RowStore(keyColumns(layout));
    this.#valueRows = new RowStore(layout.kvHeads * (layout.valueDim + 2));
    this.#queryRows = new RowStore(queryColumns(layout));
    this.#bias = new BiasTable(maskHeads);
    this.#states = new RowStates(layout.valueDim + 2);
    this.#overlayState = new RowStates(layout.valueDim + 2, 1);
    this.#spread = new ValueSpread(layout);
    this.#certifier = new Certifier(layout, rule.softcap, this.#kernels, this.#spread);
    this.keys = new KeyValueSource(this.#keyRows, this.#valueRows, layout);
    this.queries = this.#queryRows;
  }

  get work(): Readonly<Work> {
    return this.#kernels.work;
  }

  bytes(): number {
    return this.#keyRows.bytes() + this.#valueRows.bytes() + this.#queryRows.bytes() + this.#bias.bytes() +
      this.#states.bytes();
  }

  apply({ keys, queries }: Changes, plan: Plan): Promise<void> {
    return Promise.try(() => {
      // Everything that can fail for want of memory comes before the first change.
      const patch = this.#toPatch(keys);
      const toBuild = this.#reserve(keys, queries);

      this.#forgetMeasures(keys, queries, plan);
      this.#storeQueries(queries, toBuild);
      if (plan === "rebuild") this.#markAll(toBuild);
      else if (keys.slots.length > 0) this.#patchRows(patch, toBuild);
      this.#storeKeys(keys, patch);
      if (plan === "rebuild") this.#spread.layAround(this.#applied());
      else this.#spread.hold(patch);
      this.#buildRows(toBuild);
    });
  }

  read(rows: Uint32Array, pending: RowChanges | null): Promise<Readout> {
    return Promise.try(() => {
      const { heads } = this.#config.layout;
      const applied = this.#applied();
      const patch = this.#toOverlay(pending);
      const readout = this.#emptyReadout(rows.length);
      for (let at = 0; at < rows.length; at++) {
        for (let head = 0; head < heads; head++) {
          this.#select(rows[at], head);
          const totals = patch
            ? this.#overlayRow(rows[at] * heads + head, applied, patch)
            : this.#kernels.total(this.#states, rows[at] * heads + head, applied, null);
          this.#write(readout, at * heads + head, totals);
        }
      }
      return readout;
    });
  }

  certify(rows: Uint32Array, pending: RowChanges): Promise<Float64Array<ArrayBuffer>> {
    return Promise.try(() => {
      const { heads } = this.#config.layout;
      const applied = this.#applied();
      this.#certifier.open(applied, this.#toPatch(pending), this.#states.shift.length);
      return Float64Array.from(rows, (slot) => {
        let squared = 0;
        for (let head = 0; head < heads; head++) {
          this.#select(slot, head);
          squared += this.#certifier.bound(this.#states, slot * heads + head, head, applied) ** 2;
        }
        return Math.sqrt(squared);
      });
    });
  }

  attend({ count, rows, positions }: PassingQueries, pending: RowChanges | null): Promise<Readout> {
    return Promise.try(() => {
      const { layout } = this.#config;
      const patch = this.#toOverlay(pending);
      const kept = this.#appliedBut(patch);
      const readout = this.#emptyReadout(count);
      for (let at = 0; at < count; at++) {
        for (let head = 0; head < layout.heads; head++) {
          this.#kernels.select(rows, at * queryColumns(layout), head, positions[at], 0);
          this.#kernels.buildRow(this.#overlayState, 0, kept, patch);
          this.#write(
            readout,
            at * layout.heads + head,
            this.#kernels.total(this.#overlayState, 0, kept, patch),
          );
        }
      }
      return readout;
    });
  }

  weights(
    row: number,
    head: number,
    slotCount: number,
    pending: RowChanges | null,
  ): Promise<Float32Array<ArrayBuffer>> {
    return Promise.try(() => {
      const patch = this.#toOverlay(pending);
      this.#kernels.reserve(slotCount, 0);
      const target = new Float32Array(slotCount);
      this.#select(row, head);
      this.#kernels.weights(this.#appliedBut(patch), patch, target);
      return target;
    });
  }

  save(keySize: number, querySize: number): Promise<SavedBackend> {
    return Promise.try(() => ({
      bias: this.#bias.save(keySize, querySize),
      states: saveStates(this.#states, this.#spread, this.#config.layout, querySize),
    }));
  }

  restore(operation: string, rows: Changes, states: SavedArrays | null): Promise<void> {
    if (!states) return this.apply(rows, "rebuild");
    return Promise.try(() => {
      const patch = this.#toPatch(rows.keys);
      this.#storeQueries(rows.queries, this.#reserve(rows.keys, rows.queries));
      this.#storeKeys(rows.keys, patch);
      const scope = { layout: this.#config.layout, keys: this.#keyRows, queries: this.#queryRows };
      restoreStates(operation, states, this.#states, this.#spread, scope);
    });
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }

  /** Makes room for a batch; returns flags of the rows that are to be built, none yet. */
  #reserve(keys: RowChanges, queries: RowChanges): Uint8Array {
    const { heads } = this.#config.layout;
    const keyEnd = Math.max(this.#keyRows.size, endOf(keys));
    const queryEnd = Math.max(this.#queryRows.size, endOf(queries));
    const [biasKeys, biasQueries] = this.#biasSize(keys, queries, keyEnd, queryEnd);
    const bytes = this.#keyRows.bytesOf(keyEnd) + this.#valueRows.bytesOf(keyEnd) +
      this.#queryRows.bytesOf(queryEnd) + this.#states.bytesOf(queryEnd * heads) +
      this.#bias.bytesOf(biasKeys, biasQueries);
    return CapacityError.guard("array", `${keyEnd} keys and ${queryEnd} queries`, bytes, () => {
      this.#keyRows.reserve(keyEnd);
      this.#valueRows.reserve(keyEnd);
      this.#queryRows.reserve(queryEnd);
      this.#states.reserve(queryEnd * heads);
      this.#bias.reserve(biasKeys, biasQueries);
      this.#kernels.reserve(keyEnd, keys.slots.length);
      return new Uint8Array(queryEnd * heads);
    });
  }

  /** What was measured for certificates outlives a batch of queries alone, but for their own rows. */
  #forgetMeasures(keys: RowChanges, queries: RowChanges, plan: Plan): void {
    const { heads } = this.#config.layout;
    if (keys.slots.length > 0 || plan === "rebuild") this.#certifier.forget();
    else {
      this.#certifier.forgetRows(
        Array.from(queries.slots, (slot) => Array.from({ length: heads }, (_, head) => slot * heads + head))
          .flat(),
      );
    }
  }

  /** Takes one head of a standing query. */
  #select(slot: number, head: number): void {
    const { rows, width, positions } = this.#queryRows;
    const { heads: maskHeads } = this.#bias;
    const biasColumn = slot * maskHeads + (maskHeads > 1 ? head : 0);
    this.#kernels.select(rows, slot * width, head, positions[slot], biasColumn);
  }

  #applied(): KeyBlock {
    return {
      count: this.#keyRows.size,
      live: this.#keyRows.live,
      keys: this.#keyRows.rows,
      values: this.#valueRows.rows,
      positions: this.#keyRows.positions,
      bias: this.#bias.heads > 0 ? this.#bias.data : null,
      biasStride: this.#bias.stride,
    };
  }

  /** Splits rows `[key | value]`, gives each value its columns of upkeep, and compares keys once for all rows. */
  #toPatch({ slots, live, rows, positions, bias }: RowChanges): KeyPatch {
    const { layout } = this.#config;
    const count = slots.length;
    const keyWidth = keyColumns(layout), valueWidth = this.#valueRows.width;
    const rowWidth = keyWidth + valueColumns(layout);
    const keys = new Float32Array(count * keyWidth);
    const values = new Float32Array(count * valueWidth);
    const scoreChanged = new Uint8Array(count);
    for (let t = 0; t < count; t++) {
      const start = t * rowWidth;
      keys.set(rows.subarray(start, start + keyWidth), t * keyWidth);
      for (let head = 0; head < layout.kvHeads; head++) {
        const from = start + keyWidth + head * layout.valueDim;
        const to = t * valueWidth + head * (layout.valueDim + 2);
        widenValue(rows, from, values, to, layout.valueDim);
      }
    }
    const biasStride = count === 0 || !bias ? 0 : bias.length / count;
    const patch = { count, live, keys, values, positions, bias, biasStride, slots, scoreChanged };
    for (let t = 0; t < count; t++) scoreChanged[t] = this.#keepsScores(patch, t) ? 0 : 1;
    return patch;
  }

  /** Whether the applied key in a patch's slot has all that its scores depend on. */
  #keepsScores({ slots, live, keys, positions, bias, biasStride }: KeyPatch, t: number): boolean {
    const slot = slots[t], stored = this.#keyRows;
    return live[t] === 1 && stored.isLive(slot) && stored.position(slot) === positions[t] &&
      stored.equalsRow(slot, keys, t * stored.width) &&
      (!bias || equalRun(this.#bias.data, slot * this.#bias.stride, bias, t * biasStride, biasStride));
  }

  #toOverlay(pending: RowChanges | null): KeyPatch | null {
    this.#kernels.reserve(
      Math.max(this.#keyRows.size, pending ? endOf(pending) : 0),
      pending?.slots.length ?? 0,
    );
    return pending && this.#toPatch(pending);
  }

  /** The applied keys without those that a patch takes the place of: O(n), for what is that anyway. */
  #appliedBut(patch: KeyPatch | null): KeyBlock {
    const applied = this.#applied();
    if (!patch) return applied;
    const live = applied.live.slice(0, applied.count);
    for (const slot of patch.slots) if (slot < applied.count) live[slot] = 0;
    return { ...applied, live };
  }

  /** The totals of the selected head of a standing query under an overlay. */
  #overlayRow(row: number, applied: KeyBlock, patch: KeyPatch): RowTotals {
    const state = this.#overlayState;
    state.copyFrom(this.#states, row);
    this.#kernels.patchRow(state, 0, applied, patch);
    const totals = this.#kernels.total(state, 0, applied, patch);
    if (totals.isTrusted(this.#config.tolerance)) return totals;
    this.#kernels.work.refreshes++;
    this.#kernels.buildRow(state, 0, this.#appliedBut(patch), patch);
    return this.#kernels.total(state, 0, applied, patch);
  }

  #emptyReadout(count: number): Readout {
    const { layout } = this.#config;
    return {
      output: new Float32Array(count * outputColumns(layout)),
      logSumExp: new Float32Array(count * layout.heads),
    };
  }

  #write({ output, logSumExp }: Readout, at: number, totals: RowTotals): void {
    totals.writeOutput(output, at * this.#config.layout.valueDim);
    logSumExp[at] = totals.logSumExp();
  }

  /** How many key and query slots the mask's table must know, those that only a bias mentions included. */
  #biasSize(keys: RowChanges, queries: RowChanges, keyEnd: number, queryEnd: number): [number, number] {
    const { heads } = this.#bias;
    const mentioned = ({ slots, bias }: RowChanges) =>
      bias && slots.length > 0 ? bias.length / slots.length / heads : 0;
    return [Math.max(keyEnd, mentioned(queries)), Math.max(queryEnd, mentioned(keys))];
  }

  #storeQueries(queries: RowChanges, toBuild: Uint8Array): void {
    const { slots, live, rows, positions } = queries;
    const { heads } = this.#config.layout;
    const { width } = this.#queryRows;
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t];
      this.#queryRows.mark(slot, live[t], positions[t]);
      toBuild.fill(live[t], slot * heads, (slot + 1) * heads);
      if (live[t] === 1) this.#queryRows.rows.set(rows.subarray(t * width, (t + 1) * width), slot * width);
      else for (let head = 0; head < heads; head++) this.#states.clear(slot * heads + head);
    }
    this.#bias.storeQueries(queries);
  }

  #markAll(toBuild: Uint8Array): void {
    const { heads } = this.#config.layout;
    for (let slot = 0; slot < this.#queryRows.size; slot++) {
      if (this.#queryRows.isLive(slot)) toBuild.fill(1, slot * heads, (slot + 1) * heads);
    }
  }

  /** Patches every row that is not to be built anyway, and marks those that lose their trust. */
  #patchRows(patch: KeyPatch, toBuild: Uint8Array): void {
    const { layout: { heads }, tolerance } = this.#config;
    const applied = this.#applied();
    for (let row = 0; row < toBuild.length; row++) {
      const slot = Math.floor(row / heads);
      if (toBuild[row] === 1 || !this.#queryRows.isLive(slot)) continue;
      this.#select(slot, row % heads);
      this.#kernels.patchRow(this.#states, row, applied, patch);
      if (!this.#kernels.total(this.#states, row, applied, patch).isTrusted(tolerance)) {
        this.#kernels.work.refreshes++;
        toBuild[row] = 1;
      }
    }
  }

  #storeKeys(changes: RowChanges, { count, slots, live, keys, values, positions }: KeyPatch): void {
    const keyWidth = this.#keyRows.width, valueWidth = this.#valueRows.width;
    for (let t = 0; t < count; t++) {
      this.#keyRows.mark(slots[t], live[t], positions[t]);
      if (live[t] === 0) continue;
      this.#keyRows.rows.set(keys.subarray(t * keyWidth, (t + 1) * keyWidth), slots[t] * keyWidth);
      this.#valueRows.rows.set(values.subarray(t * valueWidth, (t + 1) * valueWidth), slots[t] * valueWidth);
    }
    this.#bias.storeKeys(changes);
  }

  #buildRows(toBuild: Uint8Array): void {
    const { heads } = this.#config.layout;
    const applied = this.#applied();
    for (let row = 0; row < toBuild.length; row++) {
      if (toBuild[row] === 0) continue;
      this.#select(Math.floor(row / heads), row % heads);
      this.#kernels.buildRow(this.#states, row, applied, null);
    }
  }
}

/** (v, 1, ‖v‖∞) of the value at `from`. */
function widenValue(
  rows: Float32Array,
  from: number,
  values: Float32Array,
  to: number,
  valueDim: number,
): void {
  let largest = 0;
  for (let c = 0; c < valueDim; c++) {
    values[to + c] = rows[from + c];
    largest = Math.max(largest, Math.abs(rows[from + c]));
  }
  values[to + valueDim] = 1;
  values[to + valueDim + 1] = largest;
}

/** One more than the largest slot of a batch. */
function endOf({ slots }: RowChanges): number {
  let end = 0;
  for (const slot of slots) end = Math.max(end, slot + 1);
  return end;
}
