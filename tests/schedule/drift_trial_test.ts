// The trial that decides whether following drift pays: what it may lose, and when it begins again.

import { DriftTrial, type Price } from "../../src/schedule/drift_trial.ts";
import { assert, assertEquals, assertGreater, assertLessOrEqual } from "../../testing/assert.ts";

const FREE: Price = { work: 0, time: 0 };
const both = (cost: number): Price => ({ work: cost, time: cost });

interface Stream {
  /** What beginning a trial costs, and what an answer by copies costs less than an exact one, which takes 1,000. */
  readonly begin: Price;
  readonly saved: Price;
  /** How many copies of each one are made anew in an answer, and what is owed at any time. */
  readonly refreshes: number;
  readonly debt: Price;
}

/** Answers; returns when trials began, what they cost in all, and whether one goes on. */
function run(answers: number, { begin, saved, refreshes, debt }: Stream) {
  const trial = new DriftTrial(), begun: number[] = [], lost = { work: 0, time: 0 };
  for (let answer = 0; answer < answers; answer++) {
    trial.answered(both(1000));
    if (trial.isDue(begin, true)) {
      trial.begin(begin, both(20_000));
      begun.push(answer);
      lost.work += begin.work;
      lost.time += begin.time;
    }
    if (!trial.isFollowing) continue;
    trial.saved(saved, refreshes, () => debt);
    lost.work -= saved.work;
    lost.time -= saved.time;
  }
  return { begun, lost, isFollowing: trial.isFollowing };
}

Deno.test("a trial that cannot earn is begun ever more seldom, and loses ever less", () => {
  const stream = { begin: both(50), saved: both(-300), refreshes: 1, debt: FREE };
  const { begun, lost, isFollowing } = run(20_000, stream);
  assertEquals([begun[0], isFollowing], [3, false]);
  const pauses = begun.slice(1).map((answer, at) => answer - begun[at]);
  for (let at = 2; at < pauses.length; at++) assertGreater(pauses[at], 1.7 * pauses[at - 1]);
  assertGreater(pauses.length, 4);
  assertLessOrEqual(lost.work, 20_000);
});

Deno.test("trials that lose a little lose a twentieth of the time and a fiftieth of the work at most", () => {
  const stream = { begin: both(50), refreshes: 0, debt: FREE };
  const ofTime = run(20_000, { ...stream, saved: { work: 0, time: -100 } });
  assertLessOrEqual(ofTime.lost.time, 20_000 * 1000 / 20 + 200);
  const ofWork = run(20_000, { ...stream, saved: both(-30) });
  assertLessOrEqual(ofWork.lost.work, 20_000 * 1000 / 50 + 100);
});

Deno.test("a trial goes on while it saves both work and time, and is lost when it saves one of them alone", () => {
  const stream = { begin: both(50), refreshes: 0.1, debt: both(100) };
  assert(run(2000, { ...stream, saved: both(40) }).isFollowing);
  for (const saved of [{ work: 60, time: -30 }, { work: -10, time: 60 }]) {
    assert(!run(2000, { ...stream, saved }).isFollowing);
  }
});

Deno.test("when all copies have been made anew some times, what is owed counts", () => {
  const trial = new DriftTrial();
  for (let answer = 0; answer < 100; answer++) trial.answered(both(1000));
  trial.begin(FREE, both(1e6));
  let owed = 0;
  for (let look = 1; trial.isFollowing && look < 100; look++) {
    trial.answered(both(1000));
    // Each look puts off more than it saves.
    owed += 1100;
    trial.saved(both(1000), 0.1, () => both(owed));
  }
  assert(!trial.isFollowing);
  assertLessOrEqual(owed, 31 * 1100);
});

Deno.test("what following has saved is credit for a share and what is owed at most, so that a stream that changes is noticed", () => {
  const trial = new DriftTrial();
  trial.answered(both(1e5));
  trial.begin(FREE, both(20_000));
  for (let answer = 0; answer < 1000; answer++) {
    trial.answered(both(1000));
    trial.saved(both(900), 0, () => FREE);
  }
  assert(trial.isFollowing);
  let answers = 0;
  for (; trial.isFollowing; answers++) {
    trial.answered(both(1000));
    trial.saved(both(-1000), 0, () => FREE);
  }
  assertLessOrEqual(answers, 70);
});
