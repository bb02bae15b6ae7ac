// The notebooks teach: what a cell shows can be pasted into a script, is read without a bar to scroll, and comes as
// a figure, a table or a sentence.

import { parse } from "../../tools/packages/babel_parser.ts";
import { type Cell, type Notebook, parseNotebook, sourceOf } from "../../tools/notebooks/document.ts";
import { assert, assertEquals, assertGreater } from "../../testing/assert.ts";

const NOTEBOOKS = new URL("../../notebooks/", import.meta.url);
const LONGEST_LINE = 90;
/** The appendix is made of studies of this repository, and says so. */
const STUDIES = ["08_ways_compared.ipynb"];

const names = [...Deno.readDirSync(NOTEBOOKS)].map(({ name }) => name).filter((name) =>
  name.endsWith(".ipynb")
)
  .sort();
const notebooks = await Promise.all(names.map(async (name): Promise<[name: string, notebook: Notebook]> => {
  return [name, parseNotebook(await Deno.readTextFile(new URL(name, NOTEBOOKS)))];
}));
const codeOf = ({ cells }: Notebook) =>
  cells.filter(({ cell_type }) => cell_type === "code").map((cell) => ({ cell, source: sourceOf(cell) }));
const shows = ({ outputs = [] }: Cell) => outputs.some(({ output_type }) => output_type === "execute_result");

/** Where a cell imports from. */
function importsOf(source: string): string[] {
  const { program } = parse(source, {
    sourceType: "module",
    plugins: ["typescript"],
    errorRecovery: true,
    allowAwaitOutsideFunction: true,
  });
  return program.body.flatMap((node) => node.type === "ImportDeclaration" ? [node.source.value] : []);
}

Deno.test("notebooks import the library by its name, and nothing that a reader does not have", () => {
  assertGreater(notebooks.length, 7);
  for (const [name, notebook] of notebooks) {
    const specifiers = codeOf(notebook).flatMap(({ source }) => importsOf(source));
    assert(specifiers.some((specifier) => specifier.startsWith("@attune/attention")), name);
    if (STUDIES.includes(name)) continue;
    const others = specifiers.filter((specifier) => !/^@attune\/attention(\/\w+)?$/.test(specifier));
    assertEquals(others, [], name);
  }
});

Deno.test("no line of a cell is longer than a page is wide", () => {
  const long = notebooks.flatMap(([name, notebook]) =>
    codeOf(notebook).flatMap(({ source }) =>
      source.split("\n").filter((line) => line.length > LONGEST_LINE).map((line) => `${name}: ${line}`)
    )
  );
  assertEquals(long, []);
});

Deno.test("a cell that shows its last value does not end in a semicolon, and none prints a table of characters", () => {
  for (const [name, notebook] of notebooks) {
    for (const { cell, source } of codeOf(notebook)) {
      assert(!source.includes("console.table"), `${name}: ${source.slice(0, 60)}`);
      if (shows(cell)) assert(!source.trimEnd().endsWith(";"), `${name}: …${source.slice(-60)}`);
    }
  }
});

Deno.test("a notebook begins with its takeaway, and ends with what does not pay", () => {
  for (const [name, { cells }] of notebooks) {
    assert(sourceOf(cells[0]).includes("**Takeaway: "), name);
    if (STUDIES.includes(name)) continue;
    const headings = cells.filter(({ cell_type }) => cell_type === "markdown")
      .flatMap((cell) => sourceOf(cell).match(/^## .*$/gm) ?? []);
    assertEquals(headings[headings.length - 1], "## What does not pay", name);
  }
});
