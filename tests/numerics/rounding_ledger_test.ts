// The bounds are held against the exact error of the loops they are about, which are written out here once
// more.

import { assert, assertEquals } from "../../testing/assert.ts";
import { isTrusted, patchRounding, rebuildRounding } from "../../src/numerics/rounding_ledger.ts";
import { exactSum, magnitudeOf, ratio, toExact } from "../../testing/exact.ts";
import { Random } from "../../testing/random.ts";

/** A sum in two floats. */
interface TwoFloats {
  high: number;
  low: number;
}

function addCompensated(sum: TwoFloats, term: number): void {
  const total = sum.high + term;
  const taken = total - sum.high;
  sum.low += (sum.high - (total - taken)) + (term - taken);
  sum.high = total;
}

/** A sum of numbers ≥ 0 that come and go in batches, with its ledger. */
class Ledger {
  readonly sum: TwoFloats = { high: 0, low: 0 };
  readonly terms: number[] = [];
  bound = 0;
  plain = 0;

  apply(batch: readonly number[]): void {
    let peak = this.sum.high;
    for (const term of batch) {
      addCompensated(this.sum, term);
      this.plain += term;
      if (term > 0) peak += term;
    }
    const { low } = this.sum;
    this.sum.low = 0;
    addCompensated(this.sum, low);
    this.bound += patchRounding(batch.length, peak);
    this.terms.push(...batch);
  }

  get exact(): bigint {
    return exactSum(this.terms);
  }

  get error(): bigint {
    return magnitudeOf(toExact(this.sum.high) + toExact(this.sum.low) - this.exact);
  }

  /** Fails when the bound is broken; prints how tight it is. */
  check(name: string): void {
    const { error, bound, exact } = this;
    assert(error <= toExact(bound), `${name}: off by ${ratio(error, exact)} of the sum, beyond the bound`);
    const tightness = error === 0n ? "exact" : `bound / error ${ratio(toExact(bound), error).toPrecision(3)}`;
    const share = ratio(toExact(bound), exact).toExponential(1);
    console.log(`${name}: ${this.terms.length} additions, ${tightness}, bound ${share} of the sum`);
  }
}

/** A weight with all its 53 bits in use, as exp gives them. */
function weight(random: Random): number {
  return Math.exp(random.normal());
}

/** Replaces `count` of the held numbers by new ones: what is to be added, old ones negated. */
function replaceSome(random: Random, held: number[], count: number, next: () => number): number[] {
  const batch: number[] = [];
  for (let t = 0; t < count; t++) {
    const at = random.below(held.length);
    batch.push(-held[at]);
    held[at] = next();
    batch.push(held[at]);
  }
  return batch;
}

/** Fifty numbers of size 1 that are replaced, `width` in a batch. */
function ordinary(random: Random, batches: number, width: number): Ledger {
  const ledger = new Ledger();
  const held = Array.from({ length: 50 }, () => weight(random));
  ledger.apply(held);
  for (let i = 0; i < batches; i++) ledger.apply(replaceSome(random, held, width, () => weight(random)));
  return ledger;
}

/** The same with numbers of size 1 and far below, while one of size `large` comes and goes. */
function comesAndGoes(random: Random, batches: number, width: number, large: number): Ledger {
  const ledger = new Ledger();
  const next = () => weight(random) * 2 ** -random.below(100);
  const held = Array.from({ length: 50 }, next);
  ledger.apply(held);
  for (let i = 0; i < batches; i++) {
    const visitor = large * weight(random);
    const replaced = () => replaceSome(random, held, width, next);
    if (random.next() < 0.5) ledger.apply([visitor, ...replaced(), -visitor]);
    else {
      ledger.apply([visitor, ...replaced()]);
      ledger.apply([...replaced(), -visitor]);
    }
  }
  return ledger;
}

/** Looks each time for the number, out of many, whose addition does the most harm. */
function worstFound(random: Random, batches: number, width: number): Ledger {
  const ledger = new Ledger();
  ledger.apply([1]);
  const draft: number[] = [];
  for (let i = 0; i < batches; i++) {
    const batch: number[] = [];
    const sum = { ...ledger.sum };
    let exact = ledger.exact;
    for (let t = 0; t < width; t++) {
      let harm = -1n, chosen = 0;
      draft.length = 0;
      for (let k = 0; k < 12; k++) draft.push(weight(random) * 2 ** -random.below(60));
      for (const term of draft) {
        const tried = { ...sum };
        addCompensated(tried, term);
        const error = magnitudeOf(toExact(tried.high) + toExact(tried.low) - exact - toExact(term));
        if (error > harm) [harm, chosen] = [error, term];
      }
      addCompensated(sum, chosen);
      exact += toExact(chosen);
      batch.push(chosen);
    }
    ledger.apply(batch);
  }
  return ledger;
}

Deno.test("the exact sums of these tests are exact", () => {
  assertEquals(exactSum([1e300, 1, -1e300]), toExact(1));
  assertEquals(exactSum([0.1, 0.2]) - toExact(0.3), toExact(2 ** -55));
  assertEquals(toExact(5e-324), 1n);
  assertEquals(toExact(-1.5), -(3n << 1073n));
  assertEquals(ratio(toExact(3), toExact(8)), 0.375);
});

Deno.test("patchRounding bounds the error of ordinary edits, by far less than a row tolerates", () => {
  const random = new Random(1);
  for (const width of [1, 4, 64, 1000]) {
    const ledger = ordinary(random, Math.ceil(20_000 / width), width);
    ledger.check(`ordinary edits, ${width} a batch`);
    // 1e-8 is when a row is rebuilt: ordinary edits must not come near it in a lifetime.
    assert(ledger.bound < 1e-16 * ledger.sum.high, `bound ${ledger.bound}`);
  }
});

Deno.test("patchRounding bounds the error when numbers of 1e13 come and go over numbers of size 1", () => {
  const random = new Random(2);
  for (const width of [1, 3, 30]) {
    const ledger = comesAndGoes(random, 2000 / width, width, 1e13);
    ledger.check(`1e13 comes and goes, ${width} others a batch`);
    const plainError = ratio(magnitudeOf(toExact(ledger.plain) - ledger.exact), ledger.exact);
    assert(plainError > 1e-6, `a plain sum is off by ${plainError} only: the sequence is harmless`);
    assert(ledger.error > 0n, "nothing was rounded: the sequence is harmless");
    assert(ledger.bound < 1e-8 * ledger.sum.high, `so loose that the row would be rebuilt: ${ledger.bound}`);
  }
});

Deno.test("patchRounding bounds the error when the sum nearly vanishes", () => {
  const ledger = new Ledger();
  const random = new Random(3);
  const large = Array.from({ length: 200 }, () => 1e13 * weight(random));
  ledger.apply([2 ** -60, ...large]);
  ledger.apply(large.map((a) => -a));
  ledger.check("1e13 leaves 2^-60");
  // The remaining sum has no accurate digit, and the ledger reports that.
  assert(!isTrusted(ledger.bound, ledger.sum.high + ledger.sum.low, 0, 1, 1e-8));
});

Deno.test("patchRounding bounds the worst that a search finds, and is not far above it", () => {
  for (const width of [2, 8, 40]) {
    const ledger = worstFound(new Random(4), Math.ceil(80 / width), width);
    ledger.check(`worst found, ${width} a batch`);
    assert(toExact(ledger.bound) < 1000n * ledger.error, "the bound is loose");
  }
});

Deno.test("rebuildRounding bounds a plain sum, and its worst case comes within a factor of 4", () => {
  const random = new Random(5);
  const cases: readonly (readonly [name: string, terms: number[]])[] = [
    ["numbers of size 1", Array.from({ length: 5000 }, () => weight(random))],
    ["numbers of all sizes", Array.from({ length: 5000 }, () => 2 ** (random.below(100) - 80))],
    ["rounded up each time", [1, ...new Array<number>(5000).fill(2 ** -53 * (1 + 2 ** -20))]],
    ["lost each time", [1, ...new Array<number>(5000).fill(2 ** -53)]],
  ];
  let tightest = Infinity;
  for (const [name, terms] of cases) {
    let sum = 0;
    for (const term of terms) sum += term;
    const error = magnitudeOf(toExact(sum) - exactSum(terms));
    const bound = toExact(rebuildRounding(terms.length, sum));
    assert(error <= bound, name);
    tightest = Math.min(tightest, ratio(bound, error));
    console.log(`${name}: bound / error ${ratio(bound, error).toPrecision(3)}`);
  }
  assert(tightest < 4, `bound / error ${tightest}`);
});

Deno.test("a bound grows with the additions and in proportion to the peak; none is for nothing", () => {
  for (const bound of [patchRounding, rebuildRounding]) {
    assertEquals([bound(0, 1), bound(5, 0)], [0, 0]);
    assertEquals(bound(5, 6), 2 * bound(5, 3));
    assert(bound(6, 1) > bound(5, 1));
  }
  assert(patchRounding(1000, 1) < rebuildRounding(1, 1));
});

Deno.test("a row is trusted while both errors are within tolerance of what it holds", () => {
  assert(isTrusted(1e-9, 1, 2e-9, 2, 1e-9));
  assert(!isTrusted(1.1e-9, 1, 0, 2, 1e-9));
  assert(!isTrusted(0, 1, 2.1e-9, 2, 1e-9));
  assert(isTrusted(0, 0, 0, 0, 1e-9));
  assert(!isTrusted(1e-40, 0, 0, 1, 1e-9));
  assert(!isTrusted(1e-40, -1, 0, 1, 1e-9));
});

Deno.test("NaN anywhere is not trusted", () => {
  const good = [1e-20, 1, 1e-20, 1, 1e-9] as const;
  assert(isTrusted(...good));
  for (let at = 0; at < good.length; at++) {
    const bad = good.map((number, i) => i === at ? NaN : number);
    assert(!isTrusted(bad[0], bad[1], bad[2], bad[3], bad[4]), `NaN at ${at}`);
  }
});
