// Inputs and results of mergeStates, unmergeState and attentionState: the oracle's state, no bad states, no
// shared memory.

import { describe } from "../../src/base/errors.ts";
import {
  attention,
  type AttentionState,
  attentionState,
  DynamicAttention,
  InputError,
  type Matrix,
  mergeStates,
  unmergeState,
} from "../../mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assert, assertEquals, assertInstanceOf, assertLess, assertThrows } from "../../testing/assert.ts";
import { assertAccurate, largestDifference, matrixOf, rowsOf } from "../../testing/accuracy.ts";
import { BACKENDS } from "../backends_here.ts";
import { bitsOf, caseOf, LAYOUTS, NO, stateOf } from "../../testing/partial_attention.ts";
import { Random } from "../../testing/random.ts";

Deno.test("the log-sum-exp of attentionState is the oracle's, its output that of attention to the bit", async () => {
  const random = new Random(15);
  for (const layout of LAYOUTS) {
    const truth = caseOf(random, { queries: 5, keys: 7, size: 1, ...layout });
    const { scale, heads, kvHeads } = truth;
    const options = {
      query: truth.query as Float32Array[],
      key: truth.key as Float32Array[],
      value: truth.value as Float32Array[],
      ...layout.heads > 1 ? { heads: heads!, kvHeads: kvHeads! } : {},
      scale,
    };
    const { output, logSumExp } = await attentionState(options);
    assertAccurate(output, truth);
    assertEquals(output, await attention({ ...options, backend: "array" }));
    assertEquals(logSumExp.shape, [5, layout.heads]);
    assertLess(largestDifference(rowsOf(logSumExp), referenceAttention(truth).logSumExp), 1e-6);
  }
  const none = {
    query: [[1]],
    key: { data: [], shape: [0, 1] },
    value: { data: [], shape: [0, 1] },
  } as const;
  assertEquals(bitsOf(await attentionState(none)), bitsOf(stateOf([NO, 0])));
  const wrong = { query: [[1, 2]], key: [[1]], value: [[1]] };
  const error = await attentionState(wrong).then(() => null, (reason) => reason);
  assertInstanceOf(error, InputError);
  assertEquals(error.message, "attentionState: key has 1 columns, expected 2 (kvHeads × headDim)");
});

/** One key whose score is `score` and whose value is 7; its numbers are those of float32. */
function keyOfScore(score: number, extra: object = {}) {
  const size = Math.sqrt(Math.abs(score));
  return { query: [[size]], key: [[Math.sign(score) * size]], value: [[7]], scale: 1, ...extra };
}

for (const backend of [...BACKENDS, "auto" as const]) {
  Deno.test(`states of huge scores on ${backend} merge to what they are of, or there is none`, async () => {
    for (const size of [1e3, 1e10, 1e20, 1e30, 3e38, 3.4e38, 1e39, 1e50, 1e70]) {
      for (const score of [size, -size]) {
        const whole = await attention(keyOfScore(score, { backend }));
        assertEquals([...whole.data], [7], `${score}`);
        const options = keyOfScore(score, { backend });
        if (size > 3.402823e38) {
          const error = await attentionState(options).then(() => null, (reason) => reason);
          assertInstanceOf(error, InputError, `${score}`);
          assert(error.message.startsWith("attentionState: logSumExp of query 0, head 0 is "), error.message);
          assert(error.message.includes("expected one of float32 range"), error.message);
          continue;
        }
        const state = await attentionState(options);
        assert(Number.isFinite(state.logSumExp.data[0]), `${state.logSumExp.data[0]} of ${score}`);
        assertEquals([...mergeStates([state]).output.data], [7], `${score}`);
        const none = await attentionState({ ...options, mask: [[false]] });
        assertEquals([...none.logSumExp.data, ...none.output.data], [NO, 0]);
        assertEquals([...mergeStates([none, state]).output.data], [7]);
      }
    }
  });

  Deno.test(`the log-sum-exp of an engine on ${backend} is −∞ where no key is allowed, and nowhere else`, async () => {
    for (const [score, expected] of [[1e50, Infinity], [-1e50, -3.4028234663852886e38]]) {
      await using live = await DynamicAttention.create(keyOfScore(score, { backend }));
      assertEquals([...(await live.logSumExp()).data, ...(await live.read()).data], [expected, 7]);
      live.delete(0);
      assertEquals([...(await live.logSumExp()).data, ...(await live.read()).data], [NO, 0]);
    }
  });
}

Deno.test("the output beside a log-sum-exp of −∞ is not looked at, whatever it is", () => {
  const logSumExp = { data: [0, NO, NO, 1], shape: [2, 2] };
  for (const odd of [NaN, Infinity, -Infinity, 1e300, undefined, null, "7"]) {
    const output = { data: [1, 2, odd, odd, odd, odd, 3, 4], shape: [2, 4] };
    const rows = [[1, 2, odd, odd], [odd, odd, 3, 4]];
    for (const given of [output, rows]) {
      const state = as<AttentionState>({ output: given, logSumExp });
      const merged = mergeStates([state]);
      assertEquals([...merged.output.data], [1, 2, 0, 0, 0, 0, 3, 4]);
      assertEquals([...merged.logSumExp.data], [0, NO, NO, 1]);
      assertEquals(
        unmergeState(state, as({ ...state, logSumExp: { data: [NO, NO, NO, NO], shape: [2, 2] } })),
        merged,
      );
    }
    const bad = as<AttentionState>({
      output: { ...output, data: [...output.data.slice(0, 7), odd] },
      logSumExp,
    });
    assertThrows(() => mergeStates([bad]), InputError, "states[0].output has ");
  }
});

/** Takes a value for one of any type, which JavaScript callers do. */
function as<T>(value: unknown): T {
  return value as T;
}

const GOOD: AttentionState = {
  output: matrixOf([[1, 2, 3, 4], [5, 6, 7, 8]], 4),
  logSumExp: matrixOf([[0, 1], [2, NO]], 2),
};
const shaped = (rows: number, columns: number): Matrix => ({
  data: new Float32Array(rows * columns),
  shape: [rows, columns],
});
const detached = () => {
  const data = new Float32Array(4);
  structuredClone(data, { transfer: [data.buffer] });
  return data;
};

/** Faults of a second state, and the error messages after its name. */
const BAD_STATES: readonly (readonly [state: unknown, message: string])[] = [
  [null, " is null, expected { output, logSumExp }"],
  [undefined, " is undefined, expected { output, logSumExp }"],
  ["state", ' is "state", expected { output, logSumExp }'],
  [{}, ".output is undefined, expected"],
  [{ output: GOOD.output }, ".logSumExp is undefined, expected { data, shape }"],
  [{ ...GOOD, logSumExp: null }, ".logSumExp is null, expected { data, shape }"],
  [{ ...GOOD, logSumExp: [[1, 2], [3, 4]] }, ".logSumExp is [[1, 2], [3, 4]], expected { data, shape }"],
  [{ ...GOOD, logSumExp: { data: 1, shape: [2, 2] } }, ".logSumExp.data is 1, expected an array of numbers"],
  [{ ...GOOD, logSumExp: { data: detached(), shape: [2, 2] } }, ".logSumExp.data is a view of a detached"],
  [
    { ...GOOD, logSumExp: { data: GOOD.logSumExp.data, shape: [4] } },
    ".logSumExp.shape is [4], expected [rows ≥ 0, heads ≥ 1]",
  ],
  [{ ...GOOD, logSumExp: { data: [], shape: [2, 0] } }, ".logSumExp.shape is [2, 0], expected"],
  [{ ...GOOD, logSumExp: { data: [1], shape: [0.5, 2] } }, ".logSumExp.shape is [0.5, 2], expected"],
  [
    { ...GOOD, logSumExp: { data: [1, 2, 3], shape: [2, 2] } },
    ".logSumExp.data has 3 numbers, expected 4 (shape 2 × 2)",
  ],
  [{ ...GOOD, logSumExp: shaped(3, 2) }, ".logSumExp has 3 rows, expected 2 (as its output)"],
  [
    { ...GOOD, logSumExp: shaped(2, 3) },
    ".output has 4 columns, expected a multiple of 3 (columns of its logSumExp)",
  ],
  [{ output: shaped(3, 4), logSumExp: shaped(3, 2) }, ".output has 3 rows, expected 2 (as FIRST)"],
  [{ output: shaped(2, 6), logSumExp: shaped(2, 2) }, ".output has 6 columns, expected 4 (as FIRST)"],
  [{ output: shaped(2, 4), logSumExp: shaped(2, 1) }, ".logSumExp has 1 columns, expected 2 (as FIRST)"],
  ...[NaN, Infinity, NO].map((o) =>
    [
      { ...GOOD, output: { data: [1, 2, 3, o, 5, 6, 7, 8], shape: [2, 4] } },
      `.output has ${o} at index 3, expected finite numbers of float32 range`,
    ] as const
  ),
  ...[NaN, Infinity, 1e39, -1e39, "1", null, 1n].map((L) =>
    [
      { ...GOOD, logSumExp: { data: [0, L, 0, 0], shape: [2, 2] } },
      `.logSumExp has ${describe(L)} at index 1, expected finite numbers of float32 ` +
      "range or -Infinity",
    ] as const
  ),
  [{ ...GOOD, logSumExp: { data: new Array(4), shape: [2, 2] } }, ".logSumExp has undefined at index 0"],
];

Deno.test("bad states are refused by name, wherever they stand", () => {
  mergeStates([GOOD, GOOD]);
  for (const [state, message] of BAD_STATES) {
    const bad = as<AttentionState>(state);
    const expect = (call: () => unknown, text: string) => {
      const error = assertThrows(call, InputError);
      assert(error.message.startsWith(text), `${error.message}, expected ${text}`);
    };
    const say = (operation: string, name: string, first: string) =>
      `${operation}: ${name}${message.replace("FIRST", first)}`;
    expect(() => mergeStates([GOOD, bad]), say("mergeStates", "states[1]", "states[0]"));
    expect(() => unmergeState(GOOD, bad), say("unmergeState", "part", "total"));
    // As the first it is the other that does not fit.
    if (message.includes("FIRST")) continue;
    expect(() => mergeStates([bad]), say("mergeStates", "states[0]", ""));
    expect(() => unmergeState(bad, GOOD), say("unmergeState", "total", ""));
  }
});

Deno.test("no states, no list, and odd options are refused", () => {
  const cases: readonly (readonly [call: () => unknown, message: string])[] = [
    [
      () => mergeStates([]),
      "mergeStates: there are 0 states, expected at least 1, since the shape is unknown",
    ],
    [() => mergeStates(as(GOOD)), "mergeStates: states are an object (Object), expected an array"],
    [() => mergeStates(as(null)), "mergeStates: states are null, expected an array"],
    [() => mergeStates(new Array(1)), "mergeStates: states[0] is undefined, expected { output, logSumExp }"],
    [() => unmergeState(GOOD, GOOD, as(null)), "unmergeState: options are null, expected an object"],
    [() => unmergeState(GOOD, GOOD, as({ tolerence: 1 })), 'unmergeState: option "tolerence" is unknown'],
    ...[0, 1, -1, NaN, Infinity, "0.1", null].map((tolerance) =>
      [
        () => unmergeState(GOOD, GOOD, as({ tolerance })),
        `unmergeState: tolerance is ${
          typeof tolerance === "string" ? '"0.1"' : tolerance
        }, expected a number`,
      ] as const
    ),
  ];
  for (const [call, message] of cases) assertThrows(call, InputError, message);
});

Deno.test("numbers in plain arrays are taken too, as everywhere", () => {
  const plain = ({ data, shape }: Matrix) => ({ data: [...data], shape });
  const state = as<AttentionState>({ output: plain(GOOD.output), logSumExp: plain(GOOD.logSumExp) });
  assertEquals(bitsOf(mergeStates([state, GOOD])), bitsOf(mergeStates([GOOD, GOOD])));
});

Deno.test("results share no memory with what came in, and leave it as it was", () => {
  const part = { ...GOOD, logSumExp: matrixOf([[-1, NO], [-1, NO]], 2) };
  const before = [bitsOf(GOOD), bitsOf(part)];
  const results = [
    mergeStates([GOOD]),
    mergeStates([GOOD, part]),
    unmergeState(GOOD, { ...GOOD, logSumExp: matrixOf([[NO, NO], [NO, NO]], 2) }),
    unmergeState(GOOD, part),
  ];
  for (const { output, logSumExp } of results) {
    output.data.fill(99);
    logSumExp.data.fill(99);
    (output.shape as [number, number])[0] = 99;
    (logSumExp.shape as [number, number])[0] = 99;
  }
  assertEquals([bitsOf(GOOD), bitsOf(part)], before);
});

Deno.test("states of no queries merge and unmerge to none", () => {
  const none = { output: shaped(0, 4), logSumExp: shaped(0, 2) };
  assertEquals(mergeStates([none, none]), none);
  assertEquals(unmergeState(none, none), none);
});
