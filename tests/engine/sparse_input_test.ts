// Sparse rows, CSR matrices and float16 as they come in: an engine that is given them has the bits of one that is given the same
// numbers written out.

import {
  attention,
  type CsrMatrix,
  DynamicAttention,
  InputError,
  type MatrixInput,
  type SparseRow,
  type VectorInput,
} from "../../mod.ts";
import { assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";
import { as } from "../../testing/bad_calls.ts";
import { Random } from "../../testing/random.ts";
import { BACKENDS } from "../backends_here.ts";

/** A row of which some numbers are 0, and its sparse form in a random order. */
function sparseRow(random: Random, length: number): { dense: Float32Array; sparse: SparseRow } {
  const dense = random.row(length).map((x) => random.below(3) === 0 ? x : 0);
  const indices = random.shuffled(Array.from(dense.keys()).filter((c) => dense[c] !== 0));
  return { dense, sparse: { indices, values: indices.map((c) => dense[c]) } };
}

/** A matrix, and its CSR form as SciPy holds it. */
function csr(random: Random, rows: number, columns: number): { dense: Float32Array[]; sparse: CsrMatrix } {
  const made = Array.from({ length: rows }, () => sparseRow(random, columns));
  const indptr = new Int32Array(rows + 1);
  made.forEach(({ sparse }, i) => indptr[i + 1] = indptr[i] + sparse.indices.length);
  const indices = Int32Array.from(made.flatMap(({ sparse }) => Array.from(sparse.indices)));
  const data = Float64Array.from(made.flatMap(({ sparse }) => Array.from(sparse.values)));
  return { dense: made.map(({ dense }) => dense), sparse: { data, indices, indptr, shape: [rows, columns] } };
}

for (const backend of BACKENDS) {
  Deno.test(`sparse input, ${backend}: the same bits as of rows that are written out`, async () => {
    const random = new Random(31), d = 6, dv = 4;
    const query = csr(random, 3, d), key = csr(random, 9, d), value = csr(random, 9, dv);
    await using one = await DynamicAttention.create({
      query: query.sparse,
      key: key.sparse,
      value: value.sparse,
      backend,
    });
    const dense = { query: query.dense, key: key.dense, value: value.dense, backend };
    await using other = await DynamicAttention.create(dense);
    for (let turn = 0; turn < 20; turn++) {
      const k = sparseRow(random, d), v = sparseRow(random, dv), q = sparseRow(random, d), slot = turn % 3;
      for (const [live, of] of [[one, "sparse"], [other, "dense"]] as const) {
        live.setKey(slot, k[of]);
        live.setValue(slot + 1, v[of]);
        live.set(slot + 2, k[of], v[of]);
        live.insert(q[of], v[of]);
        live.edit([{ kind: "setQuery", slot, query: q[of] }, { kind: "insertQuery", query: k[of] }]);
      }
    }
    assertEquals(await one.read(), await other.read());
    const passing = csr(random, 2, d);
    assertEquals(await one.attend(passing.sparse), await other.attend(passing.dense));
    assertEquals(
      await attention({ query: query.sparse, key: key.sparse, value: value.sparse, backend }),
      await attention(dense),
    );
  });

  Deno.test(`float16 input, ${backend}: the numbers that it holds`, async () => {
    const random = new Random(32);
    const half = (length: number) => Float16Array.from(random.row(length));
    const wide = (row: Float16Array) => Float32Array.from(row);
    const query = half(8), key = half(12), value = half(6), mask = half(6);
    const of = (read: (row: Float16Array) => ArrayLike<number>) => ({
      query: { data: read(query), shape: [2, 4] as const },
      key: { data: read(key), shape: [3, 4] as const },
      value: { data: read(value), shape: [3, 2] as const },
      mask: { data: read(mask), shape: [2, 3] as const },
      heads: 2,
      backend,
    });
    await using one = await DynamicAttention.create(of((row) => row));
    await using other = await DynamicAttention.create(of(wide));
    assertEquals(await one.read(), await other.read());
    one.set(0, half(4), half(2));
    one.setValue(1, Float16Array.of(1.5, -2));
    assertEquals(one.getValue(1), Float32Array.of(1.5, -2));
    one.setKey(1, key.subarray(0, 4));
    assertEquals(one.getKey(1), wide(key.subarray(0, 4)));
    // And out: what an answer is rounded to.
    const { data } = await one.read();
    assertEquals(Float16Array.from(data).length, data.length);
  });
}

for (const backend of BACKENDS) {
  Deno.test(`lists of sparse rows, ${backend}: with their shape they are matrices, among rows of numbers, too`, async () => {
    const random = new Random(33);
    for (const [d, dv] of [[6, 4], [1, 1]]) {
      const make = (rows: number, columns: number) => {
        const made = Array.from({ length: rows }, () => sparseRow(random, columns));
        const data = made.map(({ dense, sparse }, i) => i % 3 === 1 ? [...dense] : sparse);
        return { dense: made.map(({ dense }) => dense), sparse: { data, shape: [rows, columns] as const } };
      };
      const query = make(3, d), key = make(7, d), value = make(7, dv), passing = make(2, d);
      const given = { query: query.sparse, key: key.sparse, value: value.sparse, backend };
      const written = { query: query.dense, key: key.dense, value: value.dense, backend };
      await using one = await DynamicAttention.create(given);
      await using other = await DynamicAttention.create(written);
      assertEquals(await one.read(), await other.read());
      assertEquals(await one.attend(passing.sparse), await other.attend(passing.dense));
      assertEquals(await attention(given), await attention(written));
    }
  });
}

Deno.test("a list of sparse rows alone is refused with the way to give it, in every place of a matrix", async () => {
  await using live = await DynamicAttention.create({ query: [[1, 2]], key: [[1, 2]], value: [[1]] });
  const bare = as<MatrixInput>([{ indices: [0], values: [1] }]), after = as<MatrixInput>([[1, 2], bare]);
  const message = "[0] is a sparse row, expected { data: rows, shape: [rows, columns] }, which says how many";
  const of = { query: [[1, 2]], key: [[1, 2]], value: [[1]] };
  for (const name of ["query", "key", "value"] as const) {
    const options = { ...of, [name]: bare };
    await assertRejects(() => attention(options), InputError, `${name}${message}`);
    await assertRejects(() => DynamicAttention.create(options), InputError, `${name}${message}`);
  }
  await assertRejects(() => live.attend(bare), InputError, `queries${message}`);
  await assertRejects(() => live.attend(after), InputError, "queries[1] has 1 numbers");
  const shaped = (data: unknown, shape: [number, number]) => as<MatrixInput>({ data, shape });
  const mistakes: readonly (readonly [MatrixInput, string])[] = [
    [
      shaped([{ indices: [2], values: [1] }], [1, 2]),
      "queries.data[0].indices has 2 at index 0, expected integers from 0 to 1",
    ],
    [shaped([[1, 2, 3]], [1, 2]), "queries.data[0] has 3 numbers, expected 2 (columns)"],
    [shaped([{ indices: [0], values: [1] }], [2, 2]), "queries.data has 1 numbers, expected 4 (shape 2 × 2)"],
    [shaped([[1, 2], 3], [2, 2]), "queries.data has 2 numbers, expected 4 (shape 2 × 2)"],
    [shaped(["1"], [1, 1]), 'queries has "1" at index 0, expected finite numbers'],
  ];
  for (const [queries, expected] of mistakes) {
    await assertRejects(() => live.attend(queries), InputError, `DynamicAttention.attend: ${expected}`);
  }
});

Deno.test("sparse rows that are none are refused, and nothing changes", async () => {
  await using live = await DynamicAttention.create({ query: [[1, 2, 3]], key: [[1, 2, 3]], value: [[1]] });
  const mistakes: readonly (readonly [unknown, string])[] = [
    [{ indices: [0, 1], values: [1] }, "key.indices has 2 numbers, expected 1 (as key.values)"],
    [
      { indices: [3], values: [1] },
      "key.indices has 3 at index 0, expected integers from 0 to 2 (below kvHeads × headDim)",
    ],
    [{ indices: [-1], values: [1] }, "key.indices has -1 at index 0"],
    [{ indices: [0.5], values: [1] }, "key.indices has 0.5 at index 0"],
    [{ indices: [1, 1], values: [1, 2] }, "key.indices has 1 twice, expected each column once"],
    [{ indices: [1], values: [NaN] }, "key.values has NaN at index 0, expected finite numbers"],
    [{ indices: [1], values: [1e39] }, "key.values has 1e+39 at index 0"],
    [{ indices: [1] }, "key.values is undefined, expected an array of numbers"],
    [
      { indices: [1], values: [1], length: 3 },
      'key field "length" is unknown, expected one of indices, values',
    ],
  ];
  for (const [row, message] of mistakes) {
    assertThrows(
      () => live.setKey(0, as<VectorInput>(row)),
      InputError,
      `DynamicAttention.setKey: ${message}`,
    );
  }
  assertEquals([live.getKey(0), live.sequence], [Float32Array.of(1, 2, 3), 0]);
  live.setKey(0, { indices: [], values: [] });
  assertEquals(live.getKey(0), new Float32Array(3));
});

Deno.test("CSR matrices that are none are refused", async () => {
  const good = { data: [1, 2, 3], indices: [0, 1, 0], indptr: [0, 2, 3], shape: [2, 2] };
  const mistakes: readonly (readonly [object, string])[] = [
    [{ shape: [2, 0] }, "key.shape is [2, 0]"],
    [{ shape: [3, 2] }, "key.indptr has 3 numbers, expected 4 (rows + 1)"],
    [{ indptr: [1, 2, 3] }, "key.indptr has 1 at index 0, expected 0"],
    [{ indptr: [0, 2, 1] }, "key.indptr has 1 at index 2, expected an integer from 2 to 3"],
    [{ indptr: [0, 2, 4] }, "key.indptr has 4 at index 2"],
    [{ indptr: [0, 1, 2] }, "key.indptr ends with 2, expected 3 (numbers of data)"],
    [{ indices: [0, 2, 0] }, "key.indices has 2 at index 1, expected integers from 0 to 1 (below columns)"],
    [
      { indices: [1, 1, 0] },
      "key.indices has 1 twice in row 0, expected each column once, as sum_duplicates()",
    ],
    [{ indices: [0, 1] }, "key.indices has 2 numbers, expected 3 (as key.data)"],
    [{ data: [1, Infinity, 3] }, "key.data has Infinity at index 1"],
    [{ nnz: 3 }, 'key field "nnz" is unknown'],
  ];
  for (const [change, message] of mistakes) {
    const key = as<CsrMatrix>({ ...good, ...change });
    await assertRejects(() => attention({ query: [[1, 1]], key, value: [[1], [2]] }), InputError, message);
  }
});
