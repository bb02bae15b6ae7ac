// When to measure errors and when to bring rows up to date at once: what is decided, and what that can cost.

import fc from "fast-check";
import { assert, assertEquals, assertGreater, assertLess, assertLessOrEqual } from "../../testing/assert.ts";
import { ErrorBalance } from "../../src/schedule/error_balance.ts";

/** What a peek costs in either way. */
interface Peek {
  /** Measured. */
  readonly spent: number;
  /** With rows brought up to date at every peek. */
  readonly alternative: number;
  /** What a measured peek leaves undone, all in all. */
  readonly debt: number;
}

/** Measuring that costs more than it saves, and less. */
const LOSS: Peek = { spent: 2, alternative: 1, debt: 0 };
const GAIN: Peek = { spent: 1, alternative: 10, debt: 0 };

interface Totals {
  /** Cost of doing what the balance says, with the debt that is left in the end. */
  followed: number;
  /** Cost of bringing rows up to date at each peek. */
  applied: number;
  /** Peeks that were measured, trial by trial. */
  readonly trials: number[];
}

/** Answers peeks as the balance says; what the next one costs may depend on what it has decided. */
function follow(balance: ErrorBalance, count: number, next: (measures: boolean, at: number) => Peek): Totals {
  const totals: Totals = { followed: 0, applied: 0, trials: [] };
  let owed = 0, wasMeasured = false;
  for (let at = 0; at < count; at++) {
    const { measures } = balance;
    const { spent, alternative, debt } = next(measures, at);
    totals.applied += alternative;
    if (measures) {
      if (!wasMeasured) totals.trials.push(0);
      totals.trials[totals.trials.length - 1]++;
      totals.followed += spent;
      owed = debt;
      balance.measured(spent, alternative, debt);
    } else {
      totals.followed += alternative + owed;
      owed = 0;
      balance.applied(alternative);
    }
    wasMeasured = measures;
  }
  totals.followed += owed;
  return totals;
}

Deno.test("measuring is tried first, and kept up while it costs no more", () => {
  for (const peek of [GAIN, { spent: 3, alternative: 3, debt: 0 }, { spent: 1, alternative: 2, debt: 5 }]) {
    const balance = new ErrorBalance();
    assert(balance.measures);
    assertEquals(follow(balance, 5000, () => peek).trials, [5000]);
  }
});

Deno.test("what a trial leaves undone is billed to it", () => {
  let debt = 0;
  // A peek that costs half as much, and owes the other half and more.
  const { trials } = follow(new ErrorBalance(), 1000, (measures) => {
    debt = measures ? debt + 0.8 : 0;
    return { spent: 0.5, alternative: 1, debt };
  });
  assertLess(trials[0], 1000);
  assertLess(trials.reduce((sum, trial) => sum + trial, 0), 500);
});

Deno.test("trials that are lost get rarer and longer", () => {
  const { trials } = follow(new ErrorBalance(), 20_000, () => LOSS);
  assertGreater(trials.length, 3);
  assertLess(trials.length, 20);
  for (let at = 1; at < trials.length - 1; at++) assertGreater(trials[at], trials[at - 1]);
});

Deno.test("peeks at nothing new end no trial", () => {
  const balance = new ErrorBalance();
  follow(balance, 100, () => ({ spent: 0, alternative: 0, debt: 0 }));
  assertEquals(follow(balance, 5, () => LOSS).trials, [5]);
});

Deno.test("reset forgets what was saved, what was lost and how long to wait", () => {
  const balance = new ErrorBalance();
  const fresh = follow(new ErrorBalance(), 500, () => LOSS);
  follow(balance, 1000, () => LOSS);
  balance.reset();
  assertEquals(follow(balance, 500, () => LOSS), fresh);
  follow(balance, 1000, () => GAIN);
  balance.reset();
  assertEquals(follow(balance, 500, () => LOSS), fresh);
});

Deno.test("when measuring comes to cost more it is given up, when it comes to cost less it is taken up", () => {
  const balance = new ErrorBalance();
  follow(balance, 1000, () => GAIN);
  const lossy = follow(balance, 10_000, () => LOSS);
  assertLess(lossy.followed, 1.2 * lossy.applied);
  const gainful = follow(balance, 10_000, () => GAIN);
  assertLess(gainful.followed, 0.5 * gainful.applied);
});

// ---- what it can cost ------------------------------------------------------------------------------------

// What trials have lost exceeds a twentieth of the alternative and the seed, eight peeks of it, at most by what the
// peek in which a budget ran out added: it spent at most 10 and its debt grew by at most 40.
const OVERSHOOT = 50;

function assertBounded({ followed, applied }: Totals, seed: number, scale = 1): void {
  assertLessOrEqual(followed, 1.05 * applied + 8 * seed + OVERSHOOT * scale + 1e-6 * applied);
}

const cost = fc.double({ min: 1, max: 10, noNaN: true });
const debt = fc.double({ min: 0, max: 40, noNaN: true });
const anyPeek: fc.Arbitrary<Peek> = fc.oneof(
  fc.record({ spent: cost, alternative: cost, debt }),
  fc.record({
    spent: fc.constantFrom(1, 10),
    alternative: fc.constantFrom(1, 10),
    debt: fc.constantFrom(0, 40),
  }),
);

Deno.test("following it costs at most 1.05 times always applying, and a few peeks", () => {
  const stretches = fc.array(fc.record({ peek: anyPeek, length: fc.integer({ min: 1, max: 300 }) }), {
    minLength: 1,
    maxLength: 30,
  });
  fc.assert(fc.property(stretches, fc.integer({ min: -20, max: 40 }), (stretches, exponent) => {
    const scale = 2 ** exponent;
    const peeks = stretches.flatMap(({ peek: { spent, alternative, debt }, length }) =>
      Array<Peek>(length).fill({ spent: scale * spent, alternative: scale * alternative, debt: scale * debt })
    );
    const totals = follow(new ErrorBalance(), peeks.length, (_, at) => peeks[at]);
    assertBounded(totals, peeks[0].alternative, scale);
  }));
});

Deno.test("also when the stream knows what was decided and wants it to cost much", () => {
  const peeks = fc.array(anyPeek, { minLength: 1, maxLength: 200 });
  fc.assert(fc.property(peeks, fc.integer({ min: 1, max: 3000 }), (trial, count) => {
    let at = 0;
    const first = trial[0].alternative;
    const next = (measures: boolean) => measures ? trial[at++ % trial.length] : LOSS;
    assertBounded(follow(new ErrorBalance(), count, next), first);
  }));
});

Deno.test("there is a stream that makes it cost 1.02 times always applying: the bound is near", () => {
  const totals = follow(new ErrorBalance(), 100_000, () => LOSS);
  assertGreater(totals.followed, 1.02 * totals.applied);
});

Deno.test("the unit of the costs decides nothing", () => {
  // Times in which measuring wins, and others in which it loses.
  const times = fc.record({
    spent: fc.integer({ min: 0, max: 20 }),
    alternative: fc.integer({ min: 1, max: 20 }),
    debt: fc.integer({ min: 0, max: 5 }),
    count: fc.integer({ min: 1, max: 80 }),
  });
  fc.assert(
    fc.property(fc.array(times, { maxLength: 12 }), fc.integer({ min: -40, max: 40 }), (all, power) => {
      const balance = new ErrorBalance(), scaled = new ErrorBalance(), unit = 2 ** power;
      for (const { spent, alternative, debt, count } of all) {
        for (let peek = 0; peek < count; peek++) {
          assertEquals(scaled.measures, balance.measures);
          if (balance.measures) {
            balance.measured(spent, alternative, debt);
            scaled.measured(unit * spent, unit * alternative, unit * debt);
          } else {
            balance.applied(alternative);
            scaled.applied(unit * alternative);
          }
        }
      }
    }),
    { numRuns: 200, seed: 4 },
  );
});
