// Bytes in pieces of any size come out as they went in, also where more is asked for than there is room at first.

import { ByteReader, type ByteSource, EndOfStream } from "../../src/kernel/zmtp/byte_reader.ts";
import { assert, assertEquals, assertRejects } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

/** Gives bytes in pieces of random sizes. */
function sourceOf(bytes: Uint8Array, random: Random): ByteSource {
  let at = 0;
  return {
    read: (into) => {
      if (at === bytes.length) return Promise.resolve(null);
      const most = Math.min(into.length, bytes.length - at);
      const count = Math.max(1, Math.min(most, random.below(100_000)));
      into.set(bytes.subarray(at, at + count));
      at += count;
      return Promise.resolve(count);
    },
  };
}

Deno.test("byte reader: any row of sizes gives the bytes in order, each once", async () => {
  const random = new Random(7);
  for (
    const sizes of [[1, 70_000, 3, 3_000_000, 5, 65_536, 1], [2 ** 20, 2 ** 20 + 1, 2 ** 21 - 1, 9], [
      0,
      4_500_001,
      0,
      2,
    ]]
  ) {
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const bytes = Uint8Array.from({ length: total }, (_, at) => (at * 2654435761) >>> 24);
    const reader = new ByteReader(sourceOf(bytes, random));
    let at = 0;
    for (const size of sizes) {
      const taken = await reader.take(size);
      assertEquals(taken.length, size);
      assert(taken.every((byte, index) => byte === bytes[at + index]), `of ${size} at ${at}`);
      at += size;
    }
    await assertRejects(() => reader.take(1), EndOfStream);
  }
});

Deno.test("byte reader: what is only announced takes no room", async () => {
  const reader = new ByteReader(sourceOf(new Uint8Array(10), new Random(1)));
  // More than a buffer may have: it would throw before anything is read.
  await assertRejects(() => reader.take(2 ** 52), EndOfStream);
});
