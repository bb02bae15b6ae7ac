// A small figure, and what it is made of, for the tests of live figures.

import type { LiveAttentionOptions } from "../src/jupyter/mod.ts";
import { Random } from "./random.ts";

export const WORDS = "the cat sat on the mat because it was very tired today".split(" ");
const HEADS = 2, HEAD_DIM = 4, VALUE_DIM = 3;

/** Two heads, causal, with names; the same numbers every time. */
export function exampleOptions(): LiveAttentionOptions {
  const random = new Random(7);
  const rows = (columns: number) => WORDS.map(() => random.row(columns, 1.5));
  return {
    query: rows(HEADS * HEAD_DIM),
    key: rows(HEADS * HEAD_DIM),
    value: rows(HEADS * VALUE_DIM),
    heads: HEADS,
    labels: WORDS,
    causal: { offset: 6 },
    lazyThreshold: 3,
  };
}
