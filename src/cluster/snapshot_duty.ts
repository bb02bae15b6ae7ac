/**
 * The values and objects that a host keeps in the log for hosts that come later: marks and snapshots of the
 * subjects for which it is the first host that answers, by name.
 *
 * Invariant: marks and snapshots are of records that another host has, too, if another one answers for the
 * subject.
 */

import type { Clock } from "./clock.ts";
import { waitUntil } from "./deadline.ts";
import type { LogSession } from "./log.ts";
import { BEAT_MS, hostKey, type Members, type SubjectReport } from "./members.ts";
import { writeMark } from "./pointers.ts";
import { agreedSequence, type AnyReplica } from "./replica_comparison.ts";
import { SnapshotKeeper } from "./snapshot_keeper.ts";

const FORGOTTEN_MS = 60_000;
/** A snapshot that no other host has agreed to in this time is tried again later. */
const AGREED_MS = 5 * BEAT_MS;

/** The parts of a host that its duty needs. */
export interface DutyParts {
  /** The host's name. */
  readonly name: string;
  readonly session: LogSession;
  readonly clock: Clock;
  readonly members: Members;
  /** Bytes of records after which a snapshot is written. */
  readonly snapshotBytes: number;
  /** The host's replicas, those of the queries included. */
  readonly replicas: () => readonly AnyReplica[];
  /** Keeps a snapshot on the host's own disk. */
  readonly keep: (subject: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /** Does something that may fail and is then tried again later. */
  readonly quietly: (act: () => unknown) => Promise<void>;
}

/** Keeps marks and snapshots. */
export class SnapshotDuty {
  readonly #parts: DutyParts;
  readonly #keeper: SnapshotKeeper;
  /** For each subject the sequence of the mark that this host wrote last. */
  readonly #marked = new Map<string, number>();
  /** Snapshots that were written. */
  written = 0;

  constructor(parts: DutyParts) {
    const { session, clock, keep, members } = parts;
    this.#parts = parts;
    const isAgreed = (replica: AnyReplica, sequence: number) =>
      waitUntil(clock, members.changes, AGREED_MS, () => this.#agreed(replica) >= sequence);
    this.#keeper = new SnapshotKeeper({ session, clock, keep, isAgreed });
  }

  /** Does its duty until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, replicas, quietly } = this.#parts;
    while (!signal.aborted) {
      await clock.sleep(2 * BEAT_MS, signal);
      for (const replica of replicas()) {
        if (signal.aborted || replica.phase !== "ready" || !this.#isFirst(replica)) continue;
        await quietly(() => this.#save(replica));
      }
      await quietly(() => this.#keeper.purge());
      await quietly(() => this.#forgetDead());
    }
  }

  async #save(replica: AnyReplica): Promise<void> {
    const { session, snapshotBytes } = this.#parts, { state: { ledger }, subject } = replica;
    const sequence = Math.min(ledger.sequence, this.#agreed(replica)), chain = ledger.chainAt(sequence);
    if (sequence > 0 && chain !== null && this.#marked.get(subject) !== sequence) {
      await writeMark(session, subject, { sequence, chain });
      this.#marked.set(subject, sequence);
    }
    if (replica.unsaved.bytes < snapshotBytes) return;
    if (await this.#keeper.save(replica)) this.written++;
  }

  #agreed(replica: AnyReplica): number {
    return agreedSequence(replica, this.#others(replica).map(({ report }) => report));
  }

  /** Whether no host that answers for a subject comes before this one by name. */
  #isFirst(replica: AnyReplica): boolean {
    return !this.#others(replica).some(({ name, report: { phase } }) => {
      return name < this.#parts.name && phase === "ready";
    });
  }

  /** The reports of other hosts of a replica's subject. */
  #others(
    { of: { kind, partition } }: AnyReplica,
  ): { readonly name: string; readonly report: SubjectReport }[] {
    return this.#parts.members.alive().flatMap(({ name, partitions, queries }) => {
      const report = kind === "queries" ? queries : partitions.get(partition);
      return report && name !== this.#parts.name ? [{ name, report }] : [];
    });
  }

  /** Removes the heartbeats of hosts that ended without doing so. */
  async #forgetDead(): Promise<void> {
    const { clock, members, session } = this.#parts, now = clock.now();
    for (const { report: { name }, seenAt } of members.all()) {
      if (now - seenAt > FORGOTTEN_MS) await session.remove(hostKey(name), { isVolatile: true });
    }
  }
}
