/**
 * A replica: one subject of the log, followed and applied.
 *
 * Invariant: it is "ready" only when it has every record up to where the log, its snapshots and its marks
 * were known to reach when it began, and each of its records follows the one before it. A missing or altered
 * record makes it "damaged": it then refuses to answer, and begins anew after a while.
 */

import { isSameHash } from "./batch.ts";
import { Changes } from "./changes.ts";
import type { Clock } from "./clock.ts";
import { ClusterError, Damage } from "./cluster_error.ts";
import { waitUntil } from "./deadline.ts";
import { toHex } from "./json_value.ts";
import { LogError, type LogRecord, type LogSession } from "./log.ts";
import type { Phase, SubjectReport } from "./members.ts";
import { Partition } from "./partition.ts";
import type { PeerState } from "./peer_state.ts";
import { type Mark, readMark, readPurged, readSnapshotPointer } from "./pointers.ts";
import type { QueryTable } from "./query_table.ts";
import { decodeSnapshot, type SnapshotOf } from "./snapshot.ts";

/** A purge waits so long after it was announced; a replica looks for announcements more often. */
export const PURGE_WAIT_MS = 30_000;
const PURGE_LOOK_MS = 10_000;
const RETRY_MS = 200, FIRST_ANEW_MS = 1000, LONGEST_ANEW_MS = 300_000;

/** The snapshots that a replica may begin with. */
interface Beginning {
  /** The snapshot in the host's folder. */
  readonly usesFolder: boolean;
  /** The state of another host. */
  readonly usesPeer: boolean;
  /** The snapshot in the log; where records were purged it is used in any case. */
  readonly usesLog: boolean;
}

/**
 * After a damage the next way is tried: a snapshot may be whole and yet not that of the records, as its
 * writer's memory was wrong.
 */
const BEGINNINGS: readonly Beginning[] = [
  { usesFolder: true, usesPeer: true, usesLog: true },
  { usesFolder: false, usesPeer: false, usesLog: true },
  { usesFolder: false, usesPeer: false, usesLog: false },
];

/** The parts of a replica. */
export interface ReplicaParts<State> {
  readonly session: LogSession;
  readonly clock: Clock;
  readonly subject: string;
  readonly of: SnapshotOf;
  /** An empty state. */
  readonly make: () => State;
  /** A snapshot of the host's own that need not be loaded from the log; null for none. */
  readonly kept: () => Promise<Uint8Array<ArrayBuffer> | null>;
  /** A snapshot of another host that is newer than `after`; null for none. */
  readonly peer: (after: number, signal: AbortSignal) => Promise<PeerState | null>;
  /** Queries that are no longer there. */
  readonly onGone: (ids: readonly string[]) => void;
}

/** One subject on one host. */
export class Replica<State extends Partition | QueryTable> {
  /** Told when the state or the phase has changed. */
  readonly changes = new Changes();
  readonly #parts: ReplicaParts<State>;
  #state: State;
  #phase: Phase = "loading";
  #failure = "";
  /** Ends the following that is going on. */
  #interrupt = new AbortController();
  #turn: Promise<unknown> = Promise.resolve();
  /** The newest record when it began, and a time before the log was asked for it. */
  #target = { sequence: Infinity, at: -Infinity };
  #mark: Mark | null = null;
  #lookedAt = -Infinity;
  #currentAt = -Infinity;
  /** Bytes applied since the newest snapshot that is known of, and its sequence. */
  #unsaved = { bytes: 0, sequence: 0 };

  constructor(parts: ReplicaParts<State>) {
    this.#parts = parts;
    this.#state = parts.make();
  }

  /** The subject that is followed. */
  get subject(): string {
    return this.#parts.subject;
  }

  /** Whose snapshots they are. */
  get of(): SnapshotOf {
    return this.#parts.of;
  }

  /** Rows and place; look at it in `exclusive` only. */
  get state(): State {
    return this.#state;
  }

  /** Whether it answers. */
  get phase(): Phase {
    return this.#phase;
  }

  /** Why it does not; "" while it does. */
  get failure(): string {
    return this.#failure;
  }

  /** The newest record that was applied. */
  get sequence(): number {
    return this.#state.ledger.sequence;
  }

  /** Bytes of records since the newest snapshot, and its sequence. */
  get unsaved(): { readonly bytes: number; readonly sequence: number } {
    return this.#unsaved;
  }

  /** Milliseconds since it was last known to have every record. */
  get age(): number {
    return this.#parts.clock.now() - this.#currentAt;
  }

  /** The replica's entry in the heartbeat. */
  get report(): SubjectReport {
    const { ledger } = this.#state, isKeys = this.#state instanceof Partition;
    return {
      phase: this.#phase,
      sequence: ledger.sequence,
      chain: toHex(ledger.chain),
      keys: isKeys ? (this.#state as Partition).keyCount : (this.#state as QueryTable).size,
      bytes: isKeys ? (this.#state as Partition).bytes : 0,
      tail: this.#unsaved.bytes,
    };
  }

  /** Runs `act` while nothing else changes the state. */
  exclusive<T>(act: () => T | Promise<T>): Promise<T> {
    const result = this.#turn.then(act);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** Whether the replica answers and has a record, after waiting for it. */
  async whenAt(sequence: number, ms: number, signal?: AbortSignal): Promise<boolean> {
    const isSo = () => this.#phase === "damaged" || (this.#phase === "ready" && this.sequence >= sequence);
    return await waitUntil(this.#parts.clock, this.changes, ms, isSo, signal) && this.#phase === "ready";
  }

  /** Notes that a snapshot is in the log. */
  noteSnapshot(sequence: number): void {
    this.#unsaved = { bytes: 0, sequence };
  }

  /** Learns how far the log reaches now. */
  async probe(): Promise<void> {
    const { session, clock, subject } = this.#parts, at = clock.now(), had = this.sequence;
    if (this.#phase !== "ready") return;
    const last = await session.lastSequence(subject);
    if (this.phase !== "ready" || this.sequence < had) return;
    if (last < had) this.#fail(`the log ends at ${last}, but ${had} was applied`);
    else if (this.sequence >= last) this.#currentAt = Math.max(this.#currentAt, at);
  }

  /** Refuses to answer until it has begun anew. */
  refuse(why: string): void {
    this.#fail(why);
  }

  /** Follows the log until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    for (let anew = FIRST_ANEW_MS, damages = 0; !signal.aborted;) {
      const since = clock.now();
      try {
        await this.#open(signal, BEGINNINGS[damages % BEGINNINGS.length]);
        await this.#follow(signal);
        return;
      } catch (error) {
        if (signal.aborted || (error instanceof LogError && error.reason === "closed")) return;
        if (error instanceof LogError && error.isPassing) {
          await clock.sleep(RETRY_MS, signal);
          continue;
        }
        if (error instanceof Anew) {
          await this.#restart("loading");
          continue;
        }
        this.#fail(error instanceof Error ? error.message : String(error));
        if (clock.now() - since > LONGEST_ANEW_MS) [anew, damages] = [FIRST_ANEW_MS, 0];
        damages++;
        await clock.sleep(anew, signal);
        anew = Math.min(2 * anew, LONGEST_ANEW_MS);
        await this.#restart("damaged");
      }
    }
  }

  async #restart(phase: Phase): Promise<void> {
    await this.exclusive(() => {
      const { make, onGone } = this.#parts, before = this.#state;
      if (!(before instanceof Partition)) onGone(Array.from(before.all, ([id]) => id));
      this.#state = make();
      this.#phase = phase;
    });
    this.changes.tell();
  }

  #fail(why: string): void {
    this.#phase = "damaged";
    this.#failure = why;
    this.#interrupt.abort();
    this.changes.tell();
  }

  /** Loads a snapshot, the best there is of those that may be used, and learns how far the log reaches. */
  async #open(signal: AbortSignal, { usesFolder, usesPeer, usesLog }: Beginning): Promise<void> {
    const { session, clock, subject } = this.#parts, startedAt = clock.now();
    const [{ value: pointer }, below, mark] = await Promise.all([
      readSnapshotPointer(session, subject),
      readPurged(session, subject),
      readMark(session, subject),
    ]);
    const kept = usesFolder && this.sequence === 0 ? this.#decodeOr(await this.#parts.kept()) : null;
    if (kept && await this.#isOfLog(kept, signal)) await this.exclusive(() => this.#state = kept);
    const peer = usesPeer && this.sequence === 0
      ? await this.#parts.peer(pointer?.sequence ?? 0, signal)
      : null;
    const theirs = this.#decodeOr(peer && peer.bytes);
    if (theirs) await this.exclusive(() => this.#state = theirs);
    if (pointer && pointer.sequence > this.sequence && (usesLog || below > 1)) {
      const loaded = await this.#loadSnapshot(pointer.object, pointer);
      if (loaded) await this.exclusive(() => this.#state = loaded);
    }
    signal.throwIfAborted();
    if (below - 1 > this.sequence) {
      throw new Damage(`records below ${below} are purged, and no snapshot has them`);
    }
    this.#lookedAt = startedAt;
    this.#unsaved = { bytes: theirs && peer ? peer.tail : 0, sequence: pointer?.sequence ?? 0 };
    this.#mark = mark;
    // This is written after the places that were reached, since it must not be ahead of them.
    const last = await session.lastSequence(subject);
    const known = Math.max(this.#mark?.sequence ?? 0, pointer?.sequence ?? 0, this.sequence);
    if (last < known) throw new Damage(`the log ends at ${last}, but ${known} was reached before`);
    this.#target = { sequence: last, at: startedAt };
    this.#checkMark();
    this.#noteReached();
  }

  /**
   * Whether the log has the record that a state of the host's folder ends with. A log that was restored may have
   * gone on with others, and nothing else would tell; one that ends before is damaged, which is noticed later.
   */
  async #isOfLog({ ledger }: State, signal: AbortSignal): Promise<boolean> {
    const { session, subject } = this.#parts, { sequence } = ledger;
    if (sequence === 0 || await session.lastSequence(subject) < sequence) return true;
    for await (const [record] of session.follow(subject, sequence - 1, { signal })) {
      return record.sequence === sequence && ledger.endsWith(record.body);
    }
    return false;
  }

  /** The state of a snapshot from elsewhere than the log; null where it is not whole. */
  #decodeOr(bytes: Uint8Array<ArrayBuffer> | null): State | null {
    if (bytes === null) return null;
    try {
      return decodeSnapshot(this.#parts.of, bytes) as State;
    } catch {
      // The log has everything.
      return null;
    }
  }

  async #loadSnapshot(name: string, mark: Mark): Promise<State | null> {
    let bytes: Uint8Array<ArrayBuffer> | null;
    try {
      bytes = await this.#parts.session.getObject(name);
      if (bytes === null) return null;
      const state = decodeSnapshot(this.#parts.of, bytes);
      if (state.ledger.sequence !== mark.sequence || !isSameHash(state.ledger.chain, mark.chain)) return null;
      return state as State;
    } catch (error) {
      // Without a snapshot the records serve, if all of them are there.
      if (error instanceof Damage || (error instanceof LogError && error.reason === "damaged")) return null;
      throw error;
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { session, subject, onGone } = this.#parts;
    this.#interrupt = new AbortController();
    const until = AbortSignal.any([signal, this.#interrupt.signal]);
    for await (const records of session.follow(subject, this.sequence, { signal: until })) {
      if (until.aborted) break;
      await this.#lookForPurge();
      await this.exclusive(() => {
        for (const record of records) this.#apply(record, onGone);
      });
      this.#noteReached();
      this.changes.tell();
    }
    if (!signal.aborted) throw new Damage(this.#failure);
  }

  #apply(record: LogRecord, onGone: (ids: readonly string[]) => void): void {
    if (record.sequence <= this.sequence) return;
    const gone = this.#state.apply(record);
    if (gone) onGone(gone);
    this.#unsaved = {
      bytes: this.#unsaved.bytes + record.body.length,
      sequence: this.#unsaved.sequence,
    };
    this.#checkMark();
  }

  /** Where the place that was reached before is passed, the chain must be the same. */
  #checkMark(): void {
    const mark = this.#mark, { ledger } = this.#state;
    if (mark === null || ledger.sequence < mark.sequence) return;
    const chain = ledger.chainAt(mark.sequence);
    // A snapshot from before the mark is not part of its chain.
    if (chain !== null && !isSameHash(chain, mark.chain)) {
      throw new Damage(`the records up to ${mark.sequence} are not those that were there before`);
    }
    if (chain === null && ledger.begin < mark.sequence) {
      throw new Damage(`record ${mark.sequence} is missing`);
    }
    this.#mark = null;
  }

  /** A list that came after a purge may lack records; purges are announced long before. */
  async #lookForPurge(): Promise<void> {
    const { session, clock, subject } = this.#parts, now = clock.now();
    if (now - this.#lookedAt < PURGE_LOOK_MS) return;
    const below = await readPurged(session, subject);
    if (below - 1 > this.sequence) throw new Anew();
    this.#lookedAt = now;
  }

  /** Answers once it has what was there when it began; what came since then it may lack. */
  #noteReached(): void {
    const { sequence, at } = this.#target;
    if (this.sequence < sequence || this.#phase === "ready") return;
    this.#phase = "ready";
    this.#failure = "";
    this.#currentAt = Math.max(this.#currentAt, at);
    this.changes.tell();
  }
}

/** The replica has to load a newer snapshot. */
class Anew extends Error {}

/** Whether an error says that something is damaged. */
export function isDamage(error: unknown): boolean {
  return error instanceof Damage || (error instanceof ClusterError && error.fault === "damaged") ||
    (error instanceof LogError && error.reason === "damaged");
}
