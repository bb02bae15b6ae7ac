// Full suite: it drives notebook servers and a browser.
// Limit: 15 minutes.
//
// What cells show in JupyterLab 4 and Notebook 7, in their own pages: figures that follow the theme, places whose content
// changes, controls with a function below them, comms of one's own from either end, and an exported page.

import type { Page } from "playwright-core";
import { assert, assertEquals } from "../../testing/assert.ts";
import { cellOf, openNotebook, outputs, runCell, testInLabs } from "../../testing/kernel/lab_pages.ts";
import { keepScreenshot } from "../../testing/screenshots.ts";

const PREPARE = `import { DynamicAttention } from "@attune/attention";
import { attentionHeatmap, embedPlotly, heaviestKeys, readAttention, show, table } from "@attune/attention/jupyter";
import { interact, onComm, openComm, Output, slider, toggle } from "@attune/attention/widgets";
const live = await DynamicAttention.create({ query: [[1, 0], [0, 1]], key: [[1, 0], [0, 1], [1, 1]], value: [[10], [20], [30]] });
await embedPlotly()`;
const FIGURES = `await show(
  attentionHeatmap(await readAttention(live), { queryLabels: ["who", "where"], keyLabels: ["Ada", "Alan", "Grace"] }),
  heaviestKeys(await live.topKeys(0, 2)), live, table(["name", "score"], [["Ada", 1], ["Alan", 2]]))`;
const OUTPUT = `const place = new Output(); await place.set("first words");
await new Promise((done) => setTimeout(done, 300));
await place.set([{ person: "Ada", year: 1815 }, { person: "Alan", year: 1912 }])`;
const INTERACT = `const result = await interact(({ factor, isOn }) => {
  if (factor === 9) throw new RangeError("nine is too much");
  return isOn ? \`product \${factor * 7}\` : "switched off";
}, { factor: slider({ label: "factor", min: 0, max: 10, step: 1, value: 2 }), isOn: toggle("on", true) })`;
const COMMS = `var heard: unknown[] = [];
onComm("from-page", (comm, { data }) => {
  heard.push(data);
  comm.onMessage = ({ data, buffers }) => { heard.push([data, buffers.length && [...buffers[0]]]); comm.send({ echo: data }) };
});
const comm = openComm("to-page", { rows: 3 });
comm.onMessage = ({ data }) => heard.push(["answer", data]);
comm.send({ color: "red" }, { buffers: [Uint8Array.of(7, 8)] })`;
const HEARD = "JSON.stringify(heard)";

/** Registers the page's end of comms in the kernel's connection. */
const PAGE_COMMS = `(() => {
  const { kernel } = jupyterapp.shell.currentWidget.context.sessionContext.session;
  globalThis.seen = [];
  kernel.registerCommTarget("to-page", (comm, message) => {
    seen.push(message.content.data);
    comm.onMsg = ({ content, buffers }) => {
      seen.push([content.data, [...new Uint8Array(buffers[0].buffer ?? buffers[0])]]);
      comm.send({ thanks: true });
    };
  });
})()`;
const PAGE_OPENS = `(async () => {
  const { kernel } = jupyterapp.shell.currentWidget.context.sessionContext.session;
  const comm = kernel.createComm("from-page");
  comm.onMsg = ({ content }) => seen.push(content.data);
  await comm.open({ hello: "kernel" }).done;
  await comm.send({ n: 1 }, {}, [new Uint8Array([1, 2, 3]).buffer]).done;
})()`;

async function setTheme(page: Page, name: string): Promise<void> {
  await page.evaluate(
    `jupyterapp.commands.execute("apputils:change-theme", { theme: ${JSON.stringify(name)} })`,
  );
  await page.waitForFunction(
    `document.body.dataset.jpThemeLight === ${JSON.stringify(String(name.includes("Light")))}`,
  );
  await page.waitForTimeout(1500);
}

const CELLS = [PREPARE, FIGURES, OUTPUT, INTERACT, COMMS, HEARD, "1"];

testInLabs("figures, themes, places, controls, comms, export", CELLS, 1600, async (t, lab) => {
  const { kind, server, browser, page } = lab, wrong: string[] = [];
  // Others are of the page itself.
  page.on("pageerror", ({ stack = "" }) => /attune|plotly|widget/.test(stack) && wrong.push(stack));
  await t.step("figures are drawn, and follow the theme", async () => {
    await openNotebook(lab);
    await runCell(page, 1);
    const plots = cellOf(page, 1).locator(".js-plotly-plot .main-svg");
    await plots.first().waitFor();
    await page.waitForTimeout(2000);
    await keepScreenshot(page, `${kind}-figures-light`);
    const inkOf = () =>
      page.evaluate<string>(
        `getComputedStyle(document.querySelector(".jp-OutputArea .js-plotly-plot .main-svg text")).fill`,
      );
    const light = await inkOf();
    await setTheme(page, "JupyterLab Dark");
    await keepScreenshot(page, `${kind}-figures-dark`);
    const dark = await inkOf();
    await runCell(page, 1);
    await page.waitForTimeout(4000);
    await keepScreenshot(page, `${kind}-figures-dark-again`);
    await setTheme(page, "JupyterLab Light");
    assert(light !== dark, `${light} ${dark}`);
  });
  await t.step("a place whose content changes", async () => {
    await runCell(page, 2);
    await outputs(page, 2, "1912");
    assertEquals(await cellOf(page, 2).locator(".jp-OutputArea table").count(), 1);
    assertEquals(await cellOf(page, 2).locator(".jp-OutputArea").getByText("first words").count(), 0);
    await keepScreenshot(page, `${kind}-output`);
  });
  await t.step("controls, and a function below them", async () => {
    await runCell(page, 3);
    await outputs(page, 3, "product 14");
    const area = cellOf(page, 3).locator(".jp-OutputArea");
    const track = area.locator(".attune-panel input[type=range], .widget-slider .noUi-base").first();
    const box = await track.boundingBox();
    assert(box);
    await keepScreenshot(page, `${kind}-interact`);
    await page.mouse.click(box.x + box.width * 0.9, box.y + box.height / 2);
    await outputs(page, 3, /nine is too much/);
    await keepScreenshot(page, `${kind}-interact-error`);
    await page.mouse.click(box.x + box.width * 0.5, box.y + box.height / 2);
    await outputs(page, 3, "product 35");
    await area.locator(
      ".attune-panel input[type=checkbox], .widget-toggle-button, .widget-checkbox input",
    ).first()
      .click();
    await outputs(page, 3, "switched off");
    await setTheme(page, "JupyterLab Dark");
    await area.scrollIntoViewIfNeeded();
    await keepScreenshot(page, `${kind}-interact-dark`);
    await setTheme(page, "JupyterLab Light");
  });
  await t.step("comms from either end, with bytes", async () => {
    await page.evaluate(PAGE_COMMS);
    await runCell(page, 4);
    await page.waitForFunction("seen.length >= 2");
    await page.evaluate(PAGE_OPENS);
    await page.waitForFunction("seen.length >= 3");
    await page.waitForTimeout(500);
    await runCell(page, 5);
    await outputs(page, 5, `[["answer",{"thanks":true}],{"hello":"kernel"},[{"n":1},[1,2,3]]]`);
    assertEquals(await page.evaluate("seen"), [{ rows: 3 }, [{ color: "red" }, [7, 8]], {
      echo: { n: 1 },
    }]);
  });
  await t.step("export", async () => {
    await page.keyboard.press("Control+s");
    await page.waitForTimeout(3000);
    const exported = await browser.newPage({ viewport: { width: 1200, height: 1600 } });
    await exported.goto(`${server.origin}/nbconvert/html/x.ipynb${server.search}&download=false`);
    await exported.locator(".js-plotly-plot .main-svg").first().waitFor();
    await exported.waitForTimeout(1500);
    await keepScreenshot(exported, `${kind}-exported`);
    const text = await exported.locator("body").innerText();
    for (const part of ["Ada", "1912", "DynamicAttention"]) assert(text.includes(part), part);
  });
  assertEquals(await page.locator(".jp-Notebook .jp-CodeCell").count(), CELLS.length);
  assertEquals(wrong, []);
});
