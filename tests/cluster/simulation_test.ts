// Limit: 40 minutes.
//
// Whole clusters in a simulated world: a seed is a run with a network that loses, delays, doubles and
// reorders, and with hosts and clients that freeze, are cut off, and die. No acknowledged edit is lost or done
// twice, no answer is older than its token or over fewer keys, replicas have the same bits, and everything is
// answered again when the weather is calm.

import { assert, assertEquals, assertGreater } from "../../testing/assert.ts";
import { Partition } from "../../src/cluster/partition.ts";
import { Ledger } from "../../src/cluster/ledger.ts";
import { makeRun, type Run, shrink } from "../../testing/cluster/sim_run.ts";
import { type Outcome, simulate } from "../../testing/cluster/simulate.ts";
import type { SeedResult } from "../../testing/cluster/simulate_worker.ts";
import { IS_LONG } from "../../testing/requirements.ts";

const SEEDS = IS_LONG ? 900 : 10;
/** Runs in which answers once said that they were younger than they were. */
const ONCE_WRONG: readonly number[] = [22, 514];
const WORKERS = IS_LONG ? navigator.hardwareConcurrency : 2;

async function faultOf(run: Run): Promise<string> {
  try {
    await simulate(run);
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The smallest run that fails with the same words, as text. */
async function smallest(run: Run, words: string): Promise<string> {
  const kind = (text: string) => text.replace(/[-\d.e+]+/g, "0");
  return JSON.stringify(
    await shrink(run, async (smaller) => kind(await faultOf(smaller)) === kind(words)),
    null,
    1,
  );
}

function simulateAll(seeds: readonly number[], take: (result: SeedResult) => void): Promise<void> {
  const worker = new Worker(new URL("../../testing/cluster/simulate_worker.ts", import.meta.url), {
    type: "module",
  });
  return new Promise((resolve, reject) => {
    let left = seeds.length;
    worker.onmessage = ({ data }: MessageEvent<SeedResult>) => {
      take(data);
      if (--left > 0) return;
      worker.terminate();
      resolve();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      worker.terminate();
      reject(new Error(event.message));
    };
    worker.postMessage(seeds);
  });
}

Deno.test(`cluster: ${SEEDS} runs of the simulation end well`, async () => {
  const total: Record<keyof Outcome, number> = {
    ...{ edits: 0, acknowledged: 0, reads: 0, refused: 0, snapshots: 0, milliseconds: 0, timers: 0 },
  };
  let failed: SeedResult | null = null;
  const take = (result: SeedResult) => {
    if (result.outcome === null) failed ??= result;
    else for (const name of Object.keys(total) as (keyof Outcome)[]) total[name] += result.outcome[name];
  };
  await Promise.all(Array.from({ length: WORKERS }, (_, worker) => {
    return simulateAll(
      [...new Set([...Array.from({ length: SEEDS }, (_, at) => at + 1), ...ONCE_WRONG])]
        .filter((at) => at % WORKERS === worker),
      take,
    );
  }));
  console.log(JSON.stringify(total));
  if (failed) {
    const { seed, fault } = failed as SeedResult;
    throw new Error(`seed ${seed}: ${fault}\n${await smallest(makeRun(seed), fault)}`);
  }
  assertGreater(total.acknowledged, 15 * SEEDS);
  assertGreater(total.reads, 2 * SEEDS);
  assertGreater(total.snapshots, SEEDS / 10);
});

/** Runs seeds with a method replaced, until one fails; the words of its fault. One of some fifty does. */
async function firstFault(
  break_: () => () => void,
): Promise<{ readonly run: Run; readonly words: string } | null> {
  const restore = break_();
  try {
    for (let seed = 1; seed <= 400; seed++) {
      const words = await faultOf(makeRun(seed));
      if (words !== "") return { run: makeRun(seed), words };
    }
    return null;
  } finally {
    restore();
  }
}

Deno.test("cluster: the simulation notices records that are applied twice, and shrinks the run", async () => {
  const isNew = Ledger.prototype.isNew;
  const break_ = () => {
    Ledger.prototype.isNew = () => true;
    return () => Ledger.prototype.isNew = isNew;
  };
  const found = await firstFault(break_);
  assert(found);
  const restore = break_();
  try {
    const run = await shrink(found.run, async (smaller) => await faultOf(smaller) !== "");
    assert(run.actions.length < found.run.actions.length || run.actions.length <= 3);
    assert(await faultOf(run) !== "");
  } finally {
    restore();
  }
  assertEquals(await faultOf(found.run), "");
});

Deno.test("cluster: the simulation notices sums that forget a change", async () => {
  const { isBehind, update } = Partition.prototype;
  const term = {
    ...{ rows: new Float32Array(5).fill(1), start: 0, exponents: new Int16Array(1), exponentsAt: 0 },
    ...{ position: 0, biases: null, biasesAt: 0 },
  };
  let calls = 0;
  const found = await firstFault(() => {
    Partition.prototype.update = function (id, query) {
      const sums = update.call(this, id, query);
      if (++calls % 7 === 0) sums.change(1, term);
      return sums;
    };
    return () => Object.assign(Partition.prototype, { isBehind, update });
  });
  assert(found);
});
