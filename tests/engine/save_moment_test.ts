// A save is of one moment: rows are copied in parts, between which the loop turns, and what is edited meanwhile is not in it. Two
// engines live the same life; one of them waits for its save, the other one goes on while it is written, and both saves have the
// same bytes.

import {
  type BackendName,
  CapacityError,
  DynamicAttention,
  type DynamicAttentionOptions,
  InputError,
  type RowId,
} from "../../mod.ts";
import { nextTurn } from "../../src/base/turns.ts";
import { openDurable } from "../../src/durable/mod.ts";
import { createEngine } from "../../src/engine/create_engine.ts";
import type { EditJournal } from "../../src/write/edit_journal.ts";
import { assert, assertEquals, assertGreater, assertThrows } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { BACKENDS, casesOn } from "../backends_here.ts";

type Engine = DynamicAttention<RowId, RowId>;
type Step = (live: Engine) => unknown;

const D = 8, HEADS = 2, ROWS = 40, COLUMNS = 4096;

/** Runs with a clock that jumps, so that the loop turns after each part, however fast the machine is. */
async function withTurns<T>(run: () => Promise<T>): Promise<T> {
  const { now } = performance;
  let jumps = 0;
  performance.now = () => now.call(performance) + 10 * ++jumps;
  try {
    return await run();
  } finally {
    performance.now = now;
  }
}

/** A step that any engine with the same rows can make. */
function stepOf(random: Random, keys: RowId[], queries: RowId[], hasMask: boolean, hasIds: boolean): Step {
  const row = random.row(D * HEADS), value = random.row(D * HEADS), fresh = `new ${random.next()}`;
  const drop = (names: RowId[]) => names.splice(random.below(names.length), 1)[0];
  const key = random.pick(keys), query = random.pick(queries), column = random.below(D);
  switch (random.below(hasMask ? 12 : 11)) {
    case 0:
      return (live) => live.setKey(key, row);
    case 1:
      return (live) => live.setValue(key, value);
    case 2:
      return (live) => live.addToKey(key, column, 0.25);
    case 3: {
      if (keys.length < 100) return (live) => live.set(key, row, value);
      const gone = drop(keys);
      return (live) => live.delete(gone);
    }
    case 4:
      // Freed slots are taken again, by rows that the save does not have.
      keys.push(hasIds ? fresh : keys.length);
      return (live) => live.insert(row, value, hasIds ? { id: fresh } : {});
    case 5:
      return (live) => live.setQuery(query, row);
    case 6: {
      if (queries.length < 3) return (live) => live.setQuery(query, row);
      const gone = drop(queries);
      return (live) => live.deleteQuery(gone);
    }
    case 7:
      return (live) => live.setPosition(key, column);
    case 8:
      return (live) => live.setQueryPosition(query, 5000 + column);
    case 9:
      // Most rows move, so the origin of positions does.
      return (live) => live.shiftPositions(column - 4, { from: column });
    case 10:
      return (live) => live.shiftPositions(1, { from: column, to: column + 3 });
    default: {
      const some = Array.from({ length: 30 }, () => random.pick(keys)), block = [random.row(30)];
      const names = [...new Set(some)];
      return (live) => live.setMask([block[0].subarray(0, names.length)], { queries: [query], keys: names });
    }
  }
}

interface Kind {
  readonly name: string;
  readonly count: number;
  readonly ids: boolean;
  readonly mask: "none" | "function" | "editable";
}

const KINDS: readonly Kind[] = [
  { name: "plain rows", count: 3000, ids: true, mask: "none" },
  { name: "an editable mask", count: 700, ids: true, mask: "editable" },
  { name: "a mask function", count: 700, ids: true, mask: "function" },
];

function optionsOf({ count, ids, mask }: Kind, random: Random, backend: BackendName) {
  const query = random.rows(6, D * HEADS),
    key = random.rows(count, D * HEADS),
    value = random.rows(count, D * HEADS);
  const said = new Map<string, number>();
  const options: DynamicAttentionOptions<RowId, RowId> = {
    ...{ query, key, value, heads: HEADS, backend, causal: { offset: 10_000 }, lazyThreshold: Infinity },
    ...(ids ? { keyIds: key.map((_, at) => `key ${at}`), queryIds: query.map((_, at) => at / 2) } : {}),
    ...(mask === "editable"
      ? { mask: { data: new Float32Array(ROWS * COLUMNS), shape: [ROWS, COLUMNS] }, editableMask: true }
      : {}),
    ...(mask === "function"
      ? {
        // What is said again differs, so the save must have what was said by its moment.
        mask: (i: RowId, j: RowId) => {
          const pair = `${i} ${j}`, again = (said.get(pair) ?? 0) + 1;
          said.set(pair, again);
          return again / 8 + pair.length / 64;
        },
      }
      : {}),
  };
  return options;
}

for (const backend of BACKENDS) {
  for (const kind of KINDS) {
    Deno.test(`saves while edits go on, ${backend}, ${kind.name}: each is of the moment of its call`, async () => {
      let editsDuring = 0;
      for (let seed = 1; seed <= casesOn(backend, IS_LONG ? 60 : 2); seed++) {
        const make = () => DynamicAttention.create<RowId, RowId>(optionsOf(kind, new Random(seed), backend));
        await using quiet = await make();
        await using busy = await make();
        const random = new Random(1000 + seed), keys = quiet.keyIds(), queries = quiet.queryIds();
        const before = Array.from(
          { length: 12 },
          () => stepOf(random, keys, queries, kind.mask === "editable", kind.ids),
        );
        for (const step of before) for (const live of [quiet, busy]) step(live);
        const expected = await quiet.save();
        const steps: Step[] = [];
        const found = await withTurns(async () => {
          let isDone = false;
          const saved = busy.save().finally(() => isDone = true);
          // Another save of a later moment runs beside it.
          let other: Promise<unknown> = Promise.resolve();
          while (!isDone) {
            for (let more = 0; more < 4; more++) {
              const step = stepOf(random, keys, queries, kind.mask === "editable", kind.ids);
              steps.push(step);
              step(busy);
            }
            if (steps.length === 8) other = busy.save();
            // What was edited is stored under the copy.
            await busy.read([queries[0]]);
            await nextTurn();
          }
          await other;
          return await saved;
        });
        editsDuring += steps.length;
        assertSameBytes(found, expected, `seed ${seed}`);
      }
      assertGreater(editsDuring, 8, "edits were made while it was written");
    });
  }

  Deno.test(`a save is whole though the engine is disposed meanwhile, ${backend}`, async () => {
    const options = optionsOf(KINDS[0], new Random(7), backend);
    await using quiet = await DynamicAttention.create<RowId, RowId>(options);
    const expected = await quiet.save();
    const live = await DynamicAttention.create<RowId, RowId>(options);
    const found = await withTurns(async () => {
      const saved = live.save(), disposed = live.dispose();
      await live.dispose();
      // Another engine takes the memory that was given back.
      await using next = await DynamicAttention.create<RowId, RowId>(
        optionsOf(KINDS[0], new Random(8), backend),
      );
      const bytes = await saved;
      await disposed;
      assertEquals(next.keyIds().length, KINDS[0].count);
      return bytes;
    });
    assertSameBytes(found, expected, "as of the call");
  });

  Deno.test(`a save goes on over a move and a dispose that begin meanwhile, ${backend}`, async () => {
    const options = optionsOf(KINDS[0], new Random(5), backend);
    await using quiet = await DynamicAttention.create<RowId, RowId>(options);
    const expected = await quiet.save();
    const live = await DynamicAttention.create<RowId, RowId>(options);
    const found = await withTurns(async () => {
      const saved = live.save();
      await live.read([0]);
      live.delete("key 7");
      await live.moveTo("array");
      live.setKey("key 8", new Float32Array(D * HEADS));
      await live.read();
      const disposed = live.dispose();
      const bytes = await saved;
      await disposed;
      return bytes;
    });
    assertSameBytes(found, expected, "as of the call");
  });
}

Deno.test("the loop turns while a save is written", async () => {
  await using live = await DynamicAttention.create<RowId, RowId>(optionsOf(KINDS[0], new Random(6), "array"));
  let turns = 0, isDone = false;
  const saved = withTurns(() => live.save()).finally(() => isDone = true);
  while (!isDone) {
    await nextTurn();
    turns++;
  }
  // There are as many parts as tensors, at least.
  assertGreater(turns, 10);
  assert((await saved).length > 0);
});

/** An engine whose mask is many parts long, and the calls of its journal. */
const MASKED: DynamicAttentionOptions = {
  ...{ query: [[0]], key: [[0], [0], [0]], value: [[1], [3], [8]], backend: "array" },
  ...{ mask: { data: new Float32Array(8 * 1024), shape: [2, 4096] }, editableMask: true },
};

Deno.test("a mask is kept for running saves before the journal has its change", async () => {
  let journaled = 0, refuses = false;
  const journal: EditJournal = {
    ...{ check: () => {}, begin: () => {}, note: () => {}, beginShift: () => {}, noteMetadata: () => {} },
    ...{ end: () => {}, kept: () => Promise.resolve() },
    noteMask: () => {
      if (refuses) throw new InputError("journal", "it is full", "room");
      journaled++;
    },
  };
  await using live = await createEngine(MASKED, { journal });
  const expected = await live.save(), saved = withTurns(() => live.save());
  refusingCopies(() => {
    assertThrows(() => live.setMask(false, { keys: [0] }), CapacityError, "setMask: a part of the mask");
  });
  assertEquals([journaled, live.sequence], [0, 0], "nothing has happened");
  refuses = true;
  assertThrows(() => live.setMask(false, { keys: [0] }), InputError, "it is full");
  refuses = false;
  live.setMask(false, { keys: [1] });
  assertEquals([journaled, live.sequence], [1, 1]);
  assertSameBytes(await saved, expected, "as of the call");
  assertEquals([...(await live.read()).data], [4.5]);
});

Deno.test("a folder has no change of a mask that memory was refused to keep for a snapshot", async () => {
  const folder = await Deno.makeTempDir();
  try {
    {
      await using live = await openDurable(folder, { create: MASKED });
      live.setValue(0, [2]);
      await live.committed();
      const taken = withTurns(() => live.snapshot());
      await nextTurn();
      refusingCopies(() => assertThrows(() => live.setMask(false, { keys: [0] }), CapacityError));
      live.setMask(false, { keys: [1] });
      assertEquals([...(await live.read()).data], [5]);
      await taken;
    }
    await using opened = await openDurable(folder);
    assertEquals([...(await opened.read()).data], [5]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Runs while the platform refuses copies of parts of a mask. */
function refusingCopies(run: () => void): void {
  const { Float32Array: Real } = globalThis;
  globalThis.Float32Array = new Proxy(Real, {
    construct(target, [from, ...rest], own) {
      if (from instanceof Real && from.length === 1024) {
        throw new RangeError("Array buffer allocation failed");
      }
      return Reflect.construct(target, [from, ...rest], own);
    },
  });
  try {
    run();
  } finally {
    globalThis.Float32Array = Real;
  }
}

function assertSameBytes(found: Uint8Array, expected: Uint8Array, what: string): void {
  assertEquals(found.length, expected.length, what);
  assertEquals(found.findIndex((byte, at) => byte !== expected[at]), -1, what);
}

Deno.test("where the platform hashes all bytes at once, as browsers do, a save has the same bytes", async () => {
  await using live = await DynamicAttention.create<RowId, RowId>(optionsOf(KINDS[0], new Random(9), "array"));
  const expected = await live.save();
  const { process } = globalThis as unknown as { process: { getBuiltinModule?: unknown } };
  const { getBuiltinModule } = process;
  process.getBuiltinModule = undefined;
  try {
    assertSameBytes(await live.save(), expected, "hashed at once");
  } finally {
    process.getBuiltinModule = getBuiltinModule;
  }
});
