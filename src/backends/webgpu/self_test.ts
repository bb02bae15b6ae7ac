/**
 * What the kernels take for granted, asked of a device once: that what an addition or a product rounds off can be had,
 * and that a weight that a patch takes out has the bits of the one that a build added. Where the first fails, sums are
 * plain and rows are refreshed more often; where the second fails, rows are never patched.
 *
 * A device is asked, too, how many rounds its loops may have: Mesa's llvmpipe ends all loops of a shader after 65,535
 * rounds and says nothing, so that sums of many keys lack the last of them. Where there is such an end, work is cut.
 */

import { DeviceError } from "../../errors.ts";
import { encodeWork } from "./encode_work.ts";
import { LOOP_FACTOR, LOOP_SEED, LOOP_STEP } from "./kernels/self_test_kernel.ts";
import type { Pipelines } from "./pipelines.ts";
import { ADDED_KEY, KEY_START, SUMS, TAKEN_KEY, toRecordLayout } from "./record_layout.ts";
import { groupsOf, UPLOAD, WorkList } from "./work_list.ts";
import { BufferUsage, MapMode } from "./usage.ts";

/** What a device does to float32. */
export interface Arithmetic {
  /** Whether two-float sums keep what rounding drops. */
  readonly isCompensated: boolean;
  /** Whether a pair has the same weight in a build and in a patch. */
  readonly repeatsWeights: boolean;
  /** After how many rounds the loops of a kernel end, whatever they say; Infinity where they do not. */
  readonly mostRounds: number;
}

const PAIRS = 256;
/** Rounds that a loop is asked for. */
const ROUNDS = 2 ** 17;
/** Keys with unit vectors for values, whose sums are their weights; odd sizes, so that all tiles have a rest. */
const KEYS = 37, ROWS = 35, HEAD_DIM = 19;

/** Asks a device. */
export async function testArithmetic(device: GPUDevice, pipelines: Pipelines): Promise<Arithmetic> {
  const record = toRecordLayout({ heads: 1, kvHeads: 1, headDim: HEAD_DIM, valueDim: KEYS }, 0);
  const stateWords = ROWS * record.stateWords;
  const buffers: GPUBuffer[] = [];
  const make = (words: number, usage: GPUBufferUsageFlags) => {
    const buffer = device.createBuffer({ size: 4 * words, usage });
    buffers.push(buffer);
    return buffer;
  };
  const { STORAGE, COPY_DST, COPY_SRC, UNIFORM, MAP_READ } = BufferUsage;
  const next = numbersFrom(1);
  const terms = make(2 * KEYS * record.keyWords, STORAGE | COPY_DST);
  const queries = make(ROWS * record.queryWords, STORAGE | COPY_DST);
  const states = make(stateWords, STORAGE | COPY_SRC), flagged = make(1 + ROWS, STORAGE);
  const foundWords = 4 * PAIRS + 2;
  const found = make(foundWords, STORAGE | COPY_SRC),
    staging = make(foundWords + stateWords, MAP_READ | COPY_DST);

  const work = new WorkList();
  const pairs = new Float32Array(2 * PAIRS).map(() => next());
  const pairsAt = work.list(new Uint32Array(pairs.buffer));
  const slotsAt = work.list(Uint32Array.from({ length: ROWS }, (_, slot) => slot));
  work.dispatch(
    "selfTest",
    { listFirst: pairsAt, listCount: PAIRS, termEnd: ROUNDS },
    [UPLOAD, found],
    groupsOf(PAIRS / 64),
  );
  const { width, valueStart, keyWords, queryWords } = record;
  const rule = {
    headDim: HEAD_DIM,
    heads: 1,
    kvHeads: 1,
    width,
    scale: 0.3,
    softcap: 9,
    inverseSoftcap: 1 / 9,
    ...{ parts: 1, partCount: 1, partEnd: 1, windowTerms: KEYS },
  };
  const call = {
    ...rule,
    ...{ valueStart, keyWords, queryWords, stateWords: record.stateWords, tolerance: 1 },
    ...{ listFirst: slotsAt, listCount: ROWS, isFirst: 1, isLast: 1 },
  };
  const tables = [UPLOAD, terms, queries, states] as const;
  work.dispatch("build", { ...call, termEnd: KEYS }, tables, groupsOf(2));
  const patch = { ...call, termFirst: KEYS, termEnd: 2 * KEYS, flaggedStride: ROWS };
  work.dispatch("patch", patch, [...tables, flagged], groupsOf(2));

  const upload = make(work.bytes / 4, STORAGE | UNIFORM | COPY_DST);
  device.queue.writeBuffer(upload, 0, work.data());
  device.queue.writeBuffer(terms, 0, termsOf(record, next));
  device.queue.writeBuffer(queries, 0, new Float32Array(ROWS * queryWords).map(() => next()));
  const encoder = device.createCommandEncoder();
  encodeWork({ device, pipelines }, encoder, work, upload);
  encoder.copyBufferToBuffer(found, 0, staging, 0, 4 * foundWords);
  encoder.copyBufferToBuffer(states, 0, staging, 4 * foundWords, 4 * stateWords);
  device.queue.submit([encoder.finish()]);
  try {
    await staging.mapAsync(MapMode.READ);
    const numbers = new Float32Array(staging.getMappedRange().slice(0));
    return {
      isCompensated: areExact(pairs, numbers),
      repeatsWeights: areEmpty(numbers.subarray(foundWords), record.stateWords),
      mostRounds: roundsTo(numbers[4 * PAIRS] + 2 ** 16 * numbers[4 * PAIRS + 1]),
    };
  } catch (cause) {
    throw new DeviceError("webgpu", "internal", cause instanceof Error ? cause.message : "", { cause });
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}

/** All keys, to be added, then all again, to be taken out. */
function termsOf({ keyWords, valueStart }: { keyWords: number; valueStart: number }, next: () => number) {
  const words = new Uint32Array(2 * KEYS * keyWords), numbers = new Float32Array(words.buffer);
  for (let key = 0; key < KEYS; key++) {
    const base = key * keyWords;
    words.set([ADDED_KEY, key], base);
    for (let c = 0; c < HEAD_DIM; c++) numbers[base + KEY_START + c] = next();
    numbers[base + valueStart + key] =
      numbers[base + valueStart + KEYS] =
      numbers[base + valueStart + KEYS + 1] =
        1;
    words.copyWithin(base + KEYS * keyWords, base, base + keyWords);
    words[base + KEYS * keyWords] = TAKEN_KEY;
  }
  return words;
}

/** Whether sum and product of each pair are all there; both fit float64. */
function areExact(pairs: Float32Array, found: Float32Array): boolean {
  for (let at = 0; at < PAIRS; at++) {
    const a = pairs[2 * at], b = pairs[2 * at + 1];
    const [sumHigh, sumLow, productHigh, productLow] = found.subarray(4 * at, 4 * at + 4);
    if (sumHigh + sumLow !== a + b || productHigh + productLow !== a * b) return false;
  }
  return true;
}

/** After how many rounds the sequence is there; Infinity when it is there at the end. */
function roundsTo(found: number): number {
  let state = LOOP_SEED, rounds = 0;
  while (state !== found && rounds < ROUNDS) {
    state = (Math.imul(state, LOOP_FACTOR) + LOOP_STEP) >>> 0;
    rounds++;
  }
  // What is not in the sequence at all is no answer that could be relied on.
  if (state !== found) return 0;
  return rounds === ROUNDS ? Infinity : rounds;
}

/** Whether nothing is left in any row. */
function areEmpty(states: Float32Array, stateWords: number): boolean {
  for (let row = 0; row < ROWS; row++) {
    const start = row * stateWords + SUMS;
    if (states.subarray(start, start + KEYS).some((number) => number !== 0)) return false;
  }
  return true;
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
