/**
 * Patches head rows: adds the terms of patches and their kernels to a work list. The device itself finds,
 * gathers and builds the rows that a patch leaves untrusted, in the same submit.
 */

import type { BackendConfig, Cohort, Work } from "../backend.ts";
import { NO_ROW } from "../since.ts";
import type { Call } from "./call_fields.ts";
import { type DeviceImage, move } from "./device_image.ts";
import type { HostRows } from "../host/host_rows.ts";
import { TILE_KEYS, TILE_ROWS } from "./kernels/rows_kernel.ts";
import type { KernelName } from "./pipelines.ts";
import { ADDED_KEY, TAKEN_KEY } from "./record_layout.ts";
import type { RowBuilder } from "./row_builder.ts";
import { mostTermsOf, ruleOf } from "./row_rule.ts";
import { groupsOf, UPLOAD, type WorkList } from "./work_list.ts";

/** A term of a patch. */
interface Term {
  readonly isRetained: boolean;
  readonly row: number;
  readonly kind: number;
}

/** The terms for some queries, pairs first. */
interface Patch {
  readonly queries: Uint32Array;
  readonly terms: readonly Term[];
  readonly pairs: number;
}

/** The patches of one engine. */
export class RowUpdater {
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #work: Work;
  readonly #builder: RowBuilder;

  constructor(config: BackendConfig, rows: HostRows, work: Work, builder: RowBuilder) {
    this.#config = config;
    this.#rows = rows;
    this.#work = work;
    this.#builder = builder;
  }

  /** Adds patches of cohorts, and builds of the rows that they leave untrusted. */
  async patch(work: WorkList, image: DeviceImage, cohorts: readonly Cohort[]): Promise<void> {
    /** The number of patched queries by page, which bounds the number of flagged ones. */
    const pages = new Map<number, number>();
    for (const { queries } of cohorts) {
      for (const { page, slots } of image.queryPages(queries)) {
        pages.set(page, (pages.get(page) ?? 0) + slots.length);
      }
    }
    const { heads } = this.#config.layout;
    for (const page of pages.keys()) {
      work.clears.push({ buffer: image.flagged[page], offset: 0, bytes: 4 * heads });
    }
    // Batches are whole tiles, so that they change no bits, and have even sizes, so that no pair is split.
    const fitting = Math.floor(image.session.gpu.largestBinding / (4 * image.record.keyWords));
    const step = fitting >= TILE_KEYS ? TILE_KEYS : 2;
    const most = Math.min(fitting - fitting % step, mostTermsOf(this.#config, image.session.gpu));
    const patches = cohorts.map(({ queries, since }) => ({ queries, ...this.#termsOf(since) }));
    const longest = patches.reduce((longest, { terms }) => Math.max(longest, terms.length), 1);
    const scratch = await image.work.scratch(Math.min(most, longest) * image.record.keyWords);
    work.wipes.push({
      buffer: scratch,
      offset: 0,
      bytes: 4 * Math.min(most, longest) * image.record.keyWords,
    });
    for (const patch of patches) this.#patchCohort(work, image, patch, scratch, most);
    await this.#builder.refresh(work, image, pages);
  }

  /** Counts head rows that the device has refreshed. */
  countRefreshed(rows: number): void {
    this.#work.refreshes += rows;
    this.#work.rowsBuilt += rows;
    this.#builder.count(rows / this.#config.layout.heads);
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
          ...ruleOf(this.#config, image.record, image.session.gpu),
          slotBase: page * image.queries.pageSlots,
          listFirst,
          listCount,
          flaggedStride: image.querySlotsIn(page),
          ...{ parts: 1, partCount: 1, partEnd: 1, windowTerms: batch.length, termEnd: batch.length },
          pairs: Math.min(Math.max(0, pairs - first / 2), batch.length / 2),
          isLast: first + most >= terms.length ? 1 : 0,
        };
        const buffers = [UPLOAD, scratch, image.queries.pages[page], image.states.pages[page]] as const;
        const groups = groupsOf(Math.ceil(listCount / TILE_ROWS), heads);
        work.dispatch(this.#kernel(image), call, [...buffers, image.distances, image.flagged[page]], groups);
      }
    }
  }

  /** The terms of a patch, pairs first. */
  #termsOf({ slots, retained }: Cohort["since"]): { readonly terms: Term[]; readonly pairs: number } {
    const { stored, retained: before } = this.#rows;
    const pairs: Term[] = [], others: Term[] = [];
    for (let t = 0; t < slots.length; t++) {
      const slot = slots[t], isLive = stored.isLive(slot), wasLive = retained[t] !== NO_ROW;
      const isPair = isLive && wasLive && stored.scoresAlike(slot, before, retained[t]);
      const list = isPair ? pairs : others;
      if (wasLive) list.push({ isRetained: true, row: retained[t], kind: TAKEN_KEY });
      if (isLive) list.push({ isRetained: false, row: slot, kind: ADDED_KEY });
    }
    return { terms: [...pairs, ...others], pairs: pairs.length / 2 };
  }

  /** Adds moves of the records of terms to one buffer, side by side. */
  #gather(work: WorkList, image: DeviceImage, terms: readonly Term[], target: GPUBuffer): void {
    const { keyWords } = image.record;
    const moves = new Map<GPUBuffer, number[]>();
    terms.forEach(({ isRetained, row, kind }, at) => {
      const table = isRetained ? image.retained : image.stored;
      const { page, word } = table.find(row);
      let list = moves.get(table.pages[page]);
      if (!list) moves.set(table.pages[page], list = []);
      list.push(word, at * keyWords, kind);
    });
    for (const [source, list] of moves) move(work, keyWords, list, source, target);
  }

  #kernel({ session }: DeviceImage): KernelName {
    return session.gpu.arithmetic.isCompensated ? "patch" : "plainPatch";
  }

  #count(queries: number, keys: number, terms: number): void {
    const { layout: { heads, headDim, valueDim }, rule } = this.#config;
    const rows = queries * heads;
    this.#work.multiplyAdds += rows * (keys * headDim + terms * (valueDim + 2));
    this.#work.exponentials += rows * keys * (rule.softcap > 0 ? 2 : 1);
  }
}
