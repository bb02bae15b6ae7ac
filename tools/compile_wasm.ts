// Compiles the kernels and writes them where the library loads them from. With --check nothing is written; it fails
// when what is committed is not what the sources give.

import { parseArgs } from "node:util";
import { compileKernels, MODULE, moduleSource } from "./wasm_sources.ts";

const { check } = parseArgs({ args: Deno.args, options: { check: { type: "boolean" } } }).values;
const source = moduleSource(await compileKernels("simd128"), await compileKernels("relaxed"));
if (!check) await Deno.writeTextFile(MODULE, source);
else if (source !== await Deno.readTextFile(MODULE)) {
  console.error("src/backends/wasm/module.ts is not what the sources give: run `deno task wasm`");
  Deno.exit(1);
}
