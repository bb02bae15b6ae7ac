/**
 * The rows of one engine on the device of the process. The device is opened on first use, and again after a
 * loss. A failure on a device rejects with a typed error, and the next call uses a fresh image of the rows.
 * This also holds if work with changes of rows fails for want of memory before it runs, since these changes
 * would be missing on the device.
 *
 * Invariants: an orphan is a live query without a state on the current device. Once `dispose` has begun, no
 * call reaches a device, and when it has resolved no earlier call is running.
 */

import type { BackendConfig, Changes, Cohort, PassingQueries, Since, Work } from "../backend.ts";
import { queryColumns } from "../../numerics/head_layout.ts";
import { DeviceError, DisposedError } from "../../base/errors.ts";
import type { GpuDevice } from "./device.ts";
import { DeviceImage, move, type QueryTables, queryTables } from "./device_image.ts";
import type { HostRows } from "../host/host_rows.ts";
import { SAME_KIND } from "./kernels/table_kernels.ts";
import { toRecordLayout } from "./record_layout.ts";
import { BufferUsage } from "./usage.ts";
import { RecordWriter } from "./record_writer.ts";
import { RowBuilder } from "./row_builder.ts";
import { mostTermsOf, ruleNumbers, ruleOf } from "./row_rule.ts";
import { RowUpdater } from "./row_updater.ts";
import { Session } from "./session.ts";
import { StateMirror } from "./state_mirror.ts";
import { noTraffic, type Traffic } from "./traffic.ts";
import { groupsOf, type Span, UPLOAD, WorkList } from "./work_list.ts";

const OPERATION = "webgpu";
/** The number of passing queries that are computed together. */
const PASSING_ROWS = 1024;
/** The number of scores that a workgroup writes. */
const SCORED_TERMS = 256;
/** The largest number of bytes that are read at once. */
const READ_BYTES = 2 ** 27;

/** The rows and states of one engine on a device. */
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
  /** Queries that have a state, on the device or in the mirror. */
  readonly #computed = new Set<number>();
  /** The running calls. */
  readonly #running = new Set<Promise<unknown>>();
  #isDisposed = false;
  #image: DeviceImage | null = null;
  #passing: QueryTables | null = null;
  /** The device's count of refreshed head rows at its last reading. */
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

  /** Whether the current device has a clock. */
  get hasClock(): boolean {
    return this.#image?.session.gpu.hasTimestamps ?? false;
  }

  /** Notes that retained rows were dropped. */
  noteDropped(retainedIds: Uint32Array): void {
    this.#image?.noteDropped(retainedIds);
  }

  /** Notes that a row is about to be retained. */
  noteRetained(slot: number, retainedId: number): void {
    this.#image?.noteRetained(slot, retainedId);
  }

  /** Notes a batch that was stored. */
  noteChanges({ keys, queries }: Changes): void {
    for (const slot of queries.slots) {
      this.#orphans.delete(slot);
      this.#computed.delete(slot);
    }
    this.#image?.noteKeys(keys.slots);
    this.#image?.noteQueries(queries);
  }

  /** The device, which is opened if necessary. */
  gpu(): Promise<GpuDevice> {
    return this.#onDevice((image) => Promise.resolve(image.session.gpu));
  }

  /** Builds and patches states; orphans are built. */
  update(build: ArrayLike<number>, patch: readonly Cohort[]): Promise<void> {
    return this.#enter(() => this.#update(build, patch));
  }

  /**
   * Reads the states of queries that are not in the mirror; orphans are built first if no key has changed
   * since.
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
        for (const slot of queries) if (!isPatched(slot)) builds.push(slot);
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
    // If the device is lost meanwhile, the set of orphans changes and the loop runs again.
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

  /** Writes the states of some queries from the mirror to the device. */
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

  /** Computes passing queries and passes their states on, which are valid during the call. */
  attend(
    { count, rows, positions }: PassingQueries,
    take: (query: number, at: number, states: StateMirror) => void,
  ): Promise<void> {
    return this.#onDevice(async (image) => {
      const width = queryColumns(this.#config.layout);
      const states = new StateMirror(image.record);
      // All of them must fit the first page.
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

  /** The scores of a head row with all stored keys by slot; −∞ for slots without a key. */
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
      // A page of keys has more words than scores, so the scores of a page always fit one buffer.
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
        const buffers = [UPLOAD, keys, image.queries.pages[page], image.states.pages[page]] as const;
        const terms = Math.min(SCORED_TERMS, mostTermsOf(this.#config, image.session.gpu));
        const parts = Math.ceil(count / terms);
        const cuts = { parts, partEnd: parts, partTerms: terms, windowTerms: terms, termEnd: count };
        work.dispatch("score", { ...call, ...cuts }, [...buffers, image.distances, found], groupsOf(parts));
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

  /** Notes that the states of these queries are no longer valid; they are built when they are asked for. */
  lose(queries: Iterable<number>): void {
    for (const slot of queries) if (this.#computed.has(slot)) this.#orphans.add(slot);
  }

  /** Brings changes to the device if it may still hold traces of deleted rows. */
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
      // A lost device has lost its buffers, too.
      if (!(error instanceof DeviceError) || error.reason !== "lost") throw error;
    }
  }

  /** Frees all buffers on the device after all running calls have ended. */
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

  /** Counts refreshed head rows, given the device's counter modulo 2^32. */
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

  /** The image on the current device; it is made anew if the device or the size of records has changed. */
  async #ready(): Promise<DeviceImage> {
    this.#dropIfLost();
    const biasWords = this.#rows.stored.queryCapacity * this.#config.maskHeads;
    if (this.#image && this.#image.record.biasWords === biasWords) return this.#image;
    const { layout, rule } = this.#config;
    const record = toRecordLayout(
      layout,
      biasWords,
      rule.distanceBias !== undefined || rule.blocks !== undefined,
    );
    if (this.#image) {
      this.#image.relayKeys(record);
      return this.#image;
    }
    const session = new Session(await this.#open(), this.traffic);
    const distances = await this.#placeDistances(session);
    return this.#image = new DeviceImage(session, this.#rows, this.#records, record, distances);
  }

  /** Brings the numbers of a bias by distance to a device; null without one. */
  async #placeDistances(session: Session): Promise<GPUBuffer | null> {
    const numbers = ruleNumbers(this.#config.rule);
    if (!numbers) return null;
    const request = {
      label: "distances",
      bytes: numbers.byteLength,
      usage: BufferUsage.STORAGE | BufferUsage.COPY_DST,
    };
    const [buffer] = await session.allocate("biases by distance", [request]);
    session.gpu.device.queue.writeBuffer(buffer, 0, numbers);
    return buffer;
  }

  /** Runs a call of the store. `dispose` waits for it, and no call begins after `dispose`. */
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

  /** Runs work on the device; if it fails, the next call makes a new image. */
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
