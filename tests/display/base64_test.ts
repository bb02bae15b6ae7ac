import { assertEquals } from "../../testing/assert.ts";
import { toBase64 } from "../../src/display/base64.ts";
import { Random } from "../../testing/random.ts";

Deno.test("bytes of every length and more than one piece read as base64", () => {
  const random = new Random(64);
  for (const length of [0, 1, 2, 3, 4, 5, 4095, 4096, 4097, 8192, 100_001]) {
    const bytes = Uint8Array.from({ length }, () => random.below(256));
    assertEquals(toBase64(bytes), bytes.toBase64(), `${length} bytes`);
  }
});
