/**
 * Temporary buffers on a device, for one submit each. The work that uses a buffer sets it to 0 afterwards.
 */

import { TILE_ROWS } from "./kernels/rows_kernel.ts";
import type { RecordLayout } from "./record_layout.ts";
import type { Session } from "./session.ts";
import { BufferUsage } from "./usage.ts";

/** Bytes of the states of parts, unless a single query needs more. */
const PART_BYTES = 2 ** 25;
/** The least number of words of the scratch. */
const LEAST_SCRATCH = 1024;

/** The temporary buffers of one engine, which only grow. */
export class WorkBuffers {
  readonly #session: Session;
  #scratch: GPUBuffer | null = null;
  #partStates: GPUBuffer | null = null;
  /** Plans by page of queries. */
  readonly #plans = new Map<number, GPUBuffer>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** The states of parts of rows, which the merge of the parts sets to 0. */
  get partStates(): GPUBuffer {
    return this.#partStates as GPUBuffer;
  }

  /**
   * Makes room for `parts` parts of at most `rows` queries; returns the number of queries that there is room
   * for.
   */
  async reserveParts(
    { layout: { heads }, stateWords }: RecordLayout,
    parts: number,
    rows: number,
  ): Promise<number> {
    const bytes = 4 * heads * stateWords * parts;
    const fitting = Math.floor(Math.min(PART_BYTES, this.#session.gpu.largestBinding) / bytes);
    const whole = fitting >= TILE_ROWS ? fitting - fitting % TILE_ROWS : Math.max(1, fitting);
    const batch = Math.min(rows, whole);
    const { STORAGE, COPY_SRC } = BufferUsage;
    this.#partStates = await this.#grow(
      this.#partStates,
      "states of parts",
      batch * bytes,
      STORAGE | COPY_SRC,
    );
    return batch;
  }

  /**
   * The buffer of the plans for a page's flagged rows. Plans hold no numbers of rows, so they are not wiped.
   */
  async plans(page: number, words: number): Promise<GPUBuffer> {
    const { STORAGE, INDIRECT } = BufferUsage;
    const plans = await this.#grow(this.#plans.get(page) ?? null, "plans", 4 * words, STORAGE | INDIRECT);
    this.#plans.set(page, plans);
    return plans;
  }

  /** A buffer for `words` words, which nothing else uses at the same time, and which its user sets to 0. */
  async scratch(words: number): Promise<GPUBuffer> {
    const { STORAGE, COPY_SRC, COPY_DST } = BufferUsage;
    const bytes = 4 * Math.max(LEAST_SCRATCH, words);
    return this.#scratch = await this.#grow(this.#scratch, "scratch", bytes, STORAGE | COPY_SRC | COPY_DST);
  }

  /** The buffer, or a new one at least twice as large if it is too small. */
  async #grow(
    buffer: GPUBuffer | null,
    label: string,
    bytes: number,
    usage: GPUBufferUsageFlags,
  ): Promise<GPUBuffer> {
    if (buffer && buffer.size >= bytes) return buffer;
    const { largestBinding } = this.#session.gpu;
    const most = Math.max(bytes, Math.min(2 * (buffer?.size ?? 0), largestBinding));
    const [grown] = await this.#session.allocate(label, [{ label, bytes: most, usage }]);
    if (buffer) this.#session.release(buffer);
    return grown;
  }
}
