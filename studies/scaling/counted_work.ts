// Work as the engine counts it, in multiply-adds: of a rebuild, of an answer after some edits, of a
// certificate. It is the same on every machine.

import type { DynamicAttention } from "../../mod.ts";
import { DriftingKeys, type Keeping, type Sizes } from "./drifting_keys.ts";
import { fitPowerLaw, type PowerLaw, type ScalePoint } from "./power_law.ts";

/** Nothing is applied by itself. */
const PATCHES: Keeping = { lazyThreshold: Infinity, onThreshold: "patch" };

/** Multiply-adds of computing every row from scratch. */
export async function rebuildWork(sizes: Sizes): Promise<number> {
  await using keys = await DriftingKeys.create(sizes, PATCHES);
  return await workOf(keys.live, () => keys.live.rebuild());
}

/** Multiply-adds of one answer of all rows after `edits` edits of as many keys; `keeping` says how. */
export async function answerWork(sizes: Sizes, edits: number, keeping: Keeping = PATCHES): Promise<number> {
  await using keys = await DriftingKeys.create(sizes, keeping);
  keys.edit(edits);
  return await workOf(keys.live, () => keys.live.read());
}

/** The multiply-adds of stale answers with bounds, after the same edits. */
export interface CertificateWork {
  /** A stale look that promises nothing. */
  readonly uncertified: number;
  /** The first look with bounds, at edits that no bound has been measured of. */
  readonly first: number;
  /** Another look at the same edits. */
  readonly again: number;
  /** An exact answer instead. */
  readonly exact: number;
}

/** Counts it for `edits` edits. */
export async function certificateWork(sizes: Sizes, edits: number): Promise<CertificateWork> {
  await using keys = await DriftingKeys.create(sizes, PATCHES);
  const { live } = keys;
  keys.edit(edits);
  return {
    uncertified: await workOf(live, () => live.peek(undefined, { bounds: false })),
    first: await workOf(live, () => live.peek()),
    again: await workOf(live, () => live.peek()),
    exact: await workOf(live, () => live.read()),
  };
}

/** The size that grows in a sweep, with its values; the others are fixed. */
export interface Sweep {
  readonly name: "n" | "m" | "d" | "T";
  readonly values: readonly number[];
}

/** The counts of a sweep, and their growth. */
export interface SweepResult {
  readonly name: Sweep["name"];
  readonly rebuild: { readonly points: readonly ScalePoint[]; readonly law: PowerLaw };
  readonly patch: { readonly points: readonly ScalePoint[]; readonly law: PowerLaw };
}

/** The common point of the sweeps: sizes, and edits before an answer. */
export interface Crossroads extends Sizes {
  readonly edits: number;
}

/** Counts a rebuild and a patch while one size grows. */
export async function countSweep(at: Crossroads, { name, values }: Sweep): Promise<SweepResult> {
  const rebuild: ScalePoint[] = [], patch: ScalePoint[] = [];
  for (const x of values) {
    const { edits, ...sizes } = moved(at, name, x);
    rebuild.push({ x, y: await rebuildWork(sizes) });
    patch.push({ x, y: await answerWork(sizes, edits) });
  }
  return {
    name,
    rebuild: { points: rebuild, law: fitPowerLaw(rebuild) },
    patch: { points: patch, law: fitPowerLaw(patch) },
  };
}

function moved(at: Crossroads, name: Sweep["name"], x: number): Crossroads {
  switch (name) {
    case "n":
      return { ...at, keyCount: x };
    case "m":
      return { ...at, queryCount: x };
    case "d":
      return { ...at, headDim: x };
    case "T":
      return { ...at, edits: x };
  }
}

async function workOf(live: DynamicAttention, work: () => Promise<unknown>): Promise<number> {
  const before = live.stats().multiplyAdds;
  await work();
  return live.stats().multiplyAdds - before;
}
