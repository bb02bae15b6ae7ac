/**
 * Brings rows up to date: writes down the terms of builds and patches and the kernels that take them. What a patch
 * leaves untrusted is found, gathered and built by the device itself, in the same submit.
 */

import type { BackendConfig, Cohort, Work } from "../backend.ts";
import { NO_ROW } from "../since.ts";
import { looksAtPositions } from "../../core/score_rule.ts";
import { DeviceError } from "../../errors.ts";
import { HEAVY_KEYS } from "../float64/row_states.ts";
import type { Call } from "./call_fields.ts";
import { type DeviceImage, move, type QueryTables } from "./device_image.ts";
import type { HostRows } from "./host_rows.ts";
import { TILE_DEPTH } from "./kernels/products.ts";
import { TILE_KEYS, TILE_ROWS } from "./kernels/rows_kernel.ts";
import type { KernelName } from "./pipelines.ts";
import {
  ADDED_KEY,
  FLAGGED_COUNTS,
  FLAGGED_MERGE,
  MOST_PARTS,
  PART_KEYS,
  TAKEN_KEY,
} from "./record_layout.ts";
import { type Groups, groupsOf, UPLOAD, type WorkList } from "./work_list.ts";

/** Multiply-adds of one dispatch at most: a device must not be busy for seconds, or it is taken for hung. */
const DISPATCH_WORK = 2 ** 34;
/** So few keys are summed exactly in a build, where a rounding is no longer lost among others. */
const FEW_KEYS = 16;

/** A term of a patch. */
interface Term {
  readonly isKept: boolean;
  readonly row: number;
  readonly kind: number;
}

/** Terms for some queries, of which the first are pairs. */
interface Patch {
  readonly queries: Uint32Array;
  readonly terms: readonly Term[];
  readonly pairs: number;
}

/** A build of the rows of a list. */
interface ListedBuild {
  /** Where the list is in its buffer. */
  readonly list: Call;
  readonly buffer: GPUBuffer | typeof UPLOAD;
  /** Its length, or at most. */
  readonly rows: number;
  readonly build: Groups;
  /** Where there may be parts. */
  readonly merge: Groups | null;
}

/** Updates of one engine. */
export class RowUpdater {
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #work: Work;

  constructor(config: BackendConfig, rows: HostRows, work: Work) {
    this.#config = config;
    this.#rows = rows;
    this.#work = work;
  }

  /** What all calls have in common. */
  rule(image: DeviceImage): Call {
    const { layout, rule, tolerance, maskHeads } = this.#config, { record } = image;
    const { isCompensated } = image.session.gpu.arithmetic;
    return {
      headDim: layout.headDim,
      kvHeads: layout.kvHeads,
      heads: layout.heads,
      width: record.width,
      scale: rule.scale,
      softcap: rule.softcap,
      inverseSoftcap: rule.softcap > 0 ? 1 / rule.softcap : 0,
      tolerance: Math.max(tolerance, isCompensated ? LEAST_TOLERANCE : PLAIN_TOLERANCE),
      looksAtPositions: looksAtPositions(rule) ? 1 : 0,
      maskHeads,
      keyWords: record.keyWords,
      valueStart: record.valueStart,
      biasStart: record.biasStart,
      queryWords: record.queryWords,
      stateWords: record.stateWords,
    };
  }

  /**
   * Terms of one workgroup at most: no loop may have more rounds than the device lets it have.
   *
   * @throws {DeviceError} When the rows are so long that not even one chunk of terms has so few.
   */
  mostTerms({ session }: DeviceImage): number {
    const { mostRounds } = session.gpu.arithmetic;
    if (mostRounds === Infinity) return Infinity;
    const { headDim, valueDim } = this.#config.layout;
    const chunks = Math.floor((mostRounds - valueDim) / roundsOfChunk(headDim, valueDim));
    if (chunks > 0) return TILE_KEYS * chunks;
    const sizes = `keys of ${headDim} and values of ${valueDim} numbers`;
    throw new DeviceError(
      "webgpu",
      "internal",
      `this device ends loops after ${mostRounds} rounds, too few for ${sizes}`,
    );
  }

  /** Adds builds of some queries of some tables from the stored keys. */
  build(work: WorkList, image: DeviceImage, tables: QueryTables, queries: ArrayLike<number>): void {
    if (queries.length === 0) return;
    for (const { page, slots } of image.queryPages(queries)) {
      const rows = slots.length, { heads } = this.#config.layout;
      const parts = Math.max(1, Math.min(this.#mostParts(image), Math.floor(tables.states.spare / rows)));
      const list = { listFirst: work.list(slots), listCount: rows, parts };
      this.#buildPage(work, image, tables, page, {
        list,
        buffer: UPLOAD,
        rows,
        build: groupsOf(parts * Math.ceil(rows / TILE_ROWS), heads),
        merge: parts > 1 ? groupsOf(rows, heads) : null,
      });
    }
    this.#count(queries.length, this.#liveKeys(), this.#liveKeys());
    this.#work.rowsBuilt += queries.length * this.#config.layout.heads;
  }

  /** Adds patches of cohorts, and builds of what they leave untrusted. */
  async patch(work: WorkList, image: DeviceImage, cohorts: readonly Cohort[]): Promise<void> {
    const pages = new Set<number>();
    for (const { queries } of cohorts) for (const { page } of image.queryPages(queries)) pages.add(page);
    const { heads } = this.#config.layout;
    for (const page of pages) {
      work.clears.push({ buffer: image.flagged[page], bytes: 4 * (FLAGGED_COUNTS + heads) });
    }
    // An even number, so that no pair is torn.
    const fitting = 2 * Math.floor(image.session.gpu.largestBinding / (8 * image.record.keyWords));
    const most = Math.min(fitting, this.mostTerms(image));
    const patches = cohorts.map(({ queries, since }) => ({ queries, ...this.#termsOf(since) }));
    const longest = patches.reduce((longest, { terms }) => Math.max(longest, terms.length), 1);
    const scratch = await image.scratch(Math.min(most, longest) * image.record.keyWords);
    for (const patch of patches) this.#patchCohort(work, image, patch, scratch, most);
    for (const page of pages) {
      const flagged = image.flagged[page], listStride = image.querySlotsIn(page);
      const mostParts = this.#mostParts(image);
      const plan = { heads, parts: mostParts, listCount: image.states.spare };
      work.dispatch("plan", plan, [flagged, image.counters], groupsOf(1));
      this.#buildPage(work, image, image, page, {
        list: { listFirst: FLAGGED_COUNTS + heads, listStride, isFlagged: 1 },
        buffer: flagged,
        rows: listStride,
        build: { indirect: flagged, offset: 0 },
        merge: mostParts > 1 ? { indirect: flagged, offset: 4 * FLAGGED_MERGE } : null,
      });
    }
  }

  /** Counts rows that the device has refreshed. */
  countRefreshed(rows: number): void {
    this.#work.refreshes += rows;
    this.#work.rowsBuilt += rows;
    this.#count(rows / this.#config.layout.heads, this.#liveKeys(), this.#liveKeys());
  }

  #patchCohort(
    work: WorkList,
    image: DeviceImage,
    { queries, terms, pairs }: Patch,
    scratch: GPUBuffer,
    most: number,
  ): void {
    const { heads } = this.#config.layout;
    this.#work.rowsPatched += queries.length * heads;
    this.#count(queries.length, terms.length - pairs, terms.length);
    const lists = image.queryPages(queries).map(({ page, slots }) => {
      return { page, listFirst: work.list(slots), listCount: slots.length };
    });
    for (let first = 0; first < terms.length || first === 0; first += most) {
      const batch = terms.slice(first, first + most);
      this.#gather(work, image, batch, scratch);
      for (const { page, listFirst, listCount } of lists) {
        const call: Call = {
          ...this.rule(image),
          slotBase: page * image.queries.pageSlots,
          listFirst,
          listCount,
          flaggedStride: image.querySlotsIn(page),
          termEnd: batch.length,
          pairs: Math.min(Math.max(0, pairs - first / 2), batch.length / 2),
          isLast: first + most >= terms.length ? 1 : 0,
        };
        const buffers = [UPLOAD, scratch, image.queries.pages[page], image.states.pages[page]] as const;
        const groups = groupsOf(Math.ceil(listCount / TILE_ROWS), heads);
        work.dispatch(this.#kernel(image, "patch"), call, [...buffers, image.flagged[page]], groups);
      }
    }
  }

  /** The terms of a patch, pairs first. */
  #termsOf({ slots, kept }: Cohort["since"]): { readonly terms: Term[]; readonly pairs: number } {
    const { stored, kept: before } = this.#rows;
    const pairs: Term[] = [], others: Term[] = [];
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t], isLive = stored.keys.isLive(slot), wasLive = kept[t] !== NO_ROW;
      const isPair = isLive && wasLive && stored.scoresAs(slot, before, kept[t]);
      const list = isPair ? pairs : others;
      if (wasLive) list.push({ isKept: true, row: kept[t], kind: TAKEN_KEY });
      if (isLive) list.push({ isKept: false, row: slot, kind: ADDED_KEY });
    }
    return { terms: [...pairs, ...others], pairs: pairs.length / 2 };
  }

  /** Copies the records of terms side by side. */
  #gather(work: WorkList, image: DeviceImage, terms: readonly Term[], target: GPUBuffer): void {
    const { keyWords } = image.record;
    const moves = new Map<GPUBuffer, number[]>();
    terms.forEach(({ isKept, row, kind }, at) => {
      const table = isKept ? image.kept : image.stored;
      const { page, word } = table.find(row);
      let list = moves.get(table.pages[page]);
      if (!list) moves.set(table.pages[page], list = []);
      list.push(word, at * keyWords, kind);
    });
    for (const [source, list] of moves) move(work, keyWords, list, source, target);
  }

  #buildPage(
    work: WorkList,
    image: DeviceImage,
    tables: QueryTables,
    page: number,
    { list, buffer, rows, build, merge }: ListedBuild,
  ): void {
    const { heads, headDim, valueDim } = this.#config.layout;
    const keys = this.#rows.size;
    const span = Math.min(
      Math.max(1024, Math.floor(DISPATCH_WORK / (rows * heads * (headDim + valueDim + 2)))),
      this.mostTerms(image) * (list.parts ?? 1),
    );
    const ranges: { page: number; first: number; end: number }[] = [];
    image.stored.pages.forEach((_, at) => {
      const count = image.stored.slotsIn(at, keys);
      for (let first = 0; first < count; first += span) {
        ranges.push({ page: at, first, end: Math.min(first + span, count) });
      }
    });
    if (ranges.length === 0) ranges.push({ page: 0, first: 0, end: 0 });
    const queries = tables.queries.pages[page], states = tables.states.pages[page];
    const common: Call = {
      ...this.rule(image),
      ...list,
      slotBase: page * image.queries.pageSlots,
      partFirst: tables.states.slotsIn(page, tables.states.capacity),
    };
    ranges.forEach(({ page: keyPage, first, end }, at) => {
      const call: Call = {
        ...common,
        termFirst: first,
        termEnd: end,
        isFirst: at === 0 ? 1 : 0,
        isLast: at === ranges.length - 1 ? 1 : 0,
        isExact: this.#liveKeys() <= FEW_KEYS ? 1 : 0,
      };
      const buffers = [buffer, image.stored.pages[keyPage], queries, states];
      work.dispatch(this.#kernel(image, "build"), call, buffers, build);
    });
    if (merge) work.dispatch("merge", common, [buffer, states], merge);
  }

  /** Into how many parts the keys of a row may be cut. Plain sums would lose in the merge what parts round less. */
  #mostParts({ session }: DeviceImage): number {
    if (!session.gpu.arithmetic.isCompensated) return 1;
    return Math.max(1, Math.min(MOST_PARTS, Math.floor(this.#rows.size / PART_KEYS)));
  }

  #kernel({ session }: DeviceImage, name: "build" | "patch"): KernelName {
    if (session.gpu.arithmetic.isCompensated) return name;
    return name === "build" ? "plainBuild" : "plainPatch";
  }

  #liveKeys(): number {
    return this.#rows.stored.keys.liveCount;
  }

  #count(queries: number, keys: number, terms: number): void {
    const { layout: { heads, headDim, valueDim }, rule } = this.#config;
    const rows = queries * heads;
    this.#work.multiplyAdds += rows * (keys * headDim + terms * (valueDim + 2));
    this.#work.exponentials += rows * keys * (rule.softcap > 0 ? 2 : 1);
  }
}

/**
 * A bound on the rounds of all loops that a thread goes through for a chunk of terms, the worst case in which every product
 * is added by itself; each loop is given a round more than it has. See `kernels/products.ts`.
 */
function roundsOfChunk(headDim: number, valueDim: number): number {
  const perThread = TILE_ROWS * TILE_KEYS / 64, loads = TILE_ROWS * TILE_DEPTH / 64;
  const score = Math.ceil(headDim / TILE_DEPTH) * (loads + TILE_DEPTH + 3) + perThread * (1 + NEWTON_ROUNDS) +
    2;
  const weigh = perThread + 1, charge = TILE_KEYS + 1, raise = TILE_KEYS + 1;
  const heavy = TILE_KEYS * (HEAVY_KEYS + 3) + 2;
  const perTile = loads + TILE_KEYS + loads * (TILE_KEYS + 2) + 4;
  return score + weigh + charge + raise + heavy + Math.ceil((valueDim + 2) / TILE_DEPTH) * perTile + 1;
}

/** Of a reciprocal, the last of them the test for the end. */
const NEWTON_ROUNDS = 5;

/** Float32 sums in two floats are proven to no more than this, whatever the tolerance asks. */
const LEAST_TOLERANCE = 1e-5;
/** Of plain sums, which must stay as near as those of one computation from scratch. */
const PLAIN_TOLERANCE = 2 ** -20;
