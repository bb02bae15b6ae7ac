// Full suite: it drives a notebook server and a browser.
//
// `deno task notebook`: Jupyter opens with a Deno kernel in which a notebook runs, and without Jupyter one line says how to
// get it. Nothing outside of a folder of its own is written.

import { fileURLToPath } from "node:url";
import { parseNotebook } from "../../tools/notebooks/document.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { needsBrowser, openBrowser, openPage } from "../../testing/pages.ts";
import { findProgram, requires } from "../../testing/requirements.ts";
import { denoFolder, startJupyter } from "../../testing/jupyter_server.ts";
import { keepScreenshot } from "../../testing/screenshots.ts";

const OPEN = new URL("../../notebooks/open.ts", import.meta.url);
const NOTEBOOK = new URL("../../notebooks/01_quickstart.ipynb", import.meta.url);
const SWITCHES = ["run", "--quiet", "--allow-run", "--allow-read", fileURLToPath(OPEN)];

const LIVE = `import { liveAttention } from "../src/jupyter/mod.ts";
const words = "the cat sat on the mat".split(" ");
const turn = (phase: number) => words.map((_, i) => [0, 1, 2, 3].map((c) => 2 * Math.sin(phase * (i + 1) * (c + 1))));
liveAttention({ query: turn(1), key: turn(2), value: turn(3), labels: words, title: "Alive in a notebook" })`;

const needsNotebook = requires(
  "jupyter notebook",
  findProgram("jupyter-notebook"),
  "apt-get install jupyter-notebook",
);

Deno.test("notebook task: without Jupyter one line says how to get it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: SWITCHES,
      env: { PATH: folder, HOME: folder, DENO_DIR: denoFolder() },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assertEquals([code, text(stdout)], [1, ""]);
    assertEquals(
      text(stderr),
      "Jupyter is missing: get it with `apt-get install jupyter-notebook` or `pip install notebook`\n",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name: "notebook task: a notebook runs in Jupyter's own page",
  ignore: needsNotebook.ignore || needsBrowser.ignore,
  fn: async () => {
    const home = await Deno.makeTempDir();
    try {
      await using server = await startJupyter(Deno.execPath(), {
        args: [...SWITCHES, "--no-browser", "--allow-root", "--ip=127.0.0.1"],
        env: {
          HOME: home,
          DENO_DIR: denoFolder(),
          JUPYTER_CONFIG_DIR: `${home}/config`,
          JUPYTER_DATA_DIR: `${home}/.local/share/jupyter`,
          JUPYTER_RUNTIME_DIR: `${home}/runtime`,
          NO_COLOR: "1",
        },
      });
      const { address } = server;
      await using browser = await openBrowser();
      const page = await openPage(browser, { viewport: { width: 1100, height: 900 } });
      await page.goto(`${address.origin}/notebooks/01_quickstart.ipynb${address.search}`);
      await page.waitForFunction("globalThis.Jupyter?.notebook?.kernel?.is_connected()");
      // The file in the repository stays as it is.
      await page.evaluate("Jupyter.notebook.set_autosave_interval(0)");
      await page.evaluate("Jupyter.notebook.clear_all_output(); Jupyter.notebook.execute_all_cells()");
      const { cells } = parseNotebook(await Deno.readTextFile(NOTEBOOK));
      const last = cells.filter(({ cell_type }) => cell_type === "code").length;
      const promptOf = `[...document.querySelectorAll(".code_cell .input_prompt")].at(-1).textContent`;
      await page.waitForFunction(`${promptOf}.includes("[${last}]")`);
      await page.waitForFunction(`document.querySelectorAll("[data-attune-figure]").length > 0`);
      const shown = await page.locator(".output_text").first().textContent();
      assert(shown?.includes("10000 words of 100 numbers"), String(shown));
      assertEquals(await page.locator(".output_error").count(), 0);
      await keepScreenshot(page, "notebook-6");
      // One more cell, which is not saved, with a figure that lives.
      await page.evaluate(`
        const cell = Jupyter.notebook.insert_cell_at_bottom("code");
        cell.set_text(${JSON.stringify(LIVE)});
        cell.execute();
        cell.element[0].scrollIntoView();`);
      const figure = page.locator("[data-attune-live=ready]");
      await figure.waitFor();
      await figure.locator(`input[name="edit"]`).fill("2");
      await figure.locator(`data[data-name="pending"][value="1"]`).waitFor();
      assertEquals(await figure.locator(".figure.dark").count(), 0);
      await keepScreenshot(page, "notebook-6-live");
      assertEquals((await server.shutDown()).code, 0);
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});
