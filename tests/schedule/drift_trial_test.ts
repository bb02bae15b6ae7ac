// The trial that decides whether following drift pays: what it may lose, and when it begins again.

import { DriftTrial, type Price } from "../../src/schedule/drift_trial.ts";
import { assert, assertEquals, assertGreater, assertLessOrEqual } from "../../testing/assert.ts";

const FREE: Price = { work: 0, time: 0 };
const BUILD: Price = { work: 1e6, time: 1e6 };
const both = (cost: number): Price => ({ work: cost, time: cost });

/** Answers at 1,000 each; a trial costs `upkeep` an answer and would save `saved` of its 60. */
function run(answers: number, { upkeep, saved, refreshes }: {
  readonly upkeep: Price;
  readonly saved: Price;
  readonly refreshes: number;
}) {
  const trial = new DriftTrial(), begun: number[] = [];
  let lost = 0;
  for (let answer = 0; answer < answers; answer++) {
    if (trial.isDue(both(50))) {
      trial.beginSample(both(50));
      lost += 50;
      begun.push(answer);
    }
    if (trial.hasPaid) return { begun, lost, paidAfter: answer };
    trial.answered(1000, 1000);
    if (trial.phase !== "sample") continue;
    trial.paid(upkeep);
    lost += upkeep.time;
    const followed = { work: 60 - saved.work, time: 60 - saved.time };
    trial.answeredSample({ exact: both(60), followed, debt: FREE, refreshes }, BUILD);
  }
  return { begun, lost, paidAfter: null };
}

Deno.test("a trial that cannot earn is begun ever more seldom, and loses ever less", () => {
  const upkeep = { work: 5, time: 30 };
  const { begun, lost, paidAfter } = run(20_000, { upkeep, saved: FREE, refreshes: 1 });
  assertEquals(paidAfter, null);
  const pauses = begun.slice(1).map((answer, at) => answer - begun[at]);
  for (let at = 2; at < pauses.length; at++) assertGreater(pauses[at], 1.7 * pauses[at - 1]);
  assertLessOrEqual(lost, 20_000);
});

Deno.test("a trial that nothing decides loses a tenth of the time and a fiftieth of the work at most", () => {
  const { lost } = run(20_000, { upkeep: { work: 0, time: 300 }, saved: FREE, refreshes: 0 });
  assertLessOrEqual(lost, 20_000 * 1000 / 10 + 300);
  const ofWork = run(20_000, { upkeep: both(100), saved: FREE, refreshes: 0 });
  assertLessOrEqual(ofWork.lost, 20_000 * 1000 / 50 + 100);
});

Deno.test("a sample has paid when it saves both work and time, and not before", () => {
  const upkeep = both(3);
  const { paidAfter } = run(2000, { upkeep, saved: both(40), refreshes: 0 });
  assert(paidAfter !== null && paidAfter < 40);
  for (const saved of [{ work: 60, time: 3 }, { work: 10, time: 60 }]) {
    assertEquals(run(2000, { upkeep, saved, refreshes: 0 }).paidAfter, null);
  }
});

Deno.test("what following has gained is credit for a share, so that a stream that changes is noticed", () => {
  const trial = new DriftTrial();
  trial.answered(1e5, 1e5);
  trial.beginSample(FREE);
  trial.beginAll(FREE, 16);
  for (let answer = 0; answer < 1000; answer++) {
    trial.answered(1000, 1000);
    trial.answeredAll(both(900));
  }
  assertEquals(trial.phase, "all");
  let answers = 0;
  for (; trial.phase === "all"; answers++) {
    trial.answered(1000, 1000);
    trial.answeredAll(both(-1000));
  }
  assertLessOrEqual(answers, 50);
});
