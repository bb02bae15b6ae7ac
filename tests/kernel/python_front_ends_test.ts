// Full suite: it drives front ends of Jupyter.
//
// Front ends without a page, from PyPI: nbclient, papermill with parameters, jupyter_console.

import { assert, assertEquals } from "../../testing/assert.ts";
import { installKernel, jupyterHome, notebookOf } from "../../testing/kernel/notebook_server.ts";
import { findProgram, findPython, requires } from "../../testing/requirements.ts";

const REMEDY = "pip install --requirement .ci/python-packages.txt";
const papermill = findProgram("papermill"), jupyterConsole = findProgram("jupyter-console");
const python = findPython("nbclient");
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function inHome(work: (home: string) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir();
  try {
    await installKernel(home);
    await work(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** The outputs of a notebook's cells, as one text each. */
async function outputsOf(file: string): Promise<string[]> {
  const { cells } = JSON.parse(await Deno.readTextFile(file)) as { cells: { outputs: unknown[] }[] };
  return cells.map(({ outputs }) => JSON.stringify(outputs ?? []));
}

Deno.test({
  name: "front ends: nbclient runs a notebook, and loses none of 100,000 lines",
  ...requires("nbclient", python, REMEDY),
  fn: () =>
    inHome(async (home) => {
      await Deno.writeTextFile(
        `${home}/x.ipynb`,
        notebookOf(`for (let i = 0; i < 100_000; i++) console.log("line", i); "the end"`, `"B"`),
      );
      const program = `import nbformat, nbclient
book = nbformat.read("${home}/x.ipynb", 4)
nbclient.NotebookClient(book, timeout=120, kernel_name="attune").execute()
nbformat.write(book, "${home}/y.ipynb")`;
      const { success, stderr } = await new Deno.Command(python as string, {
        args: ["-c", program],
        env: jupyterHome(home),
      }).output();
      assert(success, text(stderr));
      const [first, second] = await outputsOf(`${home}/y.ipynb`);
      assertEquals([first.match(/line \d+/g)?.length, first.includes("the end")], [100_000, true]);
      assert(second.includes("B") && !second.includes("line"));
    }),
});

Deno.test({
  name: "front ends: papermill runs a notebook with parameters",
  ...requires("papermill", papermill, REMEDY),
  fn: () =>
    inHome(async (home) => {
      const book = JSON.parse(notebookOf('var days = 1, name = "none";', "[days * 2, name].join()"));
      book.cells[0].metadata = { tags: ["parameters"] };
      await Deno.writeTextFile(`${home}/x.ipynb`, JSON.stringify(book));
      // papermill writes parameters in languages that it knows; what it writes for C# is JavaScript too.
      const { success, stderr } = await new Deno.Command(papermill as string, {
        args: [
          ...["-k", "attune", "-l", ".net-csharp", "-p", "days", "21", "-p", "name", "forty-two"],
          ...[`${home}/x.ipynb`, `${home}/y.ipynb`],
        ],
        env: jupyterHome(home),
      }).output();
      assert(success, text(stderr));
      assert((await outputsOf(`${home}/y.ipynb`))[2].includes("42,forty-two"));
    }),
});

Deno.test({
  name: "front ends: jupyter console evaluates lines",
  ...requires("jupyter console", jupyterConsole, REMEDY),
  fn: () =>
    inHome(async (home) => {
      const child = new Deno.Command(jupyterConsole as string, {
        args: ["--kernel=attune", "--simple-prompt"],
        env: jupyterHome(home),
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(`const kept: number = 41\n`));
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await writer.write(new TextEncoder().encode(`kept + 1\n`));
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await writer.write(new TextEncoder().encode(`throw new RangeError("seen")\n`));
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await writer.close();
      const { stdout, stderr } = await child.output();
      const said = text(stdout) + text(stderr);
      assert(/Out\[2\]: .*42/.test(said) && said.includes("RangeError: seen"), said);
    }),
});
