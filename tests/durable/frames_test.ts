// Frames of a record: one that could not be written leaves nothing behind, so the next one is read as it was written.

import type { JsonValue } from "../../src/base/json.ts";
import { type FrameVisitor, FrameWriter, visitFrames } from "../../src/durable/frames.ts";
import { CapacityError } from "../../mod.ts";
import { assertEquals, assertThrows } from "../../testing/assert.ts";

/** What no memory holds: it has a length alone. */
const ENDLESS = { length: 2 ** 50 } as Uint8Array<ArrayBuffer>;

const FAILURES: readonly [name: string, write: (frames: FrameWriter) => void][] = [
  ["something kept", (frames) => frames.kept("name", ENDLESS)],
  ["metadata", (frames) => frames.metadata({ toJSON: fail } as unknown as JsonValue)],
  ["a mask", (frames) => {
    const slots = Uint32Array.of(0);
    const block = {
      get length(): number {
        return fail();
      },
    } as Float32Array;
    frames.mask({ queries: slots, keys: slots, heads: [0], block });
  }],
  ["what was said", (frames) => {
    const pair = [0];
    frames.said({
      queries: pair,
      keys: pair,
      heads: pair,
      bias: { length: 1, slice: fail } as unknown as number[],
    }, 1);
  }],
  ["edits", (frames) => {
    frames.beginEdits({ client: { toString: fail } as unknown as string, number: 1 });
  }],
];

function fail(): never {
  throw new CapacityError("test", "a test", 1, null);
}

/** What frames say, in words. */
function toldBy(frames: FrameWriter): string[] {
  const told: string[] = [];
  const visitor = new Proxy({}, {
    get: (_, name) => (...args: unknown[]) => void told.push(`${String(name)} ${args}`),
  }) as FrameVisitor;
  let first = 1;
  for (const { frames: bytes, count } of frames.parts(1)) {
    assertEquals(visitFrames(bytes.slice(), first, visitor), count);
    first += count;
  }
  return told;
}

for (const [name, write] of FAILURES) {
  Deno.test(`a frame of ${name} that could not be written leaves nothing behind`, () => {
    const frames = new FrameWriter();
    frames.metadata(1);
    assertThrows(() => write(frames), CapacityError);
    assertEquals(toldBy(frames), ["setMetadata 1"]);
    frames.kept("behind", Uint8Array.of(7));
    assertEquals(toldBy(frames), ["setMetadata 1", "kept behind,7"]);
    assertEquals(frames.frames, 2);
  });
}

Deno.test("a frame that is larger than a row of the database can be is refused", () => {
  const frames = new FrameWriter(100);
  frames.kept("small", new Uint8Array(40));
  assertThrows(() => frames.kept("large", new Uint8Array(80)), CapacityError, "a record would take");
  assertThrows(() => frames.metadata("x".repeat(100)), CapacityError, "a record would take");
  frames.metadata(3);
  assertEquals(toldBy(frames).length, 2);
});
