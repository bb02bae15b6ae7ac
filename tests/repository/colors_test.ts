// One set of colours: those of numbers and those of figures and pages each stand in one file, so that light and dark pages,
// figures, pictures and reports agree, and a change of one is a change of all.

import { assert, assertEquals } from "../../testing/assert.ts";

const ROOT = new URL("../../", import.meta.url);

/** Where colours are named. */
const SETS = ["src/display/color_scales.ts", "src/jupyter/figures/palette.ts"];
/** Folders whose files take theirs from there. The kernel stands apart, and imports nothing of them. */
const FOLDERS = ["bench/", "playground/", "src/", "studies/", "tools/"];
const APART = [
  "src/kernel/",
  // What these write stands alone in the output of a cell, with a colour or two.
  "src/jupyter/plotly_page.ts",
  "src/jupyter/progress_targets.ts",
  "src/jupyter/widgets/",
  // Generated.
  "src/jupyter/live/program.ts",
];

async function listFiles(): Promise<string[]> {
  const { stdout } = await new Deno.Command("git", {
    args: ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts", "*.js", "*.css", "*.html"],
    cwd: ROOT,
  }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((path) =>
    FOLDERS.some((folder) => path.startsWith(folder)) && !APART.some((start) => path.startsWith(start))
  );
}

/** The colours that a text names, as six digits. */
function colorsIn(text: string): string[] {
  return [...text.matchAll(/#[\da-f]{6}\b/gi)].map(([color]) => color);
}

Deno.test("colours: no file of figures and pages names one of its own", async () => {
  const found: string[] = [];
  for (const path of await listFiles()) {
    if (SETS.includes(path)) continue;
    const text = await Deno.readTextFile(new URL(path, ROOT)).catch((error) => {
      // Deleted, and git does not know yet.
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    });
    for (const color of colorsIn(text)) found.push(`${path} ${color}`);
  }
  assertEquals(found, []);
});

Deno.test("colours: the files that name them are read, and what names one is seen", async () => {
  const files = await listFiles();
  for (const path of SETS) {
    assert(files.includes(path), path);
    assert(colorsIn(await Deno.readTextFile(new URL(path, ROOT))).length > 10, path);
  }
  assertEquals(colorsIn('fill: "#0072B2", color: #fff0aa; id: #abcdefg'), ["#0072B2", "#fff0aa"]);
});
