/**
 * How long a device was busy with the work of one engine, by its own clock: each pass notes when it begins
 * and ends, and the next answer brings along what was noted since the last one.
 */

import type { Traffic } from "./traffic.ts";
import { BufferUsage } from "./usage.ts";

/** Passes that are noted between two answers; those beyond are not timed. */
const MOST_PASSES = 1024;
/** Bytes that a pass notes. */
const PASS_BYTES = 16;

/** A buffer that the clock needs. */
export const CLOCK_BUFFER = {
  label: "times",
  bytes: MOST_PASSES * PASS_BYTES,
  usage: BufferUsage.QUERY_RESOLVE | BufferUsage.COPY_SRC,
} as const;

/** A clock of one session. */
export class DeviceClock {
  readonly #queries: GPUQuerySet;
  readonly #buffer: GPUBuffer;
  #passes = 0;

  /** `buffer` is made as {@link CLOCK_BUFFER} says. */
  constructor(device: GPUDevice, buffer: GPUBuffer) {
    this.#queries = device.createQuerySet({ label: "times", type: "timestamp", count: 2 * MOST_PASSES });
    this.#buffer = buffer;
  }

  /** Bytes of what was noted. */
  get bytes(): number {
    return this.#passes * PASS_BYTES;
  }

  /** Where the next pass is to note its times; undefined when there is no room. */
  next(): GPUComputePassTimestampWrites | undefined {
    if (this.#passes === MOST_PASSES) return undefined;
    const at = 2 * this.#passes++;
    return { querySet: this.#queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
  }

  /** Copies what was noted to `target`, from `offset` on. */
  copyTo(encoder: GPUCommandEncoder, target: GPUBuffer, offset: number): void {
    if (this.#passes === 0) return;
    encoder.resolveQuerySet(this.#queries, 0, 2 * this.#passes, this.#buffer, 0);
    encoder.copyBufferToBuffer(this.#buffer, 0, target, offset, this.bytes);
  }

  /** Counts what was noted, in nanoseconds, and begins anew. */
  count(noted: BigUint64Array, traffic: Traffic): void {
    for (let at = 0; at < noted.length; at += 2) {
      // The clock may be set back.
      if (noted[at + 1] > noted[at]) traffic.busyMs += Number(noted[at + 1] - noted[at]) / 1e6;
    }
    this.#passes = 0;
  }

  /** Gives back its queries; the buffer is the session's. */
  dispose(): void {
    this.#queries.destroy();
  }
}
