// Full suite: it drives notebook servers and a browser.
// Limit: 15 minutes.
//
// JupyterLab 4 and Notebook 7 with their own page: widgets that are moved, and are there after a reload, stop, restart,
// completion, inspection, progress while busy, live figures.

import type { Page } from "playwright-core";
import { assert, assertEquals } from "../../testing/assert.ts";
import { cellOf, openNotebook, outputs, runCell, testInLabs } from "../../testing/kernel/lab_pages.ts";
import { keepScreenshot } from "../../testing/screenshots.ts";

const PREPARE = `import { DynamicAttention } from "@attune/attention";
import { liveFigure, setWidgetProtocol, slider } from "@attune/attention/widgets";
import { progress } from "@attune/attention/jupyter";
const live = await DynamicAttention.create({ query: [[1, 0], [0, 1]], key: [[1, 0], [0, 1], [1, 1]], value: [[10], [20], [30]] });
const data = [{ alpha: 1, beta: "x" }];`;
const CONTROL = (protocol: string) =>
  `setWidgetProtocol("${protocol}");
const strength_${protocol} = slider({ label: "strength", min: -5, max: 5, step: 0.5, value: 0 });
var seen_${protocol} = 0;
strength_${protocol}.onChange((value) => void (seen_${protocol} = value));
strength_${protocol}`;
const BUSY =
  `for (const _ of progress(30)) { const until = performance.now() + 100; while (performance.now() < until); }
"busy is over"`;
const ENDLESS =
  `let turns = 0; while (true) { turns++; await new Promise((resolve) => setTimeout(resolve, 10)); }`;

/** Moves the slider of our module and that of ipywidgets; what a handler prints goes to JupyterLab's log, so cells are asked. */
async function checkWidgets(page: Page, kind: string, value: number): Promise<void> {
  const own = page.locator(".attune-panel input[type=range]").first();
  await own.waitFor({ timeout: 90_000 });
  await own.fill(String(value));
  // By mouse: Notebook 7 takes arrow keys for itself.
  const track = page.locator(".widget-slider .noUi-base").first();
  await track.waitFor({ timeout: 90_000 });
  await track.scrollIntoViewIfNeeded();
  const box = await track.boundingBox();
  assert(box);
  await page.mouse.click(box.x + box.width * (value + 5) / 10, box.y + box.height / 2);
  await page.waitForTimeout(2000);
  await runCell(page, 8);
  await outputs(page, 8, `moved to ${value},${value}`);
  await keepScreenshot(page, `${kind}-widgets-${value}`);
}

const CELLS = [
  PREPARE,
  CONTROL("anywidget"),
  CONTROL("ipywidgets"),
  BUSY,
  ENDLESS,
  "turns > 0",
  "data[0]",
  "await liveFigure(live)",
  "`moved to ${[seen_anywidget, seen_ipywidgets]}`",
];

testInLabs("widgets, reload, stop, completion, inspection, progress", CELLS, 1400, async (t, lab) => {
  const { kind, server, page } = lab;
  await t.step("widgets answer", async () => {
    await openNotebook(lab);
    await runCell(page, 1);
    await runCell(page, 2);
    await checkWidgets(page, kind, 2);
  });
  await t.step("widgets are there, and answer, after a reload", async () => {
    await page.keyboard.press("Control+s");
    await page.waitForTimeout(2500);
    await server.open(page, "x.ipynb");
    await page.waitForTimeout(3000);
    await checkWidgets(page, kind, 4);
  });
  await t.step("progress is seen while a cell is busy", async () => {
    await runCell(page, 3);
    const bar = page.locator(".jp-OutputArea [role=progressbar][aria-valuenow]").first();
    await bar.waitFor();
    await page.waitForTimeout(1500);
    const seen = await bar.getAttribute("aria-valuenow");
    await keepScreenshot(page, `${kind}-progress`);
    assert(Number(seen) > 0 && Number(seen) < 100, String(seen));
    await outputs(page, 3, "busy is over");
  });
  await t.step("stop", async () => {
    await runCell(page, 4);
    await page.waitForTimeout(1000);
    await cellOf(page, 4).locator(".jp-InputPrompt").click();
    await page.keyboard.press("i");
    await page.keyboard.press("i");
    await outputs(page, 4, /Interrupted/);
    await runCell(page, 5);
    await outputs(page, 5, "true");
    await keepScreenshot(page, `${kind}-stopped`);
  });
  await t.step("completion and inspection", async () => {
    const cell = page.locator(".jp-Notebook .jp-CodeCell").nth(6);
    await cell.locator(".cm-content").click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type(".al");
    await page.keyboard.press("Tab");
    await page.waitForFunction(
      `[...document.querySelectorAll(".jp-CodeCell")][6].textContent.includes("data[0].alpha") || document.querySelector(".jp-Completer")?.textContent.includes("alpha")`,
    );
    await keepScreenshot(page, `${kind}-completion`);
    await page.keyboard.press("Escape");
    await cell.locator(".cm-content").click();
    await page.keyboard.press("Control+a");
    await page.keyboard.type("Math.max");
    const tooltip = page.locator(".jp-Tooltip");
    for (let attempt = 0; attempt < 6; attempt++) {
      await page.keyboard.press("Shift+Tab");
      if (await tooltip.waitFor({ timeout: 8_000 }).then(() => true, () => false)) break;
    }
    assert(await tooltip.isVisible());
    await keepScreenshot(page, `${kind}-inspection`);
  });
  await t.step("a live figure", async () => {
    await runCell(page, 7);
    await page.locator('.jp-OutputArea img[src^="data:image/svg+xml"], .attune-panel img').last()
      .waitFor();
    await keepScreenshot(page, `${kind}-figure`);
  });
  await t.step("restart", async () => {
    await page.locator(".jp-Notebook .jp-CodeCell").nth(5).locator(".jp-InputPrompt").click();
    await page.keyboard.press("0");
    await page.keyboard.press("0");
    const accept = page.locator(".jp-Dialog button.jp-mod-accept");
    await accept.first().waitFor();
    await accept.first().click();
    await page.waitForTimeout(4000);
    await runCell(page, 5);
    await outputs(page, 5, /turns is not defined/);
  });
  assertEquals(await page.locator(".jp-RenderedText.jp-mod-error, .jp-OutputArea").count() > 0, true);
});
