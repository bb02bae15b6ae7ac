/**
 * What the playground computes, without a page: two engines that get the same edits. One is only looked at, and answers
 * with a certificate; the other is read, and answers exactly. Edits wait in a list until the next look.
 *
 * Invariant: at every look both engines have had the same edits. One look runs at a time. What is counted and timed is
 * edits and their answers alone, neither creating an engine nor what only the drawing asks for.
 */

import type { BackendName, Edit } from "../mod.ts";
import { DynamicAttention } from "../src/engine/dynamic_attention.ts";
import { HEAD_DIM, HEADS, keyRow, queryRow, scratchWork, VALUE_DIM, valueRow } from "./rows.ts";
import { type Buoy, firstBuoy, type Place } from "./sea.ts";

/** What the engines are made of. */
export interface LabOptions {
  /** Buoys of the beginning. */
  readonly count: number;
  /** How the sea differs from the beginning, by slot: buoys that are elsewhere or new, and null for those that are gone. */
  readonly changes: ReadonlyMap<number, Buoy | null>;
  /** Takes the sea over from another lab, as it is now; `changes` are not looked at then. */
  readonly same?: Lab;
  readonly queries: readonly Place[];
  readonly scale: number;
  readonly softcap: number;
  /** Changed slots that may wait. */
  readonly threshold: number;
  /** How far off a stale answer may be, in °C; Infinity for any. */
  readonly budget: number;
  readonly backend: BackendName;
}

/** What there is to see. */
export interface Look {
  readonly head: number;
  /** A number a query: exact, and as last brought up to date. */
  readonly exact: Float32Array;
  readonly stale: Float32Array;
  /** For each query how far its stale row can be from the exact one, both heads together; and how far it is. */
  readonly bounds: Float64Array;
  readonly distances: Float64Array;
  /** Changed slots that the stale answers do not know. */
  readonly pending: number;
  /** Exact weights of the head, a list a query, a number a slot. */
  readonly weights: readonly Float32Array[];
  readonly costs: Costs;
}

/** Of the stale answers, of the exact ones, and of computing all from scratch at each edit. */
export type Three = readonly [stale: number, exact: number, scratch: number];

/** What edits and their answers have cost. */
export interface Costs {
  /** Edits of the last look that had any, and of all. */
  readonly lastEdits: number;
  readonly edits: number;
  /** Products of the same. */
  readonly last: Three;
  readonly total: Three;
  /** Milliseconds a look, its edits included, over the last looks that had edits; 0 before there was one. */
  readonly ms: Three;
}

const NONE: Three = [0, 0, 0];
const TIMED_LOOKS = 32, TIMED_REBUILDS = 3;

/** The engines, and the sea as it is. */
export class Lab {
  readonly queries: Place[];
  #buoys: (Buoy | null)[] = [];
  readonly #changed: Set<number>;
  readonly #firstCount: number;
  #keyCount = 0;
  #threshold: number;
  #stale!: DynamicAttention;
  #exact!: DynamicAttention;
  #waiting: Edit[] = [];
  #times: Three[] = [];
  #rebuildMs = 0;
  /** Products of the two engines when the last look was settled. */
  #before: readonly [stale: number, exact: number] = [0, 0];
  /** Since then. */
  #editsSince = 0;
  #scratchSince = 0;
  #msSince = [0, 0];
  #costs: Costs = { lastEdits: 0, edits: 0, last: NONE, total: NONE, ms: NONE };

  private constructor({ count, changes, same, queries, threshold }: LabOptions) {
    this.queries = [...queries];
    this.#firstCount = count;
    this.#threshold = threshold;
    this.#changed = new Set(same ? same.#changed : changes.keys());
    if (same) this.#buoys = [...same.#buoys];
    else this.#fill(count, changes);
    this.#keyCount = this.#buoys.filter((buoy) => buoy !== null).length;
  }

  #fill(count: number, changes: LabOptions["changes"]): void {
    const slots = Math.max(count, ...[...changes.keys()].map((slot) => slot + 1));
    for (let slot = 0; slot < slots; slot++) {
      const change = changes.get(slot);
      this.#buoys.push(change === undefined ? slot < count ? firstBuoy(slot) : null : change);
    }
  }

  /** Computes the first state. */
  static async create(options: LabOptions): Promise<Lab> {
    const lab = new Lab(options);
    try {
      await lab.#start(options);
    } catch (error) {
      await lab.dispose();
      throw error;
    }
    return lab;
  }

  /** n. */
  get keyCount(): number {
    return this.#keyCount;
  }

  /** Numbers of slots, freed ones included. */
  get slotCount(): number {
    return this.#buoys.length;
  }

  /** Changed slots from which on the stale answers catch up. */
  set threshold(threshold: number) {
    this.#threshold = threshold;
  }

  /** A buoy; null where a slot is free. */
  buoyOf(slot: number): Buoy | null {
    return this.#buoys[slot] ?? null;
  }

  /** How the sea differs from its beginning, for slots that were changed by hand, and by the current where it is told. */
  changes(): Map<number, Buoy | null> {
    const slots = [...this.#changed].sort((a, b) => a - b);
    const isAsAtFirst = (slot: number) => {
      const now = this.#buoys[slot], first = slot < this.#firstCount ? firstBuoy(slot) : null;
      return now === first || (now && first && now.x === first.x && now.y === first.y &&
        now.temperature === first.temperature);
    };
    return new Map(slots.filter((slot) => !isAsAtFirst(slot)).map((slot) => [slot, this.#buoys[slot]]));
  }

  /** Moves a buoy, or changes what it says. `isTold` is whether `changes` tells of it. */
  set(slot: number, buoy: Buoy, isTold = true): void {
    const before = this.#buoys[slot];
    if (!before) return;
    this.#buoys[slot] = buoy;
    if (isTold) this.#changed.add(slot);
    const hasMoved = before.x !== buoy.x || before.y !== buoy.y;
    const isOther = before.temperature !== buoy.temperature;
    if (hasMoved) this.#waiting.push({ kind: "setKey", slot, key: keyRow(buoy) });
    if (isOther) this.#waiting.push({ kind: "setValue", slot, value: valueRow(buoy) });
  }

  /** Moves a query. */
  setQuery(at: number, place: Place): void {
    if (this.queries[at].x === place.x && this.queries[at].y === place.y) return;
    this.queries[at] = place;
    this.#waiting.push({ kind: "setQuery", slot: at, query: queryRow(place) });
  }

  /** Puts out a buoy, in the slot that the engines take for it, and looks that up at once. */
  insert(buoy: Buoy): number {
    const edits: Edit[] = [...this.#waiting, { kind: "insert", key: keyRow(buoy), value: valueRow(buoy) }];
    this.#waiting = [];
    const slot = this.#apply(edits).at(-1)!;
    while (this.#buoys.length <= slot) this.#buoys.push(null);
    this.#buoys[slot] = buoy;
    this.#changed.add(slot);
    this.#keyCount++;
    return slot;
  }

  /** Takes a buoy away. */
  delete(slot: number): void {
    if (!this.#buoys[slot]) return;
    this.#buoys[slot] = null;
    this.#changed.add(slot);
    this.#keyCount--;
    this.#waiting.push({ kind: "delete", slot });
  }

  /** Does the edits that wait, and looks. */
  async look(head: number): Promise<Look> {
    this.#apply(this.#waiting.splice(0));
    const { output, bounds, pending } = await this.#timed(0, () => this.#stale.peek());
    const exact = (await this.#timed(1, () => this.#exact.read())).data;
    this.#settle();
    const weights: Float32Array[] = [];
    await this.#uncounted(async () => {
      for (const at of this.queries.keys()) weights.push(await this.#exact.weights(at, { head }));
    });
    const ofHead = (data: Float32Array) =>
      Float32Array.from(this.queries, (_, at) => data[at * HEADS + head]);
    const distances = Float64Array.from(this.queries, (_, at) =>
      Math.hypot(
        ...Array.from({ length: HEADS }, (_, each) =>
          exact[at * HEADS + each] - output.data[at * HEADS + each]),
      ));
    return {
      head,
      exact: ofHead(exact),
      stale: ofHead(output.data),
      bounds,
      distances,
      pending,
      weights,
      costs: this.#costs,
    };
  }

  /** Brings the stale answers up to date. */
  async catchUp(): Promise<void> {
    this.#apply(this.#waiting.splice(0));
    await this.#timed(0, () => this.#stale.read());
  }

  /** The exact answers of a head at passing places. */
  async temperaturesAt(places: readonly Place[], head: number): Promise<Float32Array> {
    const { data } = await this.#uncounted(() => this.#exact.attend(places.map(queryRow)));
    return Float32Array.from(places, (_, at) => data[at * HEADS + head]);
  }

  /** Goes on with another backend, or stays where it is and throws. */
  async moveTo(backend: BackendName): Promise<void> {
    // The exact one first: only what it can do is asked of the other.
    const before = this.#exact.stats().backend as BackendName;
    await this.#exact.moveTo(backend, { threads: 1 });
    try {
      await this.#stale.moveTo(backend, { threads: 1 });
    } catch (error) {
      await this.#exact.moveTo(before, { threads: 1 });
      throw error;
    }
    this.#times = [];
    await this.#timeRebuild();
  }

  /** Where it computes, and why there. */
  where(): { backend: string; reason: string; bytes: number } {
    const { backend, backendReason: reason, bytes } = this.#exact.stats();
    return { backend, reason, bytes };
  }

  /** Ends both engines. */
  async dispose(): Promise<void> {
    await this.#stale?.dispose();
    await this.#exact?.dispose();
  }

  async #start({ count, scale, softcap, threshold, budget, backend }: LabOptions): Promise<void> {
    // As many rows as there are slots, so that each slot keeps its number; free ones are deleted before anybody looks.
    const buoys = this.#buoys.map((buoy, slot) => buoy ?? firstBuoy(slot < count ? slot : 0));
    const options = {
      query: this.queries.map(queryRow),
      key: matrixOf(buoys, keyRow, HEADS * HEAD_DIM),
      value: matrixOf(buoys, valueRow, HEADS * VALUE_DIM),
      heads: HEADS,
      scale,
      softcap,
      backend,
      threads: 1,
    } as const;
    this.#exact = await DynamicAttention.create(options);
    this.#stale = await DynamicAttention.create({
      ...options,
      // A function, so that another threshold need not start the engine anew.
      lazyThreshold: budget === Infinity
        ? ({ edits }) => edits >= this.#threshold
        : { edits: threshold, error: budget },
    });
    for (const engine of [this.#exact, this.#stale]) {
      for (const [slot, buoy] of this.#buoys.entries()) if (!buoy) engine.delete(slot);
      await engine.rebuild();
    }
    await this.#timeRebuild();
    this.#before = this.#products();
  }

  async #timeRebuild(): Promise<void> {
    let best = Infinity;
    for (let round = 0; round < TIMED_REBUILDS; round++) {
      const start = performance.now();
      await this.#exact.rebuild();
      best = Math.min(best, performance.now() - start);
    }
    this.#rebuildMs = best;
    this.#before = this.#products();
  }

  #products(): readonly [stale: number, exact: number] {
    return [this.#stale.stats().multiplyAdds, this.#exact.stats().multiplyAdds];
  }

  #apply(edits: readonly Edit[]): number[] {
    if (edits.length === 0) return [];
    const start = performance.now();
    this.#stale.edit(edits);
    const between = performance.now();
    const slots = this.#exact.edit(edits);
    this.#msSince[0] += between - start;
    this.#msSince[1] += performance.now() - between;
    this.#editsSince += edits.length;
    this.#scratchSince += edits.length * scratchWork(this.queries.length, this.#keyCount);
    return slots;
  }

  async #timed<T>(engine: 0 | 1, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const answer = await work();
    this.#msSince[engine] += performance.now() - start;
    return answer;
  }

  /** What only the drawing asks of the exact engine. */
  async #uncounted<T>(work: () => Promise<T>): Promise<T> {
    const [, before] = this.#products();
    const answer = await work();
    this.#before = [this.#before[0], this.#before[1] + this.#products()[1] - before];
    return answer;
  }

  /** Books what the edits since the last look, and their answers, have cost. */
  #settle(): void {
    const [stale, exact] = this.#products();
    const spent: Three = [stale - this.#before[0], exact - this.#before[1], this.#scratchSince];
    const { edits, total } = this.#costs;
    const sum: Three = [total[0] + spent[0], total[1] + spent[1], total[2] + spent[2]];
    if (this.#editsSince > 0) {
      this.#times.push([this.#msSince[0], this.#msSince[1], this.#editsSince * this.#rebuildMs]);
      if (this.#times.length > TIMED_LOOKS) this.#times.shift();
      const mean = (at: 0 | 1 | 2) =>
        this.#times.reduce((all, times) => all + times[at], 0) / this.#times.length;
      this.#costs = {
        lastEdits: this.#editsSince,
        edits: edits + this.#editsSince,
        last: spent,
        total: sum,
        ms: [mean(0), mean(1), mean(2)],
      };
    } else this.#costs = { ...this.#costs, total: sum };
    this.#before = [stale, exact];
    this.#editsSince = 0;
    this.#scratchSince = 0;
    this.#msSince = [0, 0];
  }
}

function matrixOf<Item>(items: readonly Item[], rowOf: (item: Item) => number[], columns: number) {
  const data = new Float32Array(items.length * columns);
  for (const [at, item] of items.entries()) data.set(rowOf(item), at * columns);
  return { data, shape: [items.length, columns] as const };
}
