// Allocations that do not fit throw a typed error with the number of bytes, and leave the engine as it was.

import { attention, CapacityError, DynamicAttention } from "../../mod.ts";
import { RowStates } from "../../src/backends/host/row_states.ts";
import { RowStore } from "../../src/backends/host/row_store.ts";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../testing/assert.ts";
import { BACKENDS } from "../backends_here.ts";

for (const backend of BACKENDS) {
  Deno.test(`capacity on ${backend}: a mask of more pairs than memory is refused before anything is asked`, async () => {
    const count = 300_000;
    let asked = 0;
    const column = { data: new Float32Array(count), shape: [count, 1] as const };
    const error = await assertRejects(
      () =>
        DynamicAttention.create({
          query: column,
          key: column,
          value: column,
          mask: () => ++asked > 0,
          backend,
        }),
      CapacityError,
      "would take 360000000000 bytes",
    );
    assertEquals([error.bytes, asked], [4 * count * count, 0]);
  });

  Deno.test(`capacity on ${backend}: stats tell the bytes that are held`, async () => {
    const sizes = { keys: 100, queries: 7, headDim: 5, valueDim: 3 };
    const zeros = (rows: number, columns: number) => ({
      data: new Float32Array(rows * columns),
      shape: [rows, columns] as const,
    });
    await using engine = await DynamicAttention.create({
      query: zeros(sizes.queries, sizes.headDim),
      key: zeros(sizes.keys, sizes.headDim),
      value: zeros(sizes.keys, sizes.valueDim),
      backend,
    });
    const { bytes } = engine.stats();
    if (backend === "array") {
      // No rule looks at positions, so there are none.
      const rows = 4 * (100 * (5 + 3 + 2) + 7 * 5) + 8 * 100 + (100 + 7);
      assertEquals(bytes, rows + 7 * (8 + 16 * 5 + 16 + 1 + 12 * 8));
    } else {
      // The rows themselves, and what tables that grow by doubling may have beyond them.
      const rows = 4 * (100 * (5 + 3 + 2) + 2 * 7 * 5);
      assert(bytes >= rows && bytes < 100_000, `${bytes} bytes for ${rows} bytes of rows`);
    }
  });
}

Deno.test("capacity: the bytes in an error are those that the allocation takes", () => {
  const store = new RowStore(6);
  store.reserve(40);
  const held = store.rows.byteLength + store.live.byteLength + store.positions.byteLength;
  assertEquals([store.bytes(), store.bytesOf(40)], [held, held]);
  const states = new RowStates(5, 9);
  const arrays = Object.values(states).filter((value) => ArrayBuffer.isView(value));
  assertEquals(states.bytes(), arrays.reduce((sum, array) => sum + array.byteLength, 0));
});

Deno.test("capacity: another error than a refusal passes as it is", () => {
  const other = new TypeError("another");
  const thrower = () => {
    throw other;
  };
  assertThrows(() => CapacityError.guard("f", "it", 1, thrower), TypeError, "another");
});

for (const backend of BACKENDS) {
  Deno.test(`capacity on ${backend}: rows of more numbers than any memory holds are refused, though there are none`, async () => {
    for (const columns of [2 ** 40, 2 ** 52]) {
      const none = (count: number) => ({ data: [], shape: [0, count] as const });
      const wide = [
        { query: none(columns), key: none(columns), value: none(1) },
        { query: [[1]], key: none(1), value: none(columns) },
        { query: none(columns), key: none(columns), value: none(columns), heads: columns },
      ];
      for (const options of wide) {
        await assertRejects(
          () => DynamicAttention.create({ ...options, backend }),
          CapacityError,
          "DynamicAttention.create: a query of ",
        );
        await assertRejects(
          () => attention({ ...options, backend }),
          CapacityError,
          "attention: a query of ",
        );
      }
    }
  });
}

/** Makes arrays of one class and some lengths refuse to be allocated, for as long as a call takes. */
function refusing<T>(
  name: "Float32Array" | "Float64Array" | "Uint8Array",
  lengths: readonly number[],
  call: () => T,
): T {
  const Original = globalThis[name];
  const scope = globalThis as Record<string, unknown>;
  scope[name] = new Proxy(Original, {
    construct(target, [length, ...others], newTarget) {
      if (lengths.includes(length)) throw new RangeError("Array buffer allocation failed");
      return Reflect.construct(target, [length, ...others], newTarget === scope[name] ? target : newTarget);
    },
  });
  try {
    return call();
  } finally {
    scope[name] = Original;
  }
}

Deno.test("capacity: memory that is refused in the middle of an edit leaves everything as it was", async () => {
  const rows = (count: number, columns: number) =>
    Array.from({ length: count }, (_, i) => Array.from({ length: columns }, (_, c) => Math.sin(i + c)));
  // Rows of 13 numbers, and logs that hold 4, then 8, then 16 of them.
  const make = () =>
    DynamicAttention.create({
      query: rows(2, 7),
      key: rows(3, 7),
      value: rows(3, 6),
      backend: "array",
      lazyThreshold: Infinity,
    });
  const [key] = rows(1, 7), [value] = rows(1, 6);
  const calls: readonly (readonly [string, number, (live: DynamicAttention) => unknown])[] = [
    ["insert", 4, (live) => live.insert(key, value)],
    ["insertQuery", 4, (live) => live.insertQuery(key)],
    ["delete", 4, (live) => live.delete(0)],
    ["setKey", 4, (live) => live.setKey(0, key)],
    ["edit", 4, (live) => live.edit([{ kind: "insert", key, value }, { kind: "insert", key, value }])],
    ["insert, when there are 16 slots", 13, (live) => live.insert(key, value)],
  ];
  for (const [what, before, call] of calls) {
    for (const name of ["Float32Array", "Float64Array", "Uint8Array"] as const) {
      await using live = await make();
      await using twin = await make();
      for (const engine of [live, twin]) {
        for (let more = 0; more < before; more++) {
          engine.insert(key, value);
          if (what === "insertQuery") engine.insertQuery(key);
        }
      }
      const lengths = [8, 16, 32, 8 * 13, 16 * 13, 32 * 13, 8 * 7];
      let refused = false;
      refusing(name, lengths, () => {
        try {
          call(live);
        } catch (error) {
          assertInstanceOf(error, CapacityError, `${what}, ${name}`);
          assertEquals(error.operation, `DynamicAttention.${what.split(",")[0]}`);
          assertStringIncludes(error.message, `${error.operation}: `);
          refused = true;
        }
      });
      if (!refused) call(twin);
      assertEquals([...live.keySlots()], [...twin.keySlots()], `${what}, ${name}`);
      for (const slot of twin.keySlots()) assertEquals(live.getKey(slot), twin.getKey(slot));
      for (let more = 0; more < 9; more++) assertEquals(live.insert(key, value), twin.insert(key, value));
      assertEquals([live.insertQuery(key), live.stats().pending], [
        twin.insertQuery(key),
        twin.stats().pending,
      ]);
      assertEquals(await live.read(), await twin.read(), `${what}, ${name}`);
    }
  }
});
