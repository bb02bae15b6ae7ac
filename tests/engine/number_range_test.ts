// Softcaps, scales and values at and beyond the ends of float32's range mean on every backend what the
// formula says in float64: c·tanh(s/c) of nearly nothing for a tiny c, s for a huge one.

import { DynamicAttention } from "../../mod.ts";
import { referenceAttention, type ReferenceCase } from "../../src/numerics/reference.ts";
import { assert } from "../../testing/assert.ts";
import { rowsOf } from "../../testing/accuracy.ts";
import { BACKENDS } from "../backends_here.ts";
import { Random } from "../../testing/random.ts";

const SOFTCAPS = [
  5e-324,
  1e-300,
  1e-46,
  1e-45,
  1e-40,
  2 ** -126,
  1e-30,
  1e-18,
  2 ** -60,
  1e-9,
  0.01,
  1,
  1e6,
  1e15,
  2 ** 60,
  1e30,
  3.4e38,
];
/** Scales, and how large keys have to be for scores of about 1. */
const SCALES = [1e-300, 1e-45, 1e-39, 2 ** -126, 1e-30, 1e-5, 0.3, 1e5, 1e17, 1e20, 1e30, 3.4e38];
const VALUES = [1e-45, 3e-42, 1e-38, 1e-33, 1e-30, 1e-28, 1e-20, 1, 1e20, 1e30, 1e37];

/** Within a few roundings of the largest output, which may be a subnormal float32. */
function assertNear(actual: readonly Float32Array[], truth: ReferenceCase, what: string): void {
  const { output } = referenceAttention(truth);
  output.forEach((row, i) => {
    const largest = row.reduce((most, o) => Math.max(most, Math.abs(o)), 0);
    const largestValue = truth.value.reduce((most, v) => Math.max(most, ...Array.from(v, Math.abs)), 0);
    row.forEach((o, c) => {
      const within = 2e-6 * Math.max(largest, largestValue / 8) + 2 ** -149;
      assert(Math.abs(actual[i][c] - o) <= within, `${what}: ${actual[i][c]}, expected ${o}`);
    });
  });
}

async function check(truth: ReferenceCase, backend: typeof BACKENDS[number], what: string): Promise<void> {
  const { query, key, value, scale, softcap = 0 } = truth;
  const random = new Random(5);
  await using live = await DynamicAttention.create({
    ...{ query, value, scale, softcap, backend },
    key: key.map((row) => Float32Array.from(row, (k) => k / 2)),
    onThreshold: "patch",
    lazyThreshold: Infinity,
  });
  await live.read();
  key.forEach((row, slot) => live.setKey(slot, row));
  assertNear(rowsOf(await live.read()), truth, `${what}, patched`);
  const { output, bounds } = await live.peek();
  referenceAttention(truth).output.forEach((row, i) => {
    const distance = Math.hypot(...row.map((o, c) => o - rowsOf(output)[i][c]));
    assert(distance <= bounds[i], `${what}: ${distance} off, bound ${bounds[i]}`);
  });
  const slot = random.below(key.length), expected = referenceAttention(truth).weights[1][0];
  const weights = await live.weights(1);
  assert(Math.abs(weights[slot] - expected[slot]) < 1e-5, `${what}: weight ${weights[slot]}`);
  await live.rebuild();
  assertNear(rowsOf(await live.read()), truth, `${what}, built`);
}

for (const backend of BACKENDS) {
  Deno.test(`number range on ${backend}: softcaps`, async () => {
    const random = new Random(1);
    const query = random.rows(3, 4), key = random.rows(9, 4, 2), value = random.rows(9, 2);
    for (const softcap of SOFTCAPS) {
      await check({ query, key, value, scale: 1, valueDim: 2, softcap }, backend, `softcap ${softcap}`);
    }
  });

  Deno.test(`number range on ${backend}: scales`, async () => {
    for (const scale of SCALES) {
      const random = new Random(2);
      // Rows of a size that makes scores of about 1, as far as float32 reaches; else scores are 0, or huge.
      const size = Math.min(1e19, Math.max(1e-22, 1 / Math.sqrt(scale)));
      const query = random.rows(3, 4, size), key = random.rows(9, 4, size), value = random.rows(9, 2);
      await check({ query, key, value, scale, valueDim: 2 }, backend, `scale ${scale}`);
    }
  });

  Deno.test(`number range on ${backend}: values`, async () => {
    for (const size of VALUES) {
      const random = new Random(3);
      const query = random.rows(3, 4), key = random.rows(9, 4), value = random.rows(9, 2, size);
      await check({ query, key, value, scale: 1, valueDim: 2 }, backend, `values of ${size}`);
    }
  });
}

for (const backend of BACKENDS) {
  Deno.test(`number range on ${backend}: a mean of values is a float32, also where rounding is allowed much`, async () => {
    const largest = 2 ** 128 - 2 ** 104, random = new Random(7);
    for (let seed = 0; seed < (backend === "webgpu" ? 3 : 30); seed++) {
      await using live = await DynamicAttention.create({
        ...{ query: [[6], [1], [3]], scale: 0.3, backend, tolerance: [0.001, 0.01, 0.5][seed % 3] },
        key: Array.from({ length: 6 }, () => random.row(1, 10)),
        value: Array.from({ length: 6 }, () => [largest, -largest]),
        lazyThreshold: Infinity,
      });
      for (let edit = 0; edit < 12; edit++) {
        const slots = live.keySlots(), slot = slots[random.below(slots.length)];
        if (edit % 3 === 0) live.insert(random.row(1, 10), [largest, -largest]);
        else if (edit % 3 === 1 && slots.length > 2) live.delete(slot);
        else live.setKey(slot, random.row(1, 10));
        const { output: { data }, bounds } = await live.peek();
        data.forEach((o, at) => {
          const off = Math.abs(o - (at % 2 === 0 ? largest : -largest));
          assert(
            off <= bounds[at >> 1],
            `seed ${seed}, edit ${edit}: ${o} is off by ${off}, bound ${bounds[at >> 1]}`,
          );
        });
        for (const o of (await live.read()).data) {
          assert(Math.abs(o) <= largest, `seed ${seed}, edit ${edit}: ${o}`);
        }
      }
    }
  });
}
