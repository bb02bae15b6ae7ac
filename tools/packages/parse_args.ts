// Reads command lines. `deno-std` is a mirror of Deno's standard library on npm.

export { parseArgs } from "npm:deno-std@1.4.0/cli/parse_args.js";
