// What a snapshot holds beside rows and states: metadata of the caller's, the number of edits, ids; and snapshots of the
// version before, which has none of them.

import { DynamicAttention, FormatError, InputError, type JsonValue, type RowId } from "../../mod.ts";
import { checkSeal, seal } from "../../src/store/checksum.ts";
import { decodeTensors, encodeTensors } from "../../src/store/safetensors.ts";
import { decodeSafetensors } from "../../src/store/mod.ts";
import { assertEquals, assertRejects, assertStringIncludes } from "../../testing/assert.ts";
import { as } from "../../testing/bad_calls.ts";
import { BACKENDS } from "../backends_here.ts";
import older from "./older_snapshots.json" with { type: "json" };

const OPTIONS = { query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[1], [2]] };

for (const backend of BACKENDS) {
  Deno.test(`snapshots, ${backend}: metadata and the number of edits go along, over many loads`, async () => {
    const metadata: JsonValue = {
      model: "tiny",
      version: [1, -2.5, null, true],
      ["__proto__"]: { "ä": "😀" },
    };
    let live = await DynamicAttention.create({ ...OPTIONS, backend });
    assertEquals([live.metadata, live.sequence], [undefined, 0]);
    for (let load = 1; load <= 3; load++) {
      live.setValue(0, [load]);
      live.edit([{ kind: "setValue", slot: 1, value: [3] }, { kind: "setKey", slot: 1, key: [0, 0] }]);
      const pending = load === 1 ? live.save({ metadata }) : live.save();
      // As of the call, whatever comes before the file is written.
      live.setValue(1, [9]);
      const bytes = await pending;
      await live.dispose();
      live = await DynamicAttention.load(bytes);
      assertEquals([live.metadata, live.sequence], [metadata, 3 * load]);
      assertEquals(await live.save(), bytes);
      assertEquals(JSON.parse(decodeSafetensors(bytes, { names: [] }).metadata.metadata), metadata);
    }
    await live.save({ metadata: null });
    assertEquals(live.metadata, null);
    await live.dispose();
  });
}

Deno.test("what is no JSON is refused as metadata, by its place", async () => {
  await using live = await DynamicAttention.create(OPTIONS);
  const circle: unknown[] = [];
  circle.push(circle);
  const mistakes: readonly (readonly [unknown, string])[] = [
    [{ a: [1, undefined] }, "metadata.a[1] is undefined, expected JSON: text, finite numbers"],
    [{ a: NaN }, "metadata.a is NaN"],
    [7n, "metadata is 7"],
    [() => 1, "metadata is a function"],
    [new Date(0), "metadata is an object (Date)"],
    [new Map(), "metadata is an object (Map)"],
    [Float32Array.of(1), "metadata is an object (Float32Array)"],
    [circle, "expected at most 100 levels"],
  ];
  for (const [metadata, message] of mistakes) {
    const error = await assertRejects(() => live.save({ metadata: as(metadata) }), InputError, message);
    assertStringIncludes(error.message, "DynamicAttention.save: metadata");
  }
  await assertRejects(() => live.save(as({ meta: 1 })), InputError, 'option "meta" is unknown');
  assertEquals(live.metadata, undefined);
});

Deno.test("a copy of the metadata is the caller's", async () => {
  await using live = await DynamicAttention.create(OPTIONS);
  const given = { list: [1] };
  await live.save({ metadata: given });
  given.list.push(2);
  (live.metadata as typeof given).list.push(3);
  assertEquals(live.metadata, { list: [1] });
});

const names = (ids: readonly RowId[]) => ids.map((id) => `${typeof id} ${id}`);

Deno.test("ids go along with their types and slots", async () => {
  const keyIds: RowId[] = ["a", 7, 7n, "7", -(2n ** 70n), 1e300, "\ud83d", ""];
  await using live = await DynamicAttention.create<RowId, RowId>({
    query: [[1], [2]],
    queryIds: "auto",
    key: keyIds.map((_, at) => [at]),
    value: keyIds.map((_, at) => [at]),
    keyIds,
  });
  live.delete("7");
  live.delete("a");
  live.deleteQuery(0);
  const bytes = await live.save();
  await using again = await DynamicAttention.load<RowId, RowId>(bytes);
  assertEquals(names(again.keyIds()), names(live.keyIds()));
  assertEquals([again.getValue(7n), again.getValue(7), again.getValue("\ud83d")].map(([x]) => x), [2, 1, 6]);
  assertEquals([again.queryIds(), again.insertQuery([5])], [[1], 2]);
  again.upsert("new", [1], [1]);
  live.upsert("new", [1], [1]);
  live.insertQuery([5]);
  assertEquals(await again.save(), await live.save());
});

for (const [name, { file, answer }] of Object.entries(older)) {
  Deno.test(`a snapshot of version 2 loads, ${name}`, async () => {
    const bytes = Uint8Array.from(atob(file), (character) => character.charCodeAt(0));
    const mask = name.endsWith("function") ? { mask: (i: number, j: number, h: number) => i + j - h } : {};
    await using live = await DynamicAttention.load(bytes, mask);
    assertEquals([...(await live.read()).data], answer);
    assertEquals([live.sequence, live.metadata, live.keyIds()], [0, undefined, [1, 2]]);
    live.setValue(1, [1, 1]);
    await using again = await DynamicAttention.load(await live.save(), mask);
    assertEquals(await again.read(), await live.read());
    assertEquals(again.sequence, 1);
  });
}

/** A snapshot with something of it forged, and a right checksum. */
async function forged(
  bytes: Uint8Array<ArrayBuffer>,
  metadata: Readonly<Record<string, string | undefined>>,
  ids?: string,
): Promise<Uint8Array<ArrayBuffer>> {
  await checkSeal("forged", bytes);
  const file = decodeTensors("forged", bytes);
  const data = new TextEncoder().encode(ids);
  const tensors = ids === undefined
    ? file.tensors
    : { ...file.tensors, "key.ids": { shape: [data.length], data } };
  const texts = Object.entries({ ...file.metadata, ...metadata }).filter(([, text]) => text !== undefined);
  const made = encodeTensors({
    metadata: { ...Object.fromEntries(texts) as Record<string, string>, sha256: "0".repeat(64) },
    tensors,
  });
  await seal("forged", made);
  return made;
}

Deno.test("ids, numbers and metadata that no engine wrote are refused", async () => {
  await using live = await DynamicAttention.create({ ...OPTIONS, keyIds: ["a", "b"] });
  live.delete("a");
  const bytes = await live.save({ metadata: { a: 1 } });
  const mistakes: readonly (readonly [Record<string, string | undefined>, string | undefined, string])[] = [
    [{}, '["a","b"]', "ids that its slots cannot have, expected an id for each of 1 live slots"],
    [{}, "[null,null]", "ids that its slots cannot have"],
    [{}, '[null,"b","c"]', "ids that its slots cannot have"],
    [{}, '[null, "b"]', "expected a JSON list of ids"],
    [{}, "[null,true]", "expected a JSON list of ids"],
    [{}, '[null,["07"]]', "expected a JSON list of ids"],
    [{}, '{"b":1}', "expected a JSON list of ids"],
    [{}, "[null,", "expected a JSON list of ids"],
    [{ nextKeyId: "none" }, undefined, 'file has a tensor "key.ids"'],
    [{ nextKeyId: "7" }, undefined, "whole numbers below 7"],
    [{ nextKeyId: "07" }, undefined, 'metadata nextKeyId is "07"'],
    [{ nextKeyId: "some" }, undefined, 'metadata nextKeyId is "some"'],
    [{ nextQueryId: "given" }, undefined, "tensor query.ids is missing"],
    [{ sequence: "-1" }, undefined, 'metadata sequence is "-1"'],
    [{ sequence: undefined }, undefined, "metadata sequence is undefined"],
    [{ metadata: "{'a':1}" }, undefined, "metadata metadata is"],
    [{ metadata: '{"a": 1}' }, undefined, "metadata metadata is"],
    [{ version: "2" }, undefined, "metadata has"],
  ];
  for (const [metadata, ids, message] of mistakes) {
    const file = await forged(bytes, metadata, ids);
    await assertRejects(() => DynamicAttention.load(file), FormatError, message);
  }
  await using again = await DynamicAttention.load<string>(await forged(bytes, {}, '[null,"c"]'));
  assertEquals(again.keyIds(), ["c"]);
});
