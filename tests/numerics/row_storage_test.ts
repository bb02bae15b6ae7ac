// What each format keeps of a row: how far off it may be, that it is kept as it is from then on, and what is refused.

import fc from "fast-check";
import { InputError } from "../../mod.ts";
import type { HeadLayout } from "../../src/numerics/head_layout.ts";
import { isRounded, roundRow, ROW_FORMATS } from "../../src/numerics/row_storage.ts";
import { assert, assertEquals, assertThrows } from "../../testing/assert.ts";
import { roundedRow } from "../../testing/rounded_rows.ts";

const HEADS = 2, WIDTH = 3;

function layoutOf(keys: HeadLayout["storage"] & object): HeadLayout {
  return { heads: HEADS, kvHeads: HEADS, headDim: WIDTH, valueDim: WIDTH, storage: keys };
}

/** Numbers of all sizes that float16 takes. */
const number = fc.oneof(
  fc.float({ noNaN: true, min: Math.fround(-65504), max: Math.fround(65504) }),
  fc.tuple(fc.integer({ min: -149, max: 15 }), fc.double({ min: -2, max: 2, noNaN: true }))
    .map(([power, x]) => Math.fround(Math.max(-65504, Math.min(x * 2 ** power, 65504)))),
  fc.constantFrom(
    0,
    -0,
    1,
    -1,
    127,
    254,
    2 ** -126,
    2 ** -149,
    65504,
    -65504,
    0.5 * 2 ** -24,
    1.5 * 2 ** -24,
  ),
);
const row = fc.array(number, { minLength: HEADS * WIDTH, maxLength: HEADS * WIDTH });

for (const format of ROW_FORMATS) {
  const storage = { keys: format, values: format }, layout = layoutOf(storage);

  Deno.test(`rows of ${format} are as far off as is said at most, and rounding them again changes nothing`, () => {
    fc.assert(
      fc.property(row, (numbers) => {
        const given = Float32Array.from(numbers), kept = given.slice();
        roundRow("test", layout, kept, 0);
        for (let c = 0; c < given.length; c++) {
          const head = given.subarray(c - c % WIDTH, c - c % WIDTH + WIDTH);
          const largest = Math.max(...head.map(Math.abs));
          const bound = {
            float32: 0,
            float16: Math.max(Math.abs(given[c]) / 2 ** 11, 2 ** -25),
            int8: largest / 254,
          };
          // A scale of int8 is a normal number.
          const most = format === "int8" ? Math.max(bound.int8, 2 ** -127) : bound[format];
          assert(Math.abs(kept[c] - given[c]) <= most, `${given[c]} became ${kept[c]} beside ${head}`);
        }
        const again = kept.slice();
        roundRow("test", layout, again, 0);
        assertEquals(new Uint32Array(again.buffer), new Uint32Array(kept.buffer));
        assertEquals(kept, roundedRow(given, WIDTH, storage, "keys"));
        assert(isRounded(layout, kept));
        assertEquals(isRounded(layout, given), given.every((x, c) => Object.is(x, kept[c])));
      }),
      { numRuns: 3000, seed: 7 },
    );
  });
}

Deno.test("int8 takes numbers of all sizes of float32", () => {
  const layout = layoutOf({ keys: "int8", values: "int8" });
  const most = 3.4028234663852886e38;
  for (const numbers of [[most, -most, 1e38, 1, 0, -1], [1e-45, -1e-45, 0, 1e-38, 2e-38, -3e-38]]) {
    const kept = Float32Array.from(numbers);
    roundRow("test", layout, kept, 0);
    assert(kept.every(Number.isFinite));
    assert(Math.abs(kept[0] - Math.fround(numbers[0])) <= Math.max(most / 254, 2 ** -127));
    assert(isRounded(layout, kept));
  }
});

Deno.test("numbers beyond float16 are refused", () => {
  const layout = layoutOf({ keys: "float32", values: "float16" });
  const rowOf = (key: number, value: number) => Float32Array.of(key, 0, 0, 0, 0, 0, 0, 0, 0, 0, value, 0);
  roundRow("test", layout, rowOf(1e30, -65519), 0);
  for (const beyond of [65520, -1e30]) {
    assertThrows(
      () => roundRow("test", layout, rowOf(1, beyond), 0),
      InputError,
      "test: value has a number beyond float16, expected numbers up to 65504",
    );
  }
});
