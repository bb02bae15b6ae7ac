// What an import of the library loads stays small: learning, files and applications come from entries of their own or
// on demand.

import { loadedModules } from "../../bench/fresh/fresh_start.ts";
import { assert, assertEquals } from "../../testing/assert.ts";

Deno.test("an import of mod.ts loads less than 200 kB of source, and nothing that it does without", async () => {
  const modules = await loadedModules();
  const bytes = modules.reduce((sum, { size }) => sum + size, 0);
  assert(bytes > 100_000, `${bytes} bytes: the graph was not found`);
  assert(bytes < 200_000, `${bytes} bytes`);
  const onDemand = /\/src\/(learning|store|experiments|jupyter|kernel)\/|engine_snapshot/;
  assertEquals(modules.map(({ specifier }) => specifier).filter((specifier) => onDemand.test(specifier)), []);
});
