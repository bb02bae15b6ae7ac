// Matrices as .npy files: against bytes written down here, and against NumPy where python3 has it.

import { FormatError, InputError, type Matrix } from "../../mod.ts";
import { fromNpy, toNpy } from "../../src/store/mod.ts";
import { assert, assertEquals, assertThrows } from "../../testing/assert.ts";
import { piecesOf, runPython } from "../../testing/python.ts";
import { findPython, requires } from "../../testing/requirements.ts";
import { Random } from "../../testing/random.ts";
import { bitsOf } from "../../testing/twins.ts";

/** A file of a header as text, padded as NumPy pads it, and data. */
function npy(dict: string, data: ArrayBufferView, version: readonly [number, number] = [1, 0]): Uint8Array {
  const start = version[0] === 1 ? 10 : 12;
  const header = dict.padEnd(128 - start - 1) + "\n";
  const bytes = new Uint8Array(start + header.length + data.byteLength);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), ...version, header.length, 0]);
  bytes.set(new TextEncoder().encode(header), start);
  bytes.set(bitsOf(data), start + header.length);
  return bytes;
}

const dictOf = (descr: string, shape: string, order = "False") =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;

const MATRIX: Matrix = { data: Float32Array.of(1, -2, 0.5, -0, 1e-45, 3.5), shape: [2, 3] };

Deno.test("a matrix is written as NumPy writes it", () => {
  assertEquals(toNpy(MATRIX), npy(dictOf("<f4", "(2, 3)"), MATRIX.data));
  assertEquals(
    toNpy({ data: new Float32Array(0), shape: [0, 7] }),
    npy(dictOf("<f4", "(0, 7)"), new Uint8Array(0)),
  );
});

Deno.test("a matrix comes back to the bit, NaN and infinities too", () => {
  const random = new Random(5);
  for (const [rows, columns] of [[1, 1], [3, 5], [0, 4], [100, 1], [1, 100]] as const) {
    const matrix: Matrix = { data: random.row(rows * columns), shape: [rows, columns] };
    const again = fromNpy(toNpy(matrix));
    assertEquals([...again.shape], [rows, columns]);
    assertEquals(bitsOf(again.data), bitsOf(matrix.data));
  }
  const strange: Matrix = { data: Float32Array.of(NaN, -Infinity, Infinity, -0), shape: [2, 2] };
  assertEquals(bitsOf(fromNpy(toNpy(strange)).data), bitsOf(strange.data));
});

Deno.test("what is read is the caller's own, wherever the bytes lie", () => {
  const bytes = toNpy(MATRIX);
  const larger = new Uint8Array(bytes.length + 3);
  larger.set(bytes, 3);
  const matrix = fromNpy(larger.subarray(3));
  larger.fill(0);
  assertEquals(matrix, MATRIX);
});

Deno.test("float64 and float16 are read as float32", () => {
  const double = Float64Array.of(1 / 3, -2, 1e-50, Infinity);
  const rounded = { data: Float32Array.of(1 / 3, -2, 0, Infinity), shape: [2, 2] as const };
  assertEquals(fromNpy(npy(dictOf("<f8", "(2, 2)"), double)), rounded);
  // 1, −2, the largest, the smallest, −∞ and NaN.
  const half = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0xfc00, 0x7e00);
  const widened = { data: Float32Array.of(1, -2, 65504, 2 ** -24, -Infinity, NaN), shape: [2, 3] as const };
  assertEquals(fromNpy(npy(dictOf("<f2", "(2, 3)"), half)), widened);
});

Deno.test("each of the 65,536 float16 numbers is read as the number that it is", () => {
  const halves = Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits);
  const view = new DataView(halves.buffer);
  const expected = Float32Array.from(halves, (_, at) => view.getFloat16(2 * at, true));
  const { data } = fromNpy(npy(dictOf("<f2", "(256, 256)"), halves));
  assertEquals(data.findIndex((number, at) => !Object.is(number, expected[at])), -1);
});

Deno.test("one dimension is one row", () => {
  assertEquals(fromNpy(npy(dictOf("<f4", "(3,)"), Float32Array.of(1, 2, 3))).shape, [1, 3]);
});

Deno.test("every version and way to write the header is read", () => {
  const expected = { data: Float32Array.of(1, 2), shape: [2, 1] as const };
  const dicts = [
    dictOf("<f4", "(2, 1)"),
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}",
    '{"shape": (2,1,), "fortran_order": False, "descr": "<f4"}',
    "{ 'shape' :( 2 , 1 ),'descr':'<f4' , 'fortran_order':False , } ",
  ];
  for (const dict of dicts) {
    for (const version of [[1, 0], [2, 0], [3, 0]] as const) {
      assertEquals(fromNpy(npy(dict, expected.data, version)), expected, `${version} ${dict}`);
    }
  }
});

const four = Float32Array.of(1, 2, 3, 4);
const good = npy(dictOf("<f4", "(2, 2)"), four);
const with4 = (dict: string) => npy(dict, four);
const changed = (at: number, byte: number) => good.map((old, index) => index === at ? byte : old);

const MISTAKES: readonly (readonly [what: string, bytes: Uint8Array, message: string])[] = [
  ["nothing", new Uint8Array(0), 'file of 0 bytes begins with "", expected "\\u0093NUMPY"'],
  [
    "part of the magic",
    good.subarray(0, 5),
    'file of 5 bytes begins with "\\u0093NUMP", expected "\\u0093NUMPY"',
  ],
  ["the magic alone", good.subarray(0, 6), "file has 6 bytes, expected at least 12"],
  ["a version, and no header", good.subarray(0, 8), "file has 8 bytes, expected at least 12"],
  ["two bytes of a header", good.subarray(0, 12), "expected at most 2, the file's rest"],
  [
    "no rows of vast columns",
    npy(dictOf("<f4", "(0, 99999999999999999999)"), new Uint8Array(0)),
    "shape is (0, 100000000000000000000)",
  ],
  [
    "no rows of more than can be counted",
    npy(dictOf("<f4", "(0, 9007199254740993)"), new Uint8Array(0)),
    "expected lengths below 2⁵³",
  ],
  [
    "a length of many digits",
    npy(dictOf("<f4", `(0, ${"9".repeat(80)})`), new Uint8Array(0)),
    "expected lengths below 2⁵³",
  ],
  ["another file", new TextEncoder().encode("PK\x03\x04 and so on"), 'begins with "PK\\u0003\\u0004 a"'],
  ["another version", changed(6, 4), "version is 4.0, expected 1.0, 2.0 or 3.0"],
  ["another minor version", changed(7, 1), "version is 1.1"],
  ["a long header", changed(9, 1), "header has 374 bytes, expected at most 134"],
  [
    "a longer header",
    npy(dictOf("<f4", "(2, 2)"), four, [2, 0]).map((byte, at) => at === 11 ? 255 : byte),
    "header has 4278190196 bytes",
  ],
  [
    "complex numbers",
    with4(dictOf("<c8", "(2, 1)")),
    'descr is "<c8", expected one of f8, f4, f2, i8, i4, i2, i1, u8, u4, u2, u1, b1, with "<" or ">" before',
  ],
  ["text", with4(dictOf("<U1", "(2, 2)")), 'descr is "<U1"'],
  ["the order of bytes of some other machine", with4(dictOf("=f4", "(2, 2)")), 'descr is "=f4"'],
  ["no order of bytes", with4(dictOf("|f4", "(2, 2)")), 'descr is "|f4"'],
  [
    "a byte of a boolean that is none",
    npy(dictOf("|b1", "(2,)"), Uint8Array.of(1, 2)),
    "boolean 1 is the byte 2",
  ],
  ["what objects inherit", with4(dictOf("toString", "(2, 2)")), 'descr is "toString"'],
  ["records", with4("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,)}"), "header is "],
  ["no order", with4("{'descr': '<f4', 'shape': (2, 2)}"), "header is "],
  [
    "an order that is text",
    with4("{'descr': '<f4', 'shape': (2, 2), 'fortran_order': 'False'}"),
    "fortran_order is 'False'",
  ],
  [
    "an order that is a shape",
    with4("{'descr': '<f4', 'shape': False, 'fortran_order': (2, 2)}"),
    "header is ",
  ],
  [
    "one entry more",
    with4("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), 'x': True}"),
    "header is ",
  ],
  ["no dict", with4("descr <f4"), 'header is "descr <f4"'],
  [
    "words after the entries",
    with4("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), x}"),
    "header is ",
  ],
  ["two dicts", with4(`${dictOf("<f4", "(2, 2)")}{}`), "header is "],
  ["code", with4("{'descr': '<f4', 'fortran_order': False, 'shape': (1 + 1, 2)}"), "header is "],
  ["numbers side by side", with4(dictOf("<f4", "(2 2)")), "header is "],
  ["an empty length", with4(dictOf("<f4", "(2,,2)")), "header is "],
  ["a shape cut off", with4("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2}"), "header is "],
  ["no dimension", with4(dictOf("<f4", "()")), "shape is (), expected (rows, columns ≥ 1)"],
  ["three dimensions", with4(dictOf("<f4", "(2, 2, 1)")), "shape is (2, 2, 1)"],
  ["no columns", with4(dictOf("<f4", "(2, 0)")), "shape is (2, 0)"],
  ["an empty row", with4(dictOf("<f4", "(0,)")), "shape is (0)"],
  ["more rows", with4(dictOf("<f4", "(3, 2)")), "data has 16 bytes, expected 24 for <f4 (3, 2)"],
  ["fewer rows", with4(dictOf("<f4", "(1, 2)")), "data has 16 bytes, expected 8"],
  ["vast rows", with4(dictOf("<f4", `(${"9".repeat(30)}, 2)`)), "data has 16 bytes, expected 8e+30"],
  ["cut off", good.subarray(0, good.length - 1), "data has 15 bytes, expected 16"],
  [
    "beyond float32",
    npy(dictOf("<f8", "(1, 2)"), Float64Array.of(0, 1e39)),
    "number 1 is 1e+39, expected numbers of float32",
  ],
];

Deno.test("what is no such file is refused", async (t) => {
  for (const [what, bytes, message] of MISTAKES) {
    await t.step(what, () => {
      const error = assertThrows(() => fromNpy(bytes), FormatError, message);
      assert(error.message.startsWith("fromNpy: "), error.message);
    });
  }
});

Deno.test("a header cannot make the reader busy", () => {
  const long = "1".repeat(50_000);
  for (const shape of [`(${long}`, `(${"1,".repeat(25_000)}`, `(${long} x)`]) {
    const dict = dictOf("<f4", shape);
    const bytes = new Uint8Array(10 + dict.length);
    bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, dict.length & 255, dict.length >> 8]);
    bytes.set(new TextEncoder().encode(dict), 10);
    assertThrows(() => fromNpy(bytes), FormatError, "header is ");
  }
});

Deno.test("what is no matrix, or no bytes, is refused", () => {
  const mistakes: readonly (readonly [unknown, string])[] = [
    [undefined, "matrix.data is undefined"],
    [{ data: four, shape: [2, 3] }, "matrix.data has 4 numbers, expected 6 (shape 2 × 3)"],
    [{ data: four, shape: [4, 0] }, "matrix.shape is [4, 0]"],
    [{ data: four, shape: [4] }, "matrix.shape is [4]"],
    [{ data: "1234", shape: [2, 2] }, 'matrix.data is "1234"'],
    [
      { data: ["1", "2", "3", "4"], shape: [2, 2] },
      'matrix.data has "1" at index 0, expected numbers, of float32 range',
    ],
    [{ data: [1, 2, null, 4], shape: [2, 2] }, "matrix.data has null at index 2"],
    [{ data: [1, 2, 3, 4n], shape: [2, 2] }, "matrix.data has 4n at index 3"],
    [{ data: new Array(4), shape: [2, 2] }, "matrix.data has undefined at index 0"],
    [
      { data: [1, 1e39, 3, 4], shape: [2, 2] },
      "matrix.data has 1e+39 at index 1, expected numbers, of float32 range",
    ],
    [{ data: Float64Array.of(1, 2, 3, -1e300), shape: [2, 2] }, "matrix.data has -1e+300 at index 3"],
    [{ data: BigInt64Array.of(1n, 2n), shape: [1, 2] }, "matrix.data is an object (BigInt64Array)"],
    [{ data: four, shape: [2, 2], order: "F" }, 'matrix field "order" is unknown'],
    [[[1, 2], [3, 4]], "matrix is [[1, 2], [3, 4]], expected an object with data, shape"],
  ];
  for (const [matrix, message] of mistakes) {
    assertThrows(() => toNpy(matrix as Matrix), InputError, `toNpy: ${message}`);
  }
  const some = { data: { length: 2, 0: 1, 1: NaN }, shape: [1, 2] } as unknown as Matrix;
  assertEquals(fromNpy(toNpy(some)).data, Float32Array.of(1, NaN));
  const bytes: unknown = [1, 2];
  assertThrows(
    () => fromNpy(bytes as Uint8Array),
    InputError,
    "fromNpy: bytes are [1, 2], expected a Uint8Array",
  );
});

Deno.test("flipped, lost and added bytes are read as numbers or refused", () => {
  const random = new Random(9);
  const bytes = toNpy(MATRIX);
  for (let turn = 0; turn < 5000; turn++) {
    const damaged = random.below(4) === 0 ? bytes.slice(0, random.below(bytes.length)) : bytes.slice();
    for (let change = random.below(4); change >= 0; change--) {
      damaged[random.below(damaged.length)] ^= 1 << random.below(8);
    }
    try {
      const { data, shape } = fromNpy(damaged);
      assertEquals(data.length, shape[0] * shape[1]);
    } catch (error) {
      assert(error instanceof FormatError, String(error));
    }
  }
});

const python = findPython("numpy");

const numpy = requires("NumPy", python, "apt-get install python3-numpy");

Deno.test({
  name: "NumPy reads what is written here, and writes the same bytes",
  ...numpy,
  fn: async () => {
    const random = new Random(13);
    const shapes = [[1, 1], [2, 3], [0, 4], [12345, 2], [3, 1000]] as const;
    const files = shapes.map(([rows, columns]) =>
      toNpy({ data: random.row(rows * columns), shape: [rows, columns] })
    );
    const script = `
import io, sys, numpy
files = io.BytesIO(sys.stdin.buffer.read())
for shape in ${JSON.stringify(shapes)}:
    matrix = numpy.load(files, allow_pickle=False)
    assert list(matrix.shape) == shape and matrix.dtype == numpy.dtype("<f4"), (matrix.shape, matrix.dtype)
    numpy.save(sys.stdout.buffer, matrix)
`;
    const joined = new Uint8Array(await new Blob(files).arrayBuffer());
    assertEquals(await runPython(python!, script, joined), joined);
  },
});

/** The files that NumPy saves for some expressions. */
async function savedByNumpy(expressions: readonly string[]): Promise<Uint8Array[]> {
  const bytes = await runPython(
    python!,
    `
import io, sys, numpy
for array in [${expressions.join(", ")}]:
    file = io.BytesIO()
    numpy.save(file, array)
    sys.stdout.buffer.write(len(file.getvalue()).to_bytes(4, "little") + file.getvalue())
`,
  );
  return piecesOf(bytes);
}

Deno.test({
  name: "what NumPy writes is read here, or refused",
  ...numpy,
  fn: async () => {
    const quarters = { data: Float32Array.of(0, 0.25, 0.5, 0.75, 1, 1.25), shape: [2, 3] as const };
    const read: readonly (readonly [string, Matrix])[] = [
      ...["<f4", "<f8", "<f2"].map((type) => {
        return [`(numpy.arange(6).reshape(2, 3) / 4).astype("${type}")`, quarters] as const;
      }),
      ['numpy.arange(2, dtype="<f4")', { data: Float32Array.of(0, 1), shape: [1, 2] }],
      ['numpy.asfortranarray(numpy.arange(6, dtype=">f4").reshape(2, 3) / 4)', quarters],
      ...["<i8", ">i4", "<i2", "i1", ">u8", "<u4", ">u2", "u1", "bool"].map((type) => {
        const expected = { data: Float32Array.of(0, 1, 1, 0), shape: [2, 2] as const };
        return [`numpy.array([[0, 1], [1, 0]], "${type}", order="F")`, expected] as const;
      }),
      ['numpy.zeros((0, 5), "<f4")', { data: new Float32Array(0), shape: [0, 5] }],
    ];
    const refused: readonly (readonly [string, string])[] = [
      ['numpy.ones((2, 3), [("a", "<f4")])', "header is "],
      ['numpy.ones((2, 3, 4), "<f4")', "shape is (2, 3, 4)"],
      ["numpy.float32(1)", "shape is ()"],
      ["numpy.complex64([1])", 'descr is "<c8"'],
      ['numpy.array(["a"])', 'descr is "<U1"'],
      ['numpy.array([1], "M8[s]")', 'descr is "<M8[s]"'],
    ];
    const files = await savedByNumpy([...read, ...refused].map(([expression]) => expression));
    assertEquals(files.length, read.length + refused.length);
    read.forEach(([expression, matrix], at) => assertEquals(fromNpy(files[at]), matrix, expression));
    refused.forEach(([, message], at) => {
      assertThrows(() => fromNpy(files[read.length + at]), FormatError, message);
    });
  },
});
