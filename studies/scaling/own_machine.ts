// Times of the engine's answers by number of edits, on the reader's own machine. The caller gives the clock,
// and so decides how long to look, and a test need not.

import { DynamicAttention } from "../../mod.ts";
import { SeededRandom } from "../../src/learning/mod.ts";
import { crossing } from "./power_law.ts";
import type { Sizes } from "./drifting_keys.ts";

/** Milliseconds of one run, in whatever way they are taken. */
export type Clock = (run: () => Promise<void>) => Promise<number>;

/** Times of exact answers of all rows. */
export interface OwnTimes {
  readonly sizes: Sizes;
  readonly rebuildMs: number;
  /** The number of edits of keys, which are always patched. */
  readonly patched: readonly { readonly edits: number; readonly ms: number }[];
  /** Edits from which a rebuild is faster than a patch; null above all that were tried. */
  readonly breakEven: number | null;
}

/**
 * Rows are drawn beforehand, so that no random number is timed; their number has no factor in common with
 * those of keys.
 */
const POOL_SIZE = 257;
/** Coprime to the powers of two that numbers of keys are here. */
const STRIDE = 7919;

/** Takes the times of the backend "wasm" with one thread. */
export async function timeOwnMachine(
  sizes: Sizes,
  edits: readonly number[],
  clock: Clock,
): Promise<OwnTimes> {
  const { queryCount, keyCount, headDim } = sizes, random = new SeededRandom(1);
  const matrix = (rows: number) => ({
    data: random.normalRow(rows * headDim, 1),
    shape: [rows, headDim] as const,
  });
  const pool = Array.from({ length: POOL_SIZE }, () => random.normalRow(headDim, 1));
  await using live = await DynamicAttention.create({
    query: matrix(queryCount),
    key: matrix(keyCount),
    value: matrix(keyCount),
    lazyThreshold: Infinity,
    onThreshold: "patch",
    backend: "wasm",
    threads: 1,
  });
  const rebuildMs = await clock(async () => {
    await live.rebuild();
    await live.read();
  });
  const patched: { edits: number; ms: number }[] = [];
  let next = 0;
  // The largest batch first: code that is still warming up would be seen most in the smallest.
  for (const count of edits.toSorted((a, b) => b - a)) {
    const ms = await clock(async () => {
      for (let at = 0; at < count; at++, next++) {
        live.setKey((next * STRIDE) % keyCount, pool[next % POOL_SIZE]);
      }
      await live.read();
    });
    patched.unshift({ edits: count, ms });
  }
  return { sizes, rebuildMs, patched, breakEven: crossing(patched, rebuildMs) };
}
