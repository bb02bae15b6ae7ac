// Full suite: the compiler is a package of 100 megabytes.

import { compileKernels, MODULE, moduleSource } from "../../../tools/compile_wasm.ts";
import { assert } from "../../../testing/assert.ts";

Deno.test("the committed kernels are what the sources give", async () => {
  const source = moduleSource(await compileKernels("simd128"), await compileKernels("relaxed"));
  assert(source === await Deno.readTextFile(MODULE), "run `deno task wasm`");
});
