// Scores so large that float64 does not have the digits which decide the weights, as where a mask of −3·10³⁸ forbids all
// keys of a row: bounds hold against exact arithmetic, and say no more than the values that may have weight.

import { DynamicAttention } from "../../mod.ts";
import { assert } from "../../testing/assert.ts";
import { carefulAttention, judge } from "../../testing/careful_attention.ts";
import { Random } from "../../testing/random.ts";
import { BACKENDS } from "../backends_here.ts";

for (const backend of BACKENDS) {
  Deno.test(`bounds on ${backend}: scores whose digits float64 does not have`, async () => {
    const value = [[0, 1], [1, 0], [5, -2]], random = new Random(4);
    const masks: readonly (readonly number[])[] = [
      [-3e38, -3e38, -3e38],
      [-1e9, -1e9, -1e9],
      [-1e15, -1e15, -Infinity],
      [3e38, -3e38, 3e38],
      [0, -3e38, 0],
    ];
    for (const mask of masks) {
      for (const size of [1, 1e9, 1e18]) {
        const key = Array.from({ length: 3 }, () => [size * random.normal()]);
        const question = {
          query: [[1.5]],
          key,
          value,
          scale: 1,
          valueDim: 2,
          bias: (_: number, j: number) => mask[j],
        };
        await using live = await DynamicAttention.create({
          ...{ query: question.query, key, value, scale: 1, backend, lazyThreshold: Infinity },
          mask: [mask],
        });
        const check = async (what: string) => {
          const { output, bounds } = await live.peek();
          const rounded = { ...question, key: key.map((row) => Float32Array.from(row)) };
          const judged = judge(rounded, carefulAttention(rounded), 0, output.data, bounds[0]);
          const where = `${what}, mask ${mask}, keys of about ${size}`;
          assert(judged.isWithin, `${where}: off by ${judged.distance}, bound ${bounds[0]}`);
          assert(bounds[0] < 10, `${where}: bound ${bounds[0]}`);
        };
        await check("created");
        key[1] = [size * random.normal()];
        live.setKey(1, key[1]);
        await check("with an edit pending");
        await live.read();
        await check("read");
      }
    }
  });
}
