// A simulated run as data: a list of actions that a seed makes, and the smallest one that still fails.

import { Random } from "../random.ts";
import { ONE_HEAD_RULES } from "./ruled_model.ts";

/** What happens in a run, and when. */
export interface Action {
  /** Milliseconds after the action before. */
  readonly after: number;
  readonly kind:
    | "edit"
    | "setQuery"
    | "deleteQuery"
    | "read"
    | "peek"
    | "attend"
    | "topKeys"
    | "crash"
    | "stop"
    | "drain"
    | "start"
    | "freeze"
    | "cut"
    | "alone"
    | "weather"
    | "freezeClient"
    | "cutClient"
    | "newClient";
  /** Chooses what it is about: an index that is taken modulo what there is. */
  readonly which: number;
  readonly seed: number;
}

/** A run. */
export interface Run {
  readonly seed: number;
  readonly partitions: number;
  readonly replicas: number;
  readonly hosts: number;
  readonly clients: number;
  readonly snapshotBytes: number;
  /** The share of objects that come back altered. */
  readonly altered: number;
  /** The name of its rule in `ONE_HEAD_RULES`; null for none beside a scale. */
  readonly rule: string | null;
  /** Whether pairs have masks. */
  readonly isMasked: boolean;
  /** Query heads; masks of two differ by head. */
  readonly heads: 1 | 2;
  /** Whether the cluster is made with a mask. */
  readonly hasFirstMask: boolean;
  /** Whether some of the edits move all rows of a range. */
  readonly hasShifts: boolean;
  readonly actions: readonly Action[];
}

const KINDS: readonly [Action["kind"], number][] = [
  ["edit", 30],
  ["read", 22],
  ["setQuery", 4],
  ["deleteQuery", 1],
  ["peek", 3],
  ["attend", 2],
  ["topKeys", 2],
  ["crash", 3],
  ["stop", 2],
  ["drain", 1],
  ["start", 5],
  ["freeze", 3],
  ["cut", 3],
  ["alone", 3],
  ["weather", 3],
  ["freezeClient", 1],
  ["cutClient", 1],
  ["newClient", 1],
];

const RULE_NAMES = Object.keys(ONE_HEAD_RULES);

/** Makes a run of a seed. */
export function makeRun(seed: number): Run {
  const random = new Random(seed), total = KINDS.reduce((sum, [, weight]) => sum + weight, 0);
  const kind = () => {
    let at = random.below(total);
    for (const [kind, weight] of KINDS) if ((at -= weight) < 0) return kind;
    return "edit";
  };
  return {
    seed,
    partitions: 1 + random.below(4),
    replicas: 1 + random.below(3),
    hosts: 1 + random.below(3),
    clients: 1 + random.below(2),
    snapshotBytes: random.pick([300, 1000, 1e9]),
    altered: random.pick([0, 0, 0.3]),
    // Every other run, so that runs of before are the same ones still.
    rule: seed % 2 === 0 ? null : RULE_NAMES[(seed >> 1) % RULE_NAMES.length],
    isMasked: seed % 4 === 1,
    heads: seed % 8 === 5 ? 2 : 1,
    hasFirstMask: seed % 16 === 5,
    hasShifts: seed % 8 === 5 || seed % 8 === 7,
    actions: Array.from({ length: 10 + random.below(40) }, () => ({
      after: random.pick([0, 1, 10, 100, 1000, 4000]) * random.next(),
      kind: kind(),
      which: random.below(1000),
      seed: random.below(2 ** 31),
    })),
  };
}

/**
 * The smallest run that still fails, as far as leaving out actions makes one: halves, quarters and so on are
 * left out as long as the run fails.
 */
export async function shrink(run: Run, fails: (run: Run) => Promise<boolean>): Promise<Run> {
  let smallest = run;
  for (let size = Math.ceil(run.actions.length / 2); size >= 1;) {
    let isSmaller = false;
    for (let from = 0; from < smallest.actions.length; from += size) {
      const actions = [...smallest.actions.slice(0, from), ...smallest.actions.slice(from + size)];
      const smaller = { ...smallest, actions };
      if (!await fails(smaller)) continue;
      smallest = smaller;
      isSmaller = true;
      from -= size;
    }
    if (!isSmaller) size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return smallest;
}
