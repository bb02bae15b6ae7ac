// A memory of keys over the WebAssembly kernels, as plain as can be: rows are kept while their slot changes,
// patches are made of what was and what is, flagged rows are built alone, and heavy keys are noted beside the
// sums.

import {
  compileKernels,
  createMemory,
  instantiateKernels,
  type KernelBuild,
  type Kernels,
} from "../src/backends/wasm/load_kernels.ts";
import { Arena } from "../src/backends/wasm/arena.ts";
import { type HeavyEvent, RowBlocks } from "../src/backends/wasm/row_blocks.ts";
import { columnsOf, type RowRule } from "../src/backends/wasm/row_rule.ts";
import { PieceRunner } from "../src/backends/wasm/threads/piece_runner.ts";
import { PlacedTerms, type Term, writeValue } from "./placed_terms.ts";

/** A key with its value, and what is added to its score with each row. */
export interface Entry {
  readonly key: ArrayLike<number>;
  readonly value: ArrayLike<number>;
  readonly bias?: ArrayLike<number>;
  readonly position?: number;
}

const HEAVY_KEYS = 8;
const modules = new Map<KernelBuild, Promise<WebAssembly.Module>>();

/** Kernels of a build over a memory of their own. */
export async function freshKernels(build: KernelBuild): Promise<{ kernels: Kernels; arena: Arena }> {
  let module = modules.get(build);
  if (!module) modules.set(build, module = compileKernels(build));
  const memory = createMemory();
  const kernels = await instantiateKernels(await module, memory);
  return { kernels, arena: new Arena(memory, kernels.heapBase()) };
}

/** Keys by slot, and rows that are kept up to date with them. */
export class WasmMemory {
  readonly kernels: Kernels;
  readonly arena: Arena;
  readonly rows: RowBlocks;
  readonly entries: (Entry | null)[];
  refreshes = 0;
  readonly terms: PlacedTerms;
  readonly #runner: PieceRunner;
  readonly #rule: RowRule;
  readonly #count: number;
  readonly #heavy: Map<number, number>[];
  /** Two places a slot: what it holds, and what it held. */
  readonly #places: Term[][];

  constructor(
    { kernels, arena }: { kernels: Kernels; arena: Arena },
    rule: RowRule,
    queries: readonly ArrayLike<number>[],
    capacity: number,
    positions: readonly number[] | null = null,
    hasBias = false,
  ) {
    this.kernels = kernels;
    this.arena = arena;
    this.#runner = new PieceRunner(kernels, arena);
    this.#rule = rule;
    this.#count = queries.length;
    this.rows = new RowBlocks(arena, rule, queries.length);
    this.terms = new PlacedTerms(arena, this.rows.job);
    queries.forEach((query, row) => this.rows.setQuery(row, query, positions?.[row]));
    this.entries = new Array<Entry | null>(capacity).fill(null);
    this.#heavy = queries.map(() => new Map<number, number>());
    this.#places = this.entries.map(() =>
      [0, 1].map(() => ({
        key: arena.take(4 * rule.headDim),
        value: arena.take(4 * columnsOf(rule.valueDim)),
        ...(hasBias ? { bias: arena.take(32 * Math.ceil(queries.length / 8)) } : {}),
        ...(positions ? { position: 0 } : {}),
      }))
    );
  }

  /**
   * Changes slots; none twice. Patches all rows, or builds them. Keys that come with the value that there was
   * are shared-value pairs.
   */
  apply(
    changes: readonly (readonly [slot: number, entry: Entry | null])[],
    how: "patch" | "build" = "patch",
  ): void {
    const terms: Term[] = [], slots: number[] = [];
    const shareValue = ([slot, entry]: typeof changes[number]) =>
      entry !== null && this.entries[slot]?.value === entry.value;
    const sharedValuePairs = changes.filter(shareValue);
    for (const [slot, entry] of [...sharedValuePairs, ...changes.filter((change) => !shareValue(change))]) {
      if (this.entries[slot]) {
        terms.push({ ...this.#places[slot][0], isTakenOut: true });
        slots.push(slot);
      }
      this.#store(slot, entry);
      if (entry) {
        terms.push(this.#places[slot][0]);
        slots.push(slot);
      }
    }
    const all = Array.from({ length: this.#count }, (_, row) => row);
    if (how === "build") return this.#build(all);
    this.terms.set(terms, 0, sharedValuePairs.length);
    for (const { row, term, score } of this.patch()) {
      if (terms[term].isTakenOut) this.#heavy[row].delete(slots[term]);
      else this.#heavy[row].set(slots[term], score);
    }
    const flagged = new Set(this.rows.flaggedAmong(Uint32Array.from(all)));
    for (const row of all) if (this.#heavy[row].size > HEAVY_KEYS) flagged.add(row);
    this.refreshes += flagged.size;
    if (flagged.size > 0) this.#build([...flagged]);
  }

  /** Builds the active rows from the terms that the rows were given. */
  build(): void {
    this.#runner.runHere(this.rows.toBuild());
  }

  /** Patches the active rows with the terms that the rows were given. */
  patch(): readonly HeavyEvent[] {
    const run = this.rows.toPatch();
    this.#runner.runHere(run);
    return this.rows.eventsOf(run);
  }

  /** Terms of all live keys, in order of slots. */
  liveTerms(): Term[] {
    return this.entries.flatMap((entry, slot) => entry ? [this.#places[slot][0]] : []);
  }

  /** Attention of a row and its log-sum-exp. */
  output(row: number): { output: Float32Array; logSumExp: number } {
    const { valueDim } = this.#rule;
    const heavy = [...this.#heavy[row]];
    const rowShift = this.rows.shift(row);
    const shift = Math.max(rowShift, ...heavy.map(([, score]) => Math.round(score * Math.LOG2E)));
    const sums = Array.from(
      { length: valueDim + 1 },
      (_, c) => this.rows.sum(row, c) * 2 ** (rowShift - shift),
    );
    for (const [slot, score] of heavy) {
      const a = Math.exp(score - shift * Math.LN2);
      for (let c = 0; c < valueDim; c++) sums[c] += a * Math.fround(this.entries[slot]!.value[c]);
      sums[valueDim] += a;
    }
    const mass = sums[valueDim];
    return {
      output: Float32Array.from({ length: valueDim }, (_, c) => mass > 0 ? sums[c] / mass : 0),
      logSumExp: mass > 0 ? Math.log(mass) + shift * Math.LN2 : -Infinity,
    };
  }

  #build(rows: readonly number[]): void {
    for (let row = 0; row < this.#count; row++) this.rows.activate(row, false);
    for (const row of rows) {
      this.rows.activate(row, true);
      this.#heavy[row].clear();
    }
    this.terms.set(this.liveTerms());
    this.build();
    for (let row = 0; row < this.#count; row++) this.rows.activate(row, true);
  }

  #store(slot: number, entry: Entry | null): void {
    this.entries[slot] = entry;
    if (!entry) return;
    const places = this.#places[slot];
    places.reverse();
    const { key, value, bias } = places[0];
    this.arena.floats(key, this.#rule.headDim).set(Array.from(entry.key));
    writeValue(this.arena.floats(value, columnsOf(this.#rule.valueDim)), 0, entry.value);
    if (bias !== undefined) this.arena.floats(bias, this.#count).set(Array.from(entry.bias!));
    if (entry.position !== undefined) places[0] = { ...places[0], position: entry.position };
  }
}
