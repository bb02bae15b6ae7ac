// A table of numbers whose largest is known: any writes, growth and copies against a plain array; how many nodes a
// write visits does not grow with the table.

import { MaximumTable } from "../../src/write/maximum_table.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

Deno.test("maxima are those of all numbers, after any writes", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed), heads = random.pick([1, 2, 3]);
    let table = new MaximumTable(heads), size = 0;
    const numbers: number[] = [];
    for (let step = 0; step < 200; step++) {
      if (random.below(8) === 0 || size === 0) {
        size = Math.max(size, random.below(random.pick([2, 20, 300, 5000])) + 1);
        table.reserve(size);
      }
      const slot = random.below(size), head = random.below(heads), number = random.below(5) / 4;
      table.put(table.placeOf(slot, head), number);
      numbers[slot * heads + head] = number;
      assertEquals(table.at(slot, head), number);
      if (step % 50 === 49) {
        const saved = table.save(size);
        table = new MaximumTable(heads);
        table.fill(saved);
      }
      const expected = Array.from({ length: heads }, (_, head) => {
        return numbers.reduce((most, number, at) => at % heads === head ? Math.max(most, number) : most, 0);
      });
      assertEquals([...table.largest()], expected, `seed ${seed}, step ${step}`);
    }
  }
});

Deno.test("a table that has no room for a slot has 0 there, and a write beyond it does nothing", () => {
  const table = new MaximumTable(2);
  assertEquals([...table.largest()], [0, 0]);
  table.put(table.placeOf(5, 1), 3);
  assertEquals([table.at(5, 1), ...table.largest()], [0, 0, 0]);
  table.reserve(6);
  table.put(table.placeOf(5, 1), 3);
  assertEquals([...table.save(6)].lastIndexOf(3), 11);
  assert(table.bytes >= 4 * 12 && table.bytes <= 4 * 12 * 1.5);
});
