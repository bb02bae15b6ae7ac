// Checks for the time when a simulated run has ended in calm weather and nobody edits any more: queries, heavy keys,
// log-sum-exps, and each key by what was asked of it.

import type { ClusterKey, ClusterMemory, ClusterToken } from "../../src/cluster/mod.ts";
import { partitionOf } from "../../src/cluster/cluster_config.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import type { ModelRule } from "../memory_model.ts";
import { ruledCase, type RuledRow } from "./ruled_model.ts";
import { Fault, TURN_ROUNDING } from "./sim_judge.ts";
import type { Run } from "./sim_run.ts";
import type { SimTime } from "./sim_world.ts";

/** An edit of a key; whether it was acknowledged is known later. */
export interface Asked {
  /** null for a deletion; a row of no numbers for a move. */
  readonly row: Float32Array | null;
  readonly position: number;
  state: "open" | "acknowledged" | "unknown";
}

/** The parts of the checks. */
interface LastParts {
  readonly time: SimTime;
  readonly memory: ClusterMemory;
  /** The token of all that was acknowledged. */
  readonly after: ClusterToken;
  /** The keys that the records leave. */
  readonly keys: ReadonlyMap<string, RuledRow>;
  readonly rule: ModelRule;
  readonly run: Run;
}

/** The checks of one run. */
export class LastChecks {
  readonly #parts: LastParts;

  constructor(parts: LastParts) {
    this.#parts = parts;
  }

  /** Heavy keys, log-sum-exps and rows of standing queries. */
  async checkQueries(queries: readonly (RuledRow & { readonly id: string })[]): Promise<void> {
    const { time, memory, keys, rule } = this.#parts, ids = queries.map(({ id }) => id), all = [...keys];
    const rows = await time.until(memory.getQueries(ids, this.#options), 100_000);
    const sums = await time.until(memory.logSumExp(ids, this.#options), 100_000);
    for (const [at, query] of queries.entries()) {
      const { id } = query, expected = referenceAttention(ruledCase(rule, keys.values(), [query]));
      if (JSON.stringify(rows[at]) !== JSON.stringify(query.row)) throw new Fault(`query ${id} is another`);
      for (let head = 0; head < rule.heads; head++) {
        const sum = expected.logSumExp[0][head], found = sums[at * rule.heads + head];
        if (!(found === sum || Math.abs(found - sum) < this.#near)) {
          throw new Fault(`log-sum-exp of ${id}, head ${head}, is ${found}, expected ${sum}`);
        }
        // Keys that the query may not attend to weigh nothing, and are left out.
        const heavy = all.map(([key], slot) => ({ id: key, weight: expected.weights[0][head][slot] }))
          .filter(({ weight }) => weight > 0)
          .sort((a, b) => b.weight - a.weight);
        const top = memory.topKeys(id, 5, { ...this.#options, head });
        this.#checkHeavy(id, await time.until(top, 100_000), heavy);
      }
    }
  }

  /** A key is what was acknowledged last, or what was asked for after that and not acknowledged. */
  async checkKeys(asked: ReadonlyMap<string, readonly Asked[]>): Promise<void> {
    const { time, memory, keys, run: { hasShifts, partitions } } = this.#parts, ids = [...asked.keys()];
    if (ids.length === 0) return;
    const rows = await time.until(memory.getKeys(ids, this.#options), 100_000);
    ids.forEach((id, at) => {
      const found = rows[at], position = found?.position ?? 0;
      const row = found && [...found.key, ...found.value, hasShifts ? 0 : position];
      const isThere = statesOf(asked.get(id) ?? [], hasShifts).has(JSON.stringify(row));
      if (isThere && position === (keys.get(id)?.position ?? 0)) return;
      throw new Fault(`key ${id} of partition ${partitionOf(id, partitions)} is not what was acknowledged`);
    });
  }

  get #options() {
    return { after: this.#parts.after, timeoutMs: 60_000 };
  }

  /** The distance from the model that counts as none. */
  get #near(): number {
    return this.#parts.rule.rotary ? TURN_ROUNDING : 1e-9;
  }

  #checkHeavy(id: string, found: readonly ClusterKey[], expected: readonly ClusterKey[]): void {
    const near = this.#near;
    const isRight = found.length === Math.min(5, expected.length) && found.every(({ id, weight }, rank) => {
      const own = expected.find((one) => one.id === id);
      return own && Math.abs(own.weight - weight) < near && Math.abs(expected[rank].weight - weight) < near;
    });
    if (!isRight) throw new Fault(`the heaviest keys of ${id} are ${JSON.stringify(found)}`);
  }
}

/** What a key may be, as text, its position apart where all rows move: what was acknowledged has happened, what is unknown has happened or not. */
function statesOf(asked: readonly Asked[], isUnplaced: boolean): Set<string> {
  let states = new Map<string, readonly number[] | null>([["null", null]]);
  for (const { row, position: place, state } of asked) {
    const position = isUnplaced ? 0 : place;
    const after: typeof states = state === "acknowledged" ? new Map() : new Map(states);
    for (const before of states.values()) {
      const moved = before && [...before.slice(0, -1), position];
      const now = row === null ? null : row.length === 0 ? moved : [...row, position];
      after.set(JSON.stringify(now), now);
    }
    states = after;
  }
  return new Set(states.keys());
}
