// Makes an engine with other keys, values and queries and edits it into a scene, in a random order. The slots
// of its rows end up anywhere, so that what the scene says of a row must follow the row: by its position, and
// by a mask function that knows which slot holds which row.

import { type AttentionOptions, DynamicAttention, type DynamicAttentionOptions } from "../mod.ts";
import type { HeadLayout } from "../src/numerics/head_layout.ts";
import type { Random } from "./random.ts";

/** A problem by rows: what holds of row i with row j, wherever they come to lie. */
export interface Scene {
  readonly layout: HeadLayout;
  readonly query: readonly Float32Array[];
  readonly key: readonly Float32Array[];
  readonly value: readonly Float32Array[];
  readonly queryPositions: readonly number[];
  readonly keyPositions: readonly number[];
  readonly rules: Pick<AttentionOptions, "scale" | "softcap" | "causal"> & {
    readonly window?: readonly [left: number, right: number];
  };
  readonly mask: ((i: number, j: number, head: number) => number | boolean) | null;
}

/** An engine that holds a scene, and the slots of its rows in the scene's order. */
export interface EditedScene {
  readonly engine: DynamicAttention;
  readonly keySlots: number[];
  readonly querySlots: number[];
}

/** A scene's rows as options, in the scene's order. */
export function sceneOptions({ layout, query, key, value, rules, ...positions }: Scene): AttentionOptions {
  const { heads, kvHeads, headDim, valueDim } = layout;
  return {
    query: matrix(query, heads * headDim),
    key: matrix(key, kvHeads * headDim),
    value: matrix(value, kvHeads * valueDim),
    heads,
    kvHeads,
    ...rules,
    queryPositions: positions.queryPositions,
    keyPositions: positions.keyPositions,
  };
}

/** Slots from the start, most of which are to hold a row of the scene; the others are to be deleted. */
class Memory {
  readonly #scene: Scene;
  readonly #random: Random;
  readonly keyRows = new Map<number, number>();
  readonly queryRows = new Map<number, number>();

  constructor(scene: Scene, random: Random) {
    this.#scene = scene;
    this.#random = random;
    assign(this.keyRows, scene.key.length, random);
    assign(this.queryRows, scene.query.length, random);
  }

  options(): DynamicAttentionOptions {
    const { layout: { heads, kvHeads, headDim, valueDim }, rules, mask } = this.#scene;
    const random = this.#random;
    const keys = this.keyRows.size + random.below(4), queries = this.queryRows.size + random.below(3);
    const positionsOf = (count: number, rows: ReadonlyMap<number, number>, positions: readonly number[]) =>
      Float64Array.from(
        { length: count },
        (_, slot) => rows.has(slot) ? positions[rows.get(slot)!] : random.below(40) - 20,
      );
    return {
      query: { data: random.row(queries * heads * headDim), shape: [queries, heads * headDim] },
      key: { data: random.row(keys * kvHeads * headDim), shape: [keys, kvHeads * headDim] },
      value: { data: random.row(keys * kvHeads * valueDim), shape: [keys, kvHeads * valueDim] },
      heads,
      kvHeads,
      ...rules,
      queryPositions: positionsOf(queries, this.queryRows, this.#scene.queryPositions),
      keyPositions: positionsOf(keys, this.keyRows, this.#scene.keyPositions),
      ...(mask ? { mask: (i, j, head) => this.#answer(i, j, head) } : {}),
    };
  }

  /** The scene's mask for two slots; any entry for a slot that has no row of the scene. */
  #answer(querySlot: number, keySlot: number, head: number): number | boolean {
    const i = this.queryRows.get(querySlot), j = this.keyRows.get(keySlot);
    if (i === undefined || j === undefined) return (querySlot + keySlot + head) % 2 === 0 ? -Infinity : 0.75;
    return this.#scene.mask!(i, j, head);
  }
}

/** Makes an engine of other rows, edits it into the scene and reads and flushes in between. */
export async function editInto(
  scene: Scene,
  options: Pick<DynamicAttentionOptions, "lazyThreshold" | "onThreshold" | "backend">,
  random: Random,
): Promise<EditedScene> {
  const memory = new Memory(scene, random);
  const engine = await DynamicAttention.create({ ...memory.options(), ...options });
  let lists = editLists(engine, scene, memory, random);
  while (lists.length > 0) {
    random.pick(lists).shift()!();
    lists = lists.filter((list) => list.length > 0);
    // Edits meet what is pending, on its way and applied.
    const pause = random.below(8);
    if (pause === 0) await engine.read();
    if (pause === 1) await engine.flush();
    if (pause === 2) void engine.read();
  }
  return { engine, keySlots: slotsByRow(memory.keyRows), querySlots: slotsByRow(memory.queryRows) };
}

/** Edits that make the engine the scene: each list in its order, the lists in any. */
function editLists(engine: DynamicAttention, scene: Scene, memory: Memory, random: Random): (() => void)[][] {
  const { query, key, value, keyPositions, queryPositions } = scene;
  const { keyRows, queryRows } = memory;
  const { keyCount, queryCount } = engine.stats();
  const lists: (() => void)[][] = [];
  for (let slot = 0; slot < keyCount; slot++) {
    const row = keyRows.get(slot);
    if (row === undefined) lists.push([() => engine.delete(slot)]);
    else if (random.below(2) === 0) lists.push([() => engine.set(slot, key[row], value[row])]);
    else {
      const edits = [() => engine.setKey(slot, key[row]), () => engine.setValue(slot, value[row])];
      lists.push(shuffled(edits, random));
    }
  }
  for (let slot = 0; slot < queryCount; slot++) {
    const row = queryRows.get(slot);
    lists.push([() => row === undefined ? engine.deleteQuery(slot) : engine.setQuery(slot, query[row])]);
  }
  const assignedKeys = new Set(keyRows.values()), assignedQueries = new Set(queryRows.values());
  key.forEach((_, row) => {
    if (assignedKeys.has(row)) return;
    lists.push(insertion(
      () => {
        const slot = engine.insert(key[row], value[row], { position: keyPositions[row] });
        keyRows.set(slot, row);
        return slot;
      },
      (slot) => {
        keyRows.delete(slot);
        engine.delete(slot);
      },
      random,
    ));
  });
  query.forEach((_, row) => {
    if (assignedQueries.has(row)) return;
    lists.push(insertion(
      () => {
        const slot = engine.insertQuery(query[row], { position: queryPositions[row] });
        queryRows.set(slot, row);
        return slot;
      },
      (slot) => {
        queryRows.delete(slot);
        engine.deleteQuery(slot);
      },
      random,
    ));
  });
  return lists;
}

/** A row that comes; one in three goes again and comes back, perhaps in another slot. */
function insertion(insert: () => number, remove: (slot: number) => void, random: Random): (() => void)[] {
  if (random.below(3) > 0) return [insert];
  let slot = -1;
  return [() => void (slot = insert()), () => remove(slot), insert];
}

/** Gives some rows of a scene, in any order, to the first slots. */
function assign(rows: Map<number, number>, count: number, random: Random): void {
  const order = shuffled(Array.from({ length: count }, (_, row) => row), random);
  order.slice(0, random.below(count + 1)).forEach((row, slot) => rows.set(slot, row));
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items];
  for (let end = result.length - 1; end > 0; end--) {
    const other = random.below(end + 1);
    [result[end], result[other]] = [result[other], result[end]];
  }
  return result;
}

function slotsByRow(rows: ReadonlyMap<number, number>): number[] {
  return [...rows].sort(([, a], [, b]) => a - b).map(([slot]) => slot);
}

function matrix(rows: readonly Float32Array[], columns: number) {
  return { data: rows.flatMap((row) => [...row]), shape: [rows.length, columns] as const };
}
