// Limit: 20 minutes.
//
// A writer is killed with SIGKILL at random points: while it writes, while a snapshot is written, while old records are
// removed, while it opens the folder. After each kill every acknowledged batch is there once, rows to the bit, and answers
// are the oracle's. ATTUNE_LONG=1 kills 120 times.

import { DynamicAttention, type RowId } from "../../mod.ts";
import { OnlineLearner } from "../../src/learning/mod.ts";
import { openDurable } from "../../src/durable/mod.ts";
import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "../../testing/assert.ts";
import { EditStream, SMALL, type StreamSettings } from "../../testing/durable/edit_stream.ts";
import { LEARNER_WRITER, runWriter } from "../../testing/durable/run_writer.ts";
import { learnerOptions, learnNext, LEARNT, rowsOf } from "../../testing/durable/learner_writer.ts";
import { assertSameMemory, bitsOf } from "../../testing/durable/same_rows.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";

const IN_FLIGHT = 4;

interface KillCase {
  readonly name: string;
  readonly stream: StreamSettings;
  readonly journalBytes: number;
  readonly kills: number;
  /** When this kill comes. */
  when(random: Random): { readonly isTime?: (line: string) => boolean; readonly afterMs?: number };
}

/** After some acknowledgements. */
function afterAcks(random: Random, most: number) {
  let left = 1 + random.below(most);
  return { isTime: (line: string) => line.startsWith("ack ") && --left === 0 };
}

const CASES: readonly KillCase[] = [
  {
    name: "while it writes",
    stream: { ...SMALL, seed: 11 },
    journalBytes: 1e15,
    kills: IS_LONG ? 30 : 3,
    when: (random) => afterAcks(random, 80),
  },
  {
    name: "while it writes, with a mask function and positions",
    stream: { ...SMALL, seed: 12, masked: true, causal: true, moves: true, shifts: true },
    journalBytes: 1 << 14,
    kills: IS_LONG ? 20 : 3,
    when: (random) => afterAcks(random, 80),
  },
  {
    name: "while it writes, with ids and a mask that changes",
    stream: { ...SMALL, seed: 15, ids: true, maskEdits: true, causal: true, moves: true },
    journalBytes: 1 << 15,
    kills: IS_LONG ? 20 : 3,
    when: (random) => afterAcks(random, 80),
  },
  {
    name: "while snapshots are written and records removed",
    stream: { ...SMALL, seed: 13, keys: 1500, headDim: 24, valueDim: 24, ids: true },
    journalBytes: 2048,
    kills: IS_LONG ? 30 : 3,
    when: (random) => {
      let snapshots = 2 + random.below(6), acks = random.below(12);
      return {
        isTime: (line) =>
          line === "snapshot" ? --snapshots === 0 && acks === 0 : snapshots <= 0 && --acks === 0,
      };
    },
  },
  {
    name: "while it opens the folder",
    stream: { ...SMALL, seed: 14 },
    journalBytes: 1 << 13,
    kills: IS_LONG ? 20 : 3,
    when: (random) => {
      if (random.below(3) === 0) return afterAcks(random, 40);
      let isOpening = false;
      const isTime = (line: string) => {
        isOpening ||= line === "opening";
        return isOpening && random.below(2) === 0;
      };
      return random.below(2) === 0 ? { isTime } : { afterMs: 60 + random.below(400) };
    },
  },
];

for (const { name, stream: settings, journalBytes, kills, when } of CASES) {
  Deno.test(`kill -9 ${name}: nothing acknowledged is lost, nothing is there twice`, async () => {
    const folder = await Deno.makeTempDir();
    const random = new Random(settings.seed);
    const stream = new EditStream(settings);
    const { mask, ...options } = stream.options();
    // Whatever the mask function said before is on disk; asked again, it would say something else.
    const create = typeof mask === "function"
      ? {
        ...options,
        mask: () => {
          throw new Error("asked in a replay");
        },
      }
      : { ...options, ...(mask ? { mask } : {}) };
    let wereKilled = 0, unheard = 0;
    try {
      for (let kill = 0; kill < kills; kill++) {
        const folderOfRun = `${folder}/memory`;
        const run = await runWriter(
          folderOfRun,
          { stream: settings, inFlight: IN_FLIGHT, journalBytes },
          when(random),
        );
        assertEquals(run.lines.filter((line) => line.startsWith("error")), []);
        if (run.wasKilled) wereKilled++;
        await using live = await openDurable<RowId, RowId>(folderOfRun, { create, client: "writer" });
        const counted = live.lastClientSequence();
        assertGreaterOrEqual(counted, Math.max(run.acknowledged, stream.made));
        assertLessOrEqual(counted, Math.max(run.acknowledged, stream.made) + IN_FLIGHT);
        if (counted > run.acknowledged) unheard++;
        stream.advanceTo(counted);
        await assertSameMemory(live, stream.model);
        assertEquals((await live.verify({ deep: true })).problems, []);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    assertGreaterOrEqual(wereKilled, Math.ceil(kills / 2));
    assert(stream.made > 0, "something was written");
    console.log(
      `  ${wereKilled} kills, ${stream.made} batches, ${unheard} times one was on disk before its client heard of it`,
    );
  });
}

Deno.test("kill -9 while it learns: rows and states are those of a learner that nobody killed", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`, random = new Random(16);
  await using plain = await DynamicAttention.create<number, string>(LEARNT);
  const untouched = new OnlineLearner(plain, learnerOptions());
  let unheard = 0;
  const kills = IS_LONG ? 40 : 4;
  for (let kill = 0; kill < kills; kill++) {
    // Every third run takes snapshots all the time.
    const journalBytes = kill % 3 === 0 ? 2048 : 1 << 16;
    const run = await runWriter(folder, { journalBytes }, afterAcks(random, 60), [], LEARNER_WRITER);
    assertEquals(run.lines.filter((line) => line.startsWith("error")), []);
    await using live = await openDurable<number, string>(folder, { create: LEARNT });
    const learner = await live.learner(learnerOptions()), { steps } = learner.stats();
    assertGreaterOrEqual(steps, run.acknowledged);
    assertLessOrEqual(steps, Math.max(run.acknowledged, untouched.stats().steps) + 1);
    if (steps > run.acknowledged) unheard++;
    while (untouched.stats().steps < steps) await learnNext(untouched);
    assertEquals(learner.stats(), untouched.stats());
    assertEquals(rowsOf(live.engine).map(bitsOf), rowsOf(plain).map(bitsOf));
    // The states are the same where the next step is.
    await learnNext(learner);
    await learnNext(untouched);
    assertEquals(rowsOf(live.engine).map(bitsOf), rowsOf(plain).map(bitsOf));
    assertEquals((await live.verify({ deep: true })).problems, []);
  }
  await Deno.remove(base, { recursive: true });
  console.log(
    `  ${kills} kills, ${untouched.stats().steps} steps, ${unheard} times one was on disk that nobody had heard of`,
  );
});
