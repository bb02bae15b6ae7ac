/**
 * The public face of a durable engine: `DynamicAttention` whose edits are on disk before anybody is told of them.
 */

import { InputError } from "../base/errors.ts";
import type { JsonValue } from "../base/json.ts";
import type { Matrix, MatrixInput, VectorInput } from "../base/matrix.ts";
import type { BackendName, ThreadCount } from "../backends/select.ts";
import { DISPLAY, INSPECT, type MimeBundle, NODE_INSPECT } from "../display/mime_bundle.ts";
import type { RankedKey, StaleOutput, WeightedKey, WeightTensor } from "../engine/answers.ts";
import { toFace } from "../engine/create_engine.ts";
import type { DynamicAttention, InsertOptions } from "../engine/dynamic_attention.ts";
import type { FollowedAttention, FollowOptions } from "../engine/followed_attention.ts";
import type { PassingMask } from "../engine/passing_mask.ts";
import type { LearnerOptions } from "../learning/learner_options.ts";
import type { OnlineLearner } from "../learning/online_learner.ts";
import { checkEdit } from "../write/edit_checks.ts";
import type { AnyEdit, Edit } from "../write/edits.ts";
import type { MaskEntry, MaskMatrix } from "../write/mask.ts";
import type { RowId } from "../write/row_ids.ts";
import type { Backup, BackupOptions } from "./backup.ts";
import { editDurably, toClient } from "./edit_calls.ts";
import type { DurableEdit, DurableEditOptions } from "./durable_options.ts";
import type { DurableParts } from "./durable_parts.ts";
import type { DurableAttentionStats } from "./durable_stats.ts";
import {
  backupOpen,
  closeFolder,
  durableStats,
  learnDurably,
  takeSnapshot,
  verifyOpen,
} from "./folder_calls.ts";
import type { Verification, VerifyOptions } from "./verify.ts";

/**
 * Attention that stays current and survives: {@link openDurable} makes one. It answers as a `DynamicAttention` does, by methods of
 * the same names and costs.
 *
 * - `edit` resolves when its edits are on disk. The other edits are synchronous, and on disk once `committed` resolves. All
 *   edits of one turn of the event loop are one transaction.
 * - What answers waits for the commit of what it may have seen. `getKey`, `getValue`, `getQuery`, `keySlots`, `keyIds`, `stats`
 *   and their like do not wait.
 * - When the store fails, every call throws the same {@link DurabilityError}; open the folder again.
 */
export class DurableAttention<KeyId extends RowId = number, QueryId extends RowId = number> {
  readonly #parts: DurableParts;
  readonly #live: DynamicAttention<KeyId, QueryId>;
  #disposal: Promise<void> | null = null;

  private constructor(parts: DurableParts) {
    if (typeof parts?.core?.faceOf !== "function") {
      throw new InputError("DurableAttention", "constructed with new", "await openDurable(folder, options)");
    }
    this.#parts = parts;
    // `toFace` does not know the types of ids.
    this.#live = toFace(parts.core) as unknown as DynamicAttention<KeyId, QueryId>;
    parts.core.faceOf(this);
  }

  /**
   * This engine as a `DynamicAttention`, for all that takes one. Its edits are in the journal, too, and what it answers waits for
   * the commit; its `dispose` leaves the folder open.
   */
  get engine(): DynamicAttention<KeyId, QueryId> {
    return this.#live;
  }

  /**
   * Performs edits in order, all or none, and resolves when they are on disk.
   *
   * @param edits As for `DynamicAttention.edit`.
   * @param options `clientSequence`: which of a client's calls it is. When it counted before it is not performed again, and
   * answered as the first time; the last 256 answers of a client are kept.
   * @throws {InputError} When an edit is refused; then none has happened, and the number may be used again.
   * @throws {DurabilityError} When nobody can say whether they are on disk.
   */
  edit(
    edits: readonly Edit<KeyId, QueryId>[],
    options: DurableEditOptions = {},
  ): Promise<DurableEdit<KeyId | QueryId>> {
    return editDurably<KeyId, QueryId>("DurableAttention.edit", this.#parts, edits, options);
  }

  /** Resolves with the number of the newest edit when all edits made so far are on disk. */
  async committed(): Promise<number> {
    this.#parts.core.checkCall("DurableAttention.committed");
    const { journal } = this.#parts, { sequence } = journal;
    await journal.kept();
    return sequence;
  }

  /**
   * The largest number that a call of a client had; 0 where none had one. A client that starts anew goes on behind it.
   *
   * @param client The client of `openDurable` unless given.
   */
  lastClientSequence(client?: string): number {
    const operation = "DurableAttention.lastClientSequence";
    const { core, journal, client: own } = this.#parts;
    core.checkLive(operation);
    return journal.clients.lastOf(toClient(operation, client, own));
  }

  /** As `DynamicAttention.setKey`, and on disk once {@link DurableAttention.committed} resolves. */
  setKey(slot: KeyId, key: VectorInput): void {
    this.#edit({ kind: "setKey", slot, key });
  }

  /** As `DynamicAttention.setValue`, and on disk once {@link DurableAttention.committed} resolves. */
  setValue(slot: KeyId, value: VectorInput): void {
    this.#edit({ kind: "setValue", slot, value });
  }

  /** As `DynamicAttention.set`, and on disk once {@link DurableAttention.committed} resolves. */
  set(slot: KeyId, key: VectorInput, value: VectorInput): void {
    this.#edit({ kind: "set", slot, key, value });
  }

  /** As `DynamicAttention.addToKey`, and on disk once {@link DurableAttention.committed} resolves. */
  addToKey(slot: KeyId, column: number, delta: number): void {
    this.#edit({ kind: "addToKey", slot, column, delta });
  }

  /** As `DynamicAttention.addToValue`, and on disk once {@link DurableAttention.committed} resolves. */
  addToValue(slot: KeyId, column: number, delta: number): void {
    this.#edit({ kind: "addToValue", slot, column, delta });
  }

  /** As `DynamicAttention.insert`, and on disk once {@link DurableAttention.committed} resolves. */
  insert(key: VectorInput, value: VectorInput, options: InsertOptions<KeyId> = {}): KeyId {
    return this.#live.insert(key, value, options);
  }

  /** As `DynamicAttention.upsert`, and on disk once {@link DurableAttention.committed} resolves. */
  upsert(
    id: KeyId,
    key: VectorInput,
    value: VectorInput,
    options: { readonly position?: number } = {},
  ): void {
    this.#live.upsert(id, key, value, options);
  }

  /** As `DynamicAttention.delete`, and on disk once {@link DurableAttention.committed} resolves. */
  delete(slot: KeyId): void {
    this.#edit({ kind: "delete", slot });
  }

  /** As `DynamicAttention.setQuery`, and on disk once {@link DurableAttention.committed} resolves. */
  setQuery(slot: QueryId, query: VectorInput): void {
    this.#edit({ kind: "setQuery", slot, query });
  }

  /** As `DynamicAttention.insertQuery`, and on disk once {@link DurableAttention.committed} resolves. */
  insertQuery(query: VectorInput, options: InsertOptions<QueryId> = {}): QueryId {
    return this.#live.insertQuery(query, options);
  }

  /** As `DynamicAttention.upsertQuery`, and on disk once {@link DurableAttention.committed} resolves. */
  upsertQuery(id: QueryId, query: VectorInput, options: { readonly position?: number } = {}): void {
    this.#live.upsertQuery(id, query, options);
  }

  /** As `DynamicAttention.deleteQuery`, and on disk once {@link DurableAttention.committed} resolves. */
  deleteQuery(slot: QueryId): void {
    this.#edit({ kind: "deleteQuery", slot });
  }

  /** As `DynamicAttention.setPosition`, and on disk once {@link DurableAttention.committed} resolves. */
  setPosition(slot: KeyId, position: number): void {
    this.#edit({ kind: "setPosition", slot, position });
  }

  /** As `DynamicAttention.setQueryPosition`, and on disk once {@link DurableAttention.committed} resolves. */
  setQueryPosition(slot: QueryId, position: number): void {
    this.#edit({ kind: "setQueryPosition", slot, position });
  }

  /** As `DynamicAttention.setMask`, and on disk once {@link DurableAttention.committed} resolves. */
  setMask(
    entries: MaskEntry | MaskMatrix,
    options: {
      readonly queries?: ArrayLike<QueryId>;
      readonly keys?: ArrayLike<KeyId>;
      readonly head?: number;
    } = {},
  ): void {
    this.#live.setMask(entries, options);
  }

  /** As `DynamicAttention.shiftPositions`, and on disk once {@link DurableAttention.committed} resolves. */
  shiftPositions(by: number, range: { readonly from?: number; readonly to?: number } = {}): number {
    return this.#live.shiftPositions(by, range);
  }

  /** As `DynamicAttention.getPosition`. */
  getPosition(slot: KeyId): number {
    return this.#live.getPosition(slot);
  }

  /** As `DynamicAttention.getQueryPosition`. */
  getQueryPosition(slot: QueryId): number {
    return this.#live.getQueryPosition(slot);
  }

  /** As `DynamicAttention.hasKey`. */
  hasKey(slot: KeyId): boolean {
    return this.#live.hasKey(slot);
  }

  /** As `DynamicAttention.hasQuery`. */
  hasQuery(slot: QueryId): boolean {
    return this.#live.hasQuery(slot);
  }

  /** As `DynamicAttention.getKey`. */
  getKey(slot: KeyId): Float32Array<ArrayBuffer> {
    return this.#live.getKey(slot);
  }

  /** As `DynamicAttention.getValue`. */
  getValue(slot: KeyId): Float32Array<ArrayBuffer> {
    return this.#live.getValue(slot);
  }

  /** As `DynamicAttention.getQuery`. */
  getQuery(slot: QueryId): Float32Array<ArrayBuffer> {
    return this.#live.getQuery(slot);
  }

  /** As `DynamicAttention.keySlots`. */
  keySlots(): Uint32Array<ArrayBuffer> {
    return this.#live.keySlots();
  }

  /** As `DynamicAttention.querySlots`. */
  querySlots(): Uint32Array<ArrayBuffer> {
    return this.#live.querySlots();
  }

  /** As `DynamicAttention.keyIds`. */
  keyIds(): KeyId[] {
    return this.#live.keyIds();
  }

  /** As `DynamicAttention.queryIds`. */
  queryIds(): QueryId[] {
    return this.#live.queryIds();
  }

  /** As `DynamicAttention.read`. */
  read(
    slots?: ArrayLike<QueryId>,
    options: { readonly into?: Float32Array<ArrayBuffer> } = {},
  ): Promise<Matrix> {
    return this.#live.read(slots, options);
  }

  /** As `DynamicAttention.readEntry`. */
  readEntry(slot: QueryId, column: number): Promise<number> {
    return this.#live.readEntry(slot, column);
  }

  /** As `DynamicAttention.peek`. */
  peek(
    slots?: ArrayLike<QueryId>,
    options: { readonly bounds?: boolean; readonly into?: Float32Array<ArrayBuffer> } = {},
  ): Promise<StaleOutput> {
    return this.#live.peek(slots, options);
  }

  /** As `DynamicAttention.follow`. */
  follow(slots?: ArrayLike<QueryId>, options: FollowOptions = {}): FollowedAttention {
    return this.#live.follow(slots, options);
  }

  /** As `DynamicAttention.weights`. */
  weights(slot: QueryId, options: { readonly head?: number } = {}): Promise<Float32Array<ArrayBuffer>> {
    return this.#live.weights(slot, options);
  }

  /** As `DynamicAttention.logSumExp`. */
  logSumExp(slots?: ArrayLike<QueryId>): Promise<Matrix> {
    return this.#live.logSumExp(slots);
  }

  /** As `DynamicAttention.topKeys`. */
  topKeys(slot: QueryId, count: number, options?: { readonly head?: number }): Promise<WeightedKey<KeyId>[]>;
  /** As above, for each query of an array. */
  topKeys(
    rows: readonly QueryId[] | Uint32Array,
    count: number,
    options?: { readonly head?: number },
  ): Promise<WeightedKey<KeyId>[][]>;
  topKeys(
    rows: QueryId | readonly QueryId[] | Uint32Array,
    count: number,
    options: { readonly head?: number } = {},
  ): Promise<WeightedKey<KeyId>[] | WeightedKey<KeyId>[][]> {
    // The engine says which of the two it is.
    return this.#live.topKeys(rows as QueryId, count, options);
  }

  /** As `DynamicAttention.weightsOf`. */
  weightsOf(
    rows?: ArrayLike<QueryId>,
    options: { readonly heads?: ArrayLike<number> } = {},
  ): Promise<WeightTensor<KeyId, QueryId>> {
    return this.#live.weightsOf(rows, options);
  }

  /** As `DynamicAttention.recommend`. */
  recommend(
    slot: QueryId,
    count: number,
    options: { readonly exclude?: ArrayLike<KeyId> } = {},
  ): Promise<RankedKey<KeyId>[]> {
    return this.#live.recommend(slot, count, options);
  }

  /** As `DynamicAttention.attend`. */
  attend(
    queries: MatrixInput,
    options: { readonly positions?: ArrayLike<number>; readonly mask?: PassingMask<KeyId> } = {},
  ): Promise<Matrix> {
    return this.#live.attend(queries, options);
  }

  /** As `DynamicAttention.flush`. */
  flush(): Promise<void> {
    return this.#live.flush();
  }

  /** As `DynamicAttention.rebuild`. */
  rebuild(): Promise<void> {
    return this.#live.rebuild();
  }

  /**
   * As `DynamicAttention.save`; the metadata are in the journal, and stay when the folder is opened anew.
   *
   * @throws {DurabilityError} When metadata are given and the folder was opened to look at only.
   */
  save(options: { readonly metadata?: JsonValue } = {}): Promise<Uint8Array<ArrayBuffer>> {
    return this.#live.save(options);
  }

  /** As `DynamicAttention.metadata`. */
  get metadata(): JsonValue | undefined {
    return this.#live.metadata;
  }

  /**
   * As `DynamicAttention.sequence`: how many edits were accepted since the engine was first made, over all openings. The
   * `sequence` that `edit` and `committed` answer counts calls, each of which may be of many edits.
   */
  get sequence(): number {
    return this.#live.sequence;
  }

  /** As `DynamicAttention.moveTo`. */
  moveTo(backend: BackendName, options: { readonly threads?: ThreadCount } = {}): Promise<void> {
    return this.#live.moveTo(backend, options);
  }

  /**
   * Takes a snapshot now, of the edits made so far, and removes records that are needed no more. The loop goes on meanwhile.
   *
   * @throws {DurabilityError} When the folder was opened to look at only, or the snapshot could not be written.
   */
  snapshot(): Promise<void> {
    return takeSnapshot("DurableAttention.snapshot", this.#parts);
  }

  /**
   * Reads all that is on disk and says what is not as it was written: which file, which sequence number, what. It changes
   * nothing, and the loop goes on meanwhile.
   */
  verify(options: VerifyOptions = {}): Promise<Verification> {
    return verifyOpen("DurableAttention.verify", this.#parts, options);
  }

  /**
   * Copies all edits made so far to another folder, which must be empty or not exist, and checks what it copies. The loop goes on
   * meanwhile, and so do edits, which are not in the copy.
   *
   * @throws {InputError} When something is in the other folder.
   * @throws {DurabilityError} When what is on disk is not what was written.
   */
  backup(target: string | URL, options: BackupOptions = {}): Promise<Backup> {
    return backupOpen("DurableAttention.backup", this.#parts, target, options);
  }

  /**
   * A learner over this engine, whose states of the optimizer and counters are in the journal, in one transaction with the rows
   * that a step has changed: opened anew, it goes on where it was. A step resolves when it is on disk.
   *
   * @param options As for `OnlineLearner`. Functions are not on disk.
   * @throws {InputError} When loss or optimizer are others than those with which it has learned before.
   * @throws {DurabilityError} When the folder was opened to look at only.
   */
  learner(options: LearnerOptions<KeyId, QueryId> = {}): Promise<OnlineLearner<KeyId, QueryId>> {
    return learnDurably("DurableAttention.learner", this.#parts, this.#live, options);
  }

  /** Sizes, versions and counted work as of now, and in `durable` what is on disk. */
  stats(): DurableAttentionStats {
    const engine = this.#live.stats(), { journal } = this.#parts;
    return { ...engine, bytes: engine.bytes + journal.bytes, durable: durableStats(this.#parts) };
  }

  /**
   * Commits what there is, waits for what was asked before, and gives back the engine and the folder; calling it again does
   * nothing.
   *
   * @throws {DurabilityError} When the last edits could not be committed.
   */
  dispose(): Promise<void> {
    this.#disposal ??= closeFolder("DurableAttention.dispose", this.#parts);
    return this.#disposal;
  }

  /** As `dispose`, at the end of an `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** What `JSON.stringify` writes: sizes, backend and number of edits. */
  toJSON(): { readonly [fact: string]: JsonValue } {
    return { ...this.#live.toJSON(), type: "DurableAttention" };
  }

  /** What a terminal of Node shows. */
  [NODE_INSPECT](): string {
    return this[INSPECT]();
  }

  /** What a terminal shows. */
  [INSPECT](): string {
    const { core, journal, folder } = this.#parts;
    if (core.isDisposed) return "DurableAttention (disposed)";
    const shown = this.#live[INSPECT]();
    return `${shown}\nfolder ${folder.path}, ${journal.committed.sequence} of ${journal.sequence} edits on disk`;
  }

  /** What a notebook shows. */
  async [DISPLAY](): Promise<MimeBundle> {
    if (this.#parts.core.isDisposed) return { "text/plain": "DurableAttention (disposed)" };
    return await this.#live[DISPLAY]();
  }

  #edit(edit: AnyEdit): void {
    const operation = `DurableAttention.${edit.kind}`, { core } = this.#parts;
    core.edit(core.given(operation, () => checkEdit(operation, edit, core.rules)));
  }
}

/** A durable engine of its parts; the constructor is private, so that users call `openDurable`. */
export function toDurable<KeyId extends RowId, QueryId extends RowId>(
  parts: DurableParts,
): DurableAttention<KeyId, QueryId> {
  return Reflect.construct(DurableAttention, [parts]);
}
