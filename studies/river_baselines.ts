// `deno task baselines`: River's models on the data of the studies, in a virtual environment of Python that the
// task makes in report/river, which git ignores. What they reach is written to notebooks/data/river.json, which
// the notebooks and the documentation quote. No user needs it, nor Python.

import { takeArguments } from "./command_line.ts";
import { preparePython, runProgram } from "./python_environment.ts";
import { RATINGS_FILE } from "./recommendation/ratings.ts";

const FOLDER = new URL("./river/", import.meta.url);
const ENVIRONMENT = new URL("../report/river/", import.meta.url);
const BIRTHS = new URL("../notebooks/data/us-births-1969-1988.csv", import.meta.url);
const RESULTS = new URL("../notebooks/data/river.json", import.meta.url);

async function exists(file: URL): Promise<boolean> {
  try {
    await Deno.stat(file);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function results(python: string, script: string, data: URL): Promise<Record<string, unknown>> {
  return JSON.parse(await runProgram(python, [new URL(script, FOLDER).pathname, data.pathname]));
}

const { values: { only } } = takeArguments({
  task: "baselines",
  about: "What River's models reach on the births and the ratings. Needs Python.",
  options: { only: { type: "string", value: "NAME", about: "births or ratings; both unless given" } },
});
if (only !== undefined && only !== "births" && only !== "ratings") {
  throw new Error(`baselines: --only is "${only}", expected births or ratings`);
}
if (only !== "births" && !await exists(RATINGS_FILE)) {
  throw new Error("baselines: the ratings are missing, run `deno task ratings`, or give --only=births");
}
const before = await exists(RESULTS) ? JSON.parse(await Deno.readTextFile(RESULTS)) : {};
const python = await preparePython(ENVIRONMENT, new URL("requirements.txt", FOLDER));
const kept = {
  python: (await runProgram(python, ["-c", "import platform; print(platform.python_version())"])).trim(),
  births: only === "ratings" ? before.births : await results(python, "births.py", BIRTHS),
  ratings: only === "births" ? before.ratings : await results(python, "ratings.py", RATINGS_FILE),
};
await Deno.writeTextFile(RESULTS, `${JSON.stringify(kept, null, 2)}\n`);
console.log(`baselines: ${RESULTS.pathname}`);
