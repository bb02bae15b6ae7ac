// Reads that answer rows while they are brought up to date: with the bits of rows that are read afterwards,
// and without a second pass over them, or a turn of the queue more than there has to be.

import { DynamicAttention, InputError } from "../../mod.ts";
import type { Ahead, Backend, Cohort, Wanted } from "../../src/backends/backend.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { assert, assertEquals, assertRejects } from "../../testing/assert.ts";
import { Wrapped } from "../../testing/fake_backends.ts";
import { Random } from "../../testing/random.ts";
import { QUICK_BACKENDS } from "../backends_here.ts";

const DIM = 5, KEYS = 60;

/** Counts reads after updates. */
class Counting extends Wrapped {
  reads = 0;
  override read(cohort: Cohort, wanted: Wanted, parts?: readonly Cohort[]) {
    this.reads++;
    return super.read(cohort, wanted, parts);
  }
}

/** A wrapper that knows nothing of answers on the way. */
class Older extends Wrapped {
  override update(build: Uint32Array, patch: readonly Cohort[], _ahead?: Ahead | null): Promise<void> | null {
    return super.update(build, patch);
  }
}

/** What makes rows different from one another. */
const ENGINES = {
  "one head": {},
  "two heads": { heads: 2 },
  "a sink": { sinks: [0.5] },
  "scores in the hundreds": { scale: 40 },
  "a window": { window: [50, 9] },
  "float16": { storage: "float16" },
} as const;

function optionsOf(random: Random, of: object, heads: number) {
  return {
    query: random.rows(27, heads * DIM),
    key: random.rows(KEYS, heads * DIM),
    value: random.rows(KEYS, heads * DIM),
    ...of,
    lazyThreshold: Infinity,
    threads: 1,
  };
}

/** An edit, most often of a key alone. */
function edit(live: DynamicAttention, random: Random, width: number): void {
  const kind = random.below(12), slot = random.pick(live.keyIds().map(Number));
  if (kind < 6) live.setKey(slot, random.row(width, random.pick([1, 1, 1, 12])));
  else if (kind < 8) live.setValue(slot, random.row(width));
  else if (kind === 8) live.insert(random.row(width), random.row(width));
  else if (kind === 9) live.delete(slot);
  else if (kind === 10) live.setQuery(random.pick(live.queryIds().map(Number)), random.row(width));
  else live.setKey(slot, new Float32Array(width));
}

for (const backend of QUICK_BACKENDS) {
  for (const [name, of] of Object.entries(ENGINES)) {
    Deno.test(`rows that are read on the way have the bits of others on ${backend}: ${name}`, async () => {
      const heads = "heads" in of ? of.heads : 1;
      const twins = await Promise.all([0, 1].map((which) => {
        const options = { ...optionsOf(new Random(3), of, heads), backend };
        return which === 0
          ? DynamicAttention.create(options)
          : createEngine(options, { wrap: (inner: Backend) => new Older(inner) });
      }));
      for (let step = 0; step < 40; step++) {
        const answers = await Promise.all(twins.map(async (live) => {
          const random = new Random(100 + step);
          const edits = random.pick([1, 1, 1, 2, 20]);
          for (let at = 0; at < edits; at++) edit(live, random, heads * DIM);
          if (step === 20) live.deleteQuery(9);
          if (step % 5 === 4) return (await live.logSumExp()).data;
          const into = step % 2 === 0 ? new Float32Array(live.queryIds().length * heads * DIM) : undefined;
          return (await live.read(undefined, into ? { into } : {})).data;
        }));
        assertEquals(
          [...new Uint32Array(answers[0].buffer)],
          [...new Uint32Array(answers[1].buffer)],
          `step ${step}`,
        );
      }
      for (const live of twins) await live.dispose();
    });
  }
}

Deno.test("an edit and a read of all rows on wasm are one pass, in four turns", async () => {
  const random = new Random(1), made: Counting[] = [];
  const wrap = (inner: Backend) => {
    const counting = new Counting(inner);
    made.push(counting);
    return counting;
  };
  await using live = await createEngine({ ...optionsOf(random, {}, 1), backend: "wasm" }, { wrap });
  await live.read();
  const before = made[0].reads, into = new Float32Array(27 * DIM);
  for (const options of [{}, { into }]) {
    for (let at = 0; at < 8; at++) {
      live.setKey(at, random.row(DIM));
      let turns = 0, isAnswered = false;
      const turn = () => {
        turns++;
        if (!isAnswered) queueMicrotask(turn);
      };
      queueMicrotask(turn);
      await live.read(undefined, options).then(() => isAnswered = true);
      assert(turns <= 4, `${turns} turns`);
    }
  }
  assertEquals(made[0].reads, before);
  // Without a change there is nothing to answer on the way of.
  await live.read();
  assertEquals(made[0].reads, before + 1);
});

Deno.test("an array that has lost its room fails its own read alone, and the edit is in the next answer", async () => {
  for (const backend of QUICK_BACKENDS) {
    await using live = await DynamicAttention.create({ ...optionsOf(new Random(2), {}, 1), backend });
    await live.read();
    live.setValue(3, new Float32Array(DIM).fill(1000));
    const into = new Float32Array(27 * DIM);
    const lost = live.read(undefined, { into }), after = live.read();
    structuredClone(into, { transfer: [into.buffer] });
    await assertRejects(() => lost, InputError, "into has 0 numbers by now");
    assert((await after).data.some((number) => number > 1), backend);
  }
});
