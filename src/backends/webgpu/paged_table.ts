/**
 * Records on the device by slot, in as many buffers as their sizes ask for: no page is larger than a kernel may see.
 * Growing copies on the device; capacity at least doubles. A page may have room for more records behind its slots,
 * which is whoever's work needs it, and holds nothing from one work to the next.
 */

import { CapacityError } from "../../errors.ts";
import type { Session } from "./session.ts";
import { WorkList } from "./work_list.ts";
import { BufferUsage } from "./usage.ts";

/** A growable table of records. */
export class PagedTable {
  readonly #session: Session;
  readonly #label: string;
  /** Words of a record. */
  readonly words: number;
  /** Slots of a full page. */
  readonly pageSlots: number;
  /** Records behind the slots of a page. */
  readonly spare: number;
  /** Buffers, all but the last of them full pages. */
  readonly pages: GPUBuffer[] = [];
  capacity = 0;

  /** `mostSlots` caps the slots of a page; `spare` is the room behind them, in records. */
  constructor(session: Session, label: string, words: number, mostSlots = Infinity, spare = 0) {
    this.#session = session;
    this.#label = label;
    this.words = words;
    this.spare = spare;
    this.pageSlots = Math.min(mostSlots, slotsOfPage(session, words) - spare);
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
    const capacity = Math.max(1, slots, 2 * this.capacity);
    const { STORAGE, COPY_SRC, COPY_DST } = BufferUsage;
    const kept = Math.floor(this.capacity / this.pageSlots);
    const requests = [];
    for (let first = kept * this.pageSlots; first < capacity; first += this.pageSlots) {
      requests.push({
        label: this.#label,
        bytes: 4 * this.words * (Math.min(this.pageSlots, capacity - first) + this.spare),
        usage: STORAGE | COPY_SRC | COPY_DST,
      });
    }
    const made = await this.#session.allocate(`${capacity} ${this.#label}`, requests);
    const old = this.pages[kept];
    if (old) {
      await this.#session.run(new WorkList(), (encoder) => {
        encoder.copyBufferToBuffer(old, 0, made[0], 0, old.size - 4 * this.words * this.spare);
      });
      this.#session.release(old);
    }
    this.pages.splice(kept, 1, ...made);
    this.capacity = capacity;
  }

  /** Where a slot is. */
  find(slot: number): { readonly page: number; readonly word: number } {
    const page = Math.floor(slot / this.pageSlots);
    return { page, word: (slot - page * this.pageSlots) * this.words };
  }

  /** Slots of a page that are below `size`. */
  slotsIn(page: number, size: number): number {
    return Math.max(0, Math.min(size - page * this.pageSlots, this.pageSlots));
  }

  /** Gives everything back. */
  release(): void {
    for (const page of this.pages.splice(0)) this.#session.release(page);
    this.capacity = 0;
  }
}

/** How many records of so many words a page can have. */
export function slotsOfPage({ gpu }: Session, words: number): number {
  return Math.floor(gpu.largestBinding / (4 * words));
}
