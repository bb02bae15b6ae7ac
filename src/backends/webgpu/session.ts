/**
 * The buffers and commands of one engine on a device, and their failures. A device reports failures late and
 * not to the caller; here each becomes a rejection of the call that caused it.
 *
 * Invariant: every live buffer was made here, and `dispose` destroys all of them. Uploads are set to 0 by the
 * submit that used them, and answers by the next submit, so that neither holds traces of deleted rows.
 */

import { CapacityError, DeviceError, type DeviceFailure } from "../../base/errors.ts";
import type { GpuDevice } from "./device.ts";
import { CLOCK_BUFFER, DeviceClock } from "./device_clock.ts";
import { encodeWork } from "./encode_work.ts";
import type { Traffic } from "./traffic.ts";
import type { Span, WorkList } from "./work_list.ts";
import { BufferUsage, MapMode } from "./usage.ts";

const OPERATION = "webgpu";
const FILTERS: readonly GPUErrorFilter[] = ["validation", "out-of-memory", "internal"];

/** A request for a buffer. */
export interface BufferRequest {
  readonly label: string;
  readonly bytes: number;
  readonly usage: GPUBufferUsageFlags;
}

/** The buffers and commands of one engine. */
export class Session {
  readonly gpu: GpuDevice;
  readonly #traffic: Traffic;
  readonly #buffers = new Set<GPUBuffer>();
  #upload: GPUBuffer | null = null;
  #staging: GPUBuffer | null = null;
  /** The number of bytes of answers that are still in the staging buffer. */
  #answered = 0;
  #clock: DeviceClock | null = null;

  constructor(gpu: GpuDevice, traffic: Traffic) {
    this.gpu = gpu;
    this.#traffic = traffic;
  }

  /** Whether answers are in the staging buffer, until the next submit. */
  get hasAnswers(): boolean {
    return this.#answered > 0;
  }

  /** Makes buffers of zeros, all or none. */
  async allocate(what: string, requests: readonly BufferRequest[]): Promise<GPUBuffer[]> {
    const { device } = this.gpu;
    const bytes = requests.reduce((sum, request) => sum + request.bytes, 0);
    const made: GPUBuffer[] = [];
    const [, error] = await this.#scoped(() => {
      for (const { label, bytes, usage } of requests) {
        made.push(device.createBuffer({ label, size: wholeWords(bytes), usage }));
      }
    });
    if (!error) {
      for (const buffer of made) this.#hold(buffer);
      return made;
    }
    for (const buffer of made) buffer.destroy();
    if (error.reason === "out-of-memory") throw new CapacityError(OPERATION, what, bytes, error);
    throw error;
  }

  /** Destroys a buffer. */
  release(buffer: GPUBuffer): void {
    if (!this.#buffers.delete(buffer)) return;
    this.#traffic.buffers--;
    this.#traffic.bufferBytes -= buffer.size;
    buffer.destroy();
  }

  /** Runs a list in one submit, and then the commands that `after` adds. */
  async run(work: WorkList, after: (encoder: GPUCommandEncoder) => void = nothing): Promise<void> {
    const upload = await this.#uploadOf(work.bytes);
    if (this.gpu.hasTimestamps) this.#clock ??= await this.#makeClock();
    const [, error] = await this.#scoped(() => {
      const { device } = this.gpu;
      if (upload) device.queue.writeBuffer(upload, 0, work.data());
      this.#traffic.bytesUp += work.bytes;
      const encoder = device.createCommandEncoder();
      if (this.#staging && this.#answered > 0) encoder.clearBuffer(this.#staging, 0, this.#answered);
      for (const { buffer, offset, bytes } of work.clears) encoder.clearBuffer(buffer, offset, bytes);
      if (work.dispatches.length > 0) {
        encodeWork(this.gpu, encoder, work, upload as GPUBuffer, this.#clock?.next());
      }
      this.#traffic.dispatches += work.dispatches.length;
      after(encoder);
      for (const { buffer, offset, bytes } of work.wipes) encoder.clearBuffer(buffer, offset, bytes);
      if (upload && work.bytes > 0) encoder.clearBuffer(upload, 0, work.bytes);
      device.queue.submit([encoder.finish()]);
      this.#traffic.submits++;
    });
    if (error) throw error;
    this.#answered = 0;
  }

  /**
   * Runs a list, copies parts of buffers to the staging buffer in the same submit, and reads them with one
   * map.
   */
  async readBack(
    work: WorkList,
    parts: readonly Span[],
  ): Promise<ArrayBuffer> {
    const asked = parts.reduce((sum, part) => sum + part.bytes, 0);
    const timesAt = 8 * Math.ceil(asked / 8);
    const staging = await this.#stagingOf(timesAt + (this.gpu.hasTimestamps ? CLOCK_BUFFER.bytes : 0));
    let bytes = asked;
    await this.run(work, (encoder) => {
      let at = 0;
      for (const { buffer, offset, bytes } of parts) {
        encoder.copyBufferToBuffer(buffer, offset, staging, at, bytes);
        at += bytes;
      }
      if (!this.#clock?.bytes) return;
      this.#clock.copyTo(encoder, staging, timesAt);
      bytes = timesAt + this.#clock.bytes;
    });
    this.#answered = wholeWords(bytes);
    try {
      await staging.mapAsync(MapMode.READ, 0, bytes);
    } catch (cause) {
      this.#staging = null;
      this.#answered = 0;
      this.release(staging);
      throw await this.#toError("validation", cause instanceof Error ? cause.message : String(cause));
    }
    this.#traffic.maps++;
    this.#traffic.bytesDown += bytes;
    const mapped = staging.getMappedRange(0, bytes);
    if (bytes > asked) this.#clock?.count(new BigUint64Array(mapped, timesAt), this.#traffic);
    const answer = mapped.slice(0, asked);
    staging.unmap();
    return answer;
  }

  /** Destroys all buffers. */
  dispose(): void {
    for (const buffer of [...this.#buffers]) this.release(buffer);
    this.#upload = this.#staging = null;
    this.#answered = 0;
    this.#clock?.dispose();
    this.#clock = null;
  }

  async #makeClock(): Promise<DeviceClock> {
    const [buffer] = await this.allocate("a clock", [CLOCK_BUFFER]);
    return new DeviceClock(this.gpu.device, buffer);
  }

  async #uploadOf(bytes: number): Promise<GPUBuffer | null> {
    if (bytes === 0 || (this.#upload && this.#upload.size >= bytes)) return this.#upload;
    const usage = BufferUsage.UNIFORM | BufferUsage.STORAGE | BufferUsage.COPY_DST;
    const size = Math.min(Math.max(bytes, 2 * (this.#upload?.size ?? 2048)), this.gpu.largestBinding);
    const [buffer] = await this.allocate("what is written to the device", [{
      label: "upload",
      bytes: Math.max(bytes, size),
      usage,
    }]);
    if (this.#upload) this.release(this.#upload);
    return this.#upload = buffer;
  }

  async #stagingOf(bytes: number): Promise<GPUBuffer> {
    if (this.#staging && this.#staging.size >= bytes) return this.#staging;
    const usage = BufferUsage.MAP_READ | BufferUsage.COPY_DST;
    const size = Math.max(bytes, 2 * (this.#staging?.size ?? 2048));
    const [buffer] = await this.allocate("what is read from the device", [{
      label: "staging",
      bytes: Math.min(size, Math.max(bytes, this.gpu.largestBinding)),
      usage,
    }]);
    if (this.#staging) this.release(this.#staging);
    this.#answered = 0;
    return this.#staging = buffer;
  }

  #hold(buffer: GPUBuffer): void {
    this.#buffers.add(buffer);
    this.#traffic.buffers++;
    this.#traffic.bufferBytes += buffer.size;
  }

  /** Runs device calls and waits for the errors that they cause. */
  async #scoped<T>(run: () => T): Promise<[T | undefined, DeviceError | null]> {
    const { device } = this.gpu;
    for (const filter of FILTERS) device.pushErrorScope(filter);
    let result: T | undefined, thrown: unknown = null;
    try {
      result = run();
    } catch (cause) {
      thrown = cause ?? new Error("nothing was thrown");
    }
    // The innermost scope is popped first.
    const said = await Promise.all(FILTERS.map(() => device.popErrorScope().catch(() => null)));
    const at = said.findIndex((error) => error !== null);
    if (at >= 0) {
      const reason = FILTERS[FILTERS.length - 1 - at];
      return [result, await this.#toError(reason, (said[at] as GPUError).message)];
    }
    if (thrown) {
      return [result, await this.#toError("validation", thrown instanceof Error ? thrown.message : "")];
    }
    return [result, this.gpu.lost === null ? null : new DeviceError(OPERATION, "lost", this.gpu.lost)];
  }

  /** A loss is reported in a later turn of the event loop than other errors, so this waits for that turn. */
  async #toError(reason: DeviceFailure, message: string): Promise<DeviceError> {
    await new Promise((resolve) => setTimeout(resolve, 0));
    const { lost } = this.gpu;
    return lost === null
      ? new DeviceError(OPERATION, reason, message)
      : new DeviceError(OPERATION, "lost", lost || message);
  }
}

function wholeWords(bytes: number): number {
  return Math.max(4, 4 * Math.ceil(bytes / 4));
}

function nothing(): void {}
