// Tensors as other libraries shape them, and views of larger arrays: whatever the layout, the answer is the oracle's of the same
// rows.

import {
  attention,
  attentionBatch,
  type BatchInput,
  type BatchOptions,
  DynamicAttention,
  InputError,
  type MaskInput,
  type MatrixInput,
  splitHeads,
  type StridedMatrix,
} from "../../mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";
import { as } from "../../testing/bad_calls.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { BACKENDS } from "../backends_here.ts";

/** Numbers by batch, head, token and column. */
type Numbers = number[][][][];

function numbersOf(random: Random, [b, h, t, d]: readonly number[]): Numbers {
  const list = (count: number) => Array.from({ length: count });
  return list(b).map(() => list(h).map(() => list(t).map(() => [...random.row(d)])));
}

/** The same numbers in a layout: a permutation of the dimensions. */
function permuted(numbers: Numbers, shape: readonly number[], order: readonly number[]): BatchInput {
  const lengths = order.map((axis) => shape[axis]);
  const data: number[] = [];
  const visit = (index: number[]) => {
    if (index.length === 4) {
      const at = [0, 0, 0, 0];
      order.forEach((axis, place) => at[axis] = index[place]);
      data.push(numbers[at[0]][at[1]][at[2]][at[3]]);
      return;
    }
    for (let i = 0; i < lengths[index.length]; i++) visit([...index, i]);
  };
  visit([]);
  return { data, shape: lengths };
}

/** Rows of one item, heads side by side. */
function rowsOf(item: number[][][]): number[][] {
  return item[0].map((_, t) => item.flatMap((head) => head[t]));
}

for (const backend of BACKENDS) {
  Deno.test(`shapes, ${backend}: batches in both layouts are what the oracle says of each item`, async () => {
    const random = new Random(41);
    for (let turn = 0; turn < (IS_LONG ? 60 : 8); turn++) {
      const kvHeads = 1 + random.below(2), heads = kvHeads * (1 + random.below(2));
      const batch = 1 + random.below(3), memories = random.below(2) === 0 ? 1 : batch;
      const [m, n, d, dv] = [
        1 + random.below(4),
        1 + random.below(5),
        1 + random.below(4),
        1 + random.below(3),
      ];
      const shapes = {
        query: [batch, heads, m, d],
        key: [memories, kvHeads, n, d],
        value: [memories, kvHeads, n, dv],
      };
      const numbers = {
        query: numbersOf(random, shapes.query),
        key: numbersOf(random, shapes.key),
        value: numbersOf(random, shapes.value),
      };
      const masked = numbersOf(random, [
        random.below(2) === 0 ? 1 : batch,
        random.below(2) === 0 ? 1 : heads,
        m,
        n,
      ]);
      const maskShape = [masked.length, masked[0].length, m, n];
      const given = (layout: "split" | "joined") => {
        const entries = (["query", "key", "value"] as const).map((name) => {
          const order = layout === "split" ? [0, 1, 2, 3] : [0, 2, 1, 3];
          const { data, shape } = permuted(numbers[name], shapes[name], order);
          return [name, {
            data,
            shape: layout === "split" ? shape : [shape[0], shape[1], shape[2] * shape[3]],
          }];
        });
        return {
          ...Object.fromEntries(entries),
          ...(layout === "split" ? {} : { heads, kvHeads }),
          mask: permuted(masked, maskShape, [0, 1, 2, 3]),
          backend,
        } as BatchOptions;
      };
      const split = await attentionBatch(given("split")), joined = await attentionBatch(given("joined"));
      assertEquals([split.shape, joined.shape], [[batch, heads, m, dv], [batch, m, heads * dv]]);
      for (let b = 0; b < batch; b++) {
        const memory = memories === 1 ? 0 : b, said = masked[masked.length === 1 ? 0 : b];
        const { output } = referenceAttention({
          query: rowsOf(numbers.query[b]),
          key: rowsOf(numbers.key[memory]),
          value: rowsOf(numbers.value[memory]),
          scale: 1 / Math.sqrt(d),
          valueDim: dv,
          heads,
          kvHeads,
          bias: (i, j, h) => said[said.length === 1 ? 0 : h][i][j],
        });
        output.forEach((row, i) =>
          row.forEach((o, at) => {
            const [h, c] = [Math.floor(at / dv), at % dv];
            assertAlmostEquals(split.data[((b * heads + h) * m + i) * dv + c], o, 1e-5);
            assertAlmostEquals(joined.data[(b * m + i) * heads * dv + at], o, 1e-5);
          })
        );
      }
    }
  });
}

Deno.test("views of any strides are the rows that they are of", async () => {
  const random = new Random(42);
  for (let turn = 0; turn < 200; turn++) {
    const shape = [1, 1 + random.below(3), 1 + random.below(4), 1 + random.below(4)];
    const numbers = numbersOf(random, shape);
    const order = [0, ...random.shuffled([1, 2, 3])];
    const { data, shape: lengths } = permuted(numbers, shape, order);
    const gap = random.below(3), offset = random.below(4);
    // Stretched, so that other numbers lie between, and turned around where the sign is −.
    const spread = Float32Array.from({ length: offset + data.length * (1 + gap) + 5 }, () => NaN);
    Array.from(data).forEach((number, at) => spread[offset + at * (1 + gap)] = number);
    const strides = [1, 2, 3].map((axis) => {
      const place = order.indexOf(axis);
      return lengths.slice(place + 1).reduce((size, length) => size * length, 1 + gap);
    });
    const whole: StridedMatrix = {
      data: spread,
      shape: shape.slice(1) as [number, number, number],
      strides,
      offset,
    };
    const value = numbersOf(random, [1, shape[1], shape[2], 2]);
    const options = {
      query: rowsOf(numbers[0]),
      value: rowsOf(value[0]),
      heads: shape[1],
      backend: "array",
    } as const;
    const expected = await attention({ ...options, key: rowsOf(numbers[0]) });
    assertEquals(await attention({ ...options, key: whole }), expected);
    // A head alone, as a view of two dimensions.
    const head = random.below(shape[1]);
    const one: StridedMatrix = {
      data: spread,
      shape: [shape[2], shape[3]],
      strides: strides.slice(1),
      offset: offset + head * strides[0],
    };
    const alone = { query: numbers[0][head], value: value[0][head], backend: "array" } as const;
    assertEquals(
      await attention({ ...alone, key: one }),
      await attention({ ...alone, key: numbers[0][head] }),
    );
  }
});

Deno.test("a stride may be 0 or less", async () => {
  const rows = { query: [[1, 2]], value: [[1], [2], [3]], backend: "array" } as const;
  const data = [1, 2, 3, 4, 5, 6];
  const turned = await attention({ ...rows, key: { data, shape: [3, 2], strides: [-2, 1], offset: 4 } });
  assertEquals(turned, await attention({ ...rows, key: [[5, 6], [3, 4], [1, 2]] }));
  const repeated = await attention({ ...rows, key: { data: [1, 2], shape: [3, 2], strides: [0, 1] } });
  assertEquals(repeated, await attention({ ...rows, key: [[1, 2], [1, 2], [1, 2]] }));
});

Deno.test("an engine takes heads before tokens, and its answers are split", async () => {
  const random = new Random(43), numbers = numbersOf(random, [3, 2, 4, 3]);
  const tensor = (at: number) => permuted([numbers[at]], [1, 2, 4, 3], [0, 1, 2, 3]);
  const shaped = (at: number): MatrixInput => ({ data: tensor(at).data, shape: [2, 4, 3] });
  await using one = await DynamicAttention.create({ query: shaped(0), key: shaped(1), value: shaped(2) });
  const [query, key, value] = numbers.map(rowsOf);
  await using other = await DynamicAttention.create({ query, key, value, heads: 2 });
  assertEquals([one.stats().heads, one.stats().kvHeads], [2, 2]);
  assertEquals(await one.read(), await other.read());
  assertEquals(await one.attend(shaped(2)), await other.attend(value));
  const { data, shape } = splitHeads(await one.read(), 2), whole = await one.read();
  assertEquals([...shape], [2, 4, 3]);
  for (let h = 0; h < 2; h++) {
    for (let i = 0; i < 4; i++) {
      for (let c = 0; c < 3; c++) assertEquals(data[(h * 4 + i) * 3 + c], whole.data[i * 6 + h * 3 + c]);
    }
  }
  assertThrows(
    () => splitHeads(whole, 4),
    InputError,
    "splitHeads: heads is 4, expected a divisor of 6 (columns)",
  );
});

Deno.test("what does not fit is refused", async () => {
  const rows = { query: [[1, 2]], value: [[1], [2]] };
  const views: readonly (readonly [unknown, string])[] = [
    [{ data: [1, 2, 3, 4], shape: [1, 2, 2, 1] }, "key.shape is [1, 2, 2, 1]"],
    [{ data: [1, 2, 3, 4, 5], shape: [1, 2, 2] }, "key.data has 5 numbers, expected 4 (shape 1 × 2 × 2)"],
    [
      { data: [1, 2, 3, 4], shape: [2, 2], strides: [2] },
      "key.strides is [2], expected 2 integers, as shape",
    ],
    [{ data: [1, 2, 3, 4], shape: [2, 2], strides: [2, 0.5] }, "key.strides is [2, 0.5]"],
    [
      { data: [1, 2, 3, 4], shape: [2, 2], strides: [4, 1] },
      "key reaches from number 0 to 5, expected 0 to 3 (key.data)",
    ],
    [{ data: [1, 2, 3, 4], shape: [2, 2], strides: [-2, 1] }, "key reaches from number -2 to 1"],
    [{ data: [1, 2, 3, 4], shape: [2, 2], offset: 1 }, "key reaches from number 1 to 4"],
    [{ data: [1, 2, 3, 4], shape: [2, 2], offset: -1 }, "key.offset is -1, expected an integer ≥ 0"],
    [{ data: [1, 2, 3, NaN], shape: [1, 2, 2] }, "key.data has NaN at index 3"],
    [
      { data: [1, 2, 3, 4], shape: [0, 2, 2] },
      "key.shape is [0, 2, 2], expected [heads ≥ 1, rows ≥ 0, columns ≥ 1]",
    ],
    [{ data: [1, 2, 3, 4], shape: [2, 2, 1] }, "key has 2 columns, expected"],
  ];
  for (const [key, message] of views.slice(0, -1)) {
    await assertRejects(() => attention({ ...rows, key: as<MatrixInput>(key) }), InputError, message);
  }
  const three = { data: [1, 2, 3, 4], shape: [2, 2, 1] as const };
  await assertRejects(
    () => attention({ query: three, key: three, value: three, heads: 1 }),
    InputError,
    "kvHeads is 2, expected a divisor of 1 (heads)",
  );
  await assertRejects(
    () => attention({ query: [[1, 2]], key: three, value: [[1, 1], [2, 2]], heads: 2, kvHeads: 1 }),
    InputError,
    "key.shape has 2 heads, expected 1 (kvHeads)",
  );
  const four = { data: [1, 2, 3, 4], shape: [2, 1, 2, 1] };
  const batches: readonly (readonly [object, string])[] = [
    [
      { key: { ...four, shape: [4, 1, 1, 1] } },
      "key.shape is [4, 1, 1, 1], expected 4 lengths, the first 2 (as query) or 1",
    ],
    [{ key: { ...four, shape: [2, 2, 1] } }, "key.shape is [2, 2, 1]"],
    [{ query: { ...four, shape: [2, 2] } }, "query.shape is [2, 2], expected 3 or 4 whole numbers"],
    [
      { value: { ...four, shape: [2, 1, 3, 1] } },
      "value.data has 4 numbers, expected 6 (shape 2 × 1 × 3 × 1)",
    ],
    [
      { mask: { data: [0, 0], shape: [3, 1, 1, 1] } },
      "mask.shape is [3, 1, 1, 1], expected a first length of 2 (batch) or 1",
    ],
    [{ maks: 1 }, 'option "maks" is unknown'],
  ];
  for (const [change, message] of batches) {
    const options = { query: four, key: four, value: four, ...change } as BatchOptions;
    const error = await assertRejects(() => attentionBatch(options), InputError, message);
    assertEquals(error.operation, "attentionBatch");
  }
});

Deno.test("each option of attention is one of attentionBatch, and is of every item", async () => {
  const random = new Random(47), [b, h, t, d, dv] = [3, 2, 4, 2, 3];
  const make = (columns: number) => numbersOf(random, [b, h, t, columns]);
  const [query, key, value] = [make(d), make(d), make(dv)];
  // The compiler asks for an option that is new here.
  type Options = Omit<BatchOptions, "query" | "key" | "value">;
  const given: { readonly [Name in Exclude<keyof Options, "heads">]-?: Options } = {
    kvHeads: { kvHeads: 2 },
    scale: { scale: 0.3 },
    softcap: { softcap: 2 },
    biasBeforeSoftcap: { biasBeforeSoftcap: true, softcap: 2, alibi: true },
    sinks: { sinks: [0, 1] },
    alibi: { alibi: true },
    distanceBias: { distanceBias: { from: -1, values: [0, 1, 2] } },
    rotary: { rotary: true },
    blockMask: { blockMask: { size: 2, entries: [[true, false], [0.5, true]] } },
    mask: { mask: random.rows(t, t) },
    causal: { causal: true },
    window: { window: { left: 1, right: 1, keepFirst: 1 } },
    queryPositions: { queryPositions: [3, 2, 1, 0], causal: true },
    keyPositions: { keyPositions: [1, 2, 3, 4], causal: true },
    backend: { backend: "array" },
    threads: { threads: 1 },
    storage: { storage: { keys: "int8", values: "float16" } },
  };
  const order = [0, 1, 2, 3],
    plain = (numbers: Numbers, columns: number) => permuted(numbers, [b, h, t, columns], order);
  const tensors = { query: plain(query, d), key: plain(key, d), value: plain(value, dv) };
  const matrix = ({ data }: BatchInput, item: number, columns: number): MatrixInput => {
    const size = h * t * columns;
    return { data: Float32Array.from(data).subarray(item * size, (item + 1) * size), shape: [h, t, columns] };
  };
  for (const [name, options] of Object.entries(given)) {
    const { data } = await attentionBatch({ ...tensors, ...options });
    for (let item = 0; item < b; item++) {
      const rows = { query: matrix(tensors.query, item, d), key: matrix(tensors.key, item, d) };
      const one = await attention({
        ...rows,
        value: matrix(tensors.value, item, dv),
        ...options,
        mask: options.mask as MaskInput,
      });
      const size = h * t * dv;
      assertEquals(
        data.slice(item * size, (item + 1) * size),
        splitHeads(one, h).data,
        `${name}, item ${item}`,
      );
    }
  }
});
