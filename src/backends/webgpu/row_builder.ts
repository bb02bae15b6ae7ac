/**
 * Adds builds of head rows to a work list: the kernels that sum the keys, part by part, and those that merge
 * the parts. A list of rows is computed in batches, and the keys of a part in windows, so that no dispatch
 * takes seconds and no loop has more iterations than a device allows. Windows are whole tiles of a part, and
 * parts are the same in any batch, so neither changes the bits of a row.
 */

import type { BackendConfig, Work } from "../backend.ts";
import type { Call } from "./call_fields.ts";
import type { DeviceImage, QueryTables } from "./device_image.ts";
import type { HostRows } from "../host/host_rows.ts";
import { type KeyParts, MOST_PARTS, partsOf } from "./key_parts.ts";
import { TILE_KEYS, TILE_ROWS } from "./kernels/rows_kernel.ts";
import { PLAN_MERGE, PLAN_WORDS } from "./record_layout.ts";
import { mostTermsOf, ruleOf } from "./row_rule.ts";
import { type Groups, groupsOf, UPLOAD, type WorkList } from "./work_list.ts";

/**
 * The largest number of multiply-adds of a dispatch. A device that is busy for seconds would be reset as
 * hung.
 */
const DISPATCH_WORK = 2 ** 34;
/** The least number of terms of a window, if the device allows it. */
const LEAST_WINDOW = 1024;
/** Up to this number of keys, a build sums exactly, since single roundings matter then. */
const FEW_KEYS = 64;

/** The cuts of a build. */
interface Cuts {
  readonly parts: KeyParts;
  /** The largest number of rows of a batch. */
  readonly batchRows: number;
  /** The largest number of parts of a dispatch. */
  readonly together: number;
  /** The number of terms of a window. */
  readonly window: number;
}

/** A batch of rows of one page of queries: the buffer that lists them, and the fields of its list. */
interface RowBatch {
  readonly image: DeviceImage;
  readonly tables: QueryTables;
  readonly page: number;
  readonly cuts: Cuts;
  readonly listed: GPUBuffer | typeof UPLOAD;
  readonly list: Call;
}

/** A run of key records for one dispatch. */
interface Strip {
  /** The page of keys. */
  readonly page: number;
  readonly partFirst: number;
  readonly partEnd: number;
  readonly termFirst: number;
  readonly termEnd: number;
  readonly windowTerms: number;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** The builds of one engine. */
export class RowBuilder {
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #work: Work;

  constructor(config: BackendConfig, rows: HostRows, work: Work) {
    this.#config = config;
    this.#rows = rows;
    this.#work = work;
  }

  /**
   * Makes room for builds of at most `rows` queries in one submit, before work refers to buffers that would
   * have to be replaced by larger ones.
   */
  async reserve(image: DeviceImage, rows: number): Promise<void> {
    const { count } = this.#partsOf(image);
    if (count > 1 && rows > 0) await image.work.reserveParts(image.record, count, rows);
  }

  /** Adds builds of some queries from the stored keys. */
  async build(
    work: WorkList,
    image: DeviceImage,
    tables: QueryTables,
    queries: ArrayLike<number>,
  ): Promise<void> {
    if (queries.length === 0) return;
    const { heads } = this.#config.layout;
    const cuts = await this.#cut(image, queries.length);
    for (const { page, slots } of image.queryPages(queries)) {
      for (let first = 0; first < slots.length; first += cuts.batchRows) {
        const batch = slots.slice(first, first + cuts.batchRows);
        const list = { listFirst: work.list(batch), listCount: batch.length };
        const tiles = Math.ceil(batch.length / TILE_ROWS);
        const rows = { image, tables, page, cuts, listed: UPLOAD, list } as const;
        this.#add(work, rows, (parts) => groupsOf(parts * tiles, heads));
        if (cuts.parts.count > 1) {
          this.#merge(work, rows, groupsOf(batch.length, heads));
        }
      }
    }
    this.count(queries.length);
    this.#work.rowsBuilt += queries.length * heads;
  }

  /**
   * Adds builds of the head rows that a patch has flagged, given the number of patched queries by page; the
   * device counts the flagged ones.
   */
  async refresh(work: WorkList, image: DeviceImage, pages: ReadonlyMap<number, number>): Promise<void> {
    const { heads } = this.#config.layout;
    for (const [page, patched] of pages) {
      const flagged = image.flagged[page], slots = image.querySlotsIn(page);
      const cuts = await this.#cut(image, patched);
      const { batchRows, together } = cuts, batches = Math.ceil(patched / batchRows);
      const plans = await image.work.plans(page, batches * PLAN_WORDS);
      const plan = { heads, batches, batchRows, parts: together };
      work.dispatch("plan", plan, [flagged, plans, image.counters], groupsOf(1));
      for (let batch = 0; batch < batches; batch++) {
        const list = { listFirst: heads, listStride: slots, isFlagged: 1, rowFirst: batch * batchRows };
        const offset = 4 * PLAN_WORDS * batch;
        const rows = { image, tables: image, page, cuts, listed: flagged, list };
        this.#add(work, rows, () => ({ indirect: plans, offset }));
        if (cuts.parts.count > 1) {
          const groups = { indirect: plans, offset: offset + 4 * PLAN_MERGE };
          this.#merge(work, rows, groups);
        }
      }
    }
  }

  /** Counts the work of building some queries. */
  count(queries: number): void {
    const { layout: { heads, headDim, valueDim }, rule } = this.#config;
    const pairs = queries * heads * this.#rows.stored.count;
    this.#work.multiplyAdds += pairs * (headDim + valueDim + 2);
    this.#work.exponentials += pairs * (rule.softcap > 0 ? 2 : 1);
  }

  /** Computes the cuts for builds of at most `rows` queries, and makes room for the states of their parts. */
  async #cut(image: DeviceImage, rows: number): Promise<Cuts> {
    const { heads, headDim, valueDim } = this.#config.layout, { size } = this.#rows;
    const parts = this.#partsOf(image);
    const batchRows = parts.count === 1
      ? rows
      : await image.work.reserveParts(image.record, parts.count, rows);
    const perTerm = batchRows * heads * (headDim + valueDim + 2);
    const longest = Math.max(1, Math.min(parts.terms, size));
    const fitting = Math.max(LEAST_WINDOW, Math.floor(DISPATCH_WORK / perTerm));
    return {
      parts,
      batchRows,
      together: Math.max(1, Math.min(parts.count, Math.floor(DISPATCH_WORK / (perTerm * longest)))),
      window: TILE_KEYS *
        Math.ceil(Math.min(longest, fitting, mostTermsOf(this.#config, image.session.gpu)) / TILE_KEYS),
    };
  }

  /** Without compensated sums there is only one part, since the merge would round as much as parts save. */
  #partsOf({ session: { gpu }, record }: DeviceImage): KeyParts {
    const { size } = this.#rows;
    if (!gpu.arithmetic.isCompensated) return { count: 1, terms: Math.max(1, size) };
    const fitting = Math.floor(gpu.largestBinding / (4 * this.#config.layout.heads * record.stateWords));
    return partsOf(size, Math.max(1, Math.min(MOST_PARTS, fitting)));
  }

  /** Adds the dispatches that sum all keys for a batch of rows. */
  #add(
    work: WorkList,
    { image, tables, page, cuts, listed, list }: RowBatch,
    groups: (parts: number) => Groups,
  ): void {
    const { isCompensated } = image.session.gpu.arithmetic;
    const queries = tables.queries.pages[page];
    const states = cuts.parts.count > 1 ? image.work.partStates : tables.states.pages[page];
    for (const strip of this.#stripsOf(image, cuts)) {
      const { page: keyPage, isFirst, isLast, ...terms } = strip;
      // The device plans for the same number of parts in each run.
      const parts = listed === UPLOAD ? terms.partEnd - terms.partFirst : cuts.together;
      const call: Call = {
        ...this.#common(image, page, cuts),
        ...list,
        ...terms,
        parts,
        isFirst: isFirst ? 1 : 0,
        isLast: isLast ? 1 : 0,
        isExact: this.#rows.stored.count <= FEW_KEYS ? 1 : 0,
      };
      const buffers = [listed, image.stored.pages[keyPage], queries, states, image.distances];
      work.dispatch(isCompensated ? "build" : "plainBuild", call, buffers, groups(parts));
    }
  }

  #merge(work: WorkList, { image, tables, page, cuts, listed, list }: RowBatch, groups: Groups): void {
    const call = { ...this.#common(image, page, cuts), ...list };
    work.dispatch("merge", call, [listed, image.work.partStates, tables.states.pages[page]], groups);
  }

  #common(image: DeviceImage, page: number, { parts, batchRows }: Cuts): Call {
    return {
      ...ruleOf(this.#config, image.record, image.session.gpu),
      slotBase: page * image.queries.pageSlots,
      batchRows,
      partCount: parts.count,
      partTerms: parts.terms,
    };
  }

  /** The keys as runs within one page and one window of each part; without keys there is one empty run. */
  #stripsOf({ stored }: DeviceImage, { parts, together, window }: Cuts): Strip[] {
    const { size } = this.#rows, { pageSlots } = stored;
    const strips: Strip[] = [];
    for (let page = 0; page === 0 || page * pageSlots < size; page++) {
      const start = page * pageSlots, count = stored.slotsIn(page, size);
      // A page holds whole parts, or a part has whole pages: sizes are powers of two, except for a single
      // part with all keys.
      const first = parts.count === 1 ? 0 : Math.floor(start / parts.terms);
      const end = parts.count === 1 ? 1 : Math.ceil((start + count) / parts.terms);
      for (let part = first; part < end; part += together) {
        const partEnd = Math.min(part + together, end);
        const origin = Math.max(0, part * parts.terms - start);
        const span = Math.min(parts.terms, count - origin);
        for (let at = 0; at === 0 || at < span; at += window) {
          strips.push({
            page,
            partFirst: part,
            partEnd,
            termFirst: origin + at,
            termEnd: count,
            windowTerms: Math.min(window, parts.terms - at),
            isFirst: at === 0 && start <= part * parts.terms,
            isLast: start + count >= size && at + window >= span,
          });
        }
      }
    }
    return strips;
  }
}
