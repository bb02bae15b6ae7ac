import { assert, assertAlmostEquals, assertEquals } from "../../../testing/assert.ts";
import { correct, forget } from "../../../studies/language/correction.ts";
import {
  rankCorrelation,
  SentenceVectors,
  shareOfWords,
  type Topic,
  TopicMemory,
} from "../../../studies/language/topics.ts";
import { dot, loadWords } from "../../../studies/language/words.ts";

const words = await loadWords();
const TWO: readonly Topic[] = [
  { name: "arms", words: ["nuclear", "missile"], heldOut: ["weapons"] },
  { name: "school", words: ["school", "education"], heldOut: ["teachers"] },
];
const SPEECHES = [
  {
    year: 2000,
    president: "A",
    sentences: ["missiles and warheads threaten peace", "teachers help students learn"],
  },
  {
    year: 2001,
    president: "B",
    sentences: ["every college needs money", "weapons inspectors found uranium"],
  },
];

async function heard(): Promise<TopicMemory> {
  const memory = await TopicMemory.create(words, TWO, 2000, 2);
  for (const speech of SPEECHES) memory.hear(speech);
  return memory;
}

Deno.test("topics: attention by year is a distribution that follows what is spoken of", async () => {
  const memory = await heard();
  await using live = memory.live;
  const years = await memory.byYear();
  for (const row of years) assertAlmostEquals(row[0] + row[1], 1, 1e-5);
  const [heaviest] = await live.topKeys(1, 1);
  assert([1, 2].includes(heaviest.slot));
  assertEquals(memory.sentence(3), { year: 2001, text: "weapons inspectors found uranium" });
  // By definition, from the keys themselves.
  const question = new SentenceVectors(words).of(TWO[0].words);
  const weights = [0, 1, 2, 3].map((slot) => Math.exp(12 * dot(question, live.getKey(slot))));
  const expected = (weights[0] + weights[1]) / weights.reduce((a, b) => a + b);
  assertAlmostEquals(years[0][0], expected, 1e-5);
});

Deno.test("correction: the topic lets go of the sentence, the other hardly notices, and no mark is left", async () => {
  const memory = await heard(), other = await heard();
  await using _live = memory.live;
  await using _other = other.live;
  const moved = await correct(memory, 0, [0], 0.05);
  assert(moved.before > 0.3 && moved.after <= 0.05 && moved.steps > 0 && moved.steps < 60);
  assert(moved.moved[0] > 5 * moved.moved[1]);
  assertEquals(await memory.live.readEntry(0, memory.markColumn), 0);
  const deleted = await forget(other, 0, [0]);
  assertAlmostEquals(deleted.before, moved.before, 1e-6);
  assertEquals(deleted.after, 0);
});

Deno.test("rank correlation: 1 for the same order, −1 for the reverse, ties share a rank", () => {
  assertAlmostEquals(rankCorrelation([1, 2, 3, 10], [0, 5, 6, 7]), 1, 1e-12);
  assertAlmostEquals(rankCorrelation([1, 2, 3], [3, 2, 1]), -1, 1e-12);
  assertAlmostEquals(rankCorrelation([1, 1, 2], [1, 2, 3]), Math.sqrt(3) / 2, 1e-12);
  assert(Number.isNaN(rankCorrelation([1, 1], [1, 2])));
  assertEquals(shareOfWords(SPEECHES, ["teachers"]), [1 / 9, 0]);
});
