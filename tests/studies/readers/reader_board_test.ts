// The board of readers is right after any clicks, and tells which readers they have moved.

import { assert, assertEquals, assertGreater, assertLess } from "../../../testing/assert.ts";
import { referenceAttention } from "../../../src/numerics/reference.ts";
import { ReaderBoard } from "../../../studies/readers/reader_board.ts";
import { drawBoard, verdict } from "../../../studies/readers.ts";

const WORLD = { readers: 30, items: 400, tastes: 6, topics: 4, step: 0.2, seed: 3 };

function rowsOf(count: number, rowOf: (slot: number) => Float32Array): Float32Array[] {
  return Array.from({ length: count }, (_, slot) => rowOf(slot));
}

Deno.test("readers' shares are those of the oracle after every frame of clicks", async () => {
  await using board = await ReaderBoard.create(WORLD);
  for (let frame = 0; frame < 40; frame++) {
    for (let click = 0; click < frame % 7; click++) board.click();
    const before = board.shares.slice();
    const changed = new Set(await board.refresh());
    const expected = oracleOf(board);
    for (let at = 0; at < expected.length; at++) {
      const off = Math.abs(board.shares[at] - expected[at]);
      assert(off < 1e-6, `frame ${frame}, number ${at} is off by ${off}`);
      const reader = Math.floor(at / WORLD.topics);
      if (!changed.has(reader)) assertEquals(board.shares[at], before[at]);
    }
    if (frame % 7 === 0) assertEquals(changed.size, 0);
  }
  const again = await board.again();
  again.forEach((share, at) => assert(Math.abs(share - board.shares[at]) < 1e-6));
});

Deno.test("a board with an error keeps it, and rewrites fewer readers", async () => {
  const ERROR = 0.05;
  await using board = await ReaderBoard.create({ ...WORLD, step: 0.02 }, ERROR);
  let rewritten = 0;
  for (let frame = 0; frame < 40; frame++) {
    for (let click = 0; click < 4; click++) board.click();
    const before = board.shares.slice(), changed = new Set(await board.refresh()), expected = oracleOf(board);
    rewritten += changed.size;
    for (let reader = 0; reader < WORLD.readers; reader++) {
      const from = reader * WORLD.topics, end = from + WORLD.topics;
      const shares = board.shares.slice(from, end);
      if (!changed.has(reader)) assertEquals(shares, before.slice(from, end));
      const off = Math.hypot(...shares.map((share, topic) => share - expected[from + topic]));
      assert(off < ERROR, `frame ${frame}, reader ${reader} is off by ${off}`);
    }
  }
  assertGreater(rewritten, 0);
  assertLess(rewritten, 40 * WORLD.readers / 2);
});

function oracleOf({ live }: ReaderBoard): number[] {
  const { output } = referenceAttention({
    query: rowsOf(WORLD.readers, (slot) => live.getQuery(slot)),
    key: rowsOf(WORLD.items, (slot) => live.getKey(slot)),
    value: rowsOf(WORLD.items, (slot) => live.getValue(slot)),
    scale: 0.5,
    valueDim: WORLD.topics,
  });
  return output.flat();
}

Deno.test("the board is drawn with two readers in a character, and an odd line at its end", () => {
  const lines = drawBoard(Uint8Array.of(0, 1, 2, 3, 4, 5), 2).split("\n");
  assertEquals(lines.length, 2);
  assertEquals(lines.map((line) => line.split("▀").length - 1), [2, 2]);
  assert(lines[0].startsWith("\x1b[38;5;33m\x1b[48;5;36m▀"));
});

Deno.test("the verdict tells medians, and how many frames a second they allow", () => {
  assertEquals(
    verdict([1, 2, 900], [3999.6], 16),
    "kept current, 16 clicks a frame      2.00 ms a frame: 30 frames a second\n" +
      "computed again by this engine       4,000 ms a frame: 0.25 frames a second",
  );
});
