/**
 * The journal of one engine: takes its edits as they are performed and puts all of a turn on disk in one transaction.
 *
 * Invariant: edits have numbers 1, 2, 3, … in the order in which they were performed, and are committed in that order. Nobody is
 * told of an edit, by a promise or an answer, before it is on disk. When the store fails, whatever it says, the journal
 * stops: what was not committed is unknown, and every later call throws the same error.
 */

import { setImmediate } from "node:timers";
import type { EngineCore } from "../engine/engine_core.ts";
import type { JsonValue } from "../base/json.ts";
import type { EditedRow, EditJournal, MaskChange, RowShift } from "../write/edit_journal.ts";
import { type CheckedEdit, type EditTarget, isOfQuery } from "../write/edits.ts";
import type { RowId } from "../write/row_ids.ts";
import type { Besides } from "./besides.ts";
import type { Clients } from "./clients.ts";
import { DurabilityError } from "./durability_error.ts";
import { CommitTimes } from "./durable_stats.ts";
import { type ClientCall, FrameWriter } from "./frames.ts";
import type { FrozenEngine } from "./frozen_engine.ts";
import type { HeadFile } from "./head_file.ts";
import { type JournalDatabase, sqliteFault } from "./journal_database.ts";
import { encodeRecord, hashOf, type Place } from "./record.ts";
import { forgetKeyStates, forgetQueryState } from "./kept_states.ts";
import type { SaidBias } from "./said_bias.ts";

/** Records of about this size are read and checked at once. */
const RECORD_BYTES = 1 << 20;
/** More than this is not held back until the turn ends. */
const MOST_WAITING = 1 << 22;

/** What a journal writes to. */
export interface JournalStore {
  readonly database: JournalDatabase;
  readonly head: HeadFile;
}

/** The parts of a journal. */
export interface JournalConfig {
  readonly folder: string;
  /** null where nothing may be written. */
  readonly store: JournalStore | null;
  /** Where the journal is. */
  readonly place: Place;
  readonly clients: Clients;
  /** What the mask function said; null without one. */
  readonly said: SaidBias | null;
  /** What is kept beside the rows, by name. */
  readonly besides: Besides;
  /** Whether rows have ids. */
  readonly ids: { readonly keys: boolean; readonly queries: boolean };
}

/** A promise of what is being committed. */
interface Group {
  readonly done: Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

/** Takes edits, and commits them. */
export class Journal implements EditJournal {
  readonly times = new CommitTimes();
  readonly clients: Clients;
  readonly said: SaidBias | null;
  readonly besides: Besides;
  /** Is told of each commit. */
  onCommit: (bytes: number) => void = ignore;
  /** Keeps rows that edits change while a snapshot is written. */
  frozen: FrozenEngine | null = null;
  readonly #folder: string;
  readonly #store: JournalStore | null;
  readonly #frames = new FrameWriter();
  readonly #saidNow = {
    queries: [] as number[],
    keys: [] as number[],
    heads: [] as number[],
    bias: [] as number[],
  };
  #core: EngineCore | null = null;
  #sequence: number;
  #committed: Place;
  #group: Group | null = null;
  #isScheduled = false;
  #asksMask = false;
  #failure: DurabilityError | null = null;
  /** The call that the next batch is. */
  #call: ClientCall | null = null;
  #names: RowId[] = [];
  /** Whether the batch is the moves of a range. */
  #isShift = false;
  readonly #ids: JournalConfig["ids"];
  readonly #later: (() => void)[] = [];

  constructor({ folder, store, place, clients, said, besides, ids }: JournalConfig) {
    this.#folder = folder;
    this.#store = store;
    this.#sequence = place.sequence;
    this.#committed = place;
    this.clients = clients;
    this.said = said;
    this.besides = besides;
    this.#ids = ids;
  }

  /** The engine whose edits these are. */
  attach(core: EngineCore): void {
    this.#core = core;
  }

  /** The number of the newest edit. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The newest edit that is on disk. */
  get committed(): Place {
    return this.#committed;
  }

  get isReadOnly(): boolean {
    return this.#store === null;
  }

  /** Bytes that it holds beside the engine. */
  get bytes(): number {
    return (this.said?.bytes ?? 0) + this.besides.bytes + this.#frames.bytes;
  }

  get failure(): DurabilityError | null {
    return this.#failure;
  }

  check(_operation: string): void {
    if (this.#failure) throw this.#failure;
  }

  begin(operation: string): void {
    this.#beginFrame(operation);
    this.#isShift = false;
    this.#frames.beginEdits(this.#call);
    this.#names = [];
  }

  beginShift(operation: string, shift: RowShift): void {
    this.#beginFrame(operation);
    this.#isShift = true;
    this.#frames.beginShift(shift);
  }

  #beginFrame(operation: string): void {
    this.#checkOwned(operation);
    // This comes before the edits, so that what is kept with earlier ones is in one transaction with them.
    if (this.#frames.bytes > MOST_WAITING) this.commit();
    this.check(operation);
    this.#endSaid();
  }

  note(edit: CheckedEdit, row: EditedRow, layer: EditTarget): void {
    const isQuery = isOfQuery(edit.kind);
    this.frozen?.keepBefore(isQuery, row.slot);
    if (this.#isShift) return;
    const hasIds = isQuery ? this.#ids.queries : this.#ids.keys;
    this.#frames.edit(edit, row, hasIds, layer, this.#core !== null && this.#core.rules.errors !== null);
    this.#noteLater(edit.kind, row, isQuery);
    if (this.#call) this.#names.push(row.name);
  }

  /** What the batch changes beside rows, once it is performed: of a row that is another one nothing was said, or is kept. */
  #noteLater(kind: CheckedEdit["kind"], { slot, isNew }: EditedRow, isQuery: boolean): void {
    if (isNew) this.#later.push(() => isQuery ? this.said?.resetQuery(slot) : this.said?.resetKey(slot));
    if (kind === "deleteKey") this.#later.push(() => forgetKeyStates(this.besides, slot));
    if (kind === "deleteQuery") this.#later.push(() => forgetQueryState(this.besides, slot));
  }

  end(isPerformed: boolean): void {
    const later = this.#later.splice(0);
    if (!isPerformed) return this.#frames.abandon();
    if (this.#isShift) this.#frames.endShift();
    else this.#frames.endEdits();
    this.#sequence++;
    if (this.#call) this.clients.note(this.#call, { sequence: this.#sequence, names: this.#names });
    for (const change of later) change();
    this.#asksMask = this.said !== null;
    this.#schedule();
  }

  noteMask(operation: string, change: MaskChange): void {
    this.#checkOwned(operation);
    // A refusal here leaves no frame of a change that is not made.
    this.frozen?.keepMaskBefore(operation, change);
    this.#noteFrame(operation, () => this.#frames.mask(change));
  }

  noteMetadata(operation: string, metadata: JsonValue): void {
    this.#noteFrame(operation, () => this.#frames.metadata(metadata));
  }

  /** Runs one batch of edits as this call of a client. */
  asCall<T>(call: ClientCall | null, edit: () => T): T {
    this.#call = call;
    try {
      return edit();
    } finally {
      this.#call = null;
    }
  }

  /** A mask function said what a pair adds. */
  noteSaid(query: number, key: number, head: number, bias: number): void {
    this.said?.set(query, key, head, bias);
    if (this.#failure || !this.#store) return;
    const { queries, keys, heads, bias: all } = this.#saidNow;
    queries.push(query);
    keys.push(key);
    heads.push(head);
    all.push(bias);
    this.#schedule();
  }

  /** Keeps something beside the rows, in the place of what had this name. */
  keep(operation: string, name: string, content: Uint8Array<ArrayBuffer>): void {
    this.#noteFrame(operation, () => this.#frames.kept(name, content));
    this.besides.set(name, content);
  }

  kept(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    return this.#group?.done ?? Promise.resolve();
  }

  /** Puts on disk what there is. */
  commit(): void {
    this.#isScheduled = false;
    const core = this.#core, store = this.#store;
    if (this.#failure || !store) return;
    if (this.#asksMask && core && !core.isDisposed) {
      // The next answer asks the mask function what it could not be asked now, and that reply becomes a frame of its
      // own.
      this.#asksMask = false;
      core.store("openDurable").catch(ignore);
    }
    const start = performance.now();
    let place = this.#committed, bytes = 0;
    try {
      this.#endSaid();
      if (this.#frames.frames === 0) return this.#resolve();
      store.database.transact(() => {
        for (const { frames, count } of this.#frames.parts(RECORD_BYTES)) {
          const last = place.sequence + count;
          const body = encodeRecord(place.sequence + 1, last, place.hash, frames);
          store.database.addRecord({ sequence: last, body });
          place = { sequence: last, hash: hashOf(body) };
          bytes += body.length;
        }
      });
    } catch (cause) {
      return this.stop(cause);
    }
    this.#frames.clear();
    this.#committed = place;
    this.times.note(performance.now() - start);
    try {
      store.head.write(place);
    } catch (cause) {
      this.#resolve();
      return this.stop(cause);
    }
    this.#resolve();
    this.onCommit(bytes);
  }

  /** The store has failed: nobody knows what became of the edits that were not committed. */
  stop(cause: unknown): void {
    if (this.#failure) return;
    const committed = this.#committed.sequence, first = committed + 1;
    const unknown = this.#sequence > committed
      ? `edits ${first} to ${this.#sequence} are unknown`
      : "no edit is unknown";
    const fault = sqliteFault(cause);
    const reason = fault
      ? `${fault.words}, SQLite ${fault.code}`
      : cause instanceof Error
      ? cause.message
      : String(cause);
    this.#failure = new DurabilityError(
      "openDurable",
      "unknown",
      `the store of ${this.#folder} failed (${reason}); edits 1 to ${committed} are on disk, ${unknown}; ` +
        "open the folder again",
      { folder: this.#folder, sequence: this.#sequence > committed ? first : null, committed, cause },
    );
    this.#frames.clear();
    this.#group?.reject(this.#failure);
    this.#group = null;
  }

  /** The refusal of whoever would write where nothing may be written. */
  readOnlyError(operation: string): DurabilityError {
    const detail = `${this.#folder} was opened to look at only, expected to be opened without readOnly`;
    return new DurabilityError(operation, "read-only", detail, { folder: this.#folder });
  }

  /** Throws where nothing may be written. */
  #checkOwned(operation: string): void {
    this.check(operation);
    if (!this.#store) throw this.readOnlyError(operation);
  }

  /** Writes a frame that is no batch of edits. */
  #noteFrame(operation: string, write: () => void): void {
    this.#checkOwned(operation);
    this.#endSaid();
    write();
    this.#sequence++;
    this.#schedule();
  }

  /** What was said since the last frame becomes one. */
  #endSaid(): void {
    const { queries, keys, heads, bias } = this.#saidNow;
    if (bias.length === 0) return;
    this.#frames.said(this.#saidNow, this.said?.heads ?? 1);
    this.#sequence++;
    queries.length =
      keys.length =
      heads.length =
      bias.length =
        0;
  }

  #schedule(): void {
    this.#group ??= newGroup();
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      if (this.#isScheduled) this.commit();
    });
  }

  #resolve(): void {
    this.#group?.resolve();
    this.#group = null;
  }
}

function newGroup(): Group {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Whoever waits for it gets the error; where nobody does, the next call gets it.
  promise.catch(ignore);
  return { done: promise, resolve, reject };
}

function ignore(): void {}
