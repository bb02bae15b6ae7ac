// Every number that an option or a call takes, at the ends of what numbers are: it is refused by type, or it is what the oracle
// makes of it, on each backend.

import {
  AttentionError,
  type BackendName,
  DynamicAttention,
  type DynamicAttentionOptions,
} from "../../mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import { assertGreater, assertInstanceOf } from "../../testing/assert.ts";
import { MemoryModel, type ModelRule } from "../../testing/memory_model.ts";
import { Random } from "../../testing/random.ts";

const BACKENDS: readonly BackendName[] = ["array", "wasm"];

const NUMBERS = [0, 5e-324, 1e-46, 1e-40, 1e-7, 0.1, 0.5, 1, 1.5, 2, 3, 7, 100, 65_504, 2 ** 24 + 1, 2 ** 31]
  .concat(2 ** 32, 2 ** 44, 2 ** 46, 2 ** 47, 2 ** 50, 2 ** 53, 2 ** 53 + 2, 2 ** 60, 2 ** 61, 2 ** 64)
  .concat(3.4028234663852886e38, 3.4028235677973366e38, 1e39, 1e155, 1e308, Number.MAX_VALUE, Infinity)
  .flatMap((number) => [number, -number]).concat(NaN);

const PLAIN: ModelRule = {
  ...{ heads: 1, kvHeads: 1, headDim: 2, valueDim: 1, scale: 0.5, softcap: 0, maskOf: null },
  ...{ causal: false, window: [Infinity, Infinity] },
};

/** A model with a number somewhere, and what brings it to an engine that is there. */
interface Trial {
  readonly rule?: Partial<ModelRule>;
  readonly keyPositions?: readonly number[];
  readonly queryPositions?: readonly number[];
  readonly act?: (live: DynamicAttention, model: MemoryModel) => void;
}

const causal = { causal: { offset: 1 }, window: [4, Infinity] as const };

/** Moves rows of a model. */
function shift(model: MemoryModel, by: number, from = -Infinity): void {
  for (const rows of [model.keys, model.queries]) {
    for (const row of rows.values()) if (row.position >= from) row.position += by;
  }
}

const TRIALS: Readonly<Record<string, (x: number) => Trial>> = {
  scale: (scale) => ({ rule: { scale } }),
  softcap: (softcap) => ({ rule: { softcap } }),
  "a softcap behind a bias": (softcap) => ({ rule: { softcap, biasBeforeSoftcap: true, alibi: [0.25] } }),
  "a bias before a softcap": (x) => ({
    rule: { softcap: 3, biasBeforeSoftcap: true, distances: { from: 0, values: [[x, 0]] } },
  }),
  "a sink": (sink) => ({ rule: { sinks: [sink] } }),
  "a slope": (slope) => ({ rule: { alibi: [slope] } }),
  "a bias by distance": (x) => ({ rule: { distances: { from: -1, values: [[0, x, 1]] } } }),
  "the first distance": (from) => ({ rule: { distances: { from, values: [[1, 2, 0]] } } }),
  "a bias of a block": (x) => ({ rule: { blocks: { size: [2, 2], entries: [[[0, x], [x, 1]]] } } }),
  "a size of blocks": (x) => ({ rule: { blocks: { size: [x, 1.5], entries: [[[0, 1], [2, 0.5]]] } } }),
  "an offset": (offset) => ({ rule: { causal: { offset } } }),
  "a window's left": (left) => ({ rule: { window: [left, Infinity] } }),
  "a window's right": (right) => ({ rule: { window: [Infinity, right] } }),
  "the first keys": (keepFirst) => ({ rule: { window: [1, Infinity], keepFirst } }),
  "a mask's entry": (x) => ({ rule: { maskOf: (_, label) => label === 3 ? x : 0 } }),
  "a key's position": (x) => ({ rule: causal, keyPositions: [0, x, 2, 3] }),
  "a query's position": (x) => ({ rule: causal, queryPositions: [x, 3] }),
  "a key's position beside slopes": (x) => ({
    rule: { ...causal, alibi: [0.5] },
    keyPositions: [0, x, 2, 3],
  }),
  "a key's position in blocks": (x) => ({
    rule: { blocks: { size: [2, 2], entries: [[[0, 1], [2, 0.5]]] } },
    keyPositions: [0, x, 2, 3],
  }),
  "where a key moves to": (x) => ({
    rule: causal,
    act: (live, model) => {
      live.setPosition(1, x);
      const held = model.keys.get(1);
      if (held) held.position = x;
    },
  }),
  "a shift": (x) => ({
    rule: { ...causal, alibi: [0.25] },
    act: (live, model) => {
      live.shiftPositions(x);
      shift(model, x);
    },
  }),
  "a shift of some": (x) => ({
    rule: causal,
    act: (live, model) => {
      live.shiftPositions(x, { from: 2 });
      shift(model, x, 2);
    },
  }),
  "a fraction behind a shift": (x) => ({
    rule: causal,
    act: (live, model) => {
      live.shiftPositions(x);
      shift(model, x);
      live.setPosition(0, 0.1);
      const held = model.keys.get(0);
      if (held) held.position = 0.1;
    },
  }),
  "a number of a key": (x) => ({
    act: (live, model) => {
      live.addToKey(1, 0, x);
      const held = model.keys.get(1);
      if (held) held.key[0] += x;
    },
  }),
  "a number of a value": (x) => ({
    act: (live, model) => {
      live.setValue(1, [x]);
      const held = model.keys.get(1);
      if (held) held.value[0] = x;
    },
  }),
  "a number of a query": (x) => ({
    act: (live, model) => {
      live.setQuery(0, [x, 0.5]);
      const held = model.queries.get(0);
      if (held) held.query.set([x, 0.5]);
    },
  }),
};

for (const [name, trialOf] of Object.entries(TRIALS)) {
  Deno.test(`a number at the ends of what numbers are: ${name}`, async () => {
    let right = 0;
    for (const x of NUMBERS) {
      for (const backend of BACKENDS) {
        if (await isRight(`${name} ${x} on ${backend}`, trialOf(x), backend)) right++;
      }
    }
    assertGreater(right, 10, `${right} of ${2 * NUMBERS.length} were answered`);
  });
}

/** Whether what was tried was accepted, and right then. */
async function isRight(what: string, trial: Trial, backend: BackendName): Promise<boolean> {
  const { keyPositions = [0, 1, 2, 3], queryPositions = [2, 3] } = trial;
  const random = new Random(5), rule: ModelRule = { ...PLAIN, ...trial.rule }, model = new MemoryModel(rule);
  queryPositions.forEach((position, slot) => model.insertQuery(slot, random.row(2), position));
  keyPositions.forEach((position, slot) => model.insertKey(slot, random.row(2), random.row(1), position));
  const { scale, softcap, causal, maskOf } = rule;
  const options: DynamicAttentionOptions = {
    ...model.matrices(),
    ...model.options(),
    ...{ scale, softcap, causal, queryPositions, keyPositions, backend, lazyThreshold: Infinity },
    ...(maskOf
      ? { mask: queryPositions.map((_, i) => keyPositions.map((_, j) => maskOf(i, j + 2, 0))) }
      : {}),
  };
  let live: DynamicAttention | null = null;
  try {
    live = await DynamicAttention.create(options);
    trial.act?.(live, model);
  } catch (error) {
    assertInstanceOf(error, AttentionError, `${what}: ${error instanceof Error && error.stack}`);
    await live?.dispose();
    return false;
  }
  await using _ = live;
  const truth = model.standing(), answer = await live.read();
  const largest = [...model.keys.values()].reduce((most, { value }) => Math.max(most, Math.abs(value[0])), 0);
  const error = largestOff(answer.data, referenceAttention(truth).output.flat());
  if (!(error <= 1e-6 * largest)) assertAccurate(answer, truth, what);
  return true;
}

/** The largest difference, NaN if there is one. */
function largestOff(answer: ArrayLike<number>, truth: readonly number[]): number {
  return truth.reduce((most, o, at) => Math.max(most, Math.abs(answer[at] - o)), 0);
}
