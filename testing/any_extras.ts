// Random rules of scores that most engines do not have, for tests with models.

import fc from "fast-check";
import type { ModelExtras } from "./memory_model.ts";

const TABLE = [-1, 0.5, 2, 0, -Infinity, 1, 0.25];

/** Rules for engines of up to four heads, by the number of heads; most have none of a kind. */
export const anyExtras: fc.Arbitrary<(heads: number) => ModelExtras> = fc.record({
  sinks: fc.constantFrom(null, null, [1, -Infinity, -3, 0]),
  distances: fc.constantFrom(
    "none" as const,
    "none" as const,
    "slopes" as const,
    "table" as const,
    "tables" as const,
  ),
  keepFirst: fc.constantFrom(null, null, 2),
  biasBeforeSoftcap: fc.constantFrom(null, false, true),
}).map(({ sinks, distances, keepFirst, biasBeforeSoftcap }) => (heads) => {
  const tables = distances === "table"
    ? [TABLE]
    : Array.from({ length: heads }, (_, h) => TABLE.toSpliced(0, 1, h));
  return {
    ...(sinks === null ? {} : { sinks: sinks.slice(0, heads) }),
    ...(distances === "slopes" ? { alibi: [0.5, 0, 0.0625, 1].slice(0, heads) } : {}),
    ...(distances === "table" || distances === "tables" ? { distances: { from: -3, values: tables } } : {}),
    ...(keepFirst === null ? {} : { keepFirst }),
    ...(biasBeforeSoftcap === null ? {} : { biasBeforeSoftcap }),
  };
});
