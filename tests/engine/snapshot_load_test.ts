// Loading: what a loaded engine starts with, what `load` must be told, and what it does with the bytes.

import { BackendError, DisposedError, DynamicAttention, InputError, type MaskFunction } from "../../mod.ts";
import { createEngine, loadEngine } from "../../src/engine/create_engine.ts";
import { assert, assertEquals, assertRejects } from "../../testing/assert.ts";
import { FailingBackend, Wrapped } from "../../testing/fake_backends.ts";
import { someEngine } from "../../testing/freed_slots.ts";
import { Random } from "../../testing/random.ts";

Deno.test("counters start anew", async () => {
  await using engine = await someEngine();
  engine.setValue(0, [1, 2, 3]);
  await using loaded = await DynamicAttention.load(await engine.save());
  const { edits, applied, coalesced, epoch, rebuilds, behind, retained, pending } = loaded.stats();
  const counts = { edits, applied, coalesced, epoch, rebuilds, behind, retained, pending };
  for (const [name, count] of Object.entries(counts)) assertEquals(count, 0, name);
  assertEquals((await loaded.peek()).epoch, 0);
  loaded.setValue(0, [3, 2, 1]);
  await loaded.flush();
  assertEquals([loaded.stats().edits, (await loaded.peek()).epoch], [1, 1]);
});

Deno.test("a snapshot of another backend is loaded by its rows", async () => {
  class Other extends Wrapped {
    override get name(): string {
      return "other";
    }
  }
  const random = new Random(11);
  const options = {
    query: random.rows(3, 4),
    key: random.rows(5, 4),
    value: random.rows(5, 2),
    mask: (i: number, j: number) => (i + j) % 3 > 0,
  };
  await using engine = await createEngine(options, { wrap: (backend) => new Other(backend) });
  for (let turn = 0; turn < 20; turn++) {
    engine.set(turn % 5, random.row(4), random.row(2));
    await engine.flush();
  }
  engine.delete(1);
  engine.deleteQuery(0);
  const bytes = await engine.save();
  await using loaded = await DynamicAttention.load(bytes, { mask: options.mask });
  assertEquals(loaded.stats().backend, "wasm", "the one that auto takes");
  assertEquals(loaded.stats().rowsBuilt, 2, "computed anew");
  const expected = await engine.read(), actual = await loaded.read();
  assertEquals(actual.shape, expected.shape);
  actual.data.forEach((number, at) => assert(Math.abs(number - expected.data[at]) < 1e-6, `${number}`));
  // The other way round: a backend of another name rebuilds, too.
  await using back = await loadEngine(
    await loaded.save(),
    { mask: options.mask },
    { wrap: (inner) => new Other(inner) },
  );
  assertEquals(back.stats().rowsBuilt, 2);
  // What the mask said is in the file; the function that is given is asked for rows to come alone.
  await using asked = await DynamicAttention.load(bytes, {
    mask: () => {
      throw new Error("asked");
    },
  });
  await asked.rebuild();
  assertEquals(await asked.read(), await loaded.read());
});

Deno.test("functions are not in the file, and load asks for them", async () => {
  const mask: MaskFunction = (i, j) => i !== j;
  const lazyThreshold = ({ edits }: { readonly edits: number }) => edits > 2;
  const options = { query: [[1]], key: [[1], [2]], value: [[1], [2]] };
  await using plain = await DynamicAttention.create(options);
  await using masked = await DynamicAttention.create({ ...options, mask });
  await using driven = await DynamicAttention.create({ ...options, lazyThreshold });
  const files = { plain: await plain.save(), masked: await masked.save(), driven: await driven.save() };
  await using loaded = await DynamicAttention.load(files.masked, { mask });
  assertEquals((await loaded.read()).data[0], 2);
  const refusals: readonly (readonly [keyof typeof files, object, string])[] = [
    ["masked", {}, "DynamicAttention.load: mask is undefined, expected a function"],
    [
      "masked",
      { mask: [[true, true]] },
      "DynamicAttention.load: mask is [[true, true]], expected a function",
    ],
    ["plain", { mask }, "DynamicAttention.load: mask is a function, expected none"],
    ["driven", {}, "DynamicAttention.load: lazyThreshold is undefined, expected one"],
    ["driven", { lazyThreshold: 0 }, "DynamicAttention.load: lazyThreshold is 0, expected"],
    ["plain", { backend: "abacus" }, 'DynamicAttention.load: backend is "abacus", expected'],
    ["plain", { heads: 2 }, 'DynamicAttention.load: option "heads" is unknown'],
  ];
  for (const [name, given, message] of refusals) {
    await assertRejects(() => DynamicAttention.load(files[name], given), InputError, message);
  }
  await using again = await DynamicAttention.load(files.driven, { lazyThreshold: 1 });
  again.setValue(0, [5]);
  await again.peek();
  assertEquals(again.stats().epoch, 1, "the threshold that was given holds");
});

Deno.test("limits are kept, and replaced by those given", async () => {
  const options = { query: [[1]], key: [[1], [2]], value: [[1], [2]] };
  await using engine = await DynamicAttention.create({ ...options, lazyThreshold: { edits: 2 } });
  const bytes = await engine.save();
  for (const [given, pending] of [[{}, 0], [{ lazyThreshold: Infinity }, 2]] as const) {
    await using loaded = await DynamicAttention.load(bytes, given);
    loaded.setValue(0, [5]);
    assertEquals((await loaded.peek()).pending, 1);
    loaded.setValue(1, [5]);
    assertEquals((await loaded.peek()).pending, pending);
  }
});

Deno.test("bytes may be part of a larger buffer, or shared, and are not kept", async () => {
  await using engine = await someEngine();
  const bytes = await engine.save();
  const expected = await engine.read();
  for (const offset of [0, 1, 4]) {
    const larger = new Uint8Array(bytes.length + 16);
    larger.set(bytes, offset);
    const part = larger.subarray(offset, offset + bytes.length);
    const loading = DynamicAttention.load(part);
    part.fill(0);
    await using loaded = await loading;
    assertEquals(await loaded.read(), expected);
  }
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  await using loaded = await DynamicAttention.load(shared);
  assertEquals(await loaded.read(), expected);
});

Deno.test("what is not bytes is refused", async () => {
  const detached = new Uint8Array(16);
  structuredClone(detached, { transfer: [detached.buffer] });
  const mistakes: readonly (readonly [unknown, string])[] = [
    ["file", 'bytes are "file", expected a Uint8Array'],
    [new Uint8Array(8).buffer, "bytes are an object (ArrayBuffer), expected a Uint8Array"],
    [new Float32Array(2), "bytes are an object (Float32Array), expected a Uint8Array"],
    [detached, "bytes is a view of a detached buffer"],
  ];
  for (const [bytes, message] of mistakes) {
    await assertRejects(() => DynamicAttention.load(bytes as Uint8Array), InputError, message);
  }
});

Deno.test("a save that fails loses no edit", async () => {
  const options = { query: [[1]], key: [[1], [2]], value: [[1], [2]] };
  let failing: FailingBackend | undefined;
  await using engine = await createEngine(options, {
    wrap: (backend) => failing = new FailingBackend(backend),
  });
  engine.setValue(0, [5]);
  failing!.fails = () => true;
  await assertRejects(() => engine.save(), BackendError, "DynamicAttention.save: backend wasm failed");
  failing!.fails = () => false;
  await using loaded = await DynamicAttention.load(await engine.save());
  assertEquals(await loaded.read(), await engine.read());
  assertEquals(loaded.stats().keyCount, 2);
});

Deno.test("a disposed engine saves nothing", async () => {
  const engine = await someEngine();
  await engine.dispose();
  await assertRejects(() => engine.save(), DisposedError, "DynamicAttention.save");
});
