/**
 * Replicas of different hosts, compared by their heartbeats.
 *
 * Invariant: two replicas with different records up to the same one both refuse to answer and begin anew,
 * since nobody knows which of them is right.
 */

import { toHex } from "./json_value.ts";
import type { HostReport, SubjectReport } from "./members.ts";
import type { Partition } from "./partition.ts";
import type { QueryTable } from "./query_table.ts";
import type { Replica } from "./replica.ts";

/** A replica of either kind. */
export type AnyReplica = Replica<Partition> | Replica<QueryTable>;

/** The replicas of a host. */
export interface OwnReplicas {
  readonly queries: Replica<QueryTable>;
  readonly get: (partition: number) => Replica<Partition> | undefined;
}

/**
 * The newest record up to which another host is known to have the same records as a replica; Infinity where
 * no other host answers for the subject. Marks and snapshots are written up to that record and no further, so
 * that a host whose memory is wrong misleads no host that reads the log later.
 *
 * @param theirs The entries of the subject in the heartbeats of other hosts.
 */
export function agreedSequence(
  { state: { ledger } }: AnyReplica,
  theirs: readonly SubjectReport[],
): number {
  // A replica that refuses agrees to nothing: it may be this one that is wrong.
  const others = theirs.filter(({ phase }) => phase !== "loading");
  if (others.length === 0) return Infinity;
  return others.reduce((newest, { phase, sequence, chain }) => {
    const own = phase === "ready" ? ledger.chainAt(sequence) : null;
    return own !== null && toHex(own) === chain ? Math.max(newest, sequence) : newest;
  }, 0);
}

/** Compares for one host. */
export class ReplicaComparison {
  /** For each host and subject that differed the heartbeat that said so. */
  readonly #differed = new Map<string, number>();

  /** Compares the replicas of a host with the heartbeats of others; those that differ begin anew. */
  compare(own: OwnReplicas, others: readonly HostReport[]): void {
    for (const report of others) {
      for (const [partition, theirs] of report.partitions) {
        const replica = own.get(partition);
        if (replica) this.#compareOne(report, theirs, replica);
      }
      this.#compareOne(report, report.queries, own.queries);
    }
  }

  /** A report of a replica that refuses counts, too, so that both of them see the other's. */
  #compareOne(
    { name, beat }: HostReport,
    theirs: SubjectReport,
    replica: AnyReplica,
  ): void {
    if (replica.phase !== "ready" || theirs.sequence === 0) return;
    const chain = replica.state.ledger.chainAt(theirs.sequence), key = `${name} ${replica.subject}`;
    // A heartbeat counts once: the other host needs time for the next one.
    if (chain === null || toHex(chain) === theirs.chain || beat === this.#differed.get(key)) return;
    this.#differed.set(key, beat);
    replica.refuse(`host ${name} has other records up to ${theirs.sequence}`);
  }
}
