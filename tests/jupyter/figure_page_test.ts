// Full suite: it drives a browser.
//
// Figures in a real browser: drawn off line, light and dark, in whatever order their cells come, and with nothing run
// that was meant as text. Pictures of what was seen are kept.

import type { Browser, Page } from "playwright-core";
import { DISPLAY, type Figure, figure } from "../../src/jupyter/mod.ts";
import { Axis } from "../../src/jupyter/figures/picture/axis.ts";
import { PLOTLY_SOURCE } from "../../src/jupyter/figures/plotly_source.ts";
import { embeddedLibrary } from "../../src/jupyter/plotly_page.ts";
import { assert, assertEquals, assertGreater, assertMatch, assertNotEquals } from "../../testing/assert.ts";
import { needsBrowser, openBrowser, openPage } from "../../testing/pages.ts";
import { keepScreenshot } from "../../testing/screenshots.ts";
import { allFigures, EVIL } from "./support.ts";

interface Opened {
  readonly page: Page;
  /** What the console said, and addresses that were asked for. */
  readonly complaints: string[];
}

async function withBrowser(run: (open: (html: string, page?: PageLook) => Promise<Opened>) => Promise<void>) {
  const browser: Browser = await openBrowser();
  const folder = await Deno.makeTempDir();
  let files = 0;
  try {
    await run(async (html, { colorScheme = "light", body = "", follows = true, width = 900 } = {}) => {
      const page = await openPage(browser, { colorScheme, viewport: { width, height: 900 } });
      const complaints: string[] = [];
      page.on("console", (message) => complaints.push(message.text()));
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("request", (request) => {
        if (!/^(file|data|blob):/.test(request.url())) complaints.push(request.url());
      });
      const scheme = follows ? "<style>:root { color-scheme: light dark }</style>" : "";
      const file = `${folder}/${files++}.html`;
      await Deno.writeTextFile(file, `<!DOCTYPE html><meta charset="utf-8">${scheme}<body ${body}>${html}`);
      await page.goto(`file://${file}`);
      return { page, complaints };
    });
  } finally {
    await browser.close();
    await Deno.remove(folder, { recursive: true });
  }
}

interface PageLook {
  readonly colorScheme?: "light" | "dark";
  /** Attributes of the body. */
  readonly body?: string;
  /** Whether the page follows what the reader has chosen. */
  readonly follows?: boolean;
  readonly width?: number;
}

async function fragmentOf(shown: Figure): Promise<string> {
  return String((await shown[DISPLAY]())["text/html"]);
}

/** The colour of the first text of each figure. */
async function textColors(page: Page): Promise<string[]> {
  await page.waitForFunction("document.querySelectorAll('[data-attune-drawn] .main-svg text').length > 0");
  return [
    ...new Set(
      await page.locator(".main-svg .xtitle, .main-svg .gtitle").evaluateAll((texts) =>
        texts.map((text: { style?: { fill: string } }) => text.style?.fill ?? "")
      ),
    ),
  ];
}

const LIGHT = "rgb(29, 35, 42)", DARK = "rgb(228, 232, 236)";

Deno.test({
  name: "figures draw off line, light, dark and narrow, say nothing on the console and run no label",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (open) => {
      const figures = Object.values(await allFigures());
      const html = await embeddedLibrary() + (await Promise.all(figures.map(fragmentOf))).join("\n");
      for (
        const [colorScheme, width, color] of [["light", 900, LIGHT], ["dark", 900, DARK], [
          "light",
          400,
          LIGHT,
        ]] as const
      ) {
        const { page, complaints } = await open(html, { colorScheme, width });
        await page.waitForFunction(
          `document.querySelectorAll(".js-plotly-plot .main-svg").length >= ${figures.length}`,
        );
        assertEquals(await textColors(page), [color]);
        assertEquals(
          await page.locator("[data-attune-figure] > img").count(),
          0,
          "still pictures have given place",
        );
        assertEquals(await page.evaluate("globalThis.harmed"), undefined);
        assertEquals(await page.locator("img[onerror], svg[onload]").count(), 0);
        assertEquals(complaints, []);
        await keepScreenshot(page, `figures-${colorScheme}-${width}`);
        await page.close();
      }
    }),
});

Deno.test({
  name: "figures show labels as they are, also where one hovers",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (open) => {
      const { attentionHeatmap, heaviestKeys } = await allFigures();
      const { page } = await open(await attentionHeatmap.html() + await fragmentOf(heaviestKeys));
      await page.waitForSelector(".bars");
      const ticks = await page.locator(".ytick text, .yaxislayer-above text").allTextContents();
      assert(ticks.includes(EVIL[0].slice(0, 15) + "…"), ticks.join());
      assertEquals(await page.locator(".gtitle").first().textContent(), EVIL[0]);
      const plot = page.locator(".nsewdrag").first();
      const box = await plot.boundingBox();
      assert(box);
      await page.mouse.move(box.x + 5, box.y + box.height - 5);
      await page.waitForSelector(".hovertext");
      assertMatch(
        await page.locator(".hovertext").first().textContent() ?? "",
        /query <b>bold<\/b> &lt;i&gt; \$\\alpha\$ %\{x\}/,
      );
    }),
});

Deno.test({
  name:
    "figures choose the theme of the page: JupyterLab's and VS Code's words, else what is painted behind them",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (open) => {
      const html = await (await allFigures()).forecast.html();
      const looks: [look: PageLook, color: string][] = [
        [{ body: 'data-jp-theme-light="false"' }, DARK],
        [{ body: 'data-jp-theme-light="true"', colorScheme: "dark" }, LIGHT],
        [{ body: 'data-vscode-theme-kind="vscode-dark"' }, DARK],
        [{ body: 'style="background: #111"' }, DARK],
        [{ colorScheme: "dark", follows: false }, LIGHT], // a page that is white whatever its reader has chosen
      ];
      for (const [look, color] of looks) {
        const { page, complaints } = await open(html, look);
        assertEquals(await textColors(page), [color], JSON.stringify(look));
        assertEquals(complaints, []);
        await page.close();
      }
      const { page } = await open(html, { body: 'data-jp-theme-light="true"' });
      assertEquals(await textColors(page), [LIGHT]);
      await page.evaluate("document.body.dataset.jpThemeLight = 'false'");
      await page.waitForFunction(`document.querySelector(".xtitle").style.fill === "${DARK}"`);
    }),
});

Deno.test({
  name:
    "a figure draws whether the library's cell comes before or after it, and keeps the chosen head when colours change",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (open) => {
      const { attentionHeatmap, forecast } = await allFigures();
      const html = await fragmentOf(attentionHeatmap) + await embeddedLibrary() + await fragmentOf(forecast) +
        await embeddedLibrary();
      const { page, complaints } = await open(html, { body: 'data-jp-theme-light="true"' });
      await page.waitForFunction(
        'document.querySelectorAll(".js-plotly-plot .main-svg .xtitle").length === 2',
      );
      await page.evaluate(`Plotly = attunePlotly,
        Plotly.restyle(document.querySelector(".js-plotly-plot"), {
          visible: document.querySelector(".js-plotly-plot").data.map(({ visible }) => !visible),
        }), null`);
      const shown =
        "JSON.stringify(document.querySelector('.js-plotly-plot').data.map(({ visible }) => visible))";
      const chosen = await page.evaluate(shown);
      await page.evaluate("document.body.dataset.jpThemeLight = 'false'");
      await page.waitForFunction(`document.querySelector(".xtitle").style.fill === "${DARK}"`);
      assertEquals(await page.evaluate(shown), chosen);
      assertNotEquals(chosen, JSON.stringify(attentionHeatmap.data.map(({ visible }) => visible)));
      assertEquals(complaints, []);
    }),
});

Deno.test({
  name: "a figure whose library is gone stays a picture and says what to run",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (open) => {
      const { page, complaints } = await open(await fragmentOf((await allFigures()).forecast));
      await page.waitForSelector("[data-attune-note]:visible");
      assertMatch(
        await page.locator("[data-attune-note]").innerText(),
        /still picture.*await embedPlotly\(\)/,
      );
      const width = await page.locator("[data-attune-figure] > img").evaluate((image) =>
        (image as { naturalWidth?: number }).naturalWidth
      );
      assertGreater(width ?? 0, 800);
      assertEquals(complaints, []);
    }),
});

Deno.test({
  name: "pages with RequireJS and with another Plotly are left as they are",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (open) => {
      const before = `<script>
        globalThis.Plotly = "theirs";
        globalThis.define = () => { throw new Error("anonymous define"); };
        globalThis.define.amd = {};
      </script>`;
      const { page, complaints } = await open(before + await (await allFigures()).forecast.html());
      await page.waitForSelector(".main-svg .trace");
      assertEquals(await page.evaluate("Plotly"), "theirs");
      assertEquals(complaints, []);
    }),
});

Deno.test({
  name: "figures of typed arrays, dates and texts as titles draw every point, and no title is cut off",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (open) => {
      const days = [1, 2, 3].map((day) => new Date(Date.UTC(2026, 0, day)));
      const titles = { xaxis: { title: "days" }, yaxis: { title: "counts" } };
      const figures = [
        figure({
          data: [{ x: days, y: BigInt64Array.of(1n, 5n, 2n), name: "a" }, {
            x: days,
            y: [3, 2, 1],
            name: "b",
          }],
          layout: { title: "dates<br>and bigints", ...titles },
        }),
        figure({
          data: [{
            type: "heatmap",
            x: new Set(["a", "b"]),
            z: { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] },
          }],
          layout: { title: { text: "a matrix", font: { size: 24 } } },
        }),
        figure({ data: [{ type: "bar", y: Uint8Array.of(3, 1, 2) }], layout: titles }, { title: "bytes" }),
      ];
      const html = await embeddedLibrary() + (await Promise.all(figures.map(fragmentOf))).join("\n");
      const { page, complaints } = await open(html);
      await page.waitForFunction('document.querySelectorAll(".js-plotly-plot .gtitle").length === 3');
      const seen = JSON.parse(String(
        await page.evaluate(`JSON.stringify([...document.querySelectorAll(".js-plotly-plot")].map((plot) => {
        const own = plot.getBoundingClientRect(), title = plot.querySelector(".gtitle").getBoundingClientRect();
        const inner = plot.querySelector(".nsewdrag").getBoundingClientRect();
        return {
          points: plot.calcdata.map((trace) => trace[0].z ? trace[0].z.flat() : trace.map(({ x, y }) => [x, y])),
          type: plot._fullLayout.xaxis.type,
          texts: [...plot.querySelectorAll(".xtitle, .ytitle")].map(({ textContent }) => textContent),
          above: title.top - own.top,
          below: inner.top - title.bottom,
        };
      }))`),
      ));
      const times = days.map(Number);
      assertEquals(seen[0].type, "date");
      assertEquals(
        seen[0].points,
        [[1, 5, 2], [3, 2, 1]].map((y) => y.map((value, at) => [times[at], value])),
      );
      assertEquals(seen[0].texts, ["days", "counts"]);
      assertEquals([seen[1].type, seen[1].points], ["category", [[1, 2, 3, 4]]]);
      assertEquals(seen[2].points, [[[0, 3], [1, 1], [2, 2]]]);
      for (const { above, below } of seen) {
        assertGreater(above, 0, "the title begins within the figure");
        assertGreater(below, 0, "and ends above what is drawn");
      }
      assertEquals(complaints, []);
      await keepScreenshot(page, "figures-custom");
    }),
});

/** Values for an axis: random pieces of dates, numbers and names. */
function valuesAlong(pick: (count: number) => number): (string | number | null)[] {
  const pieces = [
    "2024",
    "24",
    "-",
    "03",
    "3",
    "31",
    " ",
    "T",
    "23",
    "7",
    ":",
    "59",
    "5",
    ".25",
    "Z",
    "+05:30",
    "a",
    ",",
    "%",
  ];
  return Array.from({ length: 1 + pick(9) }, () => {
    const kind = pick(10);
    if (kind === 0) return null;
    if (kind < 3) return pick(3000) - 500;
    if (kind === 3) return Date.UTC(1990 + pick(60), pick(12), pick(28), pick(24), pick(60));
    if (kind < 7) {
      const zone = ["", "", "Z", "+02:00", "-0330"][pick(5)];
      return `${1990 + pick(60)}-${pick(14)}-0${pick(10)}${["", " ", "T"][pick(3)]}${pick(25)}:${
        10 + pick(50)
      }${zone}`;
    }
    return Array.from({ length: pick(8) }, () => pieces[pick(pieces.length)]).join("");
  });
}

Deno.test({
  name: "still pictures take the values of an axis for what plotly.js takes them for",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (open) => {
      const { page } = await open(
        `<div id="plot"></div><script>${PLOTLY_SOURCE.replaceAll("</script", "<\\/script")}</script>`,
      );
      let seed = 20261130;
      const pick = (count: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % 65536 % count;
      const lists = Array.from({ length: 400 }, () => valuesAlong(pick));
      // A plot for each list, of which plotly says what its axis is, and where its values lie along it.
      const theirs = await page.evaluate(`(async () => {
        const told = [];
        for (const x of ${JSON.stringify(lists)}) {
          const plot = await Plotly.newPlot("plot", [{ x, y: x.map(() => 1) }], {}, { staticPlot: true });
          const { type, d2c } = plot._fullLayout.xaxis;
          told.push([type, type === "category" ? null : x.map((value) => d2c(value) ?? null)]);
        }
        return told;
      })()`) as [string, (number | null)[] | null][];
      const options = { isPadded: false, fromZero: false, hasCells: false };
      lists.forEach((list, at) => {
        const [type, places] = theirs[at];
        const axis = new Axis({}, list, options);
        // Plotly draws an axis of nothing as linear, too.
        assertEquals(axis.type, type === "-" ? "linear" : type, JSON.stringify(list));
        if (places === null) return;
        assertEquals(list.map((value) => axis.numberOf(value)), places, JSON.stringify(list));
      });
    }),
});
