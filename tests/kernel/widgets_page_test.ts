// Full suite: it drives a notebook server and a browser.
//
// Widgets in Jupyter's own page: what the reader moves in the browser changes what the kernel computes.

import { chromium, type Page } from "playwright-core";
import { BROWSER_SWITCHES } from "../../studies/browser.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { findProgram, requires } from "../../testing/requirements.ts";
import { keepScreenshot } from "../../testing/screenshots.ts";
import { notebookOf, startNotebookServer } from "../../testing/kernel/notebook_server.ts";

const browserPath = findProgram("chromium", "google-chrome", "chrome");
const needsNotebook = requires(
  "jupyter notebook",
  findProgram("jupyter-notebook"),
  "apt-get install jupyter-notebook python3-ipywidgets",
);
const needsBrowser = requires("chromium", browserPath, "apt-get install chromium");

const PREPARE = `import { DynamicAttention } from "@attune/attention";
import { button, liveFigure, select, setWidgetProtocol, slider, toggle } from "@attune/attention/widgets";
const live = await DynamicAttention.create({ query: [[1, 0], [0, 1]], key: [[1, 0], [0, 1], [1, 1]], value: [[10], [20], [30]] });
const shown = { slider: 0, select: "", toggle: false, button: 0 };`;
const CONTROLS = `const strength = slider({ label: "strength", min: -5, max: 5, step: 0.5, value: 0 });
let before = 0;
strength.onChange(async (value) => {
  live.addToKey(0, 0, value - before);
  before = shown.slider = value;
  console.log("first output", (await live.readEntry(0, 0)).toFixed(3));
});
strength`;
const OTHERS = `const choice = select(["one", "<b>two</b>", "three"], { label: "choice" });
choice.onChange((value) => void (shown.select = value));
const flag = toggle("flag"), press = button("press <i>me</i>");
flag.onChange((value) => void (shown.toggle = value));
press.onChange((value) => void (shown.button = value));
await choice.show(); await flag.show(); await press.show();`;

/** Runs the cells up to the given number and waits for that one's. */
async function runAll(page: Page, count: number): Promise<void> {
  await page.evaluate("Jupyter.notebook.execute_all_cells()");
  await page.waitForFunction(
    `[...document.querySelectorAll(".code_cell .input_prompt")].at(${
      count - 1
    })?.textContent.includes("[${count}]")`,
    null,
    { timeout: 60_000 },
  );
}

/** Runs code in the kernel from the page, and gives what it shows. */
async function evaluate(page: Page, code: string): Promise<string> {
  return await page.evaluate(async (code) => {
    const { kernel } = Reflect.get(Reflect.get(globalThis, "Jupyter"), "notebook");
    return await new Promise<string>((resolve) => {
      let shown = "";
      const output = (message: { content: { text?: string } }) => shown += message.content.text ?? "";
      const reply = () => setTimeout(() => resolve(shown.trim()), 200);
      kernel.execute(`console.log(${code})`, { iopub: { output }, shell: { reply } }, { silent: false });
    });
  }, code);
}

Deno.test({
  name: "widgets: a slider that is moved in the page changes what the kernel computes",
  ignore: needsNotebook.ignore || needsBrowser.ignore,
  fn: async (t) => {
    await using server = await startNotebookServer();
    await using browser = await chromium.launch({
      executablePath: browserPath as string,
      args: [...BROWSER_SWITCHES],
    });
    const page = await browser.newPage({ viewport: { width: 1100, height: 1000 } });
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(error.message));
    page.setDefaultTimeout(30_000);

    await t.step("the controls of ipywidgets", async () => {
      await Deno.writeTextFile(`${server.home}/controls.ipynb`, notebookOf(PREPARE, CONTROLS, OTHERS));
      await server.open(page, "controls.ipynb");
      await runAll(page, 3);
      const handle = page.locator(".ui-slider-handle").first();
      await handle.waitFor();
      await keepScreenshot(page, "widgets-before");
      const exactBefore = await evaluate(page, "await live.readEntry(0, 0)");
      await handle.focus();
      for (let press = 0; press < 4; press++) await handle.press("ArrowRight");
      await page.waitForFunction(`document.body.textContent.includes("first output")`);
      await keepScreenshot(page, "widgets-after");
      assertEquals(await evaluate(page, "shown.slider"), "2");
      assert(await evaluate(page, "await live.readEntry(0, 0)") !== exactBefore);
      await page.selectOption(".widget-subarea select", { label: "<b>two</b>" });
      await page.locator(".widget-toggle-button").click();
      const press = page.locator(".widget-subarea .widget-button:not(.widget-toggle-button)");
      await press.click();
      await press.click();
      await page.waitForTimeout(500);
      assertEquals(
        await evaluate(page, "JSON.stringify(shown)"),
        '{"slider":2,"select":"<b>two</b>","toggle":true,"button":2}',
      );
      await evaluate(page, "(strength.value = -1.5, choice.value = 'three')");
      await page.waitForFunction(
        `[...document.querySelectorAll(".widget-subarea select")].some((list) => list.value.includes("three") || list.selectedOptions[0]?.textContent === "three")`,
      );
      await keepScreenshot(page, "widgets-set");
    });

    await t.step("a live figure", async () => {
      await Deno.writeTextFile(
        `${server.home}/figure.ipynb`,
        notebookOf(PREPARE, "const figure = await liveFigure(live, { threshold: 3 });\nfigure"),
      );
      await server.open(page, "figure.ipynb");
      await runAll(page, 2);
      const picture = page.locator('img[src^="data:image/svg+xml"]').first();
      await picture.waitFor();
      const before = await picture.getAttribute("src");
      const move = page.locator(".ui-slider-handle").nth(1);
      await move.focus();
      for (let press = 0; press < 5; press++) await move.press("ArrowRight");
      await page.waitForFunction(
        `document.querySelector('img[src^="data:image/svg+xml"]')?.src !== ${JSON.stringify(before)}`,
      );
      await page.waitForTimeout(500);
      await keepScreenshot(page, "widgets-figure");
      assert(Number(await evaluate(page, "live.stats().edits")) >= 1);
    });

    await t.step("our own front end, by the protocol of anywidget", async () => {
      await Deno.writeTextFile(
        `${server.home}/own.ipynb`,
        notebookOf(PREPARE, `setWidgetProtocol("anywidget");`, CONTROLS, "await liveFigure(live)"),
      );
      await server.open(page, "own.ipynb");
      await runAll(page, 4);
      const input = page.locator(".attune-panel input[type=range]").first();
      await input.waitFor();
      await input.focus();
      for (let press = 0; press < 3; press++) await input.press("ArrowRight");
      await page.waitForFunction(`document.body.textContent.includes("first output")`);
      await page.waitForTimeout(500);
      await keepScreenshot(page, "widgets-own");
      assertEquals(await evaluate(page, "shown.slider"), "1.5");
      assertEquals(await page.locator(".attune-panel").count(), 2);
    });
    assertEquals(problems, []);
  },
});
