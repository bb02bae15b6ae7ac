/**
 * The plain backend: works wherever JavaScript does, and is what the others are compared with. Weights are not
 * stored but recomputed, bit for bit, when a key's contribution is taken out.
 *
 * Invariant between calls: the states of a live query, one a head at `slot · heads + head`, hold the keys of one
 * moment and are trusted, unless the query was stored and not brought up to date since.
 */

import type {
  Backend,
  BackendConfig,
  Changes,
  Cohort,
  Costs,
  PassingQueries,
  Readout,
  RowChanges,
  RowSource,
  Since,
  Work,
} from "../backend.ts";
import { attempt } from "../../base/attempt.ts";
import { emptyReadout } from "../host/empty_readout.ts";
import { GIVEN } from "../host/reason.ts";
import { NO_ROW } from "../since.ts";
import { checkArrayNames, type SavedArrays } from "../../base/saved_array.ts";
import { queryColumns } from "../../numerics/head_layout.ts";
import { CapacityError } from "../../base/errors.ts";
import { Certifier, NO_WEIGHT_ROUNDING } from "../host/certifier.ts";
import type { KeyBlock, KeyExchange } from "../host/key_block.ts";
import { KeyStore } from "../host/key_store.ts";
import { Kernels } from "../host/kernels.ts";
import { RowStates } from "../host/row_states.ts";
import type { RowTotals } from "../host/row_totals.ts";
import { RowStore } from "../host/row_store.ts";
import { restoreStates, saveStates, STATE_NAMES } from "../host/saved_states.ts";
import { ValueSpread } from "../host/value_spread.ts";

/** Of an exchange that nobody patches by. */
const NOT_COMPARED = new Uint8Array(0);

const NO_ROWS = new Uint32Array(0);

const COSTS: Costs = { exponential: 15, compensatedAdd: 1.6, rowsTogether: 1 };

/** Attention over typed arrays in the thread of the caller. */
export class ArrayBackend implements Backend {
  readonly name = "array";
  readonly deviceMs = null;
  readonly threads = 1;
  readonly reason: string;
  readonly costs = COSTS;
  readonly keys: RowSource;
  readonly queries: RowSource;
  readonly kept: RowSource;
  readonly #config: BackendConfig;
  readonly #kernels: Kernels;
  readonly #stored: KeyStore;
  readonly #kept: KeyStore;
  readonly #queryRows: RowStore;
  readonly #states: RowStates;
  /** One state, of whatever is computed in passing. */
  readonly #passing: RowStates;
  readonly #spread: ValueSpread;
  readonly #certifier: Certifier<KeyBlock>;

  constructor(config: BackendConfig) {
    const { layout, rule, maskHeads } = config;
    this.#config = config;
    this.reason = config.reason ?? GIVEN;
    this.#kernels = new Kernels(layout, rule);
    this.#stored = new KeyStore(layout, maskHeads);
    this.#kept = new KeyStore(layout, maskHeads);
    this.#queryRows = new RowStore(queryColumns(layout));
    this.#states = new RowStates(layout.valueDim + 2);
    this.#passing = new RowStates(layout.valueDim + 2, 1);
    this.#spread = new ValueSpread(layout, layout.valueDim + 2);
    this.keys = this.#stored.source;
    this.kept = this.#kept.source;
    this.queries = this.#queryRows;
    this.#certifier = new Certifier({
      layout,
      softcap: rule.softcap,
      stored: this.keys,
      kept: this.kept,
      tables: () => ({ stored: this.#stored.block(), kept: this.#kept.block() }),
      pairs: this.#kernels,
      spread: this.#spread,
    });
  }

  get work(): Readonly<Work> {
    return this.#kernels.work;
  }

  bytes(): number {
    return this.#stored.bytes() + this.#kept.bytes() + this.#queryRows.bytes() + this.#states.bytes() +
      this.#certifier.bytes;
  }

  store({ keys, queries }: Changes, kept: Uint32Array, dropped: Uint32Array): Promise<void> {
    return attempt(() => {
      // All that can fail, for want of memory, comes before the first change.
      this.#reserve(keys, queries, kept);
      for (const number of dropped) this.#kept.wipe(number);
      const before = this.#stored.block();
      keys.slots.forEach((slot, t) => {
        if (kept[t] !== NO_ROW) this.#kept.copyFrom(this.#stored, slot, kept[t]);
        this.#spread.release(before, slot);
      });
      this.#stored.store(keys);
      const block = this.#stored.block();
      for (const slot of keys.slots) this.#spread.include(block, slot);
      this.#certifier.changeKeys(keys.slots);
      this.#storeQueries(queries);
    });
  }

  forget(dropped: Uint32Array): Promise<void> {
    return attempt(() => {
      for (const number of dropped) this.#kept.wipe(number);
      this.#spread.forget(this.#stored.block());
      this.#certifier.forget();
      this.#kernels.forgetQuery();
      this.#passing.clear(0);
    });
  }

  update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> {
    return attempt(() => {
      const block = this.#stored.block();
      const changes = Math.max(0, ...patch.map(({ since }) => since.slots.length));
      this.#kernels.reserve(block.count, changes);
      for (const cohort of patch) this.#patch(cohort);
      for (const slot of build) this.#build(slot);
      if (build.length === this.#queryRows.liveCount) this.#spread.refit(block);
    });
  }

  read({ queries, since }: Cohort): Promise<Readout> {
    return attempt(() => {
      const { heads } = this.#config.layout;
      const stored = this.#stored.block();
      const exchange = since.slots.length === 0 ? null : this.#toExchange(since);
      const readout = emptyReadout(this.#config.layout, queries.length);
      for (let at = 0; at < queries.length; at++) {
        for (let head = 0; head < heads; head++) {
          this.#select(queries[at], head);
          const row = queries[at] * heads + head;
          this.#write(readout, at * heads + head, this.#kernels.total(this.#states, row, stored, exchange));
        }
      }
      return readout;
    });
  }

  certify({ queries, since }: Cohort): Promise<Float64Array<ArrayBuffer>> {
    return attempt(() => {
      const { heads } = this.#config.layout;
      const exchange = this.#toExchange(since);
      this.#certifier.open(since);
      return Float64Array.from(queries, (slot) => {
        let squared = 0;
        for (let head = 0; head < heads; head++) {
          this.#select(slot, head);
          const row = slot * heads + head;
          const totals = this.#kernels.total(this.#states, row, exchange.after, exchange);
          squared += this.#certifier.bound(totals, row, head, NO_WEIGHT_ROUNDING) ** 2;
        }
        return Math.sqrt(squared);
      });
    });
  }

  attend({ count, rows, positions }: PassingQueries): Promise<Readout> {
    return attempt(() => {
      const { layout } = this.#config;
      const stored = this.#stored.block();
      this.#kernels.reserve(stored.count, 0);
      const readout = emptyReadout(this.#config.layout, count);
      for (let at = 0; at < count; at++) {
        for (let head = 0; head < layout.heads; head++) {
          this.#kernels.select(rows, at * queryColumns(layout), head, positions[at], 0);
          this.#kernels.buildRow(this.#passing, 0, stored);
          const totals = this.#kernels.total(this.#passing, 0, stored, null);
          this.#write(readout, at * layout.heads + head, totals);
        }
      }
      return readout;
    });
  }

  weights(row: number, head: number, slotCount: number): Promise<Float32Array<ArrayBuffer>> {
    return attempt(() => {
      const stored = this.#stored.block();
      this.#kernels.reserve(stored.count, 0);
      const target = new Float32Array(slotCount);
      this.#select(row, head);
      this.#kernels.weights(stored, target);
      return target;
    });
  }

  bias(keySize: number, querySize: number): Float32Array | null {
    return this.#stored.bias.save(keySize, querySize);
  }

  save(querySize: number): Promise<SavedArrays> {
    return attempt(() => saveStates(this.#states, this.#spread, this.#config.layout, querySize));
  }

  async restore(operation: string, rows: Changes, states: SavedArrays | null): Promise<void> {
    await this.store(rows, new Uint32Array(rows.keys.slots.length).fill(NO_ROW), NO_ROWS);
    if (!states) {
      return await this.update(rows.queries.slots.filter((_, t) => rows.queries.live[t] === 1), []);
    }
    checkArrayNames(operation, states, STATE_NAMES);
    const scope = { layout: this.#config.layout, keys: this.#stored.keys, queries: this.#queryRows };
    restoreStates(operation, states, this.#states, this.#spread, scope);
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }

  #reserve(keys: RowChanges, queries: RowChanges, kept: Uint32Array): void {
    const { heads } = this.#config.layout;
    const keyEnd = Math.max(this.#stored.keys.size, endOf(keys.slots));
    const queryEnd = Math.max(this.#queryRows.size, endOf(queries.slots));
    const keptEnd = Math.max(this.#kept.keys.size, endOf(kept));
    const [biasKeys, biasQueries] = this.#biasSize(keys, queries, keyEnd, queryEnd);
    const bytes = this.#stored.bytesOf(keyEnd, biasKeys, biasQueries) +
      this.#kept.bytesOf(keptEnd, keptEnd, biasQueries) +
      this.#queryRows.bytesOf(queryEnd) + this.#states.bytesOf(queryEnd * heads);
    CapacityError.guard("array", `${keyEnd} keys and ${queryEnd} queries`, bytes, () => {
      this.#stored.reserve(keyEnd, biasKeys, biasQueries);
      this.#kept.reserve(keptEnd, keptEnd, biasQueries);
      this.#queryRows.reserve(queryEnd);
      this.#states.reserve(queryEnd * heads);
    });
  }

  /** How many key and query slots the mask's table must know, those that only a bias mentions included. */
  #biasSize(keys: RowChanges, queries: RowChanges, keyEnd: number, queryEnd: number): [number, number] {
    const { heads } = this.#stored.bias;
    const mentioned = ({ slots, bias }: RowChanges) =>
      bias && slots.length > 0 ? bias.length / slots.length / heads : 0;
    return [Math.max(keyEnd, mentioned(queries)), Math.max(queryEnd, mentioned(keys))];
  }

  #storeQueries(queries: RowChanges): void {
    const { slots, live, rows, positions } = queries;
    const { heads } = this.#config.layout;
    const { width } = this.#queryRows;
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t];
      this.#queryRows.mark(slot, live[t], positions[t]);
      if (live[t] === 1) this.#queryRows.rows.set(rows.subarray(t * width, (t + 1) * width), slot * width);
      else this.#queryRows.wipe(slot);
      for (let row = slot * heads; row < (slot + 1) * heads; row++) this.#clear(row);
    }
    this.#stored.bias.storeQueries(queries);
  }

  #clear(row: number): void {
    this.#states.clear(row);
    this.#certifier.changeRow(row);
  }

  #build(slot: number): void {
    const { heads } = this.#config.layout;
    for (let head = 0; head < heads; head++) this.#buildHead(slot, head);
  }

  #buildHead(slot: number, head: number): void {
    const row = slot * this.#config.layout.heads + head;
    this.#select(slot, head);
    this.#kernels.buildRow(this.#states, row, this.#stored.block());
    this.#certifier.changeRow(row);
  }

  /** Patches the rows of a cohort; what loses its trust is built. */
  #patch({ queries, since }: Cohort): void {
    const { layout: { heads }, tolerance } = this.#config;
    const exchange = this.#toPatch(since);
    for (const slot of queries) {
      for (let head = 0; head < heads; head++) {
        const row = slot * heads + head;
        this.#select(slot, head);
        this.#kernels.patchRow(this.#states, row, exchange);
        this.#certifier.changeRow(row);
        if (this.#kernels.total(this.#states, row, exchange.after, null).isTrusted(tolerance)) continue;
        this.#kernels.work.refreshes++;
        this.#buildHead(slot, head);
      }
    }
  }

  #toExchange({ slots, kept }: Since): KeyExchange {
    return {
      slots,
      kept,
      before: this.#kept.block(),
      after: this.#stored.block(),
      scoreChanged: NOT_COMPARED,
    };
  }

  /** As `toExchange`, with keys compared once for all rows. */
  #toPatch(since: Since): KeyExchange {
    const { slots, kept } = since;
    const scoreChanged = new Uint8Array(slots.length).fill(1);
    for (let t = 0; t < slots.length; t++) {
      const staysLive = kept[t] !== NO_ROW && this.#stored.keys.isLive(slots[t]);
      if (staysLive && this.#stored.scoresAs(slots[t], this.#kept, kept[t])) scoreChanged[t] = 0;
    }
    return { ...this.#toExchange(since), scoreChanged };
  }

  /** Takes one head of a standing query. */
  #select(slot: number, head: number): void {
    const { rows, width, positions } = this.#queryRows;
    const { heads: maskHeads } = this.#stored.bias;
    const biasColumn = slot * maskHeads + (maskHeads > 1 ? head : 0);
    this.#kernels.select(rows, slot * width, head, positions[slot], biasColumn);
  }

  #write({ output, logSumExp }: Readout, at: number, totals: RowTotals): void {
    totals.writeOutput(output, at * this.#config.layout.valueDim);
    logSumExp[at] = totals.logSumExp();
  }
}

/** One more than the largest number but for `NO_ROW`. */
function endOf(numbers: Uint32Array): number {
  let end = 0;
  for (const number of numbers) if (number !== NO_ROW) end = Math.max(end, number + 1);
  return end;
}
