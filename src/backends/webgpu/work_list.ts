/**
 * Work for the device before it is encoded: one upload, and the kernels that read it, in order.
 */

import { type Call, CALL_BYTES, writeCall } from "./call_fields.ts";
import type { KernelName } from "./pipelines.ts";

/** Stands for the buffer of the upload. */
export const UPLOAD = "upload";

/** The number of workgroups. */
export type Groups = { readonly x: number; readonly y: number; readonly z: number } | {
  /** The buffer that has the numbers, and their byte offset. */
  readonly indirect: GPUBuffer;
  readonly offset: number;
};

/** One kernel to run. */
export interface Dispatch {
  readonly kernel: KernelName;
  /** The byte offset of its call in the upload. */
  readonly callAt: number;
  /** Bindings 1, 2, … */
  readonly buffers: readonly (GPUBuffer | typeof UPLOAD)[];
  readonly groups: Groups;
}

/** The most workgroups in one direction that every device allows. */
const MOST_GROUPS = 65535;

/** Spreads workgroups over two directions. */
export function groupsOf(count: number, z = 1): Groups {
  const x = Math.min(count, MOST_GROUPS);
  return { x, y: Math.ceil(count / Math.max(1, x)), z };
}

/** A part of a buffer, in bytes. */
export interface Span {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** An upload and the kernels that use it. */
export class WorkList {
  readonly dispatches: Dispatch[] = [];
  /** Parts of buffers that are set to 0 first. */
  readonly clears: Span[] = [];
  /** Parts of buffers that are set to 0 at the end, so that no intermediate results remain. */
  readonly wipes: Span[] = [];
  #words = new Uint32Array(256);
  #numbers = new Float32Array(this.#words.buffer);
  #length = 0;

  /** Whether the list is empty. */
  get isEmpty(): boolean {
    return this.dispatches.length + this.clears.length + this.wipes.length === 0;
  }

  /** Bytes to upload. */
  get bytes(): number {
    return 4 * this.#length;
  }

  /** The words to upload. */
  data(): Uint32Array<ArrayBuffer> {
    return this.#words.subarray(0, this.#length);
  }

  /** Makes room for `count` words of 0, and returns the index of the first one. */
  reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#words.length) {
      const words = new Uint32Array(Math.max(this.#length, 2 * this.#words.length));
      words.set(this.#words);
      this.#words = words;
      this.#numbers = new Float32Array(words.buffer);
    }
    return at;
  }

  /** Empties the list. */
  reset(): void {
    this.dispatches.length = this.clears.length = this.wipes.length = 0;
    this.#words.fill(0, 0, this.#length);
    this.#length = 0;
  }

  /** The upload as words and as numbers, valid until the next `reserve`. */
  get words(): Uint32Array {
    return this.#words;
  }

  get numbers(): Float32Array {
    return this.#numbers;
  }

  /** Adds a list of words, and returns the index of the first one. */
  list(words: ArrayLike<number>): number {
    const at = this.reserve(words.length);
    this.#words.set(words, at);
    return at;
  }

  /** Adds a kernel. */
  dispatch(
    kernel: KernelName,
    call: Call,
    buffers: readonly (GPUBuffer | typeof UPLOAD)[],
    groups: Groups,
  ): void {
    const callWords = CALL_BYTES / 4;
    this.reserve(-this.#length & (callWords - 1));
    const at = this.reserve(callWords);
    writeCall(this.#words, this.#numbers, at, call);
    this.dispatches.push({ kernel, callAt: 4 * at, buffers, groups });
  }
}
