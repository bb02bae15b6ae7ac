/**
 * Snapshots of replicas into the log's objects, and the purge of records that two of them have.
 *
 * Invariant: a snapshot counts once it was read again and found whole; records are purged only below the
 * snapshot before the newest, after an announcement that every replica has had time to see.
 */

import { decodeSnapshot, encodeSnapshot } from "./snapshot.ts";
import { LogError, type LogSession } from "./log.ts";
import type { Clock } from "./clock.ts";
import {
  readPurged,
  readSnapshotPointer,
  snapshotName,
  type SnapshotPointer,
  writePurged,
  writeSnapshotPointer,
} from "./pointers.ts";
import { PURGE_WAIT_MS } from "./replica.ts";
import type { AnyReplica } from "./replica_comparison.ts";

const SNAPSHOT_TIMEOUT_MS = 120_000;

/** The parts of a keeper. */
export interface KeeperParts {
  readonly session: LogSession;
  readonly clock: Clock;
  /** Keeps a snapshot on the host's own disk. */
  readonly keep: (subject: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /**
   * Waits until another host, if there is one, is known to have the same up to a record; false if that takes
   * too long.
   */
  readonly isAgreed: (replica: AnyReplica, sequence: number) => Promise<boolean>;
}

/** Encodes a replica while nothing changes it. */
export function encodeReplica(replica: AnyReplica): Promise<Uint8Array<ArrayBuffer>> {
  return replica.exclusive(() => encodeSnapshot(replica.of, replica.state));
}

/** Saves replicas. */
export class SnapshotKeeper {
  readonly #parts: KeeperParts;
  /** For each subject, from where on records are to be kept, and when that was announced. */
  readonly #announced = new Map<string, { readonly below: number; readonly at: number }>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** Writes a snapshot of a replica that is ready, unless another host was quicker. */
  async save(replica: AnyReplica): Promise<SnapshotPointer | null> {
    const { session, keep, isAgreed } = this.#parts, { subject } = replica;
    const { value: before, revision } = await readSnapshotPointer(session, subject);
    if (replica.phase !== "ready" || replica.sequence <= (before?.sequence ?? 0)) return null;
    const bytes = await encodeReplica(replica);
    const state = decodeSnapshot(replica.of, bytes), { sequence, chain } = state.ledger;
    if (!await isAgreed(replica, sequence)) return null;
    const object = snapshotName(subject, sequence), wait = { timeoutMs: SNAPSHOT_TIMEOUT_MS };
    await session.putObject(object, bytes, wait);
    const again = await session.getObject(object, wait);
    if (!again) throw new LogError("snapshot", "damaged", `object ${object} is gone`);
    decodeSnapshot(replica.of, again);
    const pointer = { sequence, chain, object, bytes: bytes.length, previous: before?.sequence ?? 0 };
    if (!await writeSnapshotPointer(session, subject, pointer, revision)) return null;
    replica.noteSnapshot(sequence);
    await keep(subject, bytes);
    await this.#announce(subject, pointer);
    return pointer;
  }

  /** Purges what was announced long enough ago. */
  async purge(): Promise<void> {
    const { session, clock } = this.#parts, now = clock.now();
    for (const [subject, { below, at }] of [...this.#announced]) {
      if (now - at < PURGE_WAIT_MS) continue;
      await session.purge(subject, below);
      const oldest = await session.listObjects(`snap.${subject}.`);
      for (const name of oldest) {
        const sequence = Number(name.slice(`snap.${subject}.`.length));
        if (sequence < below) await session.removeObject(name);
      }
      this.#announced.delete(subject);
    }
  }

  async #announce(subject: string, { previous }: SnapshotPointer): Promise<void> {
    const { session, clock } = this.#parts;
    // The record of the snapshot itself stays, so that the subject is never without any.
    if (previous <= 1 || this.#announced.has(subject) || previous <= await readPurged(session, subject)) {
      return;
    }
    await writePurged(session, subject, previous);
    this.#announced.set(subject, { below: previous, at: clock.now() });
  }
}
