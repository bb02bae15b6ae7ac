// Full suite: it drives front ends of Jupyter.
//
// Our kernel under the front ends that are installed: nothing is lost under nbconvert, and Jupyter's own client is content.
// `ATTUNE_LONG=1` asks for 2,000 outputs.

import { assert, assertEquals } from "../../testing/assert.ts";
import { findProgram, requires } from "../../testing/requirements.ts";
import { installKernel, jupyterHome, notebookOf } from "../../testing/kernel/notebook_server.ts";

const nbconvert = findProgram("jupyter-nbconvert");
const needsNbconvert = requires("jupyter nbconvert", nbconvert, "apt-get install jupyter-nbconvert");
const jupyter = findProgram("jupyter");
const needsClient = requires("jupyter", jupyter, "apt-get install jupyter-client");
const CHECKS = new URL("../../testing/kernel/jupyter_client_checks.py", import.meta.url).pathname;
const isLong = Deno.env.get("ATTUNE_LONG") === "1";

const OUTPUTS_PER_CELL = 10;
/** Every so manieth cell shows a megabyte among its outputs. */
const LARGE_EVERY = 20;

/** A cell that shows its outputs in all the usual ways, and ends at once. */
function cellOf(cell: number): string {
  const mark = (at: number) => `mark-${cell}-${at}.`;
  const large = cell % LARGE_EVERY === 0 ? " + 'x'.repeat(2 ** 20)" : "";
  const lines = [
    `console.log("${mark(0)}"${large})`,
    `console.error("${mark(1)}")`,
    `Deno.jupyter.display({ "text/plain": "${mark(2)}"${large} }, { raw: true })`,
    `await Deno.jupyter.display({ "text/plain": "${mark(3)}" }, { raw: true })`,
    `setTimeout(() => console.log("${mark(4)}"), 1); await new Promise((resolve) => setTimeout(resolve, 5))`,
    ...[5, 6, 7].map((at) =>
      `Deno.jupyter.broadcast("display_data", { data: { "text/plain": "${mark(at)}" }, metadata: {} })`
    ),
    `Deno.stdout.writeSync(new TextEncoder().encode("${mark(8)}\\n"))`,
  ];
  return `${lines.join(";\n")};\n"${mark(9)}"`;
}

Deno.test({
  name: "front ends: no output is lost under nbconvert, megabytes among them",
  ...needsNbconvert,
  fn: async () => {
    const home = await Deno.makeTempDir();
    try {
      await installKernel(home);
      const cells = (isLong ? 2000 : 200) / OUTPUTS_PER_CELL;
      await Deno.writeTextFile(
        `${home}/x.ipynb`,
        notebookOf(...Array.from({ length: cells }, (_, at) => cellOf(at))),
      );
      const { success, stderr } = await new Deno.Command(nbconvert as string, {
        args: [
          "--execute",
          "--to",
          "notebook",
          "--output",
          "y",
          "--ExecutePreprocessor.timeout=300",
          `${home}/x.ipynb`,
        ],
        env: jupyterHome(home),
        stdout: "null",
      }).output();
      assert(success, new TextDecoder().decode(stderr));
      const notebook: { cells: { outputs: unknown[] }[] } = JSON.parse(
        await Deno.readTextFile(`${home}/y.ipynb`),
      );
      const lost = notebook.cells.flatMap(({ outputs }, cell) => {
        const text = JSON.stringify(outputs);
        return Array.from({ length: OUTPUTS_PER_CELL }, (_, at) => `mark-${cell}-${at}.`).filter((mark) =>
          !text.includes(mark)
        );
      });
      console.log(`${cells * OUTPUTS_PER_CELL} outputs, ${lost.length} lost`);
      assertEquals(lost, []);
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});

Deno.test({
  name: "front ends: Jupyter's own client starts, stops, restarts and ends it",
  ...needsClient,
  fn: async () => {
    const home = await Deno.makeTempDir();
    try {
      await installKernel(home, "--name=checked");
      // The Python that Jupyter runs with has its client.
      const python = (await Deno.readTextFile(jupyter as string)).split("\n")[0].replace(/^#!\s*/, "");
      const { success, stdout, stderr } = await new Deno.Command(python, {
        args: [CHECKS, "checked"],
        env: jupyterHome(home),
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assert(success, text(stdout) + text(stderr));
      const names = ["kernel_info", "execute", "error", "stdin", "interrupt", "restart", "shutdown"];
      assertEquals(text(stdout).trim().split("\n"), names.map((name) => `ok ${name}`));
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});
