// Snapshots that somebody made, with a checksum that fits: whatever is in them, loading ends in a FormatError
// or in an engine whose every answer is what the oracle makes of the rows in the file.

import {
  AttentionError,
  type BackendName,
  DynamicAttention,
  type DynamicAttentionOptions,
  FormatError,
  type LoadOptions,
} from "../../mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { seal, UNSEALED } from "../../src/store/checksum.ts";
import { decodeTensors, encodeTensors } from "../../src/store/safetensors.ts";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "../../testing/assert.ts";
import { QUICK_BACKENDS } from "../backends_here.ts";
import { forge, type Forgery, headerOf, rawFile } from "../../testing/forged_files.ts";
import { Random } from "../../testing/random.ts";

const LONG = Deno.env.get("ATTUNE_LONG") === "1";
const HEADS = 4, KV_HEADS = 2, HEAD_DIM = 3, VALUE_DIM = 2;
const mask = (i: number, j: number, head: number) => (i + 2 * j + head) % 5 === 0 ? false : (j - i) / 8;

const MASKS: readonly Partial<DynamicAttentionOptions>[] = [
  {},
  { mask },
  {
    mask: Array.from(
      { length: 9 },
      (_, i) => Array.from({ length: 12 }, (_, j) => i === j ? -Infinity : i / 4 - j / 8),
    ),
  },
  { causal: { offset: 4 }, window: [9, 9], softcap: 20 },
  { storage: { keys: "float16", values: "int8" } },
];

/** A snapshot of some life: keys that came and went, rows that were patched, slots that are free. */
async function someFile(
  backend: BackendName,
  options: Partial<DynamicAttentionOptions>,
  random: Random,
): Promise<Uint8Array<ArrayBuffer>> {
  const size = random.pick([0.5, 1, 3]);
  await using live = await DynamicAttention.create({
    query: random.rows(5, HEADS * HEAD_DIM, size),
    key: random.rows(8, KV_HEADS * HEAD_DIM, size),
    value: random.rows(8, KV_HEADS * VALUE_DIM),
    heads: HEADS,
    kvHeads: KV_HEADS,
    backend,
    onThreshold: random.pick(["auto", "patch"]),
    ...options,
  });
  for (let step = 0; step < 12; step++) {
    live.set(random.below(8), random.row(KV_HEADS * HEAD_DIM, size), random.row(KV_HEADS * VALUE_DIM));
    if (step % 3 === 0) await live.read([random.below(5)]);
  }
  // Heavy keys of the rows that like it.
  live.setKey(5, new Array(KV_HEADS * HEAD_DIM).fill(40));
  await live.flush();
  live.delete(3);
  live.delete(1);
  live.deleteQuery(2);
  return await live.save();
}

/** The questions about the rows of the file. */
async function assertRight(
  bytes: Uint8Array<ArrayBuffer>,
  live: DynamicAttention,
  backend: BackendName,
): Promise<void> {
  const { metadata, tensors } = decodeTensors("test", bytes.slice());
  const number = (name: string) => Number(metadata[name]);
  const heads = number("heads"), keys = [...live.keySlots()], queries = [...live.querySlots()];
  const querySize = tensors.query.shape[0];
  const before = number("before"), after = number("after");
  const bias = (at: number, to: number, head: number) => {
    const i = queries[at], j = keys[to];
    const ahead = tensors["key.positions"].data[j] - tensors["query.positions"].data[i];
    if (!(-before <= ahead && ahead <= after)) return -Infinity;
    if (tensors.bias) return tensors.bias.data[(j * querySize + i) * heads + head];
    const matrix = tensors[`mask.${head}`] ?? tensors["mask.0"];
    return matrix ? matrix.data[i * matrix.shape[1] + j] : 0;
  };
  const truth = referenceAttention({
    query: queries.map((slot) => live.getQuery(slot)),
    key: keys.map((slot) => live.getKey(slot)),
    value: keys.map((slot) => live.getValue(slot)),
    heads,
    kvHeads: number("kvHeads"),
    scale: number("scale"),
    softcap: number("softcap"),
    valueDim: number("valueDim"),
    bias,
  });
  const largest = keys.reduce(
    (most, slot) => Math.max(most, ...Array.from(live.getValue(slot), Math.abs)),
    0,
  );
  // The largest error of a state that its backend still trusts.
  const trusted = backend === "array" ? 1e-6 : 1e-4;
  const { data } = await live.read(), logs = (await live.logSumExp()).data;
  truth.output.flat().forEach((expected, at) => {
    assert(Math.abs(data[at] - expected) <= trusted * largest, `${at}: ${data[at]}, expected ${expected}`);
  });
  truth.logSumExp.flat().forEach((L, at) => {
    const isRight = logs[at] === Math.fround(L) ||
      Math.abs(logs[at] - L) <= trusted * Math.max(1, Math.abs(L));
    assert(isRight, `log-sum-exp ${at} is ${logs[at]}, expected ${L}`);
  });
  for (const [at, slot] of queries.entries()) {
    const head = slot % heads;
    const weights = await live.weights(slot, { head });
    truth.weights[at][head].forEach((weight, j) => {
      assert(
        Math.abs(weights[keys[j]] - weight) <= trusted,
        `weight of ${keys[j]} is ${weights[keys[j]]}, expected ${weight}`,
      );
    });
  }
  // A stale answer is as near as its bound says.
  if (keys.length === 0 || queries.length === 0) return;
  live.setValue(keys[0], live.getValue(keys[0]).map((x) => x + 0.5));
  const stale = await live.peek(), exact = await live.read();
  const columns = exact.shape[1];
  queries.forEach((_, row) => {
    let squared = 0;
    for (let c = row * columns; c < (row + 1) * columns; c++) {
      squared += (stale.output.data[c] - exact.data[c]) ** 2;
    }
    assert(
      Math.sqrt(squared) <= stale.bounds[row] + trusted * largest,
      `row ${row} is off by ${Math.sqrt(squared)}`,
    );
  });
}

const SPECIAL = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, 3e38, -3e38, 1e-40, 1e-30, 1e30, 255, 2 ** 31];

/** A forger's change of a file. */
const FORGERIES: readonly ((content: Forgery, random: Random) => void)[] = [
  // A bit of some number.
  ({ tensors }, random) => {
    const { data } = random.pick(Object.values(tensors).filter(({ data }) => data.length > 0));
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    for (let count = random.below(3); count >= 0; count--) {
      bytes[random.below(bytes.length)] ^= 1 << random.below(8);
    }
  },
  // A number that is special.
  ({ tensors }, random) => {
    const { data } = random.pick(Object.values(tensors).filter(({ data }) => data.length > 0));
    data[random.below(data.length)] = random.pick(SPECIAL);
  },
  // A number that is a little, or much, larger.
  ({ tensors }, random) => {
    const { data } = random.pick(Object.values(tensors).filter(({ data }) => data.length > 0));
    const at = random.below(data.length);
    data[at] *= random.pick([0.5, 0.999, 1.001, 2, -1, 1000]);
  },
  // All of a tensor.
  ({ tensors }, random) => {
    const { data } = random.pick(Object.values(tensors).filter(({ data }) => data.length > 0));
    const factor = random.pick([0, 2, -1, 1e-3]);
    for (let at = 0; at < data.length; at++) data[at] *= factor;
  },
  // Two numbers change places.
  ({ tensors }, random) => {
    const { data } = random.pick(Object.values(tensors).filter(({ data }) => data.length > 1));
    const at = random.below(data.length), to = random.below(data.length);
    [data[at], data[to]] = [data[to], data[at]];
  },
  // A tensor less, one more, one of another shape or name.
  ({ tensors }, random) => delete tensors[random.pick(Object.keys(tensors))],
  ({ tensors }, random) => {
    const name = random.pick([
      "array.more",
      "wasm.more",
      "webgpu.more",
      "more",
      "mask.7",
      "bias",
      "__proto__",
      "key.more",
    ]);
    Object.defineProperty(tensors, name, {
      value: { shape: [random.below(3)], data: new Float32Array(0) },
      enumerable: true,
      configurable: true,
    });
    tensors[name].data = new Float32Array(tensors[name].shape[0]);
  },
  ({ tensors }, random) => {
    const tensor = tensors[random.pick(Object.keys(tensors))];
    tensor.shape = random.pick([[tensor.data.length], [1, ...tensor.shape], tensor.shape.toReversed(), [
      ...tensor.shape,
      1,
    ]]);
  },
  ({ tensors }, random) => {
    const name = random.pick(Object.keys(tensors));
    tensors[`${name}x`] = tensors[name];
    delete tensors[name];
  },
  // Another element type.
  ({ tensors }, random) => {
    const name = random.pick(Object.keys(tensors));
    const { shape, data } = tensors[name];
    const Type = random.pick([Float64Array, Float32Array, Uint32Array, Uint8Array] as const);
    tensors[name] = { shape, data: Type.from(data) };
  },
  // A digit of a setting, or all of one.
  ({ metadata }, random) => {
    const name = random.pick(
      Object.keys(metadata).filter((name) => /\d/.test(metadata[name]) && name !== "sha256"),
    );
    const digits = [...metadata[name].matchAll(/\d/g)].map(({ index }) => index);
    const at = random.pick(digits);
    metadata[name] = metadata[name].slice(0, at) + random.below(10) + metadata[name].slice(at + 1);
  },
  ({ metadata }, random) => {
    const name = random.pick(Object.keys(metadata).filter((name) => name !== "sha256"));
    metadata[name] = random.pick([
      "0",
      "1",
      "-1",
      "2",
      "NaN",
      "Infinity",
      "-0",
      "1e3",
      "",
      "none",
      "auto",
      "array",
      "wasm",
      "x",
    ]);
  },
  ({ metadata }, random) => {
    const name = random.pick(Object.keys(metadata));
    metadata[`${name}x`] = metadata[name];
  },
];

for (const backend of QUICK_BACKENDS) {
  Deno.test(`a forged snapshot of ${backend} is refused, or its engine answers as its rows say`, async () => {
    const random = new Random(backend.length);
    let loads = 0, refusals = 0;
    const turns = backend === "webgpu" ? 60 : LONG ? 12_000 : 400;
    const files = new Map<number, Uint8Array<ArrayBuffer>>();
    for (let turn = 0; turn < turns; turn++) {
      const kind = turn % 16;
      const options = MASKS[kind % MASKS.length];
      const bytes = files.get(kind) ?? await someFile(backend, options, random);
      files.set(kind, bytes);
      const change = turn < 16 ? () => {} : random.pick(FORGERIES);
      const forged = await forge(bytes, (content) => change(content, random));
      const given: LoadOptions = typeof options.mask === "function" ? { mask } : {};
      let live: DynamicAttention | null = null;
      try {
        live = await DynamicAttention.load(forged, given);
      } catch (error) {
        const isMissing = error instanceof AttentionError &&
          /^DynamicAttention.load: (mask|lazyThreshold) is /.test(error.message);
        if (!isMissing) {
          assertInstanceOf(error, FormatError, `turn ${turn}: ${error instanceof Error && error.stack}`);
        }
        assert(turn >= 16, `the file that is forged is good, ${error}`);
        refusals++;
      }
      if (!live) continue;
      loads++;
      await assertRight(forged, live, backend).catch((error) => {
        error.message = `turn ${turn}: ${error.message}`;
        throw error;
      });
      await live.dispose();
    }
    assert(loads > 16 && refusals > turns / 3, `${loads} loads and ${refusals} refusals`);
  });
}

/** Ordinary numbers mostly, and now and then some at the ends of float32. */
const SIZES = [0.5, 1, 3, 0.5, 1, 3, 0.5, 1, 3, 1e-38, 1e-20, 1e-5, 40, 1e3, 1e6, 1e12, 1e18, 1e30, 3e38];

for (const backend of QUICK_BACKENDS) {
  Deno.test(`what an engine on ${backend} saves can be loaded, whatever its numbers`, async () => {
    for (let turn = 0; turn < (backend === "webgpu" ? 30 : LONG ? 3000 : 80); turn++) {
      const random = new Random(turn + 1);
      const rowOf = (width: number) => {
        const size = random.pick(SIZES);
        return Array.from(random.row(width), (x) => Math.max(-3e38, Math.min(3e38, x * size)));
      };
      const rows = (count: number, width: number) => {
        return {
          data: Array.from({ length: count }, () => rowOf(width)).flat(),
          shape: [count, width] as const,
        };
      };
      const keyCount = 1 + random.below(8);
      const masked = random.below(2) === 0 ? { mask } : {};
      await using live = await DynamicAttention.create({
        query: rows(1 + random.below(4), HEADS * HEAD_DIM),
        key: rows(keyCount, KV_HEADS * HEAD_DIM),
        value: rows(keyCount, KV_HEADS * VALUE_DIM),
        heads: HEADS,
        kvHeads: KV_HEADS,
        backend,
        scale: random.pick([1, 0.5, -1, 1e-3, 1e-30, 30]),
        softcap: random.pick([0, 0, 0, 5, 50, 1e-3, 1e-20]),
        causal: random.pick([false, false, { offset: 3 }]),
        onThreshold: random.pick(["auto", "patch", "rebuild"]),
        tolerance: random.pick([1e-8, 1e-5, 1e-12]),
        ...masked,
      });
      for (let step = random.below(30); step > 0; step--) {
        const keys = [...live.keySlots()], queries = [...live.querySlots()], what = random.below(8);
        if (what < 3) live.insert(rowOf(KV_HEADS * HEAD_DIM), rowOf(KV_HEADS * VALUE_DIM));
        else if (what < 5 && keys.length > 0) live.delete(random.pick(keys));
        else if (what === 5) live.insertQuery(rowOf(HEADS * HEAD_DIM));
        else if (what === 6 && queries.length > 1) live.deleteQuery(random.pick(queries));
        else await live.read([random.pick(queries)]);
      }
      const bytes = await live.save();
      await using loaded = await DynamicAttention.load(bytes, masked).catch((error) => {
        error.message = `turn ${turn}: ${error.message}`;
        throw error;
      });
      assertEquals((await loaded.read()).shape, (await live.read()).shape);
    }
  });
}

Deno.test("states of other keys are refused, on every backend", async (t) => {
  for (const backend of QUICK_BACKENDS) {
    const random = new Random(4);
    const one = await someFile(backend, {}, random), other = await someFile(backend, {}, random);
    const states = decodeTensors("test", other).tensors;
    await t.step(backend, async () => {
      const forged = await forge(one, ({ tensors }) => {
        for (const [name, { shape, data }] of Object.entries(states)) {
          if (name.startsWith(`${backend}.`)) tensors[name] = { shape: [...shape], data: data.slice() };
        }
      });
      await assertRejects(() => DynamicAttention.load(forged), FormatError, "DynamicAttention.load: ");
      // On another backend its rows are all that counts.
      const elsewhere = backend === "array" ? "wasm" : "array";
      await using live = await DynamicAttention.load(forged, { backend: elsewhere });
      await assertRight(forged, live, elsewhere);
    });
  }
});

Deno.test("sums that are no numbers are refused where they would be read", async (t) => {
  for (const backend of QUICK_BACKENDS) {
    const bytes = await someFile(backend, {}, new Random(6));
    const sums = backend === "wasm" ? ["sums"] : ["high", "low"];
    for (const name of [...sums, "massError", "sumError", "shift"]) {
      for (const number of [NaN, Infinity, -Infinity]) {
        await t.step(`${backend}: ${number} in ${name}`, async () => {
          const forged = await forge(bytes, ({ tensors }) => {
            tensors[`${backend}.${name}`].data[0] = number;
          });
          await assertRejects(() => DynamicAttention.load(forged), FormatError, "DynamicAttention.load: ");
        });
      }
    }
    await t.step(`${backend}: more heavy keys than there is room for`, async () => {
      const forged = await forge(bytes, ({ tensors }) => tensors[`${backend}.heavyCount`].data[0] = 9);
      const says = "DynamicAttention.load: tensor heavyCount has 9";
      await assertRejects(() => DynamicAttention.load(forged), FormatError, says);
    });
  }
});

/** A snapshot whose rows have key 5 for a heavy one, which came when they were there already. */
async function heavyFile(backend: BackendName): Promise<Uint8Array<ArrayBuffer>> {
  const random = new Random(21);
  await using live = await DynamicAttention.create({
    query: Array.from({ length: 3 }, () => Array.from(random.row(HEADS * HEAD_DIM), (x) => 1 + x * x)),
    key: random.rows(8, KV_HEADS * HEAD_DIM),
    value: random.rows(8, KV_HEADS * VALUE_DIM),
    heads: HEADS,
    kvHeads: KV_HEADS,
    causal: { offset: 6 },
    backend,
    onThreshold: "patch",
  });
  live.setKey(5, new Array(KV_HEADS * HEAD_DIM).fill(60));
  await live.flush();
  return await live.save();
}

/** The last row of a file that has a heavy key; its number counts heads. */
function heavyRow(content: Forgery, backend: BackendName): number {
  const counts = Array.from(content.tensors[`${backend}.heavyCount`].data);
  const row = counts.findLastIndex((count) => count > 0);
  assert(row >= 0, "there is no heavy key");
  return row;
}

Deno.test("what a state says of heavy keys is compared with them", async (t) => {
  for (const backend of QUICK_BACKENDS) {
    const bytes = await heavyFile(backend);
    const forgeries: Readonly<Record<string, (content: Forgery, row: number) => void>> = {
      "a score that is another": ({ tensors }, row) => tensors[`${backend}.heavyScores`].data[row * 8] += 1,
      "a score without end": ({ tensors }, row) => tensors[`${backend}.heavyScores`].data[row * 8] = Infinity,
      "a score that is none": ({ tensors }, row) => tensors[`${backend}.heavyScores`].data[row * 8] = NaN,
      "another slot": ({ tensors }, row) => tensors[`${backend}.heavySlots`].data[row * 8] = 0,
      "none at all": ({ tensors }, row) => {
        tensors[`${backend}.heavyCount`].data[row] = 0;
        tensors[`${backend}.heavySlots`].data[row * 8] = 0;
        tensors[`${backend}.heavyScores`].data[row * 8] = 0;
      },
      "one that is out of reach": ({ tensors, metadata }) => {
        tensors["key.positions"].data[5] = 50;
        metadata.nextKeyPosition = "51";
      },
    };
    for (const [what, change] of Object.entries(forgeries)) {
      await t.step(`${backend}: ${what}`, async () => {
        // Numbers that are not finite are refused earlier.
        const says = what.startsWith("a score without")
          ? "DynamicAttention.load: "
          : what.startsWith("a score that is none")
          ? "tensor heavyScores has NaN"
          : "is not that of the keys";
        const forged = await forge(bytes, (content) => change(content, heavyRow(content, backend)));
        await assertRejects(
          () => DynamicAttention.load(forged),
          FormatError,
          says,
        );
      });
    }
    if (backend === "array") continue;
    await t.step(`${backend}: a ceiling below a key that is in the sums`, async () => {
      const forged = await forge(bytes, (content) => {
        const { data } = content.tensors[`${backend}.ceiling`];
        data.forEach((ceiling, row) => {
          if (Number.isFinite(ceiling)) data[row] = ceiling - 12;
        });
      });
      await assertRejects(() => DynamicAttention.load(forged), FormatError, "is not that of the keys");
    });
    await t.step(`${backend}: a ceiling above the heavy keys`, async () => {
      const forged = await forge(bytes, (content) => {
        content.tensors[`${backend}.ceiling`].data[heavyRow(content, backend)] += 4000;
      });
      await assertRejects(() => DynamicAttention.load(forged), FormatError, "is not that of the keys");
    });
    await t.step(`${backend}: a key beyond what the file calls the largest`, async () => {
      const forged = await forge(bytes, ({ tensors }) => tensors.key.data[0] = 3e38);
      await assertRejects(() => DynamicAttention.load(forged), FormatError, "tensor norms has ");
    });
    await t.step(`${backend}: a value beyond what the file calls the largest`, async () => {
      const forged = await forge(bytes, ({ tensors }) => {
        tensors.value.data[0] = 3e38;
        tensors[`${backend}.radii`].data.fill(1e39);
      });
      await assertRejects(() => DynamicAttention.load(forged), FormatError, "tensor magnitudes has ");
    });
  }
});

/** A sealed file of a header as text. */
async function sealedFile(header: string, data = new Uint8Array(0)): Promise<Uint8Array<ArrayBuffer>> {
  const file = rawFile(header.padEnd(Math.ceil(header.length / 8) * 8), data);
  await seal("test", file);
  return file;
}

Deno.test("a header that is not as it is written is refused, whatever it means", async (t) => {
  const bytes = await someFile("array", {}, new Random(8));
  const header = headerOf(bytes).trimEnd();
  const data = bytes.slice(8 + headerOf(bytes).length);
  const unsealed = header.replace(/"sha256":"[0-9a-f]{64}"/, `"sha256":"${UNSEALED}"`);
  assertEquals(await sealedFile(unsealed, data), bytes);
  const first = /"array\.shift":\{[^}]*\}/.exec(unsealed)?.[0] ?? "";
  assert(first.length > 20);
  const headers: Readonly<Record<string, string>> = {
    "a tensor twice": unsealed.replace(first, `${first},${first}`),
    "a setting twice": unsealed.replace('"heads":"4"', '"heads":"4","heads":"4"'),
    "a setting twice, the first another": unsealed.replace('"heads":"4"', '"heads":"5","heads":"4"'),
    "a field twice": unsealed.replace('"dtype":"F64"', '"dtype":"F32","dtype":"F64"'),
    "a field that means nothing": unsealed.replace('"dtype":"F64"', '"dtype":"F64","x":1'),
    "a space": unsealed.replace('"dtype":"F64"', '"dtype": "F64"'),
    "an escape": unsealed.replace('"array.shift"', '"array.sh\\u0069ft"'),
    "a number in another notation": unsealed.replace('"shape":[5,4]', '"shape":[5.0,4]'),
    "tensors in another order": unsealed.replace(`${first},`, "").replace(/\}$/, `,${first}}`),
    "spaces more than needed": `${unsealed}${" ".repeat(64)}`,
  };
  for (const [what, text] of Object.entries(headers)) {
    await t.step(what, async () => {
      assert(text !== unsealed, "nothing was changed");
      await assertRejects(async () => DynamicAttention.load(await sealedFile(text, data)), FormatError);
    });
  }
});

Deno.test("a header that would take long to read is refused before anything is made of it", async (t) => {
  const entry = (at: number) => `"${at}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`;
  const entries = (count: number) => Array.from({ length: count }, (_, at) => entry(at)).join(",");
  const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);
  const metadata = '"__metadata__":{"format":"attune","version":"2"}';
  const headers: Readonly<Record<string, readonly [header: string, message: string]>> = {
    "a million tensors": [`{${entries(1_000_000)}}`, "safetensors header has"],
    "200,000 tensors": [
      `{${metadata},${entries(200_000)}}`,
      "safetensors header has 200001 entries, expected at most 65536",
    ],
    "a million lists": [
      `{"x":1,${Array.from({ length: 1e6 }, (_, at) => `"${at}":[]`).join(",")}}`,
      "safetensors header has",
    ],
    "a shape nested 200,000 deep": [
      `{"x":{"dtype":"F32","shape":${nested("[", "]", 200_000)},"data_offsets":[0,0]}}`,
      "safetensors header is nested more than 3 deep",
    ],
    "an object nested 200,000 deep": [nested('{"a":', "}", 200_000), "nested more than 3 deep"],
    "a list nested 5,000 deep": [`{"a":${nested("[", "]", 5000)}}`, "nested more than 3 deep"],
    "brackets in texts": [`{"__metadata__":{"a":"${"[{".repeat(9)}"}}`, "metadata format is undefined"],
    "an escaped quote": ['{"__metadata__":{"a":"\\"[[[[[[[["}}', "metadata format is undefined"],
    "a shape of a million lengths": [
      `{"x":{"dtype":"F32","shape":[${"1,".repeat(999_999)}1],"data_offsets":[0,4]}}`,
      'tensor "x" has data_offsets',
    ],
    "a million settings": [
      `{"__metadata__":{${Array.from({ length: 700_000 }, (_, at) => `"${at}":""`).join(",")}}}`,
      "metadata format is undefined",
    ],
    "a long name": [`{"${"x".repeat(1e7)}":{"dtype":"BF16"}}`, "has dtype"],
  };
  for (const [what, [header, message]] of Object.entries(headers)) {
    await t.step(what, async () => {
      const error = await assertRejects(() => DynamicAttention.load(rawFile(header)), FormatError, message);
      assert(error.message.length < 500, `${error.message.length} characters`);
    });
  }
  await t.step("as many tensors as a file may have", async () => {
    const file = await sealedFile(
      `{"__metadata__":{"format":"attune","version":"2","sha256":"${UNSEALED}"},${entries(65_536)}}`,
    );
    await assertRejects(() => DynamicAttention.load(file), FormatError, "DynamicAttention.load: ");
  });
  await t.step("many heads in a small file", async () => {
    const none = { data: [], shape: [0, 1] as const };
    const bytes = await (await DynamicAttention.create({ query: none, key: none, value: none })).save();
    for (const heads of [2 ** 16, 2 ** 22, 2 ** 40]) {
      const forged = await forge(bytes, ({ metadata, tensors }) => {
        for (const name of Object.keys(tensors)) if (name.startsWith("wasm.")) delete tensors[name];
        tensors.query.shape = [0, heads];
        Object.assign(metadata, { heads: `${heads}`, backend: "other" });
      });
      await assertRejects(() => DynamicAttention.load(forged), FormatError, "describes an engine of ");
    }
  });
});

Deno.test("what no engine can have had is refused", async (t) => {
  const mistakes: readonly (readonly [string, (content: Forgery) => void, string])[] = [
    [
      "a key in a free slot",
      ({ tensors }) => tensors.key.data[3 * 6] = 1,
      "tensor key has 1 at index 18, expected 0",
    ],
    ["−0 in a free slot", ({ tensors }) => tensors.value.data[1 * 4] = -0, "tensor value has 0 at index 4"],
    [
      "a query in a free slot",
      ({ tensors }) => tensors.query.data[2 * 12] = 1,
      "tensor query has 1 at index 24",
    ],
    [
      "a position of a free slot",
      ({ tensors }) => tensors["key.positions"].data[3] = 2,
      "tensor key.positions has 2",
    ],
    [
      "a position that no rule depends on",
      ({ tensors }) => tensors["key.positions"].data[0] = 2,
      "tensor key.positions has 2 at index 0, expected 0, since no rule",
    ],
    [
      "positions that were counted",
      ({ metadata }) => metadata.nextKeyPosition = "8",
      'metadata nextKeyPosition is "8", expected 1',
    ],
    [
      "a state of a free query",
      ({ tensors }) => tensors["array.high"].data[2 * 4 * 4] = 1,
      "state of query 2, head 0 has numbers that mean nothing",
    ],
    [
      "a shift of a free query",
      ({ tensors }) => tensors["array.shift"].data[2 * 4 + 1] = 3,
      "state of query 2, head 1 has numbers",
    ],
    [
      "numbers behind the heavy keys",
      ({ tensors }) => tensors["array.heavySlots"].data[7] = 1,
      "state of query 0, head 0 has numbers",
    ],
    [
      "a ball that is too small",
      ({ tensors }) => tensors["array.radii"].data[1] = 1e-3,
      "the ball of key head 1 has the radius 0.001",
    ],
    ["a tensor of states that is not known", ({ tensors }) => {
      tensors["array.more"] = { shape: [0], data: new Float32Array(0) };
    }, 'file has a tensor "more"'],
    [
      "a backend that is called as other tensors are",
      ({ metadata }) => metadata.backend = "mask",
      'metadata backend is "mask"',
    ],
    ["a scale that is another", ({ metadata }) => metadata.scale = "2", "is not that of the keys"],
    ["a softcap that there was not", ({ metadata }) => metadata.softcap = "0.5", "is not that of the keys"],
    ["a key that is another", ({ tensors }) => tensors.key.data[0] += 0.5, "is not that of the keys"],
    ["a value that is another", ({ tensors }) => tensors.value.data[0] += 0.01, "is not that of the keys"],
    ["a query that is another", ({ tensors }) => tensors.query.data[0] += 0.5, "is not that of the keys"],
    [
      "a state that trusts itself too little",
      ({ tensors }) => tensors["array.massError"].data[0] = 1,
      "is not that of the keys",
    ],
  ];
  const bytes = await someFile("array", {}, new Random(9));
  for (const [what, change, message] of mistakes) {
    await t.step(what, async () => {
      const forged = await forge(bytes, change);
      await assertRejects(() => DynamicAttention.load(forged), FormatError, message);
    });
  }
  await t.step("an origin where no shift moves it", async () => {
    const rules: Partial<DynamicAttentionOptions>[] = [
      {},
      { causal: true, blockMask: { size: 64, entries: [[true]] } },
      { window: { left: 4, keepFirst: 2 } },
    ];
    for (const rule of rules) {
      const forged = await forge(
        await someFile("array", rule, new Random(9)),
        ({ metadata }) => metadata.origin = "16",
      );
      await assertRejects(
        () => DynamicAttention.load(forged),
        FormatError,
        "expected none, by the rule of its scores",
      );
    }
  });
  await t.step("what a mask said of a free slot", async () => {
    const masked = await someFile("array", { mask }, new Random(9));
    for (const at of [3 * 5 * 4, (0 * 5 + 2) * 4 + 1]) {
      const forged = await forge(masked, ({ tensors }) => tensors.bias.data[at] = 0);
      await assertRejects(
        () => DynamicAttention.load(forged, { mask }),
        FormatError,
        `tensor bias has 0 at index ${at}`,
      );
    }
  });
});

Deno.test("a file of more tensors than the reader takes is not written", () => {
  const tensors = Object.fromEntries(
    Array.from({ length: 65_537 }, (_, at) => [`t${at}`, { shape: [0], data: new Uint8Array(0) }]),
  );
  let error: unknown = null;
  try {
    encodeTensors({ metadata: {}, tensors }, "save");
  } catch (thrown) {
    error = thrown;
  }
  assertInstanceOf(error, AttentionError);
  assert(error.message.startsWith("save: a header of 65537 tensors would take "), error.message);
});
