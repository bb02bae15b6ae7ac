/**
 * Buffers on a device that hold something for the time of one submit: what is written there is set to 0 by
 * the work that used it.
 */

import { TILE_ROWS } from "./kernels/rows_kernel.ts";
import type { RecordLayout } from "./record_layout.ts";
import type { Session } from "./session.ts";
import { BufferUsage } from "./usage.ts";

/** Bytes that the states of parts take, unless a single query has more. */
const PART_BYTES = 2 ** 25;
/** Words that the scratch has room for at least. */
const LEAST_SCRATCH = 1024;

/** Buffers of one engine, which only grow. */
export class WorkBuffers {
  readonly #session: Session;
  #scratch: GPUBuffer | null = null;
  #partStates: GPUBuffer | null = null;
  /** By page of queries. */
  readonly #plans = new Map<number, GPUBuffer>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** The states of parts of rows, which the merge of the parts sets to 0. */
  get partStates(): GPUBuffer {
    return this.#partStates as GPUBuffer;
  }

  /** Makes room for `parts` parts of at most `rows` queries; returns of how many there is room for. */
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

  /** Room for what the builds of a page's flagged rows are planned to be, which says nothing of rows. */
  async plans(page: number, words: number): Promise<GPUBuffer> {
    const { STORAGE, INDIRECT } = BufferUsage;
    const plans = await this.#grow(this.#plans.get(page) ?? null, "plans", 4 * words, STORAGE | INDIRECT);
    this.#plans.set(page, plans);
    return plans;
  }

  /** A buffer for `words` words that nothing else uses meanwhile, and that its user sets to 0. */
  async scratch(words: number): Promise<GPUBuffer> {
    const { STORAGE, COPY_SRC, COPY_DST } = BufferUsage;
    const bytes = 4 * Math.max(LEAST_SCRATCH, words);
    return this.#scratch = await this.#grow(this.#scratch, "scratch", bytes, STORAGE | COPY_SRC | COPY_DST);
  }

  /** The buffer, or one at least twice as large where it is too small. */
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
