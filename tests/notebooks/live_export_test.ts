// Full suite: it drives nbconvert and a browser.
//
// A live figure all the way: a cell makes it in a real kernel, nbconvert makes a page of the notebook, and it lives there.

import { formatNotebook, type Notebook } from "../../tools/notebooks/document.ts";
import { executeNotebook } from "../../tools/notebooks/execute.ts";
import { assertEquals } from "../../testing/assert.ts";
import { needsBrowser, openBrowser, openPage } from "../../testing/pages.ts";
import { convert, requiresJupyter } from "../../testing/nbconvert.ts";
import { keepScreenshot } from "../../testing/screenshots.ts";

const needsJupyter = requiresJupyter();

/** Two cells, each with a figure. */
function notebook(): Notebook {
  const module = new URL("../../src/jupyter/mod.ts", import.meta.url).href;
  const figure = "liveAttention({ query: rows(1), key: rows(2), value: rows(3) })";
  const sources = [
    `import { liveAttention } from ${JSON.stringify(module)};
     const rows = (phase: number) => [0, 1, 2, 3].map((i) => [0, 1].map((c) => Math.sin(phase + 3 * i + c)));
     ${figure}`,
    figure,
  ];
  const cells = sources.map((source) => ({
    cell_type: "code",
    metadata: {},
    source,
    execution_count: null,
    outputs: [],
  }));
  return { cells, metadata: {}, nbformat: 4, nbformat_minor: 4 };
}

Deno.test({
  name: "live figures in a page that nbconvert exports: each lives, light as the page is",
  ignore: needsJupyter.ignore || needsBrowser.ignore,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const url = new URL(`file://${folder}/live.ipynb`);
      await Deno.writeTextFile(
        url,
        formatNotebook(await executeNotebook(notebook(), new URL(`file://${folder}/`))),
      );
      await convert(url, ["--to", "html"], async (file) => {
        await using browser = await openBrowser();
        const page = await openPage(browser, { colorScheme: "dark", viewport: { width: 1100, height: 900 } });
        const complaints: string[] = [];
        page.on("console", (message) => complaints.push(message.text()));
        page.on("pageerror", (error) => complaints.push(error.message));
        await page.route(/^https?:/, (route) => route.fulfill({ status: 200, body: "" }));
        await page.goto(file.href);
        const second = page.locator("[data-attune-live=ready]").nth(1);
        await second.waitFor();
        await second.locator(`input[name="edit"]`).fill("2");
        await second.locator(`data[data-name="pending"][value="1"]`).waitFor();
        assertEquals(
          await page.locator(`data[data-name="pending"][value="0"]`).count(),
          1,
          "the first stays",
        );
        assertEquals(await page.locator(".figure.dark").count(), 0, "nbconvert's page is light");
        await keepScreenshot(page, "live-nbconvert");
        assertEquals(complaints, []);
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
