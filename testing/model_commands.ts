// The commands of the model-based test: each performs one call on the engine and the same on the model, and
// compares what can be compared. An engine whose backend fails rejects a read; the read is then tried again,
// and must be exact as if nothing had happened.

import fc from "fast-check";
import {
  BackendError,
  type BackendName,
  type DynamicAttention,
  type Edit,
  InputError,
  type Matrix,
  SlotError,
} from "../mod.ts";
import { referenceAttention } from "../src/numerics/reference.ts";
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { accuracyOf, assertAccurate, largestDifference, matrixOf, rowsOf } from "./accuracy.ts";
import type { MemoryModel, ModelQuery, ModelRule } from "./memory_model.ts";
import { at, call, choice, editMakers, rowOf, takeSlot } from "./model_edits.ts";

/** The model, and what it held after each edit. */
export class World {
  readonly now: MemoryModel;
  readonly history: MemoryModel[];
  /** Checks of answers that were asked for but not awaited: null, or what is wrong. */
  readonly open: Promise<Error | null>[] = [];

  constructor(model: MemoryModel) {
    this.now = model;
    this.history = [model.snapshot()];
  }

  /** To be called after each edit, with the number of edits. */
  remember(edits = 1): void {
    for (let count = 0; count < edits; count++) this.history.push(this.now.snapshot());
  }
}

type Command = fc.AsyncCommand<World, DynamicAttention>;

/** A command from a name, a function and whether it makes sense now. */
function command(
  text: string,
  run: (world: World, engine: DynamicAttention) => void | Promise<void>,
  check: (world: World) => boolean = () => true,
): Command {
  return {
    check: (world) => check(world),
    run: async (world, engine) => await run(world, engine),
    toString: () => text,
  };
}

/** Tries again while the backend fails; gives up after many times. */
export async function persist<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
    }
  }
  throw new Error("the backend failed 50 times in a row");
}

const hasQueries = (world: World) => world.now.queries.size > 0;

/** Every call of the public surface, for rows of these sizes and a threshold that limits the error. */
export function commands(
  rule: ModelRule,
  error: number,
  backends: readonly BackendName[],
): fc.Arbitrary<Command>[] {
  return [
    ...editCommands(rule),
    ...readCommands(rule),
    ...staleCommands(rule, error),
    ...weightCommands(rule),
    ...otherCommands(rule, backends),
  ];
}

/** One edit, which is the commonest call, and edits together. */
function editCommands(rule: ModelRule): fc.Arbitrary<Command>[] {
  const edits = editMakers(rule);

  const single = edits.map((make) =>
    command("edit one", (world, engine) => {
      const edit = make(world.now);
      if (!edit) return;
      takeSlot(world.now, edit, call(engine, edit));
      world.remember();
    })
  );

  // The slot of an insert is known only after the batch, so no later edit of the batch uses it.
  const batch = fc.array(edits, { minLength: 1, maxLength: 6 }).map((makers) =>
    command("edit([…])", (world, engine) => {
      const made: Edit[] = [];
      for (const make of makers) {
        const edit = make(world.now);
        if (edit) made.push(edit);
      }
      const slots = engine.edit(made);
      made.forEach((edit, index) => {
        if (edit.kind === "insert" || edit.kind === "insertQuery") takeSlot(world.now, edit, slots[index]);
      });
      world.remember(made.length);
    })
  );

  const refusedBatch = fc.tuple(edits, choice).map(([make, pick]) =>
    command("edit([good, bad])", (world, engine) => {
      const good = make(world.now.snapshot());
      const bad: Edit = { kind: "delete", slot: 5000 + pick };
      assertThrows(() => engine.edit(good ? [good, bad] : [bad]), SlotError);
    })
  );

  return [single, single, single, batch, refusedBatch];
}

/** Exact answers, awaited and not. */
function readCommands({ heads, valueDim }: ModelRule): fc.Arbitrary<Command>[] {
  const read = fc.option(fc.array(choice, { maxLength: 3 }), { nil: undefined }).map((picks) =>
    command("read", async (world, engine) => {
      const rows = picks && hasQueries(world)
        ? picks.map((pick) => at(world.now.querySlots, pick))
        : undefined;
      assertAccurate(await persist(() => engine.read(rows)), world.now.standing(rows));
    })
  );

  const openRead = fc.option(fc.array(choice, { minLength: 1, maxLength: 2 }), { nil: undefined }).map((
    picks,
  ) =>
    command("read without waiting", (world, engine) => {
      const rows = picks && hasQueries(world)
        ? picks.map((pick) => at(world.now.querySlots, pick))
        : undefined;
      const truth = world.now.snapshot();
      const check = engine.read(rows).then(
        (output) => void assertAccurate(output, truth.standing(rows), "an answer that was asked for earlier"),
        (error) => assert(error instanceof BackendError, String(error)),
      );
      world.open.push(check.then(() => null, (error: Error) => error));
    })
  );

  const readEntry = fc.tuple(choice, choice).map(([pick, where]) =>
    command("readEntry", async (world, engine) => {
      const slot = at(world.now.querySlots, pick), column = where % (heads * valueDim);
      const entry = await persist(() => engine.readEntry(slot, column));
      const truth = world.now.standing([slot]);
      const { allowed } = accuracyOf(await persist(() => engine.read([slot])), truth);
      const expected = referenceAttention(truth).output[0][column];
      assert(Math.abs(entry - expected) <= allowed, `entry is ${entry}, expected ${expected}`);
    }, hasQueries)
  );

  return [read, openRead, readEntry];
}

/** Answers with certificates, awaited and not. */
function staleCommands(rule: ModelRule, error: number): fc.Arbitrary<Command>[] {
  const peek = fc.constant(
    command("peek", async (world, engine) => {
      const { applied } = engine.stats();
      const { output, bounds, storageBounds, pending, epoch } = await persist(() => engine.peek());
      assert(epoch >= 0 && pending >= 0);
      const { output: exact } = world.now.answer();
      rowsOf(output).forEach((row, i) => {
        const distance = Math.hypot(...exact[i].map((o, c) => o - row[c]));
        assert(distance <= bounds[i], `row ${i} is off by ${distance}, its bound is ${bounds[i]}`);
        // An error is a distance from exact attention of the rows as they are kept.
        const most = error + (storageBounds?.[i] ?? 0);
        assert(
          pending === 0 || bounds[i] <= most,
          `the bound ${bounds[i]} is above what was asked for, ${most}`,
        );
      });
      if (pending === 0) assertAccurate(output, world.now.standing(), "a peek with nothing pending");
      else if (!rule.maskOf) assertHeldBefore(output, world, applied);
    }),
  );

  const openPeek = fc.constant(
    command("peek without waiting", (world, engine) => {
      const exact = world.now.answer().output;
      const check = engine.peek().then(
        ({ output, bounds }) =>
          rowsOf(output).forEach((row, i) => {
            const distance = Math.hypot(...exact[i].map((o, c) => o - row[c]));
            assert(distance <= bounds[i], `row ${i} was off by ${distance}, its bound is ${bounds[i]}`);
          }),
        (error) => assert(error instanceof BackendError, String(error)),
      );
      world.open.push(check.then(() => null, (error: Error) => error));
    }),
  );

  return [peek, openPeek];
}

/** The parts of exact answers. */
function weightCommands({ heads }: ModelRule): fc.Arbitrary<Command>[] {
  const weights = fc.tuple(choice, choice).map(([pick, where]) =>
    command("weights", async (world, engine) => {
      const slot = at(world.now.querySlots, pick), head = where % heads;
      const weights = await persist(() => engine.weights(slot, { head }));
      const expected = world.now.answer([slot]).weights[0][head];
      const live = world.now.keySlots;
      assert(weights.length > Math.max(-1, ...live));
      weights.forEach((weight, key) => {
        const index = live.indexOf(key);
        assertAlmostEquals(weight, index < 0 ? 0 : expected[index], 1e-6);
      });
    }, hasQueries)
  );

  const topKeys = fc.tuple(choice, choice, fc.nat(4)).map(([pick, where, count]) =>
    command("topKeys", async (world, engine) => {
      const slot = at(world.now.querySlots, pick), head = where % heads;
      const top = await persist(() => engine.topKeys(slot, count, { head }));
      const expected = world.now.answer([slot]).weights[0][head].toSorted((a, b) => b - a);
      assertEquals(top.length, Math.min(count, world.now.keys.size));
      assertEquals(new Set(top.map((key) => key.slot)).size, top.length);
      top.forEach((key, index) => assertAlmostEquals(key.weight, expected[index], 1e-6));
    }, hasQueries)
  );

  const logSumExp = fc.constant(
    command("logSumExp", async (world, engine) => {
      const { data, shape } = await persist(() => engine.logSumExp());
      assertEquals(shape, [world.now.queries.size, heads]);
      world.now.answer().logSumExp.flat().forEach((expected, i) => {
        if (expected === -Infinity) assertEquals(data[i], -Infinity);
        else assertAlmostEquals(data[i], expected, 1e-5 * Math.max(1, Math.abs(expected)));
      });
    }),
  );

  return [weights, topKeys, logSumExp];
}

/** Passing queries, and calls that change no answer. */
function otherCommands(rule: ModelRule, backends: readonly BackendName[]): fc.Arbitrary<Command>[] {
  const queries = fc.array(rowOf(rule.heads * rule.headDim), { minLength: 1, maxLength: 3 });

  const attend = queries.map((rows) =>
    command("attend", async (world, engine) => {
      if (rule.maskOf) {
        await assertRejects(() => engine.attend(rows), InputError, "the engine has a mask");
        const masked = world.now.passing(rows), mask = world.now.passingMask(rows);
        assertAccurate(await persist(() => engine.attend(rows, { mask })), masked);
      } else assertAccurate(await persist(() => engine.attend(rows)), world.now.passing(rows));
    })
  );

  const flush = fc.constant(command("flush", (_, engine) => persist(() => engine.flush())));
  const rebuild = fc.constant(command("rebuild", (_, engine) => persist(() => engine.rebuild())));

  const move = fc.constantFrom(...backends).map((backend) =>
    command(`moveTo("${backend}")`, async (_, engine) => {
      await persist(() => engine.moveTo(backend));
      assertEquals(engine.stats().backend, backend);
    })
  );

  const counts = fc.constant(
    command("stats", (world, engine) => {
      const stats = engine.stats();
      assertEquals(stats.edits, world.history.length - 1);
      assertEquals([stats.keyCount, stats.queryCount], [world.now.keys.size, world.now.queries.size]);
      assert(stats.coalesced >= 0 && stats.applied <= stats.edits, JSON.stringify(stats));
    }),
  );

  return [attend, flush, rebuild, move, counts];
}

/**
 * Each stale row must be what some state since the last one that all rows know gave, with today's queries.
 */
function assertHeldBefore(output: Matrix, world: World, applied: number): void {
  const queries = world.now.querySlots.map((slot) => world.now.queries.get(slot) as ModelQuery);
  rowsOf(output).forEach((row, i) => {
    const closest = world.history.slice(applied)
      .map((model) => model.caseOf([queries[i]]))
      .map((truth) => ({ truth, error: largestDifference([row], referenceAttention(truth).output) }))
      .reduce((best, next) => next.error < best.error ? next : best);
    assertAccurate(matrixOf([Float32Array.from(row)], row.length), closest.truth, `stale row ${i}`);
  });
}
