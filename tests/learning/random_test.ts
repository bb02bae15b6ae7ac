// The seeded generator: its sequence never changes, its samples are samples, and nothing is drawn by a
// refused call.

import { InputError } from "../../mod.ts";
import { SeededRandom } from "../../src/learning/mod.ts";
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "../../testing/assert.ts";

Deno.test("the sequence of a seed is what it was, and its state is the seed of what follows", () => {
  const random = new SeededRandom(7);
  assertEquals([random.next(), random.next()].map((x) => x * 2 ** 32), [3838393609, 4210744933]);
  const copy = new SeededRandom(random.state);
  assertEquals(copy.normalRow(5, 2), random.normalRow(5, 2));
});

Deno.test("numbers are uniform and normal", () => {
  const random = new SeededRandom(1), counts = new Array(8).fill(0);
  let sum = 0, squares = 0;
  for (let at = 0; at < 20_000; at++) {
    counts[random.below(8)]++;
    const x = random.normal();
    sum += x;
    squares += x * x;
  }
  for (const count of counts) assert(Math.abs(count - 2500) < 250, `${counts}`);
  assertAlmostEquals(sum / 20_000, 0, 0.03);
  assertAlmostEquals(squares / 20_000, 1, 0.04);
});

Deno.test("samples are different items, none excepted, each as often as another", () => {
  for (const [size, count] of [[30, 3], [6, 3], [4, 9]]) {
    const random = new SeededRandom(3), items = Array.from({ length: size }, (_, at) => 10 + at);
    const drawn = new Map<number, number>();
    for (let turn = 0; turn < 3000; turn++) {
      const sample = random.sample(items, count, [10, 11]);
      assertEquals(sample.length, Math.min(count, size - 2));
      assertEquals(new Set(sample).size, sample.length);
      for (const item of sample) drawn.set(item, (drawn.get(item) ?? 0) + 1);
    }
    assertEquals(drawn.size, size - 2);
    const expected = 3000 * Math.min(count, size - 2) / (size - 2);
    for (const times of drawn.values()) assert(Math.abs(times - expected) < 0.25 * expected, `${[...drawn]}`);
  }
});

Deno.test("items that are alike count once, and end no call late or never", () => {
  const random = new SeededRandom(5);
  assertEquals(random.sample(new Array(1000).fill(4), 3), [4]);
  assertEquals(random.sample([1, 1, 1, 1, 1, 1, 1, 1, 2], 2).sort(), [1, 2]);
  assertEquals(random.sample(new Array(1000).fill(4), 3, [4]), []);
  assertEquals(random.sample([1, 1, 2], 3).sort(), [1, 2]);
  assertEquals(random.sample([], 2), []);
  assertEquals(random.sample(Uint32Array.of(9, 8), 0), []);
});

Deno.test("bad calls draw nothing", () => {
  const random = new SeededRandom(9), { state } = random;
  const refused: [() => unknown, string][] = [
    [() => random.below(0), "SeededRandom.below: end is 0"],
    [() => random.below(2 ** 32 + 1), "end is 4294967297"],
    [() => random.normalRow(-1, 1), "SeededRandom.normalRow: length is -1"],
    [() => random.normalRow(2.5, 1), "length is 2.5"],
    [() => random.normalRow(2, NaN), "SeededRandom.normalRow: size is NaN"],
    [() => random.normalRow(2, 1e38), "size is 1e+38, expected a number up to 4e+37"],
    [() => random.normalRow(2, "1" as never), 'size is "1"'],
    [() => random.sample(undefined as never, 1), "SeededRandom.sample: items is undefined"],
    [() => random.sample([1], -1), "SeededRandom.sample: count is -1"],
    [() => random.sample([1], 1, 5 as never), "SeededRandom.sample: except is 5"],
    [() => new SeededRandom(2 ** 32), "SeededRandom: seed is 4294967296"],
    [() => new SeededRandom("1" as never), 'seed is "1"'],
  ];
  for (const [call, message] of refused) assertThrows(call, InputError, message);
  assertEquals(random.state, state);
  assert(random.normalRow(2000, 4e37).every(Number.isFinite));
});
