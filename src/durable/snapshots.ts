/**
 * When snapshots of a running engine are taken, and what becomes of the old ones.
 *
 * Invariant: two snapshots are kept, and all records behind the older one, so the newest may be lost without loss. A file is
 * whole and synced before a pointer names it, and no pointer names it any more before it is removed.
 */

import { setImmediate } from "node:timers";
import type { EngineCore } from "../engine/engine_core.ts";
import { DurabilityError } from "./durability_error.ts";
import type { Folder } from "./folder.ts";
import { FrozenEngine } from "./frozen_engine.ts";
import type { Journal } from "./journal.ts";
import type { JournalDatabase } from "./journal_database.ts";
import { encodePointer, snapshotFile } from "./pointer.ts";
import { nameSnapshot, SnapshotStopped, writeSnapshot } from "./snapshot_writer.ts";
import type { SavedMask } from "../store/snapshot.ts";
import type { NumbersToWrite } from "../store/snapshot_slices.ts";
import type { FrozenSaid } from "./said_bias.ts";
import { settingsOf, toMatrixMask } from "./settings.ts";

/** Journals shorter than this are kept as they are, unless the caller wants otherwise. */
const LEAST_JOURNAL = 1 << 24;
/** At most this many records, and about this many bytes, are removed in one transaction, while the loop waits. */
const REMOVED_AT_ONCE = 256, BYTES_REMOVED_AT_ONCE = 1 << 19;

/** The parts that snapshots are made of. */
export interface SnapshotsConfig {
  readonly folder: Folder;
  readonly database: JournalDatabase;
  readonly journal: Journal;
  readonly core: EngineCore;
  /** Bytes of journal after which a snapshot is taken; null for those of the last snapshot, 16 MiB at least. */
  readonly journalBytes: number | null;
  /** The newest snapshot, and the bytes of records behind it. */
  readonly newest: { readonly sequence: number; readonly bytes: number };
  readonly bytesBehind: number;
}

/** The snapshots of one folder. */
export class Snapshots {
  /** Bytes of records behind the newest snapshot. */
  bytesBehind: number;
  newest: { readonly sequence: number; readonly bytes: number; readonly ms: number | null };
  longestStopMs = 0;
  failure: string | null = null;
  readonly #config: SnapshotsConfig;
  #running: Promise<void> | null = null;
  #isStopped = false;
  /** Those who read old files at this moment. */
  #holds = 0;
  /** After a failure nothing is tried again before the journal has grown by as much as that. */
  #retryFrom = 0;

  constructor(config: SnapshotsConfig) {
    this.#config = config;
    this.bytesBehind = config.bytesBehind;
    this.newest = { ...config.newest, ms: null };
    config.journal.onCommit = (bytes) => {
      this.bytesBehind += bytes;
      if (this.bytesBehind > Math.max(this.#limit, this.#retryFrom)) this.#start();
    };
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Takes one now, behind one that is being taken. */
  async take(operation: string): Promise<void> {
    await this.#running;
    this.failure = null;
    await this.#start();
    const { failure } = this, { path } = this.#config.folder;
    if (failure === null) return;
    const detail = `snapshot was not written (${failure}); the journal has all edits`;
    throw new DurabilityError(operation, "unknown", detail, { folder: path });
  }

  /** Runs what reads old files, of which none is removed meanwhile. */
  async hold<T>(read: () => Promise<T>): Promise<T> {
    this.#holds++;
    try {
      return await read();
    } finally {
      this.#holds--;
    }
  }

  /** Ends what is running, and takes no more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  get #limit(): number {
    return this.#config.journalBytes ?? Math.max(LEAST_JOURNAL, this.newest.bytes);
  }

  #start(): Promise<void> {
    if (this.#running) return this.#running;
    // This commit may start a snapshot by itself.
    this.#config.journal.commit();
    if (this.#running) return this.#running;
    this.#running = this.#take().catch((error: unknown) => {
      if (error instanceof SnapshotStopped) return;
      this.failure = error instanceof Error ? error.message : String(error);
      this.#retryFrom = this.bytesBehind + this.#limit;
    }).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #take(): Promise<void> {
    const { folder, journal, core, database } = this.#config;
    const start = performance.now();
    if (this.#isStopped) return;
    const place = journal.committed, behind = this.bytesBehind;
    if (journal.failure || place.sequence === this.newest.sequence) return;
    const frozen = new FrozenEngine(core, () => core.newest);
    const { mask, maskNumbers, said } = this.#maskOf(frozen);
    const beside = [journal.clients.freeze(), journal.besides.freeze()];
    const history = { sequence: core.sequence, metadata: core.metadata, origin: 0 };
    journal.frozen = frozen;
    const settings = settingsOf(core.rules);
    this.longestStopMs = performance.now() - start;
    try {
      const isStopped = () => this.#isStopped || journal.failure !== null;
      const { keys, errors, queries } = frozen;
      const written = await writeSnapshot(
        folder,
        place.sequence,
        { settings, history, mask, ...(maskNumbers ? { maskNumbers } : {}), keys, errors, queries, beside },
        isStopped,
      );
      journal.frozen = null;
      if (said) journal.said?.release(said);
      this.#noteStop(written.longestSliceMs);
      await nameSnapshot(folder, place.sequence);
      if (isStopped()) throw new SnapshotStopped();
      const previous = this.newest.sequence, stopped = performance.now();
      try {
        // Older snapshots are removed, and the removal must not reach the disk before the new pointer does.
        database.transactToDisk(() => {
          database.addPointer(encodePointer({ ...place, checksum: written.checksum }));
          if (this.#holds === 0) database.removePointersBefore(previous);
        });
      } catch (cause) {
        journal.stop(cause);
        return;
      }
      this.newest = { sequence: place.sequence, bytes: written.bytes, ms: performance.now() - start };
      this.#noteStop(performance.now() - stopped);
      this.bytesBehind -= behind;
      this.failure = null;
      this.#retryFrom = 0;
      if (this.#holds === 0) await this.#removeBefore(previous);
    } finally {
      journal.frozen = null;
      if (said) journal.said?.release(said);
    }
  }

  #noteStop(ms: number): void {
    this.longestStopMs = Math.max(this.longestStopMs, ms);
  }

  /** The mask, and its numbers of this moment where they may change. */
  #maskOf({ keys, queries, mask: editable }: FrozenEngine): {
    readonly mask: SavedMask | null;
    readonly maskNumbers?: readonly NumbersToWrite[];
    readonly said?: FrozenSaid;
  } {
    const { core: { rules: { mask } }, journal } = this.#config;
    if (!mask) return { mask: null };
    if (!mask.isFunction) {
      return { mask: toMatrixMask(mask), ...(editable ? { maskNumbers: editable.matrices } : {}) };
    }
    const said = journal.said?.freeze(keys.live, queries.live);
    if (!said) throw new Error("nothing is kept of what the mask function says");
    return { mask: { kind: "function", bias: NOTHING }, maskNumbers: [said], said };
  }

  /** Removes what only snapshots before `sequence` needed. */
  async #removeBefore(sequence: number): Promise<void> {
    const { folder, database, journal } = this.#config;
    for (const older of folder.snapshots()) {
      if (older < sequence) await folder.removeLarge(snapshotFile(older));
    }
    while (!this.#isStopped && !journal.failure && this.#holds === 0) {
      const start = performance.now();
      try {
        let isMore = false;
        database.transact(() => {
          isMore = database.removeRecords(sequence, REMOVED_AT_ONCE, BYTES_REMOVED_AT_ONCE);
        });
        this.#noteStop(performance.now() - start);
        if (!isMore) return;
      } catch (cause) {
        return journal.stop(cause);
      }
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
  }
}

const NOTHING = new Float32Array(0);
