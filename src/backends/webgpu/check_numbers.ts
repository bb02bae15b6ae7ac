/**
 * Checks a device's arithmetic before the device is trusted: sums, products, exp and the softcap must be as
 * exact as the bounds assume (`weight_doubt.ts`) over the range of scores, and subnormal numbers must come
 * out unchanged or as 0. Otherwise answers could not be as accurate as promised.
 *
 * Two properties differ between devices and are measured. The first is whether the rounding error of an
 * addition or a product can be computed; without it sums are plain and rows are refreshed more often. The
 * second is the number of iterations that a loop may have: Mesa's llvmpipe ends all loops of a shader after
 * 65,535 iterations without an error, so that sums over many keys would lack the last of them.
 */

import type { Deadline } from "./deadline.ts";
import { ASKED, CHAIN, FOUND, LOOP_FACTOR, LOOP_SEED, LOOP_STEP } from "./kernels/self_test_kernel.ts";
import type { Pipelines } from "./pipelines.ts";
import { runOnce } from "./run_once.ts";
import { groupsOf, UPLOAD, WorkList } from "./work_list.ts";

/** Findings about a device's arithmetic. */
export interface NumberFacts {
  /** Whether two-float sums keep the rounding errors of additions. */
  readonly isCompensated: boolean;
  /** The number of iterations after which the device ends any loop; Infinity if it does not. */
  readonly mostRounds: number;
  /** The rule that the device violates, in words; null if it violates none. */
  readonly complaint: string | null;
}

const THREADS = 1024;
/** The number of iterations of the test loop. */
const ROUNDS = 2 ** 17;
const SOFTCAP = 3;
/** u. */
const ROUNDING = 2 ** -24;
/** The largest error of exp and of the softcap, in u. */
const MOST_ERROR = 1.5;
/** Scores beyond this are steep. */
const MOST_SCORE = 22_000;

/** Checks the arithmetic of a device. */
export async function checkNumbers(
  device: GPUDevice,
  pipelines: Pipelines,
  deadline: Deadline,
): Promise<NumberFacts> {
  const asked = questions();
  const work = new WorkList();
  const listFirst = work.list(new Uint32Array(asked.buffer));
  const cap = { softcap: SOFTCAP, inverseSoftcap: 1 / SOFTCAP };
  const call = {
    ...cap,
    inverseSoftcapLow: 1 / SOFTCAP - Math.fround(1 / SOFTCAP),
    listFirst,
    listCount: THREADS,
    termEnd: ROUNDS,
  };
  const words = FOUND * THREADS + 2;
  const bytes = await runOnce(device, pipelines, deadline, words, (found) => {
    work.dispatch("selfTest", call, [UPLOAD, found], groupsOf(THREADS / 64));
    return work;
  });
  const found = new Float32Array(bytes);
  return {
    isCompensated: areTwoFloats(asked, found),
    mostRounds: roundsTo(found[FOUND * THREADS] + 2 ** 16 * found[FOUND * THREADS + 1]),
    complaint: complaintOf(asked, found),
  };
}

/**
 * Test inputs: for each thread two numbers between 2^−5 and 2^5 of both signs, and a score. They are always
 * the same.
 */
function questions(): Float32Array<ArrayBuffer> {
  const asked = new Float32Array(ASKED * THREADS);
  let state = 1;
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  for (let at = 0; at < THREADS; at++) {
    for (const which of [0, 1]) asked[ASKED * at + which] = (next() < 0.5 ? -1 : 1) * 2 ** (10 * next() - 5);
    const reach = [1, 10, 100, 2000, MOST_SCORE, 0][at % 6];
    // The last scores are next to odd multiples of ln 2 / 2, where exp changes to the next power of two.
    asked[ASKED * at + 2] = reach > 0
      ? reach * (2 * next() - 1)
      : (Math.floor(400 * (next() - 0.5)) + 0.5) * Math.LN2 * (1 + 2 ** -22 * (next() - 0.5));
  }
  return asked;
}

function complaintOf(asked: Float32Array, found: Float32Array): string | null {
  const worst = { exp: 0, tanh: 0, chain: 0 };
  for (let at = 0; at < THREADS; at++) {
    const [a, b, s] = asked.subarray(ASKED * at);
    const numbers = found.subarray(FOUND * at, FOUND * (at + 1));
    if (!numbers.every(Number.isFinite)) return "its arithmetic makes numbers that are not finite";
    if (numbers[0] !== Math.fround(a + b) || numbers[2] !== Math.fround(a * b)) {
      return "it does not round sums or products to the nearest number";
    }
    if (Math.abs(numbers[4] - s * Math.LOG2E) > 0.5 + ROUNDING * (2 + 4 * Math.abs(s))) {
      return `it takes ${s} · log₂e for ${numbers[4]}`;
    }
    const exact = Math.exp(s - numbers[4] * Math.LN2);
    worst.exp = Math.max(worst.exp, Math.abs(numbers[5] - exact) / exact);
    const cap = SOFTCAP * Math.tanh(s / SOFTCAP);
    worst.tanh = Math.max(worst.tanh, Math.abs(numbers[7] + numbers[8] - cap) / Math.abs(cap));
    worst.chain = Math.max(worst.chain, chainError(asked, at, numbers[9]));
    for (const [tiny, expected] of [[numbers[10], a * 2 ** -128], [numbers[11], 0]]) {
      if (tiny !== 0 && tiny !== Math.fround(expected)) return "numbers near 0 come out as others";
    }
  }
  const limits = { exp: MOST_ERROR, tanh: MOST_ERROR, chain: 1 };
  const names = { exp: "exp", tanh: "the softcap", chain: "a sum of products" };
  for (const what of ["exp", "tanh", "chain"] as const) {
    const error = worst[what] / ROUNDING;
    if (!(error <= limits[what])) {
      return `${names[what]} is off by ${error.toPrecision(3)} roundings, expected at most ${limits[what]}`;
    }
  }
  return null;
}

/** The error of a chain of multiply-adds, as a share of its bound: each step rounds at most twice. */
function chainError(asked: Float32Array, first: number, found: number): number {
  let sum = 0, size = 0;
  for (let step = 0; step < CHAIN; step++) {
    const at = ASKED * ((first + step) % THREADS);
    sum += asked[at] * asked[at + 1];
    size += Math.abs(asked[at] * asked[at + 1]);
  }
  return Math.abs(found - sum) / ((CHAIN + 1) * size);
}

/** Whether sum and product of each pair are exact in two floats; both are exact in float64. */
function areTwoFloats(asked: Float32Array, found: Float32Array): boolean {
  for (let at = 0; at < THREADS; at++) {
    const [a, b] = asked.subarray(ASKED * at);
    const [sum, sumLow, product, productLow] = found.subarray(FOUND * at);
    if (sum + sumLow !== a + b || product + productLow !== a * b) return false;
  }
  return true;
}

/**
 * The number of iterations after which the sequence has the value `found`; Infinity if it is the final value.
 */
function roundsTo(found: number): number {
  let state = LOOP_SEED, rounds = 0;
  while (state !== found && rounds < ROUNDS) {
    state = (Math.imul(state, LOOP_FACTOR) + LOOP_STEP) >>> 0;
    rounds++;
  }
  // A number that is not in the sequence means that loops do not work.
  if (state !== found) return 0;
  return rounds === ROUNDS ? Infinity : rounds;
}
