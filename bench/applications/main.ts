// `deno task bench:applications`: the streams of the applications, looked at within an error beside exact reads:
// counted work, and times of an edit and its looks: medians, means of processor time, and quartiles by turns. With
// --quick it plays a tenth, with --only=births,vision these streams alone, with --ratings=40000 that many ratings.

import { parseArgs } from "node:util";
import { describeMachine } from "../machine.ts";
import { cellsOf, EXACT, followedWithin, play, waysWithin } from "./play.ts";
import { learnerStream, ratingsStream } from "./recorded.ts";
import { birthsStream, languageStream, randomStream, type Stream, visionStream } from "./streams.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    backend: { type: "string", default: "wasm" },
    ratings: { type: "string", default: "600,10000" },
  },
});
const share = values.quick ? 0.1 : 1, backend = values.backend === "array" ? "array" : "wasm";
const count = (full: number) => Math.max(32, Math.ceil(share * full));
const streams: Record<string, () => Promise<Stream>> = {
  births: () => birthsStream(count(2000)),
  language: () => languageStream(count(5000)),
  vision: () => visionStream(count(300)),
  random: () => Promise.resolve(randomStream(count(3000))),
  ...Object.fromEntries(
    values.ratings.split(",").map((ratings) => {
      return [`recommender-${ratings}`, () => ratingsStream(count(Number(ratings)))];
    }),
  ),
  "learner-all": () => learnerStream(count(3000), "all"),
  "learner-one": () => learnerStream(count(3000), "one"),
};
const wanted = values.only.split(",").filter((name) => name !== "");

const { cpu, cores } = await describeMachine();
console.log(
  `${cpu}, ${cores} cores, Deno ${Deno.version.deno}; ${backend} on one thread; a step is its edits and its look`,
);
for (const [name, make] of Object.entries(streams)) {
  if (wanted.length > 0 && !wanted.some((part) => name.startsWith(part))) continue;
  const stream = await make(), { query, key } = stream.first;
  const isFollowed = stream.steps.every(({ rows }) => rows === null);
  const ways = stream.errors.flatMap((error) => [
    ...waysWithin(error),
    ...(isFollowed ? [followedWithin(error)] : []),
  ]);
  const [exact, ...others] = await play(stream, [EXACT, ...ways], backend);
  const rows = (query as readonly unknown[]).length, keys = (key as readonly unknown[]).length;
  console.log(`\n${stream.name}, ${rows} × ${keys}, ${stream.steps.length} steps\n`);
  console.log(
    "| way | multiply-adds | × read | µs, median | × read | µs of processors, mean | × read | × by turns, quartiles |",
  );
  console.log("| - | - | - | - | - | - | - | - |");
  for (const way of [exact, ...others]) console.log(`| ${cellsOf(way, exact).join(" | ")} |`);
}
