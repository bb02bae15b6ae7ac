// The safetensors format by itself: bytes written down by hand in, the same out, and every rule of the
// format.

import { FormatError } from "../../mod.ts";
import { decodeTensors, encodeTensors } from "../../src/store/safetensors.ts";
import { assertEquals, assertThrows } from "../../testing/assert.ts";
import { rawFile } from "../../testing/forged_files.ts";

/** Two tensors as the format's own library writes them: the wider elements first. */
const HEADER = '{"__metadata__":{"name":"twö"},' +
  '"b":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},' +
  '"a":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]}}';
const DATA = Uint8Array.of(0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0);
const FILE = {
  metadata: { name: "twö" },
  tensors: {
    b: { shape: [1], data: Float64Array.of(1.5) },
    a: { shape: [2, 1], data: Float32Array.of(1, -2) },
  },
};

Deno.test("bytes written down by hand are read", () => {
  assertEquals(decodeTensors("test", rawFile(HEADER, DATA)), FILE);
  assertEquals(
    decodeTensors("test", rawFile(HEADER + "   ", DATA)),
    FILE,
    "a padded header, data out of line",
  );
  assertEquals(decodeTensors("test", rawFile("{}")), { metadata: {}, tensors: {} });
});

Deno.test("and written", () => {
  const { length } = new TextEncoder().encode(HEADER);
  const padded = HEADER + " ".repeat((8 - length % 8) % 8);
  assertEquals(encodeTensors(FILE), rawFile(padded, DATA));
  const { a, b } = FILE.tensors;
  assertEquals(encodeTensors({ ...FILE, tensors: { a, b } }), rawFile(padded, DATA), "the wider first");
});

Deno.test("every element type and shape comes back", () => {
  const tensors = {
    scalar: { shape: [], data: Uint8Array.of(7) },
    none: { shape: [3, 0, 2], data: new Float64Array(0) },
    bytes: { shape: [3], data: Uint8Array.of(1, 2, 3) },
    words: { shape: [2], data: Uint32Array.of(4_000_000_000, 1) },
    strange: { shape: [4], data: Float32Array.of(NaN, -Infinity, -0, 1e-45) },
    double: { shape: [1, 1], data: Float64Array.of(Math.PI) },
    'quote"d ⌘': { shape: [1], data: Float32Array.of(2) },
  };
  assertEquals(decodeTensors("test", encodeTensors({ metadata: {}, tensors })), { metadata: {}, tensors });
});

const entry = (text: string, data = 8) => rawFile(`{"x":${text}}`, new Uint8Array(data));
const two = (first: string, second: string) => {
  const tensor = (offsets: string) => `{"dtype":"F32","shape":[1],"data_offsets":${offsets}}`;
  return rawFile(`{"x":${tensor(first)},"y":${tensor(second)}}`, new Uint8Array(8));
};

const MISTAKES: readonly (readonly [what: string, bytes: Uint8Array<ArrayBuffer>, message: string])[] = [
  ["nothing", new Uint8Array(0), "file has 0 bytes, expected a safetensors file of at least 10"],
  ["a length alone", rawFile(""), "file has 8 bytes"],
  [
    "a long header",
    rawFile("{}", new Uint8Array(0), 3n),
    "header has 3 bytes, expected at most 2 in a file of 10",
  ],
  [
    "the longest header",
    rawFile("{}", new Uint8Array(0), 2n ** 64n - 1n),
    "header has 18446744073709552000 bytes",
  ],
  ["no header", rawFile("{}", new Uint8Array(0), 0n), "header cannot be read (Unexpected end of JSON input)"],
  ["no JSON", rawFile("{,}"), "header cannot be read ("],
  ["no UTF-8", Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0, 0x22, 0xff, 0xfe, 0x22), "header cannot be read ("],
  ["a list", rawFile("[]"), "header is [], expected a JSON object"],
  ["null", rawFile("null"), "header is null, expected a JSON object"],
  ["metadata that is a list", rawFile('{"__metadata__":[]}'), 'metadata "__metadata__" is [], expected text'],
  ["metadata with a number", rawFile('{"__metadata__":{"n":1}}'), 'metadata "n" is 1, expected text'],
  ["no entry", entry("7"), 'tensor "x" is 7, expected a JSON object'],
  [
    "an empty entry",
    entry("{}"),
    'tensor "x" has dtype undefined, expected one of F64, F32, U32, F16, U8, I8',
  ],
  [
    "another dtype",
    entry('{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}'),
    'tensor "x" has dtype "BF16"',
  ],
  ["an inherited dtype", entry('{"dtype":"toString","shape":[4],"data_offsets":[0,8]}'), 'dtype "toString"'],
  ["no shape", entry('{"dtype":"F32","data_offsets":[0,8]}'), 'tensor "x" has shape undefined'],
  ["a negative shape", entry('{"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]}'), "has shape [-2, -1]"],
  ["part of a row", entry('{"dtype":"F32","shape":[0.5,4],"data_offsets":[0,8]}'), "has shape [0.5, 4]"],
  ["no offsets", entry('{"dtype":"F32","shape":[2]}'), "has data_offsets undefined"],
  [
    "three offsets",
    entry('{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}'),
    "has data_offsets [0, 8, 8]",
  ],
  ["offsets the other way", entry('{"dtype":"F32","shape":[2],"data_offsets":[8,0]}'), "data_offsets [8, 0]"],
  ["data cut off", entry('{"dtype":"F32","shape":[2],"data_offsets":[0,8]}', 7), "begin ≤ end ≤ 7"],
  [
    "a short span",
    entry('{"dtype":"F32","shape":[2],"data_offsets":[0,4]}'),
    "has 4 bytes, expected 8 for F32 [2]",
  ],
  [
    "a vast shape",
    entry('{"dtype":"F32","shape":[9e15,9e15],"data_offsets":[0,8]}'),
    "has 8 bytes, expected 3.24e+32",
  ],
  [
    "data left over",
    entry('{"dtype":"F32","shape":[2],"data_offsets":[0,8]}', 9),
    "tensors end at byte 8, expected 9",
  ],
  [
    "a gap at the start",
    entry('{"dtype":"F32","shape":[1],"data_offsets":[4,8]}'),
    "begins at byte 4, expected 0",
  ],
  ["an overlap", two("[0,4]", "[0,4]"), 'tensor "y" begins at byte 0, expected 4'],
  ["a part in common", two("[0,4]", "[2,6]"), 'tensor "y" begins at byte 2, expected 4'],
  [
    "a gap",
    rawFile(
      '{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"y":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}',
      new Uint8Array(3),
    ),
    'tensor "y" begins at byte 2, expected 1',
  ],
  [
    "a name twice",
    rawFile(
      '{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
      new Uint8Array(2),
    ),
    'tensor "x" begins at byte 1, expected 0',
  ],
];

Deno.test("a tensor without numbers may be listed after the one that begins where it does", () => {
  const header = '{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},' +
    '"none":{"dtype":"F64","shape":[0],"data_offsets":[0,0]}}';
  const { tensors } = decodeTensors("test", rawFile(header, Uint8Array.of(1, 2)));
  assertEquals(tensors.none.data, new Float64Array(0));
});

Deno.test("what breaks a rule of the format is refused", async (t) => {
  for (const [what, bytes, message] of MISTAKES) {
    await t.step(what, () => {
      const error = assertThrows(() => decodeTensors("test", bytes), FormatError, message);
      assertEquals(error.message, `test: ${error.actual}, expected ${error.expected}`);
    });
  }
});

Deno.test("a tensor named as what objects inherit is a tensor like others", () => {
  const bytes = rawFile('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', Uint8Array.of(9));
  assertEquals(Object.keys(decodeTensors("test", bytes).tensors), ["__proto__"]);
});
