// `deno task locks`: writes the lock files anew, each with the packages from npm that its commands need and no other.
// `deno task` fetches all that the configuration's own lock file and imports name before it runs anything, so the
// configuration has neither, and every task that needs packages names its lock file. With --check nothing is written;
// it fails when a package is not locked.

import { takeArguments } from "../studies/command_line.ts";
import { findTestFiles } from "./test/test_files.ts";

const ROOT = new URL("../", import.meta.url);

/** The modules that decide what a lock file holds. */
export async function lockedModules(): Promise<Readonly<Record<string, readonly string[]>>> {
  const tests = await findTestFiles(ROOT);
  const quick = tests.filter(({ fullSuite }) => fullSuite === null);
  const paths = (files: typeof tests) =>
    files.flatMap(({ args }) => args.filter((arg) => arg.endsWith(".ts") && !arg.startsWith("-")));
  return {
    start: ["studies/start.ts", "studies/learn.ts", "studies/readers.ts"],
    ratings: ["tools/fetch_ratings.ts"],
    kernel: ["src/kernel/main.ts"],
    test: paths(quick),
    development: [
      ...paths(tests),
      ...["bench/main.ts", "studies/draw_figures.ts", "tools/compile_wasm.ts", "tools/site.ts"],
      ...["tools/kernel_table.ts", "tools/measure_tree.ts", "notebooks/open.ts"],
      ...["tools/site/pages/search_program.ts"],
      ...["tools/mutate/main.ts", "tools/search_bounds.ts"],
    ],
  };
}

if (import.meta.main) {
  const { values: { check } } = takeArguments({
    task: "locks",
    about: "Writes the lock files anew, each with what its commands need.",
    options: { check: { type: "boolean", about: "only compare" } },
  });
  for (const [name, modules] of Object.entries(await lockedModules())) {
    const lock = `locks/${name}.lock`;
    if (!check) await Deno.remove(new URL(lock, ROOT)).catch(() => {});
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: ["cache", "--quiet", ...check ? ["--frozen"] : [], `--lock=${lock}`, ...modules],
      cwd: ROOT,
    }).output();
    if (success) continue;
    console.error(`${lock} is not what the sources need: run \`deno task locks\``);
    Deno.exit(1);
  }
}
