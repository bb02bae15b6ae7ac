// A reader's correction: "this sentence is not about that topic". The key of the sentence moves, by
// gradients, until the topic gives it no more than it may have; the other topics should hardly notice.

import { attentionGradients } from "../../src/learning/mod.ts";
import type { TopicMemory } from "./topics.ts";

/** The effect of a correction. */
export interface Correction {
  readonly steps: number;
  /** The topic's attention to the sentences before and after. */
  readonly before: number;
  readonly after: number;
  /** Half of Σ |change| over years, for each topic: how much attention went to another year. */
  readonly moved: readonly number[];
  /** Counted work of all of it. */
  readonly multiplyAdds: number;
}

const STEPS = 60;
/** How far a key moves a step; keys have length 1. */
const STEP = 0.05;

/**
 * Moves the keys in `slots` until query `topic` gives them at most `most` of its attention together, at most
 * 60 steps.
 *
 * The loss is o, the output in the column of marked sentences; its derivative by a key is θ w (v − o) q, so
 * that each step takes the key away from the question. Steps have one length, since derivatives vanish with
 * the weight that is to vanish; a key that is no longer among the 64 heaviest stays where it is.
 */
export async function correct(
  memory: TopicMemory,
  topic: number,
  slots: readonly number[],
  most: number,
): Promise<Correction> {
  const { live, markColumn } = memory;
  const years = await memory.byYear();
  const start = live.stats().multiplyAdds;
  for (const slot of slots) memory.mark(slot);
  const before = await live.readEntry(topic, markColumn);
  const gradient = new Float32Array(markColumn + 1);
  gradient[markColumn] = 1;
  let after = before, steps = 0;
  while (after > most && steps < STEPS) {
    const { slots: touched, key } = await attentionGradients(live, [gradient], { rows: [topic], top: 64 });
    for (const slot of slots) {
      const row = touched.indexOf(slot);
      if (row === -1) continue;
      const width = key.shape[1], derivative = key.data.subarray(row * width, (row + 1) * width);
      const length = Math.hypot(...derivative);
      if (!(length > 0)) continue;
      live.setKey(slot, live.getKey(slot).map((number, c) => number - STEP * derivative[c] / length));
    }
    after = await live.readEntry(topic, markColumn);
    steps++;
  }
  for (const slot of slots) memory.mark(slot, false);
  return {
    steps,
    before,
    after,
    moved: movedBetween(years, await memory.byYear()),
    multiplyAdds: live.stats().multiplyAdds - start,
  };
}

/** The blunt way: the sentences are deleted, for all topics. */
export async function forget(
  memory: TopicMemory,
  topic: number,
  slots: readonly number[],
): Promise<Correction> {
  const { live, markColumn } = memory;
  const years = await memory.byYear();
  const start = live.stats().multiplyAdds;
  for (const slot of slots) memory.mark(slot);
  const before = await live.readEntry(topic, markColumn);
  for (const slot of slots) live.delete(slot);
  const moved = movedBetween(years, await memory.byYear());
  return {
    steps: 1,
    before,
    after: await live.readEntry(topic, markColumn),
    moved,
    multiplyAdds: live.stats().multiplyAdds - start,
  };
}

function movedBetween(before: readonly number[][], after: readonly number[][]): number[] {
  return before.map((row, topic) =>
    row.reduce((sum, share, year) => sum + Math.abs(after[topic][year] - share), 0) / 2
  );
}
