// Bytes that are no snapshot, or a damaged one, are refused by a FormatError that says what was found: files
// of other formats, files that do not agree with themselves, and files with flipped, lost or added bytes.

import { AttentionError, DynamicAttention, type DynamicAttentionOptions, FormatError } from "../../mod.ts";
import { seal } from "../../src/store/checksum.ts";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "../../testing/assert.ts";
import { forge, type Forgery, headerOf, rawFile } from "../../testing/forged_files.ts";
import { Random } from "../../testing/random.ts";
import { exercise } from "../../testing/twins.ts";

const LONG = Deno.env.get("ATTUNE_LONG") === "1";

const mask = (i: number, j: number) => i !== j;

/** A snapshot of 3 query slots and 6 key slots, one and two of them free; query 0 has a heavy key. */
async function someFile(options: Partial<DynamicAttentionOptions> = {}): Promise<Uint8Array<ArrayBuffer>> {
  const random = new Random(7);
  await using engine = await DynamicAttention.create({
    query: [[1, 1, 1, 1], ...random.rows(2, 4)],
    key: random.rows(6, 4),
    value: random.rows(6, 6),
    heads: 2,
    causal: { offset: 9 },
    backend: "array",
    onThreshold: "patch",
    ...options,
  });
  engine.setKey(1, [300, 300, 300, 300]);
  await engine.flush();
  engine.delete(4);
  engine.delete(2);
  engine.deleteQuery(1);
  return await engine.save();
}

Deno.test("the file that is damaged below is good, and has a heavy key", async () => {
  const bytes = await someFile();
  let heavy = 0;
  const copy = await forge(bytes, ({ tensors }) => heavy = Math.max(...tensors["array.heavyCount"].data));
  assertEquals(heavy, 1);
  assertEquals(copy, bytes);
  await using engine = await DynamicAttention.load(copy);
  assertEquals(engine.stats().keyCount, 4);
});

type Mistake = readonly [what: string, change: (content: Forgery) => void, message: string];

const set = (name: string, at: number, number: number) => ({ tensors }: Forgery) => {
  tensors[name].data[at] = number;
};
const say = (name: string, text: string) => ({ metadata }: Forgery) => {
  metadata[name] = text;
};
const shapeOf = (name: string, shape: number[], data: Forgery["tensors"][string]["data"]) => {
  return ({ tensors }: Forgery) => {
    tensors[name] = { shape, data };
  };
};

const MISTAKES: readonly Mistake[] = [
  ["another format", say("format", "pt"), 'metadata format is "pt", expected "attune"'],
  ["no format", ({ metadata }) => delete metadata.format, 'metadata format is undefined, expected "attune"'],
  ["another version", say("version", "1"), 'metadata version is "1", expected "2"'],
  ["no checksum", ({ metadata }) => delete metadata.sha256, "file has no checksum"],
  ["a short checksum", say("sha256", "00"), "file has no checksum"],
  ["a wrong checksum", say("sha256", "1".repeat(64)), "file is damaged: its bytes have the sha256"],
  ["unknown metadata", say("author", "me"), 'metadata has "author"'],
  ["no heads", say("heads", "0"), 'metadata heads is "0", expected a whole number ≥ 1'],
  ["heads in another notation", say("heads", "0x2"), 'metadata heads is "0x2"'],
  [
    "heads that key heads do not divide",
    say("kvHeads", "3"),
    'metadata kvHeads is "3", expected a divisor of 2',
  ],
  ["negative key heads", say("kvHeads", "-1"), 'metadata kvHeads is "-1"'],
  ["part of a dimension", say("headDim", "1.5"), 'metadata headDim is "1.5"'],
  ["a scale that is none", say("scale", "NaN"), 'metadata scale is "NaN"'],
  ["an infinite scale", say("scale", "1e+300"), 'metadata scale is "1e+300"'],
  ["a negative softcap", say("softcap", "-1"), 'metadata softcap is "-1"'],
  ["a negative window", say("before", "-1"), 'metadata before is "-1"'],
  ["no window", say("after", "-Infinity"), 'metadata after is "-Infinity"'],
  ["no tolerance", say("tolerance", "0"), 'metadata tolerance is "0"'],
  [
    "another policy",
    say("onThreshold", "never"),
    'metadata onThreshold is "never", expected "auto" or "patch"',
  ],
  ["another threshold", say("lazyThreshold", "64"), 'metadata lazyThreshold is "64"'],
  ["limits beside a function", say("lazyThreshold", "function"), 'metadata has "edits"'],
  ["no limit", say("edits", "0"), 'metadata edits is "0"'],
  ["a negative age", say("ageMs", "-1"), 'metadata ageMs is "-1"'],
  ["a negative error", say("error", "-1"), 'metadata error is "-1"'],
  ["a backend that is no name", say("backend", "../x"), 'metadata backend is "../x"'],
  ["another mask", say("mask", "sparse"), 'metadata mask is "sparse"'],
  [
    "a mask without a matrix",
    say("mask", "matrix"),
    "file has 0 matrices of a mask, expected 1 or 2 (heads)",
  ],
  [
    "a function without what it said",
    say("mask", "function"),
    "tensor bias is missing, expected F32 [6, 3, 2]",
  ],
  ["a missing tensor", ({ tensors }) => delete tensors.value, "tensor value is missing, expected F32 [6, 6]"],
  ["another name", shapeOf("weights", [1], new Float32Array(1)), 'file has a tensor "weights"'],
  [
    "another type",
    shapeOf("key", [6, 4], new Float64Array(24)),
    "tensor key is F64 [6, 4], expected F32 [any, 4]",
  ],
  [
    "another width",
    shapeOf("key", [6, 3], new Float32Array(18)),
    "tensor key is F32 [6, 3], expected F32 [any, 4]",
  ],
  [
    "one dimension",
    shapeOf("key", [24], new Float32Array(24)),
    "tensor key is F32 [24], expected F32 [any, 4]",
  ],
  ["keys without values", shapeOf("value", [5, 6], new Float32Array(30)), "tensor value is F32 [5, 6]"],
  [
    "positions missing",
    shapeOf("key.positions", [5], new Float64Array(5)),
    "tensor key.positions is F64 [5]",
  ],
  ["a key that is none", set("key", 3, NaN), "tensor key has NaN at index 3, expected finite numbers"],
  ["an infinite value", set("value", 0, Infinity), "tensor value has Infinity at index 0"],
  ["a query that is none", set("query", 11, NaN), "tensor query has NaN at index 11"],
  ["a position that is none", set("key.positions", 2, NaN), "tensor key.positions has NaN at index 2"],
  ["an infinite position", set("query.positions", 2, Infinity), "tensor query.positions has Infinity"],
  [
    "a free slot that is none",
    set("key.free", 0, 6),
    "tensor key.free has 6 at index 0, expected slots below 6",
  ],
  ["a slot that is free twice", set("key.free", 0, 2), "tensor key.free has 2 at index 1"],
  ["a position taken already", say("nextKeyPosition", "5"), 'metadata nextKeyPosition is "5"'],
  ["no next position", say("nextQueryPosition", "Infinity"), 'metadata nextQueryPosition is "Infinity"'],
  ["no state", ({ tensors }) => delete tensors["array.low"], "tensor low is missing, expected F64 [3, 2, 5]"],
  ["part of a shift", set("array.shift", 0, 0.5), "tensor shift has 0.5 at index 0"],
  ["an endless shift", set("array.shift", 0, Infinity), "tensor shift has Infinity at index 0"],
  ["a sum that is none", set("array.high", 4, NaN), "tensor high has NaN at index 4"],
  ["a low part that is none", set("array.low", 4, Infinity), "tensor low has Infinity at index 4"],
  ["a negative bound", set("array.massError", 0, -1), "tensor massError has -1 at index 0"],
  ["a bound that is none", set("array.sumError", 1, NaN), "tensor sumError has NaN at index 1"],
  ["a negative radius", set("array.radii", 1, -1), "tensor radii has -1 at index 1"],
  ["a centre that is none", set("array.centres", 0, NaN), "tensor centres has NaN at index 0"],
  [
    "many heavy keys",
    set("array.heavyCount", 0, 9),
    "tensor heavyCount has 9 at index 0, expected at most 8",
  ],
  ["a heavy key that is free", ({ tensors }) => {
    tensors["array.heavyCount"].data[0] = 1;
    tensors["array.heavySlots"].data[0] = 4;
  }, "tensor heavySlots has [4] for row 0, expected numbers of live keys, none twice"],
  ["a heavy key beyond all", ({ tensors }) => {
    tensors["array.heavyCount"].data[0] = 1;
    tensors["array.heavySlots"].data[0] = 1e9;
  }, "tensor heavySlots has [1000000000] for row 0"],
  ["a key that is heavy twice", ({ tensors }) => {
    tensors["array.heavyCount"].data[0] = 2;
    tensors["array.heavySlots"].data.fill(1, 0, 2);
  }, "tensor heavySlots has [1, 1] for row 0"],
  ["a heavy score that is none", set("array.heavyScores", 0, NaN), "tensor heavyScores has NaN at index 0"],
];

Deno.test("a file that does not agree with itself is refused", async (t) => {
  const bytes = await someFile();
  for (const [what, change, message] of MISTAKES) {
    await t.step(what, async () => {
      const forged = await forge(bytes, change);
      await assertRejects(
        () => DynamicAttention.load(forged),
        FormatError,
        `DynamicAttention.load: ${message}`,
      );
    });
  }
});

Deno.test("a mask that does not fit is refused", async (t) => {
  const matrix = new Float32Array(18);
  const said = await someFile({ mask });
  const one = await someFile({ mask: { data: matrix, shape: [3, 6] } });
  const two = await someFile({ mask: [{ data: matrix, shape: [3, 6] }, { data: matrix, shape: [3, 6] }] });
  const mistakes: readonly (readonly [Uint8Array<ArrayBuffer>, object, ...Mistake])[] = [
    [said, { mask }, "infinite", set("bias", 0, Infinity), "tensor bias has Infinity at index 0"],
    [said, { mask }, "not a number", set("bias", 7, NaN), "tensor bias has NaN at index 7"],
    [said, { mask }, "short", shapeOf("bias", [6, 3, 1], matrix), "tensor bias is F32 [6, 3, 1]"],
    [said, {}, "called none", say("mask", "none"), 'file has a tensor "bias"'],
    [
      said,
      { mask },
      "more than what was said",
      shapeOf("mask.0", [3, 6], matrix),
      'file has a tensor "mask.0"',
    ],
    [one, {}, "not a number", set("mask.0", 0, NaN), "tensor mask.0 has NaN at index 0"],
    [
      one,
      {},
      "few rows",
      shapeOf("mask.0", [2, 9], matrix),
      "tensor mask.0 is F32 [2, 9], expected at least [3, 6]",
    ],
    [one, {}, "few columns", shapeOf("mask.0", [9, 2], matrix), "tensor mask.0 is F32 [9, 2]"],
    [one, {}, "called none", say("mask", "none"), 'file has a tensor "mask.0"'],
    [two, {}, "one of two by name", ({ tensors }) => delete tensors["mask.0"], 'file has a tensor "mask.1"'],
    [two, {}, "three", shapeOf("mask.2", [3, 6], matrix), 'file has a tensor "mask.2"'],
  ];
  for (const [bytes, options, what, change, message] of mistakes) {
    await t.step(`${what}: ${message}`, async () => {
      const forged = await forge(bytes, change);
      await assertRejects(() => DynamicAttention.load(forged, options), FormatError, message);
    });
  }
  for (const bytes of [one, two]) await (await DynamicAttention.load(bytes)).dispose();
});

Deno.test("a small file cannot ask for a large engine", async (t) => {
  const columns = 2 ** 40;
  const nothing = (content: Forgery) => {
    for (const name of Object.keys(content.tensors)) delete content.tensors[name];
    const tensor = (name: string, shape: number[], data: Float32Array | Float64Array | Uint32Array) => {
      content.tensors[name] = { shape, data };
    };
    for (const kind of ["query", "key"]) {
      tensor(`${kind}.positions`, [0], new Float64Array(0));
      tensor(`${kind}.free`, [0], new Uint32Array(0));
    }
    tensor("query", [0, columns], new Float32Array(0));
    tensor("key", [0, columns], new Float32Array(0));
    tensor("value", [0, columns], new Float32Array(0));
    Object.assign(content.metadata, { backend: "other", heads: "1", kvHeads: "1" });
    Object.assign(content.metadata, { headDim: `${columns}`, valueDim: `${columns}` });
  };
  const manyHeads = (content: Forgery) => {
    const rows = 2 ** 12;
    content.tensors.query = { shape: [rows, rows], data: new Float32Array(rows * rows) };
    content.tensors["query.positions"] = { shape: [rows], data: new Float64Array(rows) };
    content.tensors["query.free"] = { shape: [0], data: new Uint32Array(0) };
    content.tensors.key = { shape: [1, 1], data: new Float32Array(1) };
    content.tensors.value = { shape: [1, rows], data: new Float32Array(rows) };
    content.tensors["key.positions"] = { shape: [1], data: new Float64Array(1) };
    content.tensors["key.free"] = { shape: [0], data: new Uint32Array(0) };
    for (const name of Object.keys(content.tensors)) {
      if (name.startsWith("array.")) delete content.tensors[name];
    }
    Object.assign(content.metadata, { backend: "other", heads: `${rows}`, kvHeads: "1", headDim: "1" });
    Object.assign(content.metadata, { valueDim: `${rows}`, nextKeyPosition: "1" });
  };
  const bytes = await someFile();
  for (const [what, change] of [["rows of nothing", nothing], ["many heads", manyHeads]] as const) {
    await t.step(what, async () => {
      const forged = await forge(bytes, change);
      await assertRejects(() => DynamicAttention.load(forged), FormatError, "describes an engine of ");
    });
  }
});

Deno.test("a file of another format is refused", async () => {
  const files: readonly (readonly [Uint8Array<ArrayBuffer>, string])[] = [
    [new Uint8Array(0), "file has 0 bytes, expected a safetensors file of at least 10"],
    [new TextEncoder().encode("\x93NUMPY\x01\x00v\x00{'descr': '<f4'}"), "safetensors header has "],
    [rawFile("{}"), 'metadata format is undefined, expected "attune"'],
    [rawFile('{"__metadata__":{"format":"pt"}}'), 'metadata format is "pt"'],
    [rawFile('{"__metadata__":{"format":"attune","version":"2"}}'), "file has no checksum"],
  ];
  for (const [bytes, message] of files) {
    await assertRejects(() => DynamicAttention.load(bytes), FormatError, `DynamicAttention.load: ${message}`);
  }
});

Deno.test("flipped, lost and added bytes are always noticed", async () => {
  const random = new Random(1);
  for (const options of [{}, { mask }, { query: { data: [], shape: [0, 4] as const } }]) {
    const withoutQueries = "query" in options;
    const bytes = withoutQueries ? await emptyFile() : await someFile(options);
    const damages: (() => Uint8Array<ArrayBuffer>)[] = [
      () => {
        const damaged = bytes.slice();
        damaged[random.below(bytes.length)] ^= 1 << random.below(8);
        return damaged;
      },
      () => {
        const damaged = bytes.slice();
        for (let at = 0; at < 8; at++) damaged[random.below(bytes.length)] = random.below(256);
        return damaged;
      },
      () => bytes.slice(0, random.below(bytes.length)),
      () => bytes.slice(1 + random.below(16)),
      () => new Uint8Array([...bytes, ...new Uint8Array(1 + random.below(16))]),
      () => new Uint8Array([...bytes.slice(0, random.below(bytes.length)), ...bytes]),
    ];
    for (let turn = 0; turn < (LONG ? 12_000 : 800); turn++) {
      const damaged = random.pick(damages)();
      if (damaged.length === bytes.length && damaged.every((byte, at) => byte === bytes[at])) continue;
      const error = await DynamicAttention.load(damaged, "mask" in options ? { mask } : {}).then(
        () => null,
        (error: unknown) => error,
      );
      assertInstanceOf(error, FormatError, `of turn ${turn}`);
    }
  }
});

async function emptyFile(): Promise<Uint8Array<ArrayBuffer>> {
  const none = { data: [], shape: [0, 2] as const };
  await using engine = await DynamicAttention.create({ query: none, key: none, value: none });
  return await engine.save();
}

Deno.test("damage under a fitting checksum is noticed, or makes an engine that holds", async () => {
  const random = new Random(2);
  let loads = 0, refusals = 0;
  for (let turn = 0; turn < (LONG ? 12_000 : 1500); turn++) {
    const options = turn % 2 === 0 ? {} : { mask };
    const bytes = await someFile(options);
    const dataStart = 8 + headerOf(bytes).length;
    // A digit for a digit in the header, since nearly anything else there is no JSON; any byte of the data.
    const digits = [...bytes.keys()].filter((at) => at >= 8 && at < dataStart && isDigit(bytes[at]));
    const changes = 1 + random.below(3);
    for (let change = 0; change < changes; change++) {
      if (random.below(2) === 0) bytes[random.pick(digits)] = 0x30 + random.below(10);
      else bytes[dataStart + random.below(bytes.length - dataStart)] ^= 1 << random.below(8);
    }
    try {
      await seal("test", bytes);
      await using engine = await DynamicAttention.load(bytes, options);
      loads++;
      await exercise(engine, random);
    } catch (error) {
      assertInstanceOf(error, FormatError);
      assert(error instanceof AttentionError && error.message.startsWith(`${error.operation}: `));
      refusals++;
    }
  }
  assert(loads > 100 && refusals > 100, `${loads} loads and ${refusals} refusals`);
});

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
