// `deno task live`: bundles the program of the live figure and writes it where the library loads it from. With --check nothing
// is written; it fails when what is committed is not what the sources give.

import { parseArgs } from "node:util";
import { liveProgramSource, PROGRAM_MODULE, unpackedProgram } from "./live_program.ts";

const { check } = parseArgs({ args: Deno.args, options: { check: { type: "boolean" } } }).values;
const { text, source } = await liveProgramSource();
if (!check) {
  await Deno.writeTextFile(PROGRAM_MODULE, source);
  console.log(`${text.length} letters of program, ${source.length} of module`);
} else if (text !== await unpackedProgram()) {
  console.error("src/jupyter/live/program.ts is not what the sources give: run `deno task live`");
  Deno.exit(1);
}
