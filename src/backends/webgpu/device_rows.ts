/**
 * The rows of one engine on whatever device there is: it is found when it is needed first, and another one
 * when it was lost. What fails on a device rejects with a typed error, and the next call begins on a fresh
 * one. So it does where work failed for want of memory before it ran, if changes of rows were in it: they
 * would be missing from what the device holds.
 *
 * Invariants: an orphan is a live query without a state on the device at hand. Once `dispose` has begun
 * nothing is asked of a device any more, and when it resolves nothing of what was asked before runs.
 */

import type { BackendConfig, Changes, Cohort, PassingQueries, Since, Work } from "../backend.ts";
import { queryColumns } from "../../numerics/head_layout.ts";
import { DeviceError, DisposedError } from "../../base/errors.ts";
import type { GpuDevice } from "./device.ts";
import { DeviceImage, move, type QueryTables, queryTables } from "./device_image.ts";
import type { HostRows } from "../host/host_rows.ts";
import { SAME_KIND } from "./kernels/table_kernels.ts";
import { toRecordLayout } from "./record_layout.ts";
import { RecordWriter } from "./record_writer.ts";
import { RowBuilder } from "./row_builder.ts";
import { mostTermsOf, ruleOf } from "./row_rule.ts";
import { RowUpdater } from "./row_updater.ts";
import { Session } from "./session.ts";
import { StateMirror } from "./state_mirror.ts";
import { noTraffic, type Traffic } from "./traffic.ts";
import { groupsOf, type Span, UPLOAD, WorkList } from "./work_list.ts";

const OPERATION = "webgpu";
/** Passing queries that are computed together. */
const PASSING_ROWS = 1024;
/** Scores that a workgroup writes down. */
const SCORED_TERMS = 256;
/** Bytes that are read at once. */
const READ_BYTES = 2 ** 27;

/** States on a device. */
export class DeviceRows {
  readonly traffic: Traffic = noTraffic();
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #records: RecordWriter;
  readonly #mirror: StateMirror;
  readonly #builder: RowBuilder;
  readonly #updater: RowUpdater;
  readonly #open: () => Promise<GpuDevice>;
  readonly #orphans = new Set<number>();
  /** Queries that have a state, wherever. */
  readonly #computed = new Set<number>();
  /** Calls that run. */
  readonly #running = new Set<Promise<unknown>>();
  #isDisposed = false;
  #image: DeviceImage | null = null;
  #passing: QueryTables | null = null;
  /** How many refreshed rows have been counted of those that the device has counted. */
  #refreshesKnown = 0;

  constructor(
    config: BackendConfig,
    rows: HostRows,
    mirror: StateMirror,
    work: Work,
    open: () => Promise<GpuDevice>,
  ) {
    this.#config = config;
    this.#rows = rows;
    this.#records = new RecordWriter(rows, config.rule);
    this.#mirror = mirror;
    this.#builder = new RowBuilder(config, rows, work);
    this.#updater = new RowUpdater(config, rows, work, this.#builder);
    this.#open = open;
  }

  /** Whether the device at hand has a clock of its own. */
  get hasClock(): boolean {
    return this.#image?.session.gpu.hasTimestamps ?? false;
  }

  /** Notes kept rows that nobody wants any more. */
  noteDropped(retainedIds: Uint32Array): void {
    this.#image?.noteDropped(retainedIds);
  }

  /** Notes a row that is about to be kept. */
  noteRetained(slot: number, retainedId: number): void {
    this.#image?.noteRetained(slot, retainedId);
  }

  /** Notes what was stored. */
  noteChanges({ keys, queries }: Changes): void {
    for (const slot of queries.slots) {
      this.#orphans.delete(slot);
      this.#computed.delete(slot);
    }
    this.#image?.noteKeys(keys.slots);
    this.#image?.noteQueries(queries);
  }

  /** The device, which may have to be found. */
  gpu(): Promise<GpuDevice> {
    return this.#onDevice((image) => Promise.resolve(image.session.gpu));
  }

  /** Builds and patches; orphans are built. */
  update(build: ArrayLike<number>, patch: readonly Cohort[]): Promise<void> {
    return this.#enter(() => this.#update(build, patch));
  }

  /**
   * Reads the states of some queries that are not known; orphans are built where nothing has happened since.
   */
  readBack(queries: Uint32Array, since: Since): Promise<void> {
    return this.#enter(() => this.#readBack(queries, since));
  }

  #update(build: ArrayLike<number>, patch: readonly Cohort[]): Promise<void> {
    return this.#guard(async (image) => {
      const work = new WorkList();
      await image.sync(work);
      const { repeatsWeights } = image.session.gpu.arithmetic;
      const isPatched = (slot: number) => repeatsWeights && !this.#orphans.has(slot);
      const builds = Array.from(build);
      const patches: Cohort[] = [];
      for (const { queries, since } of patch) {
        const patched = queries.filter(isPatched);
        builds.push(...queries.filter((slot) => !isPatched(slot)));
        if (patched.length > 0) patches.push({ queries: patched, since });
      }
      const patched = patches.reduce((sum, { queries }) => sum + queries.length, 0);
      await this.#builder.reserve(image, Math.max(patched, builds.length));
      if (patches.length > 0) await this.#updater.patch(work, image, patches);
      await this.#builder.build(work, image, image, builds);
      await this.#run(image, work);
      for (const slot of builds) {
        this.#orphans.delete(slot);
        this.#computed.add(slot);
      }
    });
  }

  async #readBack(queries: Uint32Array, since: Since): Promise<void> {
    // Which queries are orphans is known again when a device that was lost meanwhile is found to be.
    for (let isRead = false; !isRead;) {
      this.#dropIfLost();
      const unknown = queries.filter((slot) => !this.#mirror.knows(slot));
      const orphans = unknown.filter((slot) => this.#orphans.has(slot));
      if (orphans.length > 0 && since.slots.length === 0) await this.#update(orphans, []);
      const wanted = unknown.filter((slot) => !this.#orphans.has(slot)).sort();
      if (wanted.length === 0) return;
      isRead = await this.#guard(async (image) => {
        if (wanted.some((slot) => this.#orphans.has(slot))) return false;
        const most = Math.max(1, Math.floor(READ_BYTES / (4 * this.#mirror.words)));
        for (let first = 0; first < wanted.length; first += most) {
          await this.#readStates(image, image, wanted.subarray(first, first + most), this.#mirror);
        }
        return true;
      });
    }
  }

  /** Writes the known states of some queries to the device. */
  restore(queries: Uint32Array): Promise<void> {
    return this.#onDevice(async (image) => {
      const work = new WorkList();
      await image.sync(work);
      const { words } = this.#mirror;
      const most = Math.max(1, Math.floor(READ_BYTES / (16 * words)));
      for (let first = 0; first === 0 || first < queries.length; first += most) {
        for (const { page, slots } of image.queryPages(queries.subarray(first, first + most))) {
          const moves = slots.flatMap((slot) => {
            return [work.list(this.#mirror.wordsOf(slot)), image.states.find(slot).word, SAME_KIND];
          });
          move(work, words, moves, UPLOAD, image.states.pages[page]);
        }
        await this.#run(image, work);
        work.reset();
      }
      for (const slot of queries) this.#computed.add(slot);
    });
  }

  /** Computes passing queries and hands over their states, which are good during the call. */
  attend(
    { count, rows, positions }: PassingQueries,
    take: (query: number, at: number, states: StateMirror) => void,
  ): Promise<void> {
    return this.#onDevice(async (image) => {
      const width = queryColumns(this.#config.layout);
      const states = new StateMirror(image.record);
      // All of them on the first page.
      const together = Math.min(count, PASSING_ROWS, image.queries.pageSlots);
      states.reserve(together);
      for (let first = 0; first < count; first += together) {
        const batch = Uint32Array.from({ length: Math.min(together, count - first) }, (_, at) => at);
        const tables = await this.#passingTables(image, batch.length);
        const work = new WorkList();
        await image.sync(work);
        const moves: number[] = [];
        for (const at of batch) {
          const query = first + at, to = work.reserve(image.record.queryWords);
          const loose = { rows, offset: query * width, position: positions[query] };
          this.#records.writeLoose(loose, { words: work.words, numbers: work.numbers, at: to });
          moves.push(to, at * image.record.queryWords, SAME_KIND);
        }
        move(work, image.record.queryWords, moves, UPLOAD, tables.queries.pages[0]);
        await this.#builder.build(work, image, tables, batch);
        work.wipes.push(...tables.queries.spansOf(batch), ...tables.states.spansOf(batch));
        await this.#readStates(image, tables, batch, states, work);
        image.noteSent();
        for (const at of batch) take(first + at, at, states);
      }
    });
  }

  /** Scores of one head of a query with all stored keys by slot; −∞ where there is none. */
  scores(query: number, head: number): Promise<Float32Array> {
    return this.#onDevice(async (image) => {
      const work = new WorkList();
      await image.sync(work);
      const size = this.#rows.size, page = image.queries.find(query).page;
      if (size === 0) {
        await this.#run(image, work);
        return new Float32Array(0);
      }
      const scores = new Float32Array(size);
      // A page of keys holds more words than it has scores, so that these always fit one buffer.
      const found = await image.work.scratch(Math.min(size, image.stored.pageSlots));
      for (let at = 0; at < image.stored.pages.length; at++) {
        const keys = image.stored.pages[at], count = image.stored.slotsIn(at, size);
        if (count === 0) continue;
        const call = {
          ...ruleOf(this.#config, image.record, image.session.gpu),
          head,
          slotBase: page * image.queries.pageSlots,
          listFirst: work.list([query]),
          listCount: 1,
        };
        const buffers = [UPLOAD, keys, image.queries.pages[page], image.states.pages[page], found] as const;
        const terms = Math.min(SCORED_TERMS, mostTermsOf(this.#config, image.session.gpu));
        const parts = Math.ceil(count / terms);
        const cuts = { parts, partEnd: parts, partTerms: terms, windowTerms: terms, termEnd: count };
        work.dispatch("score", { ...call, ...cuts }, buffers, groupsOf(parts));
        const span = { buffer: found, offset: 0, bytes: 4 * count };
        work.wipes.push(span);
        const bytes = await image.session.readBack(work, [span]);
        image.noteSent();
        work.reset();
        scores.set(new Float32Array(bytes), at * image.stored.pageSlots);
      }
      return scores;
    });
  }

  /** These queries have states that are of no use; they are built when they are asked for. */
  lose(queries: Iterable<number>): void {
    for (const slot of queries) if (this.#computed.has(slot)) this.#orphans.add(slot);
  }

  /** Brings what has changed to the device, where anything of rows that are gone may lie. */
  async settle(): Promise<void> {
    if (!this.#image) return;
    try {
      await this.#onDevice(async (image) => {
        if (!image.hasChanges && !image.session.hasAnswers) return;
        const work = new WorkList();
        await image.sync(work);
        await image.session.run(work);
        image.noteSent();
      });
    } catch (error) {
      // The buffers of a lost device are gone with it.
      if (!(error instanceof DeviceError) || error.reason !== "lost") throw error;
    }
  }

  /** Gives back what the device holds, when all that was asked has come to its end. */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    await Promise.allSettled([...this.#running]);
    this.#image?.session.dispose();
    this.#image = this.#passing = null;
  }

  async #run(image: DeviceImage, work: WorkList): Promise<void> {
    if (!work.isEmpty) await image.session.run(work);
    image.noteSent();
  }

  async #readStates(
    image: DeviceImage,
    tables: QueryTables,
    slots: Uint32Array,
    target: StateMirror,
    work: WorkList = new WorkList(),
  ): Promise<void> {
    const parts: Span[] = [{ buffer: image.counters, offset: 0, bytes: 4 }];
    const { states } = tables, bytes = 4 * target.words;
    for (let at = 0; at < slots.length;) {
      const { page, word } = states.find(slots[at]);
      let end = at + 1;
      while (
        end < slots.length && slots[end] === slots[end - 1] + 1 && states.find(slots[end]).page === page
      ) end++;
      parts.push({ buffer: states.pages[page], offset: 4 * word, bytes: (end - at) * bytes });
      at = end;
    }
    const words = new Uint32Array(await image.session.readBack(work, parts));
    this.#noteRefreshes(words[0]);
    slots.forEach((slot, at) => {
      target.take(slot, words.subarray(1 + at * target.words, 1 + (at + 1) * target.words));
    });
  }

  /** The device has counted so many refreshed rows, modulo 2^32. */
  #noteRefreshes(counted: number): void {
    const rows = (counted - this.#refreshesKnown) >>> 0;
    this.#refreshesKnown = counted;
    if (rows > 0) this.#updater.countRefreshed(rows);
  }

  async #passingTables(image: DeviceImage, count: number): Promise<QueryTables> {
    const { record, session } = image;
    this.#passing ??= queryTables(session, record, "passing ");
    await this.#passing.queries.reserve(count);
    await this.#passing.states.reserve(count);
    return this.#passing;
  }

  /**
   * The image of the device at hand; made anew where the device is another, or records are of another size
   * than before.
   */
  async #ready(): Promise<DeviceImage> {
    this.#dropIfLost();
    const biasWords = this.#rows.stored.queryCapacity * this.#config.maskHeads;
    if (this.#image && this.#image.record.biasWords === biasWords) return this.#image;
    const record = toRecordLayout(this.#config.layout, biasWords);
    if (this.#image) {
      this.#image.relayKeys(record);
      return this.#image;
    }
    const session = new Session(await this.#open(), this.traffic);
    return this.#image = new DeviceImage(session, this.#rows, this.#records, record);
  }

  /** A call from outside: `dispose` waits for it, and none begins afterwards. */
  async #enter<T>(run: () => Promise<T>): Promise<T> {
    if (this.#isDisposed) throw new DisposedError(OPERATION);
    const call = run();
    this.#running.add(call);
    try {
      return await call;
    } finally {
      this.#running.delete(call);
    }
  }

  #onDevice<T>(run: (image: DeviceImage) => Promise<T>): Promise<T> {
    return this.#enter(() => this.#guard(run));
  }

  /** Runs something on the device; when that fails, begins anew with the next call. */
  async #guard<T>(run: (image: DeviceImage) => Promise<T>): Promise<T> {
    try {
      return await run(await this.#ready());
    } catch (error) {
      if (error instanceof DeviceError) this.#drop();
      throw error;
    } finally {
      if (this.#image?.isUnsent) this.#drop();
    }
  }

  #dropIfLost(): void {
    if (this.#image && this.#image.session.gpu.lost !== null) this.#drop();
  }

  #drop(): void {
    this.#image?.session.dispose();
    this.#image = null;
    this.#passing = null;
    this.#refreshesKnown = 0;
    for (const slot of this.#computed) this.#orphans.add(slot);
  }
}
