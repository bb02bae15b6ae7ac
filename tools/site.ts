// `deno task site`: writes the playground, the documentation and the API reference into site/, a folder that any static host
// serves, and that opens from a file too.
// --notebooks=ADDRESS links to notebooks that are elsewhere instead of putting them into the folder.

import { takeArguments } from "../studies/command_line.ts";
import { buildSite } from "./site/build.ts";
import { buildPages } from "./site/pages/build.ts";

const FOLDER = new URL("../site/", import.meta.url);

const { values: { notebooks } } = takeArguments({
  task: "site",
  about: "Writes playground, guide and API reference into site/, a folder for any static host.",
  options: {
    notebooks: {
      type: "string",
      value: "ADDRESS",
      about: "link to notebooks that are elsewhere; copied unless given",
    },
  },
});
const address = notebooks === undefined || notebooks.endsWith("/") ? notebooks : `${notebooks}/`;
const files = await buildSite(address === undefined ? {} : { notebooks: address });
for (const [path, bytes] of await buildPages()) files.set(path, bytes);
await Deno.remove(FOLDER, { recursive: true }).catch((error) => {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
});
for (const [path, bytes] of files) {
  const file = new URL(path, FOLDER);
  await Deno.mkdir(new URL(".", file), { recursive: true });
  await Deno.writeFile(file, bytes);
}
const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
console.log(
  `site/index.html: ${Math.round(files.get("index.html")!.length / 1000)} kB with all that it needs; ${
    files.size - 1
  } files ` +
    `beside it, ${(bytes / 1e6).toFixed(1)} MB in all`,
);
