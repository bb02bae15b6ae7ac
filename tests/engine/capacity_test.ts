// What cannot fit is refused by type, with the number of bytes, and leaves the engine as it was.

import { attention, CapacityError, DynamicAttention } from "../../mod.ts";
import { RowStates } from "../../src/backends/host/row_states.ts";
import { RowStore } from "../../src/backends/host/row_store.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";
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
      const rows = 4 * (100 * (5 + 3 + 2) + 7 * 5) + 9 * (100 + 100 + 7);
      assertEquals(bytes, rows + 7 * (8 + 16 * 5 + 16 + 1 + 12 * 8));
    } else {
      // The rows themselves, and what tables that grow by doubling may have beyond them.
      const rows = 4 * (100 * (5 + 3 + 2) + 2 * 7 * 5);
      assert(bytes >= rows && bytes < 100_000, `${bytes} bytes for ${rows} bytes of rows`);
    }
  });
}

Deno.test("capacity: what is told before an allocation is what it takes", () => {
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
