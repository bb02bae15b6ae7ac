// Plays a stream in several ways at once, in turns, so that whatever else the machine does slows all of them
// alike.

import { cpuUsage } from "node:process";
import { median, quantile } from "simple-statistics";
import { DynamicAttention, type DynamicAttentionOptions } from "../../mod.ts";
import type { Stream, StreamStep } from "./streams.ts";

/** A way to look at what a stream has made of its rows. */
export interface Way {
  readonly name: string;
  readonly options: Pick<DynamicAttentionOptions, "lazyThreshold" | "onThreshold">;
  /** Begins to look; what it returns is called once a step. */
  begin(live: DynamicAttention): (rows: StreamStep["rows"]) => Promise<unknown>;
}

/** The time and the work of one way of answering. */
export interface Played {
  readonly name: string;
  /** Multiply-adds a step. */
  readonly work: number;
  /** Milliseconds of each turn, edits included, and of each step. */
  readonly turns: readonly number[];
  readonly steps: readonly number[];
  /** Milliseconds of processors, compilers and collectors included, a step in the mean: other programs are not in it. */
  readonly processor: number;
}

/** Steps of a turn, and the first turns, whose times are those of a compiler. */
const TURN = 16, WARM_TURNS = 4;

/** Exact reads, which the others are measured by. */
export const EXACT: Way = {
  name: "read",
  options: { lazyThreshold: Infinity },
  begin: (live) => (rows) => rows === null ? live.read() : live.read(rows),
};

const peeks: Way["begin"] = (live) => (rows) => rows === null ? live.peek() : live.peek(rows);

/** The ways that keep an error. */
export function waysWithin(error: number): Way[] {
  return [
    { name: `{ error: ${error} }`, options: { lazyThreshold: { error } }, begin: peeks },
    { name: `{ targetError: ${error} }`, options: { lazyThreshold: { targetError: error } }, begin: peeks },
  ];
}

/** All rows of a stream whose rows stay, followed. */
export function followedWithin(error: number): Way {
  return {
    name: `follow, ${error}`,
    options: { lazyThreshold: Infinity },
    begin: (live) => {
      const followed = live.follow(undefined, { error });
      return () => followed.refresh();
    },
  };
}

/** Plays a stream in every way; all engines have their first rows built before anything is counted. */
export async function play(
  { first, steps }: Stream,
  ways: readonly Way[],
  backend: "array" | "wasm",
): Promise<Played[]> {
  const courses = [];
  for (const way of ways) {
    const live = await DynamicAttention.create({ ...first, backend, threads: 1, ...way.options });
    await live.read();
    courses.push({ way, live, look: way.begin(live), turns: [] as number[], steps: [] as number[], us: [0] });
  }
  const before = courses.map(({ live }) => live.stats().multiplyAdds);
  for (let from = 0, turn = 0; from < steps.length; from += TURN, turn++) {
    // The way that begins a turn finds the caches of the last one, so each begins in its turn.
    for (let at = 0; at < courses.length; at++) {
      const { live, look, ...course } = courses[(at + turn) % courses.length];
      let sum = 0;
      const used = cpuUsage(), isWarm = turn >= Math.min(WARM_TURNS, Math.ceil(steps.length / TURN) - 1);
      for (const { edits, rows } of steps.slice(from, from + TURN)) {
        const start = performance.now();
        live.edit([...edits]);
        await look(rows);
        const ms = performance.now() - start;
        if (isWarm) course.steps.push(ms);
        sum += ms;
      }
      const { user, system } = cpuUsage(used);
      if (!isWarm) continue;
      course.turns.push(sum);
      course.us[0] += user + system;
    }
  }
  const played = courses.map(({ way, live, ...course }, at) => ({
    name: way.name,
    work: (live.stats().multiplyAdds - before[at]) / steps.length,
    turns: course.turns,
    processor: course.us[0] / 1000 / course.steps.length,
    steps: course.steps,
  }));
  for (const { live } of courses) await live.dispose();
  return played;
}

/** The cells of a way's row: work and time a step, and both over those of exact reads. */
export function cellsOf({ name, work, turns, steps, processor }: Played, exact: Played): string[] {
  const ratios = turns.map((ms, at) => ms / exact.turns[at]), [low, high] = quantile(ratios, [0.25, 0.75]);
  const us = (ms: number) => (1000 * ms).toPrecision(3);
  return [
    name,
    Math.round(work).toLocaleString("en"),
    (work / exact.work).toPrecision(3),
    us(median([...steps])),
    (median([...steps]) / median([...exact.steps])).toFixed(2),
    us(processor),
    (processor / exact.processor).toFixed(2),
    `${median(ratios).toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`,
  ];
}
