// The journal of changed key slots against a list of all changes.

import { KeyJournal } from "../../../src/backends/host/key_journal.ts";
import { assertEquals } from "../../../testing/assert.ts";
import { Random } from "../../../testing/random.ts";

Deno.test("key journal: slots since a moment are different ones, those that changed last first", () => {
  const random = new Random(2), journal = new KeyJournal(), changes: number[] = [];
  for (let batch = 0; batch < 200; batch++) {
    const slots = Array.from({ length: 1 + random.below(6) }, () => random.below(batch < 100 ? 12 : 150));
    journal.reserve(slots.length);
    journal.note(Uint32Array.from(slots));
    changes.push(...slots);
    assertEquals(journal.now, changes.length);
    for (let question = 0; question < 6; question++) {
      const moment = random.below(changes.length + 1);
      const expected = [...new Set(changes.slice(moment).reverse())];
      assertEquals(Array.from(journal.since(moment) ?? []), expected, `since ${moment} of ${changes.length}`);
    }
  }
});

Deno.test("key journal: what is too long ago is not known any more", () => {
  const journal = new KeyJournal(), some = Uint32Array.from({ length: 100 }, (_, at) => at);
  for (let batch = 0; batch < 164; batch++) {
    journal.reserve(100);
    journal.note(some);
  }
  assertEquals(journal.now, 16_400);
  assertEquals(journal.since(0), null);
  assertEquals(journal.since(journal.now)?.length, 0);
  journal.reserve(1);
  journal.note(Uint32Array.of(7));
  assertEquals(Array.from(journal.since(journal.now - 1) ?? []), [7]);
});
