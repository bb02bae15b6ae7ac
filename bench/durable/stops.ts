// How long the loop stands still while 65,536 keys are written down: by a snapshot of a folder, and by `save` of an engine alone;
// beside that the same wait with nothing to do, which is the machine's own noise.

import { DynamicAttention } from "../../mod.ts";
import { openDurable } from "../../src/durable/mod.ts";
import { quantile } from "simple-statistics";
import { type Beats, beatsDuring, type LongestStop, type Stops, summaryOf } from "./heartbeat.ts";
import { DIM } from "./memory_workload.ts";

const KEYS = 65_536, QUERIES = 32;

/** Runs of one kind. */
export interface StopCosts {
  readonly name: string;
  /** The longest stops of all runs, by each measure. */
  readonly longest: Readonly<Record<keyof LongestStop, Stops>>;
  /** Milliseconds of a run, the median. */
  readonly ms: number;
  readonly bytes: number;
}

/** Measures `runs` runs of each kind, in turn. */
export async function measureStops(folder: string, runs: number): Promise<StopCosts[]> {
  const data = Float32Array.from({ length: KEYS * DIM }, (_, at) => Math.sin(at));
  const matrix = { data, shape: [KEYS, DIM] as const };
  const query = { data: data.slice(0, QUERIES * DIM), shape: [QUERIES, DIM] as const };
  const create = { query, key: matrix, value: matrix, lazyThreshold: Infinity };
  await using live = await openDurable(folder, { create, snapshot: { journalBytes: Infinity } });
  await using alone = await DynamicAttention.create(create);
  /** The beats of each kind, in the order of `kinds`. */
  const seen: readonly Beats[][] = [[], [], []];
  let saved = 0, edit = 0;
  const kinds = [
    {
      name: "nothing, for as long",
      run: () => new Promise((resolve) => setTimeout(resolve, seen[1].at(-1)?.ms ?? 300)),
      bytes: () => 0,
    },
    {
      name: "snapshot of a folder",
      run: () => live.snapshot(),
      bytes: () => live.stats().durable.snapshot.bytes,
    },
    { name: "save of an engine", run: async () => saved = (await alone.save()).length, bytes: () => saved },
  ];
  for (let round = 0; round <= runs; round++) {
    for (const [at, { run }] of kinds.entries()) {
      for (let more = 0; more < 200; more++, edit++) {
        for (const engine of [live, alone]) engine.setValue(edit % KEYS, data.subarray(0, DIM));
      }
      await live.committed();
      await alone.flush();
      const beats = await beatsDuring(run);
      // The first ones load and compile what they need.
      if (round > 0) seen[at].push(beats);
    }
  }
  return kinds.map(({ name, bytes }, at) => {
    const of = (measure: keyof Beats) => seen[at].map((beats) => beats[measure]);
    return {
      name,
      longest: {
        clock: summaryOf(of("clock")),
        own: summaryOf(of("own")),
        computed: summaryOf(of("computed")),
      },
      ms: quantile(of("ms"), 0.5),
      bytes: bytes(),
    };
  });
}
