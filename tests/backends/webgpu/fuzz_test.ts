// Full suite: a software device takes its time.
//
// Random edits on `webgpu` of the kinds that make records move on a device: masks whose rows grow with
// queries, keys so heavy that rows note them by slot, rows of many moments, lost devices, moves and loads.
// Each answer is held against the oracle as of its call. ATTUNE_LONG=1 runs many more seeds.

import { BackendError, DynamicAttention } from "../../../mod.ts";
import { acquireDevice } from "../../../src/backends/webgpu/device.ts";
import { assert, assertEquals } from "../../../testing/assert.ts";
import { assertAccurate, rowsOf } from "../../../testing/accuracy.ts";
import { GPU } from "../../backends_here.ts";
import { MemoryModel, type ModelKey, type ModelRule } from "../../../testing/memory_model.ts";
import { Random } from "../../../testing/random.ts";

const SEEDS = Deno.env.get("ATTUNE_LONG") === "1" ? 80 : 4;
const STEPS = 40;

Deno.test({
  name: "webgpu: a heavy key that is deleted is gone, also when records have grown or the device was lost",
  ...GPU,
  async fn() {
    for (const disturb of ["grow", "lose", "both"]) {
      await using live = await DynamicAttention.create({
        query: [[1]],
        key: [[0], [0], [0], [0]],
        value: [[0], [1], [2], [3]],
        scale: 1,
        backend: "webgpu",
        onThreshold: "patch",
        mask: Array.from({ length: 4 }, () => [0.5, 0.5, 0.5, 0.5]),
      });
      live.setKey(1, [6]);
      await live.read();
      live.delete(1);
      if (disturb !== "lose") live.insertQuery([1]);
      if (disturb !== "grow") {
        await live.peek();
        (await acquireDevice()).device.destroy();
      }
      await persist(async () => {
        const { data } = await live.read([0]);
        assert(Math.abs(data[0] - 5 / 3) < 1e-6, `${disturb}: ${data[0]}`);
      });
    }
  },
});

/** An engine beside the model of what it holds. */
interface Pair {
  live: DynamicAttention;
  readonly model: MemoryModel;
}

function ruleOf(random: Random): ModelRule {
  const kvHeads = random.pick([1, 1, 2]), heads = kvHeads * random.pick([1, 2]);
  const biases = random.pick<readonly (number | boolean)[]>([
    [0.5],
    [true, false],
    [0, 0.5, -1, 3],
    [false, 0, -3.4028234663852886e38, 2],
  ]);
  return {
    heads,
    kvHeads,
    headDim: 1 + random.below(5),
    valueDim: 1 + random.below(4),
    scale: random.pick([0.3, 1]),
    softcap: random.pick([0, 0, 0, 3]),
    causal: random.pick([false, false, { offset: 20 }]),
    window: random.pick([[Infinity, Infinity], [25, Infinity]] as const),
    maskOf: random.below(4) === 0
      ? null
      : (query, key, head) => biases[(3 * query + 5 * key + head) % biases.length],
  };
}

async function start(random: Random): Promise<Pair> {
  const rule = ruleOf(random), model = new MemoryModel(rule);
  const { heads, kvHeads, headDim, valueDim, maskOf, ...options } = rule;
  for (let i = 1 + random.below(4); i > 0; i--) {
    model.insertQuery(model.queries.size, random.row(heads * headDim));
  }
  for (let j = 1 + random.below(20); j > 0; j--) {
    model.insertKey(model.keys.size, random.row(kvHeads * headDim), random.row(kvHeads * valueDim));
  }
  const live = await DynamicAttention.create({
    ...options,
    ...model.matrices(),
    heads,
    kvHeads,
    backend: "webgpu",
    onThreshold: random.pick(["patch", "patch", "auto"]),
    lazyThreshold: random.pick([1, 4, Infinity]),
    ...(maskOf ? { mask: (i: number, j: number, head: number) => model.mask(i, j, head) } : {}),
  });
  return { live, model };
}

/** One edit of both. Sizes of keys reach from hardly any score to one that holds all the weight. */
function edit({ live, model }: Pair, random: Random): void {
  const { heads, kvHeads, headDim, valueDim } = model.rule;
  const keys = model.keySlots, queries = model.querySlots, dice = random.below(12);
  const key = random.row(kvHeads * headDim, random.pick([0.1, 1, 1, 6, 30]));
  const value = random.row(kvHeads * valueDim, random.pick([1, 1, 100]));
  const query = random.row(heads * headDim, random.pick([0.1, 1, 3]));
  if (dice < 2 || keys.length === 0) model.insertKey(live.insert(key, value), key, value);
  else if (dice === 2) model.insertQuery(live.insertQuery(query), query);
  else if (dice === 3 && queries.length > 0) {
    const slot = random.pick(queries);
    live.deleteQuery(slot);
    model.queries.delete(slot);
  } else if (dice === 4 && queries.length > 0) {
    const slot = random.pick(queries), held = model.queries.get(slot);
    assert(held);
    live.setQuery(slot, query);
    held.query = query;
  } else {
    const slot = random.pick(keys), held = model.keys.get(slot) as ModelKey;
    if (dice < 7) {
      live.delete(slot);
      model.keys.delete(slot);
    } else if (dice < 10) {
      live.setKey(slot, key);
      held.key = key;
    } else {
      live.setValue(slot, value);
      held.value = value;
    }
  }
}

async function ask({ live, model }: Pair, random: Random): Promise<void> {
  const slots = model.querySlots, dice = random.below(8);
  const rows = slots.filter(() => random.below(2) === 0);
  if (dice < 4) {
    const asked = dice < 2 ? slots : rows;
    assertAccurate(await live.read(asked), model.standing(asked), `rows ${asked}`);
  } else if (dice < 6) {
    const { output, bounds } = await live.peek();
    const truth = model.answer().output;
    rowsOf(output).forEach((row, i) => {
      const distance = Math.hypot(...truth[i].map((o, c) => o - row[c]));
      assert(distance <= bounds[i], `row ${slots[i]} is off by ${distance}, its bound is ${bounds[i]}`);
    });
  } else if (dice === 6 && slots.length > 0) {
    const head = random.below(model.rule.heads), row = random.pick(slots);
    const truth = model.answer([row]).weights[0][head];
    const weights = await live.weights(row, { head });
    model.keySlots.forEach((slot, at) => assert(Math.abs(weights[slot] - truth[at]) < 1e-4, `key ${slot}`));
  } else if (!model.rule.maskOf) {
    const passing = random.rows(2, model.rule.heads * model.rule.headDim);
    assertAccurate(await live.attend(passing), model.passing(passing), "passing queries");
  }
}

/** Something that makes records move: a device that goes, another backend, a file. */
async function disturb(pair: Pair, random: Random): Promise<void> {
  const dice = random.below(4), { model } = pair;
  if (dice < 2) (await acquireDevice()).device.destroy();
  else if (dice === 2) {
    await pair.live.moveTo(random.pick(["array", "wasm"]));
    for (let edits = random.below(3); edits > 0; edits--) edit(pair, random);
    await pair.live.moveTo("webgpu");
  } else {
    const bytes = await pair.live.save();
    await pair.live.dispose();
    const mask = (i: number, j: number, head: number) => model.mask(i, j, head);
    pair.live = await DynamicAttention.load(bytes, model.rule.maskOf ? { mask } : {});
    assertEquals(pair.live.stats().backend, "webgpu");
  }
}

/** Asks until there is an answer: a loss rejects one question, and another one if it happens again. */
async function persist(run: () => Promise<void>): Promise<void> {
  for (let attempt = 0;; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof BackendError) || attempt === 3) throw error;
    }
  }
}

Deno.test({
  name: "webgpu: masks, heavy keys, growing records, rows of many moments, lost devices, moves and files",
  ...GPU,
  async fn() {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new Random(seed), pair = await start(random);
      try {
        for (let step = 0; step < STEPS; step++) {
          for (let edits = random.below(4); edits > 0; edits--) edit(pair, random);
          if (random.below(12) === 0) await persist(() => disturb(pair, random));
          if (random.below(2) === 0) {
            const asked = random.below(2 ** 31);
            await persist(() => ask(pair, new Random(asked)));
          }
        }
        await persist(async () => {
          assertAccurate(await pair.live.read(), pair.model.standing(), "the last read");
        });
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      } finally {
        await pair.live.dispose();
      }
    }
  },
});
