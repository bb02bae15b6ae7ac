// Masks that do not cover what comes, answer nothing, or throw: each is named, and no edit is lost.

import { attention, DynamicAttention, InputError, type Matrix } from "../../mod.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "../../testing/assert.ts";
import {
  as,
  type Case,
  checkRefused,
  HEADS_KEY,
  HEADS_OPTIONS,
  HEADS_QUERY,
  HEADS_VALUE,
  makeEngineOfHeads,
  makeMaskedEngine,
  outcomeOf,
} from "../../testing/bad_calls.ts";
import { BACKENDS } from "../backends_here.ts";

const MASKED_CASES: readonly Case[] = [
  [
    "attend",
    (live) => live.attend([HEADS_QUERY]),
    InputError,
    "DynamicAttention.attend: the engine has a mask, expected none",
  ],
  [
    "a second key beyond the mask",
    (live) =>
      live.edit([
        { kind: "insert", key: HEADS_KEY, value: HEADS_VALUE },
        { kind: "insert", key: HEADS_KEY, value: HEADS_VALUE },
      ]),
    InputError,
    "edit[1].insert: the mask has 5 columns and the key would take slot 5",
  ],
  [
    "a second query beyond the mask",
    (live) =>
      live.edit([
        { kind: "insertQuery", query: HEADS_QUERY },
        { kind: "setKey", slot: 0, key: HEADS_KEY },
        { kind: "insertQuery", query: HEADS_QUERY },
      ]),
    InputError,
    "edit[2].insertQuery: the mask has 3 rows and the query would take slot 3",
  ],
];

Deno.test("an engine with a matrix for a mask refuses what the mask does not cover, without a trace", async (t) => {
  for (const [name, call, type, message] of MASKED_CASES) {
    await t.step(name, () => checkRefused(call, type, message, makeMaskedEngine));
  }
  await t.step("a key beyond the mask", async () => {
    const make = async () => {
      const live = await makeMaskedEngine();
      live.insert(HEADS_KEY, HEADS_VALUE);
      return live;
    };
    await checkRefused(
      (live) => live.insert(HEADS_KEY, HEADS_VALUE),
      InputError,
      "DynamicAttention.insert: the mask has 5 columns and the key would take slot 5",
      make,
    );
  });
  await t.step("a query beyond the mask", async () => {
    const make = async () => {
      const live = await makeMaskedEngine();
      live.insertQuery(HEADS_QUERY);
      return live;
    };
    await checkRefused(
      (live) => live.insertQuery(HEADS_QUERY),
      InputError,
      "DynamicAttention.insertQuery: the mask has 3 rows and the query would take slot 3",
      make,
    );
  });
});

/** Calls that ask the mask about the key and the query that were inserted last. */
const ASKING: Readonly<Record<string, (live: DynamicAttention) => Promise<unknown>>> = {
  read: (live) => live.read(),
  "read of one row": (live) => live.read([0]),
  "read of the new row": (live) => live.read([2]),
  readEntry: (live) => live.readEntry(0, 0),
  "peek at the new row": (live) => live.peek([2]),
  weights: (live) => live.weights(0),
  logSumExp: (live) => live.logSumExp(),
  topKeys: (live) => live.topKeys(0, 3),
  flush: (live) => live.flush(),
  rebuild: (live) => live.rebuild(),
};

/** The answer after the failures of flushes that were not awaited have rejected earlier answers. */
async function readAtLast(live: DynamicAttention): Promise<Matrix> {
  for (let attempt = 0; attempt < 2; attempt++) await outcomeOf(() => live.read());
  return await live.read();
}

for (const [what, answer] of [["NaN", NaN], ["undefined", undefined], ["Infinity", Infinity]] as const) {
  for (const lazyThreshold of [1, Infinity]) {
    const title = `a mask that answers ${what} is named, and no edit is lost, threshold ${lazyThreshold}`;
    Deno.test(title, async (t) => {
      for (const [name, call] of Object.entries(ASKING)) {
        await t.step(name, async () => {
          const good = (i: number, j: number, head: number) => (i + j + head) % 3;
          let isBad = false;
          const mask = (i: number, j: number, head: number) =>
            isBad && (j >= 5 || i >= 2) ? as<number>(answer) : good(i, j, head);
          await using live = await makeEngineOfHeads({ mask, lazyThreshold });
          await using twin = await makeEngineOfHeads({ mask: good, lazyThreshold });
          await live.flush();
          isBad = true;
          for (const engine of [live, twin]) {
            engine.setValue(1, [9, 8]);
            engine.insert(HEADS_KEY, HEADS_VALUE);
            engine.insert(HEADS_VALUE.concat(HEADS_VALUE), HEADS_VALUE);
            engine.insertQuery(HEADS_QUERY);
          }
          for (let attempt = 0; attempt < 3; attempt++) {
            const error = await assertRejects(() => call(live), InputError);
            const [, operation] = /^mask\((\d, \d, \d)\): answer is /.exec(error.message) ?? [];
            assert(operation, error.message);
            assertStringIncludes(error.message, `answer is ${what}, expected a boolean, a finite number`);
            live.setKey(2, [attempt, 1, 1, 1]);
            twin.setKey(2, [attempt, 1, 1, 1]);
          }
          isBad = false;
          assertEquals(await readAtLast(live), await twin.read());
          assertEquals(await live.weights(2, { head: 3 }), await twin.weights(2, { head: 3 }));
          assertEquals(live.stats().edits, twin.stats().edits);
        });
      }
    });
  }
}

Deno.test("a mask that answers nothing makes no engine and no answer", async () => {
  const options = { ...HEADS_OPTIONS, mask: as<() => number>(() => undefined) };
  const created = await assertRejects(() => DynamicAttention.create(options), InputError);
  assertEquals(created.message.startsWith("mask(0, 0, 0): answer is undefined"), true);
  const { lazyThreshold: _, ...once } = options;
  await assertRejects(() => attention(once), InputError, "mask(0, 0, 0): answer is undefined");
});

Deno.test("a mask that throws loses no edit", async () => {
  let isBad = false;
  const good = (i: number, j: number, head: number) => (i + j + head) % 3;
  const mask = (i: number, j: number, head: number) => {
    if (isBad) throw new RangeError("no such row");
    return good(i, j, head);
  };
  for (const lazyThreshold of [1, Infinity]) {
    isBad = false;
    await using live = await makeEngineOfHeads({ mask, lazyThreshold });
    await using twin = await makeEngineOfHeads({ mask: good, lazyThreshold });
    await live.flush();
    isBad = true;
    for (const engine of [live, twin]) {
      engine.insert(HEADS_KEY, HEADS_VALUE);
      engine.insertQuery(HEADS_QUERY);
    }
    for (const call of Object.values(ASKING)) {
      const error = await assertRejects(() => call(live), Error);
      assertStringIncludes(error.message, "no such row");
    }
    isBad = false;
    assertEquals(await readAtLast(live), await twin.read());
  }
});

for (const backend of BACKENDS) {
  Deno.test(`a mask of bytes answers as one of booleans on ${backend}, not as one that is added`, async () => {
    const options = {
      query: [[1, 0], [0, 1]],
      key: [[1, 0], [0, 1], [2, 2]],
      value: [[1], [2], [4]],
      backend,
    };
    const bytes = [Uint8Array.of(1, 0, 1), Uint8Array.of(0, 0, 0)];
    const truth = bytes.map((row) => Array.from(row, (byte) => byte === 1));
    const expected = await attention({ ...options, mask: truth });
    for (const mask of [bytes, { data: Uint8Array.of(1, 0, 1, 0, 0, 0), shape: [2, 3] as const }]) {
      assertEquals(await attention({ ...options, mask }), expected);
      await using live = await DynamicAttention.create({ ...options, mask });
      live.setValue(1, [100]);
      assertEquals(await live.read(), expected);
      assertEquals((await live.logSumExp()).data[1], -Infinity);
    }
  });
}
