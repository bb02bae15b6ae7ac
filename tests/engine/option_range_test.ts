// Numbers of all sizes, as options and as entries: what passes the border means the same on every backend,
// which is what the oracle says, before and after edits; what does not is refused by type.

import { AttentionError, DynamicAttention, type DynamicAttentionOptions } from "../../mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assert, assertEquals, assertInstanceOf } from "../../testing/assert.ts";
import { QUICK_BACKENDS } from "../backends_here.ts";
import { as } from "../../testing/bad_calls.ts";

const SIZES = [
  0,
  5e-324,
  1e-300,
  1e-150,
  1e-46,
  1e-45,
  1e-40,
  1.2e-38,
  1e-30,
  1e-10,
  1,
  3,
  1e10,
  1e30,
  3.4e38,
]
  .concat(3.4028234663852886e38, 3.4028235677973362e38, 3.4028235677973366e38, 1e39, 1e150, 1e308, Infinity);
/** Values that are no numbers, or not finite. */
const STRANGERS = [
  NaN,
  1n,
  10n ** 400n,
  "1",
  "1e3",
  "",
  null,
  true,
  false,
  Object(1),
  [1],
  {},
  () => 1,
  Symbol("1"),
];
const NUMBERS: readonly number[] = SIZES.flatMap((size) => [size, -size]);

/** Rows whose products with each other are of many sizes. */
const ROWS = [[0, 0], [1, 0], [0, 1], [1, 1], [-1, 2]];
const VALUES = [[1], [2], [4], [8], [16]];

interface Rule {
  readonly scale: number;
  readonly softcap: number;
  readonly bias: (i: number, j: number) => number;
}

/** Asks an engine for everything, after it was made and after a key and a value came and went. */
async function assertRight(
  options: Partial<DynamicAttentionOptions>,
  { scale, softcap, bias }: Rule,
  sizes: { readonly key: number; readonly query: number; readonly value: number },
  what: string,
): Promise<void> {
  const times = (rows: readonly number[][], size: number) => rows.map((row) => row.map((x) => x * size));
  const query = times(ROWS, sizes.query), key = times(ROWS, sizes.key), value = times(VALUES, sizes.value);
  await using live = await DynamicAttention.create(
    as<DynamicAttentionOptions>({ query, key, value, ...options }),
  );
  const truth = referenceAttention({ query, key, value, scale, softcap, bias, valueDim: 1 });
  const largest = 16 * sizes.value;
  const compare = async (when: string) => {
    const { data } = await live.read(), logs = (await live.logSumExp()).data;
    truth.output.flat().forEach((expected, at) => {
      const off = Math.abs(data[at] - expected);
      assert(
        off <= 2e-6 * largest + 2 ** -149,
        `${what}, ${when}: row ${at} is ${data[at]}, expected ${expected}`,
      );
      const L = truth.logSumExp[at][0], depth = Math.max(1, Math.abs(L));
      const isRight = logs[at] === Math.fround(L) || Math.abs(logs[at] - L) <= 2e-6 * depth;
      assert(isRight, `${what}, ${when}: log-sum-exp ${at} is ${logs[at]}, expected ${L}`);
    });
    const weights = await live.weights(3);
    truth.weights[3][0].forEach((expected, j) => {
      assert(
        Math.abs(weights[j] - expected) <= 2e-6,
        `${what}, ${when}: weight ${j} is ${weights[j]}, expected ${expected}`,
      );
    });
  };
  await compare("as made");
  live.setKey(1, [0.5, 0.25]);
  live.setValue(2, [0.5]);
  await live.read();
  live.setKey(1, key[1]);
  live.setValue(2, value[2]);
  await compare("after edits");
  const { output, bounds } = await live.peek();
  assertEquals(bounds.every((bound) => bound >= 0), true, `${what}: ${bounds}`);
  assertEquals(output.data, (await live.read()).data);
}

const PLAIN: Rule = { scale: Math.SQRT1_2, softcap: 0, bias: () => 0 };
const ORDINARY = { key: 1, query: 1, value: 1 };

for (const backend of QUICK_BACKENDS) {
  const isFull = backend !== "webgpu";
  // A device answers slowly.
  const few = isFull ? NUMBERS : NUMBERS.filter((_, at) => at % 8 < 2);

  Deno.test(`range on ${backend}: a scale of any size`, async () => {
    for (const scale of NUMBERS) {
      const options = { backend, scale, onThreshold: "patch" } as const;
      if (!Number.isFinite(Math.fround(scale))) await assertRefused(options, "scale");
      else {for (const key of [1, 1e15, 1e30]) {
          const sizes = { ...ORDINARY, key };
          await assertRight(options, { ...PLAIN, scale }, sizes, `scale ${scale}, keys of ${key}`);
        }}
    }
  });

  Deno.test(`range on ${backend}: a softcap of any size`, async () => {
    for (const softcap of NUMBERS) {
      const options = { backend, softcap, scale: 3, onThreshold: "patch" } as const;
      const passes = softcap >= 0 && Number.isFinite(Math.fround(softcap));
      if (!passes) await assertRefused(options, "softcap");
      else {for (const key of [1, 1e-30, 1e30]) {
          await assertRight(
            options,
            { ...PLAIN, scale: 3, softcap },
            { ...ORDINARY, key },
            `softcap ${softcap}, keys of ${key}`,
          );
        }}
    }
  });

  Deno.test(`range on ${backend}: entries of a mask of any size`, async () => {
    for (const entry of NUMBERS) {
      for (const form of ["matrix", "function", "typed"] as const) {
        const isThere = (i: number, j: number) => (i + j) % 2 === 0;
        const rows = ROWS.map((_, i) => ROWS.map((_, j) => isThere(i, j) ? entry : 0.5));
        const mask = form === "matrix"
          ? rows
          : form === "function"
          ? (i: number, j: number) => rows[i][j]
          : { data: Float64Array.from(rows.flat()), shape: [5, 5] as const };
        const options = { backend, mask, onThreshold: "patch" } as const;
        const passes = Number.isFinite(Math.fround(entry)) || entry === -Infinity;
        if (!passes) await assertRefused(options, "mask");
        else {
          const bias = (i: number, j: number) => Math.fround(rows[i][j]);
          await assertRight(options, { ...PLAIN, bias }, ORDINARY, `mask ${entry}, ${form}`);
        }
      }
      const all = ROWS.map(() => ROWS.map(() => entry));
      if (Number.isFinite(Math.fround(entry)) || entry === -Infinity) {
        const bias = () => Math.fround(entry);
        await assertRight({ backend, mask: all }, { ...PLAIN, bias }, ORDINARY, `a mask of ${entry} alone`);
      }
    }
  });

  Deno.test(`range on ${backend}: rows of any size`, async () => {
    for (const size of NUMBERS.filter((size) => size >= 0)) {
      for (const kind of ["query", "key", "value"] as const) {
        const sizes = { ...ORDINARY, [kind]: size };
        const options = { backend, onThreshold: "patch" } as const;
        // The rows reach twice, or sixteen times, the size.
        const reach = size * (kind === "value" ? 16 : 2);
        if (!Number.isFinite(Math.fround(reach))) continue;
        const rounded = { ...sizes, [kind]: Math.fround(size) };
        await assertRight(options, PLAIN, rounded, `${kind} of ${size}`);
      }
    }
  });

  Deno.test(`range on ${backend}: positions, windows and offsets of any size`, async () => {
    const finite = few.filter(Number.isFinite);
    const inReach = (query: number, key: number, before: number, after: number) => {
      const ahead = key - query;
      return -before <= ahead && ahead <= after ? 0 : -Infinity;
    };
    for (const size of finite) {
      const queryPositions = [0, size, -size, 1, size / 2], keyPositions = [size, 0, -size, -1, 2 ** 53];
      for (
        const [before, after] of [[1, 1], [Math.abs(size), 0], [Infinity, Math.abs(size)], [0, Infinity]]
      ) {
        const bias = (i: number, j: number) => inReach(queryPositions[i], keyPositions[j], before, after);
        const options = { backend, queryPositions, keyPositions, window: [before, after] as const };
        await assertRight(
          options,
          { ...PLAIN, bias },
          ORDINARY,
          `positions of ${size}, window ${before}, ${after}`,
        );
      }
      const bias = (i: number, j: number) => inReach(queryPositions[i], keyPositions[j], Infinity, size);
      const options = { backend, queryPositions, keyPositions, causal: { offset: size } };
      await assertRight(options, { ...PLAIN, bias }, ORDINARY, `positions of ${size}, offset ${size}`);
    }
  });

  Deno.test(`range on ${backend}: tolerances and limits of any size`, async () => {
    for (const number of few) {
      for (const name of ["tolerance", "edits", "ageMs", "error", "targetError"] as const) {
        const options = name === "tolerance"
          ? { backend, tolerance: number }
          : { backend, lazyThreshold: { [name]: number } };
        const passes = name === "tolerance"
          ? number > 0 && number < 1
          : name === "edits"
          ? number >= 1 && (number === Infinity || Number.isSafeInteger(number))
          : number >= 0;
        if (passes) await assertRight(options, PLAIN, ORDINARY, `${name} ${number}`);
        else await assertRefused(options, name === "tolerance" ? name : `lazyThreshold.${name}`);
      }
    }
  });
}

async function assertRefused(options: object, name: string): Promise<void> {
  const given = as<DynamicAttentionOptions>({ query: ROWS, key: ROWS, value: VALUES, ...options });
  const error = await DynamicAttention.create(given).then(() => null, (reason) => reason);
  assertInstanceOf(error, AttentionError, `${name} of ${Deno.inspect(options)}`);
  assert(error.message.includes(name), `${error.message} does not name ${name}`);
}

Deno.test("what is no number is refused wherever one is an option", async () => {
  for (const stranger of STRANGERS) {
    for (const name of ["scale", "softcap", "tolerance", "heads", "kvHeads", "threads"]) {
      await assertRefused({ backend: "wasm", [name]: stranger }, name);
    }
    for (const name of ["edits", "ageMs", "error", "targetError"]) {
      await assertRefused({ lazyThreshold: { [name]: stranger } }, `lazyThreshold.${name}`);
    }
    await assertRefused({ causal: { offset: stranger } }, "causal");
    await assertRefused({ window: [stranger, 1] }, "window");
    await assertRefused({ window: [1, stranger] }, "window");
    for (const name of ["queryPositions", "keyPositions"]) {
      await assertRefused({ [name]: [0, 1, stranger, 3, 4] }, name);
    }
    if (typeof stranger === "boolean") continue;
    await assertRefused({ mask: ROWS.map(() => [0, 0, stranger, 0, 0]) }, "mask");
    await assertRefused({ mask: () => stranger }, "mask");
  }
});
