/**
 * An engine without its public face: its rules, its backend, and the pipeline between edits and answers. The
 * face, `DynamicAttention`, checks arguments and gives answers their form; other parts of the library that
 * build on an engine work with its core.
 *
 * Invariant: once `dispose` has begun, no edit and no question is accepted, and when it has resolved no code
 * of the engine runs.
 */

import type {
  AttentionOutput,
  Backend,
  BackendFactory,
  PassingQueries,
  Wanted,
} from "../backends/backend.ts";
import { MovableBackend } from "../backends/movable_backend.ts";
import { CapacityError, describe, DisposedError, InputError, ReentryError } from "../base/errors.ts";
import type { JsonValue } from "../base/json.ts";
import { reading } from "../base/lists.ts";
import { looksAtPositions } from "../numerics/score_rule.ts";
import type { LargestErrors } from "../numerics/storage_bound.ts";
import { EditPipeline, type Followed, type Turn } from "../schedule/edit_pipeline.ts";
import type { StaleAttentionOutput, StaleWanted } from "../schedule/stale_answers.ts";
import type { EditJournal, MaskChange, RowShift } from "../write/edit_journal.ts";
import { type CheckedEdit, type EditTarget, findSlot, performEdit, slotBefore } from "../write/edits.ts";
import { FrozenMask } from "../write/frozen_rows.ts";
import { copyNewest, type RowKind } from "../write/newest_rows.ts";
import type { RowId } from "../write/row_ids.ts";
import { PositionFrame } from "../write/position_frame.ts";
import { SlotTable } from "../write/slot_table.ts";
import type { Snapshot } from "../store/snapshot.ts";
import type { DynamicAttentionStats } from "./answers.ts";
import type { EngineRules, FrozenSnapshot } from "./engine_snapshot.ts";
import { fillBackend, makeBackend, type WrapBackend } from "./fill_backend.ts";
import { type EngineProblem, type LoadProblem, withRules } from "./options.ts";
import * as calls from "./engine_calls.ts";
import { PositionShifts } from "./position_shifts.ts";
import type { PositionShift } from "./question_options.ts";
import { Rankings } from "./rankings.ts";

/** Parts of an engine that tests, or other parts of the library, can inject. */
export interface EngineSeams {
  /** Wraps each backend of the engine. */
  readonly wrap?: WrapBackend | undefined;
  /** A journal of edits. An answer then waits until the edits that it includes are durable. */
  readonly journal?: EditJournal | undefined;
}

/** The history before the engine was made. */
interface Past {
  readonly sequence: number;
  readonly metadata: JsonValue | undefined;
}

const NEW: Past = { sequence: 0, metadata: undefined };

/** The core of each face. */
const CORES = new WeakMap<object, EngineCore>();

/** The edits, answers and lifetime of one engine. */
export class EngineCore {
  readonly rules: EngineRules;
  /** Checks of what callers pass. */
  readonly calls = calls;
  /** Questions about keys. */
  readonly rankings: Rankings;
  #metadata: JsonValue | undefined;
  /** Masks that are being saved. */
  readonly #frozenMasks = new Set<FrozenMask>();
  /** Edits that were accepted before the load that made the engine. */
  readonly #sequence: number;
  readonly #backend: MovableBackend;
  readonly #pipeline: EditPipeline;
  readonly #shifts: PositionShifts;
  readonly #seams: EngineSeams;
  /** Whether a mask of passing queries is being asked. */
  #asksMask = false;
  #disposal: Promise<void> | null = null;

  private constructor(
    rules: EngineRules,
    backend: Backend,
    seams: EngineSeams,
    { sequence, metadata }: Past = NEW,
  ) {
    this.rules = rules;
    this.#sequence = sequence;
    this.#metadata = metadata;
    this.#seams = seams;
    this.#backend = new MovableBackend(rules.layout, backend);
    this.#pipeline = new EditPipeline({ ...rules, backend: this.#backend });
    this.#shifts = new PositionShifts({
      rules,
      journal: seams.journal,
      newest: () => this.#pipeline.newest,
      perform: (edits, shift) => this.#perform("DynamicAttention.shiftPositions", edits, shift),
      noteEdits: (count) => this.#pipeline.noteEdits(count),
    });
    this.rankings = new Rankings(rules, (operation, slots, ask) => this.ask(operation, slots, ask));
  }

  /** Makes an engine and computes its first states, O(m n (d + dv)). */
  static async create(
    operation: string,
    given: EngineProblem,
    seams: EngineSeams = {},
  ): Promise<EngineCore> {
    const problem = await withRules(operation, given);
    const { layout, rule, mask, threshold, policy, tolerance } = problem;
    const keySlots = new SlotTable(problem.keyPositions, problem.keyIds);
    const querySlots = new SlotTable(problem.queryPositions, problem.queryIds);
    mask?.speakOf(keySlots, querySlots);
    const frame = new PositionFrame(rule);
    const { errors } = problem;
    const rules = { layout, rule, mask, threshold, policy, tolerance, keySlots, querySlots, frame, errors };
    return new EngineCore(rules, await fillBackend(operation, problem, seams.wrap), seams);
  }

  /** Makes an engine of a snapshot. The engine takes over the bytes. */
  static async load(
    operation: string,
    bytes: Uint8Array<ArrayBuffer>,
    problem: LoadProblem,
    seams: EngineSeams = {},
  ): Promise<EngineCore> {
    const { restoreEngine } = await loadSnapshots();
    const { rules, backend, snapshot } = await restoreEngine(operation, bytes, problem, seams.wrap);
    return new EngineCore(rules, backend, seams, snapshot);
  }

  /** Makes an engine of a snapshot without states, all of which it computes, O(m n (d + dv)). */
  static async restore(
    operation: string,
    snapshot: Snapshot,
    problem: LoadProblem,
    seams: EngineSeams = {},
  ): Promise<EngineCore> {
    const { restoreSnapshot } = await loadSnapshots();
    const { rules, backend } = await restoreSnapshot(operation, snapshot, problem, seams.wrap);
    return new EngineCore(rules, backend, seams, snapshot);
  }

  /**
   * The core of an engine, for one question, which must be asked before the first await.
   *
   * @throws {InputError} When `live` is no engine.
   * @throws {DisposedError} When it is disposed.
   */
  static of(operation: string, live: object): EngineCore {
    const core = typeof live === "object" && live !== null ? CORES.get(live) : undefined;
    if (!core) throw new InputError(operation, `engine is ${describe(live)}`, "a DynamicAttention");
    core.checkCall(operation);
    return core;
  }

  /** Makes an object the face of this core. */
  faceOf(live: object): void {
    CORES.set(live, this);
  }

  /** Edits that were accepted since the engine was first made, over all loads. */
  get sequence(): number {
    return this.#sequence + this.#pipeline.counts.written;
  }

  /** The metadata of the last `save`. */
  get metadata(): JsonValue | undefined {
    return this.#metadata;
  }

  /** Metadata that go with the engine from now on. */
  setMetadata(operation: string, metadata: JsonValue): void {
    this.#seams.journal?.noteMetadata(operation, metadata);
    this.#metadata = metadata;
  }

  /** Whether `dispose` has been called. */
  get isDisposed(): boolean {
    return this.#disposal !== null;
  }

  /** The newest rows. */
  get newest(): EditTarget {
    return this.#pipeline.newest;
  }

  /** Performs a checked edit; returns what its row is called. */
  edit(edit: CheckedEdit): RowId {
    this.#admit([edit]);
    if (this.#seams.journal) return this.#performNow(edit.operation, [edit])[0];
    let name: RowId;
    try {
      name = performEdit(edit, this.#pipeline.newest, this.rules);
    } catch (error) {
      throw CapacityError.ofCall(edit.operation, error);
    }
    this.#pipeline.noteEdits(1);
    return name;
  }

  /** Performs checked edits in order, all or none; returns what the row of each is called. */
  editAll(operation: string, edits: readonly CheckedEdit[]): RowId[] {
    this.#admit(edits);
    return this.#performNow(operation, edits);
  }

  #performNow(operation: string, edits: readonly CheckedEdit[]): RowId[] {
    const names = this.#perform(operation, edits);
    this.#pipeline.noteEdits(names.length);
    return names;
  }

  /** How far kept rows are from those that were given, as of now; null where all are float32. */
  get #errors(): LargestErrors | null {
    return this.rules.errors?.largest() ?? null;
  }

  /** Performs edits, which are the moves of `shift` where it is given. */
  #perform(operation: string, edits: readonly CheckedEdit[], shift: RowShift | null = null): RowId[] {
    const { keySlots, querySlots, errors } = this.rules, { journal } = this.#seams;
    const perform = (edit: CheckedEdit, layer: EditTarget) => {
      if (!journal) return performEdit(edit, layer, this.rules);
      const before = slotBefore(edit, this.rules);
      const name = performEdit(edit, layer, this.rules);
      const slot = before ?? slotOfNew(edit, name, this.rules);
      journal.note(edit, { slot, name, isNew: before === null }, layer);
      return name;
    };
    const performAll = () => {
      return this.#pipeline.atomically((layer) => edits.map((edit) => perform(edit, layer)));
    };
    if (shift) journal?.beginShift(operation, shift);
    else journal?.begin(edits[0]?.operation ?? "DynamicAttention.edit");
    let isPerformed = false, names: RowId[];
    try {
      const inSlots = () => keySlots.atomically(() => querySlots.atomically(performAll));
      names = errors ? errors.atomically(inSlots) : inSlots();
      isPerformed = true;
    } catch (error) {
      throw CapacityError.ofCall(operation, error);
    } finally {
      journal?.end(isPerformed);
    }
    return names;
  }

  /** Makes the frame ready for the positions of edits. */
  #admit(edits: readonly CheckedEdit[]): void {
    const { frame } = this.rules;
    if (frame.origin === 0) return;
    frame.admit(edits.map((edit) => "position" in edit && edit.position !== null ? edit.position : 0));
  }

  /** The position of a row as of the newest edit. */
  position(operation: string, what: "key" | "query", name: RowId): number {
    const { keySlots, querySlots } = this.rules, { keys, queries } = this.#pipeline.newest;
    const slot = findSlot(operation, what, name, what === "key" ? keySlots : querySlots);
    const held = (what === "key" ? keys : queries).position(slot);
    return looksAtPositions(this.rules.rule) ? this.rules.frame.position(held) : held;
  }

  /**
   * Writes a block of the mask. Its keys are stored anew with what the mask says now, or its queries, whichever takes less
   * work.
   */
  setMask(operation: string, change: MaskChange): void {
    const { queries, keys, heads, block } = change;
    const { mask, keySlots, querySlots } = this.rules, layer = this.#pipeline.newest;
    if (!mask || queries.length === 0 || keys.length === 0) return;
    const isOfKeys = keys.length * querySlots.count <= queries.length * keySlots.count;
    const [log, slots] = isOfKeys ? [layer.keys, keys] : [layer.queries, queries];
    // Memory may be refused here, before the first change, and before the journal has it.
    try {
      log.reserve(slots.length);
    } catch (error) {
      throw CapacityError.ofCall(operation, error);
    }
    for (const frozen of this.#frozenMasks) frozen.keepBefore(operation, change);
    this.#seams.journal?.noteMask(operation, change);
    queries.forEach((query, i) =>
      keys.forEach((key, j) => {
        for (const head of heads) mask.set(query, key, head, block[i * keys.length + j]);
      })
    );
    for (const slot of slots) log.tell(slot);
    this.#pipeline.noteEdits(1);
  }

  /** Moves all rows whose positions are in a range; returns how many. */
  shiftPositions(operation: string, shift: PositionShift): number {
    return this.#shifts.shift(operation, shift);
  }

  /** A copy of a row as of the newest edit. */
  copyNewest(operation: string, kind: RowKind, slot: RowId): Float32Array<ArrayBuffer> {
    return copyNewest(operation, kind, slot, this.#pipeline.newest, this.rules);
  }

  /** Asks any question about some query slots and all keys, exact as of the call. */
  ask<T>(operation: string, slots: Uint32Array, ask: (turn: Turn) => T | Promise<T>): Promise<T> {
    return this.#kept(this.#pipeline.ask(operation, slots, ask));
  }

  /** Exact attention of query slots. */
  read(operation: string, slots: Uint32Array, wanted: Wanted): Promise<AttentionOutput> {
    return this.#kept(this.#pipeline.read(operation, slots, wanted));
  }

  /** Attention of query slots by states that may lag, with bounds if they are wanted. */
  peek(operation: string, slots: Uint32Array, wanted: StaleWanted): Promise<StaleAttentionOutput> {
    return this.#kept(this.#pipeline.peek(operation, slots, wanted, this.#errors));
  }

  /** Copies of answers that are kept within an error of exact, by following drift while that pays, or always. */
  follow(isAlways = false): Followed {
    const followed = this.#pipeline.follow(isAlways), { refresh } = followed;
    return {
      ...followed,
      refresh: (operation, slots, error, places) => {
        return this.#kept(refresh(operation, slots, error, places, this.#errors));
      },
    };
  }

  /** Exact weights of one head of a query slot. */
  weights(operation: string, slot: number, head: number): Promise<Float32Array<ArrayBuffer>> {
    return this.#kept(this.#pipeline.weights(operation, slot, head));
  }

  /** Exact attention of passing queries. */
  attend(operation: string, queries: PassingQueries): Promise<AttentionOutput> {
    return this.#kept(this.#pipeline.attend(operation, queries));
  }

  /** Brings every state up to date; "rebuild" computes all of them from scratch. */
  flush(operation: string, plan?: "rebuild"): Promise<void> {
    return this.#kept(this.#pipeline.flush(operation, plan));
  }

  /**
   * Stores the edits made so far; when the call returns, a mask function has been called for them. If the
   * function fails this rejects, and the next answer calls it again.
   */
  store(operation: string): Promise<void> {
    return this.#pipeline.store(operation);
  }

  /**
   * Brings every state up to date and encodes the engine as of the call. Rows are copied by and by, while other turns run; those
   * that an edit changes meanwhile, before it does.
   */
  async save(operation: string): Promise<Uint8Array<ArrayBuffer>> {
    const { keySlots, querySlots } = this.rules;
    const errors = this.rules.errors?.save(keySlots.size) ?? null;
    const slots = { keys: keySlots.save(), queries: querySlots.save() };
    const { mask } = this.rules, editable = mask?.isEditable ? new FrozenMask(mask.matrices) : null;
    const { origin } = this.rules.frame;
    const moment = { slots, errors, sequence: this.sequence, metadata: this.metadata, origin, editable };
    const freeze = async () => (await loadSnapshots()).takeSnapshot(this.rules, moment, this.#backend);
    const encode = async (snapshot: FrozenSnapshot) =>
      (await loadSnapshots()).encodeSnapshot(operation, snapshot);
    if (editable) this.#frozenMasks.add(editable);
    try {
      return await this.#kept(this.#pipeline.copy(operation, freeze, encode));
    } finally {
      if (editable) this.#frozenMasks.delete(editable);
    }
  }

  /** Goes on with a backend of `factory`, in the order of calls. */
  moveTo(operation: string, factory: BackendFactory): Promise<void> {
    const { layout, rule, mask, tolerance, keySlots, querySlots } = this.rules;
    const { wrap = (backend) => backend } = this.#seams;
    return this.#pipeline.move(operation, async () => {
      const sizes = { queryCount: querySlots.count, keyCount: keySlots.count };
      const maskHeads = mask?.heads ?? 0;
      const config = { layout, rule, maskHeads, tolerance, sizes };
      const successor = wrap(await makeBackend(operation, factory, config));
      await this.#backend.moveTo(successor, { keys: keySlots.size, queries: querySlots.size });
    });
  }

  /** Sizes, counts of edits and counted work, as of now. */
  stats(): DynamicAttentionStats {
    const { layout, keySlots, querySlots } = this.rules, backend = this.#backend;
    const { counts: { written, applied, changesStored, readMs }, pending, unstored, queries } =
      this.#pipeline;
    return {
      backend: backend.name,
      backendReason: backend.reason,
      threads: backend.threads,
      queryCount: querySlots.count,
      keyCount: keySlots.count,
      ...layout,
      edits: written,
      coalesced: written - changesStored - unstored,
      applied: pending === 0 ? written : applied,
      pending,
      epoch: queries.epoch,
      behind: queries.behind,
      retained: queries.retained,
      rebuilds: queries.rebuilds,
      ...backend.work,
      applyMs: queries.applyMs,
      readMs,
      deviceMs: backend.deviceMs,
      bytes: backend.bytes() + this.#pipeline.bytes + (this.rules.errors?.bytes ?? 0),
    };
  }

  /** Waits for the questions asked so far and gives back all memory; a second call does nothing more. */
  dispose(): Promise<void> {
    this.#disposal ??= this.#pipeline.dispose();
    return this.#disposal;
  }

  /**
   * Reads the arguments of a call before anything of the engine is touched. That may run code of the caller,
   * and whatever it does to the engine has then happened before the call.
   */
  given<T>(operation: string, read: () => T): T {
    this.checkCall(operation);
    const given = reading(operation, read);
    this.checkCall(operation);
    return given;
  }

  /** A mask of passing queries whose function, if it is one, may not edit or ask the engine that asks it. */
  asking(mask: unknown): unknown {
    if (typeof mask !== "function") return mask;
    return (query: number, key: RowId, head: number): unknown => {
      this.#asksMask = true;
      try {
        return mask(query, key, head);
      } finally {
        this.#asksMask = false;
      }
    };
  }

  /** Refuses an edit or a question by a mask or threshold function that the engine is asking. */
  checkCall(operation: string): void {
    this.checkLive(operation);
    const { mask, threshold } = this.rules;
    this.#seams.journal?.check(operation);
    if (mask?.isAsked || this.#asksMask) throw new ReentryError(operation, "mask");
    if (threshold.isAsked) throw new ReentryError(operation, "lazyThreshold");
  }

  /** Gives an answer when all edits that it includes are durable. */
  #kept<T>(answer: Promise<T>): Promise<T> {
    const { journal } = this.#seams;
    return journal ? answer.then((answered) => journal.kept().then(() => answered)) : answer;
  }

  /** Refuses calls after `dispose`. */
  checkLive(operation: string): void {
    if (this.#disposal) throw new DisposedError(operation);
  }
}

/** The slot of the row that an edit has inserted just now. */
function slotOfNew({ kind }: CheckedEdit, name: RowId, { keySlots, querySlots }: EngineRules): number {
  const { ids } = kind === "insertQuery" || kind === "upsertQuery" ? querySlots : keySlots;
  return (ids ? ids.slotOf(name) : name) as number;
}

/** Loads the code of snapshots, which most engines never need. */
function loadSnapshots() {
  return import("./engine_snapshot.ts");
}
