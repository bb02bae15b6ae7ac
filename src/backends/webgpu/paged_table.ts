/**
 * Records on the device by slot, in several buffers if necessary: no page is larger than a kernel can bind. A
 * table grows by copying on the device; its capacity at least doubles.
 */

import { CapacityError } from "../../base/errors.ts";
import type { Session } from "./session.ts";
import { type Span, WorkList } from "./work_list.ts";
import { BufferUsage } from "./usage.ts";

/** A growable table of records. */
export class PagedTable {
  readonly #session: Session;
  readonly #label: string;
  /** The number of words of a record. */
  readonly words: number;
  /** The number of slots of a full page. */
  readonly pageSlots: number;
  /** The buffers, all but the last of them full pages. */
  readonly pages: GPUBuffer[] = [];
  capacity = 0;

  /** A page has at most `mostSlots`. */
  constructor(session: Session, label: string, words: number, mostSlots = slotsOfPage(session, words)) {
    this.#session = session;
    this.#label = label;
    this.words = words;
    this.pageSlots = mostSlots;
  }

  /** Makes room for slots below `slots`, all or none; new records are zeros. */
  async reserve(slots: number): Promise<void> {
    if (slots <= this.capacity && this.pages.length > 0) return;
    if (this.pageSlots === 0) {
      const bytes = 4 * this.words;
      const limit = this.#session.gpu.largestBinding;
      const cause = new RangeError(`a buffer of this device has ${limit} bytes at most`);
      throw new CapacityError("webgpu", `one record of ${this.#label}`, bytes, cause);
    }
    await this.#lay(Math.floor(this.capacity / this.pageSlots), Math.max(1, slots, 2 * this.capacity));
  }

  /** Makes the pages from `firstPage` on anew, with their content. */
  async #lay(firstPage: number, capacity: number): Promise<void> {
    const { STORAGE, COPY_SRC, COPY_DST } = BufferUsage;
    const requests = [];
    for (let first = firstPage * this.pageSlots; first < capacity; first += this.pageSlots) {
      requests.push({
        label: this.#label,
        bytes: 4 * this.words * Math.min(this.pageSlots, capacity - first),
        usage: STORAGE | COPY_SRC | COPY_DST,
      });
    }
    const made = await this.#session.allocate(`${capacity} ${this.#label}`, requests);
    const old = this.pages.slice(firstPage);
    if (old.length > 0) {
      await this.#session.run(new WorkList(), (encoder) => {
        old.forEach((page, at) => {
          const bytes = 4 * this.words * this.slotsIn(firstPage + at, this.capacity);
          encoder.copyBufferToBuffer(page, 0, made[at], 0, bytes);
        });
      });
      for (const page of old) this.#session.release(page);
    }
    this.pages.splice(firstPage, old.length, ...made);
    this.capacity = capacity;
  }

  /** The place of a slot. */
  find(slot: number): { readonly page: number; readonly word: number } {
    const page = Math.floor(slot / this.pageSlots);
    return { page, word: (slot - page * this.pageSlots) * this.words };
  }

  /**
   * The places of the records of some slots, as few runs of bytes as possible; slots that the table has no
   * room for are left out.
   */
  spansOf(slots: Iterable<number>): Span[] {
    const spans: { buffer: GPUBuffer; offset: number; bytes: number }[] = [];
    const ascending = Float64Array.from(slots).sort();
    for (const slot of ascending) {
      if (slot >= this.capacity) break;
      const { page, word } = this.find(slot), last = spans[spans.length - 1];
      const buffer = this.pages[page], offset = 4 * word, bytes = 4 * this.words;
      if (last?.buffer === buffer && last.offset + last.bytes === offset) last.bytes += bytes;
      else spans.push({ buffer, offset, bytes });
    }
    return spans;
  }

  /** The number of slots of a page that are below `size`. */
  slotsIn(page: number, size: number): number {
    return Math.max(0, Math.min(size - page * this.pageSlots, this.pageSlots));
  }

  /** Frees all pages. */
  release(): void {
    for (const page of this.pages.splice(0)) this.#session.release(page);
    this.capacity = 0;
  }
}

/** The number of records of `words` words that a page can have. */
export function slotsOfPage({ gpu }: Session, words: number): number {
  return Math.floor(gpu.largestBinding / (4 * words));
}

/**
 * As `slotsOfPage`, rounded down to a power of two, so that a page holds whole parts of rows or a part has
 * whole pages; see `key_parts.ts`.
 */
export function wholeSlotsOfPage(session: Session, words: number): number {
  return 2 ** Math.floor(Math.log2(slotsOfPage(session, words)));
}
