/**
 * Memories that were given back. Each reserves addresses for as much as it may ever grow to, which engines that come and
 * go would use up before anything is collected.
 */

import { createMemory } from "./load_kernels.ts";

/** Memories that are kept at most, and the bytes above which one is let go. */
const MOST_KEPT = 8, LARGEST_KEPT = 2 ** 24;

const idle: WebAssembly.Memory[] = [];

/** A memory of zeros. */
export function takeMemory(): WebAssembly.Memory {
  return idle.pop() ?? createMemory();
}

/** Gives a memory back that nothing uses any more. */
export function giveMemory(memory: WebAssembly.Memory): void {
  const { buffer } = memory;
  if (idle.length === MOST_KEPT || buffer.byteLength > LARGEST_KEPT) return;
  new Uint8Array(buffer).fill(0);
  idle.push(memory);
}
