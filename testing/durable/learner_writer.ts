// A process that learns over a durable engine, step after step, and says on its standard output which steps were acknowledged,
// until it is killed.
//
//     learner_writer.ts FOLDER '{ "journalBytes": 4096 }'

import type { DynamicAttention } from "../../mod.ts";
import { openDurable } from "../../src/durable/mod.ts";
import { adagrad, type LearnerOptions, type OnlineLearner } from "../../src/learning/mod.ts";
import { Random } from "../random.ts";

const QUERIES = 3, KEYS = 24, D = 4;

const random = new Random(91);

/** The engine that is learnt over. */
export const LEARNT = {
  query: random.rows(QUERIES, D),
  queryIds: ["ann", "bob", "eve"],
  key: random.rows(KEYS, D),
  keyIds: "auto",
  value: random.rows(KEYS, 2),
  backend: "array",
} as const;

export function learnerOptions(): LearnerOptions<number, string> {
  return { optimizer: adagrad(), rate: 0.1, top: 5 };
}

/** The step behind the last one: which one it is, its learner knows. */
export async function learnNext(learner: OnlineLearner<number, string>): Promise<number> {
  const { steps } = learner.stats(), query = LEARNT.queryIds[steps % QUERIES];
  await learner.learnOne({ query }, [Math.sin(steps), Math.cos(3 * steps)]);
  return steps + 1;
}

/** All numbers that a learner has changed. */
export function rowsOf(live: DynamicAttention<number, string>): Float32Array[] {
  return [
    ...live.keyIds().flatMap((id) => [live.getKey(id), live.getValue(id)]),
    ...live.queryIds().map((id) => live.getQuery(id)),
  ];
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  const [folder, text] = Deno.args, { journalBytes } = JSON.parse(text);
  say("opening");
  try {
    const live = await openDurable(folder, { create: LEARNT, snapshot: { journalBytes } });
    const learner = await live.learner(learnerOptions());
    for (;;) say(`ack ${await learnNext(learner)}`);
  } catch (error) {
    say(`error ${error instanceof Error ? `${error.name}: ${error.message}` : error}`);
    Deno.exit(3);
  }
}
