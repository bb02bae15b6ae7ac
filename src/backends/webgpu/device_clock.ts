/**
 * Measures how long a device was busy with the work of one engine, by the device's own clock: each pass
 * writes two timestamps, and the next answer reads those written since the last one.
 */

import type { Traffic } from "./traffic.ts";
import { BufferUsage } from "./usage.ts";

/** The number of passes between two answers that are timed; further ones are not. */
const MOST_PASSES = 1024;
/** Bytes of the timestamps of a pass. */
const PASS_BYTES = 16;

/** The usage of the clock's buffer. */
export const CLOCK_BUFFER = {
  label: "times",
  bytes: MOST_PASSES * PASS_BYTES,
  usage: BufferUsage.QUERY_RESOLVE | BufferUsage.COPY_SRC,
} as const;

/** The clock of one session. */
export class DeviceClock {
  readonly #queries: GPUQuerySet;
  readonly #buffer: GPUBuffer;
  #passes = 0;

  /** `buffer` must be made as {@link CLOCK_BUFFER} says. */
  constructor(device: GPUDevice, buffer: GPUBuffer) {
    this.#queries = device.createQuerySet({ label: "times", type: "timestamp", count: 2 * MOST_PASSES });
    this.#buffer = buffer;
  }

  /** Bytes of the timestamps written. */
  get bytes(): number {
    return this.#passes * PASS_BYTES;
  }

  /** The places of the timestamps of the next pass; undefined if there is no room. */
  next(): GPUComputePassTimestampWrites | undefined {
    if (this.#passes === MOST_PASSES) return undefined;
    const at = 2 * this.#passes++;
    return { querySet: this.#queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
  }

  /** Copies the timestamps to `target`, from `offset` on. */
  copyTo(encoder: GPUCommandEncoder, target: GPUBuffer, offset: number): void {
    if (this.#passes === 0) return;
    encoder.resolveQuerySet(this.#queries, 0, 2 * this.#passes, this.#buffer, 0);
    encoder.copyBufferToBuffer(this.#buffer, 0, target, offset, this.bytes);
  }

  /** Adds up timestamps, in nanoseconds, and clears them. */
  count(noted: BigUint64Array, traffic: Traffic): void {
    for (let at = 0; at < noted.length; at += 2) {
      // A clock that was set back gives negative times, which are skipped.
      if (noted[at + 1] > noted[at]) traffic.busyMs += Number(noted[at + 1] - noted[at]) / 1e6;
    }
    this.#passes = 0;
  }

  /** Frees the query set; the session owns the buffer. */
  dispose(): void {
    this.#queries.destroy();
  }
}
