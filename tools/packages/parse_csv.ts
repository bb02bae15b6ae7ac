// Reads comma-separated values. `deno-std` is a mirror of Deno's standard library on npm.

export { parse } from "npm:deno-std@1.4.0/csv/parse.js";
