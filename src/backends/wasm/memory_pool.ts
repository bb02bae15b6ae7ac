/**
 * A pool of memories for reuse. Each memory reserves addresses for its largest size, so many short-lived
 * engines would use up the address space before garbage collection frees it.
 */

import { createMemory } from "./load_kernels.ts";

/** The largest number of memories in the pool, and the bytes above which a memory is not kept. */
const MOST_KEPT = 8, LARGEST_KEPT = 2 ** 24;

const idle: WebAssembly.Memory[] = [];

/** Takes a memory of zeros. */
export function takeMemory(): WebAssembly.Memory {
  return idle.pop() ?? createMemory();
}

/** Gives a memory back, which nothing may use any more. */
export function giveMemory(memory: WebAssembly.Memory): void {
  const { buffer } = memory;
  if (idle.length === MOST_KEPT || buffer.byteLength > LARGEST_KEPT) return;
  new Uint8Array(buffer).fill(0);
  idle.push(memory);
}
