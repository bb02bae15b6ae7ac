// Answers within an error keep it in every phase of a trial, while edits change their nature: small steps of a few keys,
// then whole keys that come, go and move.

import { DynamicAttention } from "../../mod.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { assertEquals, assertLessOrEqual } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

const QUERIES = 640, KEYS = 60, DIM = 16, ERROR = 0.05, LOOKS = 120;

for (const backend of ["array", "wasm"] as const) {
  Deno.test(`answers within an error on ${backend}: bounds hold in each phase of a trial`, async () => {
    const random = new Random(3);
    const options = {
      query: random.rows(QUERIES, DIM),
      key: random.rows(KEYS, DIM),
      value: random.rows(KEYS, DIM),
      threads: 1,
    };
    let inner!: Backend;
    await using live = await createEngine({ ...options, backend, lazyThreshold: { error: ERROR } }, {
      wrap: (made) => inner = made,
    });
    await using exact = await DynamicAttention.create({
      ...options,
      backend: "array",
      lazyThreshold: Infinity,
    });
    const phases = new Set<string>();
    for (let look = 0; look < LOOKS; look++) {
      const isRough = look % 80 >= 60;
      for (let edit = 0; edit < 12; edit++) {
        const slot = isRough ? random.below(KEYS) : edit, step = isRough ? 1 : 1e-5;
        const key = exact.getKey(slot).map((number) => number + step * random.normal());
        const value = exact.getValue(slot).map((number) => number + step * random.normal());
        const query = random.row(DIM), row = random.below(QUERIES);
        for (const engine of [live, exact]) {
          if (isRough && edit === 0) engine.delete(slot);
          if (isRough && edit === 0) assertEquals(engine.insert(key, value), slot);
          else engine.set(slot, key, value);
          if (isRough && edit === 1) engine.setQuery(row, query);
        }
      }
      const rows = look % 5 === 4 ? exact.querySlots().filter((slot) => slot % 3 !== look % 3) : undefined;
      const { output, bounds } = await live.peek(rows), { data } = await exact.read(rows);
      for (let row = 0; row < bounds.length; row++) {
        let squared = 0;
        for (let at = row * DIM; at < (row + 1) * DIM; at++) squared += (output.data[at] - data[at]) ** 2;
        assertLessOrEqual(Math.sqrt(squared), bounds[row] + 1e-6);
        assertLessOrEqual(bounds[row], ERROR);
      }
      phases.add(inner.watched === null ? "off" : "followed");
    }
    assertEquals([...phases].sort(), ["followed", "off"]);
  });
}
