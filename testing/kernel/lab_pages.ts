// Notebooks in the pages of JupyterLab 4 and of Notebook 7: a server, a browser, and cells that are run and read.

import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { BROWSER_SWITCHES } from "../../studies/browser.ts";
import { findProgram, requires } from "../requirements.ts";
import { notebookOf, type NotebookServer, startLabServer } from "./notebook_server.ts";

const browserPath = findProgram("chromium", "google-chrome", "chrome");
const lab = findProgram("jupyter-lab");
const needsLab = requires("JupyterLab 4", lab, "pip install --requirement .ci/python-packages.txt");
const needsBrowser = requires("chromium", browserPath, "apt-get install chromium");
/** Notebook 7 is in the same environment; another one may go first on the path. */
const notebook = lab?.replace(/jupyter-lab$/, "jupyter-notebook");

/** A notebook in a front end. */
export interface LabPage {
  readonly kind: "lab" | "notebook";
  readonly server: NotebookServer;
  readonly browser: Browser;
  readonly page: Page;
}

/** Tests a notebook of some cells in both front ends, in pages of this height. */
export function testInLabs(
  what: string,
  cells: readonly string[],
  height: number,
  run: (t: Deno.TestContext, lab: LabPage) => Promise<void>,
): void {
  for (
    const [kind, name, program] of [["lab", "JupyterLab 4", lab], [
      "notebook",
      "Notebook 7",
      notebook,
    ]] as const
  ) {
    Deno.test({
      name: `${name}: ${what}`,
      ignore: needsLab.ignore || needsBrowser.ignore,
      fn: async (t) => {
        await using server = await startLabServer(program as string, kind);
        await using browser = await chromium.launch({
          executablePath: browserPath as string,
          args: [...BROWSER_SWITCHES],
        });
        const page = await browser.newPage({ viewport: { width: 1200, height } });
        page.setDefaultTimeout(90_000);
        await Deno.writeTextFile(`${server.home}/x.ipynb`, notebookOf(...cells));
        await run(t, { kind, server, browser, page });
      },
    });
  }
}

/** The cell with this number. */
export function cellOf(page: Page, at: number): Locator {
  return page.locator(".jp-Notebook .jp-CodeCell").nth(at);
}

/** Runs the cell with this number, which must be in view. */
export async function runCell(page: Page, at: number): Promise<void> {
  const cell = cellOf(page, at);
  await cell.scrollIntoViewIfNeeded();
  await cell.locator(".cm-content").click();
  await page.keyboard.press("Control+Enter");
}

/** Waits until a text stands in the outputs of a cell. */
export async function outputs(page: Page, at: number, text: string | RegExp): Promise<void> {
  await cellOf(page, at).locator(".jp-OutputArea").getByText(text).first().waitFor({ timeout: 90_000 });
}

/** Opens the notebook and runs its first cell. */
export async function openNotebook({ server, page }: LabPage): Promise<void> {
  await server.open(page, "x.ipynb");
  // What is run before the page is connected to the kernel is not run at all.
  await page.waitForTimeout(3000);
  for (let attempt = 0; attempt < 10; attempt++) {
    await runCell(page, 0);
    const prompt = cellOf(page, 0).locator(".jp-InputPrompt").filter({ hasText: /\[\d+\]:/ });
    if (await prompt.waitFor({ timeout: 8_000 }).then(() => true, () => false)) return;
  }
  throw new Error("the first cell did not run");
}
