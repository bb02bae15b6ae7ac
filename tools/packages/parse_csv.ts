// Reads comma-separated values. `deno-std` is a mirror of Deno's standard library on npm, which ships no types.

// deno-lint-ignore no-import-prefix -- this is the module that names it.
import { parse } from "npm:deno-std@1.4.0/csv/parse.js";

/** The rows of a table, the first one included, as texts. */
export const parseCsv: (text: string) => string[][] = (text) => parse(text);
