// The kernels that unpack rows: every number of binary16 and every one of int8, on both builds and at all widths, as the
// host unpacks them and as `Float16Array` has them.

import { PackedRows } from "../../../src/backends/host/packed_rows.ts";
import { columnsOf } from "../../../src/backends/wasm/row_rule.ts";
import * as field from "../../../src/backends/wasm/job_fields.ts";
import { MemoryNumbers } from "../../../src/backends/wasm/memory_table.ts";
import { assertEquals } from "../../../testing/assert.ts";
import { freshKernels } from "../../../testing/wasm_memory.ts";
import { Random } from "../../../testing/random.ts";
import { roundedRow } from "../../../testing/rounded_rows.ts";

/** All numbers of binary16 but infinities and those that are none. */
const HALVES = Float32Array.from(
  new Float16Array(Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits).buffer),
)
  .filter(Number.isFinite);

const BUILDS = ["relaxed", "simd128"] as const, FORMATS = ["float16", "int8"] as const;

for (const build of BUILDS) {
  for (const format of FORMATS) {
    Deno.test(`unpack: ${format} rows of all widths, ${build}`, async () => {
      const { kernels, arena } = await freshKernels(build);
      const job = arena.take(field.JOB_BYTES), random = new Random(4);
      for (let width = 1; width <= 21; width++) {
        for (const isValue of [false, true]) {
          const columns = isValue ? columnsOf(width) : width, rowBytes = 16 * Math.ceil(columns / 4);
          const table = new MemoryNumbers(arena),
            packed = new PackedRows(table, format, width, columns, isValue);
          const count = format === "float16" ? Math.ceil(HALVES.length / width) : 300;
          table.reserve(count * packed.headWords + 2);
          const rows = new Float32Array(count * width);
          if (format === "float16") rows.set(HALVES);
          else {
            const given = rows.map(() => random.normal() * 2 ** random.pick([-140, -120, 0, 0, 100]));
            const storage = { keys: format, values: format };
            for (let at = 0; at < count; at++) {
              const row = given.subarray(at * width, (at + 1) * width);
              rows.set(roundedRow(row, width, storage, "keys"), at * width);
            }
          }
          const bits = new Uint32Array(rows.buffer);
          for (let at = 0; at < count; at++) {
            packed.write(table.start + at * packed.headWords, rows, bits, at * width);
          }
          const list = arena.take(4 * count),
            target = arena.take(16 * Math.ceil(count / 4) + count * rowBytes);
          arena.words(list, count).set(
            Array.from({ length: count }, (_, at) => 4 * (table.start + at * packed.headWords)),
          );
          const words = arena.words(job, field.JOB_BYTES / 4);
          words.fill(0);
          words[field.HEAD_DIM / 4] = words[field.VALUE_DIM / 4] = width;
          words[field.COLUMNS / 4] = columns;
          words[field.TERM_COUNT / 4] = count;
          words[field.PACKED_KEYS / 4] = words[field.PACKED_VALUES / 4] = list;
          words[field.KEY_FORMAT / 4] = words[field.VALUE_FORMAT / 4] = format === "float16"
            ? field.FLOAT16
            : field.INT8;
          if (isValue) kernels.unpackValues(job, 0, target);
          else kernels.unpackKeys(job, 0, target);
          const addresses = arena.words(target, count);
          assertEquals(words[(isValue ? field.TERM_VALUES : field.TERM_KEYS) / 4], target);
          for (let at = 0; at < count; at++) {
            const row = rows.subarray(at * width, (at + 1) * width), expected = new Float32Array(columns);
            expected.set(row);
            if (isValue) expected.set([1, row.reduce((most, x) => Math.max(most, Math.abs(x)), 0)], width);
            const index = table.start + at * packed.headWords, from = packed.open(index);
            const unpacked = arena.floats(addresses[at], columns);
            assertSame(unpacked, expected);
            assertSame(packed.numbers.subarray(from, from + columns), expected);
            if (isValue) assertEquals(packed.magnitude(index), expected[width + 1]);
          }
        }
      }
    });
  }
}

function assertSame(actual: Float32Array, expected: Float32Array): void {
  for (let c = 0; c < expected.length; c++) {
    if (!Object.is(actual[c], expected[c])) assertEquals(actual, expected, `column ${c}`);
  }
}
