/**
 * The computations of the playground, without a page: a sea of buoys as the keys and values of a pair of engines. Edits wait in a
 * list until the next look.
 *
 * Invariant: the sea is what the engines have been told, or will be told at the next look.
 */

import type { BackendName, Edit } from "../mod.ts";
import { type Costs, EnginePair } from "../src/jupyter/live/page/engine_pair.ts";
import { HEAD_DIM, HEADS, keyRow, queryRow, scratchWork, VALUE_DIM, valueRow } from "./rows.ts";
import { type Buoy, firstBuoy, type Place } from "./sea.ts";

/** The options of the engines. */
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

/** The state that is drawn. */
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

/** The engines, and the sea as it is. */
export class Lab {
  readonly queries: Place[];
  #buoys: (Buoy | null)[] = [];
  readonly #changed: Set<number>;
  readonly #firstCount: number;
  #keyCount = 0;
  #threshold: number;
  #pair!: EnginePair;
  #waiting: Edit[] = [];
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
    lab.#pair = await lab.#start(options);
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
    const slot = this.#pair.edit(edits).at(-1)!;
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
    this.#pair.edit(this.#waiting.splice(0));
    const { exact, stale, ...look } = await this.#pair.look(head);
    return { ...look, head, exact: ofHead(exact, head), stale: ofHead(stale, head) };
  }

  /** Brings the stale answers up to date. */
  async catchUp(): Promise<void> {
    this.#pair.edit(this.#waiting.splice(0));
    await this.#pair.catchUp();
  }

  /** The exact answers of a head at passing places. */
  async temperaturesAt(places: readonly Place[], head: number): Promise<Float32Array> {
    const { data } = await this.#pair.uncounted((exact) => exact.attend(places.map(queryRow)));
    return ofHead(data, head);
  }

  /** Goes on with another backend, or stays where it is and throws. */
  async moveTo(backend: BackendName): Promise<void> {
    await this.#pair.moveTo(backend);
  }

  /** Where it computes, and why there. */
  where(): { backend: string; reason: string; bytes: number } {
    return this.#pair.where();
  }

  /** Ends both engines. */
  async dispose(): Promise<void> {
    await this.#pair.dispose();
  }

  #start({ count, scale, softcap, threshold, budget, backend }: LabOptions): Promise<EnginePair> {
    // As many rows as there are slots, so that each slot keeps its number; free ones are deleted before anybody looks.
    const buoys = this.#buoys.map((buoy, slot) => buoy ?? firstBuoy(slot < count ? slot : 0));
    const gone = this.#buoys.flatMap((buoy, slot) => buoy ? [] : [slot]);
    return EnginePair.create({
      exact: {
        query: this.queries.map(queryRow),
        key: matrixOf(buoys, keyRow, HEADS * HEAD_DIM),
        value: matrixOf(buoys, valueRow, HEADS * VALUE_DIM),
        heads: HEADS,
        scale,
        softcap,
        backend,
        threads: 1,
      },
      stale: {
        // It is a function, so that another threshold does not need a new engine.
        lazyThreshold: budget === Infinity
          ? ({ edits }) => edits >= this.#threshold
          : { edits: threshold, error: budget },
        // Without a budget answers stay as they were until the threshold, whatever exact ones would take.
        onThreshold: budget === Infinity ? "patch" : "auto",
      },
      productsPerPair: scratchWork(1, 1),
    }, gone);
  }
}

/** A number a query. */
function ofHead(outputs: Float32Array, head: number): Float32Array {
  return Float32Array.from({ length: outputs.length / HEADS }, (_, at) => outputs[at * HEADS + head]);
}

function matrixOf<Item>(items: readonly Item[], rowOf: (item: Item) => number[], columns: number) {
  const data = new Float32Array(items.length * columns);
  for (const [at, item] of items.entries()) data.set(rowOf(item), at * columns);
  return { data, shape: [items.length, columns] as const };
}
