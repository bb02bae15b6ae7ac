// The costs of a trace under fixed plans and under the engine, priced in the same way: a row pays for each
// key that it takes out or in, or for all keys when it is computed from scratch. Sizes are d = 8 and dv = 4;
// the unit is one plain multiply-add.

import type { Backend, Cohort, Costs } from "../../src/backends/backend.ts";
import { NO_ROW } from "../../src/backends/since.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { Wrapped } from "../../testing/fake_backends.ts";
import { Random } from "../../testing/random.ts";
import type { Trace } from "./traces.ts";

const HEAD_DIM = 8, VALUE_DIM = 4;

/** Slot → content. */
type Contents = ReadonlyMap<number, number>;

/** A way to keep rows current that never changes its mind. */
export interface FixedPlan {
  readonly name: string;
  cost(trace: Trace, prices: Prices): number;
}

/** The price of bringing a row up to date. */
export class Prices {
  readonly #costs: Costs;

  constructor(costs: Costs) {
    this.#costs = costs;
  }

  /** For a key that comes or goes. */
  get change(): number {
    return HEAD_DIM + this.#costs.exponential + VALUE_DIM * this.#costs.compensatedAdd;
  }

  /** For a computation from scratch. */
  build(keys: number): number {
    return keys * (HEAD_DIM + this.#costs.exponential + VALUE_DIM);
  }

  /** For going from some contents to others. */
  patch(before: Contents, after: Contents): number {
    let changes = 0;
    for (const [slot, content] of after) {
      if (before.get(slot) !== content) changes += before.has(slot) ? 2 : 1;
    }
    for (const slot of before.keys()) if (!after.has(slot)) changes++;
    return changes * this.change;
  }
}

/** Runs through a trace; `onStep` sees what the memory holds when rows are read. */
function replay(
  { keys, steps }: Trace,
  onStep: (contents: Map<number, number>, rows: readonly number[]) => void,
  onEdit: (contents: Map<number, number>) => void = () => {},
): void {
  const contents = new Map(Array.from({ length: keys }, (_, slot) => [slot, slot]));
  for (const { edits, rows } of steps) {
    for (const { slot, content } of edits) {
      if (content === null) contents.delete(slot);
      else contents.set(slot, content);
      onEdit(contents);
    }
    if (rows.length > 0) onStep(contents, rows);
  }
}

function started({ keys }: Trace): Map<number, number> {
  return new Map(Array.from({ length: keys }, (_, slot) => [slot, slot]));
}

/** Every row is brought up to date before each read, in one way. */
function allRows(
  name: string,
  price: (before: Contents, after: Contents, prices: Prices) => number,
): FixedPlan {
  return {
    name,
    cost: (trace, prices) => {
      let cost = 0, known: Contents = started(trace);
      replay(trace, (contents) => {
        if (prices.patch(known, contents) === 0) return;
        cost += trace.rows * price(known, contents, prices);
        known = new Map(contents);
      });
      return cost;
    },
  };
}

/** Each row is brought up to date when it is read, in one way. */
function rowsRead(
  name: string,
  price: (before: Contents, after: Contents, prices: Prices) => number,
): FixedPlan {
  return {
    name,
    cost: (trace, prices) => {
      const known = new Map<number, Contents>();
      const start = started(trace);
      let cost = 0;
      replay(trace, (contents, rows) => {
        const now = new Map(contents);
        for (const row of rows) {
          const before = known.get(row) ?? start;
          if (prices.patch(before, now) > 0) cost += price(before, now, prices);
          known.set(row, now);
        }
      });
      return cost;
    },
  };
}

/** Every row is patched at each edit. */
const EVERY_EDIT: FixedPlan = {
  name: "patch all rows at every edit",
  cost: (trace, prices) => {
    let cost = 0;
    const before = started(trace);
    for (const { edits } of trace.steps) {
      for (const { slot, content } of edits) {
        cost += trace.rows * prices.change * ((before.has(slot) ? 1 : 0) + (content === null ? 0 : 1));
        if (content === null) before.delete(slot);
        else before.set(slot, content);
      }
    }
    return cost;
  },
};

/** Reads overlay what is pending; once so much is, all rows are brought up to date in the cheaper way. */
function overlays(threshold: number): FixedPlan {
  return {
    name: threshold === Infinity ? "overlay always" : `overlay, flush at ${threshold}`,
    cost: (trace, prices) => {
      let cost = 0, known: Contents = started(trace);
      replay(trace, (contents, rows) => {
        const patch = prices.patch(known, contents);
        if (patch / prices.change >= 2 * threshold) {
          cost += trace.rows * Math.min(patch, prices.build(contents.size));
          known = new Map(contents);
        } else cost += rows.length * Math.min(patch, prices.build(contents.size));
      });
      return cost;
    },
  };
}

/** The fixed plans with which the engine is compared. */
export const FIXED_PLANS: readonly FixedPlan[] = [
  allRows("rebuild all rows", (_, after, prices) => prices.build(after.size)),
  allRows("patch all rows", (before, after, prices) => prices.patch(before, after)),
  EVERY_EDIT,
  rowsRead("build the rows read", (_, after, prices) => prices.build(after.size)),
  rowsRead("patch the rows read", (before, after, prices) => prices.patch(before, after)),
  overlays(4),
  overlays(16),
  overlays(64),
  overlays(256),
  overlays(Infinity),
];

/** Prices what the engine decides. */
class PricedBackend extends Wrapped {
  spent = 0;
  readonly prices: Prices;

  constructor(inner: Backend) {
    super(inner);
    this.prices = new Prices(inner.costs);
  }

  override update(build: Uint32Array, patch: readonly Cohort[]): Promise<void> | null {
    let live = 0;
    for (let slot = 0; slot < 1 << 17 && live < this.keyCount; slot++) if (this.keys.isLive(slot)) live++;
    this.spent += build.length * this.prices.build(live);
    for (const { queries, since: { slots, retained } } of patch) {
      let changes = 0;
      slots.forEach((slot, t) => {
        changes += (retained[t] === NO_ROW ? 0 : 1) + (this.keys.isLive(slot) ? 1 : 0);
      });
      this.spent += queries.length * changes * this.prices.change;
    }
    return super.update(build, patch);
  }

  /** A number of keys above all traces. */
  keyCount = Infinity;
}

/** The engine's cost of a trace, and its prices. */
export async function engineCost(trace: Trace): Promise<{ readonly cost: number; readonly prices: Prices }> {
  const vector = (content: number, length: number, salt: number) =>
    new Random(1 + 2 * content + salt).row(length);
  const rowsOf = (count: number, length: number, salt: number) => ({
    data: Float32Array.from(
      Array.from({ length: count }, (_, content) => [...vector(content, length, salt)]).flat(),
    ),
    shape: [count, length] as const,
  });
  let priced: PricedBackend | undefined;
  await using engine = await createEngine({
    query: rowsOf(trace.rows, HEAD_DIM, 1_000_000),
    key: rowsOf(trace.keys, HEAD_DIM, 0),
    value: rowsOf(trace.keys, VALUE_DIM, 1),
    lazyThreshold: Infinity,
    backend: "array",
  }, { wrap: (inner) => priced = new PricedBackend(inner) });
  const backend = priced as PricedBackend;
  backend.spent = 0;
  // Slots of a trace are its own; the engine gives its own.
  const slots = new Map(Array.from({ length: trace.keys }, (_, slot) => [slot, slot]));
  for (const { edits, rows } of trace.steps) {
    for (const { slot, content } of edits) {
      const own = slots.get(slot);
      if (content === null) {
        if (own !== undefined) engine.delete(own);
        slots.delete(slot);
        continue;
      }
      const key = vector(content, HEAD_DIM, 0), value = vector(content, VALUE_DIM, 1);
      if (own === undefined) slots.set(slot, engine.insert(key, value));
      else engine.set(own, key, value);
    }
    backend.keyCount = slots.size;
    if (rows.length > 0) await engine.read([...rows]);
  }
  return { cost: backend.spent, prices: backend.prices };
}
