// Tensors in .npy, .npz and safetensors files: what NumPy and Python's safetensors write is read to the bit, and what is
// written here is what they write.

import { FormatError, InputError } from "../../mod.ts";
import {
  decodeNpy,
  decodeSafetensors,
  encodeNpy,
  encodeSafetensors,
  type Tensor,
  type TensorData,
  type TensorType,
  toMatrix,
} from "../../src/store/mod.ts";
import { decodeNpz, encodeNpz } from "../../src/store/npz.ts";
import { fromFloat16Bits, toFloat16Bits } from "../../src/numerics/float16.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";
import { piecesOf, runPython } from "../../testing/python.ts";
import { findPython, requires } from "../../testing/requirements.ts";
import { Random } from "../../testing/random.ts";
import { bitsOf } from "../../testing/twins.ts";

const CLASSES: Readonly<Record<TensorType, new (buffer: ArrayBuffer) => TensorData>> = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Float32Array,
  bfloat16: Float32Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint64: BigUint64Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};
const TYPES = Object.keys(CLASSES) as TensorType[];
const SHAPES = [[], [3], [2, 3], [0, 4], [2, 0, 3], [2, 3, 4], [1, 2, 1, 3]];

/** A tensor of random numbers; of bits at random where they are whole numbers. */
function randomTensor(random: Random, dtype: TensorType, shape: readonly number[]): Tensor {
  const count = shape.reduce((size, length) => size * length, 1);
  const Numbers = CLASSES[dtype];
  const floats = Float32Array.from({ length: count }, () => 200 * random.next() - 100);
  if (dtype === "float32") return { data: floats, shape, dtype };
  if (dtype === "float64") return { data: Float64Array.from(floats, (x) => x / 3), shape, dtype };
  if (dtype === "float16") {
    return { data: floats.map((x) => fromFloat16Bits(toFloat16Bits(x))), shape, dtype };
  }
  if (dtype === "bfloat16") {
    const bits = new Uint32Array(floats.buffer).map((bits) => bits & 0xffff0000);
    return { data: new Float32Array(bits.buffer), shape, dtype };
  }
  const width = new Numbers(new ArrayBuffer(0)).BYTES_PER_ELEMENT;
  const bytes = Uint8Array.from({ length: width * count }, () => random.below(dtype === "bool" ? 2 : 256));
  return { data: new Numbers(bytes.buffer), shape, dtype };
}

Deno.test("every type and shape comes back to the bit, from each kind of file", async () => {
  const random = new Random(3);
  const tensors: Record<string, Tensor> = {};
  for (const dtype of TYPES) {
    SHAPES.forEach((shape, at) => tensors[`${dtype}.${at}`] = randomTensor(random, dtype, shape));
  }
  assertEquals(decodeSafetensors(encodeSafetensors(tensors)), { tensors, metadata: {} });
  const known = Object.fromEntries(Object.entries(tensors).filter(([, { dtype }]) => dtype !== "bfloat16"));
  for (const tensor of Object.values(known)) assertEquals(decodeNpy(encodeNpy(tensor)), tensor);
  for (const compressed of [false, true]) {
    assertEquals(await decodeNpz(await encodeNpz(known, { compressed })), known);
  }
});

Deno.test("the type of what is written follows from the class of its data", () => {
  for (const dtype of TYPES) {
    if (dtype === "float16" || dtype === "bfloat16" || dtype === "bool") continue;
    const { data, shape } = randomTensor(new Random(1), dtype, [2, 2]);
    assertEquals(decodeNpy(encodeNpy({ data, shape })).dtype, dtype);
  }
  const { Float16Array } = globalThis;
  const halves = Float16Array.of(0.5, 2) as unknown as TensorData;
  assertEquals(decodeNpy(encodeNpy({ data: halves, shape: [2] })), {
    data: Float32Array.of(0.5, 2),
    shape: [2],
    dtype: "float16",
  });
});

Deno.test("float16 is rounded to the nearest number, the even one of two", () => {
  for (let bits = 0; bits < 1 << 16; bits++) {
    const number = fromFloat16Bits(bits);
    if (!Number.isNaN(number)) assertEquals(toFloat16Bits(number), bits);
  }
  const random = new Random(8), view = new DataView(new ArrayBuffer(2));
  for (let turn = 0; turn < 100_000; turn++) {
    const number = (2 * random.next() - 1) * 2 ** (43 * random.next() - 26);
    const step = turn % 2 === 0 ? number : (fromFloat16Bits(random.below(0x7bff)) * 2 + 2 ** -24) / 2;
    view.setFloat16(0, step);
    assertEquals(toFloat16Bits(step), view.getUint16(0), String(step));
  }
});

Deno.test("a matrix is made of numbers in one and more dimensions", () => {
  const of = (data: TensorData, shape: readonly number[]) => toMatrix({ data, shape });
  assertEquals(of(Uint8Array.of(1, 0, 1), [3]), { data: Float32Array.of(1, 0, 1), shape: [1, 3] });
  assertEquals(of(Float64Array.of(1, -Infinity), [2, 1]).data, Float32Array.of(1, -Infinity));
  assertEquals(of(new Int16Array(24), [2, 3, 4]).shape, [6, 4]);
  assertEquals(of(new Int16Array(0), [0, 3, 4]).shape, [0, 4]);
  assertThrows(
    () => of(Uint8Array.of(1), []),
    InputError,
    "toMatrix: tensor.shape is [], expected a last length ≥ 1",
  );
  assertThrows(
    () => of(Float64Array.of(1, 1e300), [2]),
    InputError,
    "toMatrix: tensor.data has 1e+300 at index 1, expected numbers of float32 range",
  );
});

Deno.test("what is no tensor is refused with its name", () => {
  const four = Float32Array.of(1, 2, 3, 4);
  const mistakes: readonly (readonly [unknown, string])[] = [
    [undefined, "key is undefined, expected an object with data, shape, dtype"],
    [[[1, 2]], "key is [[1, 2]], expected an object with data, shape, dtype"],
    [{ data: [1, 2], shape: [2] }, ".data is [1, 2], expected a typed array of numbers"],
    [{ data: four, shape: [2, 3] }, ".data has 4 numbers, expected 6 (shape 2 × 3)"],
    [{ data: four, shape: [-4, -1] }, ".shape is [-4, -1], expected at most 64 whole numbers ≥ 0"],
    [{ data: four, shape: 4 }, ".shape is 4"],
    [
      { data: four, shape: [4], dtype: "int8" },
      '.dtype is "int8", expected "float32" or "float16" or "bfloat16"',
    ],
    [{ data: Uint8Array.of(2), shape: [1], dtype: "bool" }, ".data has 2 at index 0, expected 0 or 1"],
    [
      { data: Float32Array.of(65520), shape: [1], dtype: "float16" },
      ".data has 65520 at index 0, expected numbers of float16 range where they are finite",
    ],
    [
      { data: Float32Array.of(3.4e38), shape: [1], dtype: "bfloat16" },
      ".data has 3.3999999521443642e+38 at index 0, expected numbers of bfloat16",
    ],
    [{ data: four, shape: [4], strides: [1] }, 'field "strides" is unknown'],
  ];
  for (const [tensor, message] of mistakes) {
    const error = assertThrows(() => encodeSafetensors({ key: tensor as Tensor }), InputError, message);
    assert(error.message.startsWith("encodeSafetensors: key"), error.message);
  }
  const half = { data: four, shape: [4], dtype: "bfloat16" } as const;
  assertThrows(
    () => encodeNpy(half),
    InputError,
    'tensor.dtype is "bfloat16", expected a type that NumPy has',
  );
  assertThrows(() => encodeSafetensors({ __metadata__: half }), InputError, "a tensor is named __metadata__");
  const halved = { key: "\ud83d" };
  assertThrows(() => encodeSafetensors({ "\udc00": half }), InputError, "has half of a pair of surrogates");
  assertThrows(
    () => encodeSafetensors({}, { metadata: halved }),
    InputError,
    'metadata "key" has half of a pair',
  );
  const texts = { step: 7 } as unknown as Record<string, string>;
  assertThrows(
    () => encodeSafetensors({}, { metadata: texts }),
    InputError,
    'metadata "step" is 7, expected text',
  );
  assertThrows(
    () => encodeSafetensors([] as never),
    InputError,
    "tensors are [], expected an object of tensors",
  );
});

Deno.test("tensors are picked by name, beside others of types that are not read", () => {
  const header = JSON.stringify({
    a: { dtype: "F8_E4M3", shape: [3], data_offsets: [0, 3] },
    b: { dtype: "I8", shape: [2], data_offsets: [3, 5] },
  });
  const bytes = new Uint8Array(8 + header.length + 5);
  bytes[0] = header.length;
  bytes.set(new TextEncoder().encode(header), 8);
  bytes.set([1, 2, 3, 4, 255], 8 + header.length);
  assertEquals(decodeSafetensors(bytes, { names: ["b"] }).tensors, {
    b: { data: Int8Array.of(4, -1), shape: [2], dtype: "int8" },
  });
  assertEquals(decodeSafetensors(bytes, { names: [] }).tensors, {});
  assertThrows(
    () => decodeSafetensors(bytes),
    FormatError,
    'tensor "a" has dtype "F8_E4M3", expected one of U64,',
  );
  assertThrows(
    () => decodeSafetensors(bytes, { names: ["c"] }),
    FormatError,
    'decodeSafetensors: tensor "c" is missing, expected one of "a", "b"',
  );
  const wrong = { names: [7] } as unknown as { names: string[] };
  assertThrows(() => decodeSafetensors(bytes, wrong), InputError, "names has 7 at index 0");
});

Deno.test("names of arrays are texts of any kind, no paths: what is written in .npz is read", async () => {
  const tensor = { data: Float32Array.of(7), shape: [1] };
  const names = [
    "/a",
    "../a",
    "a/../b",
    "C:\\a",
    "\\a",
    "..",
    "a/",
    "a.npy",
    "",
    "__proto__",
    "a\0b",
    "é",
    "e\u0301",
  ];
  const tensors = Object.fromEntries(names.map((name) => [name, tensor]));
  const read = await decodeNpz(await encodeNpz(tensors));
  assertEquals(Object.keys(read), names);
  for (const name of names) assertEquals([...read[name].data], [7]);
  // A ZIP archive counts the bytes of a name in two.
  const longest = "é".repeat(32_765);
  assertEquals(Object.keys(await decodeNpz(await encodeNpz({ [longest]: tensor }))), [longest]);
  await assertRejects(
    () => encodeNpz({ [`${longest}é`]: tensor }),
    InputError,
    "has 65532 bytes, expected at most 65531",
  );
});

Deno.test("what is no archive, or a damaged one, is refused", async () => {
  const key = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] };
  const bytes = await encodeNpz({ key });
  assertEquals(await encodeNpz({ key }), bytes);
  await assertRejects(() => decodeNpz(new Uint8Array(3)), FormatError, "decodeNpz: archive cannot be read");
  await assertRejects(() => decodeNpz(bytes.subarray(0, 100)), FormatError, "archive cannot be read");
  const changed = bytes.slice();
  changed[160] ^= 1;
  await assertRejects(() => decodeNpz(changed), FormatError, "archive cannot be read");
  await assertRejects(() => decodeNpz([] as never), InputError, "bytes are [], expected a Uint8Array");
  await assertRejects(() => encodeNpz({ key: { ...key, shape: [5] } }), InputError, "key.data has 4 numbers");
  const wrong = { compressed: 1 } as unknown as { compressed: boolean };
  await assertRejects(() => encodeNpz({ key }, wrong), InputError, "compressed is 1, expected a boolean");
});

Deno.test("flipped, lost and added bytes of tensor files are read or refused", async () => {
  const random = new Random(9);
  const tensors = { a: randomTensor(random, "float16", [2, 3]), b: randomTensor(random, "int64", [2]) };
  const safetensors = encodeSafetensors(tensors), npz = await encodeNpz(tensors, { compressed: true });
  for (let turn = 0; turn < 3000; turn++) {
    const bytes = turn % 10 === 0 ? npz : safetensors;
    const damaged = random.below(4) === 0 ? bytes.slice(0, random.below(bytes.length)) : bytes.slice();
    for (let change = random.below(4); change >= 0; change--) {
      damaged[random.below(damaged.length)] ^= 1 << random.below(8);
    }
    try {
      if (bytes === npz) await decodeNpz(damaged);
      else decodeSafetensors(damaged);
    } catch (error) {
      assert(error instanceof FormatError, String(error));
    }
  }
});

const withNumpy = findPython("numpy");
const numpy = requires("NumPy", withNumpy, "apt-get install python3-numpy");
const withSafetensors = findPython("safetensors.numpy, numpy");
const safetensors = requires(
  "Python's safetensors",
  withSafetensors,
  "pip install safetensors numpy, on the PATH",
);

/** Python expressions of arrays of every type, shape and order, each with the tensor that it is. */
function expressions(random: Random): [string, Tensor][] {
  const found: [string, Tensor][] = [];
  for (const dtype of TYPES) {
    if (dtype === "bfloat16") continue;
    for (const shape of SHAPES) {
      const tensor = randomTensor(random, dtype, shape);
      const hex = [...bitsOf(encodeNpy(tensor).slice(128))].map((byte) => byte.toString(16).padStart(2, "0"));
      const array = `numpy.frombuffer(bytes.fromhex("${hex.join("")}"), "${dtype}").reshape(${
        JSON.stringify(shape)
      })`;
      found.push([array, tensor]);
      found.push([`numpy.asfortranarray(${array}).reshape(${JSON.stringify(shape)}, order="A")`, tensor]);
      found.push([`${array}.astype(numpy.dtype("${dtype}").newbyteorder(">"))`, tensor]);
    }
  }
  return found;
}

const PRELUDE = `
import io, sys, numpy
def write(piece):
    sys.stdout.buffer.write(len(piece).to_bytes(4, "little") + piece)
def saved(save, *args, **named):
    file = io.BytesIO()
    save(file, *args, **named)
    return file.getvalue()
`;

Deno.test({
  name: "NumPy's arrays of every type, order and shape are read, and written as NumPy writes them",
  ...numpy,
  fn: async () => {
    const cases = expressions(new Random(21));
    const arrays = cases.map(([expression]) => expression).join(",\n");
    const pieces = piecesOf(
      await runPython(
        withNumpy!,
        `${PRELUDE}
arrays = [${arrays}]
for array in arrays:
    write(saved(numpy.save, array))
named = {f"a{at}": array for at, array in enumerate(arrays)}
write(saved(numpy.savez, **named))
write(saved(numpy.savez_compressed, **named))`,
      ),
    );
    assertEquals(pieces.length, cases.length + 2);
    cases.forEach(([expression, tensor], at) => {
      assertEquals(decodeNpy(pieces[at]), tensor, expression);
      // The first of each three lies as it is written here.
      if (at % 3 === 0) assertEquals(encodeNpy(tensor), pieces[at], expression);
    });
    const expected = Object.fromEntries(cases.map(([, tensor], at) => [`a${at}`, tensor]));
    for (const archive of pieces.slice(-2)) assertEquals(await decodeNpz(archive), expected);
  },
});

Deno.test({
  name: "NumPy reads the archives that are written here",
  ...numpy,
  fn: async () => {
    const random = new Random(22);
    const tensors: Record<string, Tensor> = { "a/b": randomTensor(random, "int64", [2, 3, 4]) };
    for (const dtype of TYPES) {
      if (dtype !== "bfloat16") tensors[`name of ${dtype} ä`] = randomTensor(random, dtype, [3, 5]);
    }
    for (const compressed of [false, true]) {
      const again = await runPython(
        withNumpy!,
        `${PRELUDE}
archive = numpy.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
for name in archive.files:
    write(name.encode())
    write(saved(numpy.save, archive[name]))`,
        await encodeNpz(tensors, { compressed }),
      );
      const pieces = piecesOf(again);
      const names = pieces.filter((_, at) => at % 2 === 0).map((name) => new TextDecoder().decode(name));
      assertEquals(names, Object.keys(tensors));
      names.forEach((name, at) => assertEquals(decodeNpy(pieces[2 * at + 1]), tensors[name], name));
    }
  },
});

Deno.test({
  name: "Python's safetensors reads what is written here, and writes the same bytes",
  ...safetensors,
  fn: async () => {
    const random = new Random(23);
    const tensors: Record<string, Tensor> = {};
    for (const dtype of TYPES) {
      // NumPy has no bfloat16; the library then writes nothing of it.
      if (dtype === "bfloat16") continue;
      SHAPES.forEach((shape, at) => {
        tensors[`${["z", "ä", "a", "😀", "\uffff"][at % 5]}.${dtype}.${at}`] = randomTensor(
          random,
          dtype,
          shape,
        );
      });
    }
    const script = `${PRELUDE}
import json, safetensors.numpy
data = sys.stdin.buffer.read()
tensors = safetensors.numpy.load(data)
header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
sys.stdout.buffer.write(safetensors.numpy.save(tensors, header.get("__metadata__")))`;
    for (const metadata of [undefined, { model: 'tiny "ä"' }]) {
      const bytes = encodeSafetensors(tensors, metadata ? { metadata } : {});
      const again = await runPython(withSafetensors!, script, bytes);
      assertEquals(again, bytes);
      assertEquals(decodeSafetensors(again), { tensors, metadata: metadata ?? {} });
    }
  },
});

Deno.test({
  name: "bfloat16 is what Python's safetensors calls so",
  ...safetensors,
  fn: async () => {
    const numbers = Float32Array.of(1, 1.00390625, 1.01171875, -3.140625, 0, -0, Infinity);
    const bytes = encodeSafetensors({ w: { data: numbers, shape: [7], dtype: "bfloat16" } });
    const script = `
import sys, safetensors
[(name, tensor)] = safetensors.deserialize(sys.stdin.buffer.read())
assert (name, tensor["dtype"], list(tensor["shape"])) == ("w", "BF16", [7]), tensor
sys.stdout.buffer.write(bytes(tensor["data"]))`;
    const halves = new Uint16Array((await runPython(withSafetensors!, script, bytes)).buffer);
    // Halfway between two, the even one: 1 and 1.015625 for the second and third.
    assertEquals([...halves], [0x3f80, 0x3f80, 0x3f82, 0xc049, 0, 0x8000, 0x7f80]);
  },
});
