// The blocks that were asked for, and no others.

import { AskedBlocks } from "../../src/schedule/asked_blocks.ts";
import { assertEquals } from "../../testing/assert.ts";

Deno.test("asked blocks are whole blocks of what was asked for, however many query slots lie beyond them", () => {
  const all = Uint32Array.from({ length: 400 }, (_, slot) => slot);
  const asked = new AskedBlocks(() => all);
  asked.note(Uint32Array.of(3, 9));
  assertEquals([asked.count, asked.all()], [2, all.subarray(0, 16)]);
  asked.note(Uint32Array.of(200));
  assertEquals([asked.count, asked.all()], [
    3,
    Uint32Array.from([...all.subarray(0, 16), ...all.subarray(200, 208)]),
  ]);
  asked.reset();
  assertEquals([asked.count, asked.all().length], [0, 0]);
});
