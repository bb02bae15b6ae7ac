// Copies of answers whose making fails on the way: what is answered afterwards holds its bound all the same.

import { BackendError } from "../../mod.ts";
import type { Cohort, Copies } from "../../src/backends/backend.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import { assertLessOrEqual, assertRejects } from "../../testing/assert.ts";
import { Wrapped } from "../../testing/fake_backends.ts";

/** Fails after it has noted copies. */
class Refusing extends Wrapped {
  refuses = false;

  override async copied(cohort: Cohort, copies: Copies, limit: number): Promise<void> {
    await super.copied(cohort, copies, limit);
    if (this.refuses) throw new RangeError("refused");
  }
}

for (const backend of ["array", "wasm"] as const) {
  Deno.test(`refused copies, ${backend}: an old copy is not taken for the one that failed`, async () => {
    let refusing!: Refusing;
    // Both keys weigh the same: an answer is the mean of the values.
    const options = { query: [[0]], key: [[1], [1]], value: [[0], [0]], backend };
    await using live = await createEngine({ ...options, lazyThreshold: { error: 0.5 } }, {
      wrap: (inner) => refusing = new Refusing(inner),
    });
    using followed = live.follow(undefined, { error: 0.5 });
    await followed.refresh();
    live.setValue(0, [20]);
    refusing.refuses = true;
    await assertRejects(() => followed.refresh(), BackendError);
    refusing.refuses = false;
    for (const exact of [10, 15]) {
      await followed.refresh();
      assertLessOrEqual(Math.abs(followed.data[0] - exact), followed.bounds[0]);
      live.setValue(1, [10]);
    }
  });
}
