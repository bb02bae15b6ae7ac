// Rows that hold no mass: emptied, filled again, and emptied by keys whose weights vanish beside others, at
// scores of every size. What a row answers is right as of the call, and its bound holds.

import { DynamicAttention } from "../../mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { assert } from "../../testing/assert.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import { BACKENDS, casesOn } from "../backends_here.ts";
import { Random } from "../../testing/random.ts";

const LONG = Deno.env.get("ATTUNE_LONG") === "1";

/** Scores are such a number times a small one: q and k share it. */
const SIZES = [1e-3, 1, 30, 700, 1e5, 1e9, 1e15, 1e17, 1e18, 1e21, 1e26, 1e30];

interface Held {
  key: number;
  value: number;
}

/** Compares exact and stale answers with the oracle. */
async function check(live: DynamicAttention, query: number, held: ReadonlyMap<number, Held>, what: string) {
  const { output, bounds } = await live.peek();
  const { data } = await live.read();
  const after = await live.peek();
  const keys = [...held.values()];
  const question = {
    query: [[query]],
    key: keys.map(({ key }) => [key]),
    value: keys.map(({ value }) => [value]),
    scale: 1,
    valueDim: 1,
  };
  assertAccurate({ data, shape: [1, 1] }, question, what);
  const truth = referenceAttention(question).output[0][0];
  for (const stale of [{ output, bounds }, after]) {
    const distance = Math.abs(stale.output.data[0] - truth);
    assert(distance <= stale.bounds[0], `${what}: off by ${distance}, the bound is ${stale.bounds[0]}`);
  }
}

for (const backend of BACKENDS) {
  for (const onThreshold of ["auto", "patch"] as const) {
    Deno.test(`vanished mass: rows that empty and fill on ${backend}, "${onThreshold}"`, async () => {
      for (let seed = 1; seed <= casesOn(backend, LONG ? 2500 : 80); seed++) {
        const random = new Random(seed);
        const size = random.pick(SIZES), root = Math.fround(Math.sqrt(size));
        const query = Math.fround(root * random.pick([1, -1]));
        const number = () => Math.fround(root * random.pick([1, 1, 0.5, 2, -1, -2, 0.999, 1e-3]));
        const held = new Map<number, Held>();
        await using live = await DynamicAttention.create({
          query: [[query]],
          key: [[1]],
          value: [[1]],
          scale: 1,
          lazyThreshold: Infinity,
          onThreshold,
          backend,
        });
        held.set(0, { key: 1, value: 1 });
        const history: string[] = [];
        for (let step = 0; step < 14; step++) {
          const slots = [...held.keys()], dice = random.below(4);
          if (dice === 0 || held.size === 0) {
            const row = { key: number(), value: random.below(9) };
            const slot = live.insert([row.key], [row.value]);
            held.set(slot, row);
            history.push(`insert ${row.key} as ${slot}`);
          } else if (dice === 1) {
            const slot = random.pick(slots);
            live.delete(slot);
            held.delete(slot);
            history.push(`delete ${slot}`);
          } else if (dice === 2) {
            const slot = random.pick(slots), key = number();
            live.setKey(slot, [key]);
            held.get(slot)!.key = key;
            history.push(`setKey ${slot} ${key}`);
          }
          if (random.below(3) > 0) {
            await check(
              live,
              query,
              held,
              `seed ${seed}, scores of ${size}, q = ${query}, ${history.join("; ")}`,
            );
          }
        }
      }
    });
  }
}

/** The keys that stay, when a heavy one leaves or has its weight or its value changed to a small one. */
for (const backend of BACKENDS) {
  Deno.test(`vanished mass: what stays is accurate on ${backend} however much has left`, async () => {
    for (let seed = 1; seed <= casesOn(backend, LONG ? 4000 : 100); seed++) {
      const random = new Random(seed), count = random.pick([1, 1, 2, 3, 7, 20, 40]);
      const score = () => Math.fround(random.normal());
      // A weight of e³⁰ leaves less than a rounding of float32 of the others in sums of float64.
      const heavy = Math.fround(30 * random.next()), large = Math.fround(10 ** (8 * random.next()));
      const key = Array.from({ length: count }, () => [score()]);
      const value = Array.from({ length: count }, () => [random.normal(), random.normal()].map(Math.fround));
      await using live = await DynamicAttention.create({
        ...{ backend, scale: 1, query: [[1]], onThreshold: "patch" },
        key: [...key, [heavy]],
        value: [...value, [large, -1]],
      });
      const change = random.below(3), light = score(), small = [score(), score()];
      if (change === 0) live.delete(count);
      else if (change === 1) live.set(count, [light], small);
      else {
        live.setKey(count, [light]);
        await live.read();
        live.setValue(count, small);
      }
      const truth = {
        ...{ query: [[1]], scale: 1, valueDim: 2 },
        key: change === 0 ? key : [...key, [light]],
        value: change === 0 ? value : [...value, small],
      };
      const left = ["deleted", "made light", "made light and small"][change];
      assertAccurate(
        await live.read(),
        truth,
        `${seed}: a key of score ${heavy} beside ${count}, ${left}: it`,
      );
    }
  });
}
