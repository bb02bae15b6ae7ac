// Full suite: it computes all that the notebooks compute.
// Limit: 15 minutes.
//
// The cells of a notebook, one below the other, are a script that runs in a project with the library's names alone. Only
// what names the kernel itself, `Deno.jupyter`, is left out.

import { assertEquals, assertGreater } from "../../testing/assert.ts";
import { parseNotebook, sourceOf } from "../../tools/notebooks/document.ts";
import { ConsumerProject } from "../consumers/project.ts";

const NOTEBOOKS = new URL("../../notebooks/", import.meta.url);
/** The appendix is made of studies of this repository. */
const APPENDIX = "08_ways_compared.ipynb";
/** A call that shows something where the kernel is told to. */
const KERNEL_CALL = /^await Deno\.jupyter\.display\((?:.*|[^]*?\n)\);$/gm;

const names = [...Deno.readDirSync(NOTEBOOKS)].map(({ name }) => name)
  .filter((name) => name.endsWith(".ipynb") && name !== APPENDIX).sort();

Deno.test("there are notebooks to paste", () => assertGreater(names.length, 7));

for (const name of names) {
  Deno.test(`notebook ${name}: its cells are a script that runs`, async () => {
    const { cells } = parseNotebook(await Deno.readTextFile(new URL(name, NOTEBOOKS)));
    const script = cells.filter(({ cell_type }) => cell_type === "code").map(sourceOf).join("\n\n")
      .replace(KERNEL_CALL, "");
    await using project = await ConsumerProject.create({ "script.ts": script });
    await Deno.symlink(new URL("data", NOTEBOOKS), `${project.folder}/data`);
    const { code, stderr } = await project.deno("run", "--quiet", "--allow-all", "script.ts");
    assertEquals([code, code === 0 ? "" : stderr], [0, ""]);
  });
}
