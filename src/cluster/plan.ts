/**
 * Which host holds which partition: the value "plan" of the log, changed by compare-and-set.
 *
 * Invariant: a plan is a function of the plan before it and of the hosts that are there, so that all hosts
 * that see the same write the same; and none of it is needed for answers to be right, since two hosts of one
 * partition are only two replicas.
 */

import { readJson, writeJson } from "./json_value.ts";
import type { LogSession } from "./log.ts";
import type { HostReport } from "./members.ts";

const MOST_TRIES = 3;
/** The key of the plan. */
export const PLAN = "plan";

/** For each partition the names of its hosts. */
export interface Plan {
  readonly owners: readonly (readonly string[])[];
}

/** Writes a plan: the names of hosts once each, and for each partition their places in that list. */
export function encodePlan({ owners }: Plan): Uint8Array<ArrayBuffer> {
  const hosts = [...new Set(owners.flat())].sort(), places = new Map(hosts.map((name, at) => [name, at]));
  return writeJson({ hosts, owners: owners.map((names) => names.map((name) => places.get(name))) });
}

/** Reads a plan; one of nobody where it is not one of `partitions` partitions. */
export function decodePlan(operation: string, bytes: Uint8Array | null, partitions: number): Plan {
  const { hosts, owners } = bytes === null ? {} : readJson(operation, PLAN, bytes);
  const found = Array.isArray(hosts) && Array.isArray(owners) && owners.length === partitions
    ? owners.map((places: unknown) =>
      Array.isArray(places) ? places.map((at: unknown): unknown => hosts[Number(at)]) : [null]
    )
    : [];
  const isPlan = found.length === partitions && found.every((names) => names.every(isName));
  return { owners: isPlan ? found as string[][] : Array.from({ length: partitions }, () => []) };
}

function isName(name: unknown): name is string {
  return typeof name === "string";
}

/**
 * The plan that follows: hosts that are there keep what they hold, gaps go to the hosts that hold least, and
 * then partitions move from the host with most to the one with least until they hold the same, give or take
 * one.
 *
 * @param hosts Names of the hosts that take any partition.
 * @param replicas Hosts for each partition, as far as there are as many.
 */
export function nextPlan({ owners }: Plan, hosts: readonly string[], replicas: number): Plan {
  const load = new Map(hosts.map((name) => [name, 0]));
  const next = owners.map((names) => {
    const kept = names.filter((name, at) => load.has(name) && names.indexOf(name) === at).slice(0, replicas);
    for (const name of kept) load.set(name, loadOf(load, name) + 1);
    return kept;
  });
  const wanted = Math.min(replicas, hosts.length);
  for (const names of next) {
    while (names.length < wanted) {
      const name = least(load, names);
      names.push(name);
      load.set(name, loadOf(load, name) + 1);
    }
  }
  if (wanted > 0) { while (moveOne(next, load)) continue; }
  return { owners: next };
}

/** The facts that a host has when it looks at the plan. */
export interface PlanView {
  readonly partitions: number;
  readonly replicas: number;
  /**
   * Hosts that are alive; none where the host does not see itself, since it then knows nothing of the others.
   */
  readonly alive: readonly HostReport[];
}

/** The plan of the log, after the one that follows from it was written where it is another one. */
export async function renewPlan(
  session: LogSession,
  operation: string,
  { partitions, replicas, alive }: PlanView,
): Promise<Plan> {
  const hosts = alive.filter(({ takesAny, isLeaving }) => takesAny && !isLeaving).map(({ name }) => name);
  for (let tries = 0;; tries++) {
    const found = await session.get(PLAN), plan = decodePlan(operation, found?.value ?? null, partitions);
    const next = hosts.length === 0 ? plan : nextPlan(plan, hosts, replicas);
    if (isSamePlan(next, plan)) return plan;
    const revision = await session.put(PLAN, encodePlan(next), { revision: found?.revision ?? 0 });
    if (revision !== null) return next;
    // Another host was quicker, and most often has written the same.
    if (tries === MOST_TRIES) return plan;
  }
}

/** Whether two plans are the same. */
export function isSamePlan(a: Plan, b: Plan): boolean {
  return JSON.stringify(a.owners) === JSON.stringify(b.owners);
}

function loadOf(load: ReadonlyMap<string, number>, name: string): number {
  return load.get(name) ?? 0;
}

/** The host with the least load that is not among `names`, the first one by name among equals. */
function least(load: ReadonlyMap<string, number>, names: readonly string[]): string {
  let found = "";
  for (const name of [...load.keys()].sort()) {
    if (!names.includes(name) && (found === "" || loadOf(load, name) < loadOf(load, found))) found = name;
  }
  return found;
}

/** Moves one partition from the fullest host to the emptiest; false where nothing is to be gained. */
function moveOne(next: string[][], load: Map<string, number>): boolean {
  const names = [...load.keys()].sort((a, b) => loadOf(load, a) - loadOf(load, b) || (a < b ? -1 : 1));
  const to = names[0];
  for (let at = names.length - 1; at > 0; at--) {
    const from = names[at];
    if (loadOf(load, from) - loadOf(load, to) <= 1) return false;
    const owners = next.find((owners) => owners.includes(from) && !owners.includes(to));
    if (!owners) continue;
    owners[owners.indexOf(from)] = to;
    load.set(from, loadOf(load, from) - 1);
    load.set(to, loadOf(load, to) + 1);
    return true;
  }
  return false;
}
