/**
 * Checks the kernels that compute states on a device, with rows whose sums are known: a build, the same build
 * in parts that are merged, and a patch that subtracts all keys again, after which every row must be flagged.
 *
 * Whether a patch subtracts a weight with the bits with which a build added it is only measured: if not, rows
 * are never patched.
 */

import type { Deadline } from "./deadline.ts";
import type { Pipelines } from "./pipelines.ts";
import {
  ADDED_KEY,
  KEY_START,
  MASS_ERROR,
  PLAN_WORDS,
  QUERY_START,
  SHIFT,
  SUMS,
  TAKEN_KEY,
  toRecordLayout,
} from "./record_layout.ts";
import { runOnce } from "./run_once.ts";
import { groupsOf, UPLOAD, WorkList } from "./work_list.ts";

/** Findings about the kernels that compute states. */
export interface RowFacts {
  /** Whether a pair has the same weight in a build and in a patch. */
  readonly repeatsWeights: boolean;
  /** The first wrong result, in words; null when all are right. */
  readonly complaint: string | null;
}

/**
 * The values are unit vectors, so that sums are weights. Sizes are odd, so that all tiles have a remainder.
 */
const KEYS = 37, ROWS = 35, HEAD_DIM = 19, PART_TERMS = 32, PARTS = 2;
const SCALE = 0.3, SOFTCAP = 9;
const ROUNDING = 2 ** -24;
const RECORD = toRecordLayout({ heads: 1, kvHeads: 1, headDim: HEAD_DIM, valueDim: KEYS }, 0);
const STATE_WORDS = ROWS * RECORD.stateWords;

/** Checks the kernels of a device. */
export async function checkRows(
  device: GPUDevice,
  pipelines: Pipelines,
  deadline: Deadline,
): Promise<RowFacts> {
  const next = numbersFrom(1);
  const terms = termsOf(next);
  const queries = new Float32Array(ROWS * RECORD.queryWords).map(next);
  // The buffer has the states built, merged and patched, and then the flagged rows.
  const words = 3 * STATE_WORDS + 1 + ROWS;
  const bytes = await runOnce(device, pipelines, deadline, words, (found, make) => {
    return fill(found, make, device, terms, queries);
  });
  const numbers = new Float32Array(bytes), shifts = new Int32Array(bytes);
  const table = (at: number) => ({
    numbers: numbers.subarray(at * STATE_WORDS, (at + 1) * STATE_WORDS),
    shifts: shifts.subarray(at * STATE_WORDS, (at + 1) * STATE_WORDS),
  });
  const flagged = new Uint32Array(bytes).subarray(3 * STATE_WORDS);
  const expected = exactWeights(new Float32Array(terms.buffer), queries);
  const complaint = complaintOf(table(0), expected, "built") ?? complaintOf(table(1), expected, "merged") ??
    (areAll(flagged) ? null : "rows that a patch has to flag are not all flagged");
  return { repeatsWeights: areEmpty(table(2).numbers), complaint };
}

function fill(
  found: GPUBuffer,
  make: (words: number) => GPUBuffer,
  device: GPUDevice,
  terms: Uint32Array<ArrayBuffer>,
  queries: Float32Array<ArrayBuffer>,
): WorkList {
  const { width, valueStart, keyWords, queryWords, stateWords } = RECORD;
  const keyBuffer = make(terms.length), queryBuffer = make(queries.length);
  device.queue.writeBuffer(keyBuffer, 0, terms);
  device.queue.writeBuffer(queryBuffer, 0, queries);
  const states = make(STATE_WORDS), merged = make(STATE_WORDS), parts = make(PARTS * STATE_WORDS);
  const flagged = make(1 + ROWS), plans = make(PLAN_WORDS), counters = make(1);
  const work = new WorkList();
  const slots = work.list(Uint32Array.from({ length: ROWS }, (_, slot) => slot));
  const call = {
    ...{ headDim: HEAD_DIM, heads: 1, kvHeads: 1, width, scale: SCALE, scaleLow: SCALE - Math.fround(SCALE) },
    ...{
      softcap: SOFTCAP,
      inverseSoftcap: 1 / SOFTCAP,
      inverseSoftcapLow: 1 / SOFTCAP - Math.fround(1 / SOFTCAP),
    },
    ...{ valueStart, keyWords, queryWords, stateWords, tolerance: 1e-5 },
    ...{ listFirst: slots, listCount: ROWS, batchRows: ROWS, isFirst: 1, isLast: 1 },
  };
  const whole = { parts: 1, partCount: 1, partEnd: 1, windowTerms: KEYS };
  const cut = {
    parts: PARTS,
    partCount: PARTS,
    partEnd: PARTS,
    partTerms: PART_TERMS,
    windowTerms: PART_TERMS,
  };
  const tiles = Math.ceil(ROWS / 32);
  const tables = [UPLOAD, keyBuffer, queryBuffer] as const;
  const copy = (source: GPUBuffer, at: number, count: number) => {
    const list = work.list([0, at, 0xffffffff]);
    work.dispatch(
      "move",
      { listFirst: list, listCount: 1, words: count },
      [UPLOAD, source, found],
      groupsOf(1),
    );
  };
  work.dispatch("build", { ...call, ...whole, termEnd: KEYS }, [...tables, states, UPLOAD], groupsOf(tiles));
  copy(states, 0, STATE_WORDS);
  work.dispatch(
    "build",
    { ...call, ...cut, termEnd: KEYS },
    [...tables, parts, UPLOAD],
    groupsOf(PARTS * tiles),
  );
  work.dispatch("merge", { ...call, ...cut }, [UPLOAD, parts, merged], groupsOf(ROWS));
  copy(merged, STATE_WORDS, STATE_WORDS);
  const patch = { ...call, ...whole, termFirst: KEYS, termEnd: 2 * KEYS, flaggedStride: ROWS };
  work.dispatch("patch", patch, [...tables, states, UPLOAD, flagged], groupsOf(tiles));
  copy(states, 2 * STATE_WORDS, STATE_WORDS);
  const plan = { heads: 1, batches: 1, batchRows: ROWS, parts: 1 };
  work.dispatch("plan", plan, [flagged, plans, counters], groupsOf(1));
  copy(flagged, 3 * STATE_WORDS, 1 + ROWS);
  return work;
}

/** All keys as additions, then all keys as subtractions. */
function termsOf(next: () => number): Uint32Array<ArrayBuffer> {
  const { keyWords, valueStart } = RECORD;
  const words = new Uint32Array(2 * KEYS * keyWords), numbers = new Float32Array(words.buffer);
  for (let key = 0; key < KEYS; key++) {
    const base = key * keyWords;
    words.set([ADDED_KEY, key], base);
    for (let c = 0; c < HEAD_DIM; c++) numbers[base + KEY_START + c] = next();
    for (const column of [key, KEYS, KEYS + 1]) numbers[base + valueStart + column] = 1;
    words.copyWithin(base + KEYS * keyWords, base, base + keyWords);
    words[base + KEYS * keyWords] = TAKEN_KEY;
  }
  return words;
}

/** exp of the scores, by row and key, with a bound on the relative error of float32. */
function exactWeights(terms: Float32Array, queries: Float32Array): { weight: number; doubt: number }[][] {
  return Array.from({ length: ROWS }, (_, row) => {
    return Array.from({ length: KEYS }, (_, key) => {
      let sum = 0, size = 0;
      for (let c = 0; c < HEAD_DIM; c++) {
        const product = queries[row * RECORD.queryWords + QUERY_START + c] *
          terms[key * RECORD.keyWords + KEY_START + c];
        sum += product;
        size += Math.abs(product);
      }
      const score = SOFTCAP * Math.tanh(SCALE * sum / SOFTCAP);
      return {
        weight: Math.exp(score),
        doubt: ROUNDING * ((HEAD_DIM + 1) * SCALE * size + 1.5 * SOFTCAP + 8),
      };
    });
  });
}

function complaintOf(
  { numbers, shifts }: { readonly numbers: Float32Array; readonly shifts: Int32Array },
  expected: readonly (readonly { readonly weight: number; readonly doubt: number }[])[],
  what: string,
): string | null {
  for (let row = 0; row < ROWS; row++) {
    const start = row * RECORD.stateWords, shift = 2 ** shifts[start + SHIFT];
    const charged = numbers[start + MASS_ERROR];
    for (let key = 0; key < KEYS; key++) {
      const { weight, doubt } = expected[row][key], found = numbers[start + SUMS + key] * shift;
      // Each column has only one term that is not 0.
      if (!(Math.abs(found - weight) <= doubt * weight + charged * shift)) {
        return `a weight of ${weight} is ${found} in a row that was ${what}`;
      }
    }
  }
  return null;
}

/** Whether the sums of all rows are empty. */
function areEmpty(states: Float32Array): boolean {
  for (let row = 0; row < ROWS; row++) {
    const start = row * RECORD.stateWords + SUMS;
    if (states.subarray(start, start + KEYS).some((number) => number !== 0)) return false;
  }
  return true;
}

/** Whether the list has all rows, in any order. */
function areAll([count, ...slots]: Uint32Array): boolean {
  return count === ROWS && new Set(slots).size === ROWS && slots.every((slot) => slot < ROWS);
}

/** Numbers of both signs between 2^−5 and 2^5, always the same. */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const sign = state & 1 ? -1 : 1;
    return Math.fround(sign * 2 ** (10 * (state / 2 ** 32) - 5));
  };
}
