// The standing queries of the memory: one for each of the most frequent words, and one for each group of the
// others.
//
// Invariant: groups come from the word vectors alone, never from the text that is predicted.

import { SeededRandom } from "../../src/learning/mod.ts";
import { dot, toUnit, type Words } from "./words.ts";

/** Standing queries, and which of them a word asks. */
export interface Contexts {
  /** A unit vector a query; the last one, of the unknown word, is 0 and looks at all keys alike. */
  readonly queries: readonly Float32Array<ArrayBuffer>[];
  /** The query of each word. */
  readonly ofWord: Uint32Array<ArrayBuffer>;
}

const ROUNDS = 6;
/** The number of most frequent words that are grouped. */
const GROUPED_WORDS = 2500;
/** The characters of a text that was cut into words. */
const PLAIN = /^(?:['a-z]+(?:-[a-z]+)*|[.,:;?!])$/;

/**
 * The `single` most frequent words each by itself, the others in `groups` groups of similar ones: k-means on
 * the sphere, seeded.
 *
 * @throws {Error} When there are too few words.
 */
export function toContexts(words: Words, single: number, groups: number, seed = 1): Contexts {
  const plain = Array.from({ length: words.unknown }, (_, word) => word)
    .filter((word) => PLAIN.test(words.nameOf(word)));
  if (!(plain.length >= single + groups)) {
    throw new Error(`toContexts: there are ${plain.length} words, expected at least ${single + groups}`);
  }
  const alone = plain.slice(0, single);
  const centres = toGroups(words, plain.slice(single, GROUPED_WORDS), groups, new SeededRandom(seed));
  const ofWord = Uint32Array.from(
    { length: words.unknown },
    (_, word) => single + nearest(centres, words.vector(word)),
  );
  alone.forEach((word, at) => ofWord[word] = at);
  const queries = [...alone.map((word) => words.vector(word)), ...centres, words.vector(words.unknown)];
  return { queries, ofWord: Uint32Array.from([...ofWord, single + groups]) };
}

function toGroups(
  words: Words,
  members: readonly number[],
  count: number,
  random: SeededRandom,
): Float32Array<ArrayBuffer>[] {
  const centres = random.sample(members, count, []).map((word) => words.vector(word).slice());
  for (let round = 0; round < ROUNDS; round++) {
    const sums = centres.map(() => new Float32Array(words.dimensions));
    for (const word of members) {
      const vector = words.vector(word), sum = sums[nearest(centres, vector)];
      for (let c = 0; c < sum.length; c++) sum[c] += vector[c];
    }
    // An empty group stays where it was.
    sums.forEach((sum, at) => {
      if (toUnit(sum)) centres[at] = sum;
    });
  }
  return centres;
}

/** The number of the unit vector that is nearest by angle; of equal ones the first. */
export function nearest(centres: readonly Float32Array[], vector: Float32Array): number {
  let best = 0, most = -Infinity;
  for (const [at, centre] of centres.entries()) {
    const similarity = dot(centre, vector);
    if (similarity > most) [best, most] = [at, similarity];
  }
  return best;
}
