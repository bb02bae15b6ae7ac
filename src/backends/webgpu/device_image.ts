/**
 * The rows and states of an engine on the device, and their differences from the rows at the host, which are
 * authoritative: changed rows are noted, and the next work that needs them brings them to the device in its
 * upload.
 *
 * Invariant: a record on the device equals the host's row unless the row is noted as changed.
 */

import type { RowChanges } from "../backend.ts";
import { SAME_KIND } from "./kernels/table_kernels.ts";
import { PagedTable, slotsOfPage, wholeSlotsOfPage } from "./paged_table.ts";
import type { HostRows } from "../host/host_rows.ts";
import type { RecordLayout } from "./record_layout.ts";
import type { RecordRoom, RecordWriter } from "./record_writer.ts";
import type { Session } from "./session.ts";
import { BufferUsage } from "./usage.ts";
import { WorkBuffers } from "./work_buffers.ts";
import { groupsOf, UPLOAD, type WorkList } from "./work_list.ts";

/** The largest number of bytes of an upload. */
const UPLOAD_BYTES = 2 ** 25;
/** In place of a slot: the retained row comes from the host. */
const FROM_HOST = -1;

/** Words of the flagged rows of a page of queries. */
function flaggedWords(heads: number, slots: number): number {
  return heads + heads * slots;
}

/** Queries and their states. */
export interface QueryTables {
  readonly queries: PagedTable;
  readonly states: PagedTable;
}

/** Makes tables of queries and their states, whose pages have the same slots. */
export function queryTables(session: Session, record: RecordLayout, kind: string): QueryTables {
  const stateWords = record.layout.heads * record.stateWords;
  const most = Math.min(slotsOfPage(session, record.queryWords), slotsOfPage(session, stateWords));
  return {
    queries: new PagedTable(session, `${kind}queries`, record.queryWords, most),
    states: new PagedTable(session, `${kind}states`, stateWords, most),
  };
}

function keyTable(session: Session, record: RecordLayout): PagedTable {
  return new PagedTable(session, "keys", record.keyWords, wholeSlotsOfPage(session, record.keyWords));
}

/** The tables of one engine on the device. */
export class DeviceImage {
  readonly session: Session;
  readonly queries: PagedTable;
  readonly states: PagedTable;
  readonly work: WorkBuffers;
  /**
   * The numbers of a bias by distance; where there is none, kernels get a buffer that they do not look at.
   */
  readonly distances: GPUBuffer | typeof UPLOAD;
  /** Head rows that a patch left untrusted, in a buffer for each page of queries. */
  readonly flagged: GPUBuffer[] = [];
  readonly #rows: HostRows;
  readonly #records: RecordWriter;
  #record: RecordLayout;
  #stored: PagedTable;
  #retained: PagedTable;
  readonly #changedKeys = new Set<number>();
  /**
   * Retained rows that are not in their table yet, by id: the slot whose record on the device they still are,
   * or FROM_HOST.
   */
  readonly #changedRetained = new Map<number, number>();
  /** Ids of retained rows that were dropped, whose records have to be wiped. */
  readonly #droppedRetained = new Set<number>();
  readonly #changedQueries = new Set<number>();
  /** Queries whose biases in existing key records have changed. */
  readonly #changedBiases = new Set<number>();
  #counters: GPUBuffer | null = null;
  #isUnsent = false;

  constructor(
    session: Session,
    rows: HostRows,
    records: RecordWriter,
    record: RecordLayout,
    distances: GPUBuffer | null = null,
  ) {
    this.session = session;
    this.distances = distances ?? UPLOAD;
    this.work = new WorkBuffers(session);
    this.#record = record;
    this.#rows = rows;
    this.#records = records;
    this.#stored = keyTable(session, record);
    this.#retained = new PagedTable(session, "old keys", record.keyWords);
    const { queries, states } = queryTables(session, record, "");
    this.queries = queries;
    this.states = states;
    this.#noteAllKeys();
    for (let slot = 0; slot < rows.queries.size; slot++) {
      if (rows.queries.isLive(slot)) this.#changedQueries.add(slot);
    }
  }

  /** Sizes of records. */
  get record(): RecordLayout {
    return this.#record;
  }

  /** Stored keys. */
  get stored(): PagedTable {
    return this.#stored;
  }

  /** Retained keys. */
  get retained(): PagedTable {
    return this.#retained;
  }

  /** Makes new tables of keys, with records of another size. */
  relayKeys(record: RecordLayout): void {
    this.#stored.release();
    this.#retained.release();
    this.#record = record;
    this.#stored = keyTable(this.session, record);
    this.#retained = new PagedTable(this.session, "old keys", record.keyWords);
    this.#noteAllKeys();
  }

  /** Whether rows on the device differ from those at the host. */
  get hasChanges(): boolean {
    return this.#changedKeys.size + this.#changedRetained.size + this.#droppedRetained.size +
        this.#changedQueries.size +
        this.#changedBiases.size > 0;
  }

  /** Whether changes have been added to work that has not run: they are neither on the device nor noted. */
  get isUnsent(): boolean {
    return this.#isUnsent;
  }

  /** Notes that the work to which `sync` added changes has run. */
  noteSent(): void {
    this.#isUnsent = false;
  }

  /** Notes that retained rows were dropped. */
  noteDropped(retainedIds: Uint32Array): void {
    for (const retainedId of retainedIds) {
      this.#changedRetained.delete(retainedId);
      this.#droppedRetained.add(retainedId);
    }
  }

  /** Notes that a row is about to be retained under an id. */
  noteRetained(slot: number, retainedId: number): void {
    this.#droppedRetained.delete(retainedId);
    this.#changedRetained.set(retainedId, this.#changedKeys.has(slot) ? FROM_HOST : slot);
  }

  /** Notes changed keys. */
  noteKeys(slots: Uint32Array): void {
    for (const slot of slots) this.#changedKeys.add(slot);
  }

  /** Notes changed queries. */
  noteQueries({ slots, bias }: RowChanges): void {
    for (const slot of slots) {
      this.#changedQueries.add(slot);
      if (bias) this.#changedBiases.add(slot);
    }
  }

  /** The buffer in which the device counts refreshed head rows. */
  get counters(): GPUBuffer {
    return this.#counters as GPUBuffer;
  }

  /** Makes room for all rows, and adds the transfer of their changes to `work`. */
  async sync(work: WorkList): Promise<void> {
    const { stored, retained, queries } = this.#rows;
    await this.stored.reserve(stored.size);
    await this.retained.reserve(retained.size);
    await this.#reserveQueries(queries.size);
    this.#isUnsent ||= this.hasChanges;
    this.#wipeDropped(work);
    await this.#moveRetained(work);
    await this.#syncKeys(work);
    await this.#syncQueries(work);
  }

  /** Groups query slots by page. */
  queryPages(slots: ArrayLike<number>): { readonly page: number; readonly slots: number[] }[] {
    const pages = new Map<number, number[]>();
    for (let at = 0; at < slots.length; at++) {
      const page = Math.floor(slots[at] / this.queries.pageSlots);
      let list = pages.get(page);
      if (!list) pages.set(page, list = []);
      list.push(slots[at]);
    }
    return Array.from(pages, ([page, slots]) => ({ page, slots }));
  }

  /** The number of query slots that a page has room for. */
  querySlotsIn(page: number): number {
    return this.queries.slotsIn(page, this.queries.capacity);
  }

  #noteAllKeys(): void {
    const { stored, retained } = this.#rows;
    this.#changedRetained.clear();
    // The tables are new, so nothing has to be wiped.
    this.#droppedRetained.clear();
    for (let slot = 0; slot < stored.size; slot++) {
      if (stored.isLive(slot)) this.#changedKeys.add(slot);
    }
    for (let retainedId = 0; retainedId < retained.size; retainedId++) {
      if (retained.isLive(retainedId)) this.#changedRetained.set(retainedId, FROM_HOST);
    }
  }

  async #reserveQueries(size: number): Promise<void> {
    const { heads } = this.record.layout, { session } = this;
    if (size > this.queries.capacity || this.queries.pages.length === 0) {
      await this.queries.reserve(size);
      for (const buffer of this.flagged.splice(0)) session.release(buffer);
    }
    await this.states.reserve(this.queries.capacity);
    if (this.flagged.length === 0) {
      const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST;
      const requests = this.queries.pages.map((_, page) => ({
        label: "flagged",
        bytes: 4 * flaggedWords(heads, this.querySlotsIn(page)),
        usage,
      }));
      this.flagged.push(...await session.allocate(`${size} queries`, requests));
    }
    if (this.#counters) return;
    [this.#counters] = await session.allocate("counters", [{
      label: "counters",
      bytes: 4,
      usage: BufferUsage.STORAGE | BufferUsage.COPY_SRC,
    }]);
  }

  #wipeDropped(work: WorkList): void {
    work.clears.push(...this.retained.spansOf(this.#droppedRetained));
    this.#droppedRetained.clear();
  }

  /** Copies rows that are to be retained and are on the device already, before new rows take their places. */
  async #moveRetained(work: WorkList): Promise<void> {
    const byPages = new Map<string, number[]>();
    for (const [retainedId, slot] of this.#changedRetained) {
      if (slot === FROM_HOST) continue;
      const from = this.stored.find(slot), to = this.retained.find(retainedId);
      const key = `${from.page} ${to.page}`;
      let moves = byPages.get(key);
      if (!moves) byPages.set(key, moves = []);
      moves.push(from.word, to.word, SAME_KIND);
      this.#changedRetained.delete(retainedId);
    }
    for (const [key, moves] of byPages) {
      const [from, to] = key.split(" ").map(Number);
      move(work, this.record.keyWords, moves, this.stored.pages[from], this.retained.pages[to]);
    }
    const fromHost = [...this.#changedRetained.keys()];
    await this.#upload(work, this.retained, fromHost, (retainedId, room) => {
      this.#records.writeRetained(retainedId, room, this.record);
    });
    this.#changedRetained.clear();
  }

  async #syncKeys(work: WorkList): Promise<void> {
    await this.#upload(work, this.stored, [...this.#changedKeys], (slot, room) => {
      this.#records.writeStored(slot, room, this.record);
    });
    const keys = this.#rows.stored.size;
    if (this.#changedBiases.size > 0 && keys > 0) this.#syncBiases(work, keys);
    this.#changedKeys.clear();
    this.#changedBiases.clear();
  }

  /** Adds the transfer of the biases of changed queries, which are spread over the records of keys. */
  #syncBiases(work: WorkList, keys: number): void {
    const { biasStart, biasWords, keyWords } = this.record;
    const { stored } = this.#rows, { bias } = stored.block();
    if (!bias || biasWords === 0) return;
    const { heads } = bias;
    for (const query of this.#changedBiases) {
      this.stored.pages.forEach((page, at) => {
        const count = this.stored.slotsIn(at, keys);
        if (count === 0) return;
        const listFirst = work.reserve(count * heads), numbers = work.numbers;
        for (let key = 0; key < count; key++) {
          const slot = at * this.stored.pageSlots + key;
          for (let head = 0; head < heads; head++) {
            numbers[listFirst + key * heads + head] = bias.numbers[stored.biasIndex(slot, head) + query];
          }
        }
        const call = { listFirst, termEnd: count, maskHeads: heads, keyWords, biasStart, slotBase: query };
        work.dispatch("bias", call, [UPLOAD, page], groupsOf(Math.ceil(count / 64)));
      });
    }
  }

  async #syncQueries(work: WorkList): Promise<void> {
    await this.#upload(work, this.queries, [...this.#changedQueries], (slot, room) => {
      this.#records.writeQuery(slot, room);
    });
    const gone = [...this.#changedQueries].filter((slot) => !this.#rows.queries.isLive(slot));
    work.clears.push(...this.states.spansOf(gone));
    this.#changedQueries.clear();
  }

  /** Adds records to the upload of `work`; records that do not fit are uploaded before it. */
  async #upload(
    work: WorkList,
    table: PagedTable,
    slots: readonly number[],
    write: (slot: number, room: RecordRoom) => void,
  ): Promise<void> {
    const { words } = table;
    const most = Math.max(
      1,
      Math.floor(Math.min(UPLOAD_BYTES, this.session.gpu.largestBinding) / (8 * words)),
    );
    for (let first = 0; first < slots.length; first += most) {
      const batch = slots.slice(first, first + most);
      const at = work.reserve(batch.length * words);
      const byPage = new Map<number, number[]>();
      batch.forEach((slot, t) => {
        write(slot, { words: work.words, numbers: work.numbers, at: at + t * words });
        const to = table.find(slot);
        let moves = byPage.get(to.page);
        if (!moves) byPage.set(to.page, moves = []);
        moves.push(at + t * words, to.word, SAME_KIND);
      });
      for (const [page, moves] of byPage) move(work, words, moves, UPLOAD, table.pages[page]);
      if (first + most < slots.length) {
        await this.session.run(work);
        work.reset();
      }
    }
  }
}

/** Adds moves of records to `work`, three words each. */
export function move(
  work: WorkList,
  words: number,
  moves: readonly number[],
  source: GPUBuffer | typeof UPLOAD,
  target: GPUBuffer,
): void {
  const listCount = moves.length / 3;
  work.dispatch(
    "move",
    { listFirst: work.list(moves), listCount, words },
    [UPLOAD, source, target],
    groupsOf(listCount),
  );
}
