import { assert, assertAlmostEquals, assertEquals, assertThrows } from "../../../testing/assert.ts";
import { dot, loadWords, splitWords, Words } from "../../../studies/language/words.ts";
import { loadSpeeches, toSentences, toSpeech, wordsOf } from "../../../studies/language/speeches.ts";
import { nearest, toContexts } from "../../../studies/language/contexts.ts";

Deno.test("words: text is cut as GloVe was, in lower case", () => {
  assertEquals(
    splitWords("We don't need America’s $1,200.50; we'll wait."),
    ["we", "do", "n't", "need", "america", "'s", "1,200.50", ";", "we", "'ll", "wait", "."],
  );
});

Deno.test("words: vectors have length 1, the unknown word's is 0, and wrong sizes are refused", () => {
  const words = new Words(["the", "war"], [3, 4, 0, 2], 2);
  assertEquals(words.numberOf("peace"), words.unknown);
  assertEquals(words.size, 3);
  assertAlmostEquals(dot(words.vector(0), words.vector(1)), 0.8, 1e-6);
  assertEquals([...words.vector(words.unknown)], [0, 0]);
  assertThrows(() => new Words(["the"], [1, 2, 3], 2), Error, "3 numbers, expected 1 × 2");
  assertThrows(() => new Words(["the"], [0, 0], 2), Error, "no direction");
});

Deno.test("words: the list of the repository is whole, and similar words are near", async () => {
  const words = await loadWords();
  assertEquals(words.unknown, 10_000);
  const cosine = (a: string, b: string) =>
    dot(words.vector(words.numberOf(a)), words.vector(words.numberOf(b)));
  assert(cosine("war", "military") > cosine("war", "milk") + 0.2);
  const contexts = toContexts(words, 20, 5);
  assertEquals(contexts.queries.length, 26);
  assertEquals(contexts.ofWord.length, words.size);
  assertEquals(contexts.ofWord[words.unknown], 25);
  const frequent = words.numberOf("the");
  assertEquals(contexts.queries[contexts.ofWord[frequent]], words.vector(frequent));
  const rare = words.numberOf("milk");
  const groups = contexts.queries.slice(20, 25);
  assertEquals(contexts.ofWord[rare], 20 + nearest(groups, words.vector(rare)));
});

Deno.test("speeches: all of them in order, and a name of another form is refused", async () => {
  const speeches = await loadSpeeches();
  assertEquals(speeches.map(({ year }) => year), Array.from({ length: 41 }, (_, at) => 1981 + at));
  assertEquals(speeches[1].president, "Ronald Reagan");
  assertEquals(wordsOf(speeches[0], await loadWords(), 100).length, 100);
  assertThrows(() => toSpeech("notes.txt", ""), Error, 'the file is "notes.txt"');
});

Deno.test("speeches: sentences end at a mark before a capital, and headings are left out", () => {
  assertEquals(
    toSentences('Thank you. It grew by 3.5 percent\n this year! "We did it," said the U.S. senator then.'),
    ["It grew by 3.5 percent this year!", '"We did it," said the U.S. senator then.'],
  );
});
