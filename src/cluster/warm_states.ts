/**
 * States of standing queries that are brought up to date while nobody asks, so that a host that takes over
 * answers soon.
 */

import type { Clock } from "./clock.ts";
import type { Partition } from "./partition.ts";
import type { QueryTable } from "./query_table.ts";
import type { Replica } from "./replica.ts";

const PAUSE_MS = 250;

/**
 * Keeps the states of all replicas current until the signal is aborted; others get a turn after every state.
 */
export async function keepWarm(
  clock: Clock,
  queriesNow: () => Replica<QueryTable> | null,
  replicasNow: () => readonly Replica<Partition>[],
  signal: AbortSignal,
): Promise<void> {
  /** For each replica the records and queries that its states were brought up to. */
  const done = new Map<Replica<Partition>, string>();
  while (!signal.aborted) {
    await clock.sleep(PAUSE_MS, signal);
    const queries = queriesNow(), replicas = replicasNow();
    for (const replica of queries ? replicas : []) {
      const place = `${replica.sequence} ${queries?.sequence}`;
      if (replica.phase !== "ready" || done.get(replica) === place) continue;
      for (const [id, query] of [...queries?.state.all ?? []]) {
        if (signal.aborted) return;
        if (replica.state.isFull || !replica.state.isBehind(id, query)) continue;
        await replica.exclusive(() => {
          if (queries?.state.get(id) === query) replica.state.update(id, query);
        });
        await clock.sleep(0, signal);
      }
      done.set(replica, place);
    }
    for (const replica of done.keys()) if (!replicas.includes(replica)) done.delete(replica);
  }
}
