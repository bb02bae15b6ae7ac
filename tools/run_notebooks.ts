// `deno task notebooks`: runs every notebook in a real kernel and writes what the cells show back into it. With --check
// nothing is written; it fails when a notebook shows something else than what is committed. Names of notebooks may follow.
// A notebook whose data is missing is run and compared by the kinds of its outputs, and never written.

import { takeArguments } from "../studies/command_line.ts";
import { differences } from "./notebooks/compare.ts";
import { formatNotebook, parseNotebook } from "./notebooks/document.ts";
import { executeNotebook } from "./notebooks/execute.ts";
import { missingData } from "./notebooks/local_data.ts";

const FOLDER = new URL("../notebooks/", import.meta.url);

const { values: { check }, rest: wanted } = takeArguments({
  task: "notebooks",
  about: "Runs the notebooks in a real kernel and writes what they show.",
  options: { check: { type: "boolean", about: "only compare; nothing is written" } },
  rest: "NAME …",
});
/** A name with or without its folder and ending: what a shell completes is as good as the bare name. */
const stem = (name: string) => name.replace(/^.*\//, "").replace(/\.ipynb$/, "");
const isWanted = (name: string) => wanted.length === 0 || wanted.some((one) => stem(one) === stem(name));
const names = [...Deno.readDirSync(FOLDER)].map(({ name }) => name)
  .filter((name) => name.endsWith(".ipynb") && isWanted(name)).sort();

let failures = wanted.filter((name) => !names.some((found) => stem(found) === stem(name))).map((name) =>
  `${name} is not in notebooks/`
);
for (const name of names) {
  const url = new URL(name, FOLDER);
  const text = await Deno.readTextFile(url);
  try {
    const notebook = parseNotebook(text);
    const executed = await executeNotebook(notebook, FOLDER);
    const missing = await missingData(notebook, FOLDER);
    const found = differences(notebook, executed, missing !== null);
    if (missing !== null) console.log(`${name}: ${missing}, so only the kinds of outputs are compared`);
    if (check || missing !== null) {
      failures = failures.concat(found.map((sentence) => `${name}: ${sentence}`));
    } else if (formatNotebook(executed) !== text) await Deno.writeTextFile(url, formatNotebook(executed));
    console.log(
      `${name}: ${found.length === 0 ? "shows what is committed" : `${found.length} cells differ`}`,
    );
  } catch (error) {
    failures.push(`${name}: ${error instanceof Error ? error.message : error}`);
  }
}
for (const failure of failures) console.error(failure);
if (failures.length > 0) Deno.exit(1);
