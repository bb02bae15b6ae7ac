// The program of a page, bundled, that tests threads: one engine, large enough, with one thread and with two.

import { DynamicAttention } from "../src/engine/dynamic_attention.ts";
import { WORKER_POOL } from "../src/backends/wasm/threads/worker_pool.ts";

const ROWS = 2048, COLUMNS = 128;

/** The observations. */
export interface ThreadsSeen {
  readonly isIsolated: boolean;
  readonly workers: number;
  readonly workersAfter: number;
  readonly hasSameBits: boolean;
  readonly backend: string;
}

/** Computes with both. */
export async function seeThreads(): Promise<ThreadsSeen> {
  const matrix = (phase: number) => ({
    data: Float32Array.from({ length: ROWS * COLUMNS }, (_, at) => Math.sin(at * phase)),
    shape: [ROWS, COLUMNS] as const,
  });
  const options = { query: matrix(1), key: matrix(0.7), value: matrix(0.3), backend: "wasm" } as const;
  const bits: Uint32Array[] = [];
  let workers = 0, backend = "";
  for (const threads of [1, 2]) {
    await using live = await DynamicAttention.create({ ...options, threads });
    await live.rebuild();
    live.addToKey(7, 3, 0.5);
    bits.push(new Uint32Array((await live.read()).data.buffer));
    workers = WORKER_POOL.size;
    backend = live.stats().backend;
  }
  const [one, two] = bits;
  return {
    isIsolated: Reflect.get(globalThis, "crossOriginIsolated") === true,
    workers,
    workersAfter: WORKER_POOL.size,
    hasSameBits: one.length === ROWS * COLUMNS && one.every((word, at) => word === two[at]),
    backend,
  };
}

Reflect.set(globalThis, "seeThreads", seeThreads);
