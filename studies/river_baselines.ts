// `deno task baselines`: River's models on the data of the studies, in a virtual environment of Python that the
// task makes in report/river, which git ignores. What they reach is written to notebooks/data/river.json, which
// the notebooks and the documentation quote. No user needs it, nor Python.

import { parseArgs } from "node:util";
import { RATINGS_FILE } from "./recommendation/ratings.ts";

const FOLDER = new URL("./river/", import.meta.url);
const ENVIRONMENT = new URL("../report/river/", import.meta.url);
const BIRTHS = new URL("../notebooks/data/us-births-1969-1988.csv", import.meta.url);
const RESULTS = new URL("../notebooks/data/river.json", import.meta.url);

/** Runs a program to its end; its progress goes to standard error, and what it writes is returned. */
async function run(program: string, args: readonly string[]): Promise<string> {
  const { success, code, stdout } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`baselines: ${program} ${args.join(" ")} ended with ${code}, expected 0`);
  return new TextDecoder().decode(stdout);
}

async function exists(file: URL): Promise<boolean> {
  try {
    await Deno.stat(file);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The environment's Python, with what requirements.txt names. */
async function preparePython(): Promise<string> {
  const python = new URL("bin/python", ENVIRONMENT);
  if (!await exists(python)) await run("python3", ["-m", "venv", ENVIRONMENT.pathname]);
  const requirements = new URL("requirements.txt", FOLDER).pathname;
  await run(python.pathname, ["-m", "pip", "install", "--quiet", "--requirement", requirements]);
  return python.pathname;
}

async function results(python: string, script: string, data: URL): Promise<Record<string, unknown>> {
  return JSON.parse(await run(python, [new URL(script, FOLDER).pathname, data.pathname]));
}

const { values: { only } } = parseArgs({ args: Deno.args, options: { only: { type: "string" } } });
if (only !== undefined && only !== "births" && only !== "ratings") {
  throw new Error(`baselines: --only is "${only}", expected births or ratings`);
}
if (only !== "births" && !await exists(RATINGS_FILE)) {
  throw new Error("baselines: the ratings are missing, run `deno task ratings`, or give --only=births");
}
const before = await exists(RESULTS) ? JSON.parse(await Deno.readTextFile(RESULTS)) : {};
const python = await preparePython();
const kept = {
  python: (await run(python, ["-c", "import platform; print(platform.python_version())"])).trim(),
  births: only === "ratings" ? before.births : await results(python, "births.py", BIRTHS),
  ratings: only === "births" ? before.ratings : await results(python, "ratings.py", RATINGS_FILE),
};
await Deno.writeTextFile(RESULTS, `${JSON.stringify(kept, null, 2)}\n`);
console.log(`baselines: ${RESULTS.pathname}`);
