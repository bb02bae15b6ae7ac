// Measures a learner by outputs that may be stale within an error beside one by exact outputs: milliseconds of a
// prediction and of a step, counted work, and the bounds that steps tell. Run it with `deno task bench:learning`;
// --steps, and --quick for few of them.
//
// Values learn, the 20 heaviest of each step, which comes behind one prediction or ten. All ways learn the same
// stream; they take turns, and times are medians of rounds with their spread.

import { parseArgs } from "node:util";
import { median } from "simple-statistics";
import { DynamicAttention } from "../mod.ts";
import { OnlineLearner } from "../src/learning/mod.ts";
import { Random } from "../testing/random.ts";
import { describeMachine } from "./machine.ts";

const DIM = 32, TOP = 20, ROUNDS = 7, WARM = 40;
const ERRORS = [0, 0.01, 0.1] as const;
const SHAPES = [[64, 2000], [512, 2000], [64, 20_000]] as const;
/** Predictions for a step. */
const PREDICTIONS = [1, 10] as const;
const { values: { quick, steps } } = parseArgs({
  options: { quick: { type: "boolean", default: false }, steps: { type: "string", default: "200" } },
});
const STEPS = quick ? 30 : Number(steps);

/** The learner of one way, with what it took. */
interface Way {
  readonly error: number;
  readonly live: DynamicAttention;
  readonly learner: OnlineLearner;
  readonly random: Random;
  readonly predictions: number[];
  readonly learning: number[];
  multiplyAdds: number;
  bound: number;
}

async function wayOf(error: number, queries: number, keys: number): Promise<Way> {
  const random = new Random(1);
  const live = await DynamicAttention.create({
    query: random.rows(queries, DIM),
    key: random.rows(keys, DIM),
    value: random.rows(keys, DIM),
    backend: "wasm",
    threads: 1,
  });
  const learner = new OnlineLearner(live, {
    top: TOP,
    rate: 0.02,
    rates: { keys: false, queries: false },
    error,
  });
  return { error, live, learner, random, predictions: [], learning: [], multiplyAdds: 0, bound: 0 };
}

/** Some steps, each behind some predictions of any queries. */
async function round(way: Way, count: number, queries: number, predictions: number): Promise<void> {
  const { live, learner, random } = way, before = live.stats().multiplyAdds;
  let predicting = 0, learning = 0;
  for (let step = 0; step < count; step++) {
    const x = { query: random.below(queries) }, start = performance.now();
    const prediction = await learner.predictOne(x);
    for (let more = 1; more < predictions; more++) await learner.predictOne({ query: random.below(queries) });
    const middle = performance.now();
    const { bounds } = await learner.learnOne(x, prediction.map((number) => number + random.normal()));
    predicting += middle - start;
    learning += performance.now() - middle;
    way.bound = Math.max(way.bound, bounds?.scores[0] ?? 0);
  }
  way.predictions.push(predicting / count / predictions);
  way.learning.push(learning / count);
  way.multiplyAdds += live.stats().multiplyAdds - before;
}

const { cpu, cores, deno } = await describeMachine();
console.log(`d = dv = ${DIM}, wasm, one thread; ${cpu}, ${cores} cores, Deno ${deno}\n`);
console.log(
  "queries × keys, predictions a step | error | prediction, ms | step, ms | of exact | work, of exact | largest bound",
);
for (
  const [queries, keys, asked] of SHAPES.flatMap((shape) => PREDICTIONS.map((asked) => [...shape, asked]))
) {
  const ways = await Promise.all(ERRORS.map((error) => wayOf(error, queries, keys)));
  for (const way of ways) await round(way, WARM, queries, asked);
  for (const way of ways) way.predictions.length = way.learning.length = way.multiplyAdds = 0;
  for (let at = 0; at < ROUNDS; at++) for (const way of ways) await round(way, STEPS, queries, asked);
  const [exact] = ways;
  for (const { error, predictions, learning, multiplyAdds, bound } of ways) {
    const shares = predictions.map((ms, at) =>
      (asked * ms + learning[at]) / (asked * exact.predictions[at] + exact.learning[at])
    );
    console.log([
      `${queries} × ${keys}, ${asked}`,
      error,
      median(predictions).toPrecision(3),
      median(learning).toPrecision(3),
      `${median(shares).toFixed(2)} (${Math.min(...shares).toFixed(2)} to ${Math.max(...shares).toFixed(2)})`,
      (multiplyAdds / exact.multiplyAdds).toFixed(2),
      bound === 0 ? "0" : bound.toExponential(1),
    ].join(" | "));
  }
  for (const { live } of ways) await live.dispose();
}
