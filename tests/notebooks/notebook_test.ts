// Full suite: it runs every notebook in a kernel, which takes minutes.
// Limit: 15 minutes.
//
// The notebooks run from top to bottom in a real kernel, without an error, and say what their committed outputs say: in
// the stock kernel over its own protocol, and with Jupyter in our kernel under nbconvert. Exported pages draw what the
// notebooks show.
//
// Where a notebook's data is missing, as it is on a bare machine, it runs on something made up and shows outputs of the same
// kinds.

import { differences } from "../../tools/notebooks/compare.ts";
import { formatNotebook, type Notebook, type Output, parseNotebook } from "../../tools/notebooks/document.ts";
import { executeNotebook } from "../../tools/notebooks/execute.ts";
import { missingData } from "../../tools/notebooks/local_data.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { needsBrowser, openBrowser, openPage } from "../../testing/pages.ts";
import { convert, requiresJupyter } from "../../testing/nbconvert.ts";
import { keepScreenshot } from "../../testing/screenshots.ts";

const NOTEBOOKS = new URL("../../notebooks/", import.meta.url);

/** The appendix computes for minutes; once is enough. */
const TWICE_TOO_LONG = "08_ways_compared.ipynb";

async function read(url: URL): Promise<Notebook> {
  return parseNotebook(await Deno.readTextFile(url));
}

const needsJupyter = requiresJupyter();

/** What a page is to draw, by what the outputs carry. */
function drawings({ cells }: Notebook): { figures: number; pictures: number; live: number } {
  const outputs = cells.flatMap(({ outputs = [] }) => outputs);
  const html = ({ data }: Output) => JSON.stringify((data as Record<string, unknown>)?.["text/html"] ?? "");
  const carries = (kind: string) => ({ data }: Output) => kind in ((data ?? {}) as Record<string, unknown>);
  return {
    figures: outputs.filter(carries("application/vnd.plotly.v1+json")).length,
    pictures: outputs.filter((output) => carries("image/png")(output) && html(output) === '""').length,
    live: outputs.filter((output) => html(output).includes("attune-live")).length,
  };
}

for (const { name } of [...Deno.readDirSync(NOTEBOOKS)].filter(({ name }) => name.endsWith(".ipynb"))) {
  const url = new URL(name, NOTEBOOKS);

  Deno.test(`notebook ${name}: every code cell is committed with its output, in the form of the task`, async () => {
    const committed = await read(url);
    const codeCells = committed.cells.filter(({ cell_type }) => cell_type === "code");
    for (const [at, cell] of codeCells.entries()) {
      assertEquals(cell.execution_count, at + 1);
      // A cell that imports what the next ones show has nothing to show itself.
      const imports = [cell.source].flat().join("").startsWith("import ");
      assert(imports || cell.outputs?.length, `code cell ${at + 1} shows nothing`);
      assertEquals((cell.outputs ?? []).filter(({ output_type }) => output_type === "error"), []);
    }
    assertEquals(formatNotebook(committed), await Deno.readTextFile(url), "run `deno task notebooks`");
  });

  Deno.test(`notebook ${name}: runs in a kernel and shows what is committed`, async () => {
    const committed = await read(url);
    const isMadeUp = await missingData(committed, NOTEBOOKS) !== null;
    assertEquals(differences(committed, await executeNotebook(committed, NOTEBOOKS), isMadeUp), []);
  });

  Deno.test({
    name: `notebook ${name}: runs in our kernel under nbconvert and shows what is committed`,
    ignore: needsJupyter.ignore || name === TWICE_TOO_LONG,
    fn: async () => {
      const committed = await read(url);
      const isMadeUp = await missingData(committed, NOTEBOOKS) !== null;
      await convert(url, ["--to", "notebook", "--execute"], async (file) => {
        assertEquals(differences(committed, await read(file), isMadeUp), []);
      });
    },
  });

  Deno.test({
    name: `notebook ${name}: its exported page draws, light and dark, with nothing to complain about`,
    ignore: needsJupyter.ignore || needsBrowser.ignore,
    fn: async () => {
      const expected = drawings(await read(url));
      await convert(url, ["--to", "html"], async (file) => {
        await using browser = await openBrowser();
        for (const colorScheme of ["light", "dark"] as const) {
          const page = await openPage(browser, { colorScheme, viewport: { width: 1100, height: 900 } });
          const complaints: string[] = [];
          page.on("console", (message) => {
            if (["error", "warning"].includes(message.type())) complaints.push(message.text());
          });
          page.on("pageerror", (error) => complaints.push(error.message));
          // nbconvert's own page asks for scripts from elsewhere, which a reader who is off line does not get.
          await page.route(/^https?:/, (route) => route.fulfill({ status: 200, body: "" }));
          await page.goto(file.href);
          const count = (selector: string) => page.locator(selector).count();
          const drawn = `document.querySelectorAll(".js-plotly-plot .main-svg").length`;
          if (expected.figures > 0) await page.waitForFunction(`${drawn} >= ${expected.figures}`);
          assert(await count(".js-plotly-plot") >= expected.figures);
          const empty = await page.evaluate(
            `[...document.images].filter((image) => image.naturalWidth === 0).length`,
          );
          assertEquals(empty, 0);
          assert(await count("img") >= expected.pictures);
          if (expected.live > 0) {
            await page.waitForFunction(
              `document.querySelectorAll("[data-attune-live=ready]").length === ${expected.live}`,
            );
          }
          await keepScreenshot(page, `${name}-${colorScheme}`);
          assertEquals(complaints, []);
          await page.close();
        }
      });
    },
  });
}
